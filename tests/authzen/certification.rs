use serde_json::{Value, json};

use super::client::{Client, names, question, with};
use crate::support::Served;

/// What is stored of a record (its status, in the tuples' contexts) counts unless the request says otherwise.
pub(super) const SCHEMA: &str = r#"
model
  schema 1.1
type user
type group
  relations
    define member: [user]
type record
  relations
    define read: [user]
    define editor: [user with while_active]
    define archivist: [group#member with once_archived, user:* with admin_once_archived]
    define write: editor or archivist
    define delete: [user with when_soft]
condition while_active(stored: string, resource_properties: map<string>) {
  ("status" in resource_properties ? resource_properties["status"] : stored) == "active"
}
condition once_archived(stored: string, resource_properties: map<string>) {
  ("status" in resource_properties ? resource_properties["status"] : stored) == "archived"
}
condition admin_once_archived(stored: string, resource_properties: map<string>, subject_properties: map<string>) {
  "role" in subject_properties && subject_properties["role"] == "admin" &&
  ("status" in resource_properties ? resource_properties["status"] : stored) == "archived"
}
condition when_soft(action_soft: bool) {
  action_soft
}
"#;
pub(super) const TUPLES: [&str; 11] = [
    "group:admins#member@user:bob",
    "record:record-1#read@user:alice",
    "record:record-1#read@user:bob",
    "record:record-2#read@user:alice",
    r#"record:record-1#editor@user:alice with while_active {"stored":"active"}"#,
    r#"record:record-2#editor@user:alice with while_active {"stored":"archived"}"#,
    r#"record:record-1#archivist@group:admins#member with once_archived {"stored":"active"}"#,
    r#"record:record-2#archivist@group:admins#member with once_archived {"stored":"archived"}"#,
    r#"record:record-1#archivist@user:* with admin_once_archived {"stored":"active"}"#,
    r#"record:record-2#archivist@user:* with admin_once_archived {"stored":"archived"}"#,
    "record:record-1#delete@user:alice with when_soft",
];
pub(super) const READ: [&str; 3] = ["user:alice", "read", "record:record-1"];

pub(super) fn read() -> Value {
    question(READ[0], READ[1], READ[2])
}

/// What may be said without any decision hanging on it.
fn remark() -> Value {
    json!({ "time": "2026-06-27T18:03:00-07:00", "ip": "192.168.1.1" })
}

/// The eight decisions of the fixture.
pub(super) fn decisions() -> Vec<(Value, bool)> {
    let ask = |who: &str, action: &str, record: &str| question(&format!("user:{who}"), action, record);
    let archived = ("resource.status", json!("archived"));
    let admin = ("subject.role", json!("admin"));
    let (one, two) = ("record:record-1", "record:record-2");
    let mut decisions = vec![
        (ask("alice", "read", one), true),
        (ask("alice", "write", one), true),
        (ask("bob", "read", one), true),
        (ask("bob", "write", one), false),
    ];
    for record in [one, two] {
        // Whatever is stored of the record, and of who asks.
        decisions.push((with(ask("alice", "write", record), std::slice::from_ref(&archived)), false));
        for who in ["bob", "alice", "nobody"] {
            let asked = with(ask(who, "write", record), &[archived.clone(), admin.clone()]);
            decisions.push((asked, true));
        }
    }
    decisions.push((with(ask("alice", "delete", one), &[("action.soft", json!(true))]), true));
    decisions.push((with(ask("alice", "delete", one), &[("action.soft", json!(false))]), false));
    decisions
}

#[test]
fn the_eight_decisions() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    for (mut asked, decision) in decisions() {
        for _ in 0..3 {
            // The same each time, and nothing but the decision.
            assert_eq!(client.evaluate(&asked), json!({ "decision": decision }), "{asked}");
        }
        asked["context"] = remark();
        assert_eq!(client.decision(&asked), decision, "{asked}");
    }
    // Properties that no decision hangs on, and fields that nobody knows.
    let properties = [
        ("subject.department", json!("Sales")),
        ("subject.role", json!("manager")),
        ("action.method", json!("GET")),
        ("resource.status", json!("active")),
        ("resource.owner", json!("bob")),
    ];
    assert!(client.decision(&with(read(), &properties)));
    let mut unknown = read();
    unknown["foo"] = json!("bar");
    unknown["future"] = json!({ "nested": true });
    unknown["subject"]["nickname"] = json!(7);
    assert!(client.decision(&unknown));
}

