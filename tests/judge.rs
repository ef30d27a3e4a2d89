//! Random worlds in which the fast evaluator has to say what the judge says.
//!
//! The judge (`judge/model.rs`) computes the meaning of a check by going over everything again and again. Worlds come
//! from `judge/generator.rs`; every question is asked over contextual tuples, over changes only thought of, over stored
//! tuples, and over a mixture (`judge/ways.rs`). `judge/known.rs` judges the judge; `tests/planted/run judge` plants known kinds
//! of mistakes into the evaluator and makes sure that they are found.
//!
//! ```text
//! STONETOWN_CASES=100000 STONETOWN_SEED=1 tools/cargo test --release --test judge -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[path = "judge/generator.rs"]
mod generator;
#[path = "judge/known.rs"]
mod known;
#[path = "judge/lists.rs"]
mod lists;
#[path = "judge/mismatch.rs"]
mod mismatch;
#[path = "judge/model.rs"]
mod model;
#[path = "judge/permissive.rs"]
mod permissive;
#[path = "judge/properties.rs"]
mod properties;
#[path = "judge/random.rs"]
mod random;
#[path = "judge/schemas.rs"]
mod schemas;
#[path = "judge/shares.rs"]
mod shares;
#[path = "judge/sketch.rs"]
mod sketch;
#[path = "judge/tuples.rs"]
mod tuples;
#[path = "judge/ways.rs"]
mod ways;

use std::time::Instant;

use stonetown::engine::{BatchItem, EngineError, Given};

use generator::QUESTIONS;
use mismatch::Mismatch;
use model::Facts;
use shares::{PERCENT_MIN, Shares};
use ways::Ways;

/// Cases that are run when nothing else is asked for.
const CASES: u64 = 20_000;
/// Questions of a world that are made lists of: each list asks the judge about everything.
const LISTS: usize = 2;
/// Fewer cases than this say nothing about shares.
const CASES_FOR_SHARES: u64 = 5_000;
/// The seed when none is given.
const SEED: u64 = 20_261_122;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`: write a number")),
        Err(_) => default,
    }
}

/// The seeds of the worlds that were asked for; each is a seed of its own.
fn seeds() -> std::ops::Range<u64> {
    let seed = setting("STONETOWN_SEED", SEED);
    let cases = setting("STONETOWN_CASES", CASES);
    println!("STONETOWN_SEED={seed} STONETOWN_CASES={cases}");
    seed..seed.saturating_add(cases.div_ceil(QUESTIONS as u64))
}

#[test]
fn fast_evaluator_agrees_with_the_judge() {
    let begun = Instant::now();
    let mut ways = Ways::default();
    let mut shares = Shares::default();
    for seed in seeds() {
        let (world, questions) = generator::world(seed);
        let facts: Vec<Facts> = questions
            .iter()
            .map(|question| Facts::ground(world.program.schema(), &world.tuples, question))
            .collect();
        let found = ways.all_answers(&world, &questions);
        for (number, question) in questions.iter().enumerate() {
            let verdict = facts[number].verdict(world.depth_max);
            shares.count(&world, question, &facts[number], verdict);
            for (way, found) in &found {
                if found[number] != Ok(verdict) {
                    let mismatch = Mismatch { seed, question, way: *way, ways: &mut ways };
                    panic!("\n{}", mismatch.report(world));
                }
            }
        }
    }
    println!("{shares}{:.1} s", begun.elapsed().as_secs_f64());
    if shares.cases as u64 >= CASES_FOR_SHARES {
        for (name, percent) in shares.required() {
            assert!(percent >= PERCENT_MIN, "only {percent:.1} % of the cases have: {name}");
        }
    }
}

#[test]
fn a_smaller_depth_limit_gives_the_same_answer_or_none() {
    for seed in seeds() {
        let (world, questions) = generator::world(seed);
        properties::depth_only_hides(&world, &questions);
    }
}

#[test]
fn an_expansion_names_exactly_who_passes_a_check() {
    let mut compared = 0;
    for seed in seeds() {
        let (world, questions) = generator::world(seed);
        compared += questions.iter().filter(|it| properties::expansion_names_who_passes(&world, it)).count();
    }
    println!("{compared} expansions compared");
    assert!(compared > 0 || seeds().count() < 100);
}

#[test]
fn lists_hold_exactly_what_checks_yes() {
    let mut ways = Ways::default();
    let mut counts = [lists::Counts::default(), lists::Counts::default()];
    for seed in seeds() {
        let (world, questions) = generator::world(seed);
        let ask = |asked: &lists::Asked<'_, '_>, counts: &mut lists::Counts| {
            for question in questions.iter().take(LISTS) {
                lists::objects_are_those_that_check_yes(&world, asked, question, counts);
                lists::subjects_are_those_that_check_yes(&world, asked, question, counts);
            }
        };
        ask(&lists::Asked::State(&ways::contextual(&world.tuples)), &mut counts[0]);
        ways.with_stored(&world, |view| ask(&lists::Asked::View(view), &mut counts[1]));
    }
    println!("contextual {:?}\nstored {:?}", counts[0], counts[1]);
}

#[test]
fn a_batch_answers_what_its_checks_answer() {
    let mut ways = Ways::default();
    let mut compared = 0;
    for seed in seeds() {
        let (world, questions) = generator::world(seed);
        // Half of the tuples of some questions are contextual, and each question is there twice.
        let item = |(number, tuple): (usize, &stonetown::tuple::TupleKey)| BatchItem {
            tuple: tuple.clone(),
            given: if number % 3 == 0 { ways::admitted(&world).into() } else { Given::default() },
        };
        let items: Vec<BatchItem> = questions.iter().chain(&questions).enumerate().map(item).collect();
        ways.with_stored(&world, |view| {
            for (item, answer) in items.iter().zip(view.batch_check(&items)) {
                let alone = view.check(item.tuple.as_ref(), &item.given).map(|answer| answer.allowed);
                let text = |answer: Result<bool, _>| answer.map_err(|error: EngineError| error.to_string());
                assert_eq!(text(answer), text(alone), "{item:?}\n{}", world.sketch);
                compared += 1;
            }
        });
    }
    println!("{compared} answers compared");
    assert!(compared > 0 || seeds().count() < 100);
}
