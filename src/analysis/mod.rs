//! Change safety: who gains and loses what by a change, why an answer is yes or no, and the matrix of roles and permissions.
//!
//! Everything here asks the read trait and the evaluator; nothing is written.

mod affected;
mod at_once;
mod bound;
mod derivation;
mod diff;
mod explain;
mod holders;
mod listing;
mod matrix;
mod relations;
mod sets;
mod truth;
mod ways;

pub use bound::Bound;
pub use diff::{
    AccessDiff, Change, DiffLimits, DiffRequest, DiffWork, Found, Line, Lines, Side, Standing, Touched,
    access_diff,
};
pub use explain::{Block, ExplainRequest, Explained, Explanation, Miss, Proof, Why, Written, explain};
pub use listing::{Held, Holder, held, holders};
pub use matrix::{
    Cell, CellChange, Matrix, MatrixRow, Table, TableRow, Way, matrix, matrix_changes, matrix_while,
    table_changes,
};
pub use relations::Permission;
