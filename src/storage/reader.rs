//! The one way to look at the tuples of a store: everything that evaluates or analyses knows only this trait.

use std::ops::ControlFlow;

use super::error::StorageError;
use super::filter::TupleFilter;
use crate::tuple::{ObjectRef, Revision, SubjectKind, SubjectRef, Timestamp, TupleCondition, TupleRef};

/// What is stored with a tuple beside its identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// The revision that wrote it.
    pub created: Revision,
    /// Holds only when this is true.
    pub condition: Option<TupleCondition>,
    /// Holds only before this.
    pub expires_at: Option<Timestamp>,
}

/// One state of one store: a fixed revision, seen at a fixed time.
///
/// Obligations of an implementation:
/// - every method sees the same state, whatever is written meanwhile;
/// - rows created after [`revision`](TupleReader::revision) and rows that ended at or before
///   [`now`](TupleReader::now) do not exist;
/// - a visitor that breaks is not called again, and that is no error;
/// - stored readers visit in key order, so that the order is stable across calls and restarts.
///
/// Nothing here knows a schema: whether a tuple is still valid under one is for the caller to say.
pub trait TupleReader {
    /// The state's position in the commit order.
    fn revision(&self) -> Revision;

    /// What evaluation takes as now.
    fn now(&self) -> Timestamp;

    /// The row of exactly this tuple.
    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError>;

    /// The subjects of one shape written on `object#relation`.
    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError>;

    /// The objects of a type on which `subject` itself is written with `relation`, in the order of their ids, bytewise;
    /// only ids that come behind `after`, when there is one. An object may be visited twice in a row.
    fn objects(
        &self,
        subject: SubjectRef<'_>,
        object_type: &str,
        relation: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError>;

    /// All tuples that a filter matches.
    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError>;
}

impl<R: TupleReader + ?Sized> TupleReader for &R {
    fn revision(&self) -> Revision {
        (**self).revision()
    }

    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        (**self).get(tuple)
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        (**self).subjects(object, relation, kind, visit)
    }

    fn objects(
        &self,
        subject: SubjectRef<'_>,
        object_type: &str,
        relation: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        (**self).objects(subject, object_type, relation, after, visit)
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        (**self).scan(filter, visit)
    }
}

impl Row {
    /// Whether the row is part of a state of this revision at this time.
    pub(super) fn is_seen(&self, revision: Revision, now: Timestamp) -> bool {
        self.created <= revision && self.expires_at.is_none_or(|end| end > now)
    }
}
