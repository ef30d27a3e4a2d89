use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use stonetown::engine::{Engine, OnDuplicate, OnMissing, Settings, WriteRequest};
use stonetown::schema::read_schema;

use crate::support::Served;
use crate::support::client::Client;

const SCHEMA: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user]
    define reader: viewer
";

/// The ids of all stores, page by page: each once.
fn list(client: &Client, page_size: usize) -> Result<Vec<String>> {
    let (mut ids, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("/stores?page_size={page_size}&continuation_token={token}");
        let page = client.send("GET", &path, &Value::Null, &[]).granted();
        let stores = page.body["stores"].as_array().unwrap();
        ids.extend(stores.iter().map(|store| store["id"].as_str().unwrap().to_owned()));
        token = page.body["continuation_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            let distinct: BTreeSet<&String> = ids.iter().collect();
            ensure!(distinct.len() == ids.len(), "a store is listed twice");
            return Ok(ids);
        }
    }
}

/// Each store answers for itself alone: its number is in its tuple.
fn answers(url: &str, stores: &[String], step: usize) -> Result<()> {
    for (number, store) in stores.iter().enumerate().step_by(step) {
        let client = Client::of(url, store);
        ensure!(client.allows(&format!("doc:{number} reader user:u{number}")), "store {number}");
        ensure!(!client.allows(&format!("doc:{} reader user:u{}", number + 1, number + 1)), "store {number}");
        ensure!(client.objects("doc", "reader", &format!("user:u{number}")) == [format!("doc:{number}")]);
    }
    Ok(())
}

#[test]
fn ten_thousand_stores() -> Result<()> {
    let count = std::env::var("STONETOWN_STORES").map_or(Ok(10_000), |count| count.parse())?;
    // Each store is synced for itself: in memory, where there is such a place, that takes no time.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let stores = make(dir.path(), count)?;
    let server = Served::on(dir, &["--decision-cache-mib", "8"]);
    let client = Client::of(&server.url, "");
    let mut listed = list(&client, 100)?;
    ensure!(listed.len() == count, "{} listed", listed.len());
    let mut expected = stores.clone();
    expected.sort();
    ensure!(listed == expected, "they are listed by id");
    answers(&server.url, &stores, 97)?;

    let server = server.restart();
    let client = Client::of(&server.url, "");
    ensure!(list(&client, 37)? == expected);
    answers(&server.url, &stores, 211)?;
    // Some go, while pages are read; the others stay.
    let first = client.send("GET", "/stores?page_size=50", &Value::Null, &[]).granted();
    let gone: BTreeSet<&String> = stores.iter().skip(5).step_by(101).collect();
    for store in &gone {
        ensure!(client.send("DELETE", &format!("/stores/{store}"), &Value::Null, &[]).status == 204);
    }
    listed.retain(|store| !gone.contains(store));
    ensure!(list(&client, 100)? == listed);
    let token = first.body["continuation_token"].as_str().unwrap();
    let next = client
        .send("GET", &format!("/stores?page_size=50&continuation_token={token}"), &Value::Null, &[])
        .granted();
    let after = first.body["stores"][49]["id"].as_str().unwrap();
    let expected: Vec<&String> = listed.iter().filter(|id| &***id > after).take(50).collect();
    let found: Vec<&str> =
        next.body["stores"].as_array().unwrap().iter().map(|store| store["id"].as_str().unwrap()).collect();
    ensure!(found == expected, "pages go on behind what was deleted");
    for store in gone.iter().take(5) {
        let client = Client::of(&server.url, store);
        let check = client.check("doc:5 reader user:u5", json!({}));
        ensure!(check.refused() == "latest_authorization_model_not_found", "{check:?}");
    }
    for (number, store) in stores.iter().enumerate().filter(|(_, store)| !gone.contains(store)).step_by(311) {
        ensure!(Client::of(&server.url, store).allows(&format!("doc:{number} reader user:u{number}")));
    }
    let server = server.restart();
    ensure!(list(&Client::of(&server.url, ""), 100)? == listed);
    Ok(())
}

/// Made in this process: over HTTP each would take three requests, each synced for itself.
fn make(dir: &std::path::Path, count: usize) -> Result<Vec<String>> {
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(dir, settings)?;
    let (tree, _) = read_schema("test.fga", SCHEMA).map_err(|problems| anyhow::anyhow!(problems.plain()))?;
    let ids = (0..count)
        .map(|number| Ok(engine.create_store(Some(format!("store {number}")))?.id))
        .collect::<Result<Vec<_>>>()?;
    // Writes that wait together are synced together.
    let threads = 64;
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let (engine, tree, ids) = (&engine, &tree, &ids);
                scope.spawn(move || {
                    for (number, &store) in ids.iter().enumerate().skip(thread).step_by(threads) {
                        engine.write_schema(store, tree)?;
                        engine.write(WriteRequest {
                            store,
                            writes: vec![format!("doc:{number}#viewer@user:u{number}").parse()?],
                            deletes: Vec::new(),
                            preconditions: Vec::new(),
                            on_duplicate: OnDuplicate::Error,
                            on_missing: OnMissing::Error,
                            schema: None,
                        })?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    results.into_iter().collect::<Result<()>>()?;
    Ok(ids.iter().map(ToString::to_string).collect())
}
