//! What the answer should be: DESIGN.md's meaning, worked out the slow way, from what each tuple's condition gave.
//!
//! Without cycles in data it is three-valued recursion: yes, no, and maybe for what hangs on a condition that cannot be
//! evaluated. With cycles it is the well-founded model, over every way such conditions might have come out.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{Rewrite, Tuple, World, is_wildcard, type_of, userset};

/// More maybes than this are not tried out.
const MAYBES_MAX: usize = 12;

/// What a condition, or a question, comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    /// No.
    No,
    /// It cannot be said.
    Maybe,
    /// Yes.
    Yes,
}

impl Truth {
    /// The opposite.
    pub(crate) fn not(self) -> Truth {
        match self {
            Truth::No => Truth::Yes,
            Truth::Maybe => Truth::Maybe,
            Truth::Yes => Truth::No,
        }
    }
}

/// A tuple that counts, and what its condition gave.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    /// The tuple.
    pub(crate) tuple: Tuple,
    /// Whether it is there.
    pub(crate) truth: Truth,
    /// A contextual tuple with the same key stands before it.
    pub(crate) is_hidden: bool,
}

/// A schema and its facts.
pub(crate) struct Meaning<'w> {
    world: &'w World,
    facts: Vec<Fact>,
    /// Whether `team:*` stands for `team:1#member` too.
    has_usersets_in_everybody: bool,
}

/// A relation of an object.
type Node = (String, String);

/// How the other facts that a fact hangs on are found.
enum Others {
    /// By going on, remembering.
    Recursion(BTreeMap<Node, Truth>),
    /// From what surely and what perhaps holds.
    Sets { lower: BTreeSet<Node>, upper: BTreeSet<Node> },
}

impl<'w> Meaning<'w> {
    /// Facts under a schema; those that do not count are left out.
    pub(crate) fn new(world: &'w World, facts: Vec<Fact>) -> Meaning<'w> {
        let facts = facts.into_iter().filter(|it| world.counts(&it.tuple)).collect();
        Meaning { world, facts, has_usersets_in_everybody: false }
    }

    /// The same, with `team:*` standing for usersets of teams too.
    #[allow(dead_code, reason = "of SpiceDB")]
    pub(crate) fn with_usersets_in_everybody(&self) -> Meaning<'w> {
        Meaning { facts: self.facts.clone(), has_usersets_in_everybody: true, ..*self }
    }

