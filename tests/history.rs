//! Tests of the past: every revision is kept, and every state that was ever there can be read again.
//!
//! Seeded random histories are held against a model that keeps a whole state per revision; readers are held against
//! a pausing writer; validation is held against inconsistencies planted by hand; stores come and go; tokens.
//!
//! `STONETOWN_SEED=N` repeats a run (the seed is always printed), `STONETOWN_ROUNDS=N` sets the number of random
//! histories.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "history/settings.rs"]
mod settings;

#[path = "history/seed.rs"]
mod seed;

#[path = "history/universe.rs"]
mod universe;

#[path = "history/model.rs"]
mod model;

#[path = "history/agree.rs"]
mod agree;

#[path = "history/world.rs"]
mod world;

#[path = "history/burst.rs"]
mod burst;

#[path = "history/random.rs"]
mod random;

#[path = "history/times.rs"]
mod times;

#[path = "history/overlays.rs"]
mod overlays;

#[path = "history/pausing.rs"]
mod pausing;

#[path = "history/raw.rs"]
mod raw;

#[path = "history/planted.rs"]
mod planted;

#[path = "history/planted_rows.rs"]
mod planted_rows;

#[path = "history/planted_past.rs"]
mod planted_past;

#[path = "history/planted_log.rs"]
mod planted_log;

#[path = "history/planted_stores.rs"]
mod planted_stores;

#[path = "history/horizon.rs"]
mod horizon;

#[path = "history/store_life.rs"]
mod store_life;

#[path = "history/tokens.rs"]
mod tokens;
