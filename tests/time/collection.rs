//! Collection beside readers: what somebody holds stays, what nobody holds goes, and its bytes are given back.

use std::ops::ControlFlow;

use stonetown::engine::{
    At, ChangesFrom, ChangesRequest, Engine, EngineError, Given, OnDuplicate, OnMissing, ReadRequest,
    Settings, StorageError, TupleFilter, WriteRequest,
};
use stonetown::schema::Tree;
use stonetown::storage::Retention;
use stonetown::tuple::{StoreId, Timestamp, Token, Tuple};
use tempfile::TempDir;

const SCHEMA: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define viewer: [user]\n";
const TUPLES: usize = 30_000;

fn open(dir: &TempDir) -> Engine {
    let mut settings = Settings::default();
    settings.database.create = true;
    Engine::open(dir.path(), settings).unwrap()
}

fn store(engine: &Engine) -> StoreId {
    let store = engine.create_store(None).unwrap().id;
    engine.write_schema(store, &Tree::parse("collection", SCHEMA).unwrap()).unwrap();
    store
}

fn tuples(round: usize) -> Vec<Tuple> {
    let text =
        |n| format!("doc:{n:06}#viewer@user:{:032x}", n as u128 * 0x9E37_79B9_7F4A_7C15 + round as u128);
    (0..TUPLES).map(|n| text(n).parse().unwrap()).collect()
}

