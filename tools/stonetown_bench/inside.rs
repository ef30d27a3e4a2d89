//! In process: a direct check against a get, a check of three hops against the same reads, and growth.

use std::cell::RefCell;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Options, ReadOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stonetown::engine::{
    At, CheckRequest, Context, Engine, Given, OnDuplicate, OnMissing, Settings, WriteRequest,
};
use stonetown::eval::{self, Limits, Program};
use stonetown::schema::read_schema;
use stonetown::storage::{Database, DatabaseOptions, Row, StorageError, TupleFilter, TupleReader};
use stonetown::tuple::{
    ObjectRef, Revision, StoreId, SubjectKind, SubjectRef, Timestamp, Tuple, TupleKey, TupleRef,
};

use crate::bench::{Bench, DataSet};
use crate::check::{TUPLES, world_data};
use crate::process::Scratch;
use crate::report::{Line, budgets, median};
use crate::world::{SCHEMA, Subject, World};

/// How long one turn is, at least.
const TURN: Duration = Duration::from_millis(50);
/// Questions that take turns: more than a processor's caches hold the rows of.
const QUESTIONS: u64 = 1_000_000;
/// Questions of three hops, whose reads are recorded.
const HOP_QUESTIONS: u64 = 200_000;
/// Bytes of the block cache, of both sides.
const CACHE_BYTES: usize = 4 << 30;
/// The family that checks read.
const TUPLES_FAMILY: &str = "tuples";

/// An engine on a copy of a data set, and its store.
struct Inside {
    engine: Engine,
    store: StoreId,
    _scratch: Scratch,
}

impl Inside {
    fn open(bench: &Bench, set: &DataSet) -> anyhow::Result<Inside> {
        let scratch = bench.copy(set)?;
        let mut settings = Settings::default();
        settings.database.block_cache_bytes = CACHE_BYTES;
        let engine = Engine::open(&scratch.path().join("data"), settings)?;
        Ok(Inside { engine, store: set.store.parse()?, _scratch: scratch })
    }

    fn check(&self, question: &Asked) -> bool {
        let tuple = TupleRef::from_parts(&question.object, "viewer", &question.subject);
        let Ok(tuple) = tuple else { return !question.allowed };
        let request =
            CheckRequest { store: self.store, tuple, schema: None, given: Given::default(), at: At::Head };
        self.engine.check(request).is_ok_and(|answer| answer.allowed) == question.allowed
    }
}

/// A question in texts.
struct Asked {
    object: String,
    subject: String,
    allowed: bool,
}

impl Asked {
    fn new(voice: u64, subject: Subject, allowed: bool) -> Asked {
        Asked { object: format!("voice:{voice}"), subject: subject.text(), allowed }
    }
}

/// Two or more things that take turns: the nanoseconds of a call of each, as medians, and the median of each one's
/// ratio to the first.
struct Turns {
    nanos: Vec<f64>,
    ratios: Vec<f64>,
}

fn take_turns(bench: &Bench, calls: &mut [&mut dyn FnMut()]) -> Turns {
    let counts: Vec<u32> = calls.iter_mut().map(|call| calls_per_turn(&mut **call)).collect();
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    let begin = Instant::now();
    // As long as a load would be asked for, with floor and server.
    let time = bench.time() * bench.rounds as u32;
    while begin.elapsed() < time || rounds.len() < 5 {
        rounds.push(calls.iter_mut().zip(&counts).map(|(call, &count)| turn(count, &mut **call)).collect());
    }
    let column = |of: &dyn Fn(&Vec<f64>) -> f64| median(rounds.iter().map(of).collect());
    Turns {
        nanos: (0..calls.len()).map(|at| column(&|round| round[at])).collect(),
        ratios: (0..calls.len()).map(|at| column(&|round| round[at] / round[0])).collect(),
    }
}

fn calls_per_turn(call: &mut dyn FnMut()) -> u32 {
    let mut calls = 1;
    while turn(calls, call) * f64::from(calls) < TURN.as_nanos() as f64 {
        calls *= 2;
    }
    calls
}

