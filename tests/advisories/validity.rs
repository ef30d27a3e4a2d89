use serde_json::{Value, json};

use super::servers::{each_server, each_way, everywhere, expect};
use crate::support::client::{Client, key, key_if};

/// A schema of folders whose `parent` is as given, in JSON, since it is to be refused.
fn folders(parent: &Value, allowed: &Value) -> Value {
    json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" },
        { "type": "folder",
          "relations": {
            "other": { "this": {} }, "parent": parent,
            "viewer": { "union": { "child": [{ "this": {} }, { "tupleToUserset": {
                "tupleset": { "relation": "parent" }, "computedUserset": { "relation": "viewer" } } }] } } },
          "metadata": { "relations": {
            "other": { "directly_related_user_types": [{ "type": "folder" }] },
            "parent": { "directly_related_user_types": allowed },
            "viewer": { "directly_related_user_types": [{ "type": "user" }] } } } }
    ] })
}

#[test]
fn cve_2022_39341_a_parent_that_is_everybody_of_a_type() {
    each_server(|url| {
        let client = Client::new(url, "model\n  schema 1.1\ntype user\n");
        let allowed = json!([{ "type": "folder" }, { "type": "folder", "wildcard": {} }]);
        let answer = client.post("authorization-models", &folders(&json!({ "this": {} }), &allowed));
        assert_eq!(
            (answer.status, answer.refused()),
            (400, "invalid_authorization_model"),
            "{}",
            answer.body
        );
        let usersets = json!([{ "type": "folder", "relation": "viewer" }]);
        let answer = client.post("authorization-models", &folders(&json!({ "this": {} }), &usersets));
        assert_eq!(answer.status, 400, "{}", answer.body);
    });
}

#[test]
fn cve_2022_39342_a_parent_that_is_rewritten() {
    each_server(|url| {
        let client = Client::new(url, "model\n  schema 1.1\ntype user\n");
        let other = json!({ "computedUserset": { "relation": "other" } });
        let union = json!({ "union": { "child": [{ "this": {} }, other] } });
        let both = json!({ "intersection": { "child": [{ "this": {} }, other] } });
        let but_not = json!({ "difference": { "base": { "this": {} }, "subtract": other } });
        for parent in [union, both, but_not, other.clone()] {
            let allowed = if parent == other { json!([]) } else { json!([{ "type": "folder" }]) };
            let answer = client.post("authorization-models", &folders(&parent, &allowed));
            assert_eq!(answer.status, 400, "{parent}: {}", answer.body);
        }
        let direct = folders(&json!({ "this": {} }), &json!([{ "type": "folder" }]));
        client.post("authorization-models", &direct).granted();
    });
}

