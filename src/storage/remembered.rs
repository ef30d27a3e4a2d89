//! A reader that reads nothing twice: for several questions about one state.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use super::error::StorageError;
use super::filter::TupleFilter;
use super::reader::{Row, TupleReader};
use crate::tuple::{
    Object, ObjectRef, Relation, Revision, Subject, SubjectKind, SubjectRef, Timestamp, TupleKey, TupleRef,
};

/// Rows held at most; what is read beyond is read again when it is asked for again.
const ROWS_MAX: usize = 100_000;
/// Rows of one scan held at most: longer ones are seldom shared.
const SCAN_ROWS_MAX: usize = 1_000;

/// What a scan of subjects found.
type Scanned = Rc<Vec<(Subject, Row)>>;

/// A state whose look-ups, and scans of subjects, are remembered.
pub struct Remembered<B> {
    base: B,
    gets: RefCell<HashMap<TupleKey, Option<Row>>>,
    scans: RefCell<HashMap<(Object, Relation, SubjectKind), Scanned>>,
    rows: Cell<usize>,
}

impl<B: TupleReader> Remembered<B> {
    /// Nothing is remembered yet.
    pub fn new(base: B) -> Remembered<B> {
        Remembered { base, gets: RefCell::default(), scans: RefCell::default(), rows: Cell::new(0) }
    }

    /// Whether there is room for so many rows more.
    fn has_room(&self, rows: usize) -> bool {
        let all = self.rows.get() + rows;
        let has_room = all <= ROWS_MAX;
        if has_room {
            self.rows.set(all);
        }
        has_room
    }
}

impl<B: TupleReader> TupleReader for Remembered<B> {
    fn revision(&self) -> Revision {
        self.base.revision()
    }

    fn now(&self) -> Timestamp {
        self.base.now()
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        let key = tuple.to_owned();
        if let Some(row) = self.gets.borrow().get(&key) {
            return Ok(row.clone());
        }
        let row = self.base.get(tuple)?;
        if self.has_room(1) {
            self.gets.borrow_mut().insert(key, row.clone());
        }
        Ok(row)
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let key = (object.to_owned(), Relation::from_checked(relation), kind);
        let known = self.scans.borrow().get(&key).map(Rc::clone);
        if let Some(rows) = known {
            for (subject, row) in rows.iter() {
                if visit(subject.as_ref(), row).is_break() {
                    break;
                }
            }
            return Ok(());
        }
        // A scan that is broken off, or long, is not remembered.
        let mut rows = Some(Vec::new());
        self.base.subjects(object, relation, kind, &mut |subject, row| {
            if let Some(held) = rows.as_mut().filter(|held| held.len() < SCAN_ROWS_MAX) {
                held.push((subject.to_owned(), row.clone()));
            } else {
                rows = None;
            }
            let flow = visit(subject, row);
            if flow.is_break() {
                rows = None;
            }
            flow
        })?;
        if let Some(rows) = rows.filter(|rows| self.has_room(rows.len() + 1)) {
            self.scans.borrow_mut().insert(key, Rc::new(rows));
        }
        Ok(())
    }

    fn objects(
        &self,
        subject: SubjectRef<'_>,
        object_type: &str,
        relation: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.base.objects(subject, object_type, relation, after, visit)
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.base.scan(filter, visit)
    }
}
