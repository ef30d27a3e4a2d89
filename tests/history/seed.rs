//! Where chance comes from: seeds that can be had again.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use crate::settings::{first_seed, rounds, say};

/// The generator of these tests: the same numbers for the same seed on every platform and version.
pub(crate) type Chance = Xoshiro256PlusPlus;

/// A seed in use. When the test panics, it says how to repeat it.
pub(crate) struct Seed(u64);

impl Seed {
    /// The generator that the seed gives.
    pub(crate) fn chance(&self) -> Chance {
        Chance::seed_from_u64(self.0)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("repeat with STONETOWN_SEED={} STONETOWN_ROUNDS=1", self.0));
        }
    }
}

/// The seeds of one test, `usual` of them unless the environment says otherwise.
pub(crate) fn seeds(test: &str, usual: u64) -> impl Iterator<Item = Seed> {
    let (first, rounds) = (first_seed(), rounds(usual));
    say(&format!("{test}: STONETOWN_SEED={first} STONETOWN_ROUNDS={rounds}"));
    (0..rounds).map(move |round| Seed(first.wrapping_add(round)))
}
