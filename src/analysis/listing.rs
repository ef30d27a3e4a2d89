//! Listings for people who audit: who can do something on an object, and what a subject can do. The answers are those of the
//! access diff: no limit of depth, and conditional where a condition cannot be told.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::affected::affected;
use super::bound::Bound;
use super::diff::{DiffLimits, Side, Standing, standing};
use super::holders::{Holders, Shared};
use super::relations::{Permission, Relations, Slot};
use super::sets::Sets;
use super::truth::Truth;
use crate::condition::Context;
use crate::storage::{SubjectFilter, TupleFilter};
use crate::tuple::{Object, ObjectRef, Subject, TupleKey};

/// Somebody who holds something, or may.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// The type of the subject.
    pub subject_type: Box<str>,
    /// Its id; none: everybody of the type who is not named.
    pub subject: Option<Box<str>>,
    /// The answer; a no only beside everybody's yes.
    pub standing: Standing,
}

/// Something that a subject holds, or may.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held {
    /// On what.
    pub object: Object,
    /// What.
    pub relation: Box<str>,
    /// The answer.
    pub standing: Standing,
}

/// Everybody who holds a relation of an object, by type and id, everybody first; a relation that the schema lacks is held by nobody.
///
/// # Errors
/// A bound that was reached.
pub fn holders(
    side: Side<'_>,
    object: ObjectRef<'_>,
    relation: &str,
    context: &Context,
    limits: &DiffLimits,
) -> Result<Vec<Holder>, Bound> {
    let schema = side.program.schema();
    let found = schema.type_named(object.object_type()).and_then(|of| schema.relation_named(of, relation));
    let Some(relation) = found else { return Ok(Vec::new()) };
    let mut sets = Sets::new(limits.bytes_max);
    let mut holders = Holders::new(side.program, side.state, context, limits.reads_max, Shared::default());
    let set = holders.of(&mut sets, relation, object.id(), None)?;
    let mut found = Vec::new();
    sets.members(set, &mut |kind, subject, truth| {
        if subject.is_some() || truth != Truth::NO {
            found.push(Holder {
                subject_type: sets.kind_name(kind).into(),
                subject: subject.map(|subject| sets.subject_id(kind, subject).into()),
                standing: standing(&sets, truth),
            });
        }
    });
    found.sort();
    Ok(found)
}

/// Everything that a subject holds, by object and relation; `only`: these permissions alone, as type and name; empty: all.
///
/// # Errors
/// A bound that was reached: the subject reaches more than `places_max` relations of objects.
pub fn held(
    side: Side<'_>,
    subject: &Object,
    context: &Context,
    only: &[Permission],
    limits: &DiffLimits,
) -> Result<Vec<Held>, Bound> {
    let relations = Relations::of([side.program, side.program]);
    let wanted: BTreeSet<Slot> =
        only.iter().filter_map(|(of, relation)| relations.find(of, relation)).collect();
    // Whatever the subject holds begins at a tuple that names it, or everybody of its type.
    let mut begin: Vec<TupleKey> = Vec::new();
    let everybody = Subject::Wildcard(subject.object_type().into());
    for named in [Subject::Object(subject.clone()), everybody] {
        let filter = TupleFilter { subject: Some(SubjectFilter::Subject(named)), ..TupleFilter::default() };
        side.state.scan(&filter, &mut |tuple, _| {
            // What the schema does not know leads nowhere, and takes no room.
            if relations.find(tuple.object.object_type(), tuple.relation).is_some() {
                begin.push(tuple.to_owned());
            }
            if begin.len() > limits.places_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    if begin.len() > limits.places_max {
        return Err(Bound::Subproblems(limits.places_max));
    }
    let mut reads = 0;
    let reached = affected(&relations, [side.state, side.state], &begin, limits.places_max, &mut reads)?;
    let reached = reached.ok_or(Bound::Subproblems(limits.places_max))?;
    let mut sets = Sets::new(limits.bytes_max);
    let mut holders = Holders::new(side.program, side.state, context, limits.reads_max, Shared::default());
    let mut found = Vec::new();
    for (object, slots) in reached {
        if sets.bytes() + holders.bytes() > limits.bytes_max {
            sets = Sets::new(limits.bytes_max);
            holders.forget();
        }
        for slot in slots.into_iter().filter(|slot| only.is_empty() || wanted.contains(slot)) {
            let named = relations.at(slot);
            let Some(relation) = named.index[0] else { continue };
            let set = holders.of(&mut sets, relation, object.id(), None)?;
            let kind = sets.kind(subject.object_type());
            let number = sets.subject(kind, subject.id());
            let truth = sets.truth_of(set, kind, Some(number));
            if truth != Truth::NO {
                let standing = standing(&sets, truth);
                found.push(Held { object: object.clone(), relation: named.relation.clone(), standing });
            }
        }
    }
    Ok(found)
}
