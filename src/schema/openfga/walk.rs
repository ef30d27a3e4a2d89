//! The two walks of OpenFGA's validation: for an entry point, and for a cycle of computed relations.
//!
//! The first remembers what it has visited type by type, and what one branch visited within a type that was known
//! before is seen by the next one. So it can call a relation a loop that is none; its message is kept all the
//! same, since only schemas that our own rules refuse come here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::super::index::Index;
use super::super::tree::{Expression, ExpressionKind, TypeRestrictionShape};

/// Relations within relations that are followed; deeper ones are taken for right.
const DEPTH_MAX: usize = 300;
/// Steps of all walks of a schema together; what is left then is taken for right.
const STEPS_MAX: usize = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryPoint {
    Found,
    None,
    /// None, and the way to it came back to where it had been.
    Loop,
}

/// Relations visited, by type: whether an entry point was found right there.
type Visited = HashMap<usize, Rc<RefCell<HashMap<usize, bool>>>>;

pub(super) struct Walk<'t, 'i> {
    index: &'i Index<'t>,
    steps: usize,
    /// Relations from which no cycle and no unknown relation can be reached.
    clean: Vec<bool>,
}

impl<'t, 'i> Walk<'t, 'i> {
    pub(super) fn new(index: &'i Index<'t>) -> Walk<'t, 'i> {
        Walk { index, steps: 0, clean: vec![false; index.relations.len()] }
    }

    /// Whether a relation has an entry point, as OpenFGA sees it. An error is a mistake met on the way.
    pub(super) fn entry_point(&mut self, relation: usize) -> Result<EntryPoint, String> {
        let expression = &self.index.relations[relation].definition.expression;
        let (found, is_loop) = self.entry(relation, expression, &Visited::new(), 0)?;
        Ok(match (found, is_loop) {
            (true, _) => EntryPoint::Found,
            (false, true) => EntryPoint::Loop,
            (false, false) => EntryPoint::None,
        })
    }

    /// Whether there is an entry point, and else whether the way was a loop.
    fn entry(
        &mut self,
        relation: usize,
        expression: &'t Expression,
        visited: &Visited,
        depth: usize,
    ) -> Result<(bool, bool), String> {
        self.steps += 1;
        if self.steps > STEPS_MAX || depth > DEPTH_MAX {
            return Ok((true, false));
        }
        let object_type = self.index.relations[relation].object_type;
        let mut seen = visited.clone();
        seen.entry(object_type).or_default().borrow_mut().insert(relation, false);
        match &expression.kind {
            ExpressionKind::Missing => Ok((true, false)),
            ExpressionKind::Direct => self.direct_entry(relation, &seen, depth),
            ExpressionKind::Computed(name) => {
                let target = self.defined(object_type, &name.text)?;
                match known(&seen, object_type, target) {
                    Some(found) => Ok((found, true)),
                    None => self.entry(target, self.expression_of(target), &seen, depth + 1),
                }
            }
            ExpressionKind::Arrow { target, tupleset } => {
                let tupleset = self.defined(object_type, &tupleset.text)?;
                self.arrow_entry(tupleset, &target.text, &seen, depth)
            }
            ExpressionKind::Union(operands) => {
                self.enough_operands("union", relation, operands)?;
                let mut is_loop = false;
                for operand in operands {
                    match self.entry(relation, operand, visited, depth + 1)? {
                        (true, _) => return Ok((true, false)),
                        (false, operand_loop) => is_loop |= operand_loop,
                    }
                }
                Ok((false, is_loop))
            }
            ExpressionKind::Intersection(operands) => {
                self.enough_operands("intersection", relation, operands)?;
                self.all_entries(relation, operands.iter(), visited, depth)
            }
            ExpressionKind::Exclusion(base, subtract) => {
                self.all_entries(relation, [&**base, &**subtract].into_iter(), visited, depth)
            }
        }
    }

    fn all_entries(
        &mut self,
        relation: usize,
        operands: impl Iterator<Item = &'t Expression>,
        visited: &Visited,
        depth: usize,
    ) -> Result<(bool, bool), String> {
        for operand in operands {
            let (found, is_loop) = self.entry(relation, operand, visited, depth + 1)?;
            if !found {
                return Ok((false, is_loop));
            }
        }
        Ok((true, false))
    }

