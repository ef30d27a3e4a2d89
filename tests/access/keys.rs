use serde_json::{Value, json};
use tempfile::TempDir;

use super::guarded::{Guarded, check};
use crate::support::Served;

const ADMIN: &str = "admin-0123456789abcdef";

/// A key with each right alone, in the first of two stores; the holder of all rights there; and the admin of everything.
fn settings(store: &str) -> String {
    let mut text = String::new();
    for right in ["check", "read", "write", "schema", "explain", "admin", "metrics", "all"] {
        text.push_str(&format!(
            "[[keys]]\nname = \"only-{right}\"\nsecret_file = \"DIR/{right}\"\nstores = [\"{store}\"]\nrights = [\"{right}\"]\n"
        ));
    }
    text.push_str(
        "[[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n",
    );
    text
}

fn key(right: &str) -> String {
    format!("key-of-{right}-0123456789")
}

/// Every route with the right that it needs: of the store `S`, `server …` of the whole server.
const ROUTES: [(&str, &str, &str); 48] = [
    ("POST", "/stores", "server admin"),
    ("DELETE", "/stores/S", "admin"),
    ("GET", "/stores/S/stats", "read"),
    ("GET", "/stores/S/retention", "read"),
    ("PUT", "/stores/S/retention", "admin"),
    ("POST", "/stores/S/collect", "admin"),
    ("POST", "/stores/S/purge", "admin"),
    ("POST", "/stores/S/authorization-models", "schema"),
    ("GET", "/stores/S/authorization-models", "read"),
    ("GET", "/stores/S/authorization-models/01ARZ3NDEKTSV4RRFFQ69G5FAV", "read"),
    ("GET", "/stores/S/schemas", "read"),
    ("GET", "/stores/S/schema", "read"),
    ("POST", "/stores/S/apply", "schema write"),
    ("GET", "/stores/S/orphans", "read"),
    ("POST", "/stores/S/orphans", "read"),
    ("POST", "/stores/S/orphans/remove", "write"),
    ("POST", "/stores/S/write", "write"),
    ("POST", "/stores/S/delete", "write"),
    ("POST", "/stores/S/import", "write"),
    ("GET", "/stores/S/import", "write"),
    ("POST", "/stores/S/export", "read"),
    ("POST", "/stores/S/read", "read"),
    ("GET", "/stores/S/changes", "read"),
    ("GET", "/stores/S/watch?after=nonsense", "read"),
    ("POST", "/stores/S/check", "check"),
    ("POST", "/stores/S/batch-check", "check"),
    ("POST", "/stores/S/expand", "explain"),
    ("POST", "/stores/S/access-diff", "explain"),
    ("POST", "/stores/S/explain", "explain"),
    ("POST", "/stores/S/audit", "explain"),
    ("GET", "/stores/S/matrix", "explain"),
    ("POST", "/stores/S/list-objects", "check"),
    ("POST", "/stores/S/streamed-list-objects", "check"),
    ("POST", "/stores/S/list-users", "check"),
    ("POST", "/stores/S/access/v1/evaluation", "check"),
    ("POST", "/stores/S/access/v1/evaluations", "check"),
    ("POST", "/stores/S/access/v1/search/subject", "check"),
    ("POST", "/stores/S/access/v1/search/resource", "check"),
    ("POST", "/stores/S/access/v1/search/action", "check"),
    ("PUT", "/stores/S/assertions/01ARZ3NDEKTSV4RRFFQ69G5FAV", "schema"),
    ("GET", "/stores/S/assertions/01ARZ3NDEKTSV4RRFFQ69G5FAV", "read"),
    ("POST", "/validate", "server admin"),
    ("POST", "/compact", "server admin"),
    ("POST", "/backup", "server admin"),
    ("GET", "/metrics", "metrics"),
    ("GET", "/stores/S", "any"),
    ("GET", "/stores/S/nothing", "any"),
    ("GET", "/nothing", "anybody"),
];

const RIGHTS: [&str; 7] = ["check", "read", "write", "schema", "explain", "admin", "metrics"];

