//! The relations of both sides of a change under one numbering, and which of them hang on which.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::eval::Program;
use crate::schema::{RelationIndex, RestrictionShape, Rewrite, Schema};

/// A relation by its names: type and relation.
pub type Permission = (Box<str>, Box<str>);

/// A relation of either side, numbered in the order of type and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) u32);

/// A relation of either side.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) object_type: Box<str>,
    pub(super) relation: Box<str>,
    /// Its number on each side that has it.
    pub(super) index: [Option<RelationIndex>; 2],
    /// Its definition differs between the sides.
    pub(super) is_changed: bool,
}

/// From a relation to one whose rule looks at it, also to take away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    pub(super) to: Slot,
    pub(super) over: Over,
}

/// What a step goes over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Over {
    /// Nothing: the relations are of the same object.
    Same,
    /// Tuples on the relation `to` that name the userset.
    Userset,
    /// Tuples on this tupleset that name the parent.
    Arrow(Box<str>),
}

/// The relations of both sides.
#[derive(Debug)]
pub(super) struct Relations {
    named: Vec<Named>,
    number_of: HashMap<Permission, Slot>,
    /// The steps from each relation, of each side.
    steps: [Vec<Vec<Step>>; 2],
}

impl Relations {
    pub(super) fn of(programs: [&Program; 2]) -> Relations {
        let schemas = programs.map(Program::schema);
        let mut by_name: BTreeMap<Permission, [Option<RelationIndex>; 2]> = BTreeMap::new();
        for (side, schema) in schemas.into_iter().enumerate() {
            for (index, relation) in schema.relations() {
                let name = (schema.type_at(relation.object_type).name.clone(), relation.name.clone());
                by_name.entry(name).or_default()[side] = Some(index);
            }
        }
        let number_of: HashMap<_, _> =
            by_name.keys().cloned().zip(0..).map(|(name, number)| (name, Slot(number))).collect();
        let named = by_name.into_iter().map(|((object_type, relation), index)| {
            let is_changed = match index {
                [Some(before), Some(after)] => {
                    definition(schemas[0], before) != definition(schemas[1], after)
                }
                _ => true,
            };
            Named { object_type, relation, index, is_changed }
        });
        let mut relations = Relations { named: named.collect(), number_of, steps: Default::default() };
        for (side, schema) in schemas.into_iter().enumerate() {
            relations.steps[side] = relations.steps_of(schema);
        }
        relations
    }

    pub(super) fn at(&self, slot: Slot) -> &Named {
        &self.named[slot.0 as usize]
    }

    pub(super) fn slots(&self) -> impl ExactSizeIterator<Item = (Slot, &Named)> {
        self.named.iter().enumerate().map(|(number, named)| (Slot(number as u32), named))
    }

    pub(super) fn find(&self, object_type: &str, relation: &str) -> Option<Slot> {
        self.number_of.get(&(object_type.into(), relation.into())).copied()
    }

    /// The steps from a relation on one side.
    pub(super) fn steps(&self, side: usize, from: Slot) -> &[Step] {
        &self.steps[side][from.0 as usize]
    }

    /// Every relation whose answers can change when those of some do, on either side; themselves included.
    pub(super) fn affected_by(&self, begin: impl IntoIterator<Item = Slot>) -> BTreeSet<Slot> {
        let mut found: BTreeSet<Slot> = begin.into_iter().collect();
        let mut waiting: Vec<Slot> = found.iter().copied().collect();
        while let Some(from) = waiting.pop() {
            for side in 0..2 {
                for step in self.steps(side, from) {
                    if found.insert(step.to) {
                        waiting.push(step.to);
                    }
                }
            }
        }
        found
    }

