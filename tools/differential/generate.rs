//! Random worlds and questions.

use std::collections::BTreeSet;

use stonetown::schema::read_json;

use crate::judge::checks;
use crate::meaning::{Fact, Meaning, Truth, is_acyclic};
use crate::random::Random;
use crate::values;
use crate::world::{
    Ask, Question, Relation, Restriction, Rewrite, Shape, Tuple, Type, World, is_wildcard, type_of, userset,
};

/// Types; names that are the beginning of others put stress on keys.
const TYPES: [&str; 5] = ["user", "team", "doc", "docs", "folder"];
/// Relations; every type draws from the same, so that parents of several types share some targets.
const RELATIONS: [&str; 6] = ["a", "ab", "abc", "b", "c", "member"];
/// Relations that lead to parents.
const TUPLESETS: [&str; 2] = ["p", "parent"];
const CONDITIONS: [&str; 4] = ["is_a", "is_b", "is_c", "late"];
const IDS: [&str; 5] = ["1", "2", "3", "a@b", "a/b"];
/// Questions that are thrown away, at most, for one that may be answered with something.
const TRIES: usize = 12;
/// Hops of a chain in a deep world.
const DEEP: (usize, usize) = (21, 29);

/// Of a hundred worlds, those with such a chain.
const DEEP_SHARE: usize = 25;
/// Of a hundred forms of subjects, those whose tuples end.
const ENDING: usize = 15;
/// When tuples end, in seconds since 1970: one that is long over, and one that is far off.
const ENDED: i64 = 1_577_836_800;
const ENDS: i64 = 4_070_908_800;

/// What worlds may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Cycles in data.
    pub(crate) cycles: bool,
    /// Chains about as long as the limit of hops.
    pub(crate) deep: bool,
    /// Stored tuples that do not count under the schema.
    pub(crate) stale: bool,
    /// Contextual tuples.
    pub(crate) contextual: bool,
    /// Few tuples, so that everything can be asked.
    pub(crate) small: bool,
    /// Tuples that end.
    pub(crate) ends: bool,
    /// Only conditions and values that every reading of CEL takes, and none of the wrong type.
    pub(crate) simple: bool,
    /// Whole numbers beyond 63 bits.
    pub(crate) beyond_63_bits: bool,
    /// Which lists of users are asked: of a type's relation, with a filter.
    pub(crate) users: fn(&World, &str, &str, &str) -> bool,
}

/// The world of a seed, and questions about it.
pub(crate) fn world(seed: u64, options: Options, questions: usize) -> (World, Vec<Question>) {
    let random = &mut Random::new(seed);
    let mut world = schema(random, options);
    let mut chain_start = None;
    if options.deep && random.chance(DEEP_SHARE) {
        chain_start = chain(random, &mut world, options);
    }
    let (fewest, most) = if options.small { (3, 9) } else { (8, 30) };
    for _ in 0..random.between(fewest, most) {
        if let Some(tuple) = tuple(random, &world, options, false) {
            lay(&mut world, tuple, options);
        }
    }
    if options.stale && random.chance(30) {
        for _ in 0..random.between(1, 4) {
            if let Some(tuple) = tuple(random, &world, options, true) {
                lay(&mut world, tuple, options);
            }
        }
    }
    random.shuffle(&mut world.tuples);
    let mut asked = Vec::new();
    while asked.len() < questions {
        let start = chain_start.as_ref().filter(|_| random.chance(60));
        let wants_something = random.chance(75);
        let mut found = None;
        for _ in 0..TRIES {
            let next = question(random, &world, options, start);
            found = next.or(found);
            // A long chain is asked about as it comes.
            if !wants_something
                || start.is_some()
                || found.as_ref().is_some_and(|it| may_be_something(&world, it))
            {
                break;
            }
        }
        asked.extend(found);
    }
    (world, asked)
}

