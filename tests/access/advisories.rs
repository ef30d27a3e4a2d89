use serde_json::{Value, json};

use super::guarded::Guarded;

const ADMIN: &str = "admin-0123456789abcdef";
const KEY: &str =
    "[[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n";

fn start(settings: &str) -> (Guarded, String) {
    let guarded = Guarded::start(&format!("{settings}{KEY}"), &[("boss", ADMIN)]);
    let store = guarded.store(ADMIN);
    (guarded, store)
}

/// A stream of a list asked for no authentication.
#[test]
fn cve_2022_39340_a_streamed_list_needs_a_key() {
    let (guarded, store) = start("");
    let list = json!({ "type": "doc", "relation": "viewer", "user": "user:anne" });
    for path in ["streamed-list-objects", "list-objects"] {
        let path = format!("/stores/{store}/{path}");
        let refused = guarded.send(None, "POST", &path, &list);
        assert_eq!(refused.refused(), "bearer_token_missing", "{path}");
        assert!(!refused.body.to_string().contains("doc:plan"), "{path}");
        let answer = guarded.send(Some(ADMIN), "POST", &path, &list).granted();
        assert!(answer.body.to_string().contains("doc:plan"), "{path}");
    }
}

/// A playground was served with the keys known to it.
#[test]
fn ghsa_68m9_983m_f3v5_nothing_is_served_with_a_key_in_it() {
    let (guarded, _) = start("");
    for path in ["/playground", "/playground/", "/", "/healthz", "/readyz", "/openapi.json"] {
        let answer = guarded.send(None, "GET", path, &Value::Null);
        assert!(!answer.body.to_string().contains(ADMIN), "{path}");
        let is_open = ["/healthz", "/readyz", "/openapi.json"].contains(&path);
        assert_eq!(answer.status, if is_open { 200 } else { 401 }, "{path}");
    }
}

/// The discovery document of AuthZEN went by the header Host of whoever asked (pull request 3057).
#[test]
fn pr_3057_the_discovery_document_names_the_url_that_is_set() {
    let (guarded, store) = start("public_url = \"https://access.example.com/\"\n");
    for path in [
        format!("/stores/{store}/.well-known/authzen-configuration"),
        format!("/.well-known/authzen-configuration/stores/{store}"),
    ] {
        for header in ["host", "x-forwarded-host"] {
            let answer = guarded.send_with(&[(header, "evil.example.com")], "GET", &path, &Value::Null);
            let point = answer.granted().body["policy_decision_point"].clone();
            assert_eq!(point, json!(format!("https://access.example.com/stores/{store}")), "{path} {header}");
        }
    }
}
