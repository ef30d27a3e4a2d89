//! The same under concurrency: writers, purges, collections and questions at once. Every answer equals the model at the
//! token that it carries.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stonetown::engine::{
    At, Engine, EngineError, EvalError, Given, ListObjects, OnDuplicate, OnMissing, StorageError,
    WriteRequest,
};
use stonetown::eval::Program;
use stonetown::schema::{Tree, read_schema};
use stonetown::storage::Retention;
use stonetown::tuple::{Object, Revision, StoreId, Timestamp, Token, Tuple, TupleKey};

use super::model::{Verdict, judge};
use super::past::names;
use super::random::Random;

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

const WRITES: usize = 200;

/// What is done to a store, by the revision that it took.
#[derive(Debug, Clone)]
enum Done {
    Write { writes: Vec<Tuple>, deletes: Vec<TupleKey> },
    Purge(Object),
}

/// An answer, and what it was asked.
enum Heard {
    Check(TupleKey, bool),
    Objects(TupleKey, Vec<String>),
}

fn pool() -> Vec<TupleKey> {
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
        pool.push(format!("org:{n}#parent@org:{}", (n + 2) % 4));
    }
    pool.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn every_answer_equals_the_model_at_the_token_it_carries() {
    run(0);
}

#[test]
fn every_answer_equals_the_model_at_the_token_it_carries_also_when_decisions_are_kept() {
    let (hits, misses) = run(1 << 20);
    assert!(hits > 100 && misses > 100, "{hits} hits, {misses} misses");
}

/// Hits and misses of kept decisions.
fn run(decision_cache_bytes: usize) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings =
        stonetown::engine::Settings { decision_cache_bytes, ..stonetown::engine::Settings::default() };
    settings.database.create = true;
    let engine = Arc::new(Engine::open(dir.path(), settings).unwrap());
    let store = engine.create_store(None).unwrap().id;
    engine.set_retention(store, Retention::Seconds(0)).unwrap();
    let tree = Tree::parse("together", SCHEMA).unwrap();
    engine.write_schema(store, &tree).unwrap();
    let done: Mutex<BTreeMap<Revision, Done>> = Mutex::default();
    let heard: Mutex<Vec<(Token, Heard)>> = Mutex::default();
    let writing = AtomicUsize::new(3);
    let (refused, collected) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let is_on = || writing.load(Ordering::Acquire) > 0;
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (engine, done, writing) = (&engine, &done, &writing);
            scope.spawn(move || {
                write(engine, store, &mut Random::new(writer), done);
                writing.fetch_sub(1, Ordering::Release);
            });
        }
        scope.spawn(|| {
            while is_on() {
                let now = engine.newest(store).unwrap().time;
                let before = Timestamp::from_micros(now.as_micros() - 30_000);
                let answer = engine.collect(store, Some(before), &mut |_| ControlFlow::Continue(())).unwrap();
                collected.fetch_add((answer.history + answer.expired) as usize, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            let mut random = Random::new(77);
            while is_on() {
                std::thread::sleep(Duration::from_millis(15));
                let object = random
                    .pick(&["user:a", "user:b", "org:1", "org:2", "voice:0"])
                    .parse::<Object>()
                    .unwrap();
                let answer = engine.purge(store, object.clone(), false).unwrap();
                if answer.purged.tuples + answer.purged.history > 0 {
                    done.lock().unwrap().insert(answer.token.revision, Done::Purge(object));
                }
            }
        });
        for reader in 0..3 {
            let (engine, heard, refused) = (&engine, &heard, &refused);
            let is_on = &is_on;
            scope.spawn(move || {
                let mut random = Random::new(100 + reader);
                while is_on() {
                    ask(engine, store, &mut random, heard, refused);
                }
            });
        }
    });
    let (heard, done) = (heard.into_inner().unwrap(), done.into_inner().unwrap());
    hold(&done, &heard);
    assert_eq!(engine.validate(&mut |_| ()).unwrap().findings, []);
    let (refused, collected) = (refused.into_inner(), collected.into_inner());
    println!(
        "{} answers, {} revisions, {refused} refused, {collected} rows collected",
        heard.len(),
        done.len()
    );
    assert!(heard.len() > 300 && collected > 0, "{} answers, {collected} rows collected", heard.len());
    let stats = engine.store_stats(store).unwrap().decisions.unwrap_or_default();
    println!("{stats:?}");
    (stats.hits, stats.misses)
}

