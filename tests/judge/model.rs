//! The judge: what a check means, computed slowly and in the open.
//!
//! One subject at a time. Every `object#relation` that can be named in the world is a *fact*: "the subject holds this
//! relation on this object". Each fact gets a formula over other facts, all of them are written down, and the
//! well-founded model of the formulas is computed by going over all of them again and again until nothing changes
//! (the alternating fixpoint: Van Gelder, *The alternating fixpoint of logic programs with negation*, 1993).
//! Nothing is looked up lazily, nothing is cut short, nothing is remembered between questions.
//!
//! # The meaning
//!
//! A tuple counts only when it is valid: the relation it is written on has a restriction with exactly its subject's
//! type and shape, and the restriction asks for a condition exactly when the tuple carries that one.
//!
//! The fact `object#relation` for a subject is
//! - true, when the subject is that very userset (its rule is not looked at);
//! - otherwise what the relation's rewrite says:
//!   - `Direct`: a valid tuple names the subject itself; or it names everybody of the subject's type and the subject is
//!     one object (a wildcard never matches a userset or a wildcard by anything but its own name); or it names a
//!     userset whose fact is true;
//!   - `Computed`: the fact of the other relation on the same object;
//!   - `Arrow`: a valid tuple on the tupleset names an object whose type has the target, and the target's fact on it is
//!     true; for *all*: there is such a tuple, and this can be said of each;
//!   - `Nil`, `Union`, `Intersection`, `Exclusion`: nobody, any, all, the first without the second.
//!
//! What is taken away by an exclusion counts as a fact of its own, as if it had a name: putting an operand into a
//! relation of its own changes no answer.
//!
//! # Named nowhere
//!
//! What lies behind a hop can only be true through a tuple that names the subject, or everybody of its type, on one of the
//! relations that hops lead to from the question's, by the schema alone. Where no object has such a valid tuple, every fact
//! behind a hop is false, however far it leads.
//!
//! # Depth
//!
//! The distance of a fact is the least number of hops that lead to it from the question over any dependencies, whatever
//! their values: 1 to a userset in a tuple and to a parent, 0 to a relation of the same object. Facts farther away than
//! the limit are unknown. Where the question stays undecided, and one of them is met by following undecided parts only,
//! the answer is [`Verdict::TooDeep`]; what stays undecided without any of them hangs on its own denial, and is no.

use std::collections::{BTreeSet, HashMap};

use stonetown::schema::resolved::{
    Arrow, ArrowOver, RelationIndex, RestrictionShape, Rewrite, Schema, TypeIndex,
};
use stonetown::tuple::{Object, Subject, Tuple, TupleKey};

/// The answer to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The subject holds the relation.
    Yes,
    /// It does not.
    No,
    /// It hangs on something farther away than the limit.
    TooDeep,
}

/// When a fact is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formula {
    /// Always, or never.
    Known(bool),
    /// When another fact is, so many hops away.
    Fact(usize, u32),
    /// When one of them is.
    Any(Vec<Formula>),
    /// When all of them are.
    All(Vec<Formula>),
    /// When the first is, and the fact is not.
    Without(Box<Formula>, usize),
}

/// What a fact is about; none: it is what an exclusion takes away.
pub(crate) type Place = Option<(Object, RelationIndex)>;

/// Every fact about one subject, with its formula. The question is fact 0.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// What each fact is about.
    pub(crate) places: Vec<Place>,
    /// When each fact is true.
    pub(crate) formulas: Vec<Formula>,
}

/// The judge's answer to a question about a world.
pub(crate) fn judge(schema: &Schema, tuples: &[Tuple], question: &TupleKey, depth_max: u32) -> Verdict {
    Facts::ground(schema, tuples, question).verdict(depth_max)
}

/// The same about a subject that stands for others, some of whom may be named anywhere.
pub(crate) fn judge_whoever(
    schema: &Schema,
    tuples: &[Tuple],
    question: &TupleKey,
    depth_max: u32,
) -> Verdict {
    Facts::ground_where(schema, tuples, question, true).verdict(depth_max)
}

