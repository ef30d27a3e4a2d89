//! From rules to facts: what the tuples of one object say, shared by both ways of evaluating.

use super::error::EvalError;
use super::meter::Meter;
use super::program::{Program, Question};
use crate::schema::resolved::{Arrow, RelationIndex, RestrictionShape};
use crate::tuple::{ObjectRef, SubjectKind, SubjectRef, TupleRef};

/// A subproblem: a relation of an object. The relation says which type the object is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Child {
    pub(super) relation: RelationIndex,
    pub(super) id: Box<str>,
}

/// Whether a tuple on this very relation names the subject, or everybody of its type.
pub(super) fn direct_match(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    relation: RelationIndex,
    id: &str,
) -> Result<bool, EvalError> {
    let object = ObjectRef::from_checked(program.type_name(relation), id);
    let name = program.relation_name(relation);
    let mut is_written = |subject, shape| -> Result<bool, EvalError> {
        if !program.may_hold(relation, question.subject_type, shape) {
            return Ok(false);
        }
        let row = meter.get(TupleRef { object, relation: name, subject })?;
        Ok(row.is_some_and(|row| program.allows(relation, question.subject_type, shape, &row)))
    };
    if is_written(question.subject, question.subject_shape)? {
        return Ok(true);
    }
    // Everybody of a type means its objects, never its usersets.
    match question.subject {
        SubjectRef::Object(object) => {
            is_written(SubjectRef::Wildcard(object.object_type()), RestrictionShape::Wildcard)
        }
        _ => Ok(false),
    }
}

/// The subproblems that the usersets written on this relation lead to: one hop.
pub(super) fn userset_children(
    program: &Program,
    meter: &mut Meter<'_>,
    relation: RelationIndex,
    id: &str,
    found: &mut Vec<Child>,
) -> Result<(), EvalError> {
    if !program.may_hold_usersets(relation) {
        return Ok(());
    }
    let object = ObjectRef::from_checked(program.type_name(relation), id);
    meter.subjects(object, program.relation_name(relation), SubjectKind::Userset, |subject, row| {
        if let Some(relation) = program.valid_userset(relation, subject, row)
            && let SubjectRef::Userset(object, _) = subject
        {
            found.push(Child { relation, id: object.id().into() });
        }
    })
}

/// The subproblems that an arrow leads to: one hop. The answer is the number of parents, also those of a type without
/// the relation, which lead nowhere.
pub(super) fn arrow_children(
    program: &Program,
    meter: &mut Meter<'_>,
    arrow: &Arrow,
    id: &str,
    found: &mut Vec<Child>,
) -> Result<usize, EvalError> {
    let object = ObjectRef::from_checked(program.type_name(arrow.tupleset), id);
    let mut parents = 0;
    meter.subjects(object, program.relation_name(arrow.tupleset), SubjectKind::Object, |subject, row| {
        let Some(parent_type) = program.valid_parent(arrow.tupleset, subject, row) else { return };
        parents += 1;
        let target = arrow.targets.iter().find(|(target_type, _)| *target_type == parent_type);
        if let (Some(&(_, relation)), SubjectRef::Object(parent)) = (target, subject) {
            found.push(Child { relation, id: parent.id().into() });
        }
    })?;
    Ok(parents)
}
