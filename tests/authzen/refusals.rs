use serde_json::{Value, json};

use super::certification::{SCHEMA, TUPLES, read};
use super::client::{Client, question};
use crate::support::Served;

const VERBS: [&str; 5] = ["evaluation", "evaluations", "search/subject", "search/resource", "search/action"];
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn what_is_missing_is_named() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    // By verb, what each of its parts needs.
    let whole = ["subject.type", "subject.id", "action.name", "resource.type", "resource.id"];
    let needs: [(&str, &[&str]); 5] = [
        ("evaluation", &whole),
        ("evaluations", &whole),
        ("search/subject", &["subject.type", "action.name", "resource.type", "resource.id"]),
        ("search/resource", &["subject.type", "subject.id", "action.name", "resource.type"]),
        ("search/action", &["subject.type", "subject.id", "resource.type", "resource.id"]),
    ];
    for (verb, paths) in needs {
        for path in paths {
            let (part, field) = path.split_once('.').unwrap();
            let ask = |change: &dyn Fn(&mut Value)| {
                let mut asked = read();
                change(&mut asked);
                let refused = client.post(&format!("access/v1/{verb}"), &asked);
                assert_eq!(refused.status, 400, "{verb} {asked}: {}", refused.text);
                assert!(refused.refusal().starts_with('`'), "{}", refused.text);
                refused.refusal().to_owned()
            };
            assert_eq!(
                ask(&|asked| drop(asked.as_object_mut().unwrap().remove(part))),
                format!("`{part}` is missing")
            );
            let missing = format!("`{path}` is missing");
            assert_eq!(ask(&|asked| drop(asked[part].as_object_mut().unwrap().remove(field))), missing);
            assert_eq!(ask(&|asked| asked[part][field] = Value::Null), missing);
            assert_eq!(
                ask(&|asked| asked[part][field] = json!(123)),
                format!("`{path}` has to be a string, not a number")
            );
            assert_eq!(
                ask(&|asked| asked[part] = json!("x")),
                format!("`{part}` has to be an object, not a string")
            );
            ask(&|asked| asked[part][field] = json!(""));
            ask(&|asked| asked[part][field] = json!("a b"));
            ask(&|asked| asked[part]["properties"] = json!([]));
        }
        let mut asked = read();
        asked["context"] = json!("now");
        let refused = client.post(&format!("access/v1/{verb}"), &asked);
        assert_eq!((refused.status, refused.refusal()), (400, "`context` has to be an object, not a string"));
    }
}

#[test]
fn a_body_is_json_and_says_so() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let body = read().to_string();
    for verb in VERBS {
        let verb = format!("access/v1/{verb}");
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"] {
            assert_eq!(
                client.post_text(&verb, &body, &[("content-type", kind)]).status,
                200,
                "{verb} {kind}"
            );
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ";"] {
            let refused = client.post_text(&verb, &body, &[("content-type", kind)]);
            assert_eq!(refused.status, 400, "{verb} {kind}");
            assert!(refused.refusal().contains("Content-Type"), "{}", refused.text);
        }
        for (body, told) in [
            ("", "empty"),
            (" \n", "empty"),
            ("{", "malformed"),
            ("not json", "malformed"),
            (&body[..body.len() - 1], "malformed"),
            (&format!("{body}{body}"), "malformed"),
            (&format!("{body} x"), "malformed"),
            (&body.replace("\"user\"", "\"user\",\"type\":\"user\""), "twice"),
            (&body.replace("\"user\"", "\"\\ud800\""), "malformed"),
            ("[]", "an array"),
            ("\"read\"", "a string"),
            ("null", "null"),
            ("1e999", "malformed"),
        ] {
            let refused = client.post_text(&verb, body, &[JSON]);
            assert_eq!(refused.status, 400, "{verb} {body}");
            assert!(refused.refusal().contains(told), "{body}: {}", refused.text);
        }
        let deep = format!("{{\"context\":{}", "[".repeat(100_000));
        assert_eq!(client.post_text(&verb, &deep, &[JSON]).status, 400);
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(5 << 20));
        assert_eq!(client.post_text(&verb, &large, &[JSON]).status, 400);
    }
}

#[test]
fn pages_have_a_form_too() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    for (page, told) in [
        (json!([]), "`page` has to be an object"),
        (json!({ "limit": -1 }), "`page.limit` has to be a whole number from 0 on, not `-1`"),
        (json!({ "limit": 1.5 }), "`page.limit`"),
        (json!({ "limit": "1" }), "`page.limit`"),
        (json!({ "token": 1 }), "`page.token` has to be a string"),
        (json!({ "token": "made-up" }), "Invalid continuation token"),
        (json!({ "token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA" }), "Invalid continuation token"),
    ] {
        for what in ["subject", "resource", "action"] {
            let mut asked = read();
            asked["page"] = page.clone();
            let refused = client.post(&format!("access/v1/search/{what}"), &asked);
            assert_eq!(refused.status, 400, "{page}");
            assert!(refused.refusal().contains(told), "{}", refused.text);
        }
    }
    let mut asked = read();
    asked["page"] = json!({ "token": "", "limit": null, "properties": { "sort": "desc" }, "more": 1 });
    assert_eq!(client.found("subject", &asked), ["alice", "bob"]);
}

