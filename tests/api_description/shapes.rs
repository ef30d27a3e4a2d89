use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::description::Description;
use super::server::{Running, model};

#[test]
fn examples_of_requests_fit_their_schemas_and_work() {
    let description = Description::read();
    let server = Running::start();
    let store = server.store(&description, "examples");
    let created = server.store(&description, "models");
    for operation in &description.operations {
        for example in &operation.examples {
            let place = format!("{} {}", operation.method, operation.path);
            operation.check_body(example).unwrap_or_else(|problem| panic!("{place} {example}: {problem}"));
            // Another model would leave the other examples without their relations.
            let writes_model = operation.path.ends_with("/authorization-models");
            let id = if writes_model { &created.id } else { &store.id };
            let path =
                operation.path.replace("{store_id}", id).replace("{authorization_model_id}", &store.model);
            let status = operation.responses.keys().copied().find(|status| *status < 300).unwrap();
            server.ask(&description, (&operation.method, &path), &[], Some(example), status);
        }
    }
}

#[test]
fn answers_are_as_described() {
    let description = Description::read();
    let server = Running::start();
    let store = server.store(&description, "answers");
    let base = format!("/stores/{}", store.id);
    let ask = |request: (&str, &str), body: Option<Value>, status| {
        server.ask(&description, (request.0, &format!("{base}{}", request.1)), &[], body.as_ref(), status)
    };
    let post = |path: &str, body: Value, status| ask(("post", path), Some(body), status);
    let anne = json!({ "user": "user:anne", "relation": "viewer", "object": "doc:plan" });
    let soon = json!({ "user": "user:emil", "relation": "editor", "object": "doc:plan", "expires_at": "2090-01-01T00:00:00Z" });

    // Stores.
    ask(("get", ""), None, 200);
    for query in ["", "?page_size=1", "?name=answers", "?page_size=1&continuation_token="] {
        server.ask(&description, ("get", &format!("/stores{query}")), &[], None, 200);
    }
    for query in ["?page_size=0", "?continuation_token=AAAA", "?name=%00", "?page_size=x"] {
        server.ask(&description, ("get", &format!("/stores{query}")), &[], None, 400);
    }
    server.ask(&description, ("post", "/stores"), &[], Some(&json!({ "name": "" })), 400);
    let unknown = "/stores/01KAMZ3S8T4N2Q6V9XB7CDEFGH";
    server.ask(&description, ("get", unknown), &[], None, 404);
    server.ask(&description, ("delete", unknown), &[], None, 204);

    // Models.
    let another = post("/authorization-models", model(), 201).json()["authorization_model_id"].clone();
    post("/authorization-models", json!({ "type_definitions": [] }), 400);
    post(
        "/authorization-models",
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "self" }] }),
        400,
    );
    let page = ask(("get", "/authorization-models?page_size=1"), None, 200).json();
    assert_eq!(page["authorization_models"][0]["id"], another);
    let next = page["continuation_token"].as_str().unwrap();
    ask(("get", &format!("/authorization-models?continuation_token={next}")), None, 200);
    ask(("get", &format!("/authorization-models/{}", store.model)), None, 200);
    ask(("get", "/authorization-models/01KAMZ4A7Y1B5D9GHJ3KMNPQRS"), None, 400);

    // Tuples.
    post("/write", json!({ "writes": { "tuple_keys": [soon] } }), 200);
    post("/write", json!({ "writes": { "tuple_keys": [soon], "on_duplicate": "ignore" } }), 200);
    post("/write", json!({ "writes": { "tuple_keys": [soon], "on_duplicate": "replace" } }), 200);
    post("/write", json!({ "writes": { "tuple_keys": [soon] } }), 400);
    post(
        "/write",
        json!({ "deletes": { "tuple_keys": [soon] }, "preconditions": ["exists doc:plan#viewer@user:nobody"] }),
        409,
    );
    post("/write", json!({ "deletes": { "tuple_keys": [soon] } }), 200);
    post("/write", json!({}), 400);
    post("/read", json!({}), 200);
    let page = post("/read", json!({ "page_size": 2 }), 200).json();
    post("/read", json!({ "page_size": "2", "continuation_token": page["continuation_token"] }), 200);
    post("/read", json!({ "tuple_key": { "object": "doc:plan" } }), 200);
    post("/read", json!({ "tuple_key": { "object": "doc:" } }), 400);
    let changes = ask(("get", "/changes?page_size=3"), None, 200).json();
    let next = changes["continuation_token"].as_str().unwrap();
    let changes = ask(("get", &format!("/changes?continuation_token={next}")), None, 200).json();
    let operations: BTreeSet<&str> = changes["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["operation"].as_str().unwrap())
        .collect();
    assert_eq!(Vec::from_iter(operations), ["TUPLE_OPERATION_DELETE", "TUPLE_OPERATION_WRITE"]);
    ask(("get", &format!("/changes?continuation_token={next}&type=doc")), None, 400);

    // Questions.
    let allowed = post("/check", json!({ "tuple_key": anne }), 200);
    assert_eq!(allowed.json(), json!({ "allowed": true, "resolution": "" }));
    for name in ["openfga-authorization-model-id", "stonetown-token"] {
        assert!(allowed.header(name).is_some(), "{name}");
    }
    post(
        "/check",
        json!({ "tuple_key": { "user": "user:anne", "relation": "owner", "object": "doc:plan" } }),
        400,
    );
    post("/check", json!({}), 400);
    let checks = json!([
        { "tuple_key": anne, "correlation_id": "yes" },
        { "tuple_key": { "user": "user:x", "relation": "allowed", "object": "doc:plan" }, "correlation_id": "no" },
        { "tuple_key": { "user": "user:x", "relation": "owner", "object": "doc:plan" }, "correlation_id": "none" },
    ]);
    let batch = post("/batch-check", json!({ "checks": checks }), 200).json();
    assert_eq!(batch["result"]["yes"], json!({ "allowed": true }));
    assert_eq!(batch["result"]["no"], json!({ "allowed": false }));
    assert_eq!(batch["result"]["none"]["error"]["input_error"], "validation_error");
    for relation in ["viewer", "allowed", "both", "parent"] {
        post("/expand", json!({ "tuple_key": { "relation": relation, "object": "doc:plan" } }), 200);
    }
    post("/expand", json!({ "tuple_key": { "relation": "", "object": "doc:plan" } }), 400);
    let list = json!({ "type": "doc", "relation": "viewer", "user": "user:anne" });
    let objects = post("/list-objects", list.clone(), 200).json();
    assert_eq!(objects["objects"].as_array().unwrap().len(), 2);
    post("/list-objects", json!({ "type": "voice", "relation": "viewer", "user": "user:anne" }), 400);
    let streamed = post("/streamed-list-objects", list.clone(), 200);
    assert_eq!(streamed.body.split(|b| *b == b'\n').count(), 3);
    post("/streamed-list-objects", json!({ "type": "doc" }), 400);
    let who = |object: &str, relation: &str, kind: &str| json!({ "object": { "type": "doc", "id": object }, "relation": relation, "user_filters": [{ "type": kind }] });
    post("/list-users", who("plan", "viewer", "user"), 200);
    let all = post("/list-users", who("news", "allowed", "user"), 200).json();
    assert_eq!(all["excluded_users"], json!([{ "object": { "type": "user", "id": "bob" } }]));
    let members = json!({
        "object": { "type": "doc", "id": "plan" },
        "relation": "viewer",
        "user_filters": [{ "type": "group", "relation": "member" }],
    });
    post("/list-users", members, 200);
    post("/list-users", who("news", "owner", "user"), 400);

    // Ours: parts of lists, and the past.
    let limited = [("Stonetown-Limit", "1"), ("Stonetown-At", store.token.as_str())];
    let path = format!("{base}/list-objects");
    let part = server.ask(&description, ("post", &path), &limited, Some(&list), 200);
    assert_eq!(part.header("stonetown-incomplete"), Some("limit"));
    let place = [("Stonetown-Continuation", part.header("stonetown-continuation").unwrap())];
    server.ask(&description, ("post", &path), &place, Some(&list), 200);
    server.ask(&description, ("post", &path), &[("Stonetown-At", "never")], Some(&list), 400);

    // Assertions.
    let assertions = format!("/assertions/{}", store.model);
    ask(("get", &assertions), None, 200);
    ask(
        ("put", &assertions),
        Some(json!({ "assertions": [{ "tuple_key": anne, "expectation": true }] })),
        204,
    );
    assert_eq!(ask(("get", &assertions), None, 200).json()["assertions"][0]["expectation"], true);
    ask(("put", &assertions), Some(json!({ "assertions": [{}] })), 400);

    server.ask(&description, ("get", "/healthz"), &[], None, 200);
    server.ask(&description, ("get", "/healthz?service=other"), &[], None, 404);
    server.ask(&description, ("delete", &base), &[], None, 204);
}

#[test]
fn what_is_not_served_is_answered_as_described() {
    let description = Description::read();
    let server = Running::start();
    for (method, path, code) in [
        ("get", "/", "undefined_endpoint"),
        ("get", "/nowhere", "undefined_endpoint"),
        ("post", "/stores/", "undefined_endpoint"),
        ("put", "/stores", "unimplemented"),
        ("patch", "/stores/01KAMZ3S8T4N2Q6V9XB7CDEFGH", "unimplemented"),
        ("get", "/stores/01KAMZ3S8T4N2Q6V9XB7CDEFGH/check", "unimplemented"),
    ] {
        let answer = server.send(method, path, &[], None);
        assert_eq!((answer.status, answer.code().as_str()), (404, code), "{method} {path}");
        description.check("NotFoundError", &answer.json()).unwrap();
    }
}
