//! Entry points: whether there is any tuple at all through which somebody could come to hold a relation.

use std::collections::{HashMap, HashSet};

use super::super::code::ProblemCode;
use super::super::graph;
use super::super::index::Index;
use super::super::problem::Problem;
use super::super::tree::{Expression, ExpressionKind, TypeRestrictionShape};
use super::{NAMED_MAX, Rules};

impl Rules<'_, '_> {
    /// Reports relations that nobody can ever hold. Of those that fail only because of others, only the others.
    pub(super) fn entry_points(&mut self, cyclic: &HashSet<usize>) {
        let entries = Entries::of(self.index);
        let without: Vec<usize> = (0..entries.has.len()).filter(|relation| !entries.has[*relation]).collect();
        let number: HashMap<usize, usize> =
            without.iter().enumerate().map(|(at, relation)| (*relation, at)).collect();
        let mut edges = Vec::new();
        for (from, relation) in without.iter().enumerate() {
            let blocking = entries.needs[*relation].iter().filter_map(|need| number.get(need));
            edges.extend(blocking.map(|to| (from, *to)));
        }
        for group in graph::sinks(without.len(), &edges) {
            let group: Vec<usize> = group.into_iter().map(|at| without[at]).collect();
            if group.iter().any(|relation| cyclic.contains(relation) || self.is_self_reference(*relation)) {
                continue;
            }
            let problem = self.entry_problem(&group);
            self.report(problem);
        }
    }

    fn entry_problem(&self, group: &[usize]) -> Problem {
        let message = format!("nobody can ever hold `{}`", self.index.relation_text(group[0]));
        let mut problem = Problem::new(ProblemCode::NoEntryPoint, self.name_at(group[0]), message)
            .label("every way to it leads back to itself");
        for other in group.iter().take(NAMED_MAX).skip(1) {
            problem = problem.also(self.name_at(*other), "by way of this one");
        }
        problem.help("assign a type directly somewhere on the way: `[user] or …`")
    }

    fn is_self_reference(&self, relation: usize) -> bool {
        let definition = self.index.relations[relation].definition;
        let mut found = false;
        definition.expression.walk(&mut |expression| {
            if let ExpressionKind::Computed(name) = &expression.kind {
                found |= name.text == definition.name.text;
            }
        });
        found
    }
}

/// Which relations have an entry point: the least such set, found by going from those that have to those that
/// need them.
struct Entries {
    has: Vec<bool>,
    /// The relations that each one's definition names, itself included when it does.
    needs: Vec<Vec<usize>>,
}

impl Entries {
    fn of(index: &Index<'_>) -> Entries {
        let count = index.relations.len();
        let needs: Vec<Vec<usize>> = (0..count).map(|relation| needs(index, relation)).collect();
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (relation, needs) in needs.iter().enumerate() {
            for need in needs {
                needed_by[*need].push(relation);
            }
        }
        let mut entries = Entries { has: vec![false; count], needs };
        let mut waiting: Vec<usize> = (0..count).collect();
        while let Some(relation) = waiting.pop() {
            if !entries.has[relation] && entries.decide(index, relation) {
                entries.has[relation] = true;
                waiting.extend(&needed_by[relation]);
            }
        }
        entries
    }

    fn decide(&self, index: &Index<'_>, relation: usize) -> bool {
        let definition = index.relations[relation].definition;
        definition.broken || self.reaches(index, relation, &definition.expression)
    }

    fn reaches(&self, index: &Index<'_>, relation: usize, expression: &Expression) -> bool {
        let entry = &index.relations[relation];
        // What is unknown has been reported, and is taken for an entry.
        let has = |found: Option<usize>| found.is_none_or(|found| self.has[found]);
        match &expression.kind {
            ExpressionKind::Missing => true,
            ExpressionKind::Direct => {
                entry.definition.restrictions.is_empty() || {
                    entry.definition.restrictions.iter().any(|restriction| match &restriction.shape {
                        TypeRestrictionShape::Object | TypeRestrictionShape::Wildcard => true,
                        TypeRestrictionShape::Userset(name) => {
                            let subject_type = index.type_named(&restriction.subject_type.text);
                            has(subject_type.and_then(|found| index.relation_named(found, &name.text)))
                        }
                    })
                }
            }
            ExpressionKind::Computed(name) => has(index.relation_named(entry.object_type, &name.text)),
            ExpressionKind::Arrow { target, tupleset } => {
                let Some(tupleset) = index.relation_named(entry.object_type, &tupleset.text) else {
                    return true;
                };
                let parents = index.subject_types(index.relations[tupleset].definition);
                let targets: Vec<usize> =
                    parents.iter().filter_map(|parent| index.relation_named(*parent, &target.text)).collect();
                targets.is_empty() || targets.iter().any(|target| self.has[*target])
            }
            ExpressionKind::Union(operands) => {
                operands.is_empty() || operands.iter().any(|operand| self.reaches(index, relation, operand))
            }
            ExpressionKind::Intersection(operands) => {
                operands.iter().all(|operand| self.reaches(index, relation, operand))
            }
            // OpenFGA asks both sides for one, though the second only takes away.
            ExpressionKind::Exclusion(base, subtract) => {
                self.reaches(index, relation, base) && self.reaches(index, relation, subtract)
            }
        }
    }
}

fn needs(index: &Index<'_>, relation: usize) -> Vec<usize> {
    let entry = &index.relations[relation];
    let mut needs = Vec::new();
    entry.definition.expression.walk(&mut |expression| match &expression.kind {
        ExpressionKind::Direct => {
            for restriction in &entry.definition.restrictions {
                if let TypeRestrictionShape::Userset(name) = &restriction.shape {
                    let subject_type = index.type_named(&restriction.subject_type.text);
                    needs.extend(subject_type.and_then(|found| index.relation_named(found, &name.text)));
                }
            }
        }
        ExpressionKind::Computed(name) => needs.extend(index.relation_named(entry.object_type, &name.text)),
        ExpressionKind::Arrow { target, tupleset } => {
            if let Some(tupleset) = index.relation_named(entry.object_type, &tupleset.text) {
                let parents = index.subject_types(index.relations[tupleset].definition);
                needs.extend(parents.iter().filter_map(|parent| index.relation_named(*parent, &target.text)));
            }
        }
        _ => {}
    });
    needs
}