#[test]
fn the_id_of_a_request_comes_back() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let longest = "x".repeat(128);
    for verb in VERBS {
        let verb = format!("access/v1/{verb}");
        for id in ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "1", "a/b+c=~!", &longest] {
            let answer = client.post_with(&verb, &read(), &[("X-Request-ID", id)]);
            assert_eq!((answer.status, answer.header("x-request-id")), (200, id));
            // On errors too.
            let refused = client.post_with(&verb, &json!({}), &[("X-Request-ID", id)]);
            assert_eq!((refused.status, refused.header("x-request-id")), (400, id));
        }
        let own = |headers: &[(&str, &str)]| {
            let id = client.post_with(&verb, &read(), headers).header("x-request-id").to_owned();
            assert_eq!(id.len(), 26, "{id}");
            id
        };
        assert_ne!(own(&[]), own(&[]));
        own(&[("x-request-id", "")]);
        own(&[("x-request-id", &"x".repeat(129))]);
        own(&[("x-request-id", "two words")]);
    }
}

#[test]
fn a_store_has_to_be_there_and_have_a_schema() {
    let server = Served::start();
    let mut client = Client::new(&server, SCHEMA, &TUPLES);
    let store = client.store.clone();
    for verb in VERBS {
        let verb = format!("access/v1/{verb}");
        for absent in ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "none"] {
            client.store = absent.to_owned();
            let refused = client.post(&verb, &read());
            assert_eq!((refused.status, refused.refusal()), (404, "Store ID not found"));
        }
        let created = client.send("POST", "/stores", "{\"name\":\"empty\"}", &[]);
        client.store = created.body["id"].as_str().unwrap().to_owned();
        let refused = client.post(&verb, &read());
        assert_eq!(refused.status, 400);
        assert!(refused.refusal().contains("schema"), "{}", refused.text);
        client.store.clone_from(&store);
    }
}

#[test]
fn the_past_and_an_older_model_can_be_asked() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &[]);
    let models = client.send("GET", &format!("/stores/{}/authorization-models", client.store), "", &[]);
    let model = models.body["authorization_models"][0]["id"].as_str().unwrap().to_owned();
    let before = client.write(&TUPLES[..1]);
    let after = client.write(&TUPLES[1..]);
    let ask = |verb: &str, headers: &[(&str, &str)]| {
        client.post_with(&format!("access/v1/{verb}"), &read(), headers)
    };
    for (at, decision, count) in [(&before, false, 0), (&after, true, 2)] {
        let answer = ask("evaluation", &[("stonetown-at", at)]);
        assert_eq!(answer.body, json!({ "decision": decision }));
        assert_eq!(answer.header("stonetown-token"), *at);
        assert_eq!(ask("search/subject", &[("stonetown-at", at)]).body["page"]["count"], json!(count));
        assert_eq!(ask("search/resource", &[("stonetown-at", at)]).body["page"]["count"], json!(count));
        let item = json!({ "evaluations": [read()] });
        let several = client.post_with("access/v1/evaluations", &item, &[("stonetown-at", at)]);
        assert_eq!(several.body["evaluations"][0]["decision"], json!(decision));
    }
    for verb in VERBS {
        let answer = ask(verb, &[("stonetown-at-least", &after)]);
        assert_eq!((answer.status, answer.header("openfga-authorization-model-id")), (200, &*model));
        assert!(!answer.header("stonetown-token").is_empty());
        for headers in [
            &[("stonetown-at", "soon")][..],
            &[("stonetown-at", &*after), ("stonetown-at-least", &*after)],
            &[("openfga-authorization-model-id", "none")],
            &[("openfga-authorization-model-id", "01ARZ3NDEKTSV4RRFFQ69G5FAV")],
        ] {
            let refused = ask(verb, headers);
            assert_eq!(refused.status, 400, "{headers:?}");
            refused.refusal();
        }
    }
    client
        .write_schema("model\n  schema 1.1\ntype user\ntype record\n  relations\n    define look: [user]\n");
    let now = ask("evaluation", &[]);
    assert!(now.body["context"]["error"]["message"].as_str().unwrap().contains("read"), "{}", now.text);
    let then = ask("evaluation", &[("openfga-authorization-model-id", &model)]);
    assert_eq!(then.body, json!({ "decision": true }));
    assert_eq!(then.header("openfga-authorization-model-id"), model);
}

#[test]
fn a_path_or_method_that_is_not_there_is_told_as_everywhere() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let path = format!("/stores/{}/access/v1/evaluation", client.store);
    let get = client.send("GET", &path, "", &[]);
    assert_eq!((get.status, &get.body["code"]), (404, &json!("unimplemented")));
    let none = client.post("access/v1/search/everything", &question("user", "read", "record"));
    assert_eq!((none.status, &none.body["code"]), (404, &json!("undefined_endpoint")));
}
