use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::servers::{each_server, each_way, everywhere};
use crate::support::client::{Client, key, key_if, schema_json};

#[test]
fn cve_2023_40579_parents_of_several_types() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type org
  relations
    define viewer: [user]
    define admin: [user]
type folder
  relations
    define viewer: [user]
    define parent: [folder, org]
    define inherited: viewer or inherited from parent or admin from parent
type team
  relations
    define admin: [user]
type doc
  relations
    define parent: [folder, org, team]
    define viewer: viewer from parent
    define admin: admin from parent
    define inherited: inherited from parent
";
    each_way(SCHEMA, |client| {
        client.write(&[
            "org:1 viewer user:anne",
            "org:2 admin user:anne",
            "folder:1 viewer user:anne",
            "folder:2 parent org:2",
            "folder:3 parent folder:1",
            "team:1 admin user:anne",
            "doc:o1 parent org:1",
            "doc:o2 parent org:2",
            "doc:f1 parent folder:1",
            "doc:f2 parent folder:2",
            "doc:f3 parent folder:3",
            "doc:t1 parent team:1",
            // The same ids, other types.
            "doc:x1 parent folder:9",
            "org:9 viewer user:anne",
            "team:9 admin user:anne",
        ]);
        for (relation, expected) in [
            ("viewer", &["doc:f1", "doc:o1"][..]),
            ("admin", &["doc:o2", "doc:t1"]),
            ("inherited", &["doc:f1", "doc:f2", "doc:f3"]),
        ] {
            assert_eq!(client.objects("doc", relation, "user:anne"), expected, "{relation}");
            for doc in ["o1", "o2", "f1", "f2", "f3", "t1", "x1"].map(|doc| format!("doc:{doc}")) {
                everywhere(client, &doc, relation, "user:anne", expected.contains(&&*doc));
            }
        }
    });
}

const ERRORS: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user, user:*]
    define blocked: [user with known, user:* with known]
    define given: [user with known]
    define reader: viewer but not blocked
    define either: given or viewer
    define both: viewer and given
condition known(x: int) {
  x > 5
}
";

