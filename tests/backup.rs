//! Backup and restore: what was backed up under load comes back, damage is found, the past is reached by the change log, and an
//! interrupted restore is never served.
//!
//! ```text
//! STONETOWN_ROUNDS=50 STONETOWN_SEED=1 tools/cargo test --test backup -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/random.rs"]
mod random;

mod backup {
    /// Stores that change at random, and what they answer.
    mod world;

    /// Files that are not what was written.
    mod damage;
    /// A second backup, and the place of backups.
    mod incremental;
    /// A restore that is killed.
    mod interrupted;
    /// Backups while everything goes on.
    mod load;
    /// Points in time.
    mod past;
}
