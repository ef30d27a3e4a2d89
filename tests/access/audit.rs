use serde_json::{Value, json};

use super::guarded::{Guarded, check};

const ADMIN: &str = "admin-0123456789abcdef";
const READER: &str = "reader-0123456789abcdef";
const SETTINGS: &str = "audit_log = \"DIR/audit.jsonl\"\n\
     [[keys]]\nname = \"boss\"\nsecret_file = \"DIR/boss\"\nstores = [\"*\"]\nrights = [\"all\"]\n\
     [[keys]]\nname = \"reader\"\nsecret_file = \"DIR/reader\"\nstores = [\"*\"]\nrights = [\"read\", \"check\"]\n";

fn start(settings: &str) -> Guarded {
    Guarded::start(settings, &[("boss", ADMIN), ("reader", READER)])
}

fn entries(guarded: &Guarded) -> Vec<Value> {
    let text = std::fs::read_to_string(guarded.files.path().join("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn acts_of_administration_are_written_down_with_who_and_what_became_of_them() {
    let guarded = start(SETTINGS);
    let store = guarded.store(ADMIN);
    let at = |path: &str| format!("/stores/{store}{path}");
    guarded.send(Some(READER), "POST", &at("/check"), &check()).granted();
    guarded.send(Some(READER), "POST", &at("/read"), &json!({})).granted();
    let headers = [("authorization", "Bearer reader-0123456789abcdef"), ("x-request-id", "mine-1")];
    assert_eq!(guarded.send_with(&headers, "DELETE", &at(""), &Value::Null).status, 403);
    assert_eq!(guarded.send(None, "DELETE", &at(""), &Value::Null).status, 401);
    guarded.send(Some(ADMIN), "PUT", &at("/retention"), &json!({ "retention": "1h" })).granted();
    guarded.send(Some(ADMIN), "DELETE", &at(""), &Value::Null).granted();
    let found = entries(&guarded);
    let acts: Vec<_> = found
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            (text("verb"), text("caller"), entry["status"].as_u64().unwrap())
        })
        .collect();
    // Writes of tuples are in the change log, and questions change nothing.
    assert_eq!(
        acts,
        [
            ("create_store", "boss", 201),
            ("write_schema", "boss", 201),
            ("delete_store", "reader", 403),
            ("delete_store", "127.0.0.1", 401),
            ("set_retention", "boss", 200),
            ("delete_store", "boss", 204),
        ]
    );
    assert_eq!(found[2]["request_id"], json!("mine-1"));
    assert_eq!(found[5]["store"], json!(store));
    for entry in &found {
        assert!(entry["time"].as_str().unwrap().ends_with('Z'), "{entry}");
    }
}

#[test]
fn decisions_are_written_down_where_that_is_asked_for() {
    let guarded = start(&format!("audit_decisions = 1.0\n{SETTINGS}"));
    let store = guarded.store(ADMIN);
    let at = |path: &str| format!("/stores/{store}{path}");
    guarded.send(Some(READER), "POST", &at("/check"), &check()).granted();
    let item = json!({ "tuple_key": { "user": "user:bob", "relation": "viewer", "object": "doc:plan" }, "correlation_id": "1" });
    guarded.send(Some(READER), "POST", &at("/batch-check"), &json!({ "checks": [item] })).granted();
    let evaluation = json!({
        "subject": { "type": "user", "id": "anne" }, "action": { "name": "owner" },
        "resource": { "type": "doc", "id": "plan" },
    });
    guarded.send(Some(READER), "POST", &at("/access/v1/evaluation"), &evaluation).granted();
    let decisions: Vec<Value> =
        entries(&guarded).into_iter().filter(|entry| entry["decision"].is_object()).collect();
    let told: Vec<_> = decisions.iter().map(|entry| entry["decision"].clone()).collect();
    let decision = |user: &str, relation: &str, allowed: bool| json!({ "object": "doc:plan", "relation": relation, "user": user, "allowed": allowed });
    assert_eq!(
        told,
        [
            decision("user:anne", "viewer", true),
            decision("user:bob", "viewer", false),
            decision("user:anne", "owner", true)
        ]
    );
    assert!(decisions.iter().all(|entry| entry["caller"] == "reader" && entry["store"] == json!(store)));
}
