//! Readers over readers: a state with some tuples more, or some changed, or seen at another time.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::change::Change;
use super::error::StorageError;
use super::filter::TupleFilter;
use super::reader::{Row, TupleReader};
use crate::tuple::{
    Object, ObjectRef, Relation, Revision, Subject, SubjectKind, SubjectRef, Timestamp, Tuple, TupleKey,
    TupleRef,
};

/// A state with changes on top that are stored nowhere.
pub struct Overlay<B> {
    base: B,
    mode: Mode,
    revision: Revision,
    /// Every tuple that the overlay says something about; none: it is deleted.
    rows: HashMap<TupleKey, Option<Row>>,
    by_object: HashMap<(Object, Relation), Vec<Subject>>,
    by_subject: HashMap<Subject, Vec<(Object, Relation)>>,
}

/// What a tuple of the overlay means for a stored one with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It hides it from point look-ups; scans see both. This is what OpenFGA does with contextual tuples.
    Contextual,
    /// It replaces it.
    WhatIf,
}

impl<B: TupleReader> Overlay<B> {
    /// The base and the contextual tuples of one question. Of several with the same key, the last one counts.
    pub fn contextual(base: B, tuples: impl IntoIterator<Item = Tuple>) -> Overlay<B> {
        let mut overlay = Overlay::new(base, Mode::Contextual);
        let created = overlay.revision;
        for tuple in tuples {
            overlay.write(tuple, created);
        }
        overlay
    }

    /// The base, to be changed by [`Overlay::apply`].
    pub fn what_if(base: B) -> Overlay<B> {
        Overlay::new(base, Mode::WhatIf)
    }

    fn new(base: B, mode: Mode) -> Overlay<B> {
        let revision = base.revision();
        Overlay {
            base,
            mode,
            revision,
            rows: HashMap::new(),
            by_object: HashMap::new(),
            by_subject: HashMap::new(),
        }
    }

    /// Applies the changes of one revision: the state is at that revision afterwards.
    pub fn apply(&mut self, revision: Revision, changes: &[Change]) {
        self.revision = revision;
        for change in changes {
            match change {
                Change::Write(tuple) => self.write(tuple.clone(), revision),
                Change::Delete(key) | Change::Expire(key) => self.put(key.clone(), None),
                Change::Schema { .. } => {}
            }
        }
    }

    fn write(&mut self, tuple: Tuple, created: Revision) {
        let Tuple { key, condition, expires_at } = tuple;
        self.put(key, Some(Row { created, condition, expires_at }));
    }

    fn put(&mut self, key: TupleKey, row: Option<Row>) {
        if !self.rows.contains_key(&key) {
            let at = (key.object.clone(), key.relation.clone());
            self.by_object.entry(at.clone()).or_default().push(key.subject.clone());
            self.by_subject.entry(key.subject.clone()).or_default().push(at);
        }
        self.rows.insert(key, row);
    }

    fn added(&self, key: &TupleKey) -> Option<&Row> {
        self.rows.get(key)?.as_ref().filter(|row| row.is_seen(self.revision, self.now()))
    }

    /// Whether a scan passes over a stored tuple.
    fn hides(&self, tuple: TupleRef<'_>) -> bool {
        self.mode == Mode::WhatIf && !self.rows.is_empty() && self.rows.contains_key(&tuple.to_owned())
    }
}