#[test]
fn each_right_gives_what_it_is_for_and_nothing_else() {
    // The stores have to be there before their ids can be named.
    let dir = TempDir::new().unwrap();
    let first = Served::on(dir, &[]);
    let store = crate::support::client::Client::new(&first.url, super::guarded::SCHEMA).store;
    let other = crate::support::client::Client::new(&first.url, super::guarded::SCHEMA).store;
    let (_, dir) = first.stop();
    let keys: Vec<(String, String)> =
        RIGHTS.iter().chain(&["all"]).map(|right| ((*right).to_owned(), key(right))).collect();
    let mut files: Vec<(&str, &str)> = keys.iter().map(|(name, key)| (&**name, &**key)).collect();
    files.push(("boss", ADMIN));
    let guarded = Guarded::with(&settings(&store), &files, dir);
    {
        for (method, path, needs) in ROUTES {
            let at = |store: &str| path.replace("/S", &format!("/{store}"));
            let ask = |key: Option<&str>, store: &str| guarded.send(key, method, &at(store), &Value::Null);
            let refused = ask(None, &store);
            assert_eq!(refused.status, 401, "{method} {path} without a key: {}", refused.body);
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
            assert_eq!(ask(Some("wrong-0123456789abcdef"), &store).status, 401, "{method} {path}");
            let is_of_server = needs.starts_with("server ");
            for right in RIGHTS {
                let may = match needs {
                    "any" | "anybody" => true,
                    needs => !is_of_server && needs == right,
                };
                let answer = ask(Some(&key(right)), &store);
                assert_eq!(answer.status != 403, may, "{right}: {method} {path}: {}", answer.body);
                assert_ne!(answer.status, 401, "{right}: {method} {path}");
                if path.contains("/S") {
                    let of_other = ask(Some(&key(right)), &other);
                    assert_eq!(of_other.status, 403, "{right}: {method} {path} of another store");
                }
            }
            // All rights of a store are none of the server.
            let answer = ask(Some(&key("all")), &store);
            assert_eq!(answer.status == 403, is_of_server, "all: {method} {path}: {}", answer.body);
            if method != "DELETE" {
                assert_ne!(ask(Some(ADMIN), &other).status, 403, "boss: {method} {path}");
            }
        }
        let admin = guarded.send(Some(ADMIN), "GET", "/stores", &Value::Null).granted();
        let seen = |answer: &Value| -> Vec<String> {
            let stores = answer["stores"].as_array().unwrap().iter();
            stores.map(|store| store["id"].as_str().unwrap().to_owned()).collect()
        };
        // The store was deleted by those who may.
        assert!(seen(&admin.body).contains(&other));
        let few = guarded.send(Some(&key("check")), "GET", "/stores", &Value::Null).granted();
        assert!(!seen(&few.body).contains(&other), "{}", few.body);
    }
}

#[test]
fn whoever_sees_a_few_stores_is_told_of_no_other() {
    let admin = [("boss", ADMIN)];
    let mut guarded = Guarded::start(
        "[[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n",
        &admin,
    );
    let (one, two) = (guarded.store(ADMIN), guarded.store(ADMIN));
    let text = format!(
        "[[keys]]\nname = \"few\"\nsecret_file = \"DIR/few\"\nstores = [\"{one}\"]\nrights = [\"check\"]\n"
    );
    let guarded = Guarded::with(&text, &[("few", "few-0123456789abcdef")], guarded.stop());
    let few = Some("few-0123456789abcdef");
    let list = guarded.send(few, "GET", "/stores", &Value::Null).granted();
    assert_eq!(list.body["stores"].as_array().unwrap().len(), 1, "{}", list.body);
    assert_eq!(list.body["stores"][0]["id"], json!(one));
    assert_eq!(guarded.send(few, "GET", &format!("/stores/{one}"), &Value::Null).status, 200);
    // One that is there and one that is not, are the same to them.
    for store in [&two, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense"] {
        let answer = guarded.send(few, "GET", &format!("/stores/{store}"), &Value::Null);
        assert_eq!((answer.status, answer.refused()), (403, "forbidden"), "{store}");
    }
}

#[test]
fn a_period_needs_the_right_to_explain() {
    let key = |name: &str, rights: &str| {
        format!(
            "[[keys]]\nname = \"{name}\"\nsecret_file = \"DIR/{name}\"\nstores = [\"*\"]\nrights = {rights}\n"
        )
    };
    let settings =
        key("boss", "[\"all\"]") + &key("asks", "[\"check\"]") + &key("both", "[\"check\", \"explain\"]");
    let (asks, both) = ("asks-0123456789abcdef", "both-0123456789abcdef");
    let guarded = Guarded::start(&settings, &[("boss", ADMIN), ("asks", asks), ("both", both)]);
    let path = format!("/stores/{}/check", guarded.store(ADMIN));
    let mut body = check();
    assert_eq!(guarded.send(Some(asks), "POST", &path, &body).granted().body["allowed"], json!(true));
    body["period"] = json!(true);
    assert_eq!(guarded.send(Some(asks), "POST", &path, &body).refused(), "forbidden");
    let origin = [("authorization", "Bearer asks-0123456789abcdef"), ("origin", "https://example.com")];
    assert_eq!(guarded.send_with(&origin, "POST", &path, &body).refused(), "forbidden", "nor by a browser");
    assert!(guarded.send(Some(both), "POST", &path, &body).granted().body["period"].is_object());
}

