//! What the generated cases are made of: measured, printed, and held to.

use std::fmt;

use stonetown::schema::resolved::{RelationIndex, RestrictionShape, Rewrite};
use stonetown::tuple::{Object, Subject, TupleKey};

use super::generator::World;
use super::model::{Facts, Formula, Place, Verdict, judge, valid};

/// Less than this of any of the [required](Shares::required) shares, and the cases prove too little.
pub(crate) const PERCENT_MIN: f64 = 5.0;

/// How many cases have a property.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shares {
    /// All cases.
    pub(crate) cases: usize,
    yes: usize,
    error: usize,
    cycle: usize,
    denial_cycle: usize,
    own_denial: usize,
    wildcard: usize,
    wildcard_decides: usize,
    exclusion: usize,
    exclusion_decides: usize,
    userset_subject: usize,
    wildcard_subject: usize,
    invalid: usize,
    only_unions: usize,
    no_way: usize,
}

impl Shares {
    /// Counts a case. `facts` are those of the question in the world.
    pub(crate) fn count(&mut self, world: &World, question: &TupleKey, facts: &Facts, verdict: Verdict) {
        let schema = world.program.schema();
        let depth_max = world.depth_max;
        let is_near = facts.near(depth_max);
        let near: Vec<usize> = (0..is_near.len()).filter(|fact| is_near[*fact]).collect();
        let ways = Ways::of(facts, &is_near);
        let places: Vec<&(Object, RelationIndex)> =
            near.iter().filter_map(|fact| facts.places[*fact].as_ref()).collect();
        let exclusion = near.iter().any(|fact| has_exclusion(&facts.formulas[*fact]));
        let wildcard = matches!(question.subject, Subject::Object(_))
            && world.tuples.iter().any(|tuple| {
                let is_of_subject = tuple.key.subject.subject_type() == question.subject.subject_type();
                is_of_subject
                    && valid(schema, tuple).is_some_and(|(relation, shape)| {
                        shape == RestrictionShape::Wildcard
                            && places.iter().any(|at| at.0 == tuple.key.object && at.1 == relation)
                    })
            });
        self.cases += 1;
        self.yes += usize::from(verdict == Verdict::Yes);
        self.error += usize::from(verdict == Verdict::TooDeep);
        self.cycle += usize::from(ways.has_cycle());
        self.denial_cycle += usize::from(ways.has_denial_cycle());
        // What only a far fact leaves open is an error: a no that is open is open by its own denial.
        self.own_denial += usize::from(verdict == Verdict::No && facts.model(&is_near)[0].is_none());
        self.wildcard += usize::from(wildcard);
        self.wildcard_decides += usize::from(
            wildcard && {
                let is_wildcard = |subject: &Subject| matches!(subject, Subject::Wildcard(_));
                let others = world.tuples.iter().filter(|tuple| !is_wildcard(&tuple.key.subject)).cloned();
                judge(schema, &others.collect::<Vec<_>>(), question, depth_max) != verdict
            },
        );
        self.exclusion += usize::from(exclusion);
        self.exclusion_decides +=
            usize::from(exclusion && without_exclusions(facts).verdict(depth_max) != verdict);
        self.userset_subject += usize::from(matches!(question.subject, Subject::Userset(..)));
        self.wildcard_subject += usize::from(matches!(question.subject, Subject::Wildcard(_)));
        self.invalid += usize::from(world.tuples.iter().any(|tuple| {
            let is_at = |place: &&(Object, RelationIndex)| {
                place.0 == tuple.key.object
                    && *schema.relation_at(place.1).name == *tuple.key.relation.as_str()
            };
            valid(schema, tuple).is_none() && places.iter().any(is_at)
        }));
        let is_union = |at: &&(Object, RelationIndex)| only_unions(&schema.relation_at(at.1).rewrite);
        self.only_unions += usize::from(places.iter().all(is_union));
        self.no_way += usize::from(facts.formulas[0].dependencies().is_empty());
    }

