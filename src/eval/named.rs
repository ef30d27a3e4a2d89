//! Where a subject is named at all.
//!
//! Most who are told no hold nothing anywhere near. What lies behind a hop (a userset, a parent) can only be held through a
//! valid tuple whose condition is not false and that names the subject, or everybody of its type, on one of the relations that
//! hops lead to. Where there is no such tuple on any object, nobody need go there, however far it leads: it is no. To find
//! that out takes a look for each of these relations from the subject's side, which the filters of table files answer.

use std::ops::ControlFlow;

use super::conditions::Counts;
use super::error::EvalError;
use super::meter::Meter;
use super::program::{Program, Question};
use crate::schema::resolved::RelationIndex;
use crate::storage::StorageError;
use crate::tuple::{SubjectRef, TupleRef};

/// So many relations are looked at before anything is walked; more of them only when the walk meets its limit.
const LOOKS_MAX: usize = 4;

/// Where it is named on more objects than these, single ones are looked up.
const PLACES_MAX: usize = 4;

/// Ids of objects.
type Places = Vec<Box<str>>;

/// Where the subject of a question is named, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Relations, with the ids of all objects on which tuples without conditions, and no others, name it.
    places: Vec<(RelationIndex, Places)>,
    /// Whether it is named behind hops; none: not known.
    behind_hops: Option<bool>,
}

impl Named {
    /// Of a subject that stands for others, who may be named anywhere.
    pub(super) fn anywhere() -> Named {
        Named { places: Vec::new(), behind_hops: Some(true) }
    }

    /// Whether the subject may be named behind hops; looks if that takes little.
    pub(super) fn may_be_behind_hops(
        &mut self,
        program: &Program,
        meter: &mut Meter<'_>,
        question: &Question<'_>,
    ) -> Result<bool, EvalError> {
        if self.behind_hops.is_none() && program.behind_hops(question.relation).len() > LOOKS_MAX {
            return Ok(true);
        }
        self.is_behind_hops(program, meter, question)
    }

    /// The same, whatever it takes.
    pub(super) fn is_behind_hops(
        &mut self,
        program: &Program,
        meter: &mut Meter<'_>,
        question: &Question<'_>,
    ) -> Result<bool, EvalError> {
        if let Some(known) = self.behind_hops {
            return Ok(known);
        }
        // A userset holds itself, named or not.
        let mut is_behind = matches!(question.subject, SubjectRef::Userset(..));
        if !is_behind {
            for &relation in program.behind_hops(question.relation) {
                let (is_named, places) = match places(program, meter, question, relation) {
                    // A past state that cannot tell what it holds of the subject: it may tell what the walk asks.
                    Err(EvalError::Storage(StorageError::Purged { .. })) => (true, None),
                    found => found?,
                };
                is_behind |= is_named;
                self.places.extend(places.map(|places| (relation, places)));
            }
        }
        self.behind_hops = Some(is_behind);
        Ok(is_behind)
    }

    /// Whether a tuple on a relation of an object names the subject; none: that is to be looked up.
    pub(super) fn is_on(&self, relation: RelationIndex, id: &str) -> Option<bool> {
        let (_, places) = self.places.iter().find(|(of, _)| *of == relation)?;
        Some(places.iter().any(|place| **place == *id))
    }
}

/// Whether a tuple on a relation that may count names the subject, or everybody of its type, and on which objects; none: on too
/// many, or which of them count hangs on conditions.
fn places(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    relation: RelationIndex,
) -> Result<(bool, Option<Places>), EvalError> {
    let (object_type, name) = (program.type_name(relation), program.relation_name(relation));
    let (mut is_named, mut places) = (false, Some(Vec::new()));
    for (subject, shape) in question.as_written() {
        if !program.may_hold(relation, question.subject_type, shape) {
            continue;
        }
        let conditions = meter.conditions();
        meter.objects(subject, object_type, name, None, |object, row| {
            let tuple = TupleRef { object, relation: name, subject };
            let counts = match program.allows(relation, question.subject_type, shape, row) {
                true => conditions.counts(program, tuple, row),
                false => Counts::No,
            };
            match (counts, &mut places) {
                (Counts::Yes, Some(places)) if row.condition.is_none() && places.len() < PLACES_MAX => {
                    is_named = true;
                    places.push(object.id().into());
                }
                // What is not valid counts nowhere.
                (Counts::No, _) if row.condition.is_none() => {}
                (counts, _) => {
                    // It may hide a tuple from look-ups, or be hidden from them.
                    places = None;
                    is_named |= counts != Counts::No;
                }
            }
            if is_named && places.is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if is_named && places.is_none() {
            break;
        }
    }
    Ok((is_named, places))
}
