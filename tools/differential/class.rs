//! The class of a difference.

use std::fmt;

/// What a difference is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Of a named class.
    Known(&'static str),
    /// Of none; what was seen.
    Unclassified(String),
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Class::Known(name) => f.write_str(name),
            Class::Unclassified(what) => write!(f, "UNCLASSIFIED {what}"),
        }
    }
}