/// The relation a tuple is written on, and who it names, when the schema lets it count.
pub(crate) fn valid(schema: &Schema, tuple: &Tuple) -> Option<(RelationIndex, RestrictionShape)> {
    let key = &tuple.key;
    let object_type = schema.type_named(key.object.object_type())?;
    let relation = schema.relation_named(object_type, key.relation.as_str())?;
    let subject_type = schema.type_named(key.subject.subject_type())?;
    let shape = match &key.subject {
        Subject::Object(_) => RestrictionShape::Object,
        Subject::Wildcard(_) => RestrictionShape::Wildcard,
        Subject::Userset(_, name) => {
            RestrictionShape::Userset(schema.relation_named(subject_type, name.as_str())?)
        }
    };
    let condition = tuple.condition.as_ref().map(|condition| condition.name());
    let counts = schema.relation_at(relation).restrictions.iter().any(|restriction| {
        restriction.subject_type == subject_type
            && restriction.shape == shape
            && restriction.condition.map(|at| &*schema.condition_at(at).name) == condition
    });
    counts.then_some((relation, shape))
}

impl Facts {
    /// Writes down the formula of every fact about the subject of a question.
    pub(crate) fn ground(schema: &Schema, tuples: &[Tuple], question: &TupleKey) -> Facts {
        Facts::ground_where(schema, tuples, question, may_hop(schema, tuples, question))
    }

    pub(crate) fn ground_where(
        schema: &Schema,
        tuples: &[Tuple],
        question: &TupleKey,
        may_hop: bool,
    ) -> Facts {
        let mut objects = BTreeSet::from([question.object.clone()]);
        for key in tuples.iter().map(|tuple| &tuple.key).chain([question]) {
            objects.insert(key.object.clone());
            if let Subject::Object(object) | Subject::Userset(object, _) = &key.subject {
                objects.insert(object.clone());
            }
        }
        let mut places = vec![(question.object.clone(), relation_of(schema, question))];
        for object in objects {
            let Some(object_type) = schema.type_named(object.object_type()) else { continue };
            for relation in &schema.type_at(object_type).relations {
                let place = (object.clone(), *relation);
                if place != places[0] {
                    places.push(place);
                }
            }
        }
        let numbers = places.iter().cloned().enumerate().map(|(number, place)| (place, number)).collect();
        let mut valid_tuples: HashMap<_, Vec<_>> = HashMap::new();
        for tuple in tuples {
            if let Some((relation, shape)) = valid(schema, tuple) {
                let place = (tuple.key.object.clone(), relation);
                valid_tuples.entry(place).or_default().push((&tuple.key.subject, shape));
            }
        }
        let mut ground = Ground {
            schema,
            tuples: valid_tuples,
            subject: &question.subject,
            numbers,
            may_hop,
            taken_away: Vec::new(),
            named: places.len(),
        };
        let mut formulas: Vec<Formula> =
            places.iter().map(|(object, relation)| ground.fact(object, *relation)).collect();
        let mut places: Vec<Place> = places.into_iter().map(Some).collect();
        for formula in ground.taken_away {
            places.push(None);
            formulas.push(formula);
        }
        Facts { places, formulas }
    }

    /// The answer to the question.
    pub(crate) fn verdict(&self, depth_max: u32) -> Verdict {
        let is_near = self.near(depth_max);
        let model = self.model(&is_near);
        match model[0] {
            Some(true) => Verdict::Yes,
            Some(false) => Verdict::No,
            None if self.hangs_on_far(&is_near, &model) => Verdict::TooDeep,
            None => Verdict::No,
        }
    }

    /// For each fact, whether it is within reach of the question.
    pub(crate) fn near(&self, depth_max: u32) -> Vec<bool> {
        self.distances().into_iter().map(|distance| distance.is_some_and(|hops| hops <= depth_max)).collect()
    }

