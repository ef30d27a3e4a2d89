use serde_json::{Value, json};

use super::client::{Client, question, with};
use crate::support::Served;

const SCHEMA: &str = r#"
model
  schema 1.1
type user
type doc
  relations
    define by_subject: [user with subject]
    define by_action: [user with action]
    define by_resource: [user with resource]
    define by_context: [user with context]
    define by_list: [user with tags]
    define by_map: [user with nested]
    define by_size: [user with size]
    define plain: [user]
    define either: plain or by_context
condition subject(subject_level: int) { subject_level > 3 }
condition action(action_method: string) { action_method == "GET" }
condition resource(resource_size: double) { resource_size < 1.5 }
condition context(hour: int) { hour < 12 }
condition tags(resource_tags: list<string>) { "open" in resource_tags }
condition size(resource_properties: map<string>) {
  !("bytes" in resource_properties) || int(resource_properties["bytes"]) < 100
}
condition nested(subject_home: map<string>) { subject_home["city"] == "Linz" }
"#;

fn client(server: &Served) -> Client<'_> {
    let conditions = [
        ("by_subject", "subject"),
        ("by_action", "action"),
        ("by_resource", "resource"),
        ("by_context", "context"),
        ("by_list", "tags"),
        ("by_map", "nested"),
        ("by_size", "size"),
    ];
    let tuples: Vec<String> = conditions
        .iter()
        .map(|(relation, condition)| format!("doc:1#{relation}@user:anne with {condition}"))
        .chain(["doc:1#plain@user:bob".to_owned(), "doc:2#either@user:x".replace("either", "plain")])
        .collect();
    Client::new(server, SCHEMA, &tuples.iter().map(String::as_str).collect::<Vec<_>>())
}

fn ask(relation: &str) -> Value {
    question("user:anne", relation, "doc:1")
}

#[test]
fn properties_and_context_are_values_of_parameters() {
    let server = Served::start();
    let client = client(&server);
    for (relation, property, yes, no) in [
        ("by_subject", "subject.level", json!(4), json!(3)),
        ("by_action", "action.method", json!("GET"), json!("PUT")),
        ("by_resource", "resource.size", json!(0.5), json!(1.5)),
        ("by_list", "resource.tags", json!(["open", "new"]), json!([])),
        ("by_map", "subject.home", json!({ "city": "Linz" }), json!({ "city": "Graz" })),
    ] {
        assert!(client.decision(&with(ask(relation), &[(property, yes)])), "{relation}");
        assert!(!client.decision(&with(ask(relation), &[(property, no.clone())])), "{relation}");
        assert_eq!(client.evaluate(&with(ask(relation), &[(property, no)])), json!({ "decision": false }));
    }
    let mut asked = ask("by_context");
    asked["context"] = json!({ "hour": 9 });
    assert!(client.decision(&asked));
    asked["context"] = json!({ "hour": 21 });
    assert!(!client.decision(&asked));
}

#[test]
fn a_property_may_be_missing_where_a_condition_allows_it() {
    let server = Served::start();
    let client = client(&server);
    let others =
        [("resource.tags", json!([1])), ("resource.open", json!(true)), ("resource.none", Value::Null)];
    for asked in [ask("by_size"), with(ask("by_size"), &others)] {
        assert_eq!(client.evaluate(&asked), json!({ "decision": true }));
        assert!(client.decision(&with(asked.clone(), &[("resource.bytes", json!(99))])));
        assert!(client.decision(&with(asked.clone(), &[("resource.bytes", json!("99"))])));
        assert!(!client.decision(&with(asked, &[("resource.bytes", json!(100))])));
    }
}

#[test]
fn the_context_goes_before_a_property() {
    let server = Served::start();
    let client = client(&server);
    let mut asked = with(ask("by_subject"), &[("subject.level", json!(9))]);
    asked["context"] = json!({ "subject_level": 1 });
    assert!(!client.decision(&asked));
    // And a part's own property before its properties as a whole.
    let asked = with(ask("by_subject"), &[("subject.level", json!(9)), ("subject.properties", json!("x"))]);
    assert!(client.decision(&asked));
}