fn write(engine: &Engine, store: StoreId, writes: Vec<Tuple>, deletes: &[Tuple]) -> Token {
    let request = WriteRequest {
        store,
        writes,
        deletes: deletes.iter().map(|tuple| tuple.key.clone()).collect(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        schema: None,
    };
    engine.write(request).unwrap().token
}

fn collect(engine: &Engine, store: StoreId, before: Timestamp) -> stonetown::engine::CollectAnswer {
    engine.collect(store, Some(before), &mut |_| ControlFlow::Continue(())).unwrap()
}

fn now(engine: &Engine, store: StoreId) -> Timestamp {
    engine.newest(store).unwrap().time
}

fn file_bytes(engine: &Engine, store: StoreId) -> u64 {
    let families = engine.store_stats(store).unwrap().families;
    let is_past = |name: &str| ["history", "history_by_subject", "changes"].contains(&name);
    families.iter().filter(|it| is_past(it.family)).map(|it| it.file_bytes + it.memory_bytes).sum()
}

/// A read of everything, as an export makes it, visits its tuples while the store is replaced twice and collected under it. Its
/// state and the log behind it stay; afterwards they go, and their bytes with them.
#[test]
fn a_long_read_keeps_its_horizon_and_gives_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    let begun = write(&engine, store, tuples(0), &[]);
    let mut seen = 0;
    let request = ReadRequest { store, filter: TupleFilter::default(), after: None, at: At::Head };
    let answer = engine.read(&request, &mut |_| {
        seen += 1;
        if seen == 1_000 {
            write(&engine, store, tuples(1), &tuples(0));
            write(&engine, store, tuples(2), &tuples(1));
            let collected = collect(&engine, store, now(&engine, store));
            assert_eq!(collected.oldest, begun.revision, "held by the read");
            // Its state can be asked for from elsewhere, and the log goes on from there.
            let at = At::Token(engine.seal(&begun));
            let view = engine.view(store, None, &at).unwrap();
            assert!(view.check(tuples(0)[29_000].key.as_ref(), &Given::default()).unwrap().allowed);
            let mut changes = 0;
            let from = ChangesFrom::After(engine.seal(&begun));
            let log = ChangesRequest { store, from, object_type: None };
            engine
                .changes(&log, &mut |_, _| {
                    changes += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(changes, 4 * TUPLES);
        }
        ControlFlow::Continue(())
    });
    assert_eq!((answer.unwrap().token.revision, seen), (begun.revision, TUPLES));
    engine.compact().unwrap();
    let held = file_bytes(&engine, store);
    let collected = collect(&engine, store, now(&engine, store));
    assert_eq!(collected.history, 2 * TUPLES as u64);
    assert_eq!(collected.oldest, engine.newest(store).unwrap().revision);
    let left = file_bytes(&engine, store);
    println!("{held} bytes of the past while it was held, {left} afterwards");
    assert!(left < held / 20, "{held} bytes of the past were there, {left} are left");
    let past = engine.view(store, None, &At::Token(engine.seal(&begun)));
    assert!(matches!(past.err(), Some(EngineError::Storage(StorageError::BelowHorizon { .. }))));
    assert_eq!(engine.validate(&mut |_| ()).unwrap().findings, []);
}

/// Whoever comes with a place in the log that is gone is told so, and what is kept instead; nothing is left out in silence.
#[test]
fn the_log_below_the_horizon_is_an_error_that_says_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    let tuples = tuples(0);
    let tokens: Vec<Token> =
        tuples[..8].chunks(2).map(|part| write(&engine, store, part.to_vec(), &[])).collect();
    let oldest = collect(&engine, store, tokens[2].time).oldest;
    assert_eq!(oldest, tokens[2].revision);
    let log = |from: ChangesFrom| {
        let mut found = Vec::new();
        let request = ChangesRequest { store, from, object_type: None };
        engine
            .changes(&request, &mut |change, _| {
                found.push((change.revision, change.ordinal));
                ControlFlow::Continue(())
            })
            .map(|()| found)
    };
    let kept = vec![(tokens[3].revision, 0), (tokens[3].revision, 1)];
    let seal = |at: usize| ChangesFrom::After(engine.seal(&tokens[at]));
    assert_eq!(log(ChangesFrom::Oldest).unwrap(), kept);
    assert_eq!(log(seal(2)).unwrap(), kept);
    assert_eq!(log(ChangesFrom::Behind(oldest, 1)).unwrap(), kept, "the last change of the horizon was seen");
    assert_eq!(log(ChangesFrom::Time(tokens[3].time)).unwrap(), kept);
    let gone = StorageError::LogCollected { oldest, oldest_time: tokens[2].time };
    for from in [seal(1), ChangesFrom::Behind(oldest, 0), ChangesFrom::Time(tokens[2].time)] {
        match log(from.clone()) {
            Err(EngineError::Storage(error)) => assert_eq!(error, gone, "{from:?}"),
            other => panic!("{from:?}: {other:?}"),
        }
    }
    let above = Token { revision: tokens[3].revision.next(), ..tokens[3] };
    let above = log(ChangesFrom::After(engine.seal(&above)));
    assert!(matches!(above, Err(EngineError::Storage(StorageError::AboveHead { .. }))));
}

/// A collection that is stopped half-way, or whose process ends, leaves a sound directory, and the next one finishes it.
#[test]
fn a_collection_that_is_broken_off_is_finished_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    write(&engine, store, tuples(0), &[]);
    let last = write(&engine, store, tuples(1), &tuples(0));
    let broken = engine.collect(store, Some(last.time), &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!(broken.oldest, last.revision, "the horizon comes first");
    assert!((1..3 * TUPLES as u64).contains(&broken.changes), "{broken:?}");
    assert_eq!(engine.validate(&mut |_| ()).unwrap().findings, []);
    drop(engine);
    let engine = open(&dir);
    assert_eq!(engine.validate(&mut |_| ()).unwrap().findings, []);
    let mut changes = 0;
    let log = ChangesRequest { store, from: ChangesFrom::Oldest, object_type: None };
    engine
        .changes(&log, &mut |_, _| {
            changes += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(changes, 0, "what is left below the horizon is not shown");
    let rest = collect(&engine, store, last.time);
    assert_eq!(broken.changes + rest.changes, 3 * TUPLES as u64);
    assert_eq!(broken.history + rest.history, TUPLES as u64);
    let validated = engine.validate(&mut |_| ()).unwrap();
    assert_eq!((validated.history, validated.changes, validated.findings_total), (0, 0, 0));
}

/// The retention of a store decides how far its past reaches; it is a revision of its own, and outlives a restart.
#[test]
fn a_store_keeps_its_past_as_long_as_its_retention_says() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    assert_eq!(engine.find_store(store).unwrap().retention, Retention::Seconds(30 * 24 * 3600));
    let first = write(&engine, store, tuples(0)[..3].to_vec(), &[]);
    let all = |engine: &Engine| engine.collect(store, None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(all(&engine).oldest.0, 0, "thirty days");
    let token = engine.set_retention(store, Retention::Seconds(0)).unwrap();
    assert_eq!(token.revision, first.revision.next());
    drop(engine);
    let engine = open(&dir);
    assert_eq!(engine.find_store(store).unwrap().retention, Retention::Seconds(0));
    assert_eq!(all(&engine).oldest, token.revision);
    engine.set_retention(store, Retention::Forever).unwrap();
    let head = write(&engine, store, tuples(1)[..3].to_vec(), &[]);
    assert_eq!(all(&engine).oldest, token.revision, "what is gone stays gone, the rest is kept");
    assert!(head.revision > token.revision);
    let future = Timestamp::from_micros(now(&engine, store).as_micros() + 3_600_000_000);
    let error = engine.collect(store, Some(future), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, EngineError::Storage(StorageError::FutureTime { .. })), "{error}");
}

/// Collecting a tuple that has ended changes no answer, now or then, and is told as such.
#[test]
fn collecting_what_has_ended_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    let now = Timestamp::wall_clock();
    let end = Timestamp::from_micros(now.as_micros() + 20_000);
    let text = format!("doc:1#viewer@user:anne until {end}");
    let written = write(&engine, store, vec![text.parse().unwrap()], &[]);
    let key = "doc:1#viewer@user:anne".parse::<Tuple>().unwrap().key;
    let ask = |at: At| {
        engine.view(store, None, &at).unwrap().check(key.as_ref(), &Given::default()).unwrap().allowed
    };
    while engine.newest(store).unwrap().time < end {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let just_before = At::Time(Timestamp::from_micros(end.as_micros() - 1));
    let asked = [At::Token(engine.seal(&written)), just_before, At::Time(end), At::Head];
    let before: Vec<bool> = asked.iter().map(|at| ask(at.clone())).collect();
    assert_eq!(before, [true, true, false, false]);
    let collected = engine.collect(store, None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(collected.expired, 1);
    assert_eq!(asked.iter().map(|at| ask(at.clone())).collect::<Vec<_>>(), before);
    assert_eq!(engine.store_stats(store).unwrap().tuples.len(), 0);
    let again = engine.collect(store, None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(again.expired, 0);
}