impl<B: TupleReader> TupleReader for Overlay<B> {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn now(&self) -> Timestamp {
        self.base.now()
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        match self.rows.get(&tuple.to_owned()) {
            Some(Some(row)) => Ok(row.is_seen(self.revision, self.now()).then(|| row.clone())),
            Some(None) => Ok(None),
            None => self.base.get(tuple),
        }
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let at = (object.to_owned(), Relation::from_checked(relation));
        for subject in self.by_object.get(&at).into_iter().flatten() {
            if subject.as_ref().kind() != kind {
                continue;
            }
            let key = TupleKey { object: at.0.clone(), relation: at.1.clone(), subject: subject.clone() };
            if let Some(row) = self.added(&key)
                && visit(subject.as_ref(), row).is_break()
            {
                return Ok(());
            }
        }
        self.base.subjects(object, relation, kind, &mut |subject, row| {
            if self.hides(TupleRef { object, relation, subject }) {
                return ControlFlow::Continue(());
            }
            visit(subject, row)
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
        let owned = subject.to_owned();
        let mut added: Vec<(ObjectRef<'_>, &Row)> = Vec::new();
        for (object, found) in self.by_subject.get(&owned).into_iter().flatten() {
            let is_asked = object.object_type() == object_type
                && found.as_str() == relation
                && after.is_none_or(|after| object.id() > after);
            if !is_asked {
                continue;
            }
            let key = TupleKey { object: object.clone(), relation: found.clone(), subject: owned.clone() };
            added.extend(self.added(&key).map(|row| (object.as_ref(), row)));
        }
        added.sort_by_key(|(object, _)| object.id());
        let mut added = added.into_iter().peekable();
        let mut flow = ControlFlow::Continue(());
        self.base.objects(subject, object_type, relation, after, &mut |object, row| {
            while let Some((first, row)) = added.next_if(|(added, _)| added.id() <= object.id()) {
                flow = visit(first, row);
                if flow.is_break() {
                    return flow;
                }
            }
            if !self.hides(TupleRef { object, relation, subject }) {
                flow = visit(object, row);
            }
            flow
        })?;
        while flow.is_continue()
            && let Some((object, row)) = added.next()
        {
            flow = visit(object, row);
        }
        Ok(())
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let mut added: Vec<(TupleRef<'_>, &Row)> = self
            .rows
            .keys()
            .filter(|key| filter.matches(key.as_ref()))
            .filter_map(|key| Some((key.as_ref(), self.added(key)?)))
            .collect();
        added.sort_by(|(one, _), (other, _)| order(one).cmp(&order(other)));
        let mut added = added.into_iter().peekable();
        let mut flow = ControlFlow::Continue(());
        self.base.scan(filter, &mut |tuple, row| {
            while let Some((first, row)) = added.next_if(|(added, _)| order(added) <= order(&tuple)) {
                flow = visit(first, row);
                if flow.is_break() {
                    return flow;
                }
            }
            if !self.hides(tuple) {
                flow = visit(tuple, row);
            }
            flow
        })?;
        while flow.is_continue()
            && let Some((tuple, row)) = added.next()
        {
            flow = visit(tuple, row);
        }
        Ok(())
    }
}

/// What the key of a tuple is sorted by: stored tuples are scanned in this order, unless a subject alone is asked for.
fn order<'t>(tuple: &TupleRef<'t>) -> [&'t str; 7] {
    let TupleRef { object, relation, subject } = *tuple;
    let kind = match subject.kind() {
        SubjectKind::Object => "0",
        SubjectKind::Wildcard => "1",
        SubjectKind::Userset => "2",
    };
    let (id, asked) = match subject {
        SubjectRef::Object(object) => (object.id(), ""),
        SubjectRef::Wildcard(_) => ("", ""),
        SubjectRef::Userset(object, asked) => (object.id(), asked),
    };
    [object.object_type(), object.id(), relation, kind, subject.subject_type(), id, asked]
}

/// A state seen at another time than its own.
pub struct Dated<'a> {
    base: &'a dyn TupleReader,
    now: Timestamp,
}

impl<'a> Dated<'a> {
    /// The base has to show every row: it is to be seen before any of them ends.
    pub fn new(base: &'a dyn TupleReader, now: Timestamp) -> Dated<'a> {
        Dated { base, now }
    }

    fn sees(&self, row: &Row) -> bool {
        row.is_seen(self.base.revision(), self.now)
    }
}

impl TupleReader for Dated<'_> {
    fn revision(&self) -> Revision {
        self.base.revision()
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        Ok(self.base.get(tuple)?.filter(|row| self.sees(row)))
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
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
        self.base.objects(subject, object_type, relation, after, &mut |object, row| {
            if self.sees(row) { visit(object, row) } else { ControlFlow::Continue(()) }
        })
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.base.scan(filter, &mut |tuple, row| {
            if self.sees(row) { visit(tuple, row) } else { ControlFlow::Continue(()) }
        })
    }
}

/// The state without any tuple: what schema tests lay their tuples over.
#[derive(Debug, Clone, Copy)]
pub struct Empty {
    /// What evaluation takes as now.
    pub now: Timestamp,
}

impl TupleReader for Empty {
    fn revision(&self) -> Revision {
        Revision::ZERO
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, _: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        Ok(None)
    }

    fn subjects(
        &self,
        _: ObjectRef<'_>,
        _: &str,
        _: SubjectKind,
        _: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn objects(
        &self,
        _: SubjectRef<'_>,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: &mut dyn FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn scan(
        &self,
        _: &TupleFilter,
        _: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        Ok(())
    }
}