#[test]
fn cve_2022_39352_a_stored_wildcard_where_parents_stand_under_a_later_schema() {
    const BEFORE: &str = "model
  schema 1.1
type user
type folder
  relations
    define viewer: [user]
type doc
  relations
    define parent: [folder, folder:*, folder#viewer]
    define viewer: [user]
";
    const AFTER: &str = "model
  schema 1.1
type user
type folder
  relations
    define viewer: [user]
type doc
  relations
    define parent: [folder]
    define viewer: [user] or viewer from parent
";
    each_way(BEFORE, |client| {
        client.write(&["doc:1 parent folder:*", "doc:2 parent folder:x#viewer", "folder:x viewer user:anne"]);
        client.schema(AFTER);
        everywhere(client, "doc:1", "viewer", "user:anne", false);
        everywhere(client, "doc:2", "viewer", "user:anne", false);
        client.write(&["doc:1 parent folder:x"]);
        everywhere(client, "doc:1", "viewer", "user:anne", true);
    });
}

#[test]
fn cve_2022_23542_a_tuple_that_only_an_earlier_schema_allowed() {
    const BEFORE: &str = "model
  schema 1.1
type user
type robot
type group
  relations
    define member: [user]
type doc
  relations
    define viewer: [user, robot, group#member, user:*]
    define editor: [user]
";
    const AFTER: &str = "model
  schema 1.1
type user
type robot
type group
  relations
    define member: [user]
type doc
  relations
    define viewer: [user]
    define editor: viewer
";
    each_way(BEFORE, |client| {
        client.write(&[
            "doc:robot viewer robot:1",
            "doc:group viewer group:1#member",
            "doc:public viewer user:*",
            "doc:editor editor user:anne",
            "group:1 member user:anne",
            "doc:anne viewer user:anne",
        ]);
        expect(client, "doc:group viewer user:anne", true);
        let before =
            client.get("authorization-models").granted().body["authorization_models"][0]["id"].clone();
        client.schema(AFTER);
        expect(client, "doc:robot viewer robot:1", false);
        for doc in ["doc:group", "doc:public"] {
            everywhere(client, doc, "viewer", "user:anne", false);
        }
        // A relation that was direct, and is rewritten now: its tuples say nothing.
        everywhere(client, "doc:editor", "editor", "user:anne", false);
        everywhere(client, "doc:anne", "editor", "user:anne", true);
        assert_eq!(client.objects("doc", "viewer", "user:anne"), ["doc:anne"]);
        // Under the schema that allowed it, it still counts.
        let given = json!({ "authorization_model_id": before });
        assert!(client.allows_given("doc:group viewer user:anne", given));
        expect(client, "doc:group viewer user:anne", false);
    });
}

const PUBLIC_AND_USERSETS: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user]
type doc
  relations
    define viewer: [user:*, group:*, group#member]
    define editor: [user, group#member]
    define public: [user:*]
";

#[test]
fn cve_2025_25196_a_userset_is_not_among_everybody() {
    each_way(PUBLIC_AND_USERSETS, |client| {
        client.write(&["doc:1 viewer user:*", "doc:2 viewer group:*", "doc:3 viewer group:1#member"]);
        everywhere(client, "doc:1", "viewer", "user:anne", true);
        expect(client, "doc:1 viewer group:1#member", false);
        expect(client, "doc:2 viewer group:1#member", false);
        everywhere(client, "doc:2", "viewer", "group:1", true);
        expect(client, "doc:2 viewer user:anne", false);
        expect(client, "doc:3 viewer group:1#member", true);
        expect(client, "doc:3 viewer group:2#member", false);
        expect(client, "doc:3 viewer group:1", false);
        assert_eq!(client.objects("doc", "viewer", "group:1#member"), ["doc:3"]);
    });
}

#[test]
fn cve_2025_48371_a_contextual_tuple_that_the_schema_does_not_allow() {
    each_way(PUBLIC_AND_USERSETS, |client| {
        client.write(&["group:1 member user:anne"]);
        for tuple in ["doc:1 editor user:*", "doc:1 public user:anne", "doc:1 public group:1#member"] {
            let given = json!({ "contextual_tuples": { "tuple_keys": [key(tuple)] } });
            for question in ["doc:1 editor user:anne", "doc:1 public user:anne"] {
                let answer = client.check(question, given.clone());
                assert_eq!((answer.status, answer.refused()), (400, "invalid_tuple"), "{}", answer.body);
            }
            let list = json!({
                "type": "doc", "relation": "public", "user": "user:anne",
                "contextual_tuples": { "tuple_keys": [key(tuple)] },
            });
            assert_eq!(client.post("list-objects", &list).refused(), "invalid_tuple");
        }
        let given = |tuple: &str| json!({ "contextual_tuples": { "tuple_keys": [key(tuple)] } });
        assert!(client.allows_given("doc:1 public user:anne", given("doc:1 public user:*")));
        assert!(!client.allows_given("doc:1 editor user:bob", given("doc:1 editor group:1#member")));
        assert!(client.allows_given("doc:1 editor user:anne", given("doc:1 editor group:1#member")));
        // What was contextual is gone with its question.
        expect(client, "doc:1 editor user:anne", false);
        expect(client, "doc:1 public user:anne", false);
    });
}

#[test]
fn cve_2025_64751_everybody_without_the_condition_that_they_have_to_have() {
    const BEFORE: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user:*, user]
";
    const AFTER: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user:* with office, user]
condition office(x: int) {
  x < 10
}
";
    each_way(BEFORE, |client| {
        client.write(&["doc:1 viewer user:*"]);
        client.schema(AFTER);
        for context in [json!({}), json!({ "x": 1 })] {
            let given = json!({ "context": context });
            assert!(!client.allows_given("doc:1 viewer user:anne", given.clone()));
            assert!(client.objects_given("doc", "viewer", "user:anne", given.clone()).is_empty());
            assert!(client.users_given("doc:1", "viewer", "user", given).is_empty());
        }
        let written = client.write_keys(vec![key("doc:2 viewer user:*")]);
        assert_eq!(written.status, 400, "{}", written.body);
        let given = json!({ "contextual_tuples": { "tuple_keys": [key("doc:2 viewer user:*")] } });
        assert_eq!(client.check("doc:2 viewer user:anne", given).refused(), "invalid_tuple");
        client.write_keys(vec![key_if("doc:3 viewer user:*", "office", json!({}))]).granted();
        assert!(client.allows_given("doc:3 viewer user:anne", json!({ "context": { "x": 1 } })));
        assert!(!client.allows_given("doc:3 viewer user:anne", json!({ "context": { "x": 10 } })));
    });
}
