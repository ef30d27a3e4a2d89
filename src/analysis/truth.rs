//! Truths: whether somebody holds something, where the values of conditions' parameters may be missing.
//!
//! A condition that cannot be told is a variable, one for each condition and context written with a tuple. A truth is a Boolean
//! function of them, kept in its one reduced form (an ordered binary decision diagram: Bryant, *Graph-based algorithms for
//! Boolean function manipulation*, 1986), so that equal truths have equal numbers: what holds under `a or not a` is a yes.

use biodivine_lib_bdd::{Bdd, BddValuation, BddVariableSet, op_function};
use foldhash::{HashMap, HashMapExt as _};

use super::bound::Bound;

/// Conditions that cannot be told in one diff.
const CONDITIONS_MAX: u16 = 16_384;
/// Nodes of one truth.
const NODES_MAX: usize = 4_096;
/// Conditions of a truth that is told from others by its table.
const TABLE_MAX: usize = 6;
/// Alternatives that are printed of one truth.
const CLAUSES_MAX: usize = 4;

/// A number for a truth, in one [`Truths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Truth(u32);

impl Truth {
    pub(super) const NO: Truth = Truth(0);
    pub(super) const YES: Truth = Truth(1);

    pub(super) fn is_conditional(self) -> bool {
        self.0 > 1
    }
}

/// How two truths become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Or,
    And,
    /// The first, without the second.
    Without,
}

/// A condition that cannot be told: what it says, and what a tuple gives to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Unknown {
    pub(super) name: Box<str>,
    pub(super) definition: Box<str>,
    pub(super) context: Box<str>,
}

/// All truths that were met, each once.
pub(super) struct Truths {
    variables: BddVariableSet,
    unknowns: Vec<Unknown>,
    number_of: HashMap<Unknown, Truth>,
    diagrams: Vec<Bdd>,
    number_of_diagram: HashMap<Bdd, Truth>,
    known: HashMap<(Operator, Truth, Truth), Truth>,
}

impl Truths {
    pub(super) fn new() -> Truths {
        let variables = BddVariableSet::new_anonymous(CONDITIONS_MAX);
        let constants = vec![variables.mk_false(), variables.mk_true()];
        let number_of_diagram = constants.iter().cloned().zip([Truth::NO, Truth::YES]).collect();
        Truths {
            variables,
            unknowns: Vec::new(),
            number_of: HashMap::new(),
            diagrams: constants,
            number_of_diagram,
            known: HashMap::new(),
        }
    }

    /// How much is kept, in numbers of things.
    pub(super) fn len(&self) -> usize {
        self.diagrams.len() + self.known.len()
    }

    /// The truth that is exactly this condition.
    pub(super) fn unknown(&mut self, unknown: Unknown) -> Result<Truth, Bound> {
        if let Some(&known) = self.number_of.get(&unknown) {
            return Ok(known);
        }
        if self.unknowns.len() == usize::from(CONDITIONS_MAX) {
            return Err(Bound::Conditions(usize::from(CONDITIONS_MAX)));
        }
        let variable = self.variables.variables()[self.unknowns.len()];
        let truth = self.keep(self.variables.mk_var(variable));
        self.unknowns.push(unknown.clone());
        self.number_of.insert(unknown, truth);
        Ok(truth)
    }

    pub(super) fn apply(&mut self, operator: Operator, a: Truth, b: Truth) -> Result<Truth, Bound> {
        use Operator::{And, Or, Without};
        match (operator, a, b) {
            (Or, Truth::NO, other) | (Or, other, Truth::NO) => return Ok(other),
            (Or, Truth::YES, _) | (Or, _, Truth::YES) => return Ok(Truth::YES),
            (And, Truth::YES, other) | (And, other, Truth::YES) => return Ok(other),
            (And, Truth::NO, _) | (And, _, Truth::NO) => return Ok(Truth::NO),
            (Without, Truth::NO, _) | (Without, _, Truth::YES) => return Ok(Truth::NO),
            (Without, base, Truth::NO) => return Ok(base),
            (Or | And, _, _) if a == b => return Ok(a),
            (Without, _, _) if a == b => return Ok(Truth::NO),
            _ => {}
        }
        if let Some(&known) = self.known.get(&(operator, a, b)) {
            return Ok(known);
        }
        let (left, right) = (&self.diagrams[a.0 as usize], &self.diagrams[b.0 as usize]);
        let made = match operator {
            Or => Bdd::binary_op_with_limit(NODES_MAX, left, right, op_function::or),
            And => Bdd::binary_op_with_limit(NODES_MAX, left, right, op_function::and),
            Without => Bdd::binary_op_with_limit(NODES_MAX, left, right, op_function::and_not),
        };
        let truth = self.keep(made.ok_or(Bound::Conditions(NODES_MAX))?);
        self.known.insert((operator, a, b), truth);
        Ok(truth)
    }