    /// The least number of hops from the question to each fact; none: it does not lead there.
    fn distances(&self) -> Vec<Option<u32>> {
        let mut distances: Vec<Option<u32>> = vec![None; self.formulas.len()];
        distances[0] = Some(0);
        loop {
            let before = distances.clone();
            for (fact, formula) in self.formulas.iter().enumerate() {
                let Some(here) = distances[fact] else { continue };
                for (other, hops) in formula.dependencies() {
                    let there = here + hops;
                    if distances[other].is_none_or(|known| there < known) {
                        distances[other] = Some(there);
                    }
                }
            }
            if distances == before {
                return distances;
            }
        }
    }

    /// The well-founded model: true, false, or undecided. Facts that are not near are undecided.
    pub(crate) fn model(&self, is_near: &[bool]) -> Vec<Option<bool>> {
        let mut surely = vec![false; self.formulas.len()];
        loop {
            // What may be true: whatever follows when only what is surely true can be held against it.
            let perhaps = self.consequences(is_near, true, &surely);
            // What is surely true: whatever follows even when all that may be true is held against it.
            let more = self.consequences(is_near, false, &perhaps);
            if more == surely {
                let value = |(surely, perhaps): (bool, bool)| (surely == perhaps).then_some(surely);
                return surely.into_iter().zip(perhaps).map(value).collect();
            }
            surely = more;
        }
    }

    /// Everything that follows, beginning with nothing, when an exclusion takes away what is in `denied`, and facts
    /// that are not near are taken to be `far`.
    fn consequences(&self, is_near: &[bool], far: bool, denied: &[bool]) -> Vec<bool> {
        let mut holds: Vec<bool> = is_near.iter().map(|near| !near && far).collect();
        loop {
            let before = holds.clone();
            for (fact, formula) in self.formulas.iter().enumerate() {
                if is_near[fact] {
                    holds[fact] = formula.follows(&holds, denied);
                }
            }
            if holds == before {
                return holds;
            }
        }
    }

    /// Whether a fact that is not near is met on the way from the question over undecided parts only.
    fn hangs_on_far(&self, is_near: &[bool], model: &[Option<bool>]) -> bool {
        let mut met = vec![false; self.formulas.len()];
        let mut waiting = vec![0];
        while let Some(fact) = waiting.pop() {
            if !is_near[fact] {
                return true;
            }
            if !met[fact] {
                met[fact] = true;
                self.formulas[fact].undecided(model, &mut waiting);
            }
        }
        false
    }
}

impl Formula {
    /// The facts it names, and how many hops away each is.
    pub(crate) fn dependencies(&self) -> Vec<(usize, u32)> {
        match self {
            Formula::Known(_) => Vec::new(),
            Formula::Fact(fact, hops) => vec![(*fact, *hops)],
            Formula::Any(parts) | Formula::All(parts) => {
                parts.iter().flat_map(Formula::dependencies).collect()
            }
            Formula::Without(base, taken) => {
                let mut found = base.dependencies();
                found.push((*taken, 0));
                found
            }
        }
    }

    /// Whether it is true when these facts hold, and those are taken away.
    fn follows(&self, holds: &[bool], denied: &[bool]) -> bool {
        match self {
            Formula::Known(value) => *value,
            Formula::Fact(fact, _) => holds[*fact],
            Formula::Any(parts) => parts.iter().any(|part| part.follows(holds, denied)),
            Formula::All(parts) => parts.iter().all(|part| part.follows(holds, denied)),
            Formula::Without(base, taken) => base.follows(holds, denied) && !denied[*taken],
        }
    }

    /// Its value in a model; none: undecided.
    fn value(&self, model: &[Option<bool>]) -> Option<bool> {
        match self {
            Formula::Known(value) => Some(*value),
            Formula::Fact(fact, _) => model[*fact],
            Formula::Any(parts) => any(parts.iter().map(|part| part.value(model))),
            Formula::All(parts) => all(parts.iter().map(|part| part.value(model))),
            Formula::Without(base, taken) => {
                all([base.value(model), model[*taken].map(|value| !value)].into_iter())
            }
        }
    }

