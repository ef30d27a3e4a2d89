//! Why a line is no tuple.

use std::fmt;

use crate::tuple::{Part, TimeError, TupleError};

/// Why a line is no tuple: what is wrong, what would be right, and of what kind the mistake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    kind: BadKind,
    text: String,
    /// Of an entry of several lines, how many lines below its first the mistake is.
    below: u64,
}

/// The kind of a mistake. There are few, whatever the file, so that mistakes can be counted by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKind {
    part: Option<Part>,
    problem: &'static str,
}

pub(super) const NOT_UTF8: &str = "is not UTF-8";
pub(super) const TOO_LONG: &str = "is too long";

impl Reason {
    pub(super) fn new(problem: &'static str, text: impl Into<String>) -> Reason {
        Reason { kind: BadKind { part: None, problem }, text: text.into(), below: 0 }
    }

    /// The same reason, found so many lines below the first of its entry.
    pub(super) fn below(mut self, lines: u64) -> Reason {
        self.below = lines;
        self
    }

    pub(super) fn not_utf8(bytes: &[u8], valid: usize) -> Reason {
        let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        let what = if is_utf16 { "is UTF-16" } else { NOT_UTF8 };
        let lines = memchr::memchr_iter(b'\n', &bytes[..valid]).count();
        Reason::new(NOT_UTF8, format!("{what}: save the file as UTF-8")).below(lines as u64)
    }

    pub(super) fn too_long() -> Reason {
        Reason::new(TOO_LONG, "is longer than 1,048,576 bytes: a tuple takes less")
    }

    /// The same reason, told of one of several entries.
    pub(super) fn of_entry(mut self, entry: u64) -> Reason {
        self.text = format!("entry {entry}: {}", self.text);
        self
    }

    /// Of an entry of several lines, how many lines below its first the mistake is.
    pub(super) fn lines_below(&self) -> u64 {
        self.below
    }

    /// A reason in the words of a server, which has fewer kinds than it has mistakes.
    pub fn told(kind: &str, text: &str) -> Reason {
        let known = [
            "is not let in by the schema",
            "is in the input before",
            "is stored already",
            "is stored otherwise",
        ];
        let kind = known.into_iter().find(|known| *known == kind).unwrap_or("is refused by the server");
        Reason::new(kind, text)
    }

    /// Of what kind the mistake is.
    pub fn kind(&self) -> BadKind {
        self.kind
    }

    /// What is wrong, and what would be right.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<TupleError> for Reason {
    fn from(error: TupleError) -> Reason {
        Reason {
            kind: BadKind { part: Some(error.part), problem: error.problem },
            text: error.to_string(),
            below: 0,
        }
    }
}

impl From<TimeError> for Reason {
    fn from(error: TimeError) -> Reason {
        Reason {
            kind: BadKind { part: Some(Part::Expiry), problem: "is not a time" },
            text: error.to_string(),
            below: 0,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for BadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = self.part {
            write!(f, "{part} ")?;
        }
        f.write_str(self.problem)
    }
}