/// The world of a seed, and every question about it: whatever is named, and one more of each type, everywhere; in one context.
#[allow(dead_code, reason = "of SpiceDB")]
pub(crate) fn every(seed: u64, options: Options) -> (World, Vec<Question>) {
    let (world, _) = world(seed, options, 0);
    let random = &mut Random::new(!seed);
    let conditions: Vec<&crate::world::Condition> = world.conditions.iter().collect();
    let full = if random.chance(60) { 100 } else { 0 };
    let context = Some(values::context(random, &conditions, full, 0, options.simple));
    let mut objects: BTreeSet<String> = world.types.iter().map(|it| format!("{}:nobody", it.name)).collect();
    for tuple in &world.tuples {
        for name in [&tuple.object, &tuple.user] {
            let object = userset(name).map_or(name.as_str(), |(object, _)| object);
            if !is_wildcard(object) {
                objects.insert(object.to_owned());
            }
        }
    }
    let relations = |of: &str| {
        let of = world.types.iter().find(|it| it.name == of);
        of.into_iter().flat_map(|it| &it.relations).map(|it| it.name.clone()).collect::<Vec<_>>()
    };
    let mut subjects: Vec<String> = objects.iter().cloned().collect();
    for object in &objects {
        subjects.extend(relations(type_of(object)).into_iter().map(|it| format!("{object}#{it}")));
    }
    let mut asks = Vec::new();
    for of in &world.types {
        for relation in relations(&of.name) {
            for user in subjects.iter().cloned() {
                asks.push(Ask::Objects { of: of.name.clone(), relation: relation.clone(), user });
            }
            for object in objects.iter().filter(|it| type_of(it) == of.name) {
                for user in subjects.iter().cloned() {
                    asks.push(Ask::Check { object: object.clone(), relation: relation.clone(), user });
                }
                for kind in &world.types {
                    let usersets = relations(&kind.name).into_iter().map(|it| format!("{}#{it}", kind.name));
                    for filter in usersets.chain([kind.name.clone()]) {
                        asks.push(Ask::Users { object: object.clone(), relation: relation.clone(), filter });
                    }
                }
            }
        }
    }
    let question = |ask| Question { ask, context: context.clone(), contextual: Vec::new() };
    let questions = asks.into_iter().map(question).collect();
    (world, questions)
}

/// Whether a check would be yes, or a list have an entry, were all conditions true.
fn may_be_something(world: &World, question: &Question) -> bool {
    let facts = world.tuples.iter().chain(&question.contextual).map(|tuple| Fact {
        tuple: tuple.clone(),
        truth: Truth::Yes,
        is_hidden: false,
    });
    let meaning = Meaning::new(world, facts.collect());
    checks(world, question).iter().any(|(_, check)| match &check.ask {
        Ask::Check { object, relation, user } => meaning.holds(object, relation, user) == Some(Truth::Yes),
        _ => false,
    })
}

fn lay(world: &mut World, tuple: Tuple, options: Options) {
    let context = tuple.condition.as_ref().map(|(_, it)| it);
    let is_odd = !options.beyond_63_bits && context.is_some_and(values::is_beyond_63_bits);
    if is_odd || world.tuples.iter().any(|it| it.same_key(&tuple)) {
        return;
    }
    world.tuples.push(tuple);
    if !options.cycles && !is_acyclic(world, &[]) {
        world.tuples.pop();
    }
}

/// A schema that breaks no rule of relations. Its conditions may be refused by either side.
fn schema(random: &mut Random, options: Options) -> World {
    loop {
        let mut world = World::default();
        for name in CONDITIONS.iter().take(random.weighted(&[(12, 0), (30, 1), (30, 2), (20, 3), (8, 4)])) {
            world.conditions.push(values::condition(random, name, options.simple));
        }
        let outlines = outlines(random);
        let anywhere = random.chance(12);
        for number in 0..outlines.len() {
            let filled =
                Filling { outlines: &outlines, anywhere, number, world: &world, options }.fill(random);
            world.types.push(filled);
        }
        let mut bare = world.clone();
        for condition in &mut bare.conditions {
            // The relations alone are looked at here.
            "true".clone_into(&mut condition.expression);
        }
        if read_json("world", &bare.schema()).is_ok() {
            return world;
        }
    }
}

