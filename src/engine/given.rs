//! What is given with a question, for it alone.

use crate::condition::Context;
use crate::tuple::Tuple;

/// Tuples and a context that count for one question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Given {
    /// Contextual tuples.
    pub tuples: Vec<Tuple>,
    /// Values of conditions' parameters.
    pub context: Context,
}

impl From<Vec<Tuple>> for Given {
    fn from(tuples: Vec<Tuple>) -> Given {
        Given { tuples, context: Context::default() }
    }
}
