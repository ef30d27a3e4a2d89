//! Random tuples for a schema: scattered ones, chains long enough to cross a depth limit, rings, and tuples that the
//! schema does not let count.

use std::collections::{HashMap, HashSet};

use stonetown::schema::resolved::{RelationIndex, Restriction, RestrictionShape, Rewrite, Schema, TypeIndex};
use stonetown::tuple::{ConditionContext, Object, Relation, Subject, Tuple, TupleCondition, TupleKey};

use super::random::Random;

/// Ids that put stress on keys and parsers. Two more are as long as ids may be.
const IDS: [&str; 8] = ["a", "ab", "abc", "a@b", "b", "ü", "-", "a/b"];
/// A type, a relation and a condition that no schema has. (Schemas with conditions are not taken yet.)
const GHOST_TYPE: &str = "ghost";
const GHOST_RELATION: &str = "haunts";
const GHOST_CONDITION: &str = "midnight";

/// Tuples, and what is known about how they were laid.
pub(crate) struct Laid {
    /// All tuples, in random order, each key once.
    pub(crate) tuples: Vec<Tuple>,
    /// The objects of each type.
    pub(crate) objects: Vec<Vec<Object>>,
    /// The facts along each chain.
    pub(crate) chains: Vec<Chain>,
}

/// A way from fact to fact, each one hop from the one before.
pub(crate) struct Chain {
    /// What lies on it.
    pub(crate) places: Vec<(Object, RelationIndex)>,
    /// Who was written at its end.
    pub(crate) end: Option<Subject>,
}

/// Lays tuples for a schema.
pub(crate) fn lay(random: &mut Random, schema: &Schema, depth_max: u32) -> Laid {
    let mut layer = Layer { random, schema, tuples: Vec::new(), objects: Vec::new() };
    layer.draw_objects();
    let mut chains = Vec::new();
    for _ in 0..layer.random.weighted(&[(10, 0), (40, 1), (50, 2)]) {
        chains.extend(layer.chain(depth_max));
    }
    if layer.random.chance(4) {
        chains.extend(layer.crowd());
    }
    for _ in 0..layer.random.between(2, 20) {
        layer.scatter();
    }
    let invalid = layer.random.weighted(&[(25, 0), (25, 1), (25, 3), (25, 6)]);
    for _ in 0..invalid {
        layer.invalid();
    }
    let Layer { mut tuples, objects, .. } = layer;
    random.shuffle(&mut tuples);
    let mut seen = HashSet::new();
    tuples.retain(|tuple| seen.insert(tuple.key.clone()));
    Laid { tuples, objects, chains }
}

struct Layer<'a> {
    random: &'a mut Random,
    schema: &'a Schema,
    tuples: Vec<Tuple>,
    objects: Vec<Vec<Object>>,
}

/// One hop: the tuple that is written makes a fact hang on another one.
#[derive(Clone, Copy)]
struct Link {
    /// The relation the tuple is written on.
    written: RelationIndex,
    /// Whether the tuple names the fact as a userset, or only its object, as a parent.
    is_userset: bool,
    /// The relation of the fact it leads to.
    next: RelationIndex,
}

