//! The access diff says what the judge says: the difference of two full listings, under the definition in `analysis/diff.rs`.
//!
//! Worlds are those of `judge`, with conditions on some restrictions. A change deletes and writes tuples, or replaces the schema
//! by a simpler or a richer one, or both. The judge lists every (object, permission, subject) of both sides for each way in
//! which the unknown conditions can turn out.
//!
//! ```text
//! STONETOWN_CASES=100000 STONETOWN_SEED=1 tools/cargo test --release --test access_diff -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, dead_code, reason = "a test")]

#[path = "access_diff/change.rs"]
mod change;
#[path = "judge/generator.rs"]
mod generator;
#[path = "access_diff/listing.rs"]
mod listing;
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

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use stonetown::analysis::{Change, DiffLimits, DiffRequest, Found, Side, Standing, Touched, access_diff};
use stonetown::condition::Context;
use stonetown::storage::{Empty, Overlay};
use stonetown::tuple::{Revision, Timestamp, TupleKey};

use change::{Case, case};
use listing::{Lines, difference};
use random::Random;

const CASES: u64 = 5_000;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

/// What the engine's diff says, in the judge's form.
fn found(case: &Case, limits: DiffLimits, touched: Touched) -> Lines {
    let mut before = Overlay::what_if(Empty { now: Timestamp::default() });
    let writes = |tuples: &[stonetown::tuple::Tuple]| -> Vec<stonetown::storage::Change> {
        tuples.iter().cloned().map(stonetown::storage::Change::Write).collect()
    };
    before.apply(Revision(1), &writes(&case.before));
    let mut after = Overlay::what_if(&before);
    after.apply(Revision(2), &case.changes());
    let request = DiffRequest {
        before: Side { program: &case.programs[0], state: &before },
        after: Side { program: &case.programs[1], state: &after },
        touched,
        context: &Context::default(),
        only: Vec::new(),
        limits,
    };
    let mut lines = Lines::new();
    let done = access_diff(&request, &mut |found| {
        match found {
            Found::Lines { object, permission, lines: found } => {
                for line in &found.lines {
                    let class = |standing: &Standing| match standing {
                        Standing::No => 0,
                        Standing::If(text) => {
                            assert!(!text.is_empty());
                            1
                        }
                        Standing::Yes => 2,
                    };
                    let key = (
                        object.to_string(),
                        permission.to_owned(),
                        line.subject_type.to_string(),
                        line.subject.as_deref().map(str::to_owned),
                    );
                    let value = (line.change, class(&line.before), class(&line.after));
                    assert!(
                        lines.insert(key, value).is_none(),
                        "a line twice: {object} {permission} {line:?}"
                    );
                }
                for change in [Change::Gained, Change::Lost, Change::Changed, Change::Kept] {
                    let count = found.lines.iter().filter(|line| line.change == change).count();
                    assert_eq!(found.count(change), count);
                }
            }
            Found::Incomplete { object, permission, bound } => panic!("{object}#{permission}: {bound}"),
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(done.work.objects > 0 || lines.is_empty());
    lines
}

#[test]
fn the_diff_is_the_difference_of_two_listings() {
    let (cases, seed) = (setting("STONETOWN_CASES", CASES), setting("STONETOWN_SEED", 20_261_122));
    let next = std::sync::atomic::AtomicU64::new(0);
    let counts = std::sync::Mutex::new(BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= cases {
                        return;
                    }
                    let case = case(&mut Random::new(seed.wrapping_add(number)));
                    let names = judged(&case, seed.wrapping_add(number));
                    let mut counts = counts.lock().unwrap();
                    names.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{cases} cases: {counts:?}");
    if cases >= 1_000 {
        for name in
            ["gained", "lost", "changed", "kept", "everybody", "conditional", "schema changes", "empty"]
        {
            assert!(counts.get(name).is_some_and(|count| *count >= 20), "{name}: too few: {counts:?}");
        }
    }
}

fn judged(case: &Case, seed: u64) -> Vec<(&'static str, usize)> {
    let expected = difference(case);
    let keys: Vec<TupleKey> = case.touched();
    let ways = [
        // As it comes: from the changed tuples, or type by type where the schema changes.
        (DiffLimits::default(), Touched::Tuples(keys.clone())),
        // Type by type, and with hardly any memory.
        (DiffLimits { places_max: 0, bytes_max: 1 << 14, ..DiffLimits::default() }, Touched::Tuples(keys)),
        (DiffLimits::default(), Touched::Anything),
    ];
    for (way, (limits, touched)) in ways.into_iter().enumerate() {
        let found = found(case, limits, touched);
        if found != expected {
            let missing: Vec<_> =
                expected.iter().filter(|(key, line)| found.get(*key) != Some(*line)).take(5).collect();
            let wrong: Vec<_> =
                found.iter().filter(|(key, line)| expected.get(*key) != Some(*line)).take(5).collect();
            panic!("seed {seed}, way {way}\nexpected {missing:#?}\nfound {wrong:#?}\n{case}");
        }
    }
    let of = |change| expected.values().filter(|line| line.0 == change).count();
    vec![
        ("gained", of(Change::Gained)),
        ("lost", of(Change::Lost)),
        ("changed", of(Change::Changed)),
        ("kept", of(Change::Kept)),
        ("everybody", expected.keys().filter(|key| key.3.is_none()).count()),
        ("conditional", expected.values().filter(|line| line.1 == 1 || line.2 == 1).count()),
        ("schema changes", usize::from(case.is_schema_change)),
        ("empty", usize::from(expected.is_empty())),
    ]
}
