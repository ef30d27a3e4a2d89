//! Check over relations that hold only unions: one breadth-first walk with one visited set.

use std::collections::HashSet;

use super::error::EvalError;
use super::ground::{Child, arrow_children, direct_match, userset_children};
use super::meter::Meter;
use super::program::{Flat, Program, Question};

/// Level by level, so that the first proof found is one with the fewest hops. Within a level, look-ups come before
/// scans: a proof by an exact tuple is never paid for with a walk.
pub(super) fn check(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
) -> Result<bool, EvalError> {
    let mut level = vec![Child { relation: question.relation, id: question.object.id().into() }];
    let mut visited: HashSet<Child> = HashSet::new();
    for depth in 0.. {
        for node in &level {
            let Some(flat) = program.flat(node.relation) else { continue };
            if holds_here(program, meter, question, flat, node)? {
                return Ok(true);
            }
        }
        if depth == 0 {
            visited.extend(level.iter().cloned());
        }
        let mut next = Vec::new();
        for node in &level {
            let Some(flat) = program.flat(node.relation) else { continue };
            let mut found = Vec::new();
            for &relation in &flat.direct {
                userset_children(program, meter, relation, &node.id, &mut found)?;
            }
            for arrow in &flat.arrows {
                arrow_children(program, meter, arrow, &node.id, &mut found)?;
            }
            for child in found {
                if visited.insert(child.clone()) {
                    next.push(child);
                }
            }
        }
        if next.is_empty() {
            return Ok(false);
        }
        if depth == meter.limits().depth_max {
            return Err(EvalError::TooDeep(depth));
        }
        level = next;
    }
    Ok(false)
}

/// Whether the tuples of this one object decide for yes.
fn holds_here(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    flat: &Flat,
    node: &Child,
) -> Result<bool, EvalError> {
    if flat.members.iter().any(|&member| question.is_userset(member, &node.id)) {
        return Ok(true);
    }
    for &relation in &flat.direct {
        if direct_match(program, meter, question, relation, &node.id)? {
            return Ok(true);
        }
    }
    Ok(false)
}
