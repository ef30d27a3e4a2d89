//! From rules to facts: what the tuples of one object say, shared by both ways of evaluating.

use std::ops::ControlFlow;

use super::conditions::{Counts, Fault};
use super::error::EvalError;
use super::meter::Meter;
use super::program::{Program, Question};
use crate::schema::resolved::{Arrow, RelationIndex, RestrictionShape, TypeIndex};
use crate::storage::Row;
use crate::tuple::{ObjectRef, SubjectKind, SubjectRef, TupleRef};

/// A subproblem: a relation of an object. The relation says which type the object is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Child {
    pub(super) relation: RelationIndex,
    pub(super) id: Box<str>,
}

/// A subproblem that a tuple leads to.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) child: Child,
    /// Whether the tuple counts cannot be told.
    pub(super) fault: Option<Fault>,
}

/// Whether a tuple on this very relation names the subject, or everybody of its type.
pub(super) fn direct_match(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    relation: RelationIndex,
    id: &str,
) -> Result<Counts, EvalError> {
    let object = ObjectRef::from_checked(program.type_name(relation), id);
    let name = program.relation_name(relation);
    let mut found = Counts::No;
    for (subject, shape) in question.as_written() {
        let tuple = TupleRef { object, relation: name, subject };
        match written(program, meter, relation, question.subject_type, shape, tuple)? {
            Counts::Yes => return Ok(Counts::Yes),
            Counts::Unknown(fault) => found = Counts::Unknown(fault),
            Counts::No => {}
        }
    }
    Ok(found)
}

/// Whether a tuple is written on a relation, and counts.
pub(super) fn written(
    program: &Program,
    meter: &mut Meter<'_>,
    relation: RelationIndex,
    subject_type: TypeIndex,
    shape: RestrictionShape,
    tuple: TupleRef<'_>,
) -> Result<Counts, EvalError> {
    if !program.may_hold(relation, subject_type, shape) {
        return Ok(Counts::No);
    }
    let Some(row) = meter.get(tuple)? else { return Ok(Counts::No) };
    let conditions = meter.conditions();
    let counts = |row: &Row| match program.allows(relation, subject_type, shape, row) {
        true => conditions.counts(program, tuple, row),
        false => Counts::No,
    };
    let mut found = counts(&row);
    if found == Counts::Yes || shape != RestrictionShape::Wildcard {
        return Ok(found);
    }
    // A contextual tuple stands before a stored one of the same key where one subject is looked up. Everybody is found
    // by a scan, as in OpenFGA, and there both count.
    meter.subjects(tuple.object, tuple.relation, SubjectKind::Wildcard, |subject, row| {
        if subject == tuple.subject {
            match counts(row) {
                Counts::No => {}
                better => found = better,
            }
        }
        if found == Counts::Yes { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// What the usersets written on a relation say: one hop.
pub(super) enum Usersets {
    /// Known at once: whether one of them holds the subject.
    Decided(bool),
    /// The subproblems they lead to.
    Edges(Vec<Edge>),
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
        return Ok(Usersets::Edges(userset_edges(program, meter, relation, id, usize::MAX)?));
    }
    let mut rows = SIDE_ROWS;
    loop {
        let edges = userset_edges(program, meter, relation, id, rows)?;
        if edges.len() < rows {
            return Ok(Usersets::Edges(edges));
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
pub(super) fn userset_edges(
    program: &Program,
    meter: &mut Meter<'_>,
    relation: RelationIndex,
    id: &str,
    enough: usize,
) -> Result<Vec<Edge>, EvalError> {
    let mut found = Vec::new();
    if !program.may_hold_usersets(relation) {
        return Ok(found);
    }
    let object = ObjectRef::from_checked(program.type_name(relation), id);
    let (conditions, name) = (meter.conditions(), program.relation_name(relation));
    meter.subjects(object, name, SubjectKind::Userset, |subject, row| {
        if let Some(asked) = program.valid_userset(relation, subject, row)
            && let SubjectRef::Userset(group, _) = subject
        {
            let child = || Child { relation: asked, id: group.id().into() };
            match conditions.counts(program, TupleRef { object, relation: name, subject }, row) {
                Counts::No => {}
                Counts::Yes => found.push(Edge { child: child(), fault: None }),
                Counts::Unknown(fault) => found.push(Edge { child: child(), fault: Some(fault) }),
            }
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

/// What is known of the parents that an arrow leads to, beside the subproblems.
#[derive(Debug, Default)]
pub(super) struct Parents {
    /// How many there surely are.
    pub(super) certain: usize,
    /// One of them is of a type without the relation: it leads nowhere.
    pub(super) has_dead_end: bool,
    /// There may be one of that kind.
    pub(super) dead_end_fault: Option<Fault>,
}

/// The subproblems that an arrow leads to: one hop.
pub(super) fn arrow_edges(
    program: &Program,
    meter: &mut Meter<'_>,
    arrow: &Arrow,
    id: &str,
    found: &mut Vec<Edge>,
) -> Result<Parents, EvalError> {
    let object = ObjectRef::from_checked(program.type_name(arrow.tupleset), id);
    let mut parents = Parents::default();
    let (conditions, name) = (meter.conditions(), program.relation_name(arrow.tupleset));
    meter.subjects(object, name, SubjectKind::Object, |subject, row| {
        let Some(parent_type) = program.valid_parent(arrow.tupleset, subject, row) else {
            return ControlFlow::Continue(());
        };
        let fault = match conditions.counts(program, TupleRef { object, relation: name, subject }, row) {
            Counts::No => return ControlFlow::Continue(()),
            Counts::Yes => None,
            Counts::Unknown(fault) => Some(fault),
        };
        parents.certain += usize::from(fault.is_none());
        let target = arrow.targets.iter().find(|(target_type, _)| *target_type == parent_type);
        match (target, subject) {
            (Some(&(_, relation)), SubjectRef::Object(parent)) => {
                found.push(Edge { child: Child { relation, id: parent.id().into() }, fault });
            }
            _ if fault.is_none() => parents.has_dead_end = true,
            _ => parents.dead_end_fault = fault,
        }
        ControlFlow::Continue(())
    })?;
    Ok(parents)
}
