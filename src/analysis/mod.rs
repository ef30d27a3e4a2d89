//! Change safety: who gains and loses what by a change, why an answer is yes or no, and the matrix of roles and permissions.
//!
//! Everything here asks the read trait and the evaluator; nothing is written.

mod affected;
mod bound;
mod diff;
mod holders;
mod relations;
mod sets;
mod truth;

pub use bound::Bound;
pub use diff::{
    Change, DiffLimits, DiffRequest, DiffWork, Found, Line, Lines, Side, Standing, Touched, access_diff,
};
