use serde_json::{Value, json};

use super::description::{Answer, Description};
use super::server::{BODY_BYTES_MAX, Running};
use super::wire::{Client, Request};

fn request(method: &str, path: &str, body: Vec<u8>, chunk: Option<usize>) -> Request {
    Request { method: method.to_owned(), target: path.as_bytes().to_vec(), headers: Vec::new(), body, chunk }
}

#[test]
fn a_path_that_is_not_utf8_is_refused_in_json() {
    let description = Description::read();
    let server = Running::start();
    for (method, path) in
        [("get", "/stores/%FF"), ("post", "/stores/%C3/check"), ("get", "/stores/x/assertions/%FE")]
    {
        let answer = server.send(method, path, &[], None);
        assert_eq!((answer.status, answer.code().as_str()), (400, "validation_error"), "{path}");
        let operation = description.find(method, path).unwrap();
        description.check("BadRequestError", &answer.json()).unwrap();
        assert!(operation.responses.contains_key(&400));
    }
}

#[test]
fn an_array_of_its_fields_is_no_message() {
    let description = Description::read();
    let server = Running::start();
    let store = server.store(&description, "arrays");
    let refused = |path: &str, body: Value| {
        let answer = server.send("post", &format!("/stores/{}{path}", store.id), &[], Some(&body));
        assert_eq!((answer.status, answer.code().as_str()), (400, "validation_error"), "{body}");
    };
    refused("/write", json!({ "writes": { "tuple_keys": [["user:emil", "viewer", "doc:plan"]] } }));
    refused("/write", json!({ "deletes": { "tuple_keys": [null] } }));
    refused(
        "/batch-check",
        json!({ "checks": [[{ "user": "user:emil", "relation": "viewer", "object": "doc:plan" }]] }),
    );
    let mut users = json!({ "object": { "type": "doc", "id": "plan" }, "relation": "viewer" });
    users["user_filters"] = json!([["user"]]);
    refused("/list-users", users);
    // Whatever follows the first value is not read, so an array could pass for the request.
    let mut client = Client::new(server.address);
    let answer = client.send(&request("POST", "/stores", b"[\"arrays too\"] x".to_vec(), None)).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (400, "validation_error"));
    assert_eq!(server.engine.list_stores().len(), 1);
}

#[test]
fn a_consistency_that_is_neither_a_name_nor_a_number_is_refused() {
    let server = Running::start();
    let path = "/stores/01KAMZ3S8T4N2Q6V9XB7CDEFGH/read";
    for (value, status) in [
        (json!("HIGHER_CONSISTENCY"), 200),
        (json!(200), 200),
        (json!(null), 200),
        (json!([]), 400),
        (json!({}), 400),
        (json!(true), 400),
        (json!(7), 400),
    ] {
        let answer = server.send("post", path, &[], Some(&json!({ "consistency": value })));
        assert_eq!(answer.status, status, "{value}");
    }
}

#[test]
fn a_page_size_that_is_none_is_told_without_names_of_types() {
    let server = Running::start();
    for value in [json!(true), json!("ten"), json!([]), json!({}), json!(1.5)] {
        let body = json!({ "page_size": value });
        let answer = server.send("post", "/stores/01KAMZ3S8T4N2Q6V9XB7CDEFGH/read", &[], Some(&body));
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400);
        assert!(
            message.contains("page_size") && !message.contains("Size`") && !message.contains("enum"),
            "{message}"
        );
    }
}

#[test]
fn a_connection_outlives_a_body_that_no_route_reads() {
    let server = Running::start();
    let mut client = Client::new(server.address);
    let too_large = vec![b' '; 8 * BODY_BYTES_MAX];
    let codes = |answer: &Answer| (answer.status, answer.code());
    for chunk in [None, Some(1000)] {
        for (method, path, status, code) in [
            ("POST", "/stores", 500, "resource_exhausted"),
            ("POST", "/nowhere", 404, "undefined_endpoint"),
            ("PUT", "/stores", 404, "unimplemented"),
            ("GET", "/stores", 200, ""),
            ("OPTIONS", "/stores", 200, ""),
        ] {
            let answer = client.send(&request(method, path, too_large.clone(), chunk)).unwrap();
            assert_eq!(codes(&answer), (status, code.to_owned()), "{method} {path}");
            assert!(answer.header("x-request-id").is_some(), "{method} {path}");
            assert!(client.is_kept(), "{method} {path}");
        }
    }
    let answer = client.send(&request("GET", "/healthz", Vec::new(), None)).unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn a_body_in_small_chunks_costs_no_more_than_its_bytes() {
    let server = Running::start();
    let begun = std::time::Instant::now();
    let body = vec![b' '; BODY_BYTES_MAX];
    let answer = Client::new(server.address).send(&request("POST", "/stores", body, Some(1))).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (400, "validation_error"));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn a_service_that_is_asked_for_twice_is_refused() {
    let server = Running::start();
    for (query, status) in
        [("", 200), ("?service=", 200), ("?service=other", 404), ("?service=other&service=", 400)]
    {
        assert_eq!(server.send("get", &format!("/healthz{query}"), &[], None).status, status, "{query}");
    }
}
