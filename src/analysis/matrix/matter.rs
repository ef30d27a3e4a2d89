//! Proofs that a tuple makes no difference in any larger world: without one, an empty search is no no.

use std::collections::HashSet;

use super::super::derivation::{Derivation, Formula, Leaf, Stands};
use super::super::ways::{Few, Made, ways};
use super::facts::is_further;
use crate::tuple::{Subject, TupleKey};

/// Sets that are told apart. One that takes more is no proof.
const FEW: Few = Few { sets_max: 128, size_max: 24 };

/// Whether a tuple can make a difference for the better in any larger world.
///
/// Every such world can be mapped onto the one in which all that could be written is written, the objects that nothing is known of
/// onto the one of their type; what is derived there is derived here too. So the tuple has to be part of a derivation here, all
/// other parts of which can be true; where something is taken away, it may be absent.
pub(super) fn may_matter(derivation: &Derivation, tuple: &TupleKey) -> bool {
    let Some(leaf) = derivation.leaves.iter().position(|leaf| leaf.key == *tuple) else { return false };
    let can = saturate(derivation);
    let saturation = Saturation { derivation, can: &can };
    let mut seen = HashSet::from([(0, true)]);
    let mut waiting = vec![(0, true)];
    while let Some((node, helps)) = waiting.pop() {
        let mut found = Met::default();
        saturation.meet(&derivation.nodes[node].formula, helps, &mut found);
        if found.leaves.contains(&(leaf, true)) {
            return true;
        }
        waiting.extend(found.nodes.into_iter().filter(|met| seen.insert(*met)));
    }
    false
}

/// Which nodes hold when all that could be written is written.
fn saturate(derivation: &Derivation) -> Vec<bool> {
    let mut can = vec![false; derivation.nodes.len()];
    loop {
        let saturation = Saturation { derivation, can: &can };
        let more: Vec<bool> =
            derivation.nodes.iter().map(|node| saturation.may_hold(&node.formula)).collect();
        if more == can {
            return can;
        }
        can = more;
    }
}

/// The world in which all that could be written is written.
struct Saturation<'s> {
    derivation: &'s Derivation,
    can: &'s [bool],
}

/// What a formula hangs on, each with whether it helps to be true.
#[derive(Default)]
struct Met {
    leaves: Vec<(usize, bool)>,
    nodes: Vec<(usize, bool)>,
}

impl Saturation<'_> {
    fn leaf(&self, leaf: usize) -> bool {
        !matches!(self.derivation.leaves[leaf].stands, Stands::Blocked(..))
    }

    fn may_hold(&self, formula: &Formula) -> bool {
        match formula {
            Formula::Constant(value) => *value,
            Formula::Leaf(leaf) => self.leaf(*leaf),
            Formula::Node(node) => self.can[*node],
            Formula::Over { leaf, node } => self.leaf(*leaf) && self.can[*node],
            Formula::Any(parts) => parts.iter().any(|part| self.may_hold(part)),
            Formula::All(parts) => parts.iter().all(|part| self.may_hold(part)),
            Formula::Without { base, .. } => self.may_hold(base),
        }
    }

    fn meet(&self, formula: &Formula, helps: bool, found: &mut Met) {
        // What cannot hold helps nobody; that it does not hold may.
        if helps && !self.may_hold(formula) {
            return;
        }
        match formula {
            Formula::Constant(_) => {}
            Formula::Leaf(leaf) => found.leaves.push((*leaf, helps)),
            Formula::Node(node) => found.nodes.push((*node, helps)),
            Formula::Over { leaf, node } => {
                found.leaves.push((*leaf, helps));
                found.nodes.push((*node, helps));
            }
            Formula::Any(parts) | Formula::All(parts) => {
                parts.iter().for_each(|part| self.meet(part, helps, found));
            }
            Formula::Without { base, taken, .. } => {
                self.meet(base, helps, found);
                self.meet(taken, !helps, found);
            }
        }
    }
}

/// Whether a tuple is in one of the smallest sets of facts that make the answer a yes; where something is taken away: perhaps.
///
/// That an object which nothing is known of is a parent, and somebody holds something of it, is taken for a fact by itself, of which
/// any may hold without the others. A larger world can only have fewer choices. So what is in no smallest set here is
/// needed in none of them: `a or (a and b)` never needs `b`.
pub(super) fn is_ever_needed(mut derivation: Derivation, tuple: &TupleKey) -> bool {
    let Some(needed) = derivation.leaves.iter().position(|leaf| leaf.key == *tuple) else { return false };
    if derivation.nodes.iter().any(|node| takes_away(&node.formula)) {
        return true;
    }
    let can = saturate(&derivation);
    derivation.leaves[needed].stands = Stands::Possible(None);
    let mut atoms = Atoms { known: Vec::new(), leaves: derivation.leaves.clone() };
    for at in 0..derivation.nodes.len() {
        let formula = atoms.cut(&derivation.nodes[at].formula, &can);
        derivation.nodes[at].formula = formula;
    }
    derivation.leaves = atoms.leaves;
    let found = ways(&derivation, Made::Changes, FEW, &|_| true);
    found.is_cut || found.truly[0].iter().any(|set| set.contains(&needed))
}

fn takes_away(formula: &Formula) -> bool {
    match formula {
        Formula::Constant(_) | Formula::Leaf(_) | Formula::Node(_) | Formula::Over { .. } => false,
        Formula::Any(parts) | Formula::All(parts) => parts.iter().any(takes_away),
        Formula::Without { .. } => true,
    }
}

/// What is taken for a fact by itself.
struct Atoms {
    /// A link, and what is held where it leads, with the leaf that stands for both.
    known: Vec<((usize, usize), usize)>,
    leaves: Vec<Leaf>,
}

impl Atoms {
    fn cut(&mut self, formula: &Formula, can: &[bool]) -> Formula {
        match formula {
            Formula::Over { leaf, node } if self.leads_further(*leaf) => match can[*node] {
                true => Formula::Leaf(self.atom(*leaf, *node)),
                false => Formula::Constant(false),
            },
            Formula::Any(parts) => Formula::Any(parts.iter().map(|part| self.cut(part, can)).collect()),
            Formula::All(parts) => Formula::All(parts.iter().map(|part| self.cut(part, can)).collect()),
            other => other.clone(),
        }
    }

    /// Whether a tuple could be written, and leads to an object that nothing is known of.
    fn leads_further(&self, leaf: usize) -> bool {
        let Leaf { key, stands } = &self.leaves[leaf];
        matches!(stands, Stands::Possible(_))
            && match &key.subject {
                Subject::Object(object) | Subject::Userset(object, _) => is_further(object),
                Subject::Wildcard(_) => false,
            }
    }

    fn atom(&mut self, leaf: usize, node: usize) -> usize {
        if let Some((_, known)) = self.known.iter().find(|(pair, _)| *pair == (leaf, node)) {
            return *known;
        }
        let number = self.leaves.len();
        self.leaves.push(self.leaves[leaf].clone());
        self.known.push(((leaf, node), number));
        number
    }
}
