//! Conditions: what expressions mean, which are refused, what hostile ones cost; and that answers with conditions are those
//! that every way of knowing the unknown gives.
//!
//! ```text
//! STONETOWN_CASES=100000 tools/cargo test --release --test conditions -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/generator.rs"]
mod generator;
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

#[path = "conditions/expressions.rs"]
mod expressions;
#[path = "conditions/hostile.rs"]
mod hostile;
#[path = "conditions/unknown.rs"]
mod unknown;
