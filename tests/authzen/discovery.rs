use serde_json::json;

use super::certification::{SCHEMA, TUPLES, read};
use super::client::Client;
use crate::support::Served;

#[test]
fn a_store_says_where_it_is_found_by_the_url_that_it_was_asked_by() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let store = &client.store;
    let inserted = format!("/.well-known/authzen-configuration/stores/{store}");
    let appended = format!("/stores/{store}/.well-known/authzen-configuration");
    for path in [&inserted, &appended] {
        let base = format!("{}/stores/{store}", server.url);
        let answer = client.send("GET", path, "", &[("x-request-id", "find-it")]);
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        assert_eq!(answer.header("x-request-id"), "find-it");
        assert_eq!(
            answer.body,
            json!({
                "policy_decision_point": base,
                "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
                "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
                "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
                "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
                "search_action_endpoint": format!("{base}/access/v1/search/action"),
            })
        );
        // What it names is served there.
        let endpoint = answer.body["access_evaluation_endpoint"].as_str().unwrap();
        let endpoint = endpoint.strip_prefix(&server.url).unwrap();
        let headers = [("content-type", "application/json")];
        let decision = client.send("POST", endpoint, &read().to_string(), &headers);
        assert_eq!(decision.body, json!({ "decision": true }));

        let point = |headers: &[(&str, &str)]| {
            let answer = client.send("GET", path, "", headers);
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.body["policy_decision_point"].as_str().unwrap().to_owned()
        };
        let proxied = [("x-forwarded-proto", "https"), ("x-forwarded-host", "pdp.example.com")];
        assert_eq!(point(&proxied), format!("https://pdp.example.com/stores/{store}"));
        let proxies =
            [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "pdp.example.com:8443, inner")];
        assert_eq!(point(&proxies), format!("https://pdp.example.com:8443/stores/{store}"));
        assert_eq!(point(&[("host", "here.example")]), format!("http://here.example/stores/{store}"));
        for wrong in [
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-host", "a/b?"),
            ("x-forwarded-host", ""),
            ("x-forwarded-host", "user@host"),
        ] {
            let refused = client.send("GET", path, "", &[wrong]);
            assert_eq!(refused.status, 400, "{wrong:?}");
            assert!(refused.refusal().starts_with("header "));
        }
    }
    for store in ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "none"] {
        for path in [inserted.replace(&client.store, store), appended.replace(&client.store, store)] {
            let refused = client.send("GET", &path, "", &[]);
            assert_eq!((refused.status, refused.refusal()), (404, "Store ID not found"));
        }
    }
}
