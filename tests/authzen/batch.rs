use serde_json::{Value, json};

use super::certification::{SCHEMA, TUPLES, read};
use super::client::{Client, question};
use crate::support::Served;

fn several(items: Value, semantic: &str) -> Value {
    let mut several = question("user:alice", "read", "record:record-1");
    several["evaluations"] = items;
    several["options"] = json!({ "evaluations_semantic": semantic, "another": 1 });
    several
}

#[test]
fn an_item_that_makes_no_sense_is_denied_in_its_place_and_says_why() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let one = json!({ "type": "record", "id": "record-1" });
    let asked = json!({
        "subject": { "type": "user", "id": "alice" },
        "action": { "name": "read" },
        "evaluations": [
            { "resource": one },
            {},
            { "resource": { "type": "record" } },
            { "resource": { "type": "record", "id": 7 } },
            { "resource": "record-1" },
            { "resource": { "type": "record", "id": "a#b" } },
            { "resource": { "type": "record", "id": "*" } },
            { "resource": one, "action": {} },
            { "resource": one, "subject": { "type": "user", "id": "" } },
            { "resource": one, "context": [] },
            { "resource": one, "action": { "name": "launch" } },
            { "resource": { "type": "planet", "id": "earth" } },
            { "resource": one, "action": { "name": "delete" } },
            "read",
            null,
            { "resource": one },
        ],
    });
    let told = [
        "",
        "`resource` is missing",
        "`resource.id` is missing",
        "`resource.id` has to be a string, not a number",
        "`resource` has to be an object, not a string",
        "`resource.id`: object id contains a `#`",
        "`resource.id`: object id is a wildcard",
        "`action.name` is missing",
        "`subject.id`: object id is empty",
        "`context` has to be an object, not an array",
        "launch",
        "planet",
        "action_soft",
        "an evaluation has to be an object, not a string",
        "an evaluation has to be an object, not null",
        "",
    ];
    let answers = client.evaluations(&asked);
    assert_eq!(answers.len(), told.len());
    for (answer, told) in answers.iter().zip(told) {
        if told.is_empty() {
            assert_eq!(*answer, json!({ "decision": true }));
            continue;
        }
        assert_eq!(answer["decision"], json!(false));
        let error = &answer["context"]["error"];
        assert_eq!(error["status"], json!(400), "{answer}");
        assert!(error["message"].as_str().unwrap().contains(told), "{answer} does not say {told}");
    }
}

#[test]
fn the_first_denial_or_permission_ends_them_when_that_is_asked_for() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let (yes, no, wrong) = (json!({}), json!({ "action": { "name": "launch" } }), json!({ "resource": {} }));
    let nobody = json!({ "subject": { "type": "user", "id": "nobody" } });
    let decisions = |items: &[&Value], semantic: &str| client.decisions(&several(json!(items), semantic));
    let items = [&yes, &yes, &nobody, &yes, &no];
    assert_eq!(decisions(&items, "execute_all"), [true, true, false, true, false]);
    assert_eq!(decisions(&items, "deny_on_first_deny"), [true, true, false]);
    assert_eq!(decisions(&items, "permit_on_first_permit"), [true]);
    // What cannot be decided is denied too.
    for denied in [&nobody, &no, &wrong] {
        assert_eq!(decisions(&[&yes, denied, &yes], "deny_on_first_deny"), [true, false]);
        assert_eq!(decisions(&[denied, denied, &yes, &yes], "permit_on_first_permit"), [false, false, true]);
    }
    // Nothing ends them.
    assert_eq!(decisions(&[&yes, &yes], "deny_on_first_deny"), [true, true]);
    assert_eq!(decisions(&[&nobody, &no], "permit_on_first_permit"), [false, false]);
    for (options, told) in [
        (json!({ "evaluations_semantic": "first" }), "`first`"),
        (json!({ "evaluations_semantic": 1 }), "`options.evaluations_semantic` has to be a string"),
        (json!([]), "`options` has to be an object"),
    ] {
        let mut asked = several(json!([{}]), "");
        asked["options"] = options;
        let refused = client.post("access/v1/evaluations", &asked);
        assert_eq!(refused.status, 400);
        assert!(refused.refusal().contains(told), "{}", refused.text);
    }
}

#[test]
fn without_evaluations_it_is_a_single_one() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let mut asked = read();
    for evaluations in [None, Some(json!([])), Some(Value::Null)] {
        if let Some(evaluations) = evaluations {
            asked["evaluations"] = evaluations;
        }
        let answer = client.post("access/v1/evaluations", &asked);
        assert_eq!((answer.status, &answer.body), (200, &json!({ "decision": true })));
    }
    asked["resource"] = Value::Null;
    let refused = client.post("access/v1/evaluations", &asked);
    assert_eq!((refused.status, refused.refusal()), (400, "`resource` is missing"));
}

#[test]
fn a_malformed_request_is_refused_as_a_whole() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    for (field, value) in [
        ("subject", json!("alice")),
        ("subject", json!({ "type": 1 })),
        ("action", json!([])),
        ("resource", json!({ "type": "record", "id": "record-1", "properties": "none" })),
        ("context", json!("now")),
        ("evaluations", json!({})),
        ("evaluations", json!("all")),
    ] {
        let mut asked = several(json!([{}]), "execute_all");
        asked[field] = value;
        let refused = client.post("access/v1/evaluations", &asked);
        assert_eq!(refused.status, 400, "{asked}");
        assert!(refused.refusal().contains(&format!("`{field}")), "{}", refused.text);
    }
    // A default that nobody inherits need not be whole.
    let mut asked = several(json!([{ "resource": { "type": "record", "id": "record-1" } }]), "execute_all");
    asked["resource"] = json!({});
    assert_eq!(client.decisions(&asked), [true]);
}

#[test]
fn there_may_be_as_many_as_checks_in_a_batch() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let items = |count: usize| several(vec![json!({}); count].into(), "execute_all");
    assert_eq!(client.decisions(&items(50)), [true; 50]);
    let refused = client.post("access/v1/evaluations", &items(51));
    assert_eq!(
        (refused.status, refused.refusal()),
        (400, "`evaluations` has 51 items: this server takes at most 50")
    );
}

#[test]
fn a_large_request_is_answered_as_a_small_one() {
    let server = Served::start();
    let client = Client::new(&server, SCHEMA, &TUPLES);
    let nobody = json!({ "subject": { "type": "user", "id": "nobody" } });
    let mut asked = several(json!([{}, nobody, {}]), "execute_all");
    asked["context"] = json!({ "note": "x".repeat(200_000) });
    assert_eq!(client.decisions(&asked), [true, false, true]);
}
