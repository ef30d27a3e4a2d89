//! Whatever a directory of format 1 can hold, made by a server of today, and killed so that some of it stands in the log only:
//! three stores, one of them with a horizon, one deleted; schemas that follow each other, conditions with contexts, wildcards,
//! usersets; tuples that have ended, collected and not; deleted and written again; purged; assertions; keys of writes; an import
//! live and one by files that were begun and not ended. Beside it, `v1-all.json.zst` has every question with its answer.
//!
//! `STONETOWN_MAKE_FIXTURE=1 tools/cargo test --test format made` makes both anew: only for a further format, under its own name.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::packed::{pack, unpack};
use crate::support::Served;
use crate::support::client::{Answer, Client, key, key_if};

const SERVE: &[&str] = &["--collect-every", "never"];
const FIRST: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member, user:*]
type doc
  relations
    define blocked: [user]
    define old: [user]
    define parent: [doc]
    define viewer: [user, user:*, group#member, user with office] or viewer from parent
    define reader: viewer but not blocked
condition office(now: timestamp, from: timestamp, floors: list<int>, floor: int) {
  now > from && floor in floors
}
";
const SECOND: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type doc
  relations
    define blocked: [user]
    define parent: [doc]
    define viewer: [user, user:*, group#member, user with office] or viewer from parent
    define reader: viewer but not blocked
    define owner: [user]
condition office(now: timestamp, from: timestamp, floors: list<int>, floor: int) {
  now > from && floor in floors
}
";

fn place(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format").join(name)
}

fn token(answer: &Answer) -> String {
    answer.header("stonetown-token").unwrap().to_owned()
}

/// Fills a server: the questions to ask of it.
fn fill(url: &str) -> Result<Vec<Value>> {
    let client = Client::new(url, FIRST);
    client
        .send("PUT", &format!("/stores/{}/retention", client.store), &json!({ "retention": "forever" }), &[])
        .granted();
    let begun = token(&client.write(&[
        "doc:first old user:anne",
        "doc:public viewer user:*",
        "doc:gone viewer user:secret",
    ]));
    let schema = client.get("authorization-models").granted().body["authorization_models"][0]["id"].clone();
    let assertions =
        json!({ "assertions": [{ "tuple_key": key("doc:public reader user:anne"), "expectation": true }] });
    let path = format!("/stores/{}/assertions/{}", client.store, schema.as_str().context("an id")?);
    client.send("PUT", &path, &assertions, &[]).granted();
    client.write(&[
        "group:1 member user:anne",
        "group:1 member group:2#member",
        "group:2 member user:bob",
        "group:all member user:*",
        "doc:1 viewer group:1#member",
        "doc:2 parent doc:1",
        "doc:2 blocked user:bob",
        "doc:é-𐍈-\u{10ffff} viewer user:anne",
    ]);
    let office = json!({ "from": "2020-01-01T00:00:00Z", "floors": [1, 2, 3] });
    client.write_keys(vec![key_if("doc:office viewer user:carl", "office", office)]).granted();
    let ending = |tuple: &str, end: &str| {
        let mut key = key(tuple);
        key["expires_at"] = json!(end);
        key
    };
    let soon = |seconds: i64| {
        let now = stonetown::tuple::Timestamp::wall_clock().as_micros();
        stonetown::tuple::Timestamp::from_micros(now + seconds * 1_000_000).to_string()
    };
    let ends = soon(2);
    let with_end = token(
        &client
            .write_keys(vec![
                ending("doc:late viewer user:dora", "2500-01-01T00:00:00Z"),
                ending("doc:ended viewer user:dora", &ends),
                ending("doc:collected viewer user:dora", &ends),
            ])
            .granted(),
    );
    client.delete(&["doc:2 blocked user:bob"]);
    let unblocked = token(&client.write(&["doc:3 parent doc:2"]));
    client.write(&["doc:2 blocked user:bob"]);
    std::thread::sleep(Duration::from_millis(2_500));
    client.post("collect", &json!({})).granted();
    // This one ends too, and is not collected.
    client.write_keys(vec![ending("doc:ended viewer user:dora", &soon(2))]).granted();
    client.schema(SECOND);
    let body = json!({ "writes": { "tuple_keys": [key("doc:1 owner user:anne")] } });
    client.post_with("write", &body, &[("idempotency-key", "owner")]).granted();
    client.post("purge", &json!({ "object": "user:secret" })).granted();
    client.send("POST", "/compact", &Value::Null, &[]).granted();

    let collected = Client::new(url, FIRST);
    collected.write(&["doc:1 viewer user:anne"]);
    collected.delete(&["doc:1 viewer user:anne"]);
    let kept = token(&collected.write(&["doc:2 viewer user:anne"]));
    std::thread::sleep(Duration::from_millis(20));
    let now = stonetown::tuple::Timestamp::wall_clock();
    collected.write(&["doc:3 viewer user:anne"]);
    collected.post("collect", &json!({ "before": now.to_string() })).granted();

    let deleted = Client::new(url, FIRST);
    deleted.write(&["doc:1 viewer user:anne"]);
    deleted.send("DELETE", &format!("/stores/{}", deleted.store), &Value::Null, &[]).granted();

    // Begun, and not ended; what came so far of the live one is there.
    let lines = |name: &str| {
        (0..50).map(|n| format!("{}\n", key(&format!("doc:{name}-{n:02} viewer user:anne")))).collect()
    };
    for way in ["live", "files"] {
        let path = format!("/stores/{}/import?import=begun-{way}&way={way}&more=true", collected.store);
        let answer = client.send_text("POST", &path, lines(way), &[]).granted();
        ensure!(answer.body.to_string().contains("more"), "{answer:?}");
    }
    let path = format!("/stores/{}/import?import=ended&way=files", client.store);
    let answer = client.send_text("POST", &path, lines("imported"), &[]).granted();
    ensure!(answer.body.to_string().contains("done"), "{answer:?}");
    // In the log only.
    client.write(&["doc:last viewer user:anne", "doc:last blocked user:bob"]);
    client.delete(&["doc:last blocked user:bob"]);
    std::thread::sleep(Duration::from_millis(2_500));

    let mut questions = vec![json!({ "method": "GET", "path": "/stores" })];
    let mut ask = |store: &str, verb: &str, body: Value, at: Option<&str>| {
        let method = if body.is_null() { "GET" } else { "POST" };
        questions.push(
            json!({ "method": method, "path": format!("/stores/{store}/{verb}"), "body": body, "at": at }),
        );
    };
    let (main, other) = (&*client.store, &*collected.store);
    let moments = [None, Some(&*begun), Some(&*with_end), Some(&*unblocked)];
    let floor = json!({ "now": "2026-01-01T00:00:00Z", "floor": 2 });
    for at in moments {
        for user in ["user:anne", "user:bob", "user:carl", "user:dora", "user:secret", "group:2#member"] {
            for doc in
                ["1", "2", "3", "public", "office", "late", "ended", "collected", "gone", "first", "last"]
            {
                let tuple = key(&format!("doc:{doc} reader {user}"));
                ask(main, "check", json!({ "tuple_key": tuple, "context": floor }), at);
            }
            let list = json!({ "type": "doc", "relation": "viewer", "user": user, "context": floor });
            ask(main, "list-objects", list, at);
        }
        for doc in ["1", "2", "3", "public", "late", "é-𐍈-\u{10ffff}"] {
            let list = json!({
                "object": { "type": "doc", "id": doc }, "relation": "reader", "user_filters": [{ "type": "user" }],
                "context": floor,
            });
            ask(main, "list-users", list, at);
            let tuple = json!({ "object": format!("doc:{doc}"), "relation": "viewer" });
            ask(main, "expand", json!({ "tuple_key": tuple }), at);
        }
        ask(main, "read", json!({ "page_size": 100 }), at);
    }
    for store in [main, other] {
        for verb in ["authorization-models", "changes?page_size=100", "retention", "schemas"] {
            ask(store, verb, Value::Null, None);
        }
    }
    ask(main, &format!("assertions/{}", schema.as_str().context("an id")?), Value::Null, None);
    ask(
        main,
        "check",
        json!({ "tuple_key": key("doc:first old user:anne"), "authorization_model_id": schema }),
        None,
    );
    ask(other, "check", json!({ "tuple_key": key("doc:1 reader user:anne") }), Some(&kept));
    ask(other, "read", json!({ "page_size": 100 }), None);
    ask(other, "import?import=begun-live&way=live", Value::Null, None);
    ask(other, "import?import=begun-files&way=files", Value::Null, None);
    ask(&deleted.store, "check", json!({ "tuple_key": key("doc:1 reader user:anne") }), None);
    Ok(questions)
}

fn answer(client: &Client, question: &Value) -> Value {
    let text = |name: &str| question[name].as_str().unwrap_or_default();
    let at: Vec<(&str, &str)> = question["at"].as_str().map(|at| ("stonetown-at", at)).into_iter().collect();
    let answer = client.send(text("method"), text("path"), &question["body"], &at);
    json!({ "status": answer.status, "body": answer.body })
}

/// Whether an answer has everything that it had: a later version may tell more, and refuse in other words.
fn is_as(found: &Value, recorded: &Value) -> bool {
    match (found, recorded) {
        (Value::Object(found), Value::Object(recorded)) => recorded.iter().all(|(name, value)| {
            let is_wording = recorded.contains_key("code") && ["message", "reason"].contains(&&**name);
            is_wording || found.get(name).is_some_and(|found| is_as(found, value))
        }),
        (Value::Array(found), Value::Array(recorded)) => {
            found.len() == recorded.len()
                && found.iter().zip(recorded).all(|(found, recorded)| is_as(found, recorded))
        }
        _ => found == recorded,
    }
}

/// Not a test: makes what the test reads.
#[test]
fn made_anew_when_told_to() -> Result<()> {
    if std::env::var_os("STONETOWN_MAKE_FIXTURE").is_none() {
        return Ok(());
    }
    let server = Served::on(tempfile::tempdir()?, SERVE);
    let mut questions = fill(&server.url)?;
    let client = Client::of(&server.url, "");
    for question in &mut questions {
        question["answer"] = answer(&client, question);
    }
    let dir = server.kill();
    std::fs::write(place("v1-all.zst"), pack(dir.path())?)?;
    let lines: Vec<String> = questions.iter().map(Value::to_string).collect();
    std::fs::write(place("v1-all.json.zst"), zstd::encode_all(lines.join("\n").as_bytes(), 19)?)?;
    Ok(())
}

#[test]
fn a_directory_with_everything_answers_as_it_did() -> Result<()> {
    let dir = tempfile::tempdir()?;
    unpack(&std::fs::read(place("v1-all.zst"))?, dir.path())?;
    let lines = String::from_utf8(zstd::decode_all(&*std::fs::read(place("v1-all.json.zst"))?)?)?;
    let questions = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    ensure!(questions.len() > 300, "{} questions", questions.len());
    let mut server = Served::on(dir, SERVE);
    // As it was left by a process that was killed, then as today's version leaves it.
    for turn in ["as it was", "opened once"] {
        let client = Client::of(&server.url, "");
        for question in &questions {
            let found = answer(&client, question);
            ensure!(is_as(&found, &question["answer"]), "{turn}: {question}\nfound {found}");
        }
        let seen = client.send("POST", "/validate", &Value::Null, &[]).granted();
        ensure!(seen.body["findings_total"] == 0 && seen.body["tuples"].as_u64() > Some(60), "{}", seen.body);
        server = server.restart();
    }
    // It is written to as any other, and what was begun is ended.
    let main = Client::of(&server.url, store_of(&questions, 1)?);
    let body = json!({ "writes": { "tuple_keys": [key("doc:new viewer user:anne")] } });
    main.post("write", &body).granted();
    ensure!(main.allows("doc:new reader user:anne"));
    let imports = questions
        .iter()
        .filter(|question| question["path"].as_str().is_some_and(|path| path.contains("import=")));
    for question in imports {
        let path = question["path"].as_str().context("a path")?;
        let line = question["answer"]["body"]["line"].as_u64().context("a line")?;
        let way = path.rsplit('=').next().context("a way")?;
        let last = format!("{}\n", key(&format!("doc:{way}-last viewer user:anne")));
        let ended = main.send_text("POST", &format!("{path}&from={line}"), last, &[]).granted();
        ensure!(ended.body.to_string().contains("done"), "{ended:?}");
        let store = path.split('/').nth(2).context("a store")?;
        let docs = Client::of(&server.url, store).objects("doc", "viewer", "user:anne");
        let imported = docs.iter().filter(|doc| doc.starts_with(&format!("doc:{way}-"))).count();
        ensure!(imported == 51, "{way}: {imported} imported");
    }
    let seen = main.send("POST", "/validate", &Value::Null, &[]).granted();
    ensure!(seen.body["findings_total"] == 0, "{}", seen.body);
    Ok(())
}

fn store_of(questions: &[Value], number: usize) -> Result<&str> {
    questions[number]["path"].as_str().and_then(|path| path.split('/').nth(2)).context("a store")
}
