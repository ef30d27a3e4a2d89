//! Check over relations that hold only unions: one breadth-first walk with one visited set.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::conditions::{Counts, Fault};
use super::error::EvalError;
use super::ground::{Child, Edge, Usersets, arrow_edges, direct_match, userset_edges, usersets};
use super::meter::Meter;
use super::named::Named;
use super::program::{Flat, Program, Question};

/// Level by level, so that the first proof found is one with the fewest hops. Within a level, look-ups come before
/// scans: a proof by an exact tuple is never paid for with a walk.
pub(super) fn check(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    named: Named,
) -> Result<bool, EvalError> {
    let mut walk = Walk {
        program,
        question,
        named,
        may_turn: true,
        has_turned: false,
        with_doubtful: false,
        fault: None,
    };
    let mut result = walk.run(meter);
    if matches!(result, Err(EvalError::TooDeep(_))) && walk.has_turned {
        // Subproblems passed over from the other side were not marked as seen, so one of them may have been taken for
        // a new one beyond the limit.
        walk.may_turn = false;
        result = walk.run(meter);
    }
    let Some(fault) = walk.fault.take().filter(|_| result == Ok(false)) else { return result };
    // No, if none of the tuples counts of which that cannot be told. And if all of them do?
    walk.with_doubtful = true;
    match walk.run(meter) {
        Ok(true) | Err(EvalError::TooDeep(_)) => Err(fault.error()),
        result => result,
    }
}

struct Walk<'w> {
    program: &'w Program,
    question: &'w Question<'w>,
    named: Named,
    /// Whether usersets may be decided from the subject's side.
    may_turn: bool,
    has_turned: bool,
    /// Whether tuples count of which that cannot be told.
    with_doubtful: bool,
    /// The first of them that did not.
    fault: Option<Fault>,
}

impl Walk<'_> {
    fn run(&mut self, meter: &mut Meter<'_>) -> Result<bool, EvalError> {
        let Walk { program, question, .. } = *self;
        let root = Child { relation: question.relation, id: question.object.id().into() };
        let mut level = vec![root];
        let mut visited: HashSet<Child, RandomState> = HashSet::default();
        let depth_max = meter.limits().depth_max;
        for depth in 0..=depth_max {
            for node in &level {
                let Some(flat) = program.flat(node.relation) else { continue };
                if self.holds_here(meter, flat, node, depth)? {
                    return Ok(true);
                }
            }
            if depth == 0 && !self.named.may_be_behind_hops(program, meter, question)? {
                return Ok(false);
            }
            let mut found = Vec::new();
            for node in &level {
                let Some(flat) = program.flat(node.relation) else { continue };
                for &relation in &flat.direct {
                    // At the limit it only matters whether anything lies beyond.
                    if self.may_turn && depth < depth_max {
                        match usersets(program, meter, question, relation, &node.id)? {
                            Usersets::Decided(true) => return Ok(true),
                            Usersets::Decided(false) => self.has_turned = true,
                            Usersets::Edges(edges) => found.extend(edges),
                        }
                    } else {
                        found.extend(userset_edges(program, meter, relation, &node.id, usize::MAX)?);
                    }
                }
                for arrow in &flat.arrows {
                    arrow_edges(program, meter, arrow, &node.id, &mut found)?;
                }
            }
            if found.is_empty() {
                return Ok(false);
            }
            // A relation that this one takes over by computing was looked at with it, no hop farther away.
            for node in level.drain(..) {
                let Some(flat) = program.flat(node.relation) else { continue };
                let others = flat.members.iter().filter(|&&member| member != node.relation);
                visited.extend(others.map(|&relation| Child { relation, id: node.id.clone() }));
                visited.insert(node);
            }
            let mut next = Vec::new();
            for Edge { child, fault } in found {
                if let Some(fault) = fault
                    && !self.counts(fault)
                {
                    continue;
                }
                if visited.insert(child.clone()) {
                    next.push(child);
                }
            }
            if next.is_empty() {
                return Ok(false);
            }
            level = next;
        }
        if self.named.is_behind_hops(program, meter, question)? {
            return Err(EvalError::TooDeep(depth_max));
        }
        Ok(false)
    }

    /// Whether the tuples of this one object decide for yes.
    fn holds_here(
        &mut self,
        meter: &mut Meter<'_>,
        flat: &Flat,
        node: &Child,
        depth: u32,
    ) -> Result<bool, EvalError> {
        let Walk { program, question, .. } = *self;
        if flat.members.iter().any(|&member| question.is_userset(member, &node.id)) {
            return Ok(true);
        }
        for &relation in &flat.direct {
            match self.named.is_on(relation, &node.id).filter(|_| depth > 0) {
                Some(true) => return Ok(true),
                Some(false) => continue,
                None => {}
            }
            match direct_match(program, meter, question, relation, &node.id)? {
                Counts::Yes => return Ok(true),
                Counts::Unknown(fault) if self.counts(fault.clone()) => return Ok(true),
                Counts::Unknown(_) | Counts::No => {}
            }
        }
        Ok(false)
    }

    /// Whether a tuple counts of which that cannot be told.
    fn counts(&mut self, fault: Fault) -> bool {
        self.fault.get_or_insert(fault);
        self.with_doubtful
    }
}
