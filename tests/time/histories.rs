//! Random histories, asked at every kept revision and at random times, through check and lists.

use std::collections::BTreeSet;

use stonetown::engine::{At, EngineError, EvalError, Given, StorageError};
use stonetown::storage::Retention;
use stonetown::tuple::{Object, Subject, Timestamp, TupleKey};

use super::generator::{World, world};
use super::lists::{Asked, Counts, objects_are_those_that_check_yes, subjects_are_those_that_check_yes};
use super::model::{Verdict, judge};
use super::past::State;
use super::random::Random;
use super::store::Store;

const ROUNDS: u64 = 30;
const STEPS: usize = 45;

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What was asked, so that it can be seen that something was.
#[derive(Debug, Default)]
struct Asks {
    checks: usize,
    yes: usize,
    purged: usize,
    below: usize,
    lists: Counts,
}

#[test]
fn random_histories_agree_with_a_model_that_keeps_every_state() {
    let (first, rounds) = (setting("STONETOWN_SEED", 20_261_122), setting("STONETOWN_ROUNDS", ROUNDS));
    println!("STONETOWN_SEED={first} STONETOWN_ROUNDS={rounds}");
    let mut asks = Asks::default();
    let mut revisions = 0;
    for seed in first..first + rounds {
        let (world, questions) = world(seed);
        let mut random = Random::new(seed ^ 0x71AE);
        let mut store = Store::new(world, &mut random);
        for step in 0..STEPS {
            live(&mut store, &mut random);
            if step % 9 == 8 {
                hold(&store, &questions, &mut random, &mut asks, &format!("seed {seed}, step {step}"));
            }
        }
        revisions += store.past.states.len();
        assert_eq!(store.engine().validate(&mut |_| ()).unwrap().findings, [], "seed {seed}");
    }
    println!("{revisions} revisions, {asks:?}");
    assert!(asks.yes > 0 && asks.below > 0 && asks.purged > 0 && asks.lists.objects > 0, "{asks:?}");
}

/// One thing happens.
pub(crate) fn live(store: &mut Store, random: &mut Random) {
    match random.below(100) {
        0..62 => store.write(random),
        62..70 => {
            let schema = random.below(store.schemas.len());
            store.write_schema(schema);
        }
        70..78 => {
            let mut objects: BTreeSet<Object> = BTreeSet::new();
            for key in store.past.states.iter().flat_map(|state| state.tuples.keys()) {
                objects.insert(key.object.clone());
                if let Subject::Object(of) | Subject::Userset(of, _) = &key.subject {
                    objects.insert(of.clone());
                }
            }
            let objects: Vec<Object> = objects.into_iter().collect();
            if !objects.is_empty() && random.chance(50) {
                store.purge(random.pick(&objects).clone());
            }
        }
        78..86 => {
            // Mostly of a recent past, so that some of it stays.
            let states = &store.past.states;
            let at = if random.chance(80) { states.len() * 2 / 3 } else { states.len() };
            let state = random.pick(&states[..at.max(1)]);
            let time = Timestamp::from_micros(state.time.as_micros() + random.below(3) as i64 - 1);
            store.collect(time);
        }
        86..90 => {
            let retention = if random.chance(50) { Retention::Forever } else { Retention::Seconds(3600) };
            let token = store.engine().set_retention(store.id, retention).unwrap();
            store.past.push(token.revision, token.time, |_| ());
        }
        90..94 => store.restart(),
        _ => std::thread::sleep(std::time::Duration::from_millis(random.below(8) as u64)),
    }
}

