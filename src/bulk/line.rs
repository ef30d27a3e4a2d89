//! What reading gives: a line of a file, and the tuple it holds.

use super::Reason;
use crate::tuple::{Timestamp, Tuple, TupleCondition, TupleError, TupleRef};

/// A place in a file between two lines, where reading can go on. The default is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position {
    /// Bytes before it, unpacked.
    pub bytes: u64,
    /// Lines before it; of a document (JSON, YAML), entries before it.
    pub line: u64,
}

/// A line of a file that holds a tuple, or should.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its number in the file, from 1; of an entry of a document, the line it begins on, or the line of the mistake.
    pub line: u64,
    /// Where reading goes on behind it.
    pub after: Position,
    /// Its bytes without the end of line, as far as they were read; of a line that is too long, nothing.
    pub text: &'a [u8],
    /// The tuple, or why it is none.
    pub tuple: Result<BulkTuple<'a>, Reason>,
}

/// A tuple whose names are borrowed from the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkTuple<'a> {
    /// Object, relation, subject: checked.
    pub key: TupleRef<'a>,
    /// Holds only when this is true.
    pub condition: Option<TupleCondition>,
    /// Holds only before this.
    pub expires_at: Option<Timestamp>,
}

impl<'a> BulkTuple<'a> {
    /// A tuple that holds without condition and for ever.
    pub(super) fn plain(key: TupleRef<'a>) -> BulkTuple<'a> {
        BulkTuple { key, condition: None, expires_at: None }
    }

    /// A tuple that is kept elsewhere.
    pub(super) fn of(tuple: &'a Tuple) -> BulkTuple<'a> {
        let (condition, expires_at) = (tuple.condition.clone(), tuple.expires_at);
        BulkTuple { key: tuple.key.as_ref(), condition, expires_at }
    }

    /// Reads our own text form.
    pub(super) fn parse(text: &'a str) -> Result<BulkTuple<'a>, TupleError> {
        let (key, condition, expires_at) = TupleRef::parse_tuple(text)?;
        Ok(BulkTuple { key, condition, expires_at })
    }

    /// An owned copy.
    pub fn to_owned(&self) -> Tuple {
        Tuple { key: self.key.to_owned(), condition: self.condition.clone(), expires_at: self.expires_at }
    }

    /// The tuple with a key of its own.
    pub fn into_owned(self) -> Tuple {
        Tuple { key: self.key.to_owned(), condition: self.condition, expires_at: self.expires_at }
    }
}