/// Nanoseconds a call.
fn turn(calls: u32, call: &mut dyn FnMut()) -> f64 {
    let begin = Instant::now();
    for _ in 0..calls {
        call();
    }
    begin.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// The files of a copy, read only, with the options of `src/storage/rocks/open.rs`.
fn open_raw(dir: &Path) -> anyhow::Result<DB> {
    let files = dir.join("rocksdb");
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    let families = DB::list_cf(&Options::default(), &files)?;
    let families = families.into_iter().map(|name| {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&cache);
        table.set_format_version(7);
        if name == TUPLES_FAMILY {
            table.set_bloom_filter(10.0, false);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
        ColumnFamilyDescriptor::new(name, options)
    });
    Ok(DB::open_cf_descriptors_read_only(&Options::default(), &files, families, false)?)
}

/// The beginning of the keys of an object's relation, as `src/storage/FORMAT.md` describes them.
fn scan_prefix(object: ObjectRef<'_>, relation: &str, kind: SubjectKind) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    // The data set has one store.
    key.extend_from_slice(&1_u32.to_be_bytes());
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

/// A tuple's key in `tuples`.
fn forward_key(tuple: TupleRef<'_>) -> Vec<u8> {
    let mut key = scan_prefix(tuple.object, tuple.relation, tuple.subject.kind());
    let mut push = |text: &str| {
        key.extend_from_slice(text.as_bytes());
        key.push(0);
    };
    match tuple.subject {
        SubjectRef::Object(subject) => {
            push(subject.object_type());
            push(subject.id());
        }
        SubjectRef::Wildcard(object_type) => push(object_type),
        SubjectRef::Userset(object, relation) => {
            push(object.object_type());
            push(object.id());
            push(relation);
        }
    }
    key
}

/// The row `direct`.
pub(crate) fn direct(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let world = World::of_tuples(bench.tuples(TUPLES));
    let set = world_data(bench, world)?;
    let inside = Inside::open(bench, &set)?;
    let raw_copy = bench.copy(&set)?;
    let raw = open_raw(&raw_copy.path().join("data"))?;
    let family = raw.cf_handle(TUPLES_FAMILY).context("no family of tuples")?;
    let mut random = StdRng::seed_from_u64(5);
    let mut questions = Vec::with_capacity(QUESTIONS as usize);
    while (questions.len() as u64) < bench.sized(QUESTIONS, 50_000) {
        let voice = random.random_range(0..world.voices);
        let grant = world.grant(voice, random.random_range(0..3));
        if let Subject::Person(_) = grant {
            questions.push(Asked::new(voice, grant, true));
        }
    }
    let (mut wrong, mut missing) = (0_u64, 0_u64);
    let (mut at, mut floor_at) = (0, 0);
    let mut floor = || {
        floor_at = (floor_at + 1) % questions.len();
        let question = &questions[floor_at];
        let mut key = Vec::with_capacity(64);
        key.extend_from_slice(&1_u32.to_be_bytes());
        push_parts(&mut key, &question.object);
        key.extend_from_slice(b"viewer\0\x01");
        push_parts(&mut key, &question.subject);
        let snapshot = raw.snapshot();
        match snapshot.get_pinned_cf(family, key) {
            Ok(Some(value)) => drop(black_box(value.len())),
            _ => missing += 1,
        }
    };
    let mut ours = || {
        at = (at + 1) % questions.len();
        wrong += u64::from(!inside.check(&questions[at]));
    };
    for _ in 0..questions.len() {
        floor();
        ours();
    }
    let turns = take_turns(bench, &mut [&mut floor, &mut ours]);
    ensure!(missing == 0, "{missing} rows were not found by raw gets");
    let mut line = Line::new("direct", "direct check in process, a yes, uniform", turns.nanos[1], "ns")
        .against("get with value through a fresh snapshot", turns.nanos[0], turns.ratios[1])
        .budget(budgets::DIRECT)
        .not_judged(bench.smaller(set.tuples, TUPLES))
        .note(format!(
            "{} tuples, {} questions in turn; names as texts, taken apart by both",
            set.tuples,
            questions.len()
        ));
    line.wrong = wrong;
    Ok(vec![line])
}

/// `type:id` as two strings of a key.
fn push_parts(key: &mut Vec<u8>, text: &str) {
    let (object_type, id) = text.split_once(':').unwrap_or((text, ""));
    key.extend_from_slice(object_type.as_bytes());
    key.push(0);
    key.extend_from_slice(id.as_bytes());
    key.push(0);
}

/// A read as RocksDB sees it.
enum RawRead {
    Get(Vec<u8>),
    /// All rows, or in the family by subject the first.
    Scan {
        by_subject: bool,
        from: Vec<u8>,
        end: Vec<u8>,
    },
}

/// Passes every read on and remembers it.
struct Recording<'a> {
    base: &'a dyn TupleReader,
    reads: RefCell<Vec<RawRead>>,
    others: RefCell<u64>,
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
        let from = scan_prefix(object, relation, kind);
        let end = behind(&from);
        self.reads.borrow_mut().push(RawRead::Scan { by_subject: false, from, end });
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
        let SubjectRef::Object(of) = subject else {
            *self.others.borrow_mut() += 1;
            return self.base.objects(subject, object_type, relation, after, visit);
        };
        let mut from = 1_u32.to_be_bytes().to_vec();
        from.push(1);
        for text in [of.object_type(), of.id(), object_type, relation] {
            from.extend_from_slice(text.as_bytes());
            from.push(0);
        }
        let end = behind(&from);
        self.reads.borrow_mut().push(RawRead::Scan { by_subject: true, from, end });
        self.base.objects(subject, object_type, relation, after, visit)
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        *self.others.borrow_mut() += 1;
        self.base.scan(filter, visit)
    }
}