/// Asks at every revision, above and below the horizon, and at times around every commit and every end.
fn hold(store: &Store, questions: &[TupleKey], random: &mut Random, asks: &mut Asks, what: &str) {
    store.hold_log();
    assert_eq!(store.engine().validate(&mut |_| ()).unwrap().findings, [], "{what}");
    let now = store.engine().newest(store.id).unwrap().time;
    for state in &store.past.states {
        // A token's time is its commit's or later, before or after some tuple ended.
        let mut time = state.time;
        if random.chance(50) && !store.ends.is_empty() {
            let end = random.pick(&store.ends).as_micros() + random.below(3) as i64 - 1;
            time = time.max(Timestamp::from_micros(end));
        }
        let at = store.token(state.revision, time);
        ask(store, &at, state, time, questions, random, asks, what);
    }
    let mut times: Vec<Timestamp> = store.past.states.iter().map(|state| state.time).collect();
    times.extend(&store.ends);
    random.shuffle(&mut times);
    for time in times.into_iter().take(20) {
        let time = Timestamp::from_micros(time.as_micros() + random.below(3) as i64 - 1);
        if time > now {
            continue;
        }
        let state = store.past.at_time(time);
        ask(store, &At::Time(time), state, time, questions, random, asks, what);
    }
}

#[expect(clippy::too_many_arguments, reason = "one place of a test")]
fn ask(
    store: &Store,
    at: &At,
    state: &State,
    now: Timestamp,
    questions: &[TupleKey],
    random: &mut Random,
    asks: &mut Asks,
    what: &str,
) {
    let horizon = store.past.horizon;
    let what = format!("{what}, revision {}, {now}, horizon {horizon}", state.revision);
    let view = match store.engine().view(store.id, None, at) {
        Ok(view) => view,
        Err(EngineError::Storage(StorageError::BelowHorizon { oldest, oldest_time, .. })) => {
            asks.below += 1;
            assert_eq!((oldest, oldest_time), (horizon, store.past.at(horizon).time), "{what}");
            let is_below =
                state.revision < horizon || (matches!(at, At::Time(_)) && now < store.past.at(horizon).time);
            return assert!(is_below, "{what}");
        }
        Err(EngineError::NoSchema(_)) => return assert_eq!(state.schema, None, "{what}"),
        Err(error) => panic!("{what}: {error}"),
    };
    assert!(state.revision >= horizon, "{what} is kept");
    let world = store.world_at(state.schema.expect("a schema was in force"), state.seen(now));
    let is_torn = store.past.is_torn(state.revision);
    let question = random.pick(questions);
    if !is_known(&world, question) {
        return;
    }
    asks.checks += 1;
    let expected = judge(world.program.schema(), &world.tuples, question, world.depth_max);
    match view.check(question.as_ref(), &Given::default()) {
        Ok(answer) => {
            let said = if answer.allowed { Verdict::Yes } else { Verdict::No };
            asks.yes += usize::from(answer.allowed);
            assert_eq!(said, expected, "{what}: {question}\n{}\n{:#?}", world.sketch, state.tuples);
        }
        Err(EngineError::Eval(EvalError::TooDeep(_))) => assert_eq!(expected, Verdict::TooDeep, "{what}"),
        Err(EngineError::Eval(EvalError::Storage(StorageError::Purged { .. }))) => {
            assert!(is_torn, "{what}: {question} is said to need what is purged");
            asks.purged += 1;
        }
        Err(error) => panic!("{what}: {question}: {error}"),
    }
    if !is_torn && random.chance(20) {
        let asked = Asked::View(&view);
        objects_are_those_that_check_yes(&world, &asked, question, &mut asks.lists);
        subjects_are_those_that_check_yes(&world, &asked, question, &mut asks.lists);
    }
}

/// Whether a schema has all the names of a question.
pub(crate) fn is_known(world: &World, question: &TupleKey) -> bool {
    let schema = world.program.schema();
    let has = |object_type: &str, relation: Option<&str>| {
        schema
            .type_named(object_type)
            .is_some_and(|of| relation.is_none_or(|relation| schema.relation_named(of, relation).is_some()))
    };
    let subject_relation = match &question.subject {
        Subject::Userset(_, relation) => Some(relation.as_str()),
        _ => None,
    };
    has(question.object.object_type(), Some(question.relation.as_str()))
        && has(question.subject.subject_type(), subject_relation)
}