    /// The undecided facts that are met in those parts of it that are undecided.
    fn undecided(&self, model: &[Option<bool>], found: &mut Vec<usize>) {
        if self.value(model).is_some() {
            return;
        }
        match self {
            Formula::Known(_) => {}
            Formula::Fact(fact, _) => found.push(*fact),
            Formula::Any(parts) | Formula::All(parts) => {
                parts.iter().for_each(|part| part.undecided(model, found));
            }
            Formula::Without(base, taken) => {
                base.undecided(model, found);
                if model[*taken].is_none() {
                    found.push(*taken);
                }
            }
        }
    }
}

/// A yes decides; without one, all have to be a no.
fn any(mut values: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    if values.clone().any(|value| value == Some(true)) {
        return Some(true);
    }
    values.all(|value| value == Some(false)).then_some(false)
}

/// A no decides; without one, all have to be a yes.
fn all(values: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    any(values.map(|value| value.map(|value| !value))).map(|value| !value)
}

fn relation_of(schema: &Schema, question: &TupleKey) -> RelationIndex {
    schema
        .type_named(question.object.object_type())
        .and_then(|object_type| schema.relation_named(object_type, question.relation.as_str()))
        .expect("a question names a relation that the schema has")
}

/// Whether the subject is named on a relation that hops lead to.
fn may_hop(schema: &Schema, tuples: &[Tuple], question: &TupleKey) -> bool {
    let everybody = match &question.subject {
        Subject::Userset(..) => return true,
        Subject::Object(one) => Some(one.object_type()),
        Subject::Wildcard(_) => None,
    };
    let behind = behind_hops(schema, relation_of(schema, question));
    tuples.iter().any(|tuple| {
        let subject = &tuple.key.subject;
        let is_everybody = matches!(subject, Subject::Wildcard(of) if everybody == Some(&**of));
        (*subject == question.subject || is_everybody)
            && valid(schema, tuple).is_some_and(|(relation, _)| behind.contains(&relation))
    })
}

/// Every relation that one hop or more leads to, gone over again and again until nothing is new.
fn behind_hops(schema: &Schema, from: RelationIndex) -> BTreeSet<RelationIndex> {
    let (mut here, mut behind) = (BTreeSet::from([from]), BTreeSet::new());
    loop {
        let before = (here.len(), behind.len());
        for relation in here.clone() {
            let (computed, hops) = leads_to(schema, relation);
            here.extend(computed);
            behind.extend(hops);
        }
        for relation in behind.clone() {
            let (computed, hops) = leads_to(schema, relation);
            behind.extend(computed);
            behind.extend(hops);
        }
        if (here.len(), behind.len()) == before {
            return behind;
        }
    }
}

/// The relations that one looks at on the same object, and those it looks at on others.
fn leads_to(schema: &Schema, relation: RelationIndex) -> (Vec<RelationIndex>, Vec<RelationIndex>) {
    fn add(
        schema: &Schema,
        of: RelationIndex,
        rewrite: &Rewrite,
        found: &mut (Vec<RelationIndex>, Vec<RelationIndex>),
    ) {
        match rewrite {
            Rewrite::Nil => {}
            Rewrite::Direct => {
                for restriction in &schema.relation_at(of).restrictions {
                    if let RestrictionShape::Userset(userset) = restriction.shape {
                        found.1.push(userset);
                    }
                }
            }
            Rewrite::Computed(other) => found.0.push(*other),
            Rewrite::Arrow(arrow) => found.1.extend(arrow.targets.iter().map(|(_, target)| *target)),
            Rewrite::Union(parts) | Rewrite::Intersection(parts) => {
                parts.iter().for_each(|part| add(schema, of, part, found));
            }
            Rewrite::Exclusion(base, taken) => {
                add(schema, of, base, found);
                add(schema, of, taken, found);
            }
        }
    }
    let mut found = Default::default();
    add(schema, relation, &schema.relation_at(relation).rewrite, &mut found);
    found
}