    /// When it holds, in words; empty for a yes and a no.
    pub(super) fn text(&self, truth: Truth) -> String {
        if !truth.is_conditional() {
            return String::new();
        }
        let diagram = &self.diagrams[truth.0 as usize];
        let mut clauses = diagram.sat_clauses();
        let mut texts: Vec<String> = Vec::new();
        for clause in clauses.by_ref().take(CLAUSES_MAX) {
            let mut literals: Vec<(&Unknown, bool)> = clause
                .to_values()
                .into_iter()
                .map(|(variable, holds)| (&self.unknowns[variable.to_index()], holds))
                .collect();
            literals.sort();
            let literals: Vec<String> = literals.into_iter().map(|(it, holds)| literal(it, holds)).collect();
            texts.push(literals.join(" and "));
        }
        texts.sort();
        if clauses.next().is_some() {
            texts.push("…".to_owned());
        }
        texts.join(" or ")
    }

    /// A text that only equal truths have, also of another time: the conditions with their definitions in order, and for which of
    /// them it holds. Of many conditions, how it is put together here: then equal truths may have different ones.
    pub(super) fn identity(&self, truth: Truth) -> String {
        let diagram = &self.diagrams[truth.0 as usize];
        let mut support: Vec<(&Unknown, usize)> = diagram
            .support_set()
            .into_iter()
            .map(|variable| (&self.unknowns[variable.to_index()], variable.to_index()))
            .collect();
        support.sort();
        let mut text = String::new();
        for (unknown, _) in &support {
            text.push_str(&format!("{unknown:?};"));
        }
        if support.len() > TABLE_MAX {
            let mut clauses: Vec<String> = diagram
                .sat_clauses()
                .take(NODES_MAX)
                .map(|clause| format!("{:?}", clause.to_values()))
                .collect();
            clauses.sort();
            return text + &clauses.join("|");
        }
        let mut values = BddValuation::all_false(CONDITIONS_MAX);
        for way in 0..1_usize << support.len() {
            for (at, (_, variable)) in support.iter().enumerate() {
                let variable = self.variables.variables()[*variable];
                values.set_value(variable, way >> at & 1 == 1);
            }
            text.push(if diagram.eval_in(&values) { '1' } else { '0' });
        }
        text
    }

    fn keep(&mut self, diagram: Bdd) -> Truth {
        if let Some(&known) = self.number_of_diagram.get(&diagram) {
            return known;
        }
        let truth = Truth(self.diagrams.len() as u32);
        self.diagrams.push(diagram.clone());
        self.number_of_diagram.insert(diagram, truth);
        truth
    }
}

fn literal(unknown: &Unknown, holds: bool) -> String {
    let not = if holds { "" } else { "not " };
    match &*unknown.context {
        "" | "{}" => format!("{not}{}", unknown.name),
        context => format!("{not}{} {context}", unknown.name),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::{Operator, Truth, Truths, Unknown};

    fn unknown(name: &str) -> Unknown {
        Unknown { name: name.into(), definition: "x".into(), context: "{}".into() }
    }

    #[test]
    fn equal_truths_have_equal_numbers() {
        let mut truths = Truths::new();
        let (a, b) = (truths.unknown(unknown("a")).unwrap(), truths.unknown(unknown("b")).unwrap());
        let not_a = truths.apply(Operator::Without, Truth::YES, a).unwrap();
        assert_eq!(truths.apply(Operator::Or, a, not_a).unwrap(), Truth::YES);
        assert_eq!(truths.apply(Operator::And, a, not_a).unwrap(), Truth::NO);
        let (ab, ba) =
            (truths.apply(Operator::And, a, b).unwrap(), truths.apply(Operator::And, b, a).unwrap());
        assert_eq!(ab, ba);
        assert_eq!(truths.text(ab), "a and b");
        assert_eq!(truths.text(not_a), "not a");
    }
}