/// Names, before any relation is filled in, so that each can speak of all others.
struct Outline {
    name: &'static str,
    /// By name, the types of the parents.
    tuplesets: Vec<(&'static str, Vec<usize>)>,
    relations: Vec<&'static str>,
}

fn outlines(random: &mut Random) -> Vec<Outline> {
    let count = random.between(3, TYPES.len());
    let mut outlines = Vec::new();
    for (number, name) in TYPES.into_iter().take(count).enumerate() {
        if number == 0 {
            outlines.push(Outline { name, tuplesets: Vec::new(), relations: Vec::new() });
            continue;
        }
        let tuplesets = random.weighted(&[(30, 0), (55, 1), (15, 2)]);
        let mut relations = RELATIONS.to_vec();
        random.shuffle(&mut relations);
        relations.truncate(random.between(1, 4));
        let tuplesets = TUPLESETS
            .into_iter()
            .take(tuplesets)
            .map(|name| {
                let mut parents = vec![if random.chance(50) { number } else { random.between(1, count - 1) }];
                if random.chance(40) {
                    parents.push(random.between(1, count - 1));
                }
                (name, parents)
            })
            .collect();
        outlines.push(Outline { name, tuplesets, relations });
    }
    outlines
}

struct Filling<'o> {
    outlines: &'o [Outline],
    /// Whether `[…]` may stand anywhere, as JSON allows, not only first, as the language does.
    anywhere: bool,
    /// Which type.
    number: usize,
    world: &'o World,
    options: Options,
}

