//! What is answered.

use std::collections::BTreeSet;
use std::fmt;

/// The code of a check that hangs on parameters that were not given, of a side for which that is no error.
pub(crate) const CONDITIONAL: &str = "conditional";

/// Behind an entry of a list that hangs on such parameters.
pub(crate) const UNDECIDED: char = '?';

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Of a check.
    Allowed(bool),
    /// Of a list, without its order.
    List(BTreeSet<String>),
    /// The code of an error, and its text.
    Error(String, String),
}

impl Answer {
    /// Whether it is an error.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Answer::Error(..))
    }

    /// Whether it says that the answer hangs on parameters that were not given, of a list: of one of its entries.
    pub(crate) fn is_undecided(&self) -> bool {
        match self {
            Answer::Allowed(_) => false,
            Answer::List(entries) => entries.iter().any(|it| it.ends_with(UNDECIDED)),
            Answer::Error(code, _) => code == CONDITIONAL,
        }
    }

    /// The text of an error.
    pub(crate) fn message(&self) -> &str {
        if let Answer::Error(_, message) = self { message } else { "" }
    }
}

impl PartialEq for Answer {
    /// Of errors, the code counts alone.
    fn eq(&self, other: &Answer) -> bool {
        match (self, other) {
            (Answer::Allowed(one), Answer::Allowed(two)) => one == two,
            (Answer::List(one), Answer::List(two)) => one == two,
            (Answer::Error(one, _), Answer::Error(two, _)) => one == two,
            _ => false,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Allowed(true) => f.write_str("yes"),
            Answer::Allowed(false) => f.write_str("no"),
            Answer::List(all) => write!(f, "[{}]", all.iter().cloned().collect::<Vec<_>>().join(", ")),
            Answer::Error(code, message) => write!(f, "error {code}: {message}"),
        }
    }
}

/// Why a world could not be made.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// Its schema.
    Schema(String),
    /// One of its tuples, by number.
    Tuple(usize, String),
}
