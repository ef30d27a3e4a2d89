//! Check over relations with intersections and exclusions: the subproblems as a graph of formulas, solved.
//!
//! The graph is laid out breadth-first, and only where the answer still hangs on it. After each step what is known is
//! carried upwards (Kleene's three values). When nothing is left to lay out and the answer is still open, it hangs on
//! cycles: then what cannot be supported without itself is false (an unfounded set), again and again, which is the
//! alternating way to the well-founded model (Van Gelder 1993). What stays open after that could be true only
//! through its own denial: no.

use std::collections::HashMap;

use super::conditions::{Counts, Fault};
use super::error::EvalError;
use super::ground::{Child, Edge, Parents, Usersets, arrow_edges, direct_match, userset_edges, usersets};
use super::meter::Meter;
use super::named::Named;
use super::program::{Flat, Program, Question};
use crate::schema::resolved::{ArrowOver, RelationIndex, Rewrite};

pub(super) fn check(
    program: &Program,
    meter: &mut Meter<'_>,
    question: &Question<'_>,
    named: Named,
) -> Result<bool, EvalError> {
    let graph = Graph::laid_out(program, meter, question, Extent::WhereOpen, named)?;
    if !graph.hangs_on_far(ROOT) {
        return graph.answer();
    }
    let mut named = graph.named;
    if !named.is_behind_hops(program, meter, question)? {
        return Graph::laid_out(program, meter, question, Extent::WhereOpen, named)?.answer();
    }
    // Distance is measured on the whole graph, and what was decided early has not been laid out: it may hold shorter
    // ways. Such a question is about to become an error, so what this costs does not matter.
    let graph = Graph::laid_out(program, meter, question, Extent::Everything, named)?;
    if graph.hangs_on_far(ROOT) {
        return Err(EvalError::TooDeep(meter.limits().depth_max));
    }
    graph.answer()
}

const ROOT: usize = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Open,
    True,
    False,
}

/// How much of the graph is laid out, or looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What the answer still hangs on.
    WhereOpen,
    /// All of it, up to the depth limit.
    Everything,
}

/// The rule of one subproblem, over others.
#[derive(Debug)]
enum Formula {
    Constant(bool),
    /// Whether a tuple counts, which cannot be told.
    Doubt(Fault),
    Node(usize),
    Any(Vec<Formula>),
    All(Vec<Formula>),
    Without(Box<Formula>, Box<Formula>),
}

#[derive(Debug)]
struct Node {
    relation: RelationIndex,
    id: Box<str>,
    /// Fewest hops from the question known so far.
    distance: u32,
    /// None: not laid out.
    formula: Option<Formula>,
    value: Value,
    /// Who has this node in a formula.
    parents: Vec<usize>,
}

struct Graph<'g> {
    program: &'g Program,
    question: &'g Question<'g>,
    depth_max: u32,
    extent: Extent,
    named: Named,
    nodes: Vec<Node>,
    by_child: HashMap<Child, usize>,
}

