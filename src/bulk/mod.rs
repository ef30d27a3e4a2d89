//! Tuples in files: reading them in the formats people have.

mod csv;
mod json;
mod source;
mod text;

use crate::tuple::Tuple;

pub use json::TupleJson;
pub use source::{Format, ReadError, read_tuples};

/// A tuple and the line (or entry, from 1) of the file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its line, or its place in a list.
    pub line: u64,
    /// The tuple.
    pub tuple: Tuple,
}

/// A line that is no tuple.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    /// Its line, or its place in a list.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}
