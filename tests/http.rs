//! What the server promises beyond single answers: pages and lists that go on where they ended, whatever happens
//! meanwhile; one state for all of a list; headers; ids; the end of a server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use serde_json::{Value, json};
use support::Served;

const MODEL: &str = r#"{"schema_version":"1.1","type_definitions":[
    {"type":"user"},
    {"type":"group","relations":{"member":{"this":{}}},
     "metadata":{"relations":{"member":{"directly_related_user_types":[{"type":"user"},{"type":"group","relation":"member"}]}}}},
    {"type":"doc","relations":{"viewer":{"this":{}},"banned":{"this":{}},
       "reader":{"difference":{"base":{"computedUserset":{"relation":"viewer"}},"subtract":{"computedUserset":{"relation":"banned"}}}}},
     "metadata":{"relations":{"viewer":{"directly_related_user_types":[{"type":"user"},{"type":"user","wildcard":{}},{"type":"group","relation":"member"}]},
                              "banned":{"directly_related_user_types":[{"type":"user"}]}}}}]}"#;

/// An answer: its status, headers and body.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers))
            .to_str()
            .unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }
}

struct Client<'s> {
    server: &'s Served,
    store: String,
}

impl<'s> Client<'s> {
    /// In a new store, with the schema in force.
    fn new(server: &'s Served) -> Client<'s> {
        let mut client = Client { server, store: String::new() };
        let store = client.send("POST", "/stores", &json!({ "name": "a store" }), &[]);
        client.store = store.body["id"].as_str().unwrap().to_owned();
        let model: Value = serde_json::from_str(MODEL).unwrap();
        assert_eq!(client.post("authorization-models", &model, &[]).status, 201);
        client
    }

    fn send(&self, method: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = agent.run(request.body(text).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    fn post(&self, verb: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.send("POST", &format!("/stores/{}/{verb}", self.store), body, headers)
    }

    fn get(&self, verb: &str) -> Answer {
        self.send("GET", &format!("/stores/{}/{verb}", self.store), &Value::Null, &[])
    }

    fn write(&self, tuples: &[(&str, &str, &str)]) -> Answer {
        let keys: Vec<Value> = tuples
            .iter()
            .map(|(object, relation, user)| json!({ "object": object, "relation": relation, "user": user }))
            .collect();
        let answer = self.post("write", &json!({ "writes": { "tuple_keys": keys } }), &[]);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    fn list(&self, user: &str, headers: &[(&str, &str)]) -> Answer {
        let answer =
            self.post("list-objects", &json!({ "type": "doc", "relation": "reader", "user": user }), headers);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    fn write_docs(&self, user: &str, docs: std::ops::Range<usize>) {
        for doc in docs {
            self.write(&[(&format!("doc:{doc:03}"), "viewer", user)]);
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_is_complete_unless_a_limit_is_asked_for_and_then_goes_on_in_the_same_state() {
    let server = Served::start();
    let client = Client::new(&server);
    client.write_docs("user:anne", 0..7);
    let whole = client.list("user:anne", &[]);
    assert_eq!(texts(&whole.body["objects"]).len(), 7);
    assert!(!whole.has("stonetown-incomplete") && !whole.has("stonetown-continuation"));

    let first = client.list("user:anne", &[("stonetown-limit", "3")]);
    assert_eq!(texts(&first.body["objects"]), ["doc:000", "doc:001", "doc:002"]);
    assert_eq!(first.header("stonetown-incomplete"), "limit");
    // What is written meanwhile does not show in the parts that follow.
    client.write(&[("doc:002a", "viewer", "user:anne"), ("doc:005", "banned", "user:anne")]);
    let token = first.header("stonetown-continuation").to_owned();
    let second = client.list("user:anne", &[("stonetown-limit", "3"), ("stonetown-continuation", &token)]);
    assert_eq!(texts(&second.body["objects"]), ["doc:003", "doc:004", "doc:005"]);
    assert_eq!(second.header("stonetown-token"), first.header("stonetown-token"));
    let token = second.header("stonetown-continuation").to_owned();
    let third = client.list("user:anne", &[("stonetown-continuation", &token)]);
    assert_eq!(texts(&third.body["objects"]), ["doc:006"]);
    assert!(!third.has("stonetown-incomplete"));

    // Only of the same list.
    let other = json!({ "type": "doc", "relation": "reader", "user": "user:bob" });
    let refused = client.post("list-objects", &other, &[("stonetown-continuation", &token)]);
    assert_eq!((refused.status, &refused.body["code"]), (400, &json!("invalid_continuation_token")));
    let wrong = client.post("list-objects", &other, &[("stonetown-limit", "0")]);
    assert_eq!((wrong.status, &wrong.body["code"]), (400, &json!("validation_error")));
}

#[test]
fn a_stream_says_in_its_trailers_where_it_goes_on() {
    let server = Served::start();
    let client = Client::new(&server);
    client.write_docs("user:anne", 0..5);
    // Trailers come to those who ask for them; the client of the other tests does not know them.
    let stream = |extra: &str| {
        let body = r#"{"type":"doc","relation":"reader","user":"user:anne"}"#;
        let path = format!("/stores/{}/streamed-list-objects", client.store);
        let mut socket = std::net::TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
        let length = body.len();
        write!(
            socket,
            "POST {path} HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\ncontent-length: {length}\r\n{extra}\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    };
    let first = stream("stonetown-limit: 2\r\n");
    assert!(first.contains("doc:001") && !first.contains("doc:002"), "{first}");
    assert!(first.contains("stonetown-incomplete: limit"), "{first}");
    let token = first.lines().find_map(|line| line.strip_prefix("stonetown-continuation: ")).unwrap();
    let rest = stream(&format!("stonetown-continuation: {token}\r\n"));
    assert!(!rest.contains("doc:001") && rest.contains("doc:002") && rest.contains("doc:004"), "{rest}");
    assert!(!rest.contains("stonetown-incomplete:"), "{rest}");
}

#[test]
fn a_list_of_users_goes_on_and_names_who_is_excluded() {
    let server = Served::start();
    let client = Client::new(&server);
    client.write(&[
        ("doc:1", "viewer", "user:*"),
        ("doc:1", "viewer", "user:anne"),
        ("doc:1", "viewer", "user:bob"),
        ("doc:1", "banned", "user:bob"),
        ("doc:1", "banned", "user:eve"),
    ]);
    let body = json!({
        "object": { "type": "doc", "id": "1" }, "relation": "reader", "user_filters": [{ "type": "user" }]
    });
    let whole = client.post("list-users", &body, &[]);
    let user = |id: &str| json!({ "object": { "type": "user", "id": id } });
    assert_eq!(whole.body["users"], json!([{ "wildcard": { "type": "user" } }, user("anne")]));
    assert_eq!(whole.body["excluded_users"], json!([user("bob"), user("eve")]));
    let (mut users, mut excluded) = (Vec::new(), Vec::new());
    let mut token: Option<String> = None;
    for part in 0..4 {
        let mut headers = vec![("stonetown-limit", "1")];
        headers.extend(token.as_deref().map(|token| ("stonetown-continuation", token)));
        let answer = client.post("list-users", &body, &headers);
        let array = |name: &str| answer.body[name].as_array().cloned().unwrap_or_default();
        users.extend(array("users"));
        excluded.extend(array("excluded_users"));
        assert_eq!(answer.header("stonetown-incomplete"), "limit", "part {part}");
        token = Some(answer.header("stonetown-continuation").to_owned());
    }
    assert_eq!(
        (json!(users), json!(excluded)),
        (whole.body["users"].clone(), whole.body["excluded_users"].clone())
    );
    let end = client.post("list-users", &body, &[("stonetown-continuation", &token.unwrap())]);
    assert_eq!(end.body["users"], json!([]));
    assert!(!end.has("stonetown-incomplete"));
}

#[test]
fn pages_and_tokens_survive_writes_and_a_restart() {
    let server = Served::start();
    let client = Client::new(&server);
    client.write_docs("user:anne", 0..10);
    let page = client.post("read", &json!({ "page_size": 4 }), &[]);
    let changes = client.get("changes?page_size=4");
    let list = client.list("user:anne", &[("stonetown-limit", "4")]);
    client.write_docs("user:anne", 100..103);
    let (read_on, changes_on, list_on) = (
        page.body["continuation_token"].as_str().unwrap().to_owned(),
        changes.body["continuation_token"].as_str().unwrap().to_owned(),
        list.header("stonetown-continuation").to_owned(),
    );
    let store = client.store.clone();
    let server = server.restart();
    let client = Client { server: &server, store };

    let mut seen: Vec<Value> = page.body["tuples"].as_array().unwrap().clone();
    let mut token = read_on;
    while !token.is_empty() {
        let page = client.post("read", &json!({ "page_size": 4, "continuation_token": token }), &[]);
        seen.extend(page.body["tuples"].as_array().unwrap().clone());
        token = page.body["continuation_token"].as_str().unwrap().to_owned();
    }
    let objects: BTreeSet<&str> = seen.iter().map(|tuple| tuple["key"]["object"].as_str().unwrap()).collect();
    assert_eq!((seen.len(), objects.len()), (13, 13), "every tuple once");

    let rest = client.get(&format!("changes?page_size=100&continuation_token={changes_on}"));
    assert_eq!(rest.body["changes"].as_array().unwrap().len(), 9);
    let last = rest.body["continuation_token"].as_str().unwrap();
    let none = client.get(&format!("changes?continuation_token={last}"));
    assert_eq!(
        none.body,
        json!({ "changes": [], "continuation_token": last }),
        "tokens of changes never end"
    );
    client.write(&[("doc:late", "viewer", "user:anne")]);
    let one = client.get(&format!("changes?continuation_token={last}"));
    assert_eq!(one.body["changes"][0]["tuple_key"]["object"], json!("doc:late"));

    let rest = client.list("user:anne", &[("stonetown-continuation", &list_on)]);
    assert_eq!(texts(&rest.body["objects"]).len(), 6, "the state is that of the first part");

    let refused = client.post("read", &json!({ "continuation_token": changes_on }), &[]);
    assert_eq!((refused.status, &refused.body["code"]), (400, &json!("invalid_continuation_token")));
    let refused = client.get(&format!("changes?type=doc&continuation_token={last}"));
    assert_eq!(refused.body["code"], json!("query_string_type_continuation_token_mismatch"));
}

#[test]
fn a_question_can_be_asked_of_the_past() {
    let server = Served::start();
    let client = Client::new(&server);
    let written = client.write(&[("doc:1", "viewer", "user:anne")]);
    let then = written.header("stonetown-token").to_owned();
    let gone = json!({ "deletes": { "tuple_keys": [{ "object": "doc:1", "relation": "viewer", "user": "user:anne" }] } });
    assert_eq!(client.post("write", &gone, &[]).status, 200);
    let check = json!({ "tuple_key": { "object": "doc:1", "relation": "reader", "user": "user:anne" } });
    assert_eq!(client.post("check", &check, &[]).body["allowed"], json!(false));
    let past = client.post("check", &check, &[("stonetown-at", &then)]);
    assert_eq!(past.body["allowed"], json!(true));
    assert_eq!(past.header("stonetown-token"), then);
    let read = client.post("read", &Value::Null, &[("stonetown-at", &then)]);
    assert_eq!(read.body["tuples"].as_array().unwrap().len(), 1);
    // At least as new as one's own write; a state that is not there yet is an error at once, never an old answer.
    let newest = client.write(&[("doc:2", "viewer", "user:anne")]);
    let newest = newest.header("stonetown-token");
    let fresh = client.post("check", &check, &[("stonetown-at-least", newest)]);
    assert_eq!((fresh.status, &fresh.body["allowed"]), (200, &json!(false)));
    let other = Client::new(&server);
    let foreign = other.post("check", &check, &[("stonetown-at-least", newest)]);
    assert_eq!((foreign.status, &foreign.body["code"]), (400, &json!("validation_error")));
    let both = client.post("check", &check, &[("stonetown-at-least", newest), ("stonetown-at", newest)]);
    assert_eq!((both.status, &both.body["code"]), (400, &json!("validation_error")));
    let write = client.post("write", &gone, &[("stonetown-at", newest)]);
    assert_eq!((write.status, &write.body["code"]), (400, &json!("validation_error")));
    for wrong in ["yesterday", "2100-01-01T00:00:00Z", &then.replace('A', "B")] {
        let refused = client.post("check", &check, &[("stonetown-at", wrong)]);
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("validation_error")), "{wrong}");
    }
}

#[test]
fn a_write_that_is_sent_again_under_its_key_is_answered_as_the_first_time() {
    let server = Served::start();
    let client = Client::new(&server);
    let write = |object: &str, key: &str| {
        let keys = json!([{ "object": object, "relation": "viewer", "user": "user:anne" }]);
        client.post("write", &json!({ "writes": { "tuple_keys": keys } }), &[("idempotency-key", key)])
    };
    let first = write("doc:1", "first");
    assert_eq!(first.status, 200, "{}", first.body);
    let token = first.header("stonetown-token").to_owned();
    // Without the key, the tuple would be there already.
    for _ in 0..2 {
        let again = write("doc:1", "first");
        assert_eq!((again.status, again.header("stonetown-token")), (200, &*token));
        assert_eq!(again.header("stonetown-changed"), "1");
    }
    assert_eq!(write("doc:1", "another").body["code"], json!("write_failed_due_to_invalid_input"));
    let reused = write("doc:2", "first");
    assert_eq!((reused.status, &reused.body["code"]), (409, &json!("Aborted")));
    // A refused write leaves its key free; another store has keys of its own.
    assert_eq!(write("doc:3", "another").status, 200);
    let other = Client::new(&server);
    let keys = json!([{ "object": "doc:1", "relation": "viewer", "user": "user:anne" }]);
    let elsewhere = json!({ "writes": { "tuple_keys": keys } });
    assert_ne!(
        other.post("write", &elsewhere, &[("idempotency-key", "first")]).header("stonetown-token"),
        token
    );
    for wrong in ["", &"x".repeat(256)] {
        assert_eq!(write("doc:4", wrong).body["code"], json!("validation_error"));
    }
    // Many at once under one key: one of them is made, all are answered alike.
    let tokens: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| write("doc:5", "together").header("stonetown-token").to_owned()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    let store = client.store.clone();
    let server = server.restart();
    let client = Client { server: &server, store };
    let keys = json!([{ "object": "doc:1", "relation": "viewer", "user": "user:anne" }]);
    let again =
        client.post("write", &json!({ "writes": { "tuple_keys": keys } }), &[("idempotency-key", "first")]);
    assert_eq!((again.status, again.header("stonetown-token")), (200, &*token), "after a restart too");
}

#[test]
fn a_token_of_a_deleted_store_is_none_of_the_one_begun_again_under_its_id() {
    let server = Served::start();
    let client = Client::new(&server);
    client.write_docs("user:anne", 0..5);
    let token = client.write(&[("doc:old", "viewer", "user:anne")]).header("stonetown-token").to_owned();
    let page = client.post("read", &json!({ "page_size": 1 }), &[]).body["continuation_token"].clone();
    let changes = client.get("changes?page_size=1").body["continuation_token"].as_str().unwrap().to_owned();
    let list =
        client.list("user:anne", &[("stonetown-limit", "1")]).header("stonetown-continuation").to_owned();
    let path = format!("/stores/{}", client.store);
    assert_eq!(client.send("DELETE", &path, &Value::Null, &[]).status, 204);
    let model: Value = serde_json::from_str(MODEL).unwrap();
    assert_eq!(client.post("authorization-models", &model, &[]).status, 201);
    client.write_docs("user:anne", 0..9);
    let check = json!({ "tuple_key": { "object": "doc:001", "relation": "reader", "user": "user:anne" } });
    let question = json!({ "type": "doc", "relation": "reader", "user": "user:anne" });
    let guarded = json!({
        "writes": { "tuple_keys": [{ "object": "doc:new", "relation": "viewer", "user": "user:anne" }] },
        "preconditions": [format!("unchanged doc:old since {token}")]
    });
    for refused in [
        client.post("check", &check, &[("stonetown-at", &token)]),
        client.post("check", &check, &[("stonetown-at-least", &token)]),
        client.post("write", &guarded, &[]),
        client.post("read", &json!({ "continuation_token": page }), &[]),
        client.get(&format!("changes?continuation_token={changes}")),
        client.get(&format!("changes?after={token}")),
        client.post("list-objects", &question, &[("stonetown-continuation", &list)]),
        client.get(&format!("watch?after={token}")),
    ] {
        assert_eq!(refused.status, 400, "{}", refused.body);
    }
}

#[test]
fn a_long_chain_of_relations_neither_ends_the_server_nor_holds_it_up() {
    let server = Served::start();
    let client = Client::new(&server);
    let mut relations = serde_json::Map::new();
    relations.insert("r0".to_owned(), json!({ "this": {} }));
    for number in 1..3_000 {
        let before = format!("r{}", number - 1);
        relations.insert(format!("r{number}"), json!({ "computedUserset": { "relation": before } }));
    }
    let model = json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" },
        { "type": "doc", "relations": relations, "metadata": { "relations": {
            "r0": { "directly_related_user_types": [{ "type": "user" }] } } } }
    ] });
    assert_eq!(client.post("authorization-models", &model, &[]).status, 201);
    client.write(&[("doc:1", "r0", "user:anne")]);
    let key = json!({ "object": "doc:1", "relation": "r2999", "user": "user:anne" });
    assert_eq!(client.post("check", &json!({ "tuple_key": key }), &[]).body["allowed"], json!(true));
    let list = json!({ "type": "doc", "relation": "r2999", "user": "user:anne" });
    assert_eq!(client.post("list-objects", &list, &[]).body["objects"], json!(["doc:1"]));
    let users = json!({
        "object": { "type": "doc", "id": "1" }, "relation": "r2999", "user_filters": [{ "type": "user" }]
    });
    assert_eq!(client.post("list-users", &users, &[]).body["users"].as_array().unwrap().len(), 1);
    let expand = json!({ "tuple_key": key, "depth": 25 });
    let refused = client.post("expand", &expand, &[]);
    assert_eq!(refused.body["code"], json!("authorization_model_resolution_too_complex"));
    assert_eq!(client.send("GET", "/healthz", &Value::Null, &[]).status, 200);
}

#[test]
fn preconditions_are_bounded_since_all_other_writes_wait_for_them() {
    let server = Served::start();
    let client = Client::new(&server);
    let write = |count: usize| {
        let preconditions = vec!["at-most 999999999 @*"; count];
        let keys = json!([{ "object": format!("doc:{count}"), "relation": "viewer", "user": "user:anne" }]);
        client.post(
            "write",
            &json!({ "writes": { "tuple_keys": keys }, "preconditions": preconditions }),
            &[],
        )
    };
    assert_eq!(write(100).status, 200);
    assert_eq!(write(101).body["code"], json!("exceeded_entity_limit"));
}

#[test]
fn answers_carry_the_headers_that_clients_look_for() {
    let server = Served::start();
    let client = Client::new(&server);
    let written = client.write(&[("doc:1", "viewer", "user:anne")]);
    let model = written.header("openfga-authorization-model-id").to_owned();
    let check =
        |user: &str| json!({ "tuple_key": { "object": "doc:1", "relation": "reader", "user": user } });
    // Of the state that was asked about, also on errors: another schema is in force by now.
    let newer: Value = serde_json::from_str(MODEL).unwrap();
    assert_eq!(client.post("authorization-models", &newer, &[]).status, 201);
    let then = written.header("stonetown-token");
    let unknown = json!({ "type": "doc", "relation": "reader", "user": "no user" });
    let nobody = json!({
        "object": { "type": "doc", "id": "1" }, "relation": "reader", "user_filters": [{ "type": "user" }],
        "contextual_tuples": [{ "object": "doc:1", "relation": "viewer", "user": "nobody" }]
    });
    for (verb, body) in [("list-objects", &unknown), ("list-users", &nobody), ("check", &check("nobody:x"))] {
        let refused = client.post(verb, body, &[("stonetown-at", then)]);
        assert_eq!(
            (refused.status, refused.header("openfga-authorization-model-id")),
            (400, &*model),
            "{verb}"
        );
    }
    let model = client.get("authorization-models?page_size=1").body["authorization_models"][0]["id"].clone();
    for (user, status) in [("user:anne", 200), ("nobody:x", 400)] {
        let answer = client.post("check", &check(user), &[]);
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("openfga-store-id"), client.store);
        assert_eq!(answer.header("openfga-authorization-model-id"), model, "on errors too");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.header("fga-query-duration-ms").parse::<u64>().is_ok());
        assert!(!answer.header("x-request-id").is_empty());
    }
    assert!(
        client
            .post("check", &check("user:anne"), &[("origin", "http://a.example")])
            .has("access-control-allow-origin")
    );
}

#[test]
fn ids_sort_by_time_and_the_newest_schema_comes_first() {
    let server = Served::start();
    let client = Client::new(&server);
    let model: Value = serde_json::from_str(MODEL).unwrap();
    let mut ids: Vec<String> = (0..5)
        .map(|_| {
            let written = client.post("authorization-models", &model, &[]);
            written.body["authorization_model_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 26), "{ids:?}");
    let newest = client.get("authorization-models?page_size=1");
    assert_eq!(newest.body["authorization_models"][0]["id"], json!(ids[4]));
    ids.reverse();
    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let page = client.get(&format!("authorization-models?page_size=2&continuation_token={token}"));
        let models = page.body["authorization_models"].as_array().unwrap().clone();
        listed.extend(models.iter().map(|model| model["id"].as_str().unwrap().to_owned()));
        token = page.body["continuation_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed[..5], ids);
    assert_eq!(listed.len(), 6);
}

#[test]
fn a_store_begins_with_its_first_schema_and_ends_when_it_is_deleted() {
    let server = Served::start();
    let mut client = Client::new(&server);
    client.store = "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned();
    let path = format!("/stores/{}", client.store);
    let absent = client.send("GET", &path, &Value::Null, &[]);
    assert_eq!((absent.status, &absent.body["code"]), (404, &json!("store_id_not_found")));
    let model: Value = serde_json::from_str(MODEL).unwrap();
    assert_eq!(client.post("authorization-models", &model, &[]).status, 201);
    client.write(&[("doc:1", "viewer", "user:anne")]);
    assert_eq!(texts(&client.list("user:anne", &[]).body["objects"]), ["doc:1"]);
    for _ in 0..2 {
        assert_eq!(client.send("DELETE", &path, &Value::Null, &[]).status, 204);
    }
    let refused = client.post(
        "list-objects",
        &json!({ "type": "doc", "relation": "reader", "user": "user:anne" }),
        &[],
    );
    assert_eq!(refused.body["code"], json!("latest_authorization_model_not_found"));
    assert_eq!(client.post("authorization-models", &model, &[]).status, 201);
    assert_eq!(
        texts(&client.list("user:anne", &[]).body["objects"]),
        [""; 0],
        "a new store of the same id is empty"
    );
}

#[test]
fn a_server_that_is_told_to_stop_answers_what_was_begun_and_leaves_no_url() {
    let server = Served::start();
    let client = Client::new(&server);
    client.write_docs("user:anne", 0..3);
    let url_file = server.dir().join("stonetown.url");
    assert_eq!(std::fs::read_to_string(&url_file).unwrap().trim(), server.url);
    let store = client.store.clone();
    let server = server.restart();
    let client = Client { server: &server, store };
    assert_eq!(texts(&client.list("user:anne", &[]).body["objects"]).len(), 3);
    let (ended_well, dir) = server.stop();
    assert!(ended_well);
    assert!(!dir.path().join("stonetown.url").exists());
    assert!(dir.path().join("stonetown.seal").exists(), "closed in order");
}

#[test]
fn the_past_is_kept_collected_and_purged_as_asked() {
    let server = Served::start();
    let client = Client::new(&server);
    let first = client.write(&[("doc:1", "viewer", "user:anne"), ("doc:1", "viewer", "user:bob")]);
    let first = first.header("stonetown-token").to_owned();
    let gone = json!({ "deletes": { "tuple_keys": [{ "object": "doc:1", "relation": "viewer", "user": "user:anne" }] } });
    let gone = client.post("write", &gone, &[]).header("stonetown-token").to_owned();
    let check = |user: &str, at: &str, period: bool| {
        let key = json!({ "object": "doc:1", "relation": "reader", "user": user });
        client.post("check", &json!({ "tuple_key": key, "period": period }), &[("stonetown-at", at)])
    };
    // Since when, until when, by what.
    let answer = check("user:anne", &first, true);
    assert_eq!((answer.status, &answer.body["allowed"]), (200, &json!(true)));
    let period = &answer.body["period"];
    assert_eq!((&period["since"]["revision"], &period["since"]["cause"]), (&json!(2), &json!("write")));
    assert_eq!((&period["until"]["revision"], &period["until"]["cause"]), (&json!(3), &json!("write")));
    assert_eq!(period["until"]["changes"][0]["kind"], json!("deleted"));
    assert_eq!(period["until"]["changes"][0]["tuple_key"]["user"], json!("user:anne"));
    let answer = check("user:bob", &first, true);
    assert_eq!(answer.body["period"]["until"], Value::Null);
    assert_eq!(check("user:bob", &first, false).body.get("period"), None);
    // Purged: of her the past cannot be told any longer, of others it can.
    let purged = client.post("purge", &json!({ "object": "user:anne" }), &[]);
    assert_eq!(
        (purged.status, &purged.body["history"], &purged.body["changes"]),
        (200, &json!(1), &json!(2))
    );
    let refused = check("user:anne", &first, false);
    assert_eq!((refused.status, &refused.body["code"]), (400, &json!("validation_error")));
    assert!(refused.body["message"].as_str().unwrap().contains("purged"), "{}", refused.body);
    assert_eq!(check("user:anne", &gone, false).body["allowed"], json!(false));
    let bob = check("user:bob", &first, true);
    assert_eq!((bob.status, &bob.body["allowed"]), (200, &json!(true)));
    let anne = check("user:anne", &gone, true);
    assert_eq!(anne.body["period"]["since"]["cause"], json!("purged"), "{}", anne.body);
    let log = client.get("changes");
    let users: Vec<_> =
        log.body["changes"].as_array().unwrap().iter().map(|it| &it["tuple_key"]["user"]).collect();
    assert_eq!(users, ["user:bob"]);
    let log = client.get("changes?purges=true");
    assert_eq!(log.body["changes"][1]["kind"], json!("purged"));
    let wrong = client.post("purge", &json!({ "object": "anne" }), &[]);
    assert_eq!((wrong.status, &wrong.body["code"]), (400, &json!("validation_error")));
    // Kept for as long as is asked.
    assert_eq!(client.get("retention").body["retention"], json!("30days"));
    let path = format!("/stores/{}/retention", client.store);
    let wrong = client.send("PUT", &path, &json!({ "retention": "soon" }), &[]);
    assert_eq!(wrong.status, 400);
    assert!(wrong.body["message"].as_str().unwrap().contains("`30d`"), "{}", wrong.body);
    let kept = client.send("PUT", &path, &json!({ "retention": "0s" }), &[]);
    assert_eq!((kept.status, kept.header("stonetown-revision")), (200, "5"));
    let collected = client.post("collect", &json!({}), &[]);
    assert_eq!((collected.status, &collected.body["oldest_revision"]), (200, &json!(5)));
    let refused = check("user:bob", &first, false);
    assert_eq!(refused.status, 400);
    let message = refused.body["message"].as_str().unwrap();
    assert!(message.contains("no longer kept: the oldest kept is 5 of 2"), "{message}");
    let refused = client.get(&format!("changes?after={first}"));
    assert!(
        refused.body["message"].as_str().unwrap().contains("is kept behind revision 5"),
        "{}",
        refused.body
    );
    assert_eq!(client.get("changes").body["changes"], json!([]));
    let since = check("user:bob", kept.header("stonetown-token"), true);
    assert_eq!(since.body["period"]["since"]["cause"], json!("collected"));
    let future = client.post("collect", &json!({ "before": "2999-01-01T00:00:00Z" }), &[]);
    assert_eq!(future.status, 400);
}

/// A token of the last page was the place of the last change seen: once that was collected, whoever had missed nothing was told
/// that something is gone.
#[test]
fn a_poller_of_changes_that_has_seen_everything_goes_on_after_a_collection() {
    let server = Served::start();
    let client = Client::new(&server);
    client.write(&[("doc:1", "viewer", "user:anne")]);
    let page = |token: &str| client.get(&format!("changes?type=doc&continuation_token={token}"));
    let first = page("");
    let token = first.body["continuation_token"].as_str().unwrap().to_owned();
    assert_eq!(first.body["changes"].as_array().unwrap().len(), 1);
    client.write(&[("group:1", "member", "user:anne")]);
    let second = page(&token);
    assert_eq!(second.body["changes"], json!([]));
    let token = second.body["continuation_token"].as_str().unwrap().to_owned();
    let path = format!("/stores/{}/retention", client.store);
    assert_eq!(client.send("PUT", &path, &json!({ "retention": "0s" }), &[]).status, 200);
    let third = page(&token);
    let token = third.body["continuation_token"].as_str().unwrap().to_owned();
    assert_eq!(client.post("collect", &json!({}), &[]).status, 200);
    assert_eq!(page(&token).status, 200);
    client.write(&[("doc:2", "viewer", "user:anne")]);
    assert_eq!(page(&token).body["changes"][0]["tuple_key"]["object"], json!("doc:2"));
}

/// A place beyond the log made an addition overflow.
#[test]
fn a_made_up_place_in_the_log_is_refused() {
    use base64::Engine as _;
    let server = Served::start();
    let client = Client::new(&server);
    client.write(&[("doc:1", "viewer", "user:anne")]);
    let real = client.get("changes").body["continuation_token"].as_str().unwrap().to_owned();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let head = engine.decode(&real).unwrap()[..10].to_vec();
    for place in ["18446744073709551615.4294967295", "18446744073709551615.1", "9999.1"] {
        let token = engine.encode([&head, place.as_bytes()].concat());
        let refused = client.get(&format!("changes?continuation_token={token}"));
        assert_eq!(refused.body["code"], json!("invalid_continuation_token"), "{place}: {}", refused.body);
    }
}

/// A server that was stopped right after it had said where it listens was killed by the signal.
#[test]
fn a_server_can_be_stopped_as_soon_as_it_listens() {
    for _ in 0..5 {
        let (ended_well, _) = Served::start().stop();
        assert!(ended_well);
    }
}

/// Where a directory was restored, places of before stand for other changes: three of them were passed over in silence.
#[test]
fn a_place_in_the_log_is_refused_after_a_restore() {
    let server = Served::start();
    let client = Client::new(&server);
    let store = client.store.clone();
    client.write(&[("doc:1", "viewer", "user:anne")]);
    let backups = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_stonetown")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let backup_dir = backups.path().to_str().unwrap().to_owned();
    for object in ["doc:2", "doc:3", "doc:4"] {
        client.write(&[(object, "viewer", "user:anne")]);
    }
    let token = client.get("changes").body["continuation_token"].as_str().unwrap().to_owned();
    let (_, data) = server.stop();
    run(&["backup", &backup_dir, "--data", data.path().to_str().unwrap()]);
    let server = Served::on(data, &[]);
    let client = Client { server: &server, store: store.clone() };
    assert_eq!(
        client.get(&format!("changes?continuation_token={token}")).status,
        200,
        "a restart changes nothing"
    );
    drop(server);
    let restored = tempfile::tempdir().unwrap();
    run(&["restore", &backup_dir, "--revision", "2", "--data", restored.path().to_str().unwrap()]);
    let server = Served::on(restored, &[]);
    let client = Client { server: &server, store };
    for object in ["doc:5", "doc:6", "doc:7", "doc:8"] {
        client.write(&[(object, "viewer", "user:anne")]);
    }
    for path in [format!("changes?continuation_token={token}"), format!("watch?after={token}")] {
        let refused = client.get(&path);
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
    }
}
