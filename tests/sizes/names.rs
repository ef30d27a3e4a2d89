use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::support::Served;
use crate::support::client::{Client, key};

/// Characters of a type, of a relation, of an object with its type; bytes of a subject.
const TYPE_MAX: usize = 254;
const RELATION_MAX: usize = 50;
const OBJECT_MAX: usize = 256;
const SUBJECT_MAX: usize = 512;

/// A schema with one type that is named so, and has a relation that is named so.
fn schema(object_type: &str, relation: &str) -> Value {
    json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" },
        { "type": object_type, "relations": { relation: { "this": {} } },
          "metadata": { "relations": { relation: { "directly_related_user_types": [
              { "type": "user" }, { "type": object_type, "relation": relation }] } } } },
    ] })
}

fn tuple(object: &str, relation: &str, user: &str) -> Value {
    json!({ "object": object, "relation": relation, "user": user })
}

/// Written, checked, listed from both sides, read, and deleted.
fn is_kept(client: &Client, object: &str, relation: &str, user: &str) -> Result<()> {
    let key = tuple(object, relation, user);
    client.write_keys(vec![key.clone()]).granted();
    let check = client.post("check", &json!({ "tuple_key": key })).granted();
    ensure!(check.body["allowed"] == true, "{object} {relation} {user}");
    let object_type = object.split(':').next().unwrap();
    ensure!(client.objects(object_type, relation, user) == [object], "{object}");
    let read = client.post("read", &json!({ "tuple_key": key })).granted();
    let read = &read.body["tuples"][0]["key"];
    ensure!(read["object"] == object && read["relation"] == relation && read["user"] == user, "{read}");
    if user.starts_with("user:") {
        ensure!(client.users(object, relation, "user") == [user], "{user}");
    }
    let deletes = json!({ "deletes": { "tuple_keys": [key] } });
    client.post("write", &deletes).granted();
    Ok(())
}

#[test]
fn names_at_their_limits_and_one_beyond() -> Result<()> {
    let server = Served::start();
    for fill in ["x", "é", "☃", "𐍈"] {
        let client = Client::new(&server.url, "model\n  schema 1.1\ntype user\n");
        let (longest_type, longest_relation) = (fill.repeat(TYPE_MAX), fill.repeat(RELATION_MAX));
        client.post("authorization-models", &schema(&longest_type, &longest_relation)).granted();
        // One character is left for the id.
        is_kept(&client, &format!("{longest_type}:i"), &longest_relation, "user:anne")?;
        let too_long =
            client.write_keys(vec![tuple(&format!("{longest_type}:ii"), &longest_relation, "user:anne")]);
        ensure!(too_long.status == 400, "{too_long:?}");
        for (object_type, relation) in
            [(fill.repeat(TYPE_MAX + 1), "r".to_owned()), ("doc".to_owned(), fill.repeat(RELATION_MAX + 1))]
        {
            let answer = client.post("authorization-models", &schema(&object_type, &relation));
            ensure!(answer.status == 400, "{answer:?}");
        }
        let too_long = client.write_keys(vec![tuple("doc:1", &fill.repeat(RELATION_MAX + 1), "user:anne")]);
        ensure!(too_long.status == 400, "{too_long:?}");

        client.post("authorization-models", &schema("doc", "viewer")).granted();
        let object = |chars: usize| format!("doc:{}", fill.repeat(chars - "doc:".len()));
        is_kept(&client, &object(OBJECT_MAX), "viewer", "user:anne")?;
        let too_long = client.write_keys(vec![tuple(&object(OBJECT_MAX + 1), "viewer", "user:anne")]);
        ensure!(too_long.status == 400, "{too_long:?}");
        for bytes in [SUBJECT_MAX, SUBJECT_MAX + 1] {
            // To the byte, whatever the characters take.
            let left = bytes - "user:".len();
            let user = format!("user:{}{}", fill.repeat(left / fill.len()), "x".repeat(left % fill.len()));
            ensure!(user.len() == bytes);
            if bytes == SUBJECT_MAX {
                is_kept(&client, "doc:1", "viewer", &user)?;
                is_kept(&client, &object(OBJECT_MAX), "viewer", &user)?;
            } else {
                for answer in [
                    client.write_keys(vec![tuple("doc:1", "viewer", &user)]),
                    client.post("check", &json!({ "tuple_key": tuple("doc:1", "viewer", &user) })),
                    client
                        .post("list-objects", &json!({ "type": "doc", "relation": "viewer", "user": user })),
                ] {
                    ensure!(answer.status == 400, "{answer:?}");
                }
            }
        }
        // A userset is a subject too.
        let userset = |bytes: usize| {
            let left = bytes - "doc:#viewer".len();
            format!("doc:{}{}#viewer", fill.repeat(left / fill.len()), "x".repeat(left % fill.len()))
        };
        let most = userset(SUBJECT_MAX);
        let answer = client.write_keys(vec![tuple("doc:1", "viewer", &most)]);
        println!("a userset of {SUBJECT_MAX} bytes of `{fill}`: {}", answer.status);
        ensure!(client.write_keys(vec![tuple("doc:1", "viewer", &userset(SUBJECT_MAX + 1))]).status == 400);
    }
    Ok(())
}

#[test]
fn every_relation_of_the_longest_names_is_told_from_the_others() -> Result<()> {
    let server = Served::start();
    let client = Client::new(&server.url, "model\n  schema 1.1\ntype user\n");
    // Alike up to their last characters.
    let names: Vec<String> = (0..20).map(|n| format!("{}{n:02}", "r".repeat(RELATION_MAX - 2))).collect();
    let relations: Value = names.iter().map(|name| (name.clone(), json!({ "this": {} }))).collect();
    let user = json!({ "directly_related_user_types": [{ "type": "user" }] });
    let metadata: Value = names.iter().map(|name| (name.clone(), user.clone())).collect();
    let schema = json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" }, { "type": "doc", "relations": relations, "metadata": { "relations": metadata } } ] });
    client.post("authorization-models", &schema).granted();
    for (number, name) in names.iter().enumerate() {
        client.write(&[&format!("doc:1 {name} user:{number}")]);
    }
    for (number, name) in names.iter().enumerate() {
        for other in 0..names.len() {
            let answer =
                client.post("check", &json!({ "tuple_key": key(&format!("doc:1 {name} user:{other}")) }));
            ensure!(answer.granted().body["allowed"] == (number == other));
        }
    }
    Ok(())
}
