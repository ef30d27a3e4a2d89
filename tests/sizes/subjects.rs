use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::support::Served;
use crate::support::client::{Client, key};

const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user]
type doc
  relations
    define viewer: [user, group#member]
    define reader: viewer
    define parent: [doc]
    define inherited: viewer or inherited from parent
";
/// Tuples of a request.
const PART: usize = 10_000;

/// Subject `n` of so many: in no order, so that what is written last stands between the others.
fn user(n: usize, of: usize) -> String {
    // A prime that divides none of the numbers that are used.
    format!("user:u{:07}", n * 7_919 % of)
}

fn many_subjects(of: usize) -> Result<()> {
    let server = Served::on(tempfile::tempdir()?, &["--write-tuples-max", &PART.to_string()]);
    let client = Client::new(&server.url, SCHEMA);
    let all: Vec<String> = (0..of).map(|n| user(n, of)).collect();
    let expected: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    ensure!(expected.len() == of);
    for part in all.chunks(PART) {
        let keys: Vec<Value> = part.iter().map(|user| key(&format!("doc:big viewer {user}"))).collect();
        client.write_keys(keys).granted();
    }
    client.write(&[
        "doc:small parent doc:big",
        "doc:big viewer group:1#member",
        "group:1 member user:grouped",
    ]);

    // A check looks at no more because there are many.
    for (user, is_allowed) in [
        (&*all[0], true),
        (&all[of / 2], true),
        (&all[of - 1], true),
        ("user:grouped", true),
        ("user:none", false),
    ] {
        for relation in ["viewer", "reader"] {
            ensure!(client.allows(&format!("doc:big {relation} {user}")) == is_allowed, "{user} {relation}");
        }
        ensure!(client.allows(&format!("doc:small inherited {user}")) == is_allowed, "{user} inherited");
        let question = json!({ "tuple_key": key(&format!("doc:big reader {user}")) });
        let answer = client.post_with("check", &question, &[("stonetown-work", "1")]).granted();
        let work = answer.header("stonetown-work").unwrap_or_default().to_owned();
        let reads: u64 = work.split(' ').map(|number| number.parse::<u64>().unwrap()).sum();
        ensure!(reads <= 10, "{user}: {work}");
    }

    // Lists are complete, from both sides.
    for (object, relation) in [("doc:big", "viewer"), ("doc:small", "inherited")] {
        let users = client.users(object, relation, "user");
        let listed: BTreeSet<&str> = users.iter().map(String::as_str).collect();
        ensure!(users.len() == of + 1 && listed.is_superset(&expected), "{object}: {} listed", users.len());
        ensure!(listed.contains("user:grouped"));
    }
    for user in [&all[0], &all[of - 1]] {
        ensure!(client.objects("doc", "reader", user) == ["doc:big"]);
        ensure!(client.objects("doc", "inherited", user) == ["doc:big", "doc:small"]);
    }

    // Expanded as a whole, or refused by name: never cut.
    let expanded =
        client.post("expand", &json!({ "tuple_key": { "object": "doc:big", "relation": "viewer" } }));
    match expanded.status {
        200 => {
            let leaf = &expanded.body["tree"]["root"]["leaf"]["users"]["users"];
            ensure!(leaf.as_array().is_some_and(|users| users.len() == of + 1), "it is cut");
        }
        _ => ensure!(expanded.refused() == "authorization_model_resolution_too_complex", "{expanded:?}"),
    }
    println!("{of} subjects: expand says {}", expanded.status);

    // Page by page, each once.
    let (mut seen, mut token) = (BTreeSet::new(), String::new());
    loop {
        let body = json!({
            "tuple_key": { "object": "doc:big", "relation": "viewer" }, "page_size": 100, "continuation_token": token
        });
        let page = client.post("read", &body).granted();
        for tuple in page.body["tuples"].as_array().unwrap() {
            ensure!(seen.insert(tuple["key"]["user"].as_str().unwrap().to_owned()), "twice: {tuple}");
        }
        token = page.body["continuation_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    ensure!(seen.len() == of + 1, "{} read", seen.len());

    // Deleted in steps, each a revision.
    let (mut deleted, mut steps) = (0, 0);
    loop {
        let answer = client.post("delete", &json!({ "filter": "doc:big#viewer", "step": 30_000 })).granted();
        let step = answer.body["deleted"].as_u64().unwrap() as usize;
        ensure!(step <= 30_000);
        deleted += step;
        steps += 1;
        if step == 0 {
            break;
        }
        ensure!(steps < 100, "{deleted} deleted, and no end");
    }
    ensure!(deleted == of + 1, "{deleted} deleted in {steps} steps");
    ensure!(client.users("doc:small", "inherited", "user").is_empty());
    ensure!(!client.allows(&format!("doc:small inherited {}", all[0])));
    ensure!(
        client.post("read", &json!({ "page_size": 100 })).granted().body["tuples"].as_array().unwrap().len()
            == 2
    );
    Ok(())
}

#[test]
fn seventy_thousand_subjects_on_one_object() -> Result<()> {
    many_subjects(70_000)
}

#[test]
fn two_hundred_thousand_subjects_on_one_object() -> Result<()> {
    many_subjects(200_000)
}

#[test]
fn as_many_subjects_as_are_asked_for() -> Result<()> {
    match std::env::var("STONETOWN_SUBJECTS") {
        Ok(number) => many_subjects(number.parse()?),
        Err(_) => Ok(()),
    }
}
