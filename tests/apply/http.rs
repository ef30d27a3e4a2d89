use std::io::{BufRead as _, BufReader};
use std::process::Command;

use serde_json::{Value, json};
use stonetown::schema::read_schema;

use super::world::DOCS;
use crate::support::Served;

struct Client<'s> {
    server: &'s Served,
    store: String,
}

fn model(text: &str) -> Value {
    read_schema("test.fga", text).unwrap().0.to_json()
}

impl<'s> Client<'s> {
    fn new(server: &'s Served) -> Client<'s> {
        let mut client = Client { server, store: String::new() };
        let (status, body) = client.send("POST", "/stores", &json!({ "name": "demo" }));
        assert_eq!(status, 201);
        client.store = body["id"].as_str().unwrap().to_owned();
        let (status, _) = client.post("authorization-models", &model(DOCS));
        assert_eq!(status, 201);
        let key =
            |user: &str, relation: &str| json!({ "object": "doc:1", "relation": relation, "user": user });
        let keys = [key("user:*", "viewer"), key("user:anne", "viewer"), key("user:anne", "owner")];
        let (status, _) = client.post("write", &json!({ "writes": { "tuple_keys": keys } }));
        assert_eq!(status, 200);
        client
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.send_for_text(method, path, body);
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn send_for_text(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.server.url));
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = agent.run(request.body(text).unwrap()).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    fn post(&self, verb: &str, body: &Value) -> (u16, Value) {
        self.send("POST", &format!("/stores/{}/{verb}", self.store), body)
    }

    fn lines(&self, method: &str, query: &str, body: &Value) -> Vec<Value> {
        let (status, text) =
            self.send_for_text(method, &format!("/stores/{}/orphans{query}", self.store), body);
        assert_eq!(status, 200, "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn tuples(&self) -> Vec<String> {
        let (status, text) =
            self.send_for_text("POST", &format!("/stores/{}/export?format=text", self.store), &Value::Null);
        assert_eq!(status, 200);
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_change_is_tried_refused_and_made() {
    let server = Served::start();
    let client = Client::new(&server);
    let schema = model(&DOCS.replace("owner", "boss").replace("user:*, ", ""));
    let body = json!({ "schema": schema, "renames": [{ "relation": "doc#owner", "to": "boss" }] });
    let before = client.tuples();

    let (status, refused) = client.post("apply", &body);
    assert_eq!((status, &refused["code"]), (409, &json!("Aborted")));
    let report = &refused["report"];
    assert_eq!(
        (&report["applied"], &report["silenced"]["tuples"], &report["moved"]),
        (&json!(false), &json!(1), &json!(1))
    );
    let group = &report["silenced"]["groups"][0];
    assert_eq!(
        (&group["relation"], &group["subject"], &group["code"]),
        (&json!("doc#viewer"), &json!("user:*"), &json!("not_allowed"))
    );
    assert_eq!(group["sample"], json!(["doc:1#viewer@user:*"]));

    let mut trial = body.clone();
    trial["dry_run"] = json!(true);
    let (status, tried) = client.post("apply", &trial);
    assert_eq!((status, &tried), (200, report));
    assert_eq!(client.tuples(), before);

    let mut change = body.clone();
    change["deletes"] =
        json!({ "tuple_keys": [{ "object": "doc:1", "relation": "viewer", "user": "user:*" }] });
    change["writes"] =
        json!({ "tuple_keys": [{ "object": "doc:2", "relation": "boss", "user": "user:bob" }] });
    change["preconditions"] = json!(["exists doc:1#owner@user:anne"]);
    let (status, applied) = client.post("apply", &change);
    assert_eq!(status, 200, "{applied}");
    assert_eq!(
        (&applied["moved"], &applied["written"], &applied["deleted"], &applied["revision"]),
        (&json!(1), &json!(1), &json!(1), &json!(3))
    );
    assert!(applied["schema"].is_string() && applied["token"].is_string());
    assert_eq!(client.tuples(), ["doc:1#boss@user:anne", "doc:1#viewer@user:anne", "doc:2#boss@user:bob"]);
    let (_, log) = client.send("GET", &format!("/stores/{}/changes", client.store), &Value::Null);
    let entry = |it: &Value| {
        let object = it["tuple_key"]["object"].as_str().unwrap();
        format!("{} {object}#{}", it["kind"], it["tuple_key"]["relation"].as_str().unwrap())
    };
    let of_change = log["changes"].as_array().unwrap().iter().filter(|it| it["revision"] == 3);
    assert_eq!(
        of_change.map(entry).collect::<Vec<_>>(),
        [
            "\"written\" doc:1#boss",
            "\"deleted\" doc:1#owner",
            "\"deleted\" doc:1#viewer",
            "\"written\" doc:2#boss"
        ]
    );
    let watched = ureq::get(format!("{}/stores/{}/watch?after=oldest", server.url, client.store));
    let events = BufReader::new(watched.call().unwrap().into_body().into_reader()).lines();
    let data = events.filter_map(|line| Some(line.unwrap().strip_prefix("data: ")?.to_owned()));
    let events = data.map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let seen: Vec<Value> = events.filter(|event| event["revision"] == 3).take(4).collect();
    assert_eq!(
        (entry(&seen[0]), entry(&seen[3])),
        ("\"written\" doc:1#boss".into(), "\"written\" doc:2#boss".into())
    );
    let (_, validated) = client.send("POST", "/validate", &Value::Null);
    assert_eq!(validated["findings_total"], 0);
}

#[test]
fn mistakes_are_answered_by_their_codes() {
    let server = Served::start();
    let client = Client::new(&server);
    let schema = model(&DOCS.replace("owner", "boss"));
    for (body, status, code) in [
        (json!({}), 400, "invalid_write_input"),
        (json!({ "renames": [{ "type": "doc", "to": "page" }] }), 400, "validation_error"),
        (
            json!({ "schema": schema, "renames": [{ "relation": "doc#none", "to": "boss" }] }),
            400,
            "validation_error",
        ),
        (
            json!({ "schema": schema, "renames": [{ "relation": "doc", "to": "boss" }] }),
            400,
            "validation_error",
        ),
        (
            json!({ "schema": schema, "renames": [{ "type": "doc", "relation": "doc#owner", "to": "x" }] }),
            400,
            "validation_error",
        ),
        (json!({ "schema": schema, "renames": [{ "type": "doc", "to": "doc" }] }), 400, "validation_error"),
        (
            json!({ "schema": schema, "preconditions": ["untouched nothing since x"] }),
            400,
            "validation_error",
        ),
        (json!({ "schema": schema, "preconditions": ["absent doc:1#owner@user:anne"] }), 409, "Aborted"),
        (
            json!({ "schema": { "schema_version": "1.1", "type_definitions": [] } }),
            400,
            "type_definitions_too_few_items",
        ),
        (json!({ "writes": { "tuple_keys": [] } }), 400, "validation_error"),
        (json!({ "schema": 3 }), 400, "validation_error"),
    ] {
        let (found, answer) = client.post("apply", &body);
        assert_eq!((found, answer["code"].as_str().unwrap()), (status, code), "{body}\n{answer}");
    }
    let (status, answer) = client.send("POST", "/stores/01KAMZ3S8T4N2Q6V9XB7CDEFGH/apply", &json!({}));
    assert_eq!((status, &answer["code"]), (404, &json!("store_id_not_found")));
    let (status, answer) = client.send("GET", "/stores/01KAMZ3S8T4N2Q6V9XB7CDEFGH/orphans", &Value::Null);
    assert_eq!((status, &answer["code"]), (404, &json!("store_id_not_found")));
    let path = format!("/stores/{}/orphans", client.store);
    for query in ["?limit=x", "?limit=-1", "?schema_id=x"] {
        let (status, _) = client.send("GET", &format!("{path}{query}"), &Value::Null);
        assert_eq!(status, 400, "{query}");
    }
}

#[test]
fn orphans_are_listed_and_removed() {
    let server = Served::start();
    let client = Client::new(&server);
    assert_eq!(client.lines("GET", "", &Value::Null), [json!({ "tuples": 0, "groups": [] })]);
    let strict =
        model(&DOCS.replace("user:*, ", "").replace("define owner: [user]", "define owner: [folder]"));
    let given = client.lines("POST", "", &json!({ "schema": strict }));
    assert_eq!(given.len(), 3);
    assert_eq!(
        (&given[0]["tuples"], &given[1]["tuple"], &given[1]["code"]),
        (&json!(2), &json!("doc:1#owner@user:anne"), &json!("not_allowed"))
    );
    assert_eq!(client.lines("POST", "", &json!({ "schema": strict, "limit": 0 })), [given[0].clone()]);
    assert_eq!(client.lines("POST", "", &json!({ "schema": strict, "limit": 1 })), given[..2]);

    let (status, _) = client.post("apply", &json!({ "schema": strict, "allow_silenced": true }));
    assert_eq!(status, 200);
    assert_eq!(client.lines("GET", "", &Value::Null), given);
    assert_eq!(client.lines("GET", "?limit=1", &Value::Null), given[..2]);
    let (status, removed) = client.post("orphans/remove", &Value::Null);
    assert_eq!((status, removed), (200, json!({ "removed": 2, "revision": 4 })));
    assert_eq!(client.tuples(), ["doc:1#viewer@user:anne"]);
}

/// The program, asked to ask the server: exit code, what was printed, what was said.
fn run(server: &Served, dir: &std::path::Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
    let output = command.args(arguments).args(["--url", &server.url]).current_dir(dir).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_line_asks_a_server() {
    let server = Served::start();
    let client = Client::new(&server);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("new.fga"), DOCS.replace("owner", "boss").replace("user:*, ", ""))
        .unwrap();
    let renamed = ["schema", "apply", "new.fga", "--rename-relation", "doc#owner=boss"];
    let (code, out, err) = run(&server, dir.path(), &renamed);
    assert_eq!((code, &*err), (1, ""), "{out}");
    assert!(out.starts_with("1 tuple would be silenced\n  1 doc#viewer@user:*, not_allowed: "), "{out}");
    assert!(out.contains("\nwould be moved 1, written 0, deleted 0\nrefused, nothing was changed"), "{out}");
    let (code, out, _) = run(&server, dir.path(), &[&renamed[..], &["--allow-silenced"]].concat());
    assert_eq!(code, 0, "{out}");
    assert!(out.contains(" in force from revision 3\ntoken "), "{out}");
    let (code, out, _) = run(&server, dir.path(), &["schema", "orphans"]);
    assert_eq!(code, 0);
    assert!(
        out.starts_with("1 tuple not let in\n  1 doc#viewer@user:*, not_allowed: ")
            && out.ends_with("\ndoc:1#viewer@user:*\n"),
        "{out}"
    );
    let (code, out, _) = run(&server, dir.path(), &["schema", "orphans", "--remove"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("1 tuple removed\nrevision 4\ntoken "), "{out}");
    let (code, _, err) = run(&server, dir.path(), &renamed);
    assert_eq!(code, 3);
    assert!(err.contains("rename `doc#owner=boss`: the schema in force has no such relation"), "{err}");
    drop(client);
}