    /// The same without some facts.
    #[allow(dead_code, reason = "of SpiceDB")]
    pub(crate) fn without(&self, is_gone: impl Fn(&Tuple) -> bool) -> Meaning<'w> {
        let facts = self.facts.iter().filter(|it| !is_gone(&it.tuple)).cloned().collect();
        Meaning { facts, ..*self }
    }

    /// The same with another truth of some tuples.
    #[allow(dead_code, reason = "of SpiceDB")]
    pub(crate) fn with(&self, truth: impl Fn(&Tuple) -> Option<Truth>) -> Meaning<'w> {
        let other = |it: &Fact| Fact { truth: truth(&it.tuple).unwrap_or(it.truth), ..it.clone() };
        Meaning { facts: self.facts.iter().map(other).collect(), ..*self }
    }

    /// The same without the tuples that name everybody.
    pub(crate) fn without_wildcards(&self) -> Meaning<'w> {
        let facts = self.facts.iter().filter(|it| !is_wildcard(&it.tuple.user)).cloned().collect();
        Meaning { facts, ..*self }
    }

    /// The same without the stored tuples that a contextual one has the key of.
    #[allow(dead_code, reason = "of OpenFGA")]
    pub(crate) fn without_hidden(&self) -> Meaning<'w> {
        Meaning { facts: self.facts.iter().filter(|it| !it.is_hidden).cloned().collect(), ..*self }
    }

    /// Whether the subject holds the relation; none if it would take too long to find out.
    pub(crate) fn holds(&self, object: &str, relation: &str, subject: &str) -> Option<Truth> {
        if self.surroundings(object, relation).is_cyclic {
            return self.in_all_ways(object, relation, subject);
        }
        let mut others = Others::Recursion(BTreeMap::new());
        Some(self.node(object, relation, subject, &mut others, false))
    }

    fn in_all_ways(&self, object: &str, relation: &str, subject: &str) -> Option<Truth> {
        let nodes = self.surroundings(object, relation).nodes;
        let objects: BTreeSet<&str> = nodes.iter().map(|(object, _)| &**object).collect();
        let is_open = |it: &Fact| {
            let Tuple { object, relation, user, .. } = &it.tuple;
            // What is no node of its own is read for its parents.
            let is_parent = !nodes.contains(&(object.clone(), relation.clone()));
            let names = userset(user).is_some()
                || user == subject
                || is_wildcard(user) && type_of(user) == type_of(subject);
            it.truth == Truth::Maybe && objects.contains(&**object) && (is_parent || names)
        };
        let maybes: Vec<usize> = (0..self.facts.len()).filter(|at| is_open(&self.facts[*at])).collect();
        if maybes.len() > MAYBES_MAX {
            return None;
        }
        let mut found = BTreeSet::new();
        for way in 0..1_u32 << maybes.len() {
            let mut facts = self.facts.clone();
            for (bit, at) in maybes.iter().enumerate() {
                facts[*at].truth = if way >> bit & 1 == 1 { Truth::Yes } else { Truth::No };
            }
            let one = Meaning { facts, ..*self };
            found.insert(one.well_founded(object, relation, subject));
        }
        Some(match (found.contains(&true), found.contains(&false)) {
            (true, true) => Truth::Maybe,
            (is_yes, _) => {
                if is_yes {
                    Truth::Yes
                } else {
                    Truth::No
                }
            }
        })
    }

    /// By alternating fixed points.
    fn well_founded(&self, object: &str, relation: &str, subject: &str) -> bool {
        let nodes = self.surroundings(object, relation).nodes;
        let least = |against: &BTreeSet<Node>| {
            let mut found = BTreeSet::new();
            loop {
                let mut others = Others::Sets { lower: found.clone(), upper: against.clone() };
                let next: BTreeSet<Node> = nodes
                    .iter()
                    .filter(|(o, r)| self.rules(o, r, subject, &mut others, false) == Truth::Yes)
                    .cloned()
                    .collect();
                if next == found {
                    return found;
                }
                found = next;
            }
        };
        let mut lower = BTreeSet::new();
        loop {
            let upper = least(&lower);
            let next = least(&upper);
            if next == lower {
                return lower.contains(&(object.to_owned(), relation.to_owned()));
            }
            lower = next;
        }
    }

    fn node(&self, object: &str, relation: &str, subject: &str, others: &mut Others, negated: bool) -> Truth {
        let node = (object.to_owned(), relation.to_owned());
        match others {
            Others::Sets { lower, upper } => {
                let of = if negated { upper } else { lower };
                if of.contains(&node) { Truth::Yes } else { Truth::No }
            }
            Others::Recursion(known) => {
                if let Some(known) = known.get(&node) {
                    return *known;
                }
                let truth = self.rules(object, relation, subject, others, negated);
                if let Others::Recursion(known) = others {
                    known.insert(node, truth);
                }
                truth
            }
        }
    }

    fn rules(
        &self,
        object: &str,
        relation: &str,
        subject: &str,
        others: &mut Others,
        negated: bool,
    ) -> Truth {
        if userset(subject) == Some((object, relation)) {
            return Truth::Yes;
        }
        match self.world.relation(type_of(object), relation) {
            Some(found) => self.rewrite(&found.rewrite, object, relation, subject, others, negated),
            None => Truth::No,
        }
    }

    fn rewrite(
        &self,
        rewrite: &Rewrite,
        object: &str,
        relation: &str,
        subject: &str,
        others: &mut Others,
        negated: bool,
    ) -> Truth {
        match rewrite {
            Rewrite::Direct => self.direct(object, relation, subject, others, negated),
            Rewrite::Computed(name) => self.node(object, name, subject, others, negated),
            Rewrite::Arrow { target, tupleset } => {
                let mut truth = Truth::No;
                for fact in self.on(object, tupleset) {
                    if self.world.relation(type_of(&fact.tuple.user), target).is_some() {
                        let there = self.node(&fact.tuple.user, target, subject, others, negated);
                        truth = truth.max(there.min(fact.truth));
                    }
                }
                truth
            }
            Rewrite::Union(parts) => parts
                .iter()
                .map(|it| self.rewrite(it, object, relation, subject, others, negated))
                .fold(Truth::No, Truth::max),
            Rewrite::Intersection(parts) => parts
                .iter()
                .map(|it| self.rewrite(it, object, relation, subject, others, negated))
                .fold(Truth::Yes, Truth::min),
            Rewrite::Exclusion(base, subtract) => {
                let base = self.rewrite(base, object, relation, subject, others, negated);
                base.min(self.rewrite(subtract, object, relation, subject, others, !negated).not())
            }
        }
    }

    fn direct(
        &self,
        object: &str,
        relation: &str,
        subject: &str,
        others: &mut Others,
        negated: bool,
    ) -> Truth {
        let is_one = userset(subject).is_none() && !is_wildcard(subject);
        let mut truth = Truth::No;
        for fact in self.on(object, relation) {
            let user = &fact.tuple.user;
            let there = if user == subject {
                // Somebody is looked up, and a contextual tuple is found first.
                if is_one && fact.is_hidden { Truth::No } else { Truth::Yes }
            } else if let Some((object, relation)) = userset(user) {
                self.node(object, relation, subject, others, negated)
            } else if is_wildcard(user)
                && (is_one || self.has_usersets_in_everybody && !is_wildcard(subject))
                && type_of(user) == type_of(subject)
            {
                Truth::Yes
            } else {
                Truth::No
            };
            truth = truth.max(there.min(fact.truth));
        }
        truth
    }

    fn on(&self, object: &str, relation: &str) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(move |it| it.tuple.object == object && it.tuple.relation == relation)
    }

    /// What a question hangs on, whatever the subject.
    pub(crate) fn surroundings(&self, object: &str, relation: &str) -> Surroundings {
        let tuples: Vec<&Tuple> = self.facts.iter().map(|it| &it.tuple).collect();
        surroundings(self.world, &tuples, vec![(object.to_owned(), relation.to_owned())])
    }
}

