//! Random schemas: all operators up to three levels deep, usersets of themselves, parents of several types.

use stonetown::schema::{Schema, Tree};

use super::random::Random;
use super::sketch::{Expression, RelationSketch, RestrictionSketch, ShapeSketch, Sketch};

/// Types; names that are the beginning of others put stress on keys.
const TYPES: [&str; 4] = ["user", "team", "doc", "docs"];
/// Relations; every type draws from the same, so that parents of several types share some targets.
const RELATIONS: [&str; 5] = ["a", "ab", "abc", "b", "c"];
/// Relations that lead to parents.
const TUPLESETS: [&str; 2] = ["p", "pa"];

/// A random schema that breaks no rule.
pub(crate) fn schema(random: &mut Random) -> (Sketch, Tree, Schema) {
    loop {
        let sketch = Outline::random(random).fill(random);
        if let Some((tree, schema)) = sketch.resolve() {
            return (sketch, tree, schema);
        }
    }
}

/// Names, before any relation is filled in, so that each can speak of all others.
struct Outline {
    types: Vec<TypeOutline>,
}

struct TypeOutline {
    name: &'static str,
    /// By name, the types of the parents.
    tuplesets: Vec<(&'static str, Vec<usize>)>,
    relations: Vec<&'static str>,
}

impl Outline {
    fn random(random: &mut Random) -> Outline {
        let count = random.between(2, TYPES.len());
        let mut types = Vec::with_capacity(count);
        for (number, name) in TYPES.into_iter().take(count).enumerate() {
            let is_plain = number == 0 && random.chance(75);
            if is_plain {
                types.push(TypeOutline { name, tuplesets: Vec::new(), relations: Vec::new() });
                continue;
            }
            let tuplesets = random.weighted(&[(30, 0), (55, 1), (15, 2)]);
            let mut relations = RELATIONS.to_vec();
            random.shuffle(&mut relations);
            relations.truncate(random.between(1, RELATIONS.len() - tuplesets));
            let parents = |random: &mut Random| {
                // Its own type most often: that is what makes deep nesting and cycles.
                let mut parents = vec![if random.chance(65) { number } else { random.below(count) }];
                if random.chance(40) {
                    parents.push(random.below(count));
                }
                parents
            };
            let tuplesets =
                TUPLESETS.into_iter().take(tuplesets).map(|name| (name, parents(random))).collect();
            types.push(TypeOutline { name, tuplesets, relations });
        }
        Outline { types }
    }

    fn fill(&self, random: &mut Random) -> Sketch {
        let mut sketch = Sketch::default();
        for (number, outline) in self.types.iter().enumerate() {
            let mut relations = Vec::new();
            for (name, parents) in &outline.tuplesets {
                let restrictions =
                    parents.iter().map(|parent| restriction(self.types[*parent].name, ShapeSketch::Object));
                relations.push(RelationSketch {
                    name: (*name).to_owned(),
                    restrictions: distinct(restrictions.collect()),
                    expression: Expression::Direct,
                });
            }
            for position in 0..outline.relations.len() {
                let at = At { outline: self, number, position };
                let expression = match random.chance(20) {
                    true => at.denial(random).unwrap_or_else(|| at.expression(random, 3)),
                    false => at.expression(random, 3),
                };
                let restrictions = if expression.has_direct() { at.restrictions(random) } else { Vec::new() };
                relations.push(RelationSketch {
                    name: outline.relations[position].to_owned(),
                    restrictions,
                    expression,
                });
            }
            sketch.types.push((outline.name.to_owned(), relations));
        }
        sketch
    }

    /// All relations of a type, those to parents included.
    fn relations(&self, number: usize) -> Vec<&'static str> {
        let of = &self.types[number];
        of.tuplesets.iter().map(|(name, _)| *name).chain(of.relations.iter().copied()).collect()
    }
}

/// The relation that is being filled in.
struct At<'o> {
    outline: &'o Outline,
    /// Of which type.
    number: usize,
    /// Which of its relations.
    position: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Leaf,
    Union,
    Intersection,
    Exclusion,
}

