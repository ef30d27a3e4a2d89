//! The short way to the holders of most places: where everything that lies over a hop is known already, sets are joined on the
//! spot, without a search.

use std::ops::ControlFlow;

use super::bound::Bound;
use super::holders::{Holders, ObjectRows, Range};
use super::sets::{People, Set, Sets};
use super::truth::{Operator, Truth};
use crate::schema::{Arrow, ArrowOver, RelationIndex, Rewrite};
use crate::storage::Row;
use crate::tuple::{ObjectRef, SubjectKind, SubjectRef};

/// Computed relations behind each other.
const DEPTH_MAX: usize = 16;
/// Relations of one object that are looked at.
const PLACES_MAX: u32 = 64;

/// A relation of an object, and all tuples of the object, where they are at hand.
#[derive(Clone, Copy)]
struct At<'r> {
    relation: RelationIndex,
    id: &'r str,
    rows: Option<&'r ObjectRows>,
    depth: usize,
}

impl Holders<'_> {
    /// Who holds a relation of an object; none: a search has to find out.
    pub(super) fn at_once(
        &mut self,
        sets: &mut Sets,
        relation: RelationIndex,
        id: &str,
        rows: Option<&ObjectRows>,
    ) -> Result<Option<Set>, Bound> {
        self.at_once_left = PLACES_MAX;
        self.reads_at_once = 0;
        self.place_at_once(sets, At { relation, id, rows, depth: 0 })
    }

    fn place_at_once(&mut self, sets: &mut Sets, at: At<'_>) -> Result<Option<Set>, Bound> {
        if let Some(known) = self.known(at.relation, at.id) {
            return Ok(known.decided());
        }
        // Nothing is remembered here: what computes the same again and again is for a search.
        if at.depth > DEPTH_MAX || self.at_once_left == 0 {
            return Ok(None);
        }
        self.at_once_left -= 1;
        let program = self.program();
        let found = self.rewrite_at_once(sets, at, &program.schema().relation_at(at.relation).rewrite)?;
        if let Some(set) = found {
            self.keep(at.relation, at.id, Range::decided_as(set));
        }
        Ok(found)
    }

    fn rewrite_at_once(
        &mut self,
        sets: &mut Sets,
        at: At<'_>,
        rewrite: &Rewrite,
    ) -> Result<Option<Set>, Bound> {
        match rewrite {
            Rewrite::Nil => Ok(Some(Set::NOBODY)),
            Rewrite::Direct => self.direct_at_once(sets, at),
            Rewrite::Computed(other) => {
                self.place_at_once(sets, At { relation: *other, depth: at.depth + 1, ..at })
            }
            Rewrite::Arrow(arrow) if arrow.over == ArrowOver::Any => self.arrow_at_once(sets, at, arrow),
            Rewrite::Arrow(_) => Ok(None),
            Rewrite::Union(parts) => self.fold_at_once(sets, at, Operator::Or, parts),
            Rewrite::Intersection(parts) => self.fold_at_once(sets, at, Operator::And, parts),
            Rewrite::Exclusion(base, taken) => {
                let Some(base) = self.rewrite_at_once(sets, at, base)? else { return Ok(None) };
                let Some(taken) = self.rewrite_at_once(sets, at, taken)? else { return Ok(None) };
                sets.apply(Operator::Without, base, taken).map(Some)
            }
        }
    }

    fn fold_at_once(
        &mut self,
        sets: &mut Sets,
        at: At<'_>,
        operator: Operator,
        parts: &[Rewrite],
    ) -> Result<Option<Set>, Bound> {
        let mut all = None;
        for part in parts {
            let Some(part) = self.rewrite_at_once(sets, at, part)? else { return Ok(None) };
            all = Some(match all {
                None => part,
                Some(all) => sets.apply(operator, all, part)?,
            });
        }
        Ok(Some(all.unwrap_or(Set::NOBODY)))
    }

    fn direct_at_once(&mut self, sets: &mut Sets, at: At<'_>) -> Result<Option<Set>, Bound> {
        let program = self.program();
        let mut people = People::default();
        let (mut joined, mut is_known) = (Set::NOBODY, true);
        for kind in program.kinds_on(at.relation) {
            self.each_subject(at, at.relation, kind, &mut |holders, subject, row| {
                let Some(subject_type) = program.subject_type_of_valid(at.relation, subject, row) else {
                    return Ok(true);
                };
                let truth = holders.truth(sets, row)?;
                if truth == Truth::NO {
                    return Ok(true);
                }
                if let SubjectRef::Userset(object, name) = subject {
                    let Some(asked) = program.schema().relation_named(subject_type, name) else {
                        return Ok(true);
                    };
                    let Some(set) = holders.known(asked, object.id()).and_then(Range::decided) else {
                        is_known = false;
                        return Ok(false);
                    };
                    let set = sets.when(truth, set)?;
                    joined = sets.apply(Operator::Or, joined, set)?;
                    return Ok(true);
                }
                people.add(sets, subject, truth)?;
                Ok(true)
            })?;
            if !is_known {
                return Ok(None);
            }
        }
        let people = people.joined(sets)?;
        sets.apply(Operator::Or, joined, people).map(Some)
    }

    fn arrow_at_once(&mut self, sets: &mut Sets, at: At<'_>, arrow: &Arrow) -> Result<Option<Set>, Bound> {
        let program = self.program();
        let (mut joined, mut is_known) = (Set::NOBODY, true);
        self.each_subject(at, arrow.tupleset, SubjectKind::Object, &mut |holders, subject, row| {
            let Some(parent_type) = program.subject_type_of_valid(arrow.tupleset, subject, row) else {
                return Ok(true);
            };
            let target = arrow.targets.iter().find(|(target_type, _)| *target_type == parent_type);
            let (Some(&(_, relation)), SubjectRef::Object(parent)) = (target, subject) else {
                return Ok(true);
            };
            let truth = holders.truth(sets, row)?;
            let Some(set) = holders.known(relation, parent.id()).and_then(Range::decided) else {
                is_known = false;
                return Ok(false);
            };
            let set = sets.when(truth, set)?;
            joined = sets.apply(Operator::Or, joined, set)?;
            Ok(true)
        })?;
        Ok(is_known.then_some(joined))
    }

    /// Visits the subjects of one shape on a relation of the object, as long as that is wanted.
    fn each_subject(
        &mut self,
        at: At<'_>,
        relation: RelationIndex,
        kind: SubjectKind,
        visit: &mut dyn FnMut(&mut Self, SubjectRef<'_>, &Row) -> Result<bool, Bound>,
    ) -> Result<(), Bound> {
        let schema = self.program().schema();
        let of = schema.relation_at(relation);
        if let Some(rows) = at.rows {
            for (name, subject, row) in &rows.rows {
                let is_asked = **name == *of.name && subject.as_ref().kind() == kind;
                if is_asked && !visit(self, subject.as_ref(), row)? {
                    return Ok(());
                }
            }
            return Ok(());
        }
        let object = ObjectRef::from_checked(&schema.type_at(of.object_type).name, at.id);
        let state = self.state();
        self.reads += 1;
        let mut result = Ok(true);
        state.subjects(object, &of.name, kind, &mut |subject, row| {
            self.reads += 1;
            self.reads_at_once += 1;
            result = match self.reads_at_once > self.reads_max() {
                true => Err(Bound::Reads(self.reads_max())),
                false => visit(self, subject, row),
            };
            if matches!(result, Ok(true)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        result.map(|_| ())
    }
}
