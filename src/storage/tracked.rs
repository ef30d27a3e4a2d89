//! A reader that remembers what its answers rest on, so that a decision can be kept and known to hold still.

use std::cell::RefCell;
use std::ops::ControlFlow;

use super::error::StorageError;
use super::filter::TupleFilter;
use super::reader::{Row, TupleReader};
use super::rocks::StateReader;
use super::stripes::{Part, Stripe, Stripes};
use crate::tuple::{ObjectRef, Revision, SubjectKind, SubjectRef, Timestamp, TupleRef};

/// More looks than these are taken together, by relation.
const LOOKS_MAX: usize = 32;

/// What a decision rests on.
#[derive(Debug, Clone)]
pub struct Basis {
    /// Of the snapshot it was found under.
    sequence: u64,
    /// When it was found.
    from: Timestamp,
    /// When the first of the tuples that were met ends.
    until: Option<Timestamp>,
    stripes: Box<[Stripe]>,
}

impl Basis {
    /// Whether what was found is true in a state, too.
    pub fn holds_in(&self, state: &StateReader<'_>) -> bool {
        let Some(stripes) = state.stripes() else { return false };
        let (sequence, now) = (self.sequence.min(state.sequence()), state.now());
        // A row that had ended when it was met was passed over: earlier than that it has to be met again.
        self.from <= now
            && self.until.is_none_or(|end| now < end)
            && self.stripes.iter().all(|&stripe| stripes.last(stripe) <= sequence)
    }

    /// Bytes that it takes, itself included.
    pub fn bytes(&self) -> usize {
        size_of::<Basis>() + size_of_val(&*self.stripes)
    }
}

/// A state that is the newest under its snapshot, and remembers what it is asked.
pub struct Tracked<'t, 'd> {
    state: &'t StateReader<'d>,
    stripes: &'t Stripes,
    store: u32,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    looks: Vec<Stripe>,
    /// The relations of the looks.
    relations: Vec<Stripe>,
    until: Option<Timestamp>,
    /// Something was met that no decision may rest on: a condition, whose values change from question to question.
    is_untold: bool,
}

impl<'t, 'd> Tracked<'t, 'd> {
    pub(super) fn new(state: &'t StateReader<'d>, stripes: &'t Stripes, store: u32) -> Tracked<'t, 'd> {
        Tracked { state, stripes, store, seen: RefCell::default() }
    }

    /// What everything found so far rests on; none: it is not to be kept.
    pub fn into_basis(self) -> Option<Basis> {
        let Seen { mut looks, relations, until, is_untold } = self.seen.into_inner();
        if is_untold {
            return None;
        }
        if looks.len() > LOOKS_MAX {
            looks = relations;
        }
        looks.push(self.stripes.of(self.store, &Part::Store));
        looks.sort_unstable();
        looks.dedup();
        let (sequence, from) = (self.state.sequence(), self.state.now());
        Some(Basis { sequence, from, until, stripes: looks.into() })
    }

    fn look(&self, part: &Part<'_>, object_type: &str, relation: &str) {
        let mut seen = self.seen.borrow_mut();
        if seen.looks.len() <= LOOKS_MAX {
            seen.looks.push(self.stripes.of(self.store, part));
        }
        let of_relation = self.stripes.of(self.store, &Part::Relation(object_type, relation));
        if !seen.relations.contains(&of_relation) {
            seen.relations.push(of_relation);
        }
    }

    fn meet(&self, row: &Row) {
        if row.condition.is_none() && row.expires_at.is_none() {
            return;
        }
        let mut seen = self.seen.borrow_mut();
        seen.is_untold |= row.condition.is_some();
        seen.until = match (seen.until, row.expires_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
    }
}

impl TupleReader for Tracked<'_, '_> {
    fn revision(&self) -> Revision {
        self.state.revision()
    }

    fn now(&self) -> Timestamp {
        self.state.now()
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        self.look(&Part::Tuple(tuple), tuple.object.object_type(), tuple.relation);
        let row = self.state.get(tuple)?;
        row.iter().for_each(|row| self.meet(row));
        Ok(row)
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.look(&Part::Subjects(object, relation, kind), object.object_type(), relation);
        self.state.subjects(object, relation, kind, &mut |subject, row| {
            self.meet(row);
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
        self.look(&Part::Objects(subject, object_type, relation), object_type, relation);
        self.state.objects(subject, object_type, relation, after, &mut |object, row| {
            self.meet(row);
            visit(object, row)
        })
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        // No evaluation does: a filter has no stripe.
        self.seen.borrow_mut().is_untold = true;
        self.state.scan(filter, visit)
    }
}
