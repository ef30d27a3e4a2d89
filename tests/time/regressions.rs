//! Bugs that were found in the past, each by a test named for it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stonetown::engine::{
    At, ChangesFrom, ChangesRequest, Engine, Given, OnDuplicate, OnMissing, Settings, Since, Until,
    WriteRequest,
};
use stonetown::schema::Tree;
use stonetown::tuple::{StoreId, Timestamp, Token, Tuple, TupleKey};
use tempfile::TempDir;

const SCHEMA: &str = "
model
  schema 1.1
type user
type doc
  relations
    define viewer: [user]
    define editor: [user]
";

fn open(dir: &TempDir) -> Engine {
    let mut settings = Settings::default();
    settings.database.create = true;
    Engine::open(dir.path(), settings).unwrap()
}

fn store(engine: &Engine) -> StoreId {
    let store = engine.create_store(None).unwrap().id;
    engine.write_schema(store, &Tree::parse("regressions", SCHEMA).unwrap()).unwrap();
    store
}

fn write(engine: &Engine, store: StoreId, writes: &[&str], deletes: &[&str]) -> Token {
    let request = WriteRequest {
        store,
        writes: writes.iter().map(|text| text.parse().unwrap()).collect(),
        deletes: deletes.iter().map(|text| text.parse().unwrap()).collect(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        schema: None,
    };
    engine.write(request).unwrap().token
}

fn collect(engine: &Engine, store: StoreId) {
    let now = engine.newest(store).unwrap().time;
    engine.collect(store, Some(now), &mut |_| ControlFlow::Continue(())).unwrap();
}

fn key() -> TupleKey {
    "doc:1#viewer@user:anne".parse().unwrap()
}

/// A request that met the deletion of a collected store went round for ever.
#[test]
fn a_request_ends_when_its_store_is_deleted_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    for _ in 0..20 {
        let store = store(&engine);
        write(&engine, store, &["doc:1#viewer@user:anne"], &[]);
        collect(&engine, store);
        std::thread::scope(|scope| {
            scope.spawn(|| while engine.view(store, None, &At::Head).is_ok() {});
            let oldest = ChangesRequest { store, from: ChangesFrom::Oldest, object_type: None };
            let engine = &engine;
            scope.spawn(
                move || while engine.changes(&oldest, &mut |_, _| ControlFlow::Continue(())).is_ok() {},
            );
            std::thread::sleep(std::time::Duration::from_micros(500));
            engine.delete_store(store).unwrap();
        });
    }
}

/// The period of an answer was looked for in later snapshots than the answer's own.
#[test]
fn a_period_is_that_of_its_own_answer_whatever_is_purged_or_collected_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(&dir));
    let store = store(&engine);
    write(&engine, store, &["doc:1#viewer@user:anne"], &[]);
    write(&engine, store, &[], &["doc:1#viewer@user:anne"]);
    let again = write(&engine, store, &["doc:1#viewer@user:anne"], &[]);
    let view = engine.view(store, None, &At::Head).unwrap();
    engine.purge(store, "user:anne".parse().unwrap(), false).unwrap();
    assert!(view.check(key().as_ref(), &Given::default()).unwrap().allowed);
    let period = view.period(key().as_ref(), &Given::default()).unwrap();
    assert!(matches!(period.since, Since::Moment(moment) if moment.revision == again.revision));
    drop(view);
    // Beside a collector: no answer but a right one.
    let is_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60 {
                let (text, other) = ("doc:1#viewer@user:anne", format!("doc:2#viewer@user:{round}"));
                write(&engine, store, &[text, &other], &[]);
                write(&engine, store, &[], &[text]);
                collect(&engine, store);
            }
            is_on.store(false, Ordering::Release);
        });
        while is_on.load(Ordering::Acquire) {
            let view = engine.view(store, None, &At::Head).unwrap();
            let allowed = view.check(key().as_ref(), &Given::default()).unwrap().allowed;
            let period = view.period(key().as_ref(), &Given::default()).unwrap();
            match period.since {
                Since::Moment(moment) => {
                    let changes = format!("{:?}", moment.cause);
                    assert!(changes.contains(if allowed { "Written" } else { "Deleted" }), "{changes}");
                }
                Since::Collected(..) | Since::Purged(..) => {}
                Since::Beginning(_) => panic!("there was no schema in the beginning"),
            }
        }
    });
}

/// The ends of contextual tuples were left out of the period of an answer.
#[test]
fn a_period_ends_with_the_contextual_tuple_that_it_hangs_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    let first = write(&engine, store, &["doc:1#editor@user:bob"], &[]);
    let given =
        |end: Timestamp| -> Given { vec![Tuple { expires_at: Some(end), ..Tuple::plain(key()) }].into() };
    let later = Timestamp::from_micros(first.time.as_micros() + 60_000_000);
    let view = engine.view(store, None, &At::Head).unwrap();
    let period = view.period(key().as_ref(), &given(later)).unwrap();
    assert_eq!(period.until, Until::Due(later));
    let over = Timestamp::from_micros(first.time.as_micros() + 1);
    while engine.newest(store).unwrap().time <= over {}
    let view = engine.view(store, None, &At::Head).unwrap();
    let period = view.period(key().as_ref(), &given(over)).unwrap();
    assert!(matches!(period.since, Since::Moment(moment) if moment.time == over));
}

/// Asked about a time before the store was made, the period began after that time.
#[test]
fn a_period_holds_the_moment_that_was_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    let schema = engine.view(store, None, &At::Head).unwrap().schema();
    let asked = Timestamp::from_micros(1_000_000);
    let view = engine.view(store, Some(schema), &At::Time(asked)).unwrap();
    let period = view.period(key().as_ref(), &Given::default()).unwrap();
    assert_eq!(period.since, Since::Beginning(asked));
}

/// Who was in the middle of a revision held only what came behind it.
#[test]
fn a_place_within_a_revision_holds_the_rest_of_that_revision() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    let texts: Vec<String> = (0..50).map(|n| format!("doc:{n}#viewer@user:anne")).collect();
    let token = write(&engine, store, &texts.iter().map(|text| &**text).collect::<Vec<_>>(), &[]);
    write(&engine, store, &["doc:1#editor@user:bob"], &[]);
    let held = engine.hold_log(store, (token.revision, 9)).unwrap();
    collect(&engine, store);
    let rest = || {
        let mut count = 0;
        let from = ChangesFrom::Behind(token.revision, 9);
        let request = ChangesRequest { store, from, object_type: None };
        engine.changes(&request, &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok::<_, stonetown::engine::EngineError>(count)
    };
    assert_eq!(rest().unwrap(), 41);
    drop(held);
    collect(&engine, store);
    assert!(rest().is_err(), "and then it goes");
}

/// The horizon and its record were read one after the other, and a collection came between.
#[test]
fn how_far_back_the_past_reaches_is_one_answer() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let store = store(&engine);
    let is_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..100 {
                write(&engine, store, &[&format!("doc:{round}#viewer@user:anne")], &[]);
                collect(&engine, store);
            }
            is_on.store(false, Ordering::Release);
        });
        while is_on.load(Ordering::Acquire) {
            engine.oldest(store).unwrap();
        }
    });
}
