//! What the engine costs over what lies under it.
//!
//! Run: `tools/cargo bench --bench engine`. Every benchmark is measured against a floor in the same run, and the ratio is
//! printed as `RATIO …`:
//!
//! - *direct check*, yes, uniformly random over 400,000 tuples, names given as strings, against a RocksDB get of the same
//!   row with its value through a fresh snapshot;
//! - *three-hop check* (voice → organisation → parent → grandparent's admin), yes, against the same RocksDB reads replayed raw,
//!   as recorded from the evaluation;
//! - *schema*: parse and resolve of a 500-line schema, against splitting its text into words and hashing each;
//! - *single write* of one tuple, one client, against one synced RocksDB batch of the same rows;
//! - *grouped writes*: 64 clients, against the same.
//!
//! Data: organisations in trees of depth 3, voices in them, users with roles; seeded, compacted, in the block cache.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

mod support;

use std::cell::RefCell;
use std::collections::HashSet;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use rocksdb::{DB, Options, ReadOptions, WriteBatch, WriteOptions};
use stonetown::engine::{At, CheckRequest, Context, Engine, Given, Settings, WriteRequest};
use stonetown::eval::{self, Limits, Program};
use stonetown::schema::{Schema, read_schema};
use stonetown::storage::{Database, DatabaseOptions, Row, StorageError, TupleFilter, TupleReader};
use stonetown::tuple::{
    ObjectRef, Revision, StoreId, SubjectKind, SubjectRef, Timestamp, Tuple, TupleKey, TupleRef,
};
use support::{Random, against_floor};

const SCHEMA: &str = "model
  schema 1.1

type user

type org
  relations
    define parent: [org]
    define owner: [user]
    define admin: [user] or owner or admin from parent
    define user: [user] or admin

type voice
  relations
    define org: [org]
    define viewer: [user, org#user] or admin from org
";

const ORGS: u64 = 10_000;
const VOICES: u64 = 100_000;
const FAMILIES: [&str; 10] = [
    "tuples",
    "by_subject",
    "history",
    "history_by_subject",
    "changes",
    "revisions",
    "stores",
    "schemas",
    "assertions",
    "meta",
];

/// Organisation n has parent n / 10, so everyone is three steps from a root.
fn tuples() -> Vec<Tuple> {
    let mut random = Random(7);
    let mut tuples = Vec::new();
    let mut add = |text: String| tuples.push(text.parse::<Tuple>().expect("a tuple"));
    for org in 10..ORGS {
        add(format!("org:{org}#parent@org:{}", org / 10));
    }
    for org in 0..ORGS {
        add(format!("org:{org}#admin@user:admin-{org}"));
        add(format!("org:{org}#user@user:user-{org}"));
    }
    for voice in 0..VOICES {
        add(format!("voice:{voice}#org@org:{}", 1_000 + random.below(ORGS - 1_000)));
        for grant in 0..3 {
            add(format!("voice:{voice}#viewer@user:{}-{grant}", random.below(1_000_000)));
        }
    }
    tuples
}

struct World {
    dir: tempfile::TempDir,
    store: StoreId,
    tuples: Vec<Tuple>,
}

fn world() -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(dir.path(), settings).expect("an engine");
    let store = engine.create_store(None).expect("a store").id;
    let (tree, _) = read_schema("bench.fga", SCHEMA).expect("a schema");
    engine.write_schema(store, &tree).expect("a schema");
    let tuples = tuples();
    for chunk in tuples.chunks(50_000) {
        engine.write(request(store, chunk.to_vec())).expect("a write");
    }
    engine.compact().expect("compaction");
    World { dir, store, tuples }
}

fn request(store: StoreId, writes: Vec<Tuple>) -> WriteRequest {
    WriteRequest { writes, ..WriteRequest::of(store) }
}

fn open_raw(dir: &Path) -> DB {
    DB::open_cf_for_read_only(&Options::default(), dir.join("rocksdb"), FAMILIES, false).expect("RocksDB")
}

/// The key of a tuple in `tuples`, as `src/storage/FORMAT.md` describes it, for a subject that is an object.
fn forward_key(tuple: TupleRef<'_>) -> Vec<u8> {
    let mut key = scan_prefix(tuple.object, tuple.relation, tuple.subject.kind());
    let SubjectRef::Object(subject) = tuple.subject else { return key };
    for text in [subject.object_type(), subject.id()] {
        key.extend_from_slice(text.as_bytes());
        key.push(0);
    }
    key
}

fn scan_prefix(object: ObjectRef<'_>, relation: &str, kind: SubjectKind) -> Vec<u8> {
    let mut key = 1u32.to_be_bytes().to_vec();
    for text in [object.object_type(), object.id(), relation] {
        key.extend_from_slice(text.as_bytes());
        key.push(0);
    }
    key.push(match kind {
        SubjectKind::Object => 1,
        SubjectKind::Wildcard => 2,
        SubjectKind::Userset => 3,
    });
    key
}

