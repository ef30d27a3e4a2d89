//! Bulk: imports, exports, deletions by filter.
//!
//! ```text
//! STONETOWN_ROUNDS=500 STONETOWN_SEED=1 tools/cargo test --release --test bulk -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/random.rs"]
mod random;

#[path = "support/mod.rs"]
mod support;

#[path = "bulk/cli.rs"]
mod cli;

#[path = "bulk/model.rs"]
mod model;

#[path = "bulk/files.rs"]
mod files;