impl Layer<'_> {
    fn draw_objects(&mut self) {
        let long = "x".repeat(200);
        let longer = format!("{long}y");
        for (_, kind) in self.schema.types() {
            let mut ids = IDS.to_vec();
            if self.random.chance(15) {
                ids.extend([&*long, &*longer]);
            }
            self.random.shuffle(&mut ids);
            ids.truncate(self.random.between(3, 6));
            self.objects.push(ids.into_iter().map(|id| Object::new(&kind.name, id).unwrap()).collect());
        }
    }

    /// A chain from some fact, at times bent back to a ring, with somebody at its end.
    fn chain(&mut self, depth_max: u32) -> Option<Chain> {
        let starts: Vec<RelationIndex> = self
            .schema
            .relations()
            .map(|(index, _)| index)
            .filter(|index| !self.links(*index).is_empty())
            .collect();
        if starts.is_empty() {
            return None;
        }
        let mut relation = *self.random.pick(&starts);
        let mut object = self.object(self.schema.relation_at(relation).object_type);
        let mut places = vec![(object.clone(), relation)];
        let is_ring = self.random.chance(35);
        let longest = depth_max as usize + 3;
        let length = match self.random.below(100) {
            _ if is_ring => self.random.between(0, depth_max.min(3) as usize),
            // Its end about as far away as the limit.
            0..70 => longest - self.random.below(longest.min(4)),
            _ => self.random.between(1, longest),
        };
        let is_fresh = self.random.chance(60);
        for _ in 0..length {
            let mut links = self.links(relation);
            if links.iter().any(|link| !self.links(link.next).is_empty()) {
                links.retain(|link| !self.links(link.next).is_empty());
            }
            if links.is_empty() {
                break;
            }
            let link = *self.random.pick(&links);
            let next_type = self.schema.relation_at(link.next).object_type;
            let next = if is_fresh { self.fresh(next_type) } else { self.object(next_type) };
            self.write_link(&object, link, &next);
            (object, relation) = (next, link.next);
            places.push((object.clone(), relation));
        }
        if is_ring || self.random.chance(15) {
            self.bend(&places);
        }
        let end = self.random.chance(85).then(|| self.end(&object, relation)).flatten();
        if self.random.chance(if is_ring { 75 } else { 25 }) {
            self.strew(&places, end.as_ref());
        }
        Some(Chain { places, end })
    }

    /// So many usersets on one relation of one object that an evaluator may look for another way in; and somebody who is
    /// in none, some, or most of them, or in as many others.
    fn crowd(&mut self) -> Option<Chain> {
        let mut starts: Vec<(RelationIndex, Link)> = Vec::new();
        for (relation, _) in self.schema.relations() {
            let links = self.links(relation).into_iter().filter(|link| link.is_userset);
            starts.extend(links.map(|link| (relation, link)));
        }
        if starts.iter().any(|(_, link)| self.links(link.next).is_empty()) && self.random.chance(80) {
            // Nothing lies behind these usersets but people.
            starts.retain(|(_, link)| self.links(link.next).is_empty());
        }
        if starts.is_empty() {
            return None;
        }
        let (relation, link) = *self.random.pick(&starts);
        let object = self.object(self.schema.relation_at(relation).object_type);
        let next_type = self.schema.relation_at(link.next).object_type;
        let mut others: Vec<Object> = Vec::new();
        if self.random.chance(30) {
            others.extend((0..self.random.between(130, 200)).map(|_| self.fresh(next_type)));
        }
        let count = match self.random.chance(25) {
            true if others.is_empty() => self.random.between(257, 280),
            _ => self.random.between(65, 90),
        };
        let members: Vec<Object> = (0..count).map(|_| self.fresh(next_type)).collect();
        for member in &members {
            self.write_link(&object, link, member);
        }
        let of_some = match self.random.below(6) {
            0..2 => 0,
            2..4 => 1,
            4 => self.random.between(2, 10),
            _ => self.random.between(count / 2, count),
        };
        let mut end = None;
        if let Some((written, restriction)) = self.person(link.next) {
            let subject = self.subject(&restriction);
            for member in members.iter().rev().take(of_some).chain(&others) {
                self.write(member, written, subject.clone());
            }
            end = Some(subject);
        }
        if of_some == 0 && others.is_empty() {
            // Somebody who may not count there: one object, or everybody.
            let one = self.any_object();
            let everybody = Subject::Wildcard(one.object_type().into());
            let subject = if self.random.chance(50) { Subject::Object(one) } else { everybody };
            let member = self.random.pick(&members).clone();
            self.write(&member, link.next, subject.clone());
            end = Some(subject);
        }
        let mut places = vec![(object, relation)];
        places.extend(members.into_iter().map(|member| (member, link.next)));
        Some(Chain { places, end })
    }

    /// Writes one subject all along a chain, on one relation of each type, so that what a fact says is held against
    /// what the next one says of the same subject.
    fn strew(&mut self, places: &[(Object, RelationIndex)], end: Option<&Subject>) {
        let Some(subject) = end else { return };
        let mut chosen: HashMap<TypeIndex, Option<RelationIndex>> = HashMap::new();
        for (object, relation) in places {
            let of = self.schema.relation_at(*relation).object_type;
            let taking: Vec<RelationIndex> = self
                .schema
                .type_at(of)
                .relations
                .iter()
                .copied()
                .filter(|it| self.takes(*it, subject))
                .collect();
            let random = &mut *self.random;
            let written =
                chosen.entry(of).or_insert_with(|| (!taking.is_empty()).then(|| *random.pick(&taking)));
            if let Some(written) = *written
                && self.random.chance(90)
            {
                self.write(object, written, subject.clone());
            }
        }
    }

    /// Whether a subject, one object or everybody, may be written on a relation.
    fn takes(&self, relation: RelationIndex, subject: &Subject) -> bool {
        self.schema.relation_at(relation).restrictions.iter().any(|restriction| {
            let is_shape = match restriction.shape {
                RestrictionShape::Object => matches!(subject, Subject::Object(_)),
                RestrictionShape::Wildcard => matches!(subject, Subject::Wildcard(_)),
                RestrictionShape::Userset(_) => false,
            };
            is_shape && *self.schema.type_at(restriction.subject_type).name == *subject.subject_type()
        })
    }

    /// Ties the end of a chain to one of the facts on it.
    fn bend(&mut self, places: &[(Object, RelationIndex)]) {
        let Some((last, relation)) = places.last() else { return };
        let links = self.links(*relation);
        let ties: Vec<(Link, &Object)> = links
            .iter()
            .flat_map(|link| places.iter().map(move |(object, at)| (*link, object, *at)))
            .filter(|(link, _, at)| link.next == *at)
            .map(|(link, object, _)| (link, object))
            .collect();
        if !ties.is_empty() {
            let (link, object) = *self.random.pick(&ties);
            self.write_link(last, link, object);
        }
    }

    /// Writes somebody on the last fact of a chain.
    fn end(&mut self, object: &Object, relation: RelationIndex) -> Option<Subject> {
        let (written, restriction) = self.person(relation)?;
        let subject = self.subject(&restriction);
        self.write(object, written, subject.clone());
        Some(subject)
    }

    /// A way of writing people, not usersets, so that they come to hold a relation without a hop; at least perhaps.
    fn person(&mut self, relation: RelationIndex) -> Option<(RelationIndex, Restriction)> {
        let mut ways = Vec::new();
        for member in same_object(self.schema, relation) {
            let own = &self.schema.relation_at(member).restrictions;
            let people = own.iter().filter(|it| !matches!(it.shape, RestrictionShape::Userset(_)));
            ways.extend(people.map(|restriction| (member, restriction.clone())));
        }
        (!ways.is_empty()).then(|| self.random.pick(&ways).clone())
    }

    /// A tuple that counts.
    fn scatter(&mut self) {
        let assignable: Vec<RelationIndex> = self
            .schema
            .relations()
            .filter(|(_, it)| !it.restrictions.is_empty())
            .map(|(index, _)| index)
            .collect();
        let relation = *self.random.pick(&assignable);
        let object = self.object(self.schema.relation_at(relation).object_type);
        let restriction = self.random.pick(&self.schema.relation_at(relation).restrictions).clone();
        let subject = self.subject(&restriction);
        self.write(&object, relation, subject);
    }

    /// A tuple that, most often, does not count.
    fn invalid(&mut self) {
        let relations: Vec<RelationIndex> = self.schema.relations().map(|(index, _)| index).collect();
        let relation = *self.random.pick(&relations);
        let of = self.schema.relation_at(relation);
        let object = self.object(of.object_type);
        let mut name = of.name.to_string();
        let mut subject = self.any_subject();
        let mut condition = None;
        match self.random.below(8) {
            0 => name = GHOST_RELATION.to_owned(),
            1 => subject = Subject::Object(Object::new(GHOST_TYPE, "a").unwrap()),
            2 => {
                let of = self.any_object();
                subject = Subject::Userset(of, Relation::new(GHOST_RELATION).unwrap());
            }
            3 => {
                let ghost = Object::new(GHOST_TYPE, "a").unwrap();
                self.push(ghost, &name, subject, None);
                return;
            }
            4 if !of.restrictions.is_empty() => {
                let restriction = self.random.pick(&of.restrictions).clone();
                subject = self.subject(&restriction);
                condition = Some(TupleCondition::new(GHOST_CONDITION, ConditionContext::empty()).unwrap());
            }
            _ => {}
        }
        self.push(object, &name, subject, condition);
    }

    fn any_object(&mut self) -> Object {
        let number = self.random.below(self.objects.len());
        self.random.pick(&self.objects[number]).clone()
    }

    fn any_subject(&mut self) -> Subject {
        let object = self.any_object();
        match self.random.below(3) {
            0 => Subject::Object(object),
            1 => Subject::Wildcard(object.object_type().into()),
            _ => {
                let relations: Vec<&str> = self.schema.relations().map(|(_, it)| &*it.name).collect();
                let relation = Relation::new(relations[self.random.below(relations.len())]).unwrap();
                Subject::Userset(object, relation)
            }
        }
    }

    fn object(&mut self, of: TypeIndex) -> Object {
        self.random.pick(&self.objects[of.0 as usize]).clone()
    }

    /// An object that no tuple names yet.
    fn fresh(&mut self, of: TypeIndex) -> Object {
        let id = format!("n{}", self.objects[of.0 as usize].len());
        let object = Object::new(&self.schema.type_at(of).name, &id).unwrap();
        self.objects[of.0 as usize].push(object.clone());
        object
    }

    fn subject(&mut self, restriction: &Restriction) -> Subject {
        let object = self.object(restriction.subject_type);
        match restriction.shape {
            RestrictionShape::Object => Subject::Object(object),
            RestrictionShape::Wildcard => Subject::Wildcard(object.object_type().into()),
            RestrictionShape::Userset(asked) => {
                Subject::Userset(object, Relation::new(&self.schema.relation_at(asked).name).unwrap())
            }
        }
    }

    fn write_link(&mut self, object: &Object, link: Link, next: &Object) {
        let subject = if link.is_userset {
            Subject::Userset(next.clone(), Relation::new(&self.schema.relation_at(link.next).name).unwrap())
        } else {
            Subject::Object(next.clone())
        };
        self.write(object, link.written, subject);
    }

    fn write(&mut self, object: &Object, relation: RelationIndex, subject: Subject) {
        let name = self.schema.relation_at(relation).name.to_string();
        self.push(object.clone(), &name, subject, None);
    }

    fn push(&mut self, object: Object, relation: &str, subject: Subject, condition: Option<TupleCondition>) {
        let key = TupleKey { object, relation: Relation::new(relation).unwrap(), subject };
        self.tuples.push(Tuple { condition, ..Tuple::plain(key) });
    }

    /// The hops that a fact of a relation can take.
    fn links(&self, relation: RelationIndex) -> Vec<Link> {
        let mut links = Vec::new();
        for member in same_object(self.schema, relation) {
            let of = self.schema.relation_at(member);
            for restriction in &of.restrictions {
                if let RestrictionShape::Userset(next) = restriction.shape {
                    links.push(Link { written: member, is_userset: true, next });
                }
            }
            each_rewrite(&of.rewrite, &mut |rewrite| {
                if let Rewrite::Arrow(arrow) = rewrite {
                    let targets = arrow.targets.iter();
                    links.extend(targets.map(|(_, next)| Link {
                        written: arrow.tupleset,
                        is_userset: false,
                        next: *next,
                    }));
                }
            });
        }
        links
    }
}

/// A relation, and those it is computed from, of the same object.
fn same_object(schema: &Schema, relation: RelationIndex) -> Vec<RelationIndex> {
    let mut found = vec![relation];
    let mut at = 0;
    while at < found.len() {
        each_rewrite(&schema.relation_at(found[at]).rewrite, &mut |rewrite| {
            if let Rewrite::Computed(other) = rewrite
                && !found.contains(other)
            {
                found.push(*other);
            }
        });
        at += 1;
    }
    found
}

fn each_rewrite(rewrite: &Rewrite, visit: &mut dyn FnMut(&Rewrite)) {
    visit(rewrite);
    match rewrite {
        Rewrite::Union(parts) | Rewrite::Intersection(parts) => {
            parts.iter().for_each(|part| each_rewrite(part, visit));
        }
        Rewrite::Exclusion(base, subtract) => {
            each_rewrite(base, visit);
            each_rewrite(subtract, visit);
        }
        Rewrite::Nil | Rewrite::Direct | Rewrite::Computed(_) | Rewrite::Arrow(_) => {}
    }
}
