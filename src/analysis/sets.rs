//! Sets of subjects, each kept once: equal sets have equal numbers, and what two have in common is there once.
//!
//! A set says for each type of subject what is true of everybody, and names those of whom something else is true. These
//! are a Patricia tree (Okasaki and Gill, *Fast mergeable integer maps*, 1998) whose nodes are kept once each, so that
//! to join two sets takes as long as they differ, and the same joining twice takes one look-up.

use foldhash::{HashMap, HashMapExt as _};

use super::bound::Bound;
use super::truth::{Operator, Truth, Truths};
use crate::tuple::SubjectRef;

/// A number for a set, in one [`Sets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Set(u32);

impl Set {
    pub(super) const NOBODY: Set = Set(0);
}

/// A type of subject: a number for its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Kind(u32);

/// Of one type: what is true of everybody, and of whom something else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Part {
    kind: Kind,
    everybody: Truth,
    others: Tree,
}

/// A number for a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tree(u32);

const EMPTY: Tree = Tree(0);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Leaf(u32, Truth),
    /// All keys begin with the bits of `prefix` above `bit`; those without `bit` are on the left.
    Branch {
        prefix: u32,
        bit: u32,
        left: Tree,
        right: Tree,
    },
}

/// Who differs between two sets: everybody of a type first, then the named ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) kind: Kind,
    /// None: everybody of the type who is not named.
    pub(super) subject: Option<u32>,
    pub(super) before: Truth,
    pub(super) after: Truth,
}

/// All sets that were met, and the subjects in them.
pub(super) struct Sets {
    pub(super) truths: Truths,
    kinds: Names,
    subjects: Vec<Names>,
    sets: Vec<Box<[Part]>>,
    number_of: HashMap<Box<[Part]>, Set>,
    nodes: Vec<Node>,
    number_of_node: HashMap<Node, Tree>,
    known: HashMap<(Operator, Set, Set), Set>,
    known_trees: HashMap<(Operator, Truth, Tree, Truth, Tree), Tree>,
    bytes: usize,
    bytes_max: usize,
}

/// Subjects that are written on one relation of one object: objects, and everybody of a type.
#[derive(Default)]
pub(super) struct People(Vec<OfKind>);

struct OfKind {
    kind: Kind,
    everybody: Truth,
    named: Vec<(u32, Truth)>,
}

impl People {
    /// Adds a subject as far as a truth says; a userset stands for nobody here.
    pub(super) fn add(
        &mut self,
        sets: &mut Sets,
        subject: SubjectRef<'_>,
        truth: Truth,
    ) -> Result<(), Bound> {
        let kind = sets.kind(subject.subject_type());
        let at = self.0.iter().position(|of| of.kind == kind).unwrap_or_else(|| {
            self.0.push(OfKind { kind, everybody: Truth::NO, named: Vec::new() });
            self.0.len() - 1
        });
        let of = &mut self.0[at];
        match subject {
            SubjectRef::Object(object) => of.named.push((sets.subject(kind, object.id()), truth)),
            SubjectRef::Wildcard(_) => of.everybody = sets.truths.apply(Operator::Or, of.everybody, truth)?,
            SubjectRef::Userset(..) => {}
        }
        Ok(())
    }

    /// All of them.
    pub(super) fn joined(self, sets: &mut Sets) -> Result<Set, Bound> {
        let mut joined = Set::NOBODY;
        for OfKind { kind, everybody, named } in self.0 {
            let written = sets.written(kind, everybody, named)?;
            joined = sets.apply(Operator::Or, joined, written)?;
        }
        Ok(joined)
    }
}