/// The end of all keys that begin with these bytes, the last of which is no 255.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// What the evaluation of each question reads.
fn record(dir: &Path, store: StoreId, questions: &[Asked]) -> anyhow::Result<Vec<Vec<RawRead>>> {
    let database =
        Database::open(dir, &DatabaseOptions { block_cache_bytes: CACHE_BYTES, ..Default::default() })?;
    let number = database.store_number(store).context("the store is not there")?;
    let state = database.head(number)?;
    let (_, schema) =
        read_schema("bench.fga", SCHEMA).map_err(|_| anyhow::anyhow!("the schema has problems"))?;
    let program = Program::new(schema);
    let one = |question: &Asked| {
        let recording = Recording { base: &state, reads: RefCell::default(), others: RefCell::default() };
        let tuple = TupleKey::from_parts(&question.object, "viewer", &question.subject)?;
        let answer =
            eval::check(&program, &recording, tuple.as_ref(), &Context::default(), &Limits::default())?;
        ensure!(answer.allowed == question.allowed, "{tuple} was answered with {}", answer.allowed);
        ensure!(recording.others.into_inner() == 0, "{tuple} reads what is not replayed");
        Ok(recording.reads.into_inner())
    };
    questions.iter().map(one).collect()
}

/// The row `hops`.
pub(crate) fn hops(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let world = World::of_tuples(bench.tuples(TUPLES));
    let set = world_data(bench, world)?;
    let mut random = StdRng::seed_from_u64(6);
    // The voice, its organisation, that one's parent, and the parent's parent, whose admin is asked about.
    let questions: Vec<Asked> = (0..bench.sized(HOP_QUESTIONS, 10_000))
        .map(|_| {
            let voice = random.random_range(0..world.voices);
            Asked::new(voice, Subject::Admin(world.org_above(voice, 2)), true)
        })
        .collect();
    let raw_copy = bench.copy(&set)?;
    let dir = raw_copy.path().join("data");
    let recorded = record(&dir, set.store.parse()?, &questions)?;
    let raw = open_raw(&dir)?;
    let inside = Inside::open(bench, &set)?;
    let family = raw.cf_handle(TUPLES_FAMILY).context("no family of tuples")?;
    let subjects = raw.cf_handle("by_subject").context("no family by subject")?;
    let (mut at, mut floor_at, mut wrong, mut failed) = (0, 0, 0_u64, 0_u64);
    let mut floor = || {
        floor_at = (floor_at + 1) % recorded.len();
        let snapshot = raw.snapshot();
        for read in &recorded[floor_at] {
            match read {
                RawRead::Get(key) => match snapshot.get_pinned_cf(family, key) {
                    Ok(found) => drop(black_box(found.is_some())),
                    Err(_) => failed += 1,
                },
                RawRead::Scan { by_subject, from, end } => {
                    let mut options = ReadOptions::default();
                    options.set_iterate_upper_bound(end.as_slice());
                    let family = if *by_subject { subjects } else { family };
                    let mut rows = snapshot.raw_iterator_cf_opt(family, options);
                    rows.seek(from);
                    while let Some((key, value)) = rows.item() {
                        black_box((key.len(), value.len()));
                        if *by_subject {
                            break;
                        }
                        rows.next();
                    }
                }
            }
        }
    };
    let mut ours = || {
        at = (at + 1) % questions.len();
        wrong += u64::from(!inside.check(&questions[at]));
    };
    for _ in 0..questions.len() {
        floor();
        ours();
    }
    let turns = take_turns(bench, &mut [&mut floor, &mut ours]);
    ensure!(failed == 0, "{failed} raw gets failed");
    let count = |wanted: fn(&RawRead) -> bool| {
        let all: usize = recorded.iter().map(|reads| reads.iter().filter(|read| wanted(read)).count()).sum();
        all as f64 / recorded.len() as f64
    };
    let gets = count(|read| matches!(read, RawRead::Get(_)));
    let scans = count(|read| matches!(read, RawRead::Scan { .. }));
    let mut line = Line::new("hops", "three-hop check in process, a yes", turns.nanos[1], "ns")
        .against("the same RocksDB reads replayed raw", turns.nanos[0], turns.ratios[1])
        .budget(budgets::HOPS)
        .not_judged(bench.smaller(set.tuples, TUPLES))
        .note(format!(
            "{gets:.1} gets and {scans:.1} scans a question; {} questions in turn",
            questions.len()
        ));
    line.wrong = wrong;
    Ok(vec![line])
}

