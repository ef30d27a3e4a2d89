use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::guarded::{Guarded, check};
use super::issuer::{Provider, SigningKey};

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
    // Writes of tuples are in the change log, questions change nothing, and who is not known could fill the disk.
    assert_eq!(
        acts,
        [
            ("create_store", "boss", 201),
            ("write_schema", "boss", 201),
            ("delete_store", "reader", 403),
            ("set_retention", "boss", 200),
            ("delete_store", "boss", 204),
        ]
    );
    assert_eq!(found[2]["request_id"], json!("mine-1"));
    assert_eq!(found[4]["store"], json!(store));
    for entry in &found {
        assert!(entry["time"].as_str().unwrap().ends_with('Z'), "{entry}");
    }
}

/// Stores whose deletion was asked for by clients that went away at once.
fn deleted_by_clients_that_went_away(guarded: &Guarded) -> Vec<String> {
    let stores: Vec<String> = (0..30).map(|_| guarded.store(ADMIN)).collect();
    let address = guarded.url().trim_start_matches("http://").to_owned();
    for store in &stores {
        let mut connection = TcpStream::connect(&address).unwrap();
        let request =
            format!("DELETE /stores/{store} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        // Sometimes before it is begun, sometimes while it is done.
        std::thread::sleep(Duration::from_micros(200));
        drop(connection);
    }
    stores
}

/// Those of these stores that are gone are told of.
fn assert_told(stores: &[String], serving: &Guarded, entries: &[Value]) {
    let list = serving.send(Some(ADMIN), "GET", "/stores?page_size=100", &Value::Null).granted();
    let there =
        |store: &String| list.body["stores"].as_array().unwrap().iter().any(|it| it["id"] == json!(store));
    let deleted: Vec<&String> = stores.iter().filter(|store| !there(store)).collect();
    assert!(!deleted.is_empty());
    for store in deleted {
        let is_told =
            entries.iter().any(|entry| entry["verb"] == "delete_store" && entry["store"] == json!(store));
        assert!(is_told, "{store} was deleted by nobody");
    }
}

/// Pages of other origins were answered 403 before it was known who asks, and those with tokens made up 500 while their issuer could not be asked:
/// both had a line for each request.
#[test]
fn whoever_is_not_known_fills_no_audit_log() {
    let provider = Provider::start(&[]);
    provider.set_broken(true);
    let issuer = provider.settings("all");
    let guarded = start(&format!("cors_origins = \"https://console.example.com\"\n{SETTINGS}{issuer}"));
    let of_page = |key: &str| {
        let shown = format!("Bearer {key}");
        let headers = [("origin", "https://other.example.com"), ("authorization", shown.as_str())];
        guarded.send_with(&headers, "POST", "/stores", &json!({ "name": "of a page" })).status
    };
    assert_eq!((of_page("made-up"), of_page(ADMIN)), (403, 403));
    let made_up = SigningKey::elliptic("one").sign(&provider.claims("anne"));
    assert_eq!(guarded.send(Some(&made_up), "POST", "/stores", &json!({ "name": "x" })).status, 500);
    assert_eq!(entries(&guarded), [] as [Value; 0]);
}

/// A client that went away in the midst of an act kept it out of the log.
#[test]
fn an_act_whose_client_goes_away_is_written_down_all_the_same() {
    let guarded = start(SETTINGS);
    let stores = deleted_by_clients_that_went_away(&guarded);
    std::thread::sleep(Duration::from_secs(2));
    assert_told(&stores, &guarded, &entries(&guarded));
}

/// Nor does a server that is told to stop then: it waited for connections, and the client had taken its own with it.
#[test]
fn an_act_whose_client_goes_away_is_written_down_by_a_server_that_stops() {
    let mut guarded = start(SETTINGS);
    let stores = deleted_by_clients_that_went_away(&guarded);
    let data = guarded.stop();
    let told = entries(&guarded);
    let again = Guarded::with(SETTINGS, &[("boss", ADMIN), ("reader", READER)], data);
    assert_told(&stores, &again, &told);
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