/// Names, numbered as they are met.
#[derive(Default)]
struct Names {
    names: Vec<Box<str>>,
    number_of: HashMap<Box<str>, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> (u32, bool) {
        if let Some(&known) = self.number_of.get(name) {
            return (known, false);
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.number_of.insert(name.into(), number);
        (number, true)
    }
}

impl Sets {
    /// `bytes_max`: how much memory they are meant to take; asked for by [`Sets::look_at_memory`].
    pub(super) fn new(bytes_max: usize) -> Sets {
        let nobody: Box<[Part]> = Box::default();
        Sets {
            truths: Truths::new(),
            kinds: Names::default(),
            subjects: Vec::new(),
            sets: vec![nobody.clone()],
            number_of: [(nobody, Set::NOBODY)].into_iter().collect(),
            // The empty tree has the number 0, and no node.
            nodes: vec![Node::Leaf(0, Truth::NO)],
            number_of_node: HashMap::new(),
            known: HashMap::new(),
            known_trees: HashMap::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Whether they take far more memory than they are meant to.
    pub(super) fn look_at_memory(&self) -> Result<(), Bound> {
        if self.bytes() > self.bytes_max.saturating_mul(2) { Err(Bound::Memory) } else { Ok(()) }
    }

    /// About how much memory is taken.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
            + self.nodes.len() * 64
            + self.known.len() * 32
            + self.known_trees.len() * 48
            + self.truths.len() * 256
    }

    pub(super) fn kind(&mut self, name: &str) -> Kind {
        let (number, is_new) = self.kinds.number(name);
        if is_new {
            self.subjects.push(Names::default());
        }
        Kind(number)
    }

    pub(super) fn subject(&mut self, kind: Kind, id: &str) -> u32 {
        let (number, is_new) = self.subjects[kind.0 as usize].number(id);
        if is_new {
            self.bytes += 2 * id.len() + 64;
        }
        number
    }

    pub(super) fn kind_name(&self, kind: Kind) -> &str {
        &self.kinds.names[kind.0 as usize]
    }

    pub(super) fn subject_id(&self, kind: Kind, subject: u32) -> &str {
        &self.subjects[kind.0 as usize].names[subject as usize]
    }

    /// The set of some subjects of one type, and everybody of it as far as `everybody` says.
    pub(super) fn written(
        &mut self,
        kind: Kind,
        everybody: Truth,
        mut named: Vec<(u32, Truth)>,
    ) -> Result<Set, Bound> {
        named.sort_unstable();
        named.dedup_by_key(|(subject, _)| *subject);
        // Who is named holds it at least as everybody does.
        for (_, truth) in &mut named {
            *truth = self.truths.apply(Operator::Or, *truth, everybody)?;
        }
        named.retain(|(_, truth)| *truth != everybody);
        let others = self.tree_of(&named);
        Ok(self.keep(vec![Part { kind, everybody, others }]))
    }

    /// Joins two sets, of each subject what the operator says.
    pub(super) fn apply(&mut self, operator: Operator, a: Set, b: Set) -> Result<Set, Bound> {
        match (operator, a, b) {
            (Operator::Or, Set::NOBODY, other) | (Operator::Or, other, Set::NOBODY) => return Ok(other),
            (Operator::And, Set::NOBODY, _) | (Operator::And, _, Set::NOBODY) => return Ok(Set::NOBODY),
            (Operator::Without, Set::NOBODY, _) => return Ok(Set::NOBODY),
            (Operator::Without, base, Set::NOBODY) => return Ok(base),
            (Operator::Or | Operator::And, _, _) if a == b => return Ok(a),
            (Operator::Without, _, _) if a == b => return Ok(Set::NOBODY),
            _ => {}
        }
        // What is the same either way round is kept once.
        let (a, b) = if operator != Operator::Without && a.0 > b.0 { (b, a) } else { (a, b) };
        if let Some(&known) = self.known.get(&(operator, a, b)) {
            return Ok(known);
        }
        let parts = self.both(a, b);
        let mut joined = Vec::with_capacity(parts.len());
        for (left, right) in parts {
            let everybody = self.truths.apply(operator, left.everybody, right.everybody)?;
            let others = self.merge(operator, left.everybody, left.others, right.everybody, right.others)?;
            joined.push(Part { kind: left.kind, everybody, others });
        }
        let set = self.keep(joined);
        self.known.insert((operator, a, b), set);
        Ok(set)
    }

    /// The set, of everybody in it only as far as a truth says.
    pub(super) fn when(&mut self, truth: Truth, set: Set) -> Result<Set, Bound> {
        if truth == Truth::YES || set == Set::NOBODY {
            return Ok(set);
        }
        let mut joined = Vec::new();
        for part in self.sets[set.0 as usize].clone() {
            let everybody = self.truths.apply(Operator::And, part.everybody, truth)?;
            let others = self.merge(Operator::And, part.everybody, part.others, truth, EMPTY)?;
            joined.push(Part { everybody, others, ..part });
        }
        Ok(self.keep(joined))
    }

    /// Visits who differs. Where everybody of a type does, those who are named come where they differ from everybody.
    pub(super) fn differences(&self, before: Set, after: Set, visit: &mut dyn FnMut(Difference)) {
        if before == after {
            return;
        }
        for (left, right) in self.both(before, after) {
            let kind = left.kind;
            let everybody = (left.everybody, right.everybody);
            let mut told = |subject, before, after| visit(Difference { kind, subject, before, after });
            if everybody.0 != everybody.1 {
                told(None, everybody.0, everybody.1);
            }
            self.tree_differences(left.others, right.others, everybody, &mut |subject, before, after| {
                told(Some(subject), before, after);
            });
        }
    }

    /// Visits who is in a set: everybody of each type first, also where they are not, then the named ones who differ.
    pub(super) fn members(&self, set: Set, visit: &mut dyn FnMut(Kind, Option<u32>, Truth)) {
        for part in &self.sets[set.0 as usize] {
            visit(part.kind, None, part.everybody);
            self.each(part.others, &mut |subject, truth| visit(part.kind, Some(subject), truth));
        }
    }

    /// What is true of one subject.
    pub(super) fn truth_of(&self, set: Set, kind: Kind, subject: Option<u32>) -> Truth {
        let Some(part) = self.sets[set.0 as usize].iter().find(|part| part.kind == kind) else {
            return Truth::NO;
        };
        let found = subject.and_then(|subject| self.find(part.others, subject));
        found.unwrap_or(part.everybody)
    }

    /// The parts of two sets, by type; what one lacks is nobody.
    fn both(&self, a: Set, b: Set) -> Vec<(Part, Part)> {
        let (a, b) = (&self.sets[a.0 as usize], &self.sets[b.0 as usize]);
        let nobody = |kind| Part { kind, everybody: Truth::NO, others: EMPTY };
        let (mut i, mut j, mut found) = (0, 0, Vec::with_capacity(a.len().max(b.len())));
        while i < a.len() || j < b.len() {
            match (a.get(i), b.get(j)) {
                (Some(left), Some(right)) if left.kind == right.kind => {
                    found.push((*left, *right));
                    (i, j) = (i + 1, j + 1);
                }
                (Some(left), right) if right.is_none_or(|right| left.kind < right.kind) => {
                    found.push((*left, nobody(left.kind)));
                    i += 1;
                }
                (_, Some(right)) => {
                    found.push((nobody(right.kind), *right));
                    j += 1;
                }
                (_, None) => break,
            }
        }
        found
    }

    fn keep(&mut self, mut parts: Vec<Part>) -> Set {
        parts.retain(|part| part.everybody != Truth::NO || part.others != EMPTY);
        let parts = parts.into_boxed_slice();
        if let Some(&known) = self.number_of.get(&parts) {
            return known;
        }
        let set = Set(self.sets.len() as u32);
        self.bytes += 2 * parts.len() * size_of::<Part>() + 96;
        self.sets.push(parts.clone());
        self.number_of.insert(parts, set);
        set
    }

    fn node(&mut self, node: Node) -> Tree {
        if let Some(&known) = self.number_of_node.get(&node) {
            return known;
        }
        let tree = Tree(self.nodes.len() as u32);
        self.nodes.push(node);
        self.number_of_node.insert(node, tree);
        tree
    }

    fn branch(&mut self, prefix: u32, bit: u32, left: Tree, right: Tree) -> Tree {
        match (left, right) {
            (EMPTY, other) | (other, EMPTY) => other,
            _ => self.node(Node::Branch { prefix, bit, left, right }),
        }
    }

    /// Of named subjects in the order of their numbers.
    fn tree_of(&mut self, named: &[(u32, Truth)]) -> Tree {
        match named {
            [] => EMPTY,
            [(subject, truth)] => self.node(Node::Leaf(*subject, *truth)),
            [(first, _), .., (last, _)] => {
                let bit = highest_bit(first ^ last);
                let middle = named.partition_point(|(subject, _)| subject & bit == 0);
                let (left, right) = (self.tree_of(&named[..middle]), self.tree_of(&named[middle..]));
                self.branch(above(*first, bit), bit, left, right)
            }
        }
    }

    /// Two trees with different keys only.
    fn join(&mut self, a: Tree, b: Tree) -> Tree {
        if a == EMPTY || b == EMPTY {
            return if a == EMPTY { b } else { a };
        }
        let (prefix_a, prefix_b) = (self.key(a), self.key(b));
        let bit = highest_bit(prefix_a ^ prefix_b);
        let (left, right) = if prefix_a & bit == 0 { (a, b) } else { (b, a) };
        self.branch(above(prefix_a, bit), bit, left, right)
    }

    fn key(&self, tree: Tree) -> u32 {
        match self.nodes[tree.0 as usize] {
            Node::Leaf(subject, _) => subject,
            Node::Branch { prefix, .. } => prefix,
        }
    }

    /// `a` with `of_a` for everybody else, and `b` with `of_b`: who differs from what the operator makes of everybody.
    fn merge(
        &mut self,
        operator: Operator,
        of_a: Truth,
        a: Tree,
        of_b: Truth,
        b: Tree,
    ) -> Result<Tree, Bound> {
        if a == EMPTY && b == EMPTY {
            return Ok(EMPTY);
        }
        if b == EMPTY && self.truths.apply(operator, of_a, of_b)? == of_a && is_neutral(operator, of_b) {
            return Ok(a);
        }
        if a == EMPTY && operator != Operator::Without && is_neutral(operator, of_a) {
            return Ok(b);
        }
        let key = (operator, of_a, a, of_b, b);
        if let Some(&known) = self.known_trees.get(&key) {
            return Ok(known);
        }
        let merged = self.merge_nodes(operator, of_a, a, of_b, b)?;
        self.known_trees.insert(key, merged);
        Ok(merged)
    }

    fn merge_nodes(
        &mut self,
        operator: Operator,
        of_a: Truth,
        a: Tree,
        of_b: Truth,
        b: Tree,
    ) -> Result<Tree, Bound> {
        let node = |sets: &Sets, tree: Tree| (tree != EMPTY).then(|| sets.nodes[tree.0 as usize]);
        match (node(self, a), node(self, b)) {
            (None, None) => Ok(EMPTY),
            (Some(Node::Leaf(x, v)), Some(Node::Leaf(y, w))) if x == y => {
                self.leaf(operator, (of_a, of_b), x, v, w)
            }
            (Some(Node::Leaf(x, v)), None) => self.leaf(operator, (of_a, of_b), x, v, of_b),
            (None, Some(Node::Leaf(y, w))) => self.leaf(operator, (of_a, of_b), y, of_a, w),
            (Some(Node::Branch { prefix, bit, left, right }), other) => match other {
                Some(Node::Branch { prefix: q, bit: c, left: l, right: r }) if (q, c) == (prefix, bit) => {
                    let left = self.merge(operator, of_a, left, of_b, l)?;
                    let right = self.merge(operator, of_a, right, of_b, r)?;
                    Ok(self.branch(prefix, bit, left, right))
                }
                // The other one is on one side of this one.
                Some(other) if other.bit() < bit && above(other.key(), bit) == prefix => {
                    let is_left = other.key() & bit == 0;
                    let (l, r) = if is_left { (b, EMPTY) } else { (EMPTY, b) };
                    let left = self.merge(operator, of_a, left, of_b, l)?;
                    let right = self.merge(operator, of_a, right, of_b, r)?;
                    Ok(self.branch(prefix, bit, left, right))
                }
                Some(Node::Branch { prefix: q, bit: c, left: l, right: r })
                    if bit < c && above(prefix, c) == q =>
                {
                    let (x, y) = if prefix & c == 0 { (a, EMPTY) } else { (EMPTY, a) };
                    let left = self.merge(operator, of_a, x, of_b, l)?;
                    let right = self.merge(operator, of_a, y, of_b, r)?;
                    Ok(self.branch(q, c, left, right))
                }
                Some(_) => self.apart(operator, of_a, a, of_b, b),
                None => {
                    let left = self.merge(operator, of_a, left, of_b, EMPTY)?;
                    let right = self.merge(operator, of_a, right, of_b, EMPTY)?;
                    Ok(self.branch(prefix, bit, left, right))
                }
            },
            (other, Some(Node::Branch { prefix, bit, left, right })) => match other {
                Some(leaf) if above(leaf.key(), bit) == prefix => {
                    let (x, y) = if leaf.key() & bit == 0 { (a, EMPTY) } else { (EMPTY, a) };
                    let left = self.merge(operator, of_a, x, of_b, left)?;
                    let right = self.merge(operator, of_a, y, of_b, right)?;
                    Ok(self.branch(prefix, bit, left, right))
                }
                Some(_) => self.apart(operator, of_a, a, of_b, b),
                None => {
                    let left = self.merge(operator, of_a, EMPTY, of_b, left)?;
                    let right = self.merge(operator, of_a, EMPTY, of_b, right)?;
                    Ok(self.branch(prefix, bit, left, right))
                }
            },
            (Some(_), Some(_)) => self.apart(operator, of_a, a, of_b, b),
        }
    }

    /// Trees with no key in common.
    fn apart(
        &mut self,
        operator: Operator,
        of_a: Truth,
        a: Tree,
        of_b: Truth,
        b: Tree,
    ) -> Result<Tree, Bound> {
        let left = self.merge(operator, of_a, a, of_b, EMPTY)?;
        let right = self.merge(operator, of_a, EMPTY, of_b, b)?;
        Ok(self.join(left, right))
    }

    fn leaf(
        &mut self,
        operator: Operator,
        everybody: (Truth, Truth),
        subject: u32,
        a: Truth,
        b: Truth,
    ) -> Result<Tree, Bound> {
        let truth = self.truths.apply(operator, a, b)?;
        let is_as_everybody = truth == self.truths.apply(operator, everybody.0, everybody.1)?;
        Ok(if is_as_everybody { EMPTY } else { self.node(Node::Leaf(subject, truth)) })
    }

    fn find(&self, mut tree: Tree, subject: u32) -> Option<Truth> {
        while tree != EMPTY {
            match self.nodes[tree.0 as usize] {
                Node::Leaf(found, truth) => return (found == subject).then_some(truth),
                Node::Branch { bit, left, right, .. } => tree = if subject & bit == 0 { left } else { right },
            }
        }
        None
    }

    fn each(&self, tree: Tree, visit: &mut dyn FnMut(u32, Truth)) {
        if tree == EMPTY {
            return;
        }
        match self.nodes[tree.0 as usize] {
            Node::Leaf(subject, truth) => visit(subject, truth),
            Node::Branch { left, right, .. } => {
                self.each(left, visit);
                self.each(right, visit);
            }
        }
    }

    /// Visits the subjects of two trees who differ from everybody, passing over what both share where everybody is the same.
    fn tree_differences(
        &self,
        a: Tree,
        b: Tree,
        everybody: (Truth, Truth),
        visit: &mut dyn FnMut(u32, Truth, Truth),
    ) {
        if a == b && everybody.0 == everybody.1 {
            return;
        }
        if a == EMPTY {
            return self.each(b, &mut |subject, after| visit(subject, everybody.0, after));
        }
        if b == EMPTY {
            return self.each(a, &mut |subject, before| visit(subject, before, everybody.1));
        }
        let (first, second) = (self.nodes[a.0 as usize], self.nodes[b.0 as usize]);
        match (first, second) {
            (Node::Leaf(x, before), Node::Leaf(y, after)) if x == y => {
                // In both, and so different from everybody on both sides: it may have changed as everybody has.
                if before != after || everybody.0 != everybody.1 {
                    visit(x, before, after);
                }
            }
            (
                Node::Branch { prefix, bit, left, right },
                Node::Branch { prefix: q, bit: c, left: l, right: r },
            ) if (prefix, bit) == (q, c) => {
                self.tree_differences(left, l, everybody, visit);
                self.tree_differences(right, r, everybody, visit);
            }
            (Node::Branch { prefix, bit, left, right }, other)
                if other.bit() < bit && above(other.key(), bit) == prefix =>
            {
                let (l, r) = if other.key() & bit == 0 { (b, EMPTY) } else { (EMPTY, b) };
                self.tree_differences(left, l, everybody, visit);
                self.tree_differences(right, r, everybody, visit);
            }
            (other, Node::Branch { prefix, bit, left, right })
                if other.bit() < bit && above(other.key(), bit) == prefix =>
            {
                let (x, y) = if other.key() & bit == 0 { (a, EMPTY) } else { (EMPTY, a) };
                self.tree_differences(x, left, everybody, visit);
                self.tree_differences(y, right, everybody, visit);
            }
            _ => {
                self.tree_differences(a, EMPTY, everybody, visit);
                self.tree_differences(EMPTY, b, everybody, visit);
            }
        }
    }
}

impl Node {
    fn key(self) -> u32 {
        match self {
            Node::Leaf(subject, _) => subject,
            Node::Branch { prefix, .. } => prefix,
        }
    }

