//! The text forms of tuples and filters, and every rule for names and ids.
//!
//! The rules are OpenFGA's (`reference/openfga.md` §1.3 and the second stage under it) and one more: no control
//! characters. Each is held by what is just allowed and what is just not, and by what the refusal says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "history/settings.rs"]
mod settings;

#[path = "tuple_text/strategies.rs"]
mod strategies;

#[path = "tuple_text/round_trips.rs"]
mod round_trips;

#[path = "tuple_text/rules.rs"]
mod rules;