#[test]
fn what_is_shown_is_read_in_one_way() {
    let settings =
        "[[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n";
    let guarded = Guarded::start(settings, &[("boss", &format!("  {ADMIN}\n"))]);
    let ask = |headers: &[(&str, &str)]| guarded.send_with(headers, "GET", "/stores", &Value::Null);
    for right in [format!("Bearer {ADMIN}"), format!("bearer {ADMIN}"), format!("BEARER  {ADMIN} ")] {
        assert_eq!(ask(&[("authorization", &right)]).status, 200, "{right}");
    }
    for (wrong, code) in [
        (format!("Basic {ADMIN}"), "bearer_token_missing"),
        (ADMIN.to_owned(), "bearer_token_missing"),
        ("Bearer".to_owned(), "bearer_token_missing"),
        ("Bearer ".to_owned(), "bearer_token_missing"),
        (format!("Bearer {}", &ADMIN[1..]), "unauthenticated"),
        (format!("Bearer {ADMIN}x"), "unauthenticated"),
        (format!("Bearer {}", ADMIN.to_uppercase()), "unauthenticated"),
        (format!("Bearer {ADMIN} {ADMIN}"), "unauthenticated"),
    ] {
        let answer = ask(&[("authorization", &wrong)]);
        assert_eq!((answer.status, answer.refused()), (401, code), "{wrong}");
    }
    let right = format!("Bearer {ADMIN}");
    let twice = ask(&[("authorization", &right), ("authorization", "Bearer other")]);
    assert_eq!((twice.status, twice.refused()), (401, "unauthenticated"));
    // A key is no part of an address.
    let in_query = guarded.send_with(&[], "GET", &format!("/stores?access_token={ADMIN}"), &Value::Null);
    assert_eq!(in_query.status, 401);
    for open in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(guarded.send(None, "GET", open, &Value::Null).status, 200, "{open}");
    }
    // AuthZEN's errors are texts.
    let evaluation = guarded.send(None, "POST", "/stores/S/access/v1/evaluation", &json!({}));
    assert_eq!((evaluation.status, evaluation.body), (401, json!("missing bearer token")));
    // A browser is told too.
    let browser = ask(&[("origin", "https://example.com")]);
    assert_eq!((browser.status, browser.header("access-control-allow-origin")), (401, Some("*")));
    let preflight = [
        ("origin", "https://example.com"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization"),
    ];
    assert_eq!(guarded.send_with(&preflight, "OPTIONS", "/stores", &Value::Null).status, 200);
}

#[test]
fn quotas_are_of_keys() {
    let key = |name: &str| {
        format!(
            "[[keys]]\nname = \"{name}\"\nsecret_file = \"DIR/{name}\"\nstores = [\"*\"]\nrights = [\"all\"]\n"
        )
    };
    let (one, two) = ("one-0123456789abcdef", "two-0123456789abcdef");
    let settings = "caller_quota = 5\n".to_owned() + &key("one") + &key("two");
    let guarded = Guarded::start(&settings, &[("one", one), ("two", two)]);
    let ask = |key: &str| guarded.send(Some(key), "GET", "/stores", &Value::Null).status;
    let statuses: Vec<u16> = (0..40).map(|_| ask(one)).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(ask(two), 200, "another key from the same address");
}

/// A store that was spelt another way had a quota of its own.
#[test]
fn a_store_has_one_quota_however_it_is_spelt() {
    let settings = "store_quota = 5\n[[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n";
    let guarded = Guarded::start(settings, &[("boss", ADMIN)]);
    let made = guarded.send(Some(ADMIN), "POST", "/stores", &json!({ "name": "a store" })).granted();
    let store = made.body["id"].as_str().unwrap().to_owned();
    let ask =
        |store: &str| guarded.send(Some(ADMIN), "GET", &format!("/stores/{store}"), &Value::Null).status;
    let statuses: Vec<u16> = (0..40).map(|_| ask(&store)).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    let spelt = format!("%{:x}{}", store.as_bytes()[0], &store[1..]);
    let others: Vec<u16> = (0..40).map(|_| ask(&spelt)).collect();
    assert!(others.contains(&429), "{others:?}");
    assert_eq!(ask(&store.to_lowercase()), 429, "the same store");
}
