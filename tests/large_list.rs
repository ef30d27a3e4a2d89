//! A list of a million objects: complete, each object once, and the server's memory does not grow with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::io::{BufRead, BufReader};

use serde_json::json;
use stonetown::engine::{Engine, OnDuplicate, OnMissing, Settings, WriteRequest};
use stonetown::schema::Tree;
use stonetown::tuple::{StoreId, Tuple};
use support::Served;
use tempfile::TempDir;

const SCHEMA: &str = "
model
  schema 1.1
type user
type group
  relations
    define member: [user]
type folder
  relations
    define viewer: [user]
type doc
  relations
    define parent: [folder]
    define viewer: [user, group#member] or viewer from parent
    define can_view: viewer
";

const DOCS: usize = 1_000_000;
const WRITE: usize = 50_000;
/// Holding the ids of the list, 43 bytes each, would take several times this.
const GROWTH_MAX: u64 = 32 << 20;

fn doc(number: usize) -> String {
    format!("doc:{number:07}-a-name-as-long-as-names-often-are")
}

/// A third of the documents is held directly, a third by a group, a third by ten folders; every tenth twice.
fn tuples() -> impl Iterator<Item = Tuple> {
    let plain = |object: String, relation: &str, subject: &str| {
        Tuple::plain(stonetown::tuple::TupleKey::from_parts(&object, relation, subject).unwrap())
    };
    let ways = [plain("group:g".to_owned(), "member", "user:anne")];
    let folders = (0..10).map(move |folder| plain(format!("folder:{folder}"), "viewer", "user:anne"));
    let docs = (0..DOCS).flat_map(move |number| {
        let direct = plain(doc(number), "viewer", "user:anne");
        let one = match number % 3 {
            0 => direct.clone(),
            1 => plain(doc(number), "viewer", "group:g#member"),
            _ => plain(doc(number), "parent", &format!("folder:{}", number / 3 % 10)),
        };
        let another = (number % 10 == 1 && number % 3 != 0).then_some(direct);
        [Some(one), another].into_iter().flatten()
    });
    ways.into_iter().chain(folders).chain(docs)
}

fn load(dir: &TempDir) -> StoreId {
    let mut settings = Settings::default();
    settings.database.create = true;
    settings.database.write_buffer_bytes = 64 << 20;
    let engine = Engine::open(dir.path(), settings).unwrap();
    let store = engine.create_store(Some("large".to_owned())).unwrap().id;
    engine.write_schema(store, &Tree::parse("large", SCHEMA).unwrap()).unwrap();
    let mut tuples = tuples().peekable();
    while tuples.peek().is_some() {
        let request = WriteRequest {
            store,
            writes: tuples.by_ref().take(WRITE).collect(),
            deletes: Vec::new(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Error,
            on_missing: OnMissing::Error,
            schema: None,
        };
        engine.write(request).unwrap();
    }
    engine.compact().unwrap();
    store
}

/// The most memory that a process has ever held, and what it holds now, in bytes.
fn memory(process: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    };
    (field("VmHWM:"), field("VmRSS:"))
}

/// Streams the list; the objects come sorted, so each is held against the one before it only.
fn stream(server: &Served, store: StoreId, relation: &str, user: &str) -> usize {
    let body = json!({ "type": "doc", "relation": relation, "user": user });
    let url = format!("{}/stores/{store}/streamed-list-objects", server.url);
    let response = ureq::post(&url).send_json(&body).unwrap();
    let mut count = 0;
    let mut last = String::new();
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let object = line["result"]["object"].as_str().unwrap_or_else(|| panic!("{line}"));
        assert!(object > last.as_str(), "{object} after {last}");
        last = object.to_owned();
        count += 1;
    }
    count
}

#[test]
#[cfg(target_os = "linux")]
fn a_million_objects_stream_with_flat_memory() {
    let dir = TempDir::new().unwrap();
    let store = load(&dir);
    let server = Served::on(dir, &["--cache-mib", "8"]);
    assert_eq!(stream(&server, store, "viewer", "user:bob"), 0);
    // Once to warm up what is filled once, such as the indexes of table files.
    assert_eq!(stream(&server, store, "viewer", "user:anne"), DOCS);
    let (_, before) = memory(server.process_id());
    assert_eq!(stream(&server, store, "can_view", "user:anne"), DOCS);
    let (most, after) = memory(server.process_id());
    println!("resident before {before}, after {after}, most ever {most}");
    assert!(most.saturating_sub(before) < GROWTH_MAX, "resident before {before}, most ever {most}");
    assert!(after.saturating_sub(before) < GROWTH_MAX / 2, "resident before {before}, after {after}");
}