fn direct_check(criterion: &mut Criterion) {
    let world = world();
    let written: Vec<&TupleKey> =
        world.tuples.iter().map(|tuple| &tuple.key).filter(|key| key.relation.as_str() == "viewer").collect();
    let raw = open_raw(world.dir.path());
    let family = raw.cf_handle("tuples").expect("a family");
    let meta_free = |random: &mut Random| written[random.below(written.len() as u64) as usize];
    let engine = Engine::open(world.dir.path(), Settings::default()).expect("an engine");
    let (mut floor_random, mut random) = (Random(1), Random(1));
    against_floor(
        criterion,
        "direct check",
        "get through a fresh snapshot",
        || {
            let key = forward_key(meta_free(&mut floor_random).as_ref());
            let snapshot = raw.snapshot();
            let value = snapshot.get_pinned_cf(family, key).expect("a get").expect("a row");
            black_box(value.len());
        },
        || {
            let tuple = meta_free(&mut random).as_ref();
            let answer = engine.check(CheckRequest {
                store: world.store,
                tuple,
                schema: None,
                given: Given::default(),
                at: At::Head,
            });
            assert!(answer.expect("an answer").allowed);
        },
    );
    three_hops(criterion, &world, &engine, &raw);
}

/// A read as RocksDB sees it.
enum RawRead {
    Get(Vec<u8>),
    Scan(Vec<u8>),
}

/// Passes every read on and remembers it.
struct Recording<'a> {
    base: &'a dyn TupleReader,
    reads: RefCell<Vec<RawRead>>,
}

impl TupleReader for Recording<'_> {
    fn revision(&self) -> Revision {
        self.base.revision()
    }

    fn now(&self) -> Timestamp {
        self.base.now()
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        self.reads.borrow_mut().push(RawRead::Get(forward_key(tuple)));
        self.base.get(tuple)
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.reads.borrow_mut().push(RawRead::Scan(scan_prefix(object, relation, kind)));
        self.base.subjects(object, relation, kind, visit)
    }

    fn objects(
        &self,
        subject: SubjectRef<'_>,
        object_type: &str,
        relation: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.base.objects(subject, object_type, relation, after, visit)
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.base.scan(filter, visit)
    }
}

fn three_hops(criterion: &mut Criterion, world: &World, engine: &Engine, raw: &DB) {
    let org_of_voice: Vec<(String, u64)> = world
        .tuples
        .iter()
        .filter(|tuple| tuple.key.relation.as_str() == "org")
        .map(|tuple| {
            let org = tuple.key.subject.to_string().trim_start_matches("org:").parse().expect("a number");
            (tuple.key.object.to_string(), org)
        })
        .collect();
    // voice → its organisation → that one's parent → the parent's parent, whose admin is asked about.
    let mut random = Random(3);
    let questions: Vec<TupleKey> = (0..2_000)
        .map(|_| {
            let (voice, org) = &org_of_voice[random.below(org_of_voice.len() as u64) as usize];
            TupleKey::from_parts(voice, "viewer", &format!("user:admin-{}", org / 100)).expect("a question")
        })
        .collect();
    let (_, schema) = read_schema("bench.fga", SCHEMA).expect("a schema");
    let program = Program::new(schema);
    let recorded: Vec<Vec<RawRead>> = {
        // The engine has the directory open; what the evaluation reads does not depend on where it reads from.
        let overlay = stonetown::storage::Overlay::contextual(
            stonetown::storage::Empty { now: Timestamp::default() },
            world.tuples.iter().filter(|tuple| tuple.key.relation.as_str() != "viewer").cloned(),
        );
        questions
            .iter()
            .map(|question| {
                let recording = Recording { base: &overlay, reads: RefCell::default() };
                let answer = eval::check(
                    &program,
                    &recording,
                    question.as_ref(),
                    &Context::default(),
                    &Limits::default(),
                );
                assert!(answer.expect("an answer").allowed);
                recording.reads.into_inner()
            })
            .collect()
    };
    let reads: usize = recorded.iter().map(Vec::len).sum();
    println!("three-hop check: {:.1} reads a question", reads as f64 / recorded.len() as f64);
    let family = raw.cf_handle("tuples").expect("a family");
    let (mut floor_at, mut at) = (0, 0);
    against_floor(
        criterion,
        "three-hop check",
        "the same reads raw",
        || {
            floor_at = (floor_at + 1) % recorded.len();
            let snapshot = raw.snapshot();
            for read in &recorded[floor_at] {
                match read {
                    RawRead::Get(key) => {
                        black_box(snapshot.get_pinned_cf(family, key).expect("a get").is_some());
                    }
                    RawRead::Scan(prefix) => {
                        let mut options = ReadOptions::default();
                        let mut end = prefix.clone();
                        if let Some(last) = end.last_mut() {
                            *last += 1;
                        }
                        options.set_iterate_upper_bound(end);
                        let mut rows = snapshot.raw_iterator_cf_opt(family, options);
                        rows.seek(prefix);
                        while let Some((key, value)) = rows.item() {
                            black_box((key.len(), value.len()));
                            rows.next();
                        }
                    }
                }
            }
        },
        || {
            at = (at + 1) % questions.len();
            let answer = engine.check(CheckRequest {
                store: world.store,
                tuple: questions[at].as_ref(),
                schema: None,
                given: Given::default(),
                at: At::Head,
            });
            assert!(answer.expect("an answer").allowed);
        },
    );
}

