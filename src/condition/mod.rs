//! Conditions: CEL expressions over typed parameters, compiled once and evaluated for each tuple that carries one.
//!
//! The `cel` crate parses and evaluates; it stays behind this room's face. What it lacks is here: a type check with
//! places (`check`), conversion of JSON to the declared types with the missing ones named (`value`), and a bound on the
//! work of an evaluation before it begins (`work`). What is accepted follows OpenFGA, which uses cel-go's standard
//! environment with one type more, `ipaddress` (`library`).

mod check;
mod compiled;
mod context;
mod error;
mod kind;
mod library;
mod value;
mod work;

pub use compiled::{Compiled, EXPRESSION_BYTES_MAX, Mistake, Parameter};
pub use context::Context;
pub use error::ConditionError;
pub use kind::Kind;
