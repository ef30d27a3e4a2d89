//! From which pages browsers may ask.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::guarded::Guarded;
use crate::support::Served;
use crate::support::client::Answer;

const CONSOLE: &str = "https://console.example.com";
const OTHER: &str = "https://other.example.com";

fn start(origins: &str) -> (Served, Guarded) {
    let served = Served::on(TempDir::new().unwrap(), &["--cors-origins", origins]);
    let guarded = Guarded::of(&served.url);
    (served, guarded)
}

fn shown(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap())
}

fn stores(server: &Guarded) -> usize {
    let listed = server.send(None, "GET", "/stores", &Value::Null).granted();
    listed.body["stores"].as_array().unwrap().len()
}

#[test]
fn a_page_of_another_origin_is_refused_and_changes_nothing() {
    let (_served, server) = start(&format!("{CONSOLE}, http://127.0.0.1:3000"));
    let ask = |origin, method, body: &Value| server.send_with(&[("origin", origin)], method, "/stores", body);
    let store = json!({ "name": "of a page" });
    for origin in [CONSOLE, "http://127.0.0.1:3000"] {
        let made = ask(origin, "POST", &store);
        assert_eq!((made.status, shown(&made)), (201, Some(origin)));
    }
    let made = stores(&server);
    for origin in [OTHER, "null", "https://console.example.com.evil.example", "http://console.example.com"] {
        for method in ["POST", "GET"] {
            let refused = ask(origin, method, &store);
            assert_eq!((refused.status, shown(&refused)), (403, None), "{method} {origin}");
            assert_eq!(refused.body["code"], "forbidden");
        }
        let asked = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = server.send_with(&asked, "OPTIONS", "/stores", &Value::Null);
        assert_eq!((preflight.status, shown(&preflight)), (200, None), "{origin}");
    }
    // What a link, a picture or a script of another page asks for has no origin.
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let asked = server.send_with(&[("sec-fetch-site", site)], "GET", "/stores", &Value::Null);
        assert_eq!(asked.status, status, "{site}");
    }
    assert_eq!(stores(&server), made, "what no browser sends has no origin, and is answered");
    let asked = [("origin", CONSOLE), ("access-control-request-method", "POST")];
    let preflight = server.send_with(&asked, "OPTIONS", "/stores", &Value::Null);
    assert_eq!((preflight.status, shown(&preflight)), (200, Some(CONSOLE)));
}

#[test]
fn every_page_may_ask_or_none() {
    let list = |server: &Guarded| server.send_with(&[("origin", OTHER)], "GET", "/stores", &Value::Null);
    let (_served, server) = start("*");
    let listed = list(&server);
    assert_eq!((listed.status, shown(&listed)), (200, Some("*")));
    let (_served, server) = start("none");
    let refused = list(&server);
    assert_eq!((refused.status, shown(&refused)), (403, None));
    assert_eq!(stores(&server), 0);
}
