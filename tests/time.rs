//! Time: the past under expiry, retention, purges and schemas that change, held against a model that keeps every state.
//!
//! ```text
//! STONETOWN_ROUNDS=500 STONETOWN_SEED=1 tools/cargo test --release --test time -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/generator.rs"]
mod generator;
#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/lists.rs"]
mod lists;
#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/model.rs"]
mod model;
#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/random.rs"]
mod random;
#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/schemas.rs"]
mod schemas;
#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/sketch.rs"]
mod sketch;
#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/tuples.rs"]
mod tuples;

#[path = "time/ways.rs"]
mod ways;

#[path = "time/past.rs"]
mod past;

#[path = "time/store.rs"]
mod store;

#[path = "time/histories.rs"]
mod histories;

#[path = "time/periods.rs"]
mod periods;

#[path = "time/together.rs"]
mod together;

#[path = "time/collection.rs"]
mod collection;

#[path = "time/regressions.rs"]
mod regressions;

#[path = "time/purge.rs"]
mod purge;