impl<'g> Graph<'g> {
    /// Lays out what is needed, nearest first, until the answer is known or nothing is left; then solves.
    fn laid_out(
        program: &'g Program,
        meter: &mut Meter<'_>,
        question: &'g Question<'g>,
        extent: Extent,
        named: Named,
    ) -> Result<Graph<'g>, EvalError> {
        let depth_max = meter.limits().depth_max;
        let (nodes, by_child) = (Vec::new(), HashMap::new());
        let mut graph = Graph { program, question, depth_max, extent, named, nodes, by_child };
        graph.node(Child { relation: question.relation, id: question.object.id().into() }, 0);
        while extent == Extent::Everything || graph.value(ROOT) == Value::Open {
            let waiting = graph.waiting();
            let Some(nearest) = waiting.iter().map(|&node| graph.nodes[node].distance).min() else {
                graph.solve();
                break;
            };
            let mut changed = Vec::new();
            for node in waiting {
                if graph.nodes[node].distance == nearest && graph.nodes[node].formula.is_none() {
                    graph.lay_out(meter, node)?;
                    changed.push(node);
                }
            }
            graph.carry_up(changed);
        }
        Ok(graph)
    }

    fn value(&self, node: usize) -> Value {
        self.nodes[node].value
    }

    /// The nodes to be laid out, within the depth limit: those the answer hangs on, or all there are.
    fn waiting(&self) -> Vec<usize> {
        let reachable = self.reachable(ROOT, self.extent);
        let is_waiting =
            |&node: &usize| self.nodes[node].formula.is_none() && self.nodes[node].distance <= self.depth_max;
        reachable.into_iter().filter(is_waiting).collect()
    }

    /// The nodes that can be reached from a node, in the order found: through open formulas alone, or through all.
    fn reachable(&self, from: usize, extent: Extent) -> Vec<usize> {
        let mut seen = vec![false; self.nodes.len()];
        seen[from] = true;
        let mut found = vec![from];
        let mut at = 0;
        while at < found.len() {
            let node = &self.nodes[found[at]];
            at += 1;
            if extent == Extent::WhereOpen && node.value != Value::Open {
                continue;
            }
            let Some(formula) = &node.formula else { continue };
            self.visit_nodes(formula, extent, &mut |child| {
                if !seen[child] {
                    seen[child] = true;
                    found.push(child);
                }
            });
        }
        found
    }

    fn visit_nodes(&self, formula: &Formula, extent: Extent, visit: &mut impl FnMut(usize)) {
        if extent == Extent::WhereOpen && self.evaluate(formula) != Value::Open {
            return;
        }
        match formula {
            Formula::Constant(_) | Formula::Doubt(_) => {}
            Formula::Node(node) => visit(*node),
            Formula::Any(children) | Formula::All(children) => {
                for child in children {
                    self.visit_nodes(child, extent, visit);
                }
            }
            Formula::Without(base, subtract) => {
                self.visit_nodes(base, extent, visit);
                self.visit_nodes(subtract, extent, visit);
            }
        }
    }

    /// Whether a node's value is open because of one that lies too far away.
    fn hangs_on_far(&self, node: usize) -> bool {
        self.value(node) == Value::Open
            && self
                .reachable(node, Extent::WhereOpen)
                .into_iter()
                .any(|far| self.nodes[far].formula.is_none())
    }

    /// When nothing lies too far away. What is open then hangs on a doubt, or could be true only through its own denial.
    fn answer(&self) -> Result<bool, EvalError> {
        match self.value(ROOT) {
            Value::True => Ok(true),
            Value::False => Ok(false),
            Value::Open => match self.doubt(ROOT) {
                Some(fault) => Err(fault.error()),
                None => Ok(false),
            },
        }
    }

    /// A doubt that a node's open value hangs on.
    fn doubt(&self, node: usize) -> Option<&Fault> {
        let reachable = self.reachable(node, Extent::WhereOpen).into_iter();
        let open = reachable.filter(|&node| self.value(node) == Value::Open);
        open.filter_map(|node| self.nodes[node].formula.as_ref()).find_map(|formula| self.doubt_in(formula))
    }

    fn doubt_in<'f>(&self, formula: &'f Formula) -> Option<&'f Fault> {
        if self.evaluate(formula) != Value::Open {
            return None;
        }
        match formula {
            Formula::Doubt(fault) => Some(fault),
            Formula::Constant(_) | Formula::Node(_) => None,
            Formula::Any(children) | Formula::All(children) => {
                children.iter().find_map(|child| self.doubt_in(child))
            }
            Formula::Without(base, subtract) => self.doubt_in(base).or_else(|| self.doubt_in(subtract)),
        }
    }

    fn evaluate(&self, formula: &Formula) -> Value {
        match formula {
            Formula::Constant(true) => Value::True,
            Formula::Constant(false) => Value::False,
            Formula::Doubt(_) => Value::Open,
            Formula::Node(node) => self.nodes[*node].value,
            Formula::Any(children) => self.first_or(children, Value::True, Value::False),
            Formula::All(children) => self.first_or(children, Value::False, Value::True),
            Formula::Without(base, subtract) => match (self.evaluate(base), self.evaluate(subtract)) {
                (Value::False, _) | (_, Value::True) => Value::False,
                (Value::True, Value::False) => Value::True,
                _ => Value::Open,
            },
        }
    }

    /// `deciding` when a child has it, else open when a child is open, else `otherwise`.
    fn first_or(&self, children: &[Formula], deciding: Value, otherwise: Value) -> Value {
        let mut value = otherwise;
        for child in children {
            match self.evaluate(child) {
                found if found == deciding => return deciding,
                Value::Open => value = Value::Open,
                _ => {}
            }
        }
        value
    }

    /// Evaluates the given nodes, then whoever has them in a formula, as long as that decides something.
    fn carry_up(&mut self, mut dirty: Vec<usize>) {
        while !dirty.is_empty() {
            let mut next = Vec::new();
            for node in dirty {
                let value = match (&self.nodes[node].formula, self.nodes[node].value) {
                    (Some(formula), Value::Open) => self.evaluate(formula),
                    _ => continue,
                };
                if value != Value::Open {
                    self.nodes[node].value = value;
                    next.extend_from_slice(&self.nodes[node].parents);
                }
            }
            next.sort_unstable();
            next.dedup();
            dirty = next;
        }
    }

    /// Makes false what cannot be supported without itself, until nothing changes.
    fn solve(&mut self) {
        loop {
            let possible = self.possible();
            let mut unfounded = Vec::new();
            for (at, node) in self.nodes.iter_mut().enumerate() {
                if node.value == Value::Open && !possible[at] {
                    node.value = Value::False;
                    unfounded.push(at);
                }
            }
            if unfounded.is_empty() {
                return;
            }
            let mut dirty: Vec<usize> =
                unfounded.iter().flat_map(|&node| self.nodes[node].parents.iter().copied()).collect();
            dirty.sort_unstable();
            dirty.dedup();
            self.carry_up(dirty);
        }
    }

    /// The nodes that could still be true: the least set closed under the rules, where a denial counts as long as what
    /// it denies is not known to be true. What is too far away could be anything.
    fn possible(&self) -> Vec<bool> {
        let mut possible: Vec<bool> = self
            .nodes
            .iter()
            .map(|node| node.value == Value::True || (node.value == Value::Open && node.formula.is_none()))
            .collect();
        let mut dirty: Vec<usize> = (0..self.nodes.len()).collect();
        while !dirty.is_empty() {
            let mut next = Vec::new();
            for at in dirty {
                let node = &self.nodes[at];
                if possible[at] || node.value != Value::Open {
                    continue;
                }
                if node.formula.as_ref().is_some_and(|formula| self.could_be_true(formula, &possible)) {
                    possible[at] = true;
                    next.extend_from_slice(&node.parents);
                }
            }
            next.sort_unstable();
            next.dedup();
            dirty = next;
        }
        possible
    }

    fn could_be_true(&self, formula: &Formula, possible: &[bool]) -> bool {
        match formula {
            Formula::Constant(value) => *value,
            // It could be either.
            Formula::Doubt(_) => true,
            Formula::Node(node) => possible[*node],
            Formula::Any(children) => children.iter().any(|child| self.could_be_true(child, possible)),
            Formula::All(children) => children.iter().all(|child| self.could_be_true(child, possible)),
            Formula::Without(base, subtract) => {
                self.could_be_true(base, possible) && self.evaluate(subtract) != Value::True
            }
        }
    }

    /// The node of a subproblem; `distance` is that of a way to it.
    fn node(&mut self, child: Child, distance: u32) -> usize {
        if let Some(&node) = self.by_child.get(&child) {
            self.come_nearer(node, distance);
            return node;
        }
        let node = self.nodes.len();
        let Child { relation, id } = child.clone();
        // Beyond the limit nothing is known, not even that.
        let is_asked = distance <= self.depth_max && self.question.is_userset(relation, &id);
        self.nodes.push(Node {
            relation,
            id,
            distance,
            formula: is_asked.then_some(Formula::Constant(true)),
            value: if is_asked { Value::True } else { Value::Open },
            parents: Vec::new(),
        });
        self.by_child.insert(child, node);
        node
    }

    /// A shorter way to a node was found: what lies behind it is nearer too.
    fn come_nearer(&mut self, node: usize, distance: u32) {
        let mut nearer = vec![(node, distance)];
        while let Some((node, distance)) = nearer.pop() {
            if distance >= self.nodes[node].distance {
                continue;
            }
            self.nodes[node].distance = distance;
            let Some(formula) = &self.nodes[node].formula else { continue };
            let from = &self.nodes[node];
            self.visit_nodes(formula, Extent::Everything, &mut |child| {
                nearer.push((child, distance + self.hops(from, &self.nodes[child])));
            });
        }
    }

    /// A rewrite to another relation of the same object is no hop; everything else is one.
    fn hops(&self, from: &Node, to: &Node) -> u32 {
        let is_computed = from.id == to.id
            && computes(&self.program.schema().relation_at(from.relation).rewrite, to.relation);
        u32::from(!is_computed)
    }

    fn lay_out(&mut self, meter: &mut Meter<'_>, node: usize) -> Result<(), EvalError> {
        let formula = self.formula_of(meter, node)?;
        self.nodes[node].formula = Some(formula);
        Ok(())
    }

    /// The rule of one subproblem. Constants end the work of their operator early.
    fn formula_of(&mut self, meter: &mut Meter<'_>, node: usize) -> Result<Formula, EvalError> {
        let Node { relation, ref id, distance, .. } = self.nodes[node];
        let at = Place { node, relation, id: id.clone(), distance };
        if self.question.is_userset(relation, &at.id) {
            return Ok(Formula::Constant(true));
        }
        let program = self.program;
        match program.flat(relation) {
            // The whole graph has a node of its own for what is taken over by computing: it may be met elsewhere too.
            Some(flat) if self.extent == Extent::WhereOpen || flat.members.len() == 1 => {
                self.flat_formula(meter, &at, flat)
            }
            _ => self.rewrite_formula(meter, &at, &program.schema().relation_at(relation).rewrite),
        }
    }

    /// A relation that is a union all the way: everything it looks at on this object, at once.
    fn flat_formula(&mut self, meter: &mut Meter<'_>, at: &Place, flat: &Flat) -> Result<Formula, EvalError> {
        let holds = flat.members.iter().any(|&member| self.question.is_userset(member, &at.id));
        let mut here = Here { holds, doubt: None };
        for &relation in &flat.direct {
            if !here.holds {
                here.add(direct_match(self.program, meter, self.question, relation, &at.id)?);
            }
        }
        if here.holds && self.extent == Extent::WhereOpen {
            return Ok(Formula::Constant(true));
        }
        let mut found = Vec::new();
        if self.may_hop(meter)? {
            for &relation in &flat.direct {
                if self.add_usersets(meter, at, relation, &mut found)? {
                    return Ok(Formula::Constant(true));
                }
            }
            for arrow in &flat.arrows {
                arrow_edges(self.program, meter, arrow, &at.id, &mut found)?;
            }
        }
        Ok(self.any(at, here, found))
    }

    /// Whether what lies behind a hop may be anything but no.
    fn may_hop(&mut self, meter: &mut Meter<'_>) -> Result<bool, EvalError> {
        self.named.may_be_behind_hops(self.program, meter, self.question)
    }

    fn rewrite_formula(
        &mut self,
        meter: &mut Meter<'_>,
        at: &Place,
        rewrite: &Rewrite,
    ) -> Result<Formula, EvalError> {
        match rewrite {
            Rewrite::Nil => Ok(Formula::Constant(false)),
            Rewrite::Direct => {
                let mut here = Here::default();
                here.add(direct_match(self.program, meter, self.question, at.relation, &at.id)?);
                if here.holds && self.extent == Extent::WhereOpen {
                    return Ok(Formula::Constant(true));
                }
                let mut found = Vec::new();
                if self.may_hop(meter)? && self.add_usersets(meter, at, at.relation, &mut found)? {
                    return Ok(Formula::Constant(true));
                }
                Ok(self.any(at, here, found))
            }
            Rewrite::Computed(relation) => {
                let child = Child { relation: *relation, id: at.id.clone() };
                let is_new = !self.by_child.contains_key(&child);
                let node = self.node(child, at.distance);
                // No hop away: laid out at once, so that an operand behind it need not be when this one decides. Rewrites
                // have no cycles, so this ends.
                if is_new && self.nodes[node].formula.is_none() {
                    self.lay_out(meter, node)?;
                    // Nobody else has it in a formula yet, so there is nothing to carry up.
                    if let Some(formula) = &self.nodes[node].formula {
                        self.nodes[node].value = self.evaluate(formula);
                    }
                }
                self.nodes[node].parents.push(at.node);
                Ok(Formula::Node(node))
            }
            Rewrite::Arrow(_) if !self.may_hop(meter)? => Ok(Formula::Constant(false)),
            Rewrite::Arrow(arrow) => {
                let mut found = Vec::new();
                let parents = arrow_edges(self.program, meter, arrow, &at.id, &mut found)?;
                if arrow.over == ArrowOver::Any {
                    return Ok(self.any(at, Here::default(), found));
                }
                Ok(self.all(at, parents, found))
            }
            Rewrite::Union(children) => Ok(Formula::Any(self.operands(meter, at, children, Value::True)?)),
            Rewrite::Intersection(children) => {
                Ok(Formula::All(self.operands(meter, at, children, Value::False)?))
            }
            Rewrite::Exclusion(base, subtract) => {
                let base = self.rewrite_formula(meter, at, base)?;
                if self.extent == Extent::WhereOpen && self.evaluate(&base) == Value::False {
                    return Ok(base);
                }
                let subtract = self.rewrite_formula(meter, at, subtract)?;
                Ok(Formula::Without(Box::new(base), Box::new(subtract)))
            }
        }
    }

    /// The operands of a union or intersection, cheapest first, up to the first that decides.
    fn operands(
        &mut self,
        meter: &mut Meter<'_>,
        at: &Place,
        children: &[Rewrite],
        deciding: Value,
    ) -> Result<Vec<Formula>, EvalError> {
        let mut ordered: Vec<&Rewrite> = children.iter().collect();
        ordered.sort_by_key(|rewrite| cost(rewrite));
        let mut formulas = Vec::with_capacity(children.len());
        for child in ordered {
            let formula = self.rewrite_formula(meter, at, child)?;
            let decides = self.evaluate(&formula) == deciding;
            formulas.push(formula);
            if decides && self.extent == Extent::WhereOpen {
                break;
            }
        }
        Ok(formulas)
    }

    /// Adds the subproblems that usersets lead to; true when it shows at once that one of them holds the subject.
    fn add_usersets(
        &self,
        meter: &mut Meter<'_>,
        at: &Place,
        relation: RelationIndex,
        found: &mut Vec<Edge>,
    ) -> Result<bool, EvalError> {
        // What lies beyond the limit must not be decided, and the whole graph has to show all there is.
        if at.distance >= self.depth_max || self.extent == Extent::Everything {
            found.extend(userset_edges(self.program, meter, relation, &at.id, usize::MAX)?);
            return Ok(false);
        }
        match usersets(self.program, meter, self.question, relation, &at.id)? {
            Usersets::Decided(holds) => return Ok(holds),
            Usersets::Edges(edges) => found.extend(edges),
        }
        Ok(false)
    }

    /// Something here, or one of those that tuples lead to.
    fn any(&mut self, at: &Place, here: Here, found: Vec<Edge>) -> Formula {
        let mut formulas = vec![Formula::Constant(here.holds)];
        formulas.extend(here.doubt.map(Formula::Doubt));
        for Edge { child, fault } in found {
            let child = self.child(at, child, at.distance + 1);
            formulas.push(match fault {
                None => child,
                Some(fault) => Formula::All(vec![Formula::Doubt(fault), child]),
            });
        }
        Formula::Any(formulas)
    }

    /// Every parent, of whom there has to be one. One without the relation holds it for nobody.
    fn all(&mut self, at: &Place, parents: Parents, found: Vec<Edge>) -> Formula {
        let mut formulas = vec![Formula::Constant(!parents.has_dead_end)];
        let doubts =
            || found.iter().filter_map(|edge| edge.fault.clone()).chain(parents.dead_end_fault.clone());
        if parents.certain == 0 {
            formulas.push(Formula::Any(doubts().map(Formula::Doubt).collect()));
        }
        formulas.extend(parents.dead_end_fault.clone().map(Formula::Doubt));
        for Edge { child, fault } in found {
            let child = self.child(at, child, at.distance + 1);
            formulas.push(match fault {
                None => child,
                Some(fault) => Formula::Any(vec![Formula::Doubt(fault), child]),
            });
        }
        Formula::All(formulas)
    }

    fn child(&mut self, at: &Place, child: Child, distance: u32) -> Formula {
        let node = self.node(child, distance);
        self.nodes[node].parents.push(at.node);
        Formula::Node(node)
    }
}