    /// 0 for a leaf.
    fn bit(self) -> u32 {
        match self {
            Node::Leaf(..) => 0,
            Node::Branch { bit, .. } => bit,
        }
    }
}

/// Whether everybody's truth on the other side leaves each one's as it is.
fn is_neutral(operator: Operator, other: Truth) -> bool {
    match operator {
        Operator::Or | Operator::Without => other == Truth::NO,
        Operator::And => other == Truth::YES,
    }
}

fn highest_bit(bits: u32) -> u32 {
    1 << (31 - bits.leading_zeros().min(31))
}

/// The bits of a key above one.
fn above(key: u32, bit: u32) -> u32 {
    key & !(bit | (bit - 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::truth::{Operator, Truth, Unknown};
    use super::{Set, Sets};

    /// The same set as a plain map, and what is true of everybody else.
    type Plain = (u8, BTreeMap<u32, u8>);

    fn plain() -> impl Strategy<Value = Plain> {
        let key = prop_oneof![0_u32..12, Just(1 << 20), Just(u32::from(u16::MAX))];
        (0_u8..3, prop::collection::btree_map(key, 0_u8..3, 0..10))
    }

    struct World {
        sets: Sets,
        truths: [Truth; 3],
        ids: BTreeMap<u32, u32>,
    }

    impl World {
        fn new() -> World {
            let mut sets = Sets::new(usize::MAX);
            let unknown = Unknown { name: "c".into(), definition: "".into(), context: "".into() };
            let maybe = sets.truths.unknown(unknown).unwrap();
            World { sets, truths: [Truth::NO, maybe, Truth::YES], ids: BTreeMap::new() }
        }

        /// Built by one operation for each subject: exactly what the map says.
        fn set(&mut self, (everybody, named): &Plain) -> Set {
            let kind = self.sets.kind("user");
            let mut set = self.sets.written(kind, self.truths[*everybody as usize], vec![]).unwrap();
            for (subject, truth) in named {
                let number = self.sets.subject(kind, &subject.to_string());
                self.ids.insert(*subject, number);
                let alone = self.sets.written(kind, Truth::NO, vec![(number, Truth::YES)]).unwrap();
                let only = self.sets.written(kind, Truth::NO, vec![(number, self.truths[*truth as usize])]);
                set = self.sets.apply(Operator::Without, set, alone).unwrap();
                set = self.sets.apply(Operator::Or, set, only.unwrap()).unwrap();
            }
            set
        }

        fn truth(&mut self, operator: Operator, a: u8, b: u8) -> Truth {
            let (a, b) = (self.truths[a as usize], self.truths[b as usize]);
            self.sets.truths.apply(operator, a, b).unwrap()
        }
    }

    proptest! {
        #[test]
        fn sets_do_what_maps_do(a in plain(), b in plain()) {
            let mut world = World::new();
            let (first, second) = (world.set(&a), world.set(&b));
            let kind = world.sets.kind("user");
            let of = |plain: &Plain, subject: u32| *plain.1.get(&subject).unwrap_or(&plain.0);
            for operator in [Operator::Or, Operator::And, Operator::Without] {
                let joined = world.sets.apply(operator, first, second).unwrap();
                let everybody = world.truth(operator, a.0, b.0);
                prop_assert_eq!(world.sets.truth_of(joined, kind, None), everybody);
                for (subject, number) in world.ids.clone() {
                    let expected = world.truth(operator, of(&a, subject), of(&b, subject));
                    prop_assert_eq!(world.sets.truth_of(joined, kind, Some(number)), expected);
                }
            }
            let mut found = BTreeMap::new();
            world.sets.differences(first, second, &mut |it| {
                assert!(found.insert(it.subject, (it.before, it.after)).is_none());
            });
            let truths = world.truths;
            let pair = |(x, y): (u8, u8)| (truths[x as usize], truths[y as usize]);
            let mut expected = BTreeMap::new();
            if a.0 != b.0 {
                expected.insert(None, pair((a.0, b.0)));
            }
            for (subject, number) in &world.ids {
                let both = (of(&a, *subject), of(&b, *subject));
                let is_told = if a.0 == b.0 { both.0 != both.1 } else { both != (a.0, b.0) };
                if is_told {
                    expected.insert(Some(*number), pair(both));
                }
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn equal_sets_have_equal_numbers(a in plain(), b in plain()) {
            let mut world = World::new();
            let (first, second) = (world.set(&a), world.set(&b));
            let full = |plain: &Plain| -> Plain {
                (plain.0, plain.1.iter().filter(|(_, it)| **it != plain.0).map(|(k, v)| (*k, *v)).collect())
            };
            prop_assert_eq!(first == second, full(&a) == full(&b));
            let together = world.sets.apply(Operator::Or, first, second).unwrap();
            prop_assert_eq!(together, world.sets.apply(Operator::Or, second, first).unwrap());
        }
    }
}
