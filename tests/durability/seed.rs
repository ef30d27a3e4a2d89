use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// The random choices of one test. The seed is printed, and can be given by `STONETOWN_SEED`.
pub(super) fn choices(test: &str) -> SmallRng {
    let given = std::env::var("STONETOWN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("{test}: STONETOWN_SEED={seed}");
    SmallRng::seed_from_u64(seed)
}

/// A number from 1 to `max`, each order of magnitude as likely as the others.
pub(super) fn any_magnitude(choices: &mut SmallRng, max: u64) -> u64 {
    let exponent = choices.random_range(0.0..(max as f64).ln());
    (exponent.exp() as u64).clamp(1, max)
}

/// How often: `STONETOWN_ROUNDS=N`, or as often as usual.
pub(super) fn rounds(usual: usize) -> usize {
    std::env::var("STONETOWN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