impl Filling<'_> {
    fn fill(&self, random: &mut Random) -> Type {
        let own = &self.outlines[self.number];
        let mut relations = Vec::new();
        for (name, parents) in &own.tuplesets {
            let mut restrictions = BTreeSet::new();
            for parent in parents {
                self.with_conditions(random, &mut restrictions, self.outlines[*parent].name, &Shape::Object);
            }
            let restrictions = restrictions.into_iter().collect();
            relations.push(Relation { name: (*name).to_owned(), restrictions, rewrite: Rewrite::Direct });
        }
        for (position, name) in own.relations.iter().enumerate() {
            let rewrite = self.rewrite(random, position, 3, true);
            let mut restrictions = BTreeSet::new();
            if rewrite.has(|it| *it == Rewrite::Direct) {
                for _ in 0..random.between(1, 3) {
                    let (of, shape) = self.restriction(random, position);
                    self.with_conditions(random, &mut restrictions, &of, &shape);
                }
            }
            let restrictions = restrictions.into_iter().collect();
            relations.push(Relation { name: (*name).to_owned(), restrictions, rewrite });
        }
        Type { name: own.name.to_owned(), relations }
    }

    /// The same shape without a condition, with one, or both.
    fn with_conditions(
        &self,
        random: &mut Random,
        restrictions: &mut BTreeSet<Restriction>,
        of: &str,
        shape: &Shape,
    ) {
        let ends = self.options.ends && random.chance(ENDING);
        let mut add = |condition: Option<String>| {
            restrictions.insert(Restriction { of: of.to_owned(), shape: shape.clone(), condition, ends });
        };
        let conditions = &self.world.conditions;
        if conditions.is_empty() || random.chance(65) {
            add(None);
            if conditions.is_empty() || random.chance(60) {
                return;
            }
        }
        add(Some(random.pick(conditions).name.clone()));
        if random.chance(25) {
            add(Some(random.pick(conditions).name.clone()));
        }
    }

    fn rewrite(&self, random: &mut Random, position: usize, levels: usize, is_first: bool) -> Rewrite {
        let own = &self.outlines[self.number];
        let operator = match levels {
            0 => 0,
            _ if !self.anywhere && position == 0 && own.tuplesets.is_empty() => 0,
            3 => random.weighted(&[(30, 0), (32, 1), (16, 2), (22, 3)]),
            _ => random.weighted(&[(70, 0), (14, 1), (7, 2), (9, 3)]),
        };
        let parts = |random: &mut Random| -> Vec<Rewrite> {
            let count = random.weighted(&[(80, 2), (20, 3)]);
            (0..count).map(|at| self.rewrite(random, position, levels - 1, is_first && at == 0)).collect()
        };
        match operator {
            0 => self.leaf(random, position, is_first || self.anywhere),
            1 => Rewrite::Union(parts(random)),
            2 => Rewrite::Intersection(parts(random)),
            _ => Rewrite::Exclusion(
                Box::new(self.rewrite(random, position, levels - 1, is_first)),
                Box::new(self.rewrite(random, position, levels - 1, false)),
            ),
        }
    }

    fn leaf(&self, random: &mut Random, position: usize, may_be_direct: bool) -> Rewrite {
        let own = &self.outlines[self.number];
        if may_be_direct && random.chance(if self.anywhere { 50 } else { 80 }) {
            return Rewrite::Direct;
        }
        let earlier = &own.relations[..position];
        if !earlier.is_empty() && (own.tuplesets.is_empty() || random.chance(45)) {
            return Rewrite::Computed((*random.pick(earlier)).to_owned());
        }
        if own.tuplesets.is_empty() {
            // Nothing else can be said; where it may not stand, the world is JSON.
            return Rewrite::Direct;
        }
        let (tupleset, parents) = random.pick(&own.tuplesets);
        let parent = &self.outlines[*random.pick(parents)];
        let this = own.relations[position];
        let target = match parent.relations.contains(&this) && random.chance(40) {
            true => this,
            false => random.pick(&parent.relations),
        };
        Rewrite::Arrow { target: target.to_owned(), tupleset: (*tupleset).to_owned() }
    }

    fn restriction(&self, random: &mut Random, position: usize) -> (String, Shape) {
        let any = random.below(self.outlines.len());
        let (number, shape) = match random.below(20) {
            0..8 => (0, None),
            8..11 => (0, Some(Shape::Wildcard)),
            11 => (any, None),
            12 => (any, Some(Shape::Wildcard)),
            13..16 => (self.number, Some(Shape::Object)),
            _ => (any, Some(Shape::Object)),
        };
        let of = &self.outlines[number];
        let shape = match shape {
            None => Shape::Object,
            // A userset, where the type has relations.
            Some(Shape::Object) if !of.relations.is_empty() => {
                let own = self.outlines[self.number].relations[position];
                let is_own = number == self.number && random.chance(50);
                Shape::Userset(if is_own { own } else { random.pick(&of.relations) }.to_owned())
            }
            Some(shape) => shape,
        };
        (of.name.to_owned(), shape)
    }
}

fn object(random: &mut Random, of: &str) -> String {
    let known = if of == "user" { IDS.len() } else { 3 };
    format!("{of}:{}", IDS[random.below(known)])
}

/// A tuple that counts; a stale one, most often, does not.
fn tuple(random: &mut Random, world: &World, options: Options, is_stale: bool) -> Option<Tuple> {
    let mut places = Vec::new();
    for of in &world.types {
        places.extend(of.relations.iter().filter(|it| !it.restrictions.is_empty()).map(|it| (of, it)));
    }
    let (of, relation) = *(!places.is_empty()).then(|| random.pick(&places))?;
    let mut restriction = random.pick(&relation.restrictions).clone();
    if is_stale {
        match random.below(4) {
            0 if !world.conditions.is_empty() => {
                restriction.condition = Some(random.pick(&world.conditions).name.clone());
            }
            1 => restriction.condition = None,
            2 => restriction.shape = Shape::Wildcard,
            _ => {
                let other = random_place(random, world)?;
                restriction = random.pick(&other.restrictions).clone();
            }
        }
    }
    let object = object(random, &of.name);
    Some(written(random, world, options, object, &relation.name, &restriction))
}

