//! Bounds: what an analysis may take, and that it took more.

use crate::storage::StorageError;

/// Why something was not finished. It never means no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bound {
    /// It hangs on too many objects.
    #[error("it hangs on more than {0} relations of objects")]
    Subproblems(usize),
    /// It takes too many reads.
    #[error("it takes more than {0} reads")]
    Reads(u64),
    /// It hangs on too many conditions, or in too many ways.
    #[error("it hangs on conditions in more than {0} ways")]
    Conditions(usize),
    /// It takes more memory than allowed.
    #[error("it takes more memory than allowed")]
    Memory,
    /// The state could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