    fn direct_entry(
        &mut self,
        relation: usize,
        seen: &Visited,
        depth: usize,
    ) -> Result<(bool, bool), String> {
        let entry = &self.index.relations[relation];
        let object_type = entry.object_type;
        for restriction in &entry.definition.restrictions {
            let TypeRestrictionShape::Userset(name) = &restriction.shape else {
                if let Some(of_type) = seen.get(&object_type) {
                    of_type.borrow_mut().insert(relation, true);
                }
                return Ok((true, false));
            };
            let type_name = &restriction.subject_type.text;
            let subject_type = self.index.type_named(type_name);
            let Some(subject_type) = subject_type else { return Err(undefined(type_name, &name.text)) };
            let target = self.defined(subject_type, &name.text)?;
            if known(seen, subject_type, target).is_some() {
                continue;
            }
            if self.entry(target, self.expression_of(target), seen, depth + 1)?.0 {
                return Ok((true, false));
            }
        }
        Ok((false, false))
    }

    fn arrow_entry(
        &mut self,
        tupleset: usize,
        target: &str,
        seen: &Visited,
        depth: usize,
    ) -> Result<(bool, bool), String> {
        for restriction in &self.index.relations[tupleset].definition.restrictions {
            let parent = self.index.type_named(&restriction.subject_type.text);
            let target = parent.and_then(|parent| Some((parent, self.index.relation_named(parent, target)?)));
            let Some((parent, target)) = target else { continue };
            let found = match known(seen, parent, target) {
                Some(found) => found,
                None => self.entry(target, self.expression_of(target), seen, depth + 1)?.0,
            };
            if found {
                return Ok((true, false));
            }
        }
        Ok((false, false))
    }

    fn enough_operands(&self, what: &str, relation: usize, operands: &[Expression]) -> Result<(), String> {
        if operands.len() >= 2 {
            return Ok(());
        }
        let text = self.index.relation_text(relation);
        Err(format!("invalid relation: '{text}' as {what} has less than 2 children"))
    }

    /// Whether following computed relations from this one comes back to where it has been.
    pub(super) fn meets_cycle(&mut self, relation: usize) -> Result<bool, String> {
        let mut path = vec![relation];
        let expression = self.expression_of(relation);
        let meets = self.cycle(relation, expression, &mut path)?;
        self.clean[relation] |= !meets;
        Ok(meets)
    }

    fn cycle(
        &mut self,
        relation: usize,
        expression: &'t Expression,
        path: &mut Vec<usize>,
    ) -> Result<bool, String> {
        let object_type = self.index.relations[relation].object_type;
        if let ExpressionKind::Computed(name) = &expression.kind {
            let Some(target) = self.index.relation_named(object_type, &name.text) else {
                let type_name = self.index.type_name(object_type);
                return Err(format!("'{type_name}#{}' relation is undefined", name.text));
            };
            if path.contains(&target) {
                return Ok(true);
            }
            if self.clean[target] || path.len() > DEPTH_MAX {
                return Ok(false);
            }
            path.push(target);
            let meets = self.cycle(target, self.expression_of(target), path)?;
            path.pop();
            self.clean[target] |= !meets;
            return Ok(meets);
        }
        for operand in expression.operands() {
            if self.cycle(relation, operand, path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn expression_of(&self, relation: usize) -> &'t Expression {
        &self.index.relations[relation].definition.expression
    }

    fn defined(&self, object_type: usize, name: &str) -> Result<usize, String> {
        let found = self.index.relation_named(object_type, name);
        found.ok_or_else(|| undefined(self.index.type_name(object_type), name))
    }
}

fn known(visited: &Visited, object_type: usize, relation: usize) -> Option<bool> {
    visited.get(&object_type)?.borrow().get(&relation).copied()
}

fn undefined(object_type: &str, relation: &str) -> String {
    format!("undefined type definition for '{object_type}#{relation}'")
}