fn random_place<'w>(random: &mut Random, world: &'w World) -> Option<&'w Relation> {
    let all: Vec<&Relation> =
        world.types.iter().flat_map(|it| &it.relations).filter(|it| !it.restrictions.is_empty()).collect();
    (!all.is_empty()).then(|| *random.pick(&all))
}

fn written(
    random: &mut Random,
    world: &World,
    options: Options,
    on: String,
    relation: &str,
    restriction: &Restriction,
) -> Tuple {
    let of = &restriction.of;
    let user = match &restriction.shape {
        Shape::Object => object(random, of),
        Shape::Wildcard => format!("{of}:*"),
        Shape::Userset(relation) => format!("{}#{relation}", object(random, of)),
    };
    let condition = world.conditions.iter().find(|it| Some(&it.name) == restriction.condition.as_ref());
    let wrong = |percent| if options.simple { 0 } else { percent };
    let condition = condition.map(|it| {
        let context = match random.below(10) {
            0..3 => serde_json::Map::new(),
            _ => values::context(random, &[it], 55, wrong(2), options.simple),
        };
        (it.name.clone(), context)
    });
    let ends = restriction.ends.then(|| random.chance(50)).map(|is_over| if is_over { ENDED } else { ENDS });
    Tuple { object: on, relation: relation.to_owned(), user, condition, ends }
}

/// A chain of usersets or parents about as long as the limit; where it starts.
fn chain(random: &mut Random, world: &mut World, options: Options) -> Option<(String, String)> {
    let mut links = Vec::new();
    for of in &world.types {
        for relation in &of.relations {
            for restriction in &relation.restrictions {
                if restriction.of != of.name {
                    continue;
                }
                let is_userset = matches!(&restriction.shape, Shape::Userset(it) if *it == relation.name);
                let is_parent = restriction.shape == Shape::Object && TUPLESETS.contains(&&*relation.name);
                if is_userset || is_parent {
                    links.push((of.name.clone(), relation.name.clone(), restriction.clone()));
                }
            }
        }
    }
    let (of, relation, restriction) = (!links.is_empty()).then(|| random.pick(&links).clone())?;
    let hops = random.between(DEEP.0, DEEP.1);
    let name = |number: usize| format!("{of}:n{number}");
    for number in 0..hops {
        let mut tuple = written(random, world, options, name(number), &relation, &restriction);
        tuple.user = match &restriction.shape {
            Shape::Userset(relation) => format!("{}#{relation}", name(number + 1)),
            _ => name(number + 1),
        };
        world.tuples.push(tuple);
    }
    // Somebody at its end, and in places along it.
    for number in [hops, hops, hops, hops / 2] {
        if let Some(mut tuple) = tuple(random, world, options, false)
            && type_of(&tuple.object) == of
        {
            tuple.object = name(number);
            if !world.tuples.iter().any(|it| it.same_key(&tuple)) && is_leaf(&tuple) {
                world.tuples.push(tuple);
            }
        }
    }
    let asked: Vec<&Relation> =
        world.types.iter().filter(|it| it.name == of).flat_map(|it| &it.relations).collect();
    Some((name(0), random.pick(&asked).name.clone()))
}

fn is_leaf(tuple: &Tuple) -> bool {
    userset(&tuple.user).is_none() && type_of(&tuple.user) == "user"
}