    /// The shares that the cases must have, with their names.
    pub(crate) fn required(&self) -> [(&'static str, f64); 6] {
        [
            ("yes", self.percent(self.yes)),
            ("error", self.percent(self.error)),
            ("cycle", self.percent(self.cycle)),
            ("wildcard", self.percent(self.wildcard)),
            ("exclusion", self.percent(self.exclusion)),
            ("userset subject", self.percent(self.userset_subject)),
        ]
    }

    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.cases.max(1) as f64
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("yes", self.yes),
            ("error (too deep)", self.error),
            ("cycle within the limit", self.cycle),
            ("  one through an exclusion", self.denial_cycle),
            ("  no by its own denial", self.own_denial),
            ("wildcard that matches, within the limit", self.wildcard),
            ("  the answer hangs on it", self.wildcard_decides),
            ("exclusion within the limit", self.exclusion),
            ("  the answer hangs on it", self.exclusion_decides),
            ("userset subject", self.userset_subject),
            ("wildcard subject", self.wildcard_subject),
            ("invalid tuple on a fact within the limit", self.invalid),
            ("only unions within the limit", self.only_unions),
            ("question without any dependency", self.no_way),
        ];
        writeln!(f, "{} cases", self.cases)?;
        for (name, count) in rows {
            writeln!(f, "  {name:<42} {:5.1} %", self.percent(count))?;
        }
        Ok(())
    }
}

/// The same facts with nothing ever taken away.
fn without_exclusions(facts: &Facts) -> Facts {
    let formulas = facts.formulas.iter().map(base_only).collect();
    Facts { places: facts.places.clone() as Vec<Place>, formulas }
}

fn base_only(formula: &Formula) -> Formula {
    match formula {
        Formula::Known(_) | Formula::Fact(..) => formula.clone(),
        Formula::Any(parts) => Formula::Any(parts.iter().map(base_only).collect()),
        Formula::All(parts) => Formula::All(parts.iter().map(base_only).collect()),
        Formula::Without(base, _) => base_only(base),
    }
}

fn has_exclusion(formula: &Formula) -> bool {
    match formula {
        Formula::Known(_) | Formula::Fact(..) => false,
        Formula::Any(parts) | Formula::All(parts) => parts.iter().any(has_exclusion),
        Formula::Without(..) => true,
    }
}

/// Whether a rewrite holds unions only, as far as it goes.
pub(crate) fn only_unions(rewrite: &Rewrite) -> bool {
    match rewrite {
        Rewrite::Nil | Rewrite::Direct | Rewrite::Computed(_) | Rewrite::Arrow(_) => true,
        Rewrite::Union(parts) => parts.iter().all(only_unions),
        Rewrite::Intersection(_) | Rewrite::Exclusion(..) => false,
    }
}

/// Which facts lead to which, within the limit.
struct Ways {
    /// For each fact, the others it names, and whether an exclusion takes them away.
    next: Vec<Vec<(usize, bool)>>,
}

impl Ways {
    fn of(facts: &Facts, is_near: &[bool]) -> Ways {
        let mut next = vec![Vec::new(); facts.formulas.len()];
        for (fact, formula) in facts.formulas.iter().enumerate() {
            if is_near[fact] {
                // What is taken away is the one kind of fact without a place.
                let found = formula.dependencies().into_iter().filter(|(other, _)| is_near[*other]);
                next[fact] = found.map(|(other, _)| (other, facts.places[other].is_none())).collect();
            }
        }
        Ways { next }
    }

    fn has_cycle(&self) -> bool {
        (0..self.next.len()).any(|fact| self.leads(fact, fact))
    }

    fn has_denial_cycle(&self) -> bool {
        let taken = |fact: usize| self.next[fact].iter().filter(|(_, is_taken)| *is_taken);
        (0..self.next.len()).any(|fact| taken(fact).any(|(other, _)| self.leads(*other, fact)))
    }

    /// Whether one or more steps lead from a fact to another.
    fn leads(&self, from: usize, to: usize) -> bool {
        let mut met = vec![false; self.next.len()];
        let mut waiting = vec![from];
        while let Some(fact) = waiting.pop() {
            for (other, _) in &self.next[fact] {
                if *other == to {
                    return true;
                }
                if !met[*other] {
                    met[*other] = true;
                    waiting.push(*other);
                }
            }
        }
        false
    }
}