/// 500 lines: types with roles, each inheriting from a parent.
fn large_schema() -> String {
    let mut text = String::from("model\n  schema 1.1\n\ntype user\n");
    let mut number = 0;
    while text.lines().count() < 490 {
        text.push_str(&format!("\ntype thing_{number}\n  relations\n"));
        text.push_str(&format!("    define parent: [thing_{number}]\n    define owner: [user]\n"));
        text.push_str("    define admin: [user] or owner or admin from parent\n");
        text.push_str("    define blocked: [user, user:*]\n");
        text.push_str("    define viewer: [user, user:*] or admin or viewer from parent\n");
        text.push_str("    define can_view: viewer but not blocked\n");
        number += 1;
    }
    text
}

fn schema(criterion: &mut Criterion) {
    let text = large_schema();
    println!("schema: {} lines, {} bytes", text.lines().count(), text.len());
    against_floor(
        criterion,
        "parse and resolve 500 lines",
        "split into words, hash each",
        || {
            let words: HashSet<&str> = text.split_whitespace().collect();
            black_box(words.len());
        },
        || {
            let (_, schema): (_, Schema) = read_schema("large.fga", &text).expect("a schema");
            black_box(schema.types().len());
        },
    );
}

/// The rows that writing one tuple puts: two indexes, change, revision, head.
fn raw_rows(number: u64) -> [(&'static str, Vec<u8>, Vec<u8>); 5] {
    let tuple: TupleKey = format!("voice:{number}#viewer@user:{number}").parse().expect("a tuple");
    let key = forward_key(tuple.as_ref());
    let mut change = 1u32.to_be_bytes().to_vec();
    change.extend_from_slice(&number.to_be_bytes());
    [
        ("tuples", key.clone(), vec![1, 7, 0, 0]),
        ("by_subject", key.iter().rev().copied().collect(), vec![1, 7, 0, 0]),
        (
            "changes",
            [change.clone(), vec![0; 4]].concat(),
            [vec![1, 1, 40], key[4..].to_vec(), vec![0, 0]].concat(),
        ),
        ("revisions", change, vec![1; 28]),
        ("meta", b"head/1".to_vec(), vec![1; 28]),
    ]
}

fn writes(criterion: &mut Criterion) {
    let raw_dir = tempfile::tempdir().expect("a directory");
    let dir = tempfile::tempdir().expect("a directory");
    // The same options for the raw side: a data directory of ours, opened raw afterwards.
    drop(
        Database::open(raw_dir.path(), &DatabaseOptions { create: true, ..Default::default() })
            .expect("a database"),
    );
    let raw = DB::open_cf(&Options::default(), raw_dir.path().join("rocksdb"), FAMILIES).expect("RocksDB");
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(dir.path(), settings).expect("an engine");
    let store = engine.create_store(None).expect("a store").id;
    let (tree, _) = read_schema("bench.fga", SCHEMA).expect("a schema");
    engine.write_schema(store, &tree).expect("a schema");
    let next = AtomicU64::new(0);
    let raw_next = AtomicU64::new(0);
    let write_raw = || {
        let mut batch = WriteBatch::default();
        for (family, key, value) in raw_rows(raw_next.fetch_add(1, Ordering::Relaxed)) {
            batch.put_cf(raw.cf_handle(family).expect("a family"), key, value);
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        raw.write_opt(batch, &options).expect("a write");
    };
    let write = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let tuple: Tuple = format!("voice:{number}#viewer@user:{number}").parse().expect("a tuple");
        engine.write(request(store, vec![tuple])).expect("a write")
    };
    against_floor(criterion, "single write", "one synced batch of the same rows", write_raw, || {
        black_box(write());
    });
    grouped(&write_raw, &|| {
        black_box(write());
    });
}

/// 64 clients at once: what sharing a sync gives, as writes a second against one raw client's.
fn grouped(write_raw: &dyn Fn(), write: &(dyn Fn() + Sync)) {
    const CLIENTS: u64 = 64;
    const EACH: u64 = 200;
    let mut ratios: Vec<(f64, f64)> = (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..500 {
                write_raw();
            }
            let raw = 500.0 / start.elapsed().as_secs_f64();
            let start = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..CLIENTS {
                    scope.spawn(|| (0..EACH).for_each(|_| write()));
                }
            });
            (raw, (CLIENTS * EACH) as f64 / start.elapsed().as_secs_f64())
        })
        .collect();
    ratios.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let (raw, ours) = ratios[2];
    println!(
        "RATIO grouped writes: {:.2} × as many a second as one synced raw batch after the other ({ours:.0}/s from {CLIENTS} \
         clients against {raw:.0}/s)\n",
        ours / raw
    );
}

criterion_group!(benches, direct_check, schema, writes);
criterion_main!(benches);