fn write(engine: &Engine, store: StoreId, random: &mut Random, done: &Mutex<BTreeMap<Revision, Done>>) {
    let pool = pool();
    for _ in 0..WRITES {
        let mut keys = pool.clone();
        random.shuffle(&mut keys);
        let deletes = keys.split_off(keys.len() - random.between(0, 4));
        keys.truncate(random.between(1, 4));
        let now = Timestamp::wall_clock().as_micros();
        let mut writes: Vec<Tuple> = keys.into_iter().map(Tuple::plain).collect();
        for tuple in &mut writes {
            let end = Timestamp::from_micros(now + random.between(0, 30_000) as i64);
            tuple.expires_at = random.chance(30).then_some(end);
        }
        let request = WriteRequest {
            store,
            writes: writes.clone(),
            deletes: deletes.clone(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Replace,
            on_missing: OnMissing::Ignore,
            schema: None,
        };
        let answer = engine.write(request).unwrap();
        if answer.changed > 0 {
            let before = done.lock().unwrap().insert(answer.token.revision, Done::Write { writes, deletes });
            assert!(before.is_none(), "a revision is one write's alone");
        }
    }
}

/// Asks now, or again at what was answered before.
fn ask(
    engine: &Engine,
    store: StoreId,
    random: &mut Random,
    heard: &Mutex<Vec<(Token, Heard)>>,
    refused: &AtomicUsize,
) {
    let user = *random.pick(&["user:a", "user:b", "user:c", "user:d"]);
    let question: TupleKey = format!("voice:{}#can_view@{user}", random.below(4)).parse().unwrap();
    let at = {
        let heard = heard.lock().unwrap();
        let again = !heard.is_empty() && random.chance(30);
        let recent = heard.len().saturating_sub(200);
        if again { At::Token(engine.seal(&random.pick(&heard[recent..]).0)) } else { At::Head }
    };
    let answered = || -> Result<(Token, Heard), EngineError> {
        let view = engine.view(store, None, &at)?;
        if random.chance(70) {
            let allowed = view.check(question.as_ref(), &Given::default())?.allowed;
            return Ok((view.token(), Heard::Check(question.clone(), allowed)));
        }
        let mut ids = Vec::new();
        let request = ListObjects {
            object_type: "voice",
            relation: "can_view",
            subject: question.subject.as_ref(),
            after: None,
            time_max: None,
        };
        view.list_objects(&request, &Given::default(), &mut |object| {
            ids.push(object.id().to_owned());
            ControlFlow::Continue(())
        })?;
        Ok((view.token(), Heard::Objects(question.clone(), ids)))
    };
    let mut answered = answered;
    match answered() {
        Ok(answer) => heard.lock().unwrap().push(answer),
        Err(
            EngineError::Storage(StorageError::BelowHorizon { .. })
            | EngineError::Eval(EvalError::Storage(StorageError::Purged { .. })),
        ) if at != At::Head => {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => panic!("{question}: {error}"),
    }
}

/// Goes through everything that was done, in order, and asks the judge what was heard.
fn hold(done: &BTreeMap<Revision, Done>, heard: &[(Token, Heard)]) {
    let program = Program::new(read_schema("together", SCHEMA).unwrap().1);
    let mut by_revision: BTreeMap<Revision, Vec<&(Token, Heard)>> = BTreeMap::new();
    for answer in heard {
        by_revision.entry(answer.0.revision).or_default().push(answer);
    }
    let mut tuples: BTreeMap<TupleKey, Option<Timestamp>> = BTreeMap::new();
    let last = by_revision.keys().chain(done.keys()).max().copied().unwrap_or_default();
    for revision in (0..=last.0).map(Revision) {
        match done.get(&revision) {
            Some(Done::Write { writes, deletes }) => {
                tuples.retain(|key, _| !deletes.contains(key));
                tuples.extend(writes.iter().map(|tuple| (tuple.key.clone(), tuple.expires_at)));
            }
            Some(Done::Purge(object)) => tuples.retain(|key, _| !names(key, object)),
            // A schema, a retention, or tuples that had ended.
            None => {}
        }
        for (token, answer) in by_revision.remove(&revision).into_iter().flatten() {
            let counts = |end: &Option<Timestamp>| end.is_none_or(|end| end > token.time);
            let seen: Vec<Tuple> = tuples
                .iter()
                .filter(|(_, end)| counts(end))
                .map(|(key, _)| Tuple::plain(key.clone()))
                .collect();
            let verdict = |question: &TupleKey| judge(program.schema(), &seen, question, 25);
            match answer {
                Heard::Check(question, allowed) => {
                    let said = if *allowed { Verdict::Yes } else { Verdict::No };
                    assert_eq!(
                        said,
                        verdict(question),
                        "{question} at {revision}, {}\n{seen:#?}",
                        token.time
                    );
                }
                Heard::Objects(question, ids) => {
                    let of =
                        |id: &str| TupleKey { object: Object::new("voice", id).unwrap(), ..question.clone() };
                    let expected: Vec<&str> = ["0", "1", "2", "3"]
                        .into_iter()
                        .filter(|id| verdict(&of(id)) == Verdict::Yes)
                        .collect();
                    assert_eq!(*ids, expected, "voices of {question} at {revision}\n{seen:#?}");
                }
            }
        }
    }
}
