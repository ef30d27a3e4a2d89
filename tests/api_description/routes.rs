use std::collections::BTreeSet;

use serde_json::Value;

use super::description::{Description, TEXT};
use super::server::Running;

/// Every `METHOD PATH` of the router, its parameters without their names.
fn routes() -> BTreeSet<String> {
    let source = include_str!("../../src/api/routes/mod.rs");
    let mut found = BTreeSet::new();
    for route in source.split(".route(\"").skip(1) {
        let (path, rest) = route.split_once("\", ").unwrap();
        let handlers = rest.split("\n").next().unwrap();
        for method in ["get", "post", "put", "delete", "patch"] {
            let begins = |before: Option<char>| before.is_none_or(|c| c == '.');
            let call = format!("{method}(");
            if handlers.match_indices(&call).any(|(at, _)| begins(handlers[..at].chars().next_back())) {
                found.insert(format!("{method} {}", nameless(path)));
            }
        }
    }
    found
}

/// `/stores/{store_id}` as `/stores/{}`.
fn nameless(path: &str) -> String {
    let parts: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
    parts.join("/")
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let description = Description::read();
    let described: BTreeSet<String> =
        description.operations.iter().map(|it| format!("{} {}", it.method, nameless(&it.path))).collect();
    let routes = routes();
    assert!(routes.len() >= 20, "the routes were not found: {routes:?}");
    let missing: Vec<_> = routes.difference(&described).collect();
    assert!(missing.is_empty(), "not described: {missing:?}");
    let invented: Vec<_> = described.difference(&routes).collect();
    assert!(invented.is_empty(), "not served: {invented:?}");
}

#[test]
fn every_described_operation_is_served() {
    let description = Description::read();
    let server = Running::start();
    for operation in &description.operations {
        let path = operation
            .path
            // A refusal has an end also where the answer has none.
            .replace("{store_id}", if operation.is_endless { "none" } else { "01KAMZ3S8T4N2Q6V9XB7CDEFGH" })
            .replace("{authorization_model_id}", "01KAMZ4A7Y1B5D9GHJ3KMNPQRS");
        let answer = server.send(&operation.method, &path, &[], operation.examples.first());
        let place = format!("{} {path}", operation.method);
        assert!(
            !["undefined_endpoint", "unimplemented"].contains(&answer.code().as_str()),
            "{place}: {}",
            answer.text()
        );
        operation.check_answer(&answer).unwrap_or_else(|problem| panic!("{place}: {problem}"));
    }
}

#[test]
fn the_description_is_served_as_it_is() {
    let answer = Running::start().send("get", "/openapi.json", &[], None);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), serde_json::from_str::<Value>(TEXT).unwrap());
    assert!(answer.json()["openapi"].as_str().unwrap().starts_with("3.1"));
}
