//! Why a question has no answer.

use std::time::Duration;

use crate::condition::ConditionError;
use crate::storage::StorageError;
use crate::tuple::TupleKey;

/// A question that could not be answered. None of these ever means no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The schema has no such type.
    #[error("type `{name}` is not in the schema{help}")]
    UnknownType {
        /// The type it does not have.
        name: String,
        /// What would be right.
        help: String,
    },
    /// The type has no such relation.
    #[error("relation `{relation}` is not defined on type `{object_type}`{help}")]
    UnknownRelation {
        /// The type.
        object_type: String,
        /// The relation it does not have.
        relation: String,
        /// What would be right.
        help: String,
    },
    /// The answer hangs on something too many hops away.
    #[error(
        "the answer lies more than {0} usersets and parents away: raise the depth limit, or nest less deeply"
    )]
    TooDeep(u32),
    /// Answering took more reads than allowed.
    #[error("the question takes more than {0} reads: raise the limit, or ask a narrower question")]
    TooManyReads(u64),
    /// Answering took longer than allowed.
    #[error("the question takes longer than {0:?}: raise the limit, or ask a narrower question")]
    TimedOut(Duration),
    /// An expansion holds more than allowed.
    #[error("the expansion has more than {0} nodes: ask for fewer levels")]
    TooManyNodes(usize),
    /// An expansion nests deeper than allowed.
    #[error(
        "the expansion nests more than {0} levels deep: ask for fewer hops, or shorten the chain of relations"
    )]
    TooNested(usize),
    /// The answer hangs on a condition that cannot be evaluated.
    #[error("condition `{condition}` of tuple `{tuple}` cannot be evaluated: {cause}")]
    Condition {
        /// The condition.
        condition: Box<str>,
        /// The first tuple that has it, with this context.
        tuple: Box<TupleKey>,
        /// Why not.
        cause: ConditionError,
    },
    /// The state could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