/// The formulas in the making.
struct Ground<'w> {
    schema: &'w Schema,
    /// The subjects of the valid tuples on each relation of each object.
    tuples: HashMap<(Object, RelationIndex), Vec<(&'w Subject, RestrictionShape)>>,
    subject: &'w Subject,
    numbers: HashMap<(Object, RelationIndex), usize>,
    /// Whether anything behind a hop may be true.
    may_hop: bool,
    /// What exclusions take away: the facts after those with a name.
    taken_away: Vec<Formula>,
    named: usize,
}

impl Ground<'_> {
    fn fact(&mut self, object: &Object, relation: RelationIndex) -> Formula {
        if let Subject::Userset(of, name) = self.subject
            && of == object
            && name.as_str() == &*self.schema.relation_at(relation).name
        {
            return Formula::Known(true);
        }
        let schema = self.schema;
        self.rewrite(object, relation, &schema.relation_at(relation).rewrite)
    }

    fn rewrite(&mut self, object: &Object, relation: RelationIndex, rewrite: &Rewrite) -> Formula {
        match rewrite {
            Rewrite::Nil => Formula::Known(false),
            Rewrite::Direct => self.direct(object, relation),
            Rewrite::Computed(other) => Formula::Fact(self.number(object, *other), 0),
            Rewrite::Arrow(arrow) => self.arrow(object, arrow),
            Rewrite::Union(parts) => {
                Formula::Any(parts.iter().map(|part| self.rewrite(object, relation, part)).collect())
            }
            Rewrite::Intersection(parts) => {
                Formula::All(parts.iter().map(|part| self.rewrite(object, relation, part)).collect())
            }
            Rewrite::Exclusion(base, subtract) => {
                let base = self.rewrite(object, relation, base);
                let subtract = self.rewrite(object, relation, subtract);
                self.taken_away.push(subtract);
                Formula::Without(Box::new(base), self.named + self.taken_away.len() - 1)
            }
        }
    }

    fn direct(&self, object: &Object, relation: RelationIndex) -> Formula {
        let mut ways = Vec::new();
        for (named, shape) in self.subjects(object, relation) {
            let is_subject = named == self.subject;
            let is_everybody = matches!((named, self.subject),
                (Subject::Wildcard(named), Subject::Object(one)) if **named == *one.object_type());
            ways.push(Formula::Known(is_subject || is_everybody));
            if let (Subject::Userset(of, _), RestrictionShape::Userset(asked)) = (named, shape)
                && self.may_hop
            {
                ways.push(Formula::Fact(self.number(of, asked), 1));
            }
        }
        Formula::Any(ways)
    }

    fn arrow(&self, object: &Object, arrow: &Arrow) -> Formula {
        if !self.may_hop {
            return Formula::Known(false);
        }
        let mut parents = Vec::new();
        for (named, _) in self.subjects(object, arrow.tupleset) {
            let Subject::Object(parent) = named else { continue };
            let target = self.type_of(parent).and_then(|parent_type| {
                arrow.targets.iter().find(|(of, _)| *of == parent_type).map(|(_, target)| *target)
            });
            parents.push(match target {
                Some(target) => Formula::Fact(self.number(parent, target), 1),
                None => Formula::Known(false),
            });
        }
        match arrow.over {
            ArrowOver::Any => Formula::Any(parents),
            ArrowOver::All if parents.is_empty() => Formula::Known(false),
            ArrowOver::All => Formula::All(parents),
        }
    }

    fn subjects(&self, object: &Object, relation: RelationIndex) -> Vec<(&Subject, RestrictionShape)> {
        self.tuples.get(&(object.clone(), relation)).cloned().unwrap_or_default()
    }

    fn type_of(&self, object: &Object) -> Option<TypeIndex> {
        self.schema.type_named(object.object_type())
    }

    fn number(&self, object: &Object, relation: RelationIndex) -> usize {
        self.numbers[&(object.clone(), relation)]
    }
}