/// The lines of a stream: the objects, and whether it ended in an error.
fn streamed(client: &Client, relation: &str, context: &Value) -> (BTreeSet<String>, bool) {
    let body = json!({ "type": "doc", "relation": relation, "user": "user:anne", "context": context });
    let path = format!("/stores/{}/streamed-list-objects", client.store);
    let answer = client.send_text("POST", &path, body.to_string(), &[]);
    let text = match answer.body {
        Value::String(text) => text,
        one => one.to_string(),
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let objects =
        lines.iter().filter_map(|line| line["result"]["object"].as_str().map(str::to_owned)).collect();
    let is_error = answer.status >= 400
        || lines.iter().any(|line| line.get("error").is_some() || line.get("code").is_some());
    (objects, is_error)
}

#[test]
fn note_1_20_0_an_error_in_what_is_excluded_lets_nobody_through() {
    each_way(ERRORS, |client| {
        let mut keys = vec![key_if("doc:07 blocked user:anne", "known", json!({}))];
        keys.extend(
            (0..20)
                .map(|n| key(&format!("doc:{n:02} viewer user:{}", if n % 2 == 0 { "anne" } else { "*" }))),
        );
        keys.push(key_if("doc:11 blocked user:*", "known", json!({})));
        client.write_keys(keys).granted();
        let doubtful = ["doc:07", "doc:11"];
        // It is not known whether they are blocked: an error, and neither of them in what came before it.
        let (objects, is_error) = streamed(client, "reader", &json!({}));
        assert!(is_error, "{objects:?}");
        assert!(doubtful.iter().all(|doc| !objects.contains(*doc)), "{objects:?}");
        let list = json!({ "type": "doc", "relation": "reader", "user": "user:anne" });
        assert_eq!(client.post("list-objects", &list).refused(), "validation_error");
        for doc in doubtful {
            assert_eq!(
                client.check(&format!("{doc} reader user:anne"), json!({})).refused(),
                "validation_error"
            );
        }
        // When it is known, they are in or out.
        for (x, expected) in [(1, 20), (9, 18)] {
            let (objects, is_error) = streamed(client, "reader", &json!({ "x": x }));
            assert_eq!((objects.len(), is_error), (expected, false));
            assert_eq!(doubtful.iter().any(|doc| objects.contains(*doc)), x == 1);
        }
    });
}

#[test]
fn pr_3096_an_error_on_a_way_that_decides_nothing_is_not_told() {
    each_way(ERRORS, |client| {
        client
            .write_keys(vec![
                key("doc:1 viewer user:anne"),
                key_if("doc:1 given user:anne", "known", json!({})),
                key("doc:2 viewer user:anne"),
                // Given, perhaps; but nobody views it.
                key_if("doc:3 given user:anne", "known", json!({})),
                key_if("doc:3 blocked user:anne", "known", json!({})),
            ])
            .granted();
        assert!(client.allows("doc:1 either user:anne"));
        assert!(!client.allows("doc:3 both user:anne"));
        assert!(!client.allows("doc:3 reader user:anne"));
        assert_eq!(client.users("doc:1", "either", "user"), ["user:anne"]);
        assert!(client.users("doc:3", "reader", "user").is_empty());
        assert_eq!(client.objects("doc", "reader", "user:anne"), ["doc:1", "doc:2"]);
        // Here the answer hangs on it.
        assert_eq!(client.check("doc:3 either user:anne", json!({})).refused(), "validation_error");
        let (objects, is_error) = streamed(client, "either", &json!({}));
        assert!(is_error && !objects.contains("doc:3"), "{objects:?}");
        assert_eq!(
            client.objects_given("doc", "either", "user:anne", json!({ "context": { "x": 1 } })),
            ["doc:1", "doc:2"]
        );
    });
}

#[test]
fn pr_3152_pages_of_changes_of_types_with_odd_names() {
    const SCHEMA: &str = "model
  schema 1.1
type user
type a
  relations
    define r: [user]
type aXb
  relations
    define r: [user]
type X
  relations
    define r: [user]
";
    for delimiter in ["|", "||", ",", "%", "+", "&", "\\", "=", "é|ü"] {
        let schema: Value = {
            let named = serde_json::to_string(delimiter).unwrap();
            let text = schema_json(&SCHEMA.replace('X', "QQ")).to_string();
            serde_json::from_str(&text.replace("QQ", named.trim_matches('"'))).unwrap()
        };
        let server = crate::support::Served::start();
        let client = Client::new(&server.url, "model\n  schema 1.1\ntype user\n");
        client.post("authorization-models", &schema).granted();
        let types = ["a".to_owned(), format!("a{delimiter}b"), delimiter.to_owned()];
        for n in 0..7 {
            for object_type in &types {
                client.write(&[&format!("{object_type}:{n} r user:anne")]);
            }
        }
        for object_type in &types {
            let asked = percent_encoded(object_type);
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let verb = format!(
                    "changes?type={asked}&page_size=2&continuation_token={}",
                    percent_encoded(&token)
                );
                let page = client.get(&verb).granted();
                let changes = page.body["changes"].as_array().unwrap().clone();
                token = page.body["continuation_token"].as_str().unwrap().to_owned();
                if changes.is_empty() {
                    break;
                }
                seen.extend(
                    changes.iter().map(|change| change["tuple_key"]["object"].as_str().unwrap().to_owned()),
                );
                assert!(seen.len() <= 7, "it began anew: {seen:?}");
            }
            let expected: Vec<String> = (0..7).map(|n| format!("{object_type}:{n}")).collect();
            assert_eq!(seen, expected);
            // At the end it stays at the end, and it is no other type's.
            for _ in 0..2 {
                let page = client
                    .get(&format!("changes?type={asked}&continuation_token={}", percent_encoded(&token)));
                assert_eq!(page.granted().body["changes"], json!([]));
            }
            for other in types.iter().filter(|other| *other != object_type) {
                let verb = format!(
                    "changes?type={}&continuation_token={}",
                    percent_encoded(other),
                    percent_encoded(&token)
                );
                assert_eq!(client.get(&verb).refused(), "query_string_type_continuation_token_mismatch");
            }
        }
        // Tokens that nobody gave out do not begin it anew either.
        for wrong in ["|a", "a|", "|", "01ARZ3NDEKTSV4RRFFQ69G5FAV|a", "e30="] {
            let answer = client.get(&format!("changes?continuation_token={}", percent_encoded(wrong)));
            let code = answer.refused();
            assert!(["invalid_continuation_token", "validation_error"].contains(&code), "{wrong}: {code}");
        }
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

#[test]
fn ghsa_68m9_there_is_no_playground() {
    each_server(|url| {
        let client = Client::of(url, "");
        for path in ["/playground", "/playground/", "/", "/ui", "/debug/pprof/"] {
            let answer = client.send("GET", path, &Value::Null, &[]);
            assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        }
    });
}

/// Where a server stands behind a proxy, it cannot know its own address but from what it is asked; so the document follows
/// the request, holds nothing that is no host, and is kept by nobody, who could give it to others.
#[test]
fn pr_3057_a_host_that_somebody_made_up_is_nobody_elses() {
    each_server(|url| {
        let client = Client::new(url, "model\n  schema 1.1\ntype user\n");
        let path = format!("/.well-known/authzen-configuration/stores/{}", client.store);
        let own = client.send("GET", &path, &Value::Null, &[]).granted();
        assert_eq!(own.header("cache-control"), Some("no-store"));
        let own = own.body["policy_decision_point"].as_str().unwrap().to_owned();
        assert!(own.starts_with(url), "{own}");
        let hosts = [
            "evil.example/path",
            "evil.example#",
            "user@evil.example",
            "a b",
            "\"><script>",
            "evil.example?x=",
        ];
        for host in hosts {
            let answer = client.send("GET", &path, &Value::Null, &[("x-forwarded-host", host)]);
            assert_eq!(answer.status, 400, "{host}: {}", answer.body);
            assert!(!answer.body.to_string().contains("evil.example"), "{}", answer.body);
        }
        let scheme = client.send("GET", &path, &Value::Null, &[("x-forwarded-proto", "javascript")]);
        assert_eq!(scheme.status, 400);
        // What one client says of the server, the next one is not told.
        let named = client.send("GET", &path, &Value::Null, &[("x-forwarded-host", "pdp.example")]).granted();
        assert!(named.body["policy_decision_point"].as_str().unwrap().starts_with("http://pdp.example/"));
        assert_eq!(named.header("cache-control"), Some("no-store"));
        let again = client.send("GET", &path, &Value::Null, &[]).granted();
        assert_eq!(again.body["policy_decision_point"], json!(own));
    });
}