/// What the tuples on the object itself say of the subject.
#[derive(Default)]
struct Here {
    holds: bool,
    /// One of them may count.
    doubt: Option<Fault>,
}

impl Here {
    fn add(&mut self, counts: Counts) {
        match counts {
            Counts::No => {}
            Counts::Yes => self.holds = true,
            Counts::Unknown(fault) => {
                self.doubt.get_or_insert(fault);
            }
        }
    }
}

/// The node being laid out.
struct Place {
    node: usize,
    relation: RelationIndex,
    id: Box<str>,
    distance: u32,
}

/// Roughly what an operand costs to lay out.
fn cost(rewrite: &Rewrite) -> u8 {
    match rewrite {
        Rewrite::Nil | Rewrite::Computed(_) => 0,
        Rewrite::Direct => 1,
        Rewrite::Arrow(_) => 2,
        Rewrite::Union(_) | Rewrite::Intersection(_) | Rewrite::Exclusion(..) => 3,
    }
}

fn computes(rewrite: &Rewrite, relation: RelationIndex) -> bool {
    match rewrite {
        Rewrite::Computed(other) => *other == relation,
        Rewrite::Nil | Rewrite::Direct | Rewrite::Arrow(_) => false,
        Rewrite::Union(children) | Rewrite::Intersection(children) => {
            children.iter().any(|child| computes(child, relation))
        }
        Rewrite::Exclusion(base, subtract) => computes(base, relation) || computes(subtract, relation),
    }
}