#[test]
fn what_cannot_be_decided_is_denied_and_says_why() {
    let server = Served::start();
    let client = client(&server);
    for (asked, told) in [
        (ask("by_subject"), "subject_level"),
        (with(ask("by_subject"), &[("subject.level", json!("high"))]), "subject_level"),
        (ask("by_context"), "hour"),
        (ask("no_such"), "no_such"),
        (question("robot:1", "plain", "doc:1"), "robot"),
        (question("user:anne", "plain", "book:1"), "book"),
    ] {
        let answer = client.evaluate(&asked);
        assert_eq!(answer["decision"], json!(false));
        let error = &answer["context"]["error"];
        assert_eq!((&error["status"], &error["code"]), (&json!(400), &json!("validation_error")));
        assert!(error["message"].as_str().unwrap().contains(told), "{answer}");
    }
    // Where it does not matter, nothing is missing.
    assert_eq!(client.evaluate(&question("user:bob", "either", "doc:1")), json!({ "decision": true }));
    assert_eq!(client.evaluate(&question("user:carl", "either", "doc:1")), json!({ "decision": false }));
}

#[test]
fn a_search_that_lacks_a_value_says_which() {
    let server = Served::start();
    let client = client(&server);
    for (what, asked) in [
        ("subject", question("user", "by_context", "doc:1")),
        ("resource", question("user:anne", "by_context", "doc")),
    ] {
        let refused = client.post(&format!("access/v1/search/{what}"), &asked);
        assert_eq!(refused.status, 400);
        assert!(refused.refusal().contains("hour"), "{}", refused.text);
        let mut asked = asked;
        asked["context"] = json!({ "hour": 9 });
        assert_eq!(client.found(what, &asked).len(), 1);
    }
    // Of actions, each is decided by itself.
    let asked = with(question("user:anne", "", "doc:1"), &[("subject.level", json!(4))]);
    let answer = client.search("action", &asked);
    assert_eq!(answer["results"], json!([{ "name": "by_size" }, { "name": "by_subject" }]));
    let undecided = answer["context"]["undecided"].as_array().unwrap();
    let names: Vec<&str> = undecided.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["by_action", "by_context", "by_list", "by_map", "by_resource", "either"]);
    assert!(undecided[0]["error"]["message"].as_str().unwrap().contains("action_method"), "{answer}");
}

#[test]
fn everybody_is_told_beside_those_who_are_named() {
    let server = Served::start();
    let schema = "
model
  schema 1.1
type user
type doc
  relations
    define viewer: [user, user:*]
    define banned: [user]
    define reader: viewer but not banned
";
    let tuples =
        ["doc:1#viewer@user:*", "doc:1#viewer@user:anne", "doc:1#banned@user:bob", "doc:2#viewer@user:bob"];
    let client = Client::new(&server, schema, &tuples);
    let mut asked = question("user", "reader", "doc:1");
    let answer = client.search("subject", &asked);
    assert_eq!(answer["results"], json!([{ "type": "user", "id": "anne" }]));
    assert_eq!(answer["context"], json!({ "everybody": true }));
    asked["resource"]["id"] = json!("2");
    let answer = client.search("subject", &asked);
    assert_eq!(answer["results"], json!([{ "type": "user", "id": "bob" }]));
    assert!(answer.get("context").is_none());
    // Everybody is no subject to ask about, but includes whoever is.
    assert!(client.decision(&question("user:who", "reader", "doc:1")));
    assert_eq!(client.found("resource", &question("user:who", "reader", "doc")), ["1"]);
    for id in ["*", "x#viewer", "a b", "a:b", ""] {
        let mut asked = question("user:who", "reader", "doc:1");
        asked["subject"]["id"] = json!(id);
        assert_eq!(client.post("access/v1/evaluation", &asked).status, 400, "{id}");
    }
    // Ids of people look like this.
    assert!(client.decision(&question("user:anne@example.com", "reader", "doc:1")));
}