impl At<'_> {
    fn expression(&self, random: &mut Random, levels: usize) -> Expression {
        let kind = match levels {
            0 => Kind::Leaf,
            3 => random.weighted(&[
                (26, Kind::Leaf),
                (34, Kind::Union),
                (10, Kind::Intersection),
                (30, Kind::Exclusion),
            ]),
            _ => random.weighted(&[
                (62, Kind::Leaf),
                (20, Kind::Union),
                (6, Kind::Intersection),
                (12, Kind::Exclusion),
            ]),
        };
        let parts = |random: &mut Random| {
            let count = random.weighted(&[(75, 2), (25, 3)]);
            (0..count).map(|_| self.expression(random, levels - 1)).collect()
        };
        match kind {
            Kind::Leaf => self.leaf(random),
            Kind::Union => Expression::Union(parts(random)),
            Kind::Intersection => Expression::Intersection(parts(random)),
            Kind::Exclusion => Expression::Exclusion(
                Box::new(self.expression(random, levels - 1)),
                Box::new(self.expression(random, levels - 1)),
            ),
        }
    }

    /// A relation that its own value on parents is held against: `base but not (other or itself from parent)`.
    fn denial(&self, random: &mut Random) -> Option<Expression> {
        let own = &self.outline.types[self.number];
        let leading: Vec<&str> = own
            .tuplesets
            .iter()
            .filter(|(_, parents)| parents.contains(&self.number))
            .map(|(tupleset, _)| *tupleset)
            .collect();
        if leading.is_empty() {
            return None;
        }
        let itself = Expression::Arrow {
            target: own.relations[self.position].to_owned(),
            tupleset: (*random.pick(&leading)).to_owned(),
        };
        let base = self.computed(random)?;
        // The direct tuples give the denial an entry of its own, without which the schema is refused.
        let held_against = if random.chance(50) {
            Expression::Union(vec![Expression::Direct, itself])
        } else {
            Expression::Union(vec![self.computed(random)?, itself])
        };
        Some(Expression::Exclusion(Box::new(base), Box::new(held_against)))
    }

    fn leaf(&self, random: &mut Random) -> Expression {
        match random.below(10) {
            0..5 => Expression::Direct,
            5..7 => self.computed(random).unwrap_or(Expression::Direct),
            _ => self.arrow(random).unwrap_or(Expression::Direct),
        }
    }

    fn computed(&self, random: &mut Random) -> Option<Expression> {
        let own = &self.outline.types[self.number];
        // Mostly an earlier one: relations that compute each other in a circle are refused.
        let from = match random.below(10) {
            0 => self.outline.relations(self.number),
            1..3 => own.relations.clone(),
            _ => own.relations[..self.position].to_vec(),
        };
        let from: Vec<&str> = from.into_iter().filter(|name| *name != own.relations[self.position]).collect();
        (!from.is_empty()).then(|| Expression::Computed((*random.pick(&from)).to_owned()))
    }

    fn arrow(&self, random: &mut Random) -> Option<Expression> {
        let tuplesets = &self.outline.types[self.number].tuplesets;
        if tuplesets.is_empty() {
            return None;
        }
        let (tupleset, parents) = random.pick(tuplesets);
        let parent = *random.pick(parents);
        let own = self.outline.types[self.number].relations[self.position];
        let targets = match random.below(10) {
            0 => self.outline.relations(parent),
            // The same relation of the parent: `viewer from parent` in viewer.
            1..5 if self.outline.types[parent].relations.contains(&own) => vec![own],
            _ => self.outline.types[parent].relations.clone(),
        };
        (!targets.is_empty()).then(|| Expression::Arrow {
            target: (*random.pick(&targets)).to_owned(),
            tupleset: (*tupleset).to_owned(),
        })
    }

    fn restrictions(&self, random: &mut Random) -> Vec<RestrictionSketch> {
        let count = random.between(1, 4);
        distinct((0..count).map(|_| self.restriction(random)).collect())
    }

    fn restriction(&self, random: &mut Random) -> RestrictionSketch {
        let any = random.below(self.outline.types.len());
        match random.below(20) {
            0..8 => restriction(TYPES[0], ShapeSketch::Object),
            8..11 => restriction(TYPES[0], ShapeSketch::Wildcard),
            11 => restriction(self.outline.types[any].name, ShapeSketch::Object),
            12 => restriction(self.outline.types[any].name, ShapeSketch::Wildcard),
            13..16 => self.userset(random, self.number),
            _ => self.userset(random, any),
        }
    }

    fn userset(&self, random: &mut Random, number: usize) -> RestrictionSketch {
        let subject_type = self.outline.types[number].name;
        let own = self.outline.types[self.number].relations[self.position];
        let names = self.outline.relations(number);
        if names.is_empty() {
            return restriction(subject_type, ShapeSketch::Object);
        }
        // The same relation: `team#member` in member.
        let name = if number == self.number && random.chance(50) { own } else { *random.pick(&names) };
        restriction(subject_type, ShapeSketch::Userset(name.to_owned()))
    }
}

fn restriction(subject_type: &str, shape: ShapeSketch) -> RestrictionSketch {
    RestrictionSketch { subject_type: subject_type.to_owned(), shape }
}

fn distinct(mut all: Vec<RestrictionSketch>) -> Vec<RestrictionSketch> {
    all.sort();
    all.dedup();
    all
}
