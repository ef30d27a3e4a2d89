//! What a run may be told from outside: its seed and its length. The seed is always printed.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::test_runner::{Config, RngSeed};

/// The seed of this run, new every time unless `STONETOWN_SEED` names one.
pub(crate) fn first_seed() -> u64 {
    number("STONETOWN_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_millis() as u64
    })
}

/// How many times over, `usual` unless `STONETOWN_ROUNDS` names another number.
pub(crate) fn rounds(usual: u64) -> u64 {
    number("STONETOWN_ROUNDS").unwrap_or(usual)
}

/// Settings of property tests: the seed of this run, 200 cases per round, and no files of their own.
pub(crate) fn properties(of: &str) -> Config {
    let (seed, rounds) = (first_seed(), rounds(1));
    say(&format!("{of}: STONETOWN_SEED={seed} STONETOWN_ROUNDS={rounds}"));
    let cases = u32::try_from(200 * rounds).unwrap_or(u32::MAX);
    Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() }
}

/// Prints past the capture of the test harness.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}=`{text}` is not a number")))
}