/// Synced writes of one tuple each in process, by so many clients; their rate.
pub(crate) fn writes(dir: &Path, clients: usize, rounds: usize, time: Duration) -> anyhow::Result<Written> {
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(dir, settings)?;
    let store = engine.create_store(None)?.id;
    let (tree, _) =
        read_schema("bench.fga", SCHEMA).map_err(|_| anyhow::anyhow!("the schema has problems"))?;
    engine.write_schema(store, &tree)?;
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let write = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let voice = number.wrapping_mul(2_654_435_761) % 1_000_003;
        let tuple: Result<Tuple, _> = format!("voice:{voice}#viewer@user:writer-{number}").parse();
        let Ok(tuple) = tuple else { return false };
        let request = WriteRequest {
            store,
            writes: vec![tuple],
            deletes: Vec::new(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Error,
            on_missing: OnMissing::Error,
            schema: None,
        };
        engine.write(request).is_ok()
    };
    let run = |time: Duration| {
        let count = AtomicU64::new(0);
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    while begin.elapsed() < time {
                        let counter = if write() { &count } else { &failed };
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        count.into_inner() as f64 / begin.elapsed().as_secs_f64()
    };
    run(time / 4);
    let before = engine.store_stats(store)?.writes;
    let rates: Vec<f64> = (0..rounds).map(|_| run(time)).collect();
    let after = engine.store_stats(store)?.writes;
    let writes_per_sync = (after.0 - before.0) as f64 / (after.1 - before.1).max(1) as f64;
    Ok(Written { rates, writes_per_sync, failed: failed.into_inner() })
}

/// What came of writes in process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Writes a second, round by round.
    pub(crate) rates: Vec<f64>,
    /// Their mean.
    pub(crate) writes_per_sync: f64,
    /// Those that were refused.
    pub(crate) failed: u64,
}

/// The row `growth`.
pub(crate) fn growth(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let usual = [100_000, 1_000_000, 10_000_000];
    let sizes = usual.map(|size| match bench.tuples {
        Some(largest) => size * largest / usual[2],
        None if bench.is_quick => size / 10,
        None => size,
    });
    let mut all = Vec::new();
    for size in sizes {
        let world = World::of_tuples(size);
        let set = world_data(bench, world)?;
        let inside = Inside::open(bench, &set)?;
        let stream = world.stream(bench.sized(300_000, 30_000).min(world.voices * 4) as usize, 12)?;
        let questions: Vec<Asked> =
            stream.questions.iter().map(|(it, allowed)| Asked::new(it.voice, it.subject, *allowed)).collect();
        all.push((set.tuples, inside, questions, stream.order));
    }
    let wrong = RefCell::new(0_u64);
    let mut calls: Vec<Box<dyn FnMut() + '_>> = all
        .iter()
        .map(|(_, inside, questions, order)| {
            let (mut at, wrong) = (0, &wrong);
            Box::new(move || {
                at = (at + 1) % order.len();
                let is_right = inside.check(&questions[order[at] as usize]);
                *wrong.borrow_mut() += u64::from(!is_right);
            }) as Box<dyn FnMut()>
        })
        .collect();
    for (call, (_, _, _, order)) in calls.iter_mut().zip(&all) {
        order.iter().for_each(|_| call());
    }
    let mut turned: Vec<&mut dyn FnMut()> =
        calls.iter_mut().map(|call| &mut **call as &mut dyn FnMut()).collect();
    let turns = take_turns(bench, &mut turned);
    drop(turned);
    drop(calls);
    let [.., (tuples, ..)] = all.as_slice() else { bail!("no sizes") };
    let shown: Vec<String> = all
        .iter()
        .zip(&turns.nanos)
        .map(|((tuples, ..), nanos)| format!("{tuples}: {nanos:.0} ns"))
        .collect();
    let mut line = Line::new("growth", "check in process, the mix of `check`, largest", turns.nanos[2], "ns")
        .against("the same with the fewest tuples", turns.nanos[0], turns.ratios[2])
        .budget(budgets::GROWTH)
        .not_judged(bench.smaller(*tuples, usual[2]))
        .note(shown.join(", "))
        .detail(
            "ns_by_tuples",
            json!(all.iter().map(|it| it.0).zip(turns.nanos.clone()).collect::<Vec<_>>()),
        );
    line.wrong = wrong.into_inner();
    Ok(vec![line])
}
