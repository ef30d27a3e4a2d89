//! From rules to facts: what the tuples of one object say, shared by both ways of evaluating.

use std::ops::ControlFlow;

use super::error::EvalError;
use super::meter::Meter;
use super::program::{Program, Question};
use crate::schema::resolved::{Arrow, RelationIndex};
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
    for (subject, shape) in question.as_written() {
        if program.may_hold(relation, question.subject_type, shape)
            && let Some(row) = meter.get(TupleRef { object, relation: name, subject })?
            && program.allows(relation, question.subject_type, shape, &row)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the usersets written on a relation say: one hop.
pub(super) enum Usersets {
    /// Known at once: whether one of them holds the subject.
    Decided(bool),
    /// The subproblems they lead to.
    Children(Vec<Child>),
}

/// Rows looked at before the other side is tried; doubled at each turn.
const SIDE_ROWS: usize = 64;

/// What the usersets written on this relation say.
///
/// When all of them end at relations that only name subjects, both ends of the hop are known: then the walk goes from
/// whichever side has fewer rows, the usersets of the object or the groups of the subject. Nobody knows beforehand
/// which that is, so the two take turns with growing numbers of rows.
pub(super) fn usersets(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    relation: RelationIndex,
    id: &str,
) -> Result<Usersets, EvalError> {
    if !program.ends_at_names(relation) {
        return Ok(Usersets::Children(userset_children(program, meter, relation, id, usize::MAX)?));
    }
    let mut rows = SIDE_ROWS;
    loop {
        let children = userset_children(program, meter, relation, id, rows)?;
        if children.len() < rows {
            return Ok(Usersets::Children(children));
        }
        rows *= 2;
        if let Some(groups) = groups_of_subject(program, meter, question, relation, rows)? {
            for group in groups {
                if names_userset(program, meter, relation, id, &group)? {
                    return Ok(Usersets::Decided(true));
                }
            }
            return Ok(Usersets::Decided(false));
        }
        rows *= 2;
    }
}

/// The subproblems that the usersets written on this relation lead to, at most `enough` of them.
pub(super) fn userset_children(
    program: &Program,
    meter: &mut Meter<'_>,
    relation: RelationIndex,
    id: &str,
    enough: usize,
) -> Result<Vec<Child>, EvalError> {
    let mut found = Vec::new();
    if !program.may_hold_usersets(relation) {
        return Ok(found);
    }
    let object = ObjectRef::from_checked(program.type_name(relation), id);
    meter.subjects(object, program.relation_name(relation), SubjectKind::Userset, |subject, row| {
        if let Some(relation) = program.valid_userset(relation, subject, row)
            && let SubjectRef::Userset(object, _) = subject
        {
            found.push(Child { relation, id: object.id().into() });
        }
        if found.len() < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(found)
}

/// The usersets that `relation` may hold and that hold the subject; none when there are `too_many` rows to read.
fn groups_of_subject(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    relation: RelationIndex,
    too_many: usize,
) -> Result<Option<Vec<Child>>, EvalError> {
    let mut groups = Vec::new();
    let mut rows = 0;
    for userset in program.usersets_of(relation) {
        let Some(flat) = program.flat(userset) else { return Ok(None) };
        if let SubjectRef::Userset(object, _) = question.subject
            && flat.members.iter().any(|&member| question.is_userset(member, object.id()))
        {
            groups.push(Child { relation: userset, id: object.id().into() });
        }
        for &member in &flat.direct {
            let (group_type, name) = (program.type_name(member), program.relation_name(member));
            for (subject, shape) in question.as_written() {
                meter.objects(subject, group_type, name, None, |object, row| {
                    rows += 1;
                    if program.allows(member, question.subject_type, shape, row) {
                        groups.push(Child { relation: userset, id: object.id().into() });
                    }
                    if rows < too_many { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                if rows >= too_many {
                    return Ok(None);
                }
            }
        }
    }
    Ok(Some(groups))
}

/// Whether a userset is written on a relation of an object.
fn names_userset(
    program: &Program,
    meter: &mut Meter<'_>,
    relation: RelationIndex,
    id: &str,
    userset: &Child,
) -> Result<bool, EvalError> {
    let object = ObjectRef::from_checked(program.type_name(relation), id);
    let group = ObjectRef::from_checked(program.type_name(userset.relation), &userset.id);
    let subject = SubjectRef::Userset(group, program.relation_name(userset.relation));
    let row = meter.get(TupleRef { object, relation: program.relation_name(relation), subject })?;
    Ok(row.is_some_and(|row| program.valid_userset(relation, subject, &row).is_some()))
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
        let Some(parent_type) = program.valid_parent(arrow.tupleset, subject, row) else {
            return ControlFlow::Continue(());
        };
        parents += 1;
        let target = arrow.targets.iter().find(|(target_type, _)| *target_type == parent_type);
        if let (Some(&(_, relation)), SubjectRef::Object(parent)) = (target, subject) {
            found.push(Child { relation, id: parent.id().into() });
        }
        ControlFlow::Continue(())
    })?;
    Ok(parents)
}
