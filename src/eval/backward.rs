//! The way back from a subject to the objects of one relation: which tuples lead from one subproblem to those that
//! hang on it. Worked out once for each relation that is listed.

use std::collections::{HashMap, HashSet};

use super::program::Program;
use crate::schema::resolved::{Arrow, ArrowOver, RelationIndex, RestrictionShape, Rewrite};

/// The way back to one relation, its target.
#[derive(Debug, Default)]
pub(super) struct Backward {
    /// From a relation to those whose rules look at it, other than to take away.
    steps: HashMap<RelationIndex, Vec<Step>>,
    /// The relations whose own tuples count, and whether such a tuple is enough.
    pub(super) starts: Vec<(RelationIndex, bool)>,
    /// The relations from which no other object is reached, and whether to hold one of them is enough for the target.
    ends: HashMap<RelationIndex, bool>,
}

/// One step from a relation to another whose rule looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) over: Over,
    pub(super) to: RelationIndex,
    /// Whether holding the one is enough for holding the other: no intersection or exclusion is between them.
    pub(super) is_enough: bool,
}

/// What a step goes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    /// Nothing: the relations are of the same object.
    Computed,
    /// A tuple on the relation `to` with a userset.
    Userset,
    /// A tuple on this tupleset with a parent.
    Arrow(RelationIndex),
}

impl Backward {
    pub(super) fn to(program: &Program, target: RelationIndex) -> Backward {
        let mut back = Backward::default();
        let mut seen = HashSet::from([target]);
        let mut found = vec![target];
        while let Some(to) = found.pop() {
            let rewrite = &program.schema().relation_at(to).rewrite;
            back.add(program, to, rewrite, true, &mut |from| {
                if seen.insert(from) {
                    found.push(from);
                }
            });
        }
        back.find_ends(target);
        back
    }

    pub(super) fn steps(&self, from: RelationIndex) -> &[Step] {
        self.steps.get(&from).map_or(&[], Vec::as_slice)
    }

    /// Whether the relation leads to no other object, and if so, whether to hold it is enough for the target.
    pub(super) fn end(&self, relation: RelationIndex) -> Option<bool> {
        self.ends.get(&relation).copied()
    }

    fn add(
        &mut self,
        program: &Program,
        to: RelationIndex,
        rewrite: &Rewrite,
        is_enough: bool,
        found: &mut dyn FnMut(RelationIndex),
    ) {
        match rewrite {
            Rewrite::Nil => {}
            Rewrite::Direct => {
                self.starts.push((to, is_enough));
                for restriction in &program.schema().relation_at(to).restrictions {
                    if let RestrictionShape::Userset(from) = restriction.shape {
                        self.step(from, Step { over: Over::Userset, to, is_enough });
                        found(from);
                    }
                }
            }
            Rewrite::Computed(from) => {
                self.step(*from, Step { over: Over::Computed, to, is_enough });
                found(*from);
            }
            Rewrite::Arrow(Arrow { tupleset, targets, over, .. }) => {
                let is_enough = is_enough && *over == ArrowOver::Any;
                for (_, from) in targets {
                    self.step(*from, Step { over: Over::Arrow(*tupleset), to, is_enough });
                    found(*from);
                }
            }
            Rewrite::Union(operands) => {
                for operand in operands {
                    self.add(program, to, operand, is_enough, found);
                }
            }
            Rewrite::Intersection(operands) => {
                for operand in operands {
                    self.add(program, to, operand, false, found);
                }
            }
            Rewrite::Exclusion(base, _) => self.add(program, to, base, false, found),
        }
    }

    fn step(&mut self, from: RelationIndex, step: Step) {
        let steps = self.steps.entry(from).or_default();
        match steps.iter_mut().find(|known| known.over == step.over && known.to == step.to) {
            Some(known) => known.is_enough |= step.is_enough,
            None => steps.push(step),
        }
    }

    /// From the target backwards: a relation is an end when all that its steps lead to are ends of the same object.
    fn find_ends(&mut self, target: RelationIndex) {
        if !self.steps(target).is_empty() {
            return;
        }
        let mut leads: HashMap<RelationIndex, Vec<RelationIndex>> = HashMap::new();
        for (from, steps) in &self.steps {
            for step in steps {
                leads.entry(step.to).or_default().push(*from);
            }
        }
        self.ends.insert(target, true);
        let mut found = vec![target];
        while let Some(to) = found.pop() {
            for &from in leads.get(&to).map_or(&[][..], Vec::as_slice) {
                if self.ends.contains_key(&from) {
                    continue;
                }
                let lead = |step: &Step| match step.over {
                    Over::Computed => self.end(step.to).map(|end| end && step.is_enough),
                    Over::Userset | Over::Arrow(_) => None,
                };
                let all: Option<Vec<bool>> = self.steps(from).iter().map(lead).collect();
                if let Some(all) = all {
                    self.ends.insert(from, all.contains(&true));
                    found.push(from);
                }
            }
        }
    }
}
