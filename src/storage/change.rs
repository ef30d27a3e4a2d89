//! Changes: what a revision consists of, and how it is remembered.

use crate::tuple::{Revision, SchemaId, Timestamp, Tuple, TupleKey};

/// One change to a store. A state is a pure function of the ordered changes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The tuple is there afterwards, with this condition and expiry, whether or not it was before.
    Write(Tuple),
    /// The tuple is not there afterwards; it must have been before.
    Delete(TupleKey),
    /// The tuple, which has ended by its expiry, is not there afterwards; it must have been before.
    Expire(TupleKey),
    /// This schema is in force afterwards.
    Schema {
        /// Its id.
        id: SchemaId,
        /// Its document: the wire form as JSON text.
        document: Box<str>,
    },
}

/// What a revision changed, kept with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionKind {
    /// Tuples were written or deleted.
    Tuples,
    /// A schema was written, and perhaps tuples with it.
    Schema,
    /// Tuples that had ended by their expiry were collected.
    Expiry,
    /// The time that the past is kept was changed.
    Retention,
    /// Everything that named one object was taken out of the present and the past.
    Purge,
}

/// What the log remembers of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionRecord {
    /// When it was committed; never earlier than the one before.
    pub time: Timestamp,
    /// The schema in force from then on.
    pub schema: Option<SchemaId>,
    /// What it changed.
    pub kind: RevisionKind,
    /// How many entries of the change log belong to it.
    pub changes: u32,
}

/// What happened to a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there before.
    Written,
    /// It was there, and was given another condition or expiry (or the same again).
    Replaced,
    /// It was taken away.
    Deleted,
    /// It had ended by its expiry, and its row was collected.
    Expired,
    /// Not of one tuple: whatever named one object is gone from here on, and from the log before as well.
    Purged,
}

/// One entry of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// The revision it belongs to.
    pub revision: Revision,
    /// Its place in that revision, from 0.
    pub ordinal: u32,
    /// What happened.
    pub kind: ChangeKind,
    /// The tuple; condition and expiry are those written, none for a deletion. A purge names none.
    pub tuple: Option<Tuple>,
}