#[test]
fn the_decisions_in_one_request() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let (asked, expected): (Vec<Value>, Vec<bool>) = decisions().into_iter().unzip();
    assert_eq!(client.decisions(&json!({ "evaluations": asked })), expected);
    // The subject and the resource once for all.
    let mut several = question("user:bob", "", "record:record-1");
    several["evaluations"] = json!([{ "action": { "name": "read" } }, { "action": { "name": "write" } }]);
    assert_eq!(client.decisions(&several), [true, false]);
    // A part of an item takes the place of the one at the top as a whole.
    let mut several = with(
        question("user:alice", "write", "record:record-1"),
        &[("resource.status", json!("active")), ("subject.role", json!("admin"))],
    );
    several["evaluations"] = json!([
        {},
        { "resource": { "type": "record", "id": "record-2", "properties": { "status": "archived" } } },
        { "resource": { "type": "record", "id": "record-2" }, "subject": { "type": "user", "id": "alice" } },
        { "resource": { "type": "record", "id": "record-1" }, "context": { "source": "item" } },
    ]);
    assert_eq!(client.decisions(&several), [true, true, false, true]);
    // The context too is inherited, or replaced.
    let mut several = question("user:alice", "read", "record:record-1");
    several["context"] = remark();
    several["evaluations"] = json!([{}, { "context": { "time": "2026-06-27T19:00:00-07:00" } }]);
    assert_eq!(client.decisions(&several), [true, true]);
}

#[test]
fn the_six_searches() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let archived = [("resource.status", json!("archived"))];
    let admin = [("subject.role", json!("admin"))];
    for context in [None, Some(remark())] {
        let found = |what: &str, mut asked: Value| {
            if let Some(context) = &context {
                asked["context"] = context.clone();
            }
            client.found(what, &asked)
        };
        // S1 to S3.
        assert_eq!(found("subject", question("user", "read", "record:record-1")), ["alice", "bob"]);
        assert_eq!(found("resource", question("user:alice", "read", "record")), ["record-1", "record-2"]);
        let actions = found("action", question("user:alice", "", "record:record-1"));
        assert_eq!(actions, ["editor", "read", "write"]);
        // S4 to S6.
        let writers = with(question("user", "write", "record:record-2"), &archived);
        assert_eq!(found("subject", writers), ["bob"]);
        let written = with(question("user:bob", "write", "record"), &admin);
        assert_eq!(found("resource", written), ["record-2"]);
        let allowed = with(with(question("user:bob", "", "record:record-2"), &admin), &archived);
        assert_eq!(found("action", allowed), ["archivist", "write"]);
    }
    // The id of what is searched is passed over, and so is the action where actions are.
    assert_eq!(client.found("subject", &read()), ["alice", "bob"]);
    assert_eq!(client.found("resource", &read()), ["record-1", "record-2"]);
    let with_action =
        with(question("user:alice", "read", "record:record-1"), &[("action.soft", json!(true))]);
    assert_eq!(client.found("action", &with_action), ["editor", "read", "write"]);
}

#[test]
fn what_is_found_is_allowed_and_the_other_way_round() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let (users, records, actions) =
        (["alice", "bob", "nobody"], ["record-1", "record-2", "none"], ["read", "write", "editor"]);
    let circumstances: [&[(&str, Value)]; 3] = [
        &[],
        &[("resource.status", json!("archived"))],
        &[("resource.status", json!("active")), ("subject.role", json!("admin"))],
    ];
    for circumstance in circumstances {
        for (user, record) in users.iter().flat_map(|user| records.map(|record| (user, record))) {
            for action in actions {
                let asked = question(&format!("user:{user}"), action, &format!("record:{record}"));
                let asked = with(asked, circumstance);
                let decision = client.decision(&asked);
                for (what, name) in [("subject", *user), ("resource", record), ("action", action)] {
                    let found = client.found(what, &asked);
                    assert_eq!(found.contains(&name.to_owned()), decision, "{what} {asked}");
                }
            }
        }
    }
}

#[test]
fn searches_for_what_nobody_knows_find_nothing() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let none: [String; 0] = [];
    for (what, asked) in [
        ("subject", question("spaceship", "read", "record:record-1")),
        ("subject", question("user", "launch", "record:record-1")),
        ("subject", question("user", "read", "planet:earth")),
        ("subject", question("user", "read", "record:record-9")),
        ("resource", question("user:alice", "read", "planet")),
        ("resource", question("user:alice", "launch", "record")),
        ("resource", question("spaceship:one", "read", "record")),
        ("resource", question("user:nobody", "read", "record")),
        ("action", question("user:nobody", "", "record:record-1")),
        ("action", question("spaceship:one", "", "record:record-1")),
        ("action", question("user:alice", "", "planet:earth")),
        ("action", question("user:alice", "", "record:record-9")),
    ] {
        assert_eq!(client.found(what, &asked), none, "{what} {asked}");
        let mut paged = asked.clone();
        paged["page"] = json!({ "limit": 1 });
        assert_eq!(client.found(what, &paged), none);
    }
}

#[test]
fn the_pages_of_a_small_search() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let mut asked = question("user", "read", "record:record-1");
    asked["page"] = json!({ "limit": 1 });
    let first = client.search("subject", &asked);
    assert_eq!(names(&first), ["alice"]);
    // The limit need not be said again.
    asked["page"] = json!({ "token": first["page"]["next_token"] });
    let second = client.search("subject", &asked);
    assert_eq!(second["page"], json!({ "next_token": "", "count": 1 }));
    assert_eq!(names(&second), ["bob"]);
}
