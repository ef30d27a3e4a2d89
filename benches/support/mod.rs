//! Ratios against a floor measured in the same run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;

/// How often floor and subject take turns.
const ROUNDS: usize = 31;
/// How long one turn is at least.
const TURN: Duration = Duration::from_millis(20);

/// Benchmarks `subject` and its `floor` by criterion, then prints their ratio: the two take turns, so that a machine
/// that speeds up or slows down does so for both; the median of the pairwise ratios is quoted.
pub(crate) fn against_floor(
    criterion: &mut Criterion,
    name: &str,
    floor_name: &str,
    mut floor: impl FnMut(),
    mut subject: impl FnMut(),
) {
    let mut group = criterion.benchmark_group(name);
    group.bench_function(floor_name, |bencher| bencher.iter(&mut floor));
    group.bench_function("stonetown", |bencher| bencher.iter(&mut subject));
    group.finish();
    let (floor_calls, subject_calls) = (calls_per_turn(&mut floor), calls_per_turn(&mut subject));
    let mut pairs: Vec<(f64, f64)> =
        (0..ROUNDS).map(|_| (time(floor_calls, &mut floor), time(subject_calls, &mut subject))).collect();
    pairs.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let (floor_ns, subject_ns) = pairs[ROUNDS / 2];
    let ratio = |at: usize| pairs[at].1 / pairs[at].0;
    println!(
        "RATIO {name}: {:.2} × {floor_name} (quartiles {:.2} to {:.2}; {subject_ns:.0} ns against {floor_ns:.0} ns)\n",
        ratio(ROUNDS / 2),
        ratio(ROUNDS / 4),
        ratio(3 * ROUNDS / 4),
    );
}

fn calls_per_turn(call: &mut impl FnMut()) -> u32 {
    let mut calls = 1;
    while time(calls, call) * f64::from(calls) < TURN.as_nanos() as f64 {
        calls *= 2;
    }
    calls
}

/// Nanoseconds a call.
fn time(calls: u32, call: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
        black_box(());
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// A seeded generator (splitmix64): the same data and questions on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
