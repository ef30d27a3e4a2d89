//! Why a condition has no value.

use super::kind::Kind;

/// A condition that could not be evaluated. It never means false.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ConditionError {
    /// Neither the tuple nor the request says what these parameters are.
    #[error("parameters {} are missing: give them in the context of the request", quoted(.0))]
    Missing(Vec<Box<str>>),
    /// A value is not of the type of its parameter.
    #[error("parameter `{parameter}` has to be of type {expected}: {problem}")]
    WrongType {
        /// The parameter.
        parameter: Box<str>,
        /// Its type.
        expected: Kind,
        /// What is wrong with the value.
        problem: String,
    },
    /// Evaluating it may take more steps than allowed.
    #[error(
        "evaluating it may take {steps} steps, at most {limit} are allowed: pass shorter lists and texts"
    )]
    TooMuchWork {
        /// An upper bound.
        steps: u64,
        /// The limit.
        limit: u64,
    },
    /// The expression failed: a division by zero, a key that is not there.
    #[error("the expression fails: {0}")]
    Failed(String),
}

fn quoted(names: &[Box<str>]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