    /// Every relation that the answers of some hang on, on either side; themselves included.
    pub(super) fn depended_on_by(&self, of: BTreeSet<Slot>) -> BTreeSet<Slot> {
        let mut found = of;
        loop {
            let count = found.len();
            for side in 0..2 {
                for (from, _) in self.slots() {
                    let leads = self.steps(side, from).iter().any(|step| found.contains(&step.to));
                    if leads && !found.contains(&from) {
                        found.insert(from);
                    }
                }
            }
            if found.len() == count {
                return found;
            }
        }
    }

    fn steps_of(&self, schema: &Schema) -> Vec<Vec<Step>> {
        let mut steps = vec![Vec::new(); self.named.len()];
        let slot = |index: RelationIndex| {
            let relation = schema.relation_at(index);
            self.find(&schema.type_at(relation.object_type).name, &relation.name)
        };
        for (index, relation) in schema.relations() {
            let Some(to) = slot(index) else { continue };
            let mut add = |from: RelationIndex, over: Over| {
                if let Some(from) = slot(from) {
                    steps[from.0 as usize].push(Step { to, over });
                }
            };
            let mut rewrites = vec![&relation.rewrite];
            while let Some(rewrite) = rewrites.pop() {
                match rewrite {
                    Rewrite::Nil => {}
                    Rewrite::Direct => {
                        for restriction in &relation.restrictions {
                            if let RestrictionShape::Userset(from) = restriction.shape {
                                add(from, Over::Userset);
                            }
                        }
                    }
                    Rewrite::Computed(from) => add(*from, Over::Same),
                    Rewrite::Arrow(arrow) => {
                        add(arrow.tupleset, Over::Same);
                        let tupleset = &schema.relation_at(arrow.tupleset).name;
                        for (_, from) in &arrow.targets {
                            add(*from, Over::Arrow(tupleset.clone()));
                        }
                    }
                    Rewrite::Union(parts) | Rewrite::Intersection(parts) => rewrites.extend(parts),
                    Rewrite::Exclusion(base, taken) => rewrites.extend([&**base, &**taken]),
                }
            }
        }
        for from in &mut steps {
            from.sort();
            from.dedup();
        }
        steps
    }
}

/// The definition of a relation in names: what has the same one means the same, as far as it goes.
fn definition(schema: &Schema, index: RelationIndex) -> String {
    let relation = schema.relation_at(index);
    let mut restrictions: Vec<String> = relation
        .restrictions
        .iter()
        .map(|restriction| {
            let subject = &schema.type_at(restriction.subject_type).name;
            let shape = match restriction.shape {
                RestrictionShape::Object => subject.to_string(),
                RestrictionShape::Wildcard => format!("{subject}:*"),
                RestrictionShape::Userset(asked) => schema.relation_text(asked),
            };
            let condition = restriction.condition.map(|index| {
                let condition = schema.condition_at(index);
                format!(" with {}{}", condition.name, condition.compiled.definition())
            });
            format!("{shape}{}", condition.unwrap_or_default())
        })
        .collect();
    restrictions.sort();
    format!("[{}] {}", restrictions.join(", "), rewrite_text(schema, &relation.rewrite))
}

fn rewrite_text(schema: &Schema, rewrite: &Rewrite) -> String {
    let name = |index: &RelationIndex| schema.relation_at(*index).name.to_string();
    let all = |parts: &[Rewrite]| {
        parts.iter().map(|part| rewrite_text(schema, part)).collect::<Vec<_>>().join(", ")
    };
    match rewrite {
        Rewrite::Nil => "nobody".to_owned(),
        Rewrite::Direct => "this".to_owned(),
        Rewrite::Computed(other) => name(other),
        Rewrite::Arrow(arrow) => {
            format!("{} from {} {:?}", arrow.target_name, name(&arrow.tupleset), arrow.over)
        }
        Rewrite::Union(parts) => format!("or({})", all(parts)),
        Rewrite::Intersection(parts) => format!("and({})", all(parts)),
        Rewrite::Exclusion(base, taken) => {
            format!("without({}, {})", rewrite_text(schema, base), rewrite_text(schema, taken))
        }
    }
}
