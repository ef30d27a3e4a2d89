//! The smallest sets of tuples that make a formula true, or false.
//!
//! For each node the sets are found from those of the nodes in its formula, until nothing changes: true from nothing (the least
//! fixpoint), false from everything (what only supports itself is false without further help). This is minimal why-provenance
//! (Green, Karvounarakis, Tannen: *Provenance semirings*, 2007, the semiring of minimal sets), cut to the smallest few: what comes
//! out is a candidate, to be checked.

use std::cell::Cell;

use super::derivation::{Derivation, Formula, Stands};

/// A set of leaves, in order.
pub(super) type Set = Vec<usize>;

/// What the sets are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// Of tuples that are there.
    Proofs,
    /// Of tuples to be written, and to be taken away.
    Changes,
}

/// The sets of each node.
pub(super) struct Ways {
    pub(super) truly: Vec<Vec<Set>>,
    pub(super) falsely: Vec<Vec<Set>>,
    /// Sets were left out.
    pub(super) is_cut: bool,
}

/// How many sets of a node are kept, and how large they may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Few {
    pub(super) sets_max: usize,
    pub(super) size_max: usize,
}

/// Rounds of the fixpoint.
const ROUNDS_MAX: usize = 200;

/// Finds the ways of all nodes. `may_change`: which leaves a change may be of.
pub(super) fn ways(
    derivation: &Derivation,
    made: Made,
    few: Few,
    may_change: &dyn Fn(usize) -> bool,
) -> Ways {
    let count = derivation.nodes.len();
    let mut ways =
        Ways { truly: vec![Vec::new(); count], falsely: vec![vec![Vec::new()]; count], is_cut: false };
    for round in 0..=ROUNDS_MAX {
        let mut is_changed = false;
        // What lies farther away was laid out later.
        for at in (0..count).rev() {
            let search = Search { derivation, made, few, may_change, ways: &ways, is_cut: Cell::new(false) };
            let formula = &derivation.nodes[at].formula;
            let (truly, falsely) = (search.of(formula, true), search.of(formula, false));
            let is_cut = search.is_cut.get();
            is_changed |= truly != ways.truly[at] || falsely != ways.falsely[at];
            (ways.truly[at], ways.falsely[at]) = (truly, falsely);
            ways.is_cut |= is_cut;
        }
        if !is_changed {
            break;
        }
        ways.is_cut |= round == ROUNDS_MAX;
    }
    ways
}

impl Ways {
    /// The ways of a part of a node's formula.
    pub(super) fn of_part(
        &self,
        derivation: &Derivation,
        made: Made,
        few: Few,
        formula: &Formula,
        value: bool,
    ) -> Vec<Set> {
        let is_cut = Cell::new(false);
        Search { derivation, made, few, may_change: &|_| true, ways: self, is_cut }.of(formula, value)
    }
}

struct Search<'s> {
    derivation: &'s Derivation,
    made: Made,
    few: Few,
    may_change: &'s dyn Fn(usize) -> bool,
    ways: &'s Ways,
    is_cut: Cell<bool>,
}

impl Search<'_> {
    fn of(&self, formula: &Formula, value: bool) -> Vec<Set> {
        match formula {
            Formula::Constant(constant) => always(*constant == value),
            Formula::Leaf(leaf) => self.leaf(*leaf, value),
            Formula::Node(node) => self.node(*node, value),
            Formula::Over { leaf, node } => {
                let (first, second) = (self.leaf(*leaf, value), self.node(*node, value));
                if value { self.both(first, &second) } else { self.either(first, second) }
            }
            Formula::Any(parts) => self.fold(parts, value, value),
            Formula::All(parts) => self.fold(parts, value, !value),
            Formula::Without { base, taken, .. } => {
                let (first, second) = (self.of(base, value), self.of(taken, !value));
                if value { self.both(first, &second) } else { self.either(first, second) }
            }
        }
    }

    fn node(&self, node: usize, value: bool) -> Vec<Set> {
        if value { self.ways.truly[node].clone() } else { self.ways.falsely[node].clone() }
    }

    /// `one_is_enough`: of the parts; otherwise it takes all.
    fn fold(&self, parts: &[Formula], value: bool, one_is_enough: bool) -> Vec<Set> {
        let mut found = always(!one_is_enough);
        for part in parts {
            if !one_is_enough && found.is_empty() {
                return found;
            }
            let part = self.of(part, value);
            found = if one_is_enough { self.either(found, part) } else { self.both(found, &part) };
        }
        found
    }

    fn leaf(&self, leaf: usize, value: bool) -> Vec<Set> {
        let changed = || if (self.may_change)(leaf) { vec![vec![leaf]] } else { Vec::new() };
        match (&self.derivation.leaves[leaf].stands, self.made, value) {
            (Stands::Counts(_), Made::Proofs, true) => vec![vec![leaf]],
            (Stands::Counts(_), Made::Changes, true) => always(true),
            (Stands::Counts(_), Made::Changes, false) => changed(),
            (Stands::Possible(_), Made::Changes, true) => changed(),
            (Stands::Blocked(..) | Stands::Possible(_), _, true) => Vec::new(),
            (_, _, false) => always(true),
        }
    }

    fn either(&self, mut first: Vec<Set>, second: Vec<Set>) -> Vec<Set> {
        if first.is_empty() || second.is_empty() {
            first.extend(second);
            return first;
        }
        first.extend(second);
        self.smallest(first)
    }

    fn both(&self, first: Vec<Set>, second: &[Set]) -> Vec<Set> {
        if let ([only], true) = (second, !first.is_empty())
            && only.is_empty()
        {
            return first;
        }
        let mut found = Vec::with_capacity(first.len() * second.len());
        for one in &first {
            for other in second {
                let mut set: Set = one.iter().chain(other).copied().collect();
                set.sort_unstable();
                set.dedup();
                if set.len() > self.few.size_max {
                    self.is_cut.set(true);
                } else {
                    found.push(set);
                }
            }
        }
        self.smallest(found)
    }

    /// Without those that hold another one, and only the smallest.
    fn smallest(&self, mut sets: Vec<Set>) -> Vec<Set> {
        sets.sort_unstable_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
        sets.dedup();
        let mut kept: Vec<Set> = Vec::with_capacity(sets.len().min(self.few.sets_max));
        for set in sets {
            if kept.iter().any(|smaller| smaller.iter().all(|leaf| set.binary_search(leaf).is_ok())) {
                continue;
            }
            if kept.len() == self.few.sets_max {
                self.is_cut.set(true);
                break;
            }
            kept.push(set);
        }
        kept
    }
}

fn always(is_so: bool) -> Vec<Set> {
    if is_so { vec![Vec::new()] } else { Vec::new() }
}