/// The facts that others hang on.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// All of them.
    pub(crate) nodes: BTreeSet<Node>,
    /// Whether some hang on themselves.
    pub(crate) is_cyclic: bool,
    /// The most hops on a way without a cycle: 0 if there is one.
    #[allow(dead_code, reason = "of OpenFGA")]
    pub(crate) hops: usize,
}

/// Whether no fact hangs on itself.
pub(crate) fn is_acyclic(world: &World, contextual: &[Tuple]) -> bool {
    let tuples: Vec<&Tuple> = world.tuples.iter().chain(contextual).filter(|it| world.counts(it)).collect();
    let starts: BTreeSet<Node> = tuples
        .iter()
        .map(|it| it.object.clone())
        .flat_map(|object| {
            let of = world.types.iter().find(|it| it.name == type_of(&object));
            let names: Vec<Node> = of
                .into_iter()
                .flat_map(|it| &it.relations)
                .map(|it| (object.clone(), it.name.clone()))
                .collect();
            names
        })
        .collect();
    !surroundings(world, &tuples, starts.into_iter().collect()).is_cyclic
}

fn surroundings(world: &World, tuples: &[&Tuple], starts: Vec<Node>) -> Surroundings {
    let mut edges: BTreeMap<Node, BTreeMap<Node, usize>> = BTreeMap::new();
    let mut open = starts;
    while let Some(node) = open.pop() {
        if edges.contains_key(&node) {
            continue;
        }
        let next = nexts(world, tuples, &node);
        open.extend(next.keys().cloned());
        edges.insert(node, next);
    }
    // Take away what hangs on nothing, again and again: what is left is cyclic.
    let mut hops: BTreeMap<Node, usize> = BTreeMap::new();
    let nodes: BTreeSet<Node> = edges.keys().cloned().collect();
    loop {
        let done: Vec<(Node, usize)> = edges
            .iter()
            .filter(|(_, next)| next.keys().all(|it| hops.contains_key(it)))
            .map(|(node, next)| {
                let most = next.iter().map(|(it, hop)| hops.get(it).unwrap_or(&0) + hop).max();
                (node.clone(), most.unwrap_or(0))
            })
            .collect();
        if done.is_empty() {
            break;
        }
        for (node, most) in done {
            edges.remove(&node);
            hops.insert(node, most);
        }
    }
    Surroundings { nodes, is_cyclic: !edges.is_empty(), hops: hops.values().copied().max().unwrap_or(0) }
}

/// What a fact hangs on, and the hops to there.
fn nexts(world: &World, tuples: &[&Tuple], (object, relation): &Node) -> BTreeMap<Node, usize> {
    let mut found = BTreeMap::new();
    let Some(of) = world.relation(type_of(object), relation) else { return found };
    let on = |name: &str| {
        let name = name.to_owned();
        tuples.iter().filter(move |it| it.object == *object && it.relation == name)
    };
    of.rewrite.each(&mut |rewrite| match rewrite {
        Rewrite::Direct => {
            for tuple in on(relation) {
                if let Some((object, relation)) = userset(&tuple.user) {
                    found.insert((object.to_owned(), relation.to_owned()), 1);
                }
            }
        }
        Rewrite::Computed(name) => {
            found.entry((object.clone(), name.clone())).or_insert(0);
        }
        Rewrite::Arrow { target, tupleset } => {
            for tuple in on(tupleset) {
                if world.relation(type_of(&tuple.user), target).is_some() {
                    found.insert((tuple.user.clone(), target.clone()), 1);
                }
            }
        }
        _ => {}
    });
    found
}
