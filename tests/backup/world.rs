use std::ops::ControlFlow;
use std::path::Path;

use stonetown::engine::{
    At, BackupAnswer, ChangeKind, ChangesFrom, ChangesRequest, Engine, EngineError, Given, OnDuplicate,
    OnMissing, ReadRequest, RestoreAnswer, RestoreRequest, RestoreTo, Settings, TupleFilter, WriteAnswer,
    WriteRequest,
};
use stonetown::schema::Tree;
use stonetown::tuple::{Revision, SchemaId, StoreId, Timestamp, Token, Tuple, TupleKey};

use crate::random::Random;

const SCHEMA: &str = "
model
  schema 1.1
type user
type org
  relations
    define parent: [org]
    define admin: [user] or admin from parent
type voice
  relations
    define org: [org]
    define viewer: [user, user:*, org#admin]
    define blocked: [user]
    define can_view: (viewer or admin from org) but not blocked
";

/// Small buffers, so that there are many table files.
pub(super) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.database.create = true;
    settings.database.block_cache_bytes = 1 << 20;
    settings.database.write_buffer_bytes = 256 << 10;
    settings
}

pub(super) fn open(dir: &Path) -> Engine {
    Engine::open(dir, settings()).unwrap()
}

/// One of two schemas: in the second one nobody is blocked.
pub(super) fn write_schema(engine: &Engine, store: StoreId, second: bool) -> Token {
    let text = if second { SCHEMA.replace(" but not blocked", "") } else { SCHEMA.to_owned() };
    engine.write_schema(store, &Tree::parse("world", &text).unwrap()).unwrap().token
}

pub(super) fn pool() -> Vec<TupleKey> {
    let mut pool = Vec::new();
    for n in 0..4 {
        for user in ["user:a", "user:b", "user:c", "user:*", "org:0#admin", "org:2#admin"] {
            pool.push(format!("voice:{n}#viewer@{user}"));
        }
        for user in ["user:a", "user:b", "user:c"] {
            pool.push(format!("voice:{n}#blocked@{user}"));
            pool.push(format!("org:{n}#admin@{user}"));
        }
        pool.push(format!("voice:{n}#org@org:{n}"));
        pool.push(format!("org:{n}#parent@org:{}", (n + 1) % 4));
    }
    pool.iter().map(|text| text.parse().unwrap()).collect()
}

/// Some tuples come, some for a while, and some go.
pub(super) fn change(engine: &Engine, store: StoreId, random: &mut Random, key: Option<&str>) -> WriteAnswer {
    let mut keys = pool();
    random.shuffle(&mut keys);
    let deletes = keys.split_off(keys.len() - random.between(0, 4));
    keys.truncate(random.between(1, 4));
    let now = Timestamp::wall_clock().as_micros();
    let mut writes: Vec<Tuple> = keys.into_iter().map(Tuple::plain).collect();
    for tuple in &mut writes {
        let end = Timestamp::from_micros(now + random.between(1, 60_000) as i64);
        tuple.expires_at = random.chance(30).then_some(end);
    }
    let request = WriteRequest {
        store,
        writes,
        deletes,
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Replace,
        on_missing: OnMissing::Ignore,
        schema: None,
    };
    engine.write_once(request, key).unwrap()
}

/// A token of this life of a directory.
fn at(engine: &Engine, store: StoreId, revision: Revision, time: Timestamp) -> Result<At, EngineError> {
    let incarnation = engine.newest(store)?.incarnation;
    Ok(At::Token(engine.seal(&Token { store, incarnation, revision, time })))
}

/// What a state answers.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    tuples: Vec<(Tuple, Revision)>,
    schema: Option<SchemaId>,
    checks: Vec<bool>,
}

/// Everything that a state holds, and checks that are asked of it.
pub(super) fn said(
    engine: &Engine,
    store: StoreId,
    revision: Revision,
    time: Timestamp,
) -> Result<Said, EngineError> {
    let at = at(engine, store, revision, time)?;
    let mut tuples = Vec::new();
    let request = ReadRequest { store, filter: TupleFilter::default(), after: None, at: at.clone() };
    engine.read(&request, &mut |read| {
        tuples.push((read.tuple, read.created));
        ControlFlow::Continue(())
    })?;
    let view = match engine.view(store, None, &at) {
        Ok(view) => view,
        Err(EngineError::NoSchema(_)) => return Ok(Said { tuples, schema: None, checks: Vec::new() }),
        Err(error) => return Err(error),
    };
    let mut checks = Vec::new();
    for n in 0..4 {
        for user in ["user:a", "user:b", "user:d", "org:1#admin"] {
            let question: TupleKey = format!("voice:{n}#can_view@{user}").parse().unwrap();
            checks.push(view.check(question.as_ref(), &Given::default())?.allowed);
        }
    }
    Ok(Said { tuples, schema: Some(view.schema()), checks })
}

/// The change log that is kept.
pub(super) fn log(engine: &Engine, store: StoreId) -> Vec<(Revision, u32, ChangeKind, Option<Tuple>)> {
    let mut log = Vec::new();
    let request = ChangesRequest { store, from: ChangesFrom::Oldest, object_type: None };
    engine
        .changes(&request, &mut |change, _| {
            log.push((change.revision, change.ordinal, change.kind, change.tuple.clone()));
            ControlFlow::Continue(())
        })
        .unwrap();
    log
}

pub(super) fn back_up(engine: &Engine, place: &Path) -> BackupAnswer {
    engine.backup(place, None, &mut |_| ()).unwrap()
}

pub(super) fn restore(
    place: &Path,
    backup: Option<u32>,
    dir: &Path,
    to: RestoreTo,
) -> Result<(Engine, RestoreAnswer), EngineError> {
    let request = RestoreRequest { place: place.to_owned(), backup, dir: dir.to_owned(), to };
    Engine::restore(&request, settings(), &mut |_| ())
}

#[track_caller]
pub(super) fn assert_valid(engine: &Engine) {
    assert_eq!(engine.validate(&mut |_| ()).unwrap().findings, []);
}

/// The seeds of a test: the first, and how many.
pub(super) fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let first = number("STONETOWN_SEED").unwrap_or_else(rand::random);
    let first = first % (u64::MAX / 2);
    let rounds = number("STONETOWN_ROUNDS").unwrap_or(usual);
    println!("STONETOWN_SEED={first} STONETOWN_ROUNDS={rounds}");
    first..first + rounds
}