fn question(
    random: &mut Random,
    world: &World,
    options: Options,
    start: Option<&(String, String)>,
) -> Option<Question> {
    let mut contextual: Vec<Tuple> = Vec::new();
    if options.contextual && random.chance(20) {
        for _ in 0..random.between(1, 3) {
            let mut tuple = tuple(random, world, options, false)?;
            if !world.tuples.is_empty() && random.chance(12) {
                // One that is stored, perhaps with another condition.
                let stored = random.pick(&world.tuples).clone();
                if world.counts(&stored) {
                    let condition = stored.condition.as_ref().map(|(name, _)| name);
                    let of = world.conditions.iter().find(|it| Some(&it.name) == condition);
                    let context =
                        of.map(|it| (it.name.clone(), values::context(random, &[it], 55, 0, options.simple)));
                    tuple = Tuple { condition: context, ..stored };
                }
            }
            if !contextual.iter().any(|it| it.same_key(&tuple)) {
                contextual.push(tuple);
            }
        }
        if !options.cycles && !is_acyclic(world, &contextual) {
            contextual.clear();
        }
    }
    let all: Vec<&crate::world::Condition> = world.conditions.iter().collect();
    let wrong = |percent| if options.simple { 0 } else { percent };
    let context = match random.below(10) {
        0..2 => None,
        2..7 => Some(values::context(random, &all, 100, wrong(4), options.simple)),
        _ => Some(values::context(random, &all, 30, wrong(12), options.simple)),
    };
    let places: Vec<(&str, &Relation)> =
        world.types.iter().flat_map(|of| of.relations.iter().map(|it| (&*of.name, it))).collect();
    let computed: Vec<(&str, &Relation)> =
        places.iter().filter(|(_, it)| it.rewrite != Rewrite::Direct).copied().collect();
    let from = if computed.is_empty() || random.chance(25) { &places } else { &computed };
    let (of, relation) = *random.pick(from);
    let mut on = object(random, of);
    let written: Vec<&Tuple> = world.tuples.iter().filter(|it| type_of(&it.object) == of).collect();
    if !written.is_empty() && random.chance(85) {
        on = random.pick(&written).object.clone();
    }
    let mut relation = relation.name.clone();
    if let Some((object, asked)) = start {
        (on, relation) = (object.clone(), asked.clone());
    }
    let of = type_of(&on).to_owned();
    let user = subject(random, world);
    let ask = match random.below(10) {
        0..5 => Ask::Check { object: on, relation, user },
        5..8 => Ask::Objects { of, relation, user },
        _ => {
            let filter = match random.chance(75) {
                true => "user".to_owned(),
                false => {
                    let (of, relation) = *random.pick(&places);
                    if random.chance(75) { format!("{of}#{}", relation.name) } else { of.to_owned() }
                }
            };
            if !(options.users)(world, &of, &relation, &filter) {
                return None;
            }
            Ask::Users { object: on, relation, filter }
        }
    };
    let contexts = contextual.iter().filter_map(|it| Some(&it.condition.as_ref()?.1)).chain(&context);
    if !options.beyond_63_bits && contexts.into_iter().any(values::is_beyond_63_bits) {
        return None;
    }
    Some(Question { ask, context, contextual })
}

/// Somebody to ask about: mostly plain users, mostly of tuples.
fn subject(random: &mut Random, world: &World) -> String {
    let users: Vec<&String> = world.tuples.iter().map(|it| &it.user).collect();
    match random.below(20) {
        0..9 => object(random, "user"),
        9 => "user:nobody".to_owned(),
        10 => {
            let of = random.pick(&world.types);
            format!("{}:*", of.name)
        }
        11..17 if !users.is_empty() => {
            let user = (*random.pick(&users)).clone();
            let is_known = match userset(&user) {
                Some((object, relation)) => world.relation(type_of(object), relation).is_some(),
                None => true,
            };
            if is_known { user } else { "user:1".to_owned() }
        }
        _ => {
            let of = random.pick(&world.types);
            let on = object(random, &of.name);
            match of.relations.is_empty() {
                true => on,
                false => format!("{on}#{}", random.pick(&of.relations).name),
            }
        }
    }
}
