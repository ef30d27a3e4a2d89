//! What an evaluation looked at: as long as none of it changes, neither does the answer.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::ControlFlow;

use super::error::StorageError;
use super::filter::TupleFilter;
use super::look::Look;
use super::reader::{Row, TupleReader};
use crate::tuple::{ObjectRef, Relation, Revision, SubjectKind, SubjectRef, Timestamp, TupleRef};

/// What was looked at, and when rows that were met end.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    looks: HashSet<Look>,
    /// No evaluation scans so far.
    has_scans: bool,
    last_end: Option<Timestamp>,
    next_end: Option<Timestamp>,
}

impl Reads {
    /// Everything that was asked.
    pub fn looks(&self) -> impl Iterator<Item = &Look> {
        self.looks.iter()
    }

    /// The latest time, at or before now, at which a row that was met ended.
    pub fn last_end(&self) -> Option<Timestamp> {
        self.last_end
    }

    /// The earliest time after now at which a row that was met ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.next_end
    }

    /// Whether what was asked may be answered otherwise when a tuple comes or goes.
    pub fn see(&self, tuple: TupleRef<'_>) -> bool {
        let is_scanned = || self.looks.iter().any(|look| matches!(look, Look::Scan(_)) && look.sees(tuple));
        Look::of(tuple).iter().any(|look| self.looks.contains(look)) || (self.has_scans && is_scanned())
    }

    /// Notes the end of a row that was met: whether the row is there now.
    fn meet(&mut self, row: &Row, now: Timestamp) -> bool {
        match row.expires_at {
            None => true,
            Some(end) if end > now => {
                self.next_end = Some(self.next_end.map_or(end, |next| next.min(end)));
                true
            }
            Some(end) => {
                self.last_end = self.last_end.max(Some(end));
                false
            }
        }
    }
}

/// A state, seen at a time, that remembers what it is asked.
pub struct Recorder<'a> {
    base: &'a dyn TupleReader,
    now: Timestamp,
    reads: RefCell<Reads>,
}

impl<'a> Recorder<'a> {
    /// The base has to show ended rows too: it is to be seen before any of them ends.
    pub fn new(base: &'a dyn TupleReader, now: Timestamp) -> Recorder<'a> {
        Recorder { base, now, reads: RefCell::default() }
    }

    /// Notes an end of something else that the answer depends on.
    pub fn note_end(&self, end: Timestamp) {
        let row = Row { created: Revision::ZERO, condition: None, expires_at: Some(end) };
        self.sees(&row);
    }

    /// What was asked.
    pub fn into_reads(self) -> Reads {
        self.reads.into_inner()
    }

    fn look(&self, look: Look) {
        self.reads.borrow_mut().looks.insert(look);
    }

    fn sees(&self, row: &Row) -> bool {
        self.reads.borrow_mut().meet(row, self.now)
    }
}

impl TupleReader for Recorder<'_> {
    fn revision(&self) -> Revision {
        self.base.revision()
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        self.look(Look::Tuple(tuple.to_owned()));
        Ok(self.base.get(tuple)?.filter(|row| self.sees(row)))
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.look(Look::Subjects(object.to_owned(), Relation::from_checked(relation), kind));
        self.base.subjects(object, relation, kind, &mut |subject, row| {
            if self.sees(row) { visit(subject, row) } else { ControlFlow::Continue(()) }
        })
    }

    fn objects(
        &self,
        subject: SubjectRef<'_>,
        object_type: &str,
        relation: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let relation_name = Relation::from_checked(relation);
        self.look(Look::Objects(subject.to_owned(), object_type.into(), relation_name));
        self.base.objects(subject, object_type, relation, after, &mut |object, row| {
            if self.sees(row) { visit(object, row) } else { ControlFlow::Continue(()) }
        })
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.look(Look::Scan(filter.clone()));
        self.reads.borrow_mut().has_scans = true;
        self.base.scan(filter, &mut |tuple, row| {
            if self.sees(row) { visit(tuple, row) } else { ControlFlow::Continue(()) }
        })
    }
}
