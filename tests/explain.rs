//! Explanations, held against the judge in random worlds: a proof is enough by itself, needs each of its tuples, and is broken
//! by each tuple that must stay absent; a near miss works, and no part of it does.
//!
//! ```text
//! STONETOWN_CASES=100000 STONETOWN_SEED=1 tools/cargo test --release --test explain -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, dead_code, reason = "a test")]

#[path = "judge/generator.rs"]
mod generator;
#[path = "judge/model.rs"]
mod model;
#[path = "judge/random.rs"]
mod random;
#[path = "judge/schemas.rs"]
mod schemas;
#[path = "judge/sketch.rs"]
mod sketch;
#[path = "judge/tuples.rs"]
mod tuples;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stonetown::analysis::{ExplainRequest, Explained, Explanation, explain};
use stonetown::condition::Context;
use stonetown::engine::admit_stored;
use stonetown::eval::{EvalError, Limits};
use stonetown::storage::{Empty, Overlay};
use stonetown::tuple::{Object, Relation, Timestamp, Tuple, TupleKey};

use generator::{World, world};
use model::{Verdict, judge};

const CASES: u64 = 5_000;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

type Counts = BTreeMap<&'static str, usize>;

#[test]
fn proofs_are_enough_and_near_misses_work() {
    let (cases, seed) = (setting("STONETOWN_CASES", CASES), setting("STONETOWN_SEED", 20_261_122));
    let (next, counts) = (AtomicU64::new(0), Mutex::new(Counts::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases {
                        return;
                    }
                    let seed = seed.wrapping_add(number);
                    let (world, questions) = world(seed);
                    if world.tuples.len() > 80 {
                        continue;
                    }
                    let mut found = Counts::new();
                    for question in &questions[..2] {
                        one(seed, &world, question, &mut found);
                    }
                    let mut counts = counts.lock().unwrap();
                    found.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{cases} cases: {counts:?}");
    if cases >= 1_000 {
        for name in
            ["yes", "no", "proofs", "absent", "misses", "deletes", "taken away", "shortest", "searched"]
        {
            assert!(counts.get(name).is_some_and(|count| *count >= 20), "{name}: too few: {counts:?}");
        }
        assert!(counts.contains_key("despite"), "{counts:?}");
        // Hardly any yes goes without a proof, and hardly any no that somebody could mend without a near miss.
        assert!(counts.get("unproven").copied().unwrap_or(0) * 500 < counts["yes"], "{counts:?}");
    }
}

/// A tuple that names the subject of a question, or a deletion, that makes its answer a yes.
fn single_changes(world: &World, question: &TupleKey, is_yes: &dyn Fn(&[Tuple]) -> bool) -> Option<String> {
    let schema = world.program.schema();
    let without = |left_out: usize| {
        let kept = world.tuples.iter().enumerate().filter(|(at, _)| *at != left_out);
        kept.map(|(_, tuple)| tuple.clone()).collect::<Vec<_>>()
    };
    if let Some(at) = (0..world.tuples.len()).find(|at| is_yes(&without(*at))) {
        return Some(format!("without {}", world.tuples[at]));
    }
    let mut objects: Vec<Object> = world.tuples.iter().map(|tuple| tuple.key.object.clone()).collect();
    objects.push(question.object.clone());
    objects.sort_by_key(ToString::to_string);
    objects.dedup();
    for object in objects {
        let Some(of) = schema.type_named(object.object_type()) else { continue };
        for relation in &schema.type_at(of).relations {
            let relation = Relation::new(&schema.relation_at(*relation).name).unwrap();
            let subject = question.subject.clone();
            let tuple = Tuple::plain(TupleKey { object: object.clone(), relation, subject });
            let is_new = world.tuples.iter().all(|known| known.key != tuple.key);
            if is_new && admit_stored(schema, &tuple).is_ok() {
                let mut more = world.tuples.clone();
                more.push(tuple.clone());
                if is_yes(&more) {
                    return Some(format!("with {tuple}"));
                }
            }
        }
    }
    None
}

fn one(seed: u64, world: &World, question: &TupleKey, counts: &mut Counts) {
    let mut count = |name: &'static str, by: usize| *counts.entry(name).or_default() += by;
    let schema = world.program.schema();
    let state = Overlay::contextual(Empty { now: Timestamp::default() }, world.tuples.iter().cloned());
    let limits = Limits {
        depth_max: world.depth_max,
        reads_max: u64::MAX,
        time_max: Duration::from_secs(3600),
        ..Limits::default()
    };
    let request = ExplainRequest { tuple: question.as_ref(), proofs_max: 3, misses_max: 5 };
    let context = || {
        // The first line is enough to find it again.
        let tuples: Vec<String> = world.tuples.iter().map(ToString::to_string).collect();
        format!("seed {seed}: {question}, depth {}\n{}\n{}", world.depth_max, world.sketch, tuples.join("\n"))
    };
    let verdict = judge(schema, &world.tuples, question, world.depth_max);
    let found = explain(&world.program, &state, &request, &Context::default(), &limits);
    let Explanation { answer, proofs, has_more_proofs, misses, has_more_misses, blocks } = match found {
        Ok(found) => found,
        Err(EvalError::TooDeep(_)) => {
            assert_eq!(verdict, Verdict::TooDeep, "{}", context());
            return count("too deep", 1);
        }
        Err(error) => panic!("{error}\n{}", context()),
    };
    let is_yes = |tuples: &[Tuple]| judge(schema, tuples, question, world.depth_max) == Verdict::Yes;
    let there: BTreeSet<String> = world.tuples.iter().map(|tuple| tuple.key.to_string()).collect();
    match answer {
        Explained::Yes => {
            assert_eq!(verdict, Verdict::Yes, "{}", context());
            count("yes", 1);
            count("unproven", usize::from(proofs.is_empty()));
            count("proofs", proofs.len());
            for proof in &proofs {
                let tuples: Vec<Tuple> = proof.tuples.iter().map(|it| it.tuple.clone()).collect();
                assert!(
                    tuples.iter().all(|it| there.contains(&it.key.to_string())),
                    "made up: {}",
                    context()
                );
                assert!(is_yes(&tuples), "not enough: {tuples:?}\n{}", context());
                for left_out in 0..tuples.len() {
                    let mut fewer = tuples.clone();
                    let tuple = fewer.remove(left_out);
                    assert!(!is_yes(&fewer), "not needed: {tuple}\n{}", context());
                }
                count("absent", proof.absent.len());
                count("despite", proof.despite.len());
                for key in proof.absent.iter().chain(&proof.despite) {
                    let mut more = tuples.clone();
                    more.push(Tuple::plain(key.clone()));
                    assert!(!is_yes(&more), "does not break it: {key}\n{}", context());
                }
                assert!(proof.absent.iter().all(|key| !there.contains(&key.to_string())), "{}", context());
                assert!(proof.despite.iter().all(|key| there.contains(&key.to_string())), "{}", context());
            }
            if world.tuples.len() <= 11 && !has_more_proofs && !proofs.is_empty() {
                let sizes = (0..1_u32 << world.tuples.len()).filter(|parts| {
                    let chosen = world.tuples.iter().enumerate().filter(|(at, _)| parts >> at & 1 == 1);
                    is_yes(&chosen.map(|(_, tuple)| tuple.clone()).collect::<Vec<_>>())
                });
                let least = sizes.map(u32::count_ones).min().unwrap();
                assert_eq!(proofs[0].tuples.len(), least as usize, "not the shortest: {}", context());
                count("shortest", 1);
            }
        }
        Explained::No => {
            assert_eq!(verdict, Verdict::No, "{}", context());
            count("no", 1);
            count("no miss", usize::from(misses.is_empty()));
            count("misses", misses.len());
            count("taken away", blocks.len());
            if misses.is_empty() && !has_more_misses && world.tuples.len() <= 25 && seed.is_multiple_of(4) {
                let enough = single_changes(world, question, &is_yes);
                assert_eq!(enough, None, "overlooked\n{}", context());
                count("searched", 1);
            }
            for (at, miss) in misses.iter().enumerate() {
                assert!(
                    !miss.is_trivial || at + 1 == misses.len(),
                    "the trivial one is not last: {}",
                    context()
                );
                for tuple in &miss.writes {
                    admit_stored(schema, tuple).unwrap_or_else(|error| panic!("{error}\n{}", context()));
                    assert!(!there.contains(&tuple.key.to_string()), "{}", context());
                }
                count("deletes", miss.deletes.len());
                let parts = miss.writes.len() + miss.deletes.len();
                for chosen in 0..1_u32 << parts {
                    let is_chosen = |at: usize| chosen >> at & 1 == 1;
                    let gone: std::collections::HashSet<&TupleKey> = miss
                        .deletes
                        .iter()
                        .enumerate()
                        .filter(|(at, _)| is_chosen(miss.writes.len() + at))
                        .map(|(_, key)| key)
                        .collect::<Vec<_>>()
                        .into_iter()
                        .collect();
                    let mut tuples: Vec<Tuple> =
                        world.tuples.iter().filter(|tuple| !gone.contains(&tuple.key)).cloned().collect();
                    let written = miss.writes.iter().enumerate().filter(|(at, _)| is_chosen(*at));
                    tuples.extend(written.map(|(_, tuple)| tuple.clone()));
                    let is_all = chosen + 1 == 1 << parts;
                    assert_eq!(is_yes(&tuples), is_all, "{miss:?}, parts {chosen:b}\n{}", context());
                }
            }
        }
        Explained::Conditional => panic!("there are no conditions\n{}", context()),
    }
}
