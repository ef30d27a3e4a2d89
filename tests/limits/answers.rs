use serde_json::{Value, json};

use super::connection::{Connection, fill, import, line, post, serve};

const JSON: &str = "content-type: application/json\r\n";

/// An answer that is not streamed is held in memory: it had no limit but its time.
#[test]
fn an_answer_that_is_too_large_is_refused_and_can_be_had_in_parts() {
    let (server, path) = serve(&["--answer-mib-max", "1"]);
    fill(&server, &path, 25_000);
    let users: String =
        (0..20_000).map(|user| line("folder:root", "viewer", &format!("user:{user:0>40}"))).collect();
    import(&server, &path, &users);
    let mut connection = Connection::open(&server);
    let objects = json!({ "type": "folder", "relation": "viewer", "user": "user:anne" });
    let users = json!({ "object": { "type": "folder", "id": "root" }, "relation": "viewer", "user_filters": [{ "type": "user" }] });
    let mut ask = |verb: &str, headers: &str, body: &Value| {
        connection.ask(&post(&format!("{path}/{verb}"), headers, &body.to_string()))
    };
    for (verb, body, list, says) in [
        ("list-objects", &objects, "objects", "streamed-list-objects"),
        ("list-users", &users, "users", "Stonetown-Limit"),
    ] {
        let refused = ask(verb, "", body);
        let text = refused.json().to_string();
        assert_eq!((refused.status, &refused.json()["code"]), (500, &json!("resource_exhausted")), "{verb}");
        assert!(text.contains(says) && text.contains("1048576"), "{text}");
        let part = ask(verb, "stonetown-limit: 10000\r\n", body);
        assert_eq!((part.status, part.json()[list].as_array().unwrap().len()), (200, 10_000), "{verb}");
    }
    let subjects = json!({
        "subject": { "type": "user" }, "action": { "name": "viewer" }, "resource": { "type": "folder", "id": "root" },
    });
    let resources = json!({
        "subject": { "type": "user", "id": "anne" }, "action": { "name": "viewer" }, "resource": { "type": "folder" },
    });
    for (what, body, says) in [("subject", subjects, "page.limit"), ("resource", resources, "list-objects")] {
        let refused = ask(&format!("access/v1/search/{what}"), JSON, &body);
        let text = refused.json().to_string();
        assert!(refused.status == 400 && text.contains(says), "{what}: {} {text}", refused.status);
    }
    let mut paged = json!({
        "subject": { "type": "user" }, "action": { "name": "viewer" }, "resource": { "type": "folder", "id": "root" },
    });
    paged["page"] = json!({ "limit": 10_000 });
    let page = ask("access/v1/search/subject", JSON, &paged).json();
    assert_eq!(page["results"].as_array().unwrap().len(), 10_000);
    assert_ne!(page["page"]["next_token"], json!(""));
}
