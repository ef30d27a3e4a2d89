//! Since when and until when an answer is the same, held against the model at every moment at which anything happened.

use std::collections::BTreeSet;

use stonetown::engine::{At, Cause, EngineError, EvalError, Given, Period, Since, StorageError, Until};
use stonetown::tuple::{Revision, Timestamp, TupleKey};

use super::generator::world;
use super::histories::{is_known, live, setting};
use super::model::{Verdict, judge};
use super::past::State;
use super::random::Random;
use super::store::Store;

const ROUNDS: u64 = 60;
const STEPS: usize = 40;
const QUESTIONS: usize = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Yes,
    No,
    NoAnswer,
}

/// How often each kind of end was seen.
#[derive(Debug, Default)]
struct Seen {
    by_changes: usize,
    by_schema: usize,
    by_expiry: usize,
    collected: usize,
    purged: usize,
    open: usize,
    due: usize,
}

#[test]
fn a_period_is_as_long_as_the_answer_is_the_same() {
    let (first, rounds) = (setting("STONETOWN_SEED", 20_261_122), setting("STONETOWN_ROUNDS", ROUNDS));
    println!("STONETOWN_SEED={first} STONETOWN_ROUNDS={rounds}");
    let mut seen = Seen::default();
    for seed in first..first + rounds {
        let (world, questions) = world(seed);
        let mut random = Random::new(seed ^ 0x9E81);
        let mut store = Store::new(world, &mut random);
        (0..STEPS).for_each(|_| live(&mut store, &mut random));
        for _ in 0..QUESTIONS {
            let question = random.pick(&questions).clone();
            ask(&store, &question, &mut random, &mut seen, seed);
        }
    }
    println!("{seen:?}");
    // Ends that are due depend on how fast this machine is.
    let Seen { by_changes, by_schema, by_expiry, collected, purged, open, due: _ } = seen;
    let least = [by_changes, by_schema, by_expiry, collected, purged, open].into_iter().min();
    assert!(least > Some(0), "some kind of end was never seen");
}

fn outcome(store: &Store, question: &TupleKey, state: &State, now: Timestamp) -> Outcome {
    let Some(schema) = state.schema else { return Outcome::NoAnswer };
    let world = store.world_at(schema, state.seen(now));
    if !is_known(&world, question) {
        return Outcome::NoAnswer;
    }
    match judge(world.program.schema(), &world.tuples, question, world.depth_max) {
        Verdict::Yes => Outcome::Yes,
        Verdict::No => Outcome::No,
        Verdict::TooDeep => Outcome::NoAnswer,
    }
}

fn ask(store: &Store, question: &TupleKey, random: &mut Random, seen: &mut Seen, seed: u64) {
    let now = store.engine().newest(store.id).unwrap().time;
    let past = &store.past;
    let oldest = past.at(past.horizon).time;
    let mut times: BTreeSet<Timestamp> = past.states.iter().map(|state| state.time).collect();
    for end in &store.ends {
        times.insert(*end);
    }
    let around = |time: Timestamp| [-1, 0].map(|by| Timestamp::from_micros(time.as_micros() + by));
    let times: BTreeSet<Timestamp> = times.into_iter().flat_map(around).chain([now]).collect();
    let times: Vec<Timestamp> = times.into_iter().filter(|time| (oldest..=now).contains(time)).collect();
    let time = *random.pick(&times);
    let asked = || -> Result<(bool, Period), EngineError> {
        let view = store.engine().view(store.id, None, &At::Time(time))?;
        let allowed = view.check(question.as_ref(), &Given::default())?.allowed;
        Ok((allowed, view.period(question.as_ref(), &Given::default())?))
    };
    let (allowed, period) = match asked() {
        Ok(answer) => answer,
        Err(EngineError::Eval(EvalError::Storage(StorageError::Purged { .. }))) => return,
        Err(EngineError::Storage(error)) => panic!("{error}"),
        Err(_) => return assert_eq!(outcome(store, question, past.at_time(time), time), Outcome::NoAnswer),
    };
    let said = if allowed { Outcome::Yes } else { Outcome::No };
    let at = |time: Timestamp| outcome(store, question, past.at_time(time), time);
    let what = format!("seed {seed}: {question} at {time}: {period:?}, oldest {oldest}, now {now}");
    let just_before = |time: Timestamp| Timestamp::from_micros(time.as_micros() - 1);
    let since = match &period.since {
        Since::Moment(moment) => {
            assert_eq!(moment.revision, past.at_time(moment.time).revision, "{what}");
            assert_ne!(at(just_before(moment.time)), said, "{what}: it was the same just before");
            count(seen, &moment.cause);
            moment.time
        }
        Since::Beginning(_) => panic!("{what}: there was no schema in the beginning"),
        Since::Collected(revision, time) => {
            seen.collected += 1;
            assert_eq!((*revision, *time), (past.horizon, oldest), "{what}");
            assert!(*revision > Revision::ZERO, "{what}");
            oldest
        }
        Since::Purged(revision, time) => {
            seen.purged += 1;
            assert!(past.is_torn(Revision(revision.0 - 1)), "{what}");
            *time
        }
    };
    let until = match &period.until {
        Until::Moment(moment) => {
            assert_eq!(moment.revision, past.at_time(moment.time).revision, "{what}");
            assert_ne!(at(moment.time), said, "{what}: it is the same afterwards");
            count(seen, &moment.cause);
            just_before(moment.time)
        }
        Until::Purged(revision, time) => {
            seen.purged += 1;
            assert!(past.is_torn(*revision), "{what}");
            just_before(*time)
        }
        Until::Open => {
            seen.open += 1;
            for end in store.ends.iter().filter(|end| **end > now) {
                assert_eq!(outcome(store, question, past.head(), *end), said, "{what}: it ends at {end}");
            }
            now
        }
        Until::Due(time) => {
            seen.due += 1;
            assert!(*time > now, "{what}");
            assert_ne!(outcome(store, question, past.head(), *time), said, "{what}: it is the same then");
            now
        }
    };
    assert!(since <= time && time <= until, "{what}");
    for within in times.into_iter().filter(|time| (since..=until).contains(time)) {
        assert_eq!(at(within), said, "{what}: it was another one at {within}");
    }
}

fn count(seen: &mut Seen, cause: &Cause) {
    match cause {
        Cause::Changes(changes) => {
            assert!(!changes.is_empty());
            seen.by_changes += 1;
        }
        Cause::Schema => seen.by_schema += 1,
        Cause::Expiry => seen.by_expiry += 1,
    }
}
