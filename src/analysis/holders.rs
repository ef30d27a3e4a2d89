//! Holders: all subjects of `object#relation` at once, in one state.
//!
//! The meaning is that of `eval`, without a limit of depth: the well-founded model of the schema's rules over the valid
//! tuples, computed for all subjects side by side. Subproblems are laid out depth-first; those that hang on each other (a
//! strongly connected component: Tarjan, *Depth-first search and linear graph algorithms*, 1972) are solved together, by the
//! alternating fixpoint (Van Gelder 1993), with sets in the place of truths. Each subproblem has two sets, who surely
//! holds it and who perhaps does; where they differ, it could be true only through its own denial, which is no.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;

use foldhash::{HashMap, HashMapExt as _, HashSet};

use super::bound::Bound;
use super::sets::{People, Set, Sets};
use super::truth::{Operator, Truth, Unknown};
use crate::condition::Context;
use crate::eval::Program;
use crate::schema::{Arrow, ArrowOver, ConditionIndex, Edge, EdgeKind, RelationIndex, Rewrite, TypeIndex};
use crate::storage::{Row, TupleReader};
use crate::tuple::{ObjectRef, Subject, SubjectKind, SubjectRef};

/// Most subproblems that one may hang on.
const SUBPROBLEMS_MAX: usize = 4_000_000;

/// Members that are looked at to tell people by their usersets.
const MEMBERS_MAX: usize = 20_000;

/// Usersets that are remembered to have been named.
const NAMED_MAX: usize = 10_000;

/// A relation of an object. The relation says which type the object is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) relation: RelationIndex,
    pub(super) id: Box<str>,
}

/// The tuples of one object, as a scan found them.
#[derive(Debug, Default)]
pub(super) struct ObjectRows {
    pub(super) rows: Vec<(Rc<str>, Subject, Row)>,
}

/// Who surely holds something, and who perhaps does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    surely: Set,
    perhaps: Set,
}

impl Range {
    const NOBODY: Range = Range { surely: Set::NOBODY, perhaps: Set::NOBODY };

    pub(super) fn decided_as(set: Set) -> Range {
        Range { surely: set, perhaps: set }
    }

    /// The set, where nothing is open.
    pub(super) fn decided(self) -> Option<Set> {
        (self.surely == self.perhaps).then_some(self.surely)
    }
}

/// The text of a userset, and its members as types and ids.
pub(super) type Userset<'s> = (Box<str>, Vec<(&'s str, &'s str)>);

/// What is known, by id.
type Known = HashMap<Box<str>, Range>;

/// What is the same on both sides of a change, and so has to be found out on one of them only.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    known: Rc<RefCell<Vec<Known>>>,
    /// The place in it of each relation of this side that is the same on both.
    at: Vec<Option<usize>>,
}

impl Shared {
    /// Room for so many relations.
    pub(super) fn with_room(relations: usize) -> Shared {
        Shared { known: Rc::new(RefCell::new(vec![Known::new(); relations])), at: Vec::new() }
    }

    /// The same, for a side whose relations have these places in it.
    pub(super) fn of_side(&self, at: Vec<Option<usize>>) -> Shared {
        Shared { known: Rc::clone(&self.known), at }
    }
}

/// One side: a schema over a state, and what is known of it.
pub(super) struct Holders<'a> {
    program: &'a Program,
    state: &'a dyn TupleReader,
    context: &'a Context,
    /// Whether a relation is led to over a hop: then others may ask for it again.
    is_led_to: Vec<bool>,
    /// By relation and id.
    known: Vec<Known>,
    shared: Shared,
    /// Usersets that tuples name.
    named: HashSet<Place>,
    /// Conditions that were evaluated.
    conditions: HashMap<(ConditionIndex, Box<str>), Truth>,
    bytes: usize,
    pub(super) reads: u64,
    reads_max: u64,
    /// How much more is looked at before a search is made.
    pub(super) at_once_left: u32,
    pub(super) reads_at_once: u64,
}

impl<'a> Holders<'a> {
    pub(super) fn new(
        program: &'a Program,
        state: &'a dyn TupleReader,
        context: &'a Context,
        reads_max: u64,
        shared: Shared,
    ) -> Holders<'a> {
        let schema = program.schema();
        let mut is_led_to = vec![false; schema.relations().len()];
        for (relation, _) in schema.relations() {
            for (Edge { kind, .. }, to) in schema.graph().edges(relation) {
                is_led_to[to.0 as usize] |= matches!(kind, EdgeKind::Userset | EdgeKind::Arrow);
            }
        }
        Holders {
            program,
            state,
            context,
            is_led_to,
            known: vec![Known::new(); schema.relations().len()],
            shared,
            named: HashSet::default(),
            conditions: HashMap::new(),
            bytes: 0,
            reads: 0,
            reads_max,
            at_once_left: 0,
            reads_at_once: 0,
        }
    }

    /// About how much memory is taken.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.conditions.len() * 128
    }

    /// Forgets everything: the sets are made anew.
    pub(super) fn forget(&mut self) {
        self.known.iter_mut().for_each(|known| *known = Known::new());
        self.shared.known.borrow_mut().iter_mut().for_each(|known| *known = Known::new());
        self.named = HashSet::default();
        self.conditions = HashMap::new();
        self.bytes = 0;
    }

    pub(super) fn program(&self) -> &'a Program {
        self.program
    }

    pub(super) fn reads_max(&self) -> u64 {
        self.reads_max
    }

    pub(super) fn state(&self) -> &'a dyn TupleReader {
        self.state
    }

    /// What is known of a relation of an object.
    pub(super) fn known(&self, relation: RelationIndex, id: &str) -> Option<Range> {
        let number = relation.0 as usize;
        match self.shared.at.get(number).copied().flatten() {
            Some(at) => self.shared.known.borrow()[at].get(id).copied(),
            None => self.known[number].get(id).copied(),
        }
    }

    /// Keeps what was found out, where others may ask for it.
    pub(super) fn keep(&mut self, relation: RelationIndex, id: &str, range: Range) {
        let number = relation.0 as usize;
        if self.is_led_to[number] {
            self.bytes += id.len() + 64;
            match self.shared.at.get(number).copied().flatten() {
                Some(at) => drop(self.shared.known.borrow_mut()[at].insert(id.into(), range)),
                None => drop(self.known[number].insert(id.into(), range)),
            }
        }
    }

    /// Who holds a relation of an object; `rows`: all tuples of that object, where they are at hand.
    pub(super) fn of(
        &mut self,
        sets: &mut Sets,
        relation: RelationIndex,
        id: &str,
        rows: Option<&ObjectRows>,
    ) -> Result<Set, Bound> {
        if let Some(known) = self.known(relation, id) {
            return Ok(known.surely);
        }
        if let Some(set) = self.at_once(sets, relation, id, rows)? {
            return Ok(set);
        }
        let place = &Place { relation, id: id.into() };
        let root_type = self.program.schema().relation_at(place.relation).object_type;
        let mut search = Search {
            rows: rows.map(|rows| (root_type, &*place.id, rows)),
            holders: self,
            sets,
            nodes: Vec::new(),
            number_of: HashMap::new(),
            waiting: Vec::new(),
            entered: 0,
            reads: 0,
        };
        Ok(search.run(place.clone())?.surely)
    }

    /// Some of the usersets that tuples were seen to name, with who surely holds them.
    pub(super) fn usersets<'s>(&self, sets: &'s Sets, most: usize) -> Vec<Userset<'s>> {
        let mut found: Vec<Userset<'s>> = Vec::new();
        let mut looked_at = 0;
        for place in self.named.iter().take(most) {
            if looked_at > MEMBERS_MAX {
                break;
            }
            let Some(range) = self.known(place.relation, &place.id) else { continue };
            let mut members = Vec::new();
            let mut is_plain = true;
            sets.members(range.surely, &mut |kind, subject, truth| match subject {
                Some(subject) if truth == Truth::YES => {
                    members.push((sets.kind_name(kind), sets.subject_id(kind, subject)));
                }
                None if truth == Truth::NO => {}
                _ => is_plain = false,
            });
            looked_at += members.len();
            if is_plain {
                let schema = self.program.schema();
                let relation = schema.relation_at(place.relation);
                let object_type = &schema.type_at(relation.object_type).name;
                found.push((format!("{object_type}:{}#{}", place.id, relation.name).into(), members));
            }
        }
        found
    }

    pub(super) fn truth(&mut self, sets: &mut Sets, row: &Row) -> Result<Truth, Bound> {
        let Some(condition) = &row.condition else { return Ok(Truth::YES) };
        let schema = self.program.schema();
        // A valid tuple has a condition that the schema knows.
        let Some(index) = schema.condition_named(condition.name()) else { return Ok(Truth::NO) };
        let key = (index, Box::from(condition.context().as_str()));
        if let Some(&known) = self.conditions.get(&key) {
            return Ok(known);
        }
        let compiled = &schema.condition_at(index).compiled;
        let truth = match compiled.holds(condition.context(), self.context) {
            Ok(true) => Truth::YES,
            Ok(false) => Truth::NO,
            // What cannot be told may be either.
            Err(_) => sets.truths.unknown(Unknown {
                name: condition.name().into(),
                definition: compiled.definition().into(),
                context: key.1.clone(),
            })?,
        };
        self.conditions.insert(key, truth);
        Ok(truth)
    }
}

/// The rule of a subproblem.
#[derive(Debug, Clone)]
enum Formula {
    Known(Set),
    Node(usize),
    Any(Vec<Formula>),
    Without(Box<Formula>, Box<Formula>),
    All(Vec<Formula>),
    /// As far as a truth says.
    When(Truth, Box<Formula>),
}

#[derive(Debug)]
struct Node {
    /// None: it is what something takes away.
    place: Option<Place>,
    stage: Stage,
    formula: Formula,
    /// The nodes in its formula, and how many of them have been gone into.
    children: Vec<usize>,
    next: usize,
    /// When it was entered, and the earliest that it leads back to.
    order: usize,
    low: usize,
    value: Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// Laid out, and not solved.
    Waiting,
    Solved,
}

/// Whether what is not decided counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Estimate {
    Surely,
    Perhaps,
}

/// The values inside of a component that is being solved.
#[derive(Clone, Copy)]
struct Inside<'i> {
    found: &'i HashMap<usize, Set>,
    /// What is taken away.
    denied: &'i HashMap<usize, Set>,
}

impl Inside<'_> {
    fn turned(&self) -> Self {
        Inside { found: self.denied, denied: self.found }
    }
}

/// The search for one subproblem's holders.
struct Search<'s, 'a> {
    holders: &'s mut Holders<'a>,
    sets: &'s mut Sets,
    /// The tuples of one object.
    rows: Option<(TypeIndex, &'s str, &'s ObjectRows)>,
    nodes: Vec<Node>,
    number_of: HashMap<Place, usize>,
    /// Laid out and not solved, in the order entered.
    waiting: Vec<usize>,
    entered: usize,
    reads: u64,
}

impl Search<'_, '_> {
    fn run(&mut self, root: Place) -> Result<Range, Bound> {
        let root = self.node(root)?;
        self.enter(root)?;
        let mut path = vec![root];
        while let Some(&at) = path.last() {
            let node = &mut self.nodes[at];
            if let Some(&child) = node.children.get(node.next) {
                node.next += 1;
                match self.nodes[child].stage {
                    Stage::New => {
                        self.enter(child)?;
                        path.push(child);
                    }
                    Stage::Waiting => {
                        self.nodes[at].low = self.nodes[at].low.min(self.nodes[child].order);
                    }
                    Stage::Solved => {}
                }
                continue;
            }
            path.pop();
            let Node { low, order, .. } = self.nodes[at];
            if let Some(&parent) = path.last() {
                self.nodes[parent].low = self.nodes[parent].low.min(low);
            }
            if low == order {
                self.solve_component(at)?;
            }
        }
        Ok(self.nodes[root].value)
    }

    /// The number of a subproblem.
    fn node(&mut self, place: Place) -> Result<usize, Bound> {
        if let Some(&known) = self.number_of.get(&place) {
            return Ok(known);
        }
        let mut node = Node::new(Some(place.clone()));
        if let Some(known) = self.holders.known(place.relation, &place.id) {
            (node.stage, node.value) = (Stage::Solved, known);
        }
        let number = self.push(node)?;
        self.number_of.insert(place, number);
        Ok(number)
    }

    fn push(&mut self, node: Node) -> Result<usize, Bound> {
        if self.nodes.len() == SUBPROBLEMS_MAX {
            return Err(Bound::Subproblems(SUBPROBLEMS_MAX));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Lays a subproblem out.
    fn enter(&mut self, at: usize) -> Result<(), Bound> {
        self.sets.look_at_memory()?;
        if let Some(place) = self.nodes[at].place.clone() {
            let program = self.holders.program;
            let rewrite = &program.schema().relation_at(place.relation).rewrite;
            self.nodes[at].formula = self.formula(&place, rewrite)?;
        }
        let mut children = Vec::new();
        let node = &mut self.nodes[at];
        node.formula.each_node(&mut |child| children.push(child));
        (node.children, node.stage) = (children, Stage::Waiting);
        (node.order, node.low) = (self.entered, self.entered);
        self.entered += 1;
        self.waiting.push(at);
        Ok(())
    }

    /// Solves a component, whose first node is given: everything that waits behind it belongs to it.
    fn solve_component(&mut self, first: usize) -> Result<(), Bound> {
        let begin = self.waiting.iter().rposition(|&at| at == first).unwrap_or(0);
        let members = self.waiting.split_off(begin);
        if members.len() == 1 && !self.nodes[first].children.contains(&first) {
            let formula = std::mem::replace(&mut self.nodes[first].formula, Formula::Known(Set::NOBODY));
            let surely = self.evaluate(&formula, None, Estimate::Surely)?;
            let is_decided =
                |&child: &usize| self.nodes[child].value.surely == self.nodes[child].value.perhaps;
            let perhaps = match self.nodes[first].children.iter().all(is_decided) {
                true => surely,
                false => self.evaluate(&formula, None, Estimate::Perhaps)?,
            };
            self.finish(first, Range { surely, perhaps });
            return Ok(());
        }
        let values = self.fixpoint(&members)?;
        for (at, value) in values {
            self.finish(at, value);
        }
        Ok(())
    }

    fn finish(&mut self, at: usize, value: Range) {
        let node = &mut self.nodes[at];
        (node.value, node.stage) = (value, Stage::Solved);
        (node.formula, node.children) = (Formula::Known(Set::NOBODY), Vec::new());
        if let Some(place) = &node.place {
            self.holders.keep(place.relation, &place.id, value);
        }
    }

    /// The alternating fixpoint over a component: who surely is in the sets follows from who perhaps is in those taken away,
    /// and the other way round, until nothing changes.
    fn fixpoint(&mut self, members: &[usize]) -> Result<Vec<(usize, Range)>, Bound> {
        let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
        for &at in members {
            for &child in &self.nodes[at].children {
                dependents.entry(child).or_default().push(at);
            }
        }
        let mut surely: HashMap<usize, Set> = members.iter().map(|&at| (at, Set::NOBODY)).collect();
        loop {
            let perhaps = self.consequences(members, &dependents, &surely, Estimate::Perhaps)?;
            let more = self.consequences(members, &dependents, &perhaps, Estimate::Surely)?;
            if more == surely {
                let range = |at: &usize| (*at, Range { surely: surely[at], perhaps: perhaps[at] });
                return Ok(members.iter().map(range).collect());
            }
            surely = more;
        }
    }

    /// What follows, beginning with nobody, when `denied` are the sets that are taken away.
    fn consequences(
        &mut self,
        members: &[usize],
        dependents: &HashMap<usize, Vec<usize>>,
        denied: &HashMap<usize, Set>,
        estimate: Estimate,
    ) -> Result<HashMap<usize, Set>, Bound> {
        let mut found: HashMap<usize, Set> = members.iter().map(|&at| (at, Set::NOBODY)).collect();
        // Those entered last lie lowest.
        let mut waiting: VecDeque<usize> = members.iter().rev().copied().collect();
        let mut is_waiting: HashSet<usize> = members.iter().copied().collect();
        while let Some(at) = waiting.pop_front() {
            is_waiting.remove(&at);
            let formula = std::mem::replace(&mut self.nodes[at].formula, Formula::Known(Set::NOBODY));
            let inside = Inside { found: &found, denied };
            let value = self.evaluate(&formula, Some(&inside), estimate);
            self.nodes[at].formula = formula;
            let value = value?;
            if found.insert(at, value) != Some(value) {
                for &dependent in dependents.get(&at).into_iter().flatten() {
                    if is_waiting.insert(dependent) {
                        waiting.push_back(dependent);
                    }
                }
            }
        }
        Ok(found)
    }

    fn evaluate(
        &mut self,
        formula: &Formula,
        inside: Option<&Inside<'_>>,
        estimate: Estimate,
    ) -> Result<Set, Bound> {
        match formula {
            Formula::Known(set) => Ok(*set),
            Formula::Node(node) => {
                let found = inside.and_then(|inside| inside.found.get(node));
                Ok(found.copied().unwrap_or(self.nodes[*node].value.of(estimate)))
            }
            Formula::Any(parts) => {
                let mut set = Set::NOBODY;
                for part in parts {
                    let part = self.evaluate(part, inside, estimate)?;
                    set = self.sets.apply(Operator::Or, set, part)?;
                }
                Ok(set)
            }
            Formula::All(parts) => {
                let mut all = None;
                for part in parts {
                    let part = self.evaluate(part, inside, estimate)?;
                    all = Some(match all {
                        None => part,
                        Some(all) => self.sets.apply(Operator::And, all, part)?,
                    });
                }
                Ok(all.unwrap_or(Set::NOBODY))
            }
            Formula::Without(base, taken) => {
                let base = self.evaluate(base, inside, estimate)?;
                if base == Set::NOBODY {
                    return Ok(base);
                }
                // Inside of a component, what is taken away is what was found before.
                let turned = inside.map(Inside::turned);
                let taken = self.evaluate(taken, turned.as_ref(), estimate.other())?;
                self.sets.apply(Operator::Without, base, taken)
            }
            Formula::When(truth, part) => {
                let part = self.evaluate(part, inside, estimate)?;
                self.sets.when(*truth, part)
            }
        }
    }

    /// The rule of a subproblem.
    fn formula(&mut self, place: &Place, rewrite: &Rewrite) -> Result<Formula, Bound> {
        match rewrite {
            Rewrite::Nil => Ok(Formula::Known(Set::NOBODY)),
            Rewrite::Direct => self.direct(place),
            Rewrite::Computed(other) => self.child(Place { relation: *other, id: place.id.clone() }),
            Rewrite::Arrow(arrow) => self.arrow(place, arrow),
            Rewrite::Union(parts) => Ok(Formula::Any(self.formulas(place, parts)?)),
            Rewrite::Intersection(parts) => Ok(Formula::All(self.formulas(place, parts)?)),
            Rewrite::Exclusion(base, taken) => {
                let base = self.formula(place, base)?;
                let taken = self.formula(place, taken)?;
                self.without(base, taken)
            }
        }
    }

    fn formulas(&mut self, place: &Place, rewrites: &[Rewrite]) -> Result<Vec<Formula>, Bound> {
        rewrites.iter().map(|rewrite| self.formula(place, rewrite)).collect()
    }

    /// What is taken away from what is taken away counts as a subproblem of its own.
    fn without(&mut self, base: Formula, taken: Formula) -> Result<Formula, Bound> {
        let taken = match taken.takes_away() {
            false => taken,
            true => Formula::Node(self.push(Node { formula: taken, ..Node::new(None) })?),
        };
        Ok(Formula::Without(Box::new(base), Box::new(taken)))
    }

    fn child(&mut self, place: Place) -> Result<Formula, Bound> {
        if let Some(range) = self.holders.known(place.relation, &place.id)
            && range.surely == range.perhaps
        {
            return Ok(Formula::Known(range.surely));
        }
        Ok(Formula::Node(self.node(place)?))
    }

    /// The tuples written on the relation itself.
    fn direct(&mut self, place: &Place) -> Result<Formula, Bound> {
        let program = self.holders.program;
        let mut people = People::default();
        let mut parts = Vec::new();
        for kind in program.kinds_on(place.relation) {
            self.subjects(place, place.relation, kind, &mut |search, subject, row| {
                let (subject_type, truth) = match search.valid(place.relation, subject, row)? {
                    (Some(subject_type), truth) if truth != Truth::NO => (subject_type, truth),
                    _ => return Ok(()),
                };
                if let SubjectRef::Userset(object, name) = subject {
                    let asked = program.schema().relation_named(subject_type, name);
                    let Some(relation) = asked else { return Ok(()) };
                    let place = Place { relation, id: object.id().into() };
                    if search.holders.named.len() < NAMED_MAX && !search.holders.named.contains(&place) {
                        search.holders.named.insert(place.clone());
                    }
                    let child = search.child(place)?;
                    parts.push(child.when(truth));
                    return Ok(());
                }
                people.add(search.sets, subject, truth)
            })?;
        }
        parts.push(Formula::Known(people.joined(self.sets)?));
        Ok(Formula::Any(parts))
    }

    /// The subjects of a relation of the parents.
    fn arrow(&mut self, place: &Place, arrow: &Arrow) -> Result<Formula, Bound> {
        // Of each parent: whether the tuple counts, and who holds the relation on it.
        let mut parents: Vec<(Truth, Formula)> = Vec::new();
        self.subjects(place, arrow.tupleset, SubjectKind::Object, &mut |search, subject, row| {
            let (Some(parent_type), truth) = search.valid(arrow.tupleset, subject, row)? else {
                return Ok(());
            };
            if truth == Truth::NO {
                return Ok(());
            }
            let target = arrow.targets.iter().find(|(target_type, _)| *target_type == parent_type);
            let held = match (target, subject) {
                (Some(&(_, relation)), SubjectRef::Object(parent)) => {
                    search.child(Place { relation, id: parent.id().into() })?
                }
                _ => Formula::Known(Set::NOBODY),
            };
            parents.push((truth, held));
            Ok(())
        })?;
        let any = |parents: &[(Truth, Formula)]| {
            Formula::Any(parents.iter().map(|(truth, held)| held.clone().when(*truth)).collect())
        };
        if arrow.over == ArrowOver::Any {
            return Ok(any(&parents));
        }
        // Who holds it on some parent, without those who lack it on a parent that counts.
        let mut lacking = Vec::new();
        for (truth, held) in &parents {
            let without = self.without(any(&parents), held.clone())?;
            lacking.push(without.when(*truth));
        }
        self.without(any(&parents), Formula::Any(lacking))
    }

    /// The type of a subject, when the schema allows the tuple, and whether the tuple counts.
    fn valid(
        &mut self,
        relation: RelationIndex,
        subject: SubjectRef<'_>,
        row: &Row,
    ) -> Result<(Option<TypeIndex>, Truth), Bound> {
        let found = self.holders.program.subject_type_of_valid(relation, subject, row);
        let truth = match found {
            Some(_) => self.holders.truth(self.sets, row)?,
            None => Truth::NO,
        };
        Ok((found, truth))
    }

    /// Visits the subjects of one shape on a relation of an object.
    fn subjects(
        &mut self,
        place: &Place,
        relation: RelationIndex,
        kind: SubjectKind,
        visit: &mut dyn FnMut(&mut Self, SubjectRef<'_>, &Row) -> Result<(), Bound>,
    ) -> Result<(), Bound> {
        let schema = self.holders.program.schema();
        let of = schema.relation_at(relation);
        if let Some((root_type, id, rows)) = self.rows
            && root_type == of.object_type
            && *id == *place.id
        {
            for (name, subject, row) in &rows.rows {
                if **name == *of.name && subject.as_ref().kind() == kind {
                    visit(self, subject.as_ref(), row)?;
                }
            }
            return Ok(());
        }
        let object = ObjectRef::from_checked(&schema.type_at(of.object_type).name, &place.id);
        let state = self.holders.state;
        self.spend()?;
        let mut result = Ok(());
        state.subjects(object, &of.name, kind, &mut |subject, row| {
            result = self.spend().and_then(|()| visit(self, subject, row));
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        result
    }

    fn spend(&mut self) -> Result<(), Bound> {
        self.reads += 1;
        self.holders.reads += 1;
        if self.reads > self.holders.reads_max {
            return Err(Bound::Reads(self.holders.reads_max));
        }
        Ok(())
    }
}

impl Range {
    fn of(self, estimate: Estimate) -> Set {
        match estimate {
            Estimate::Surely => self.surely,
            Estimate::Perhaps => self.perhaps,
        }
    }
}

impl Estimate {
    fn other(self) -> Estimate {
        match self {
            Estimate::Surely => Estimate::Perhaps,
            Estimate::Perhaps => Estimate::Surely,
        }
    }
}

impl Node {
    fn new(place: Option<Place>) -> Node {
        Node {
            place,
            stage: Stage::New,
            formula: Formula::Known(Set::NOBODY),
            children: Vec::new(),
            next: 0,
            order: 0,
            low: 0,
            value: Range::NOBODY,
        }
    }
}

impl Formula {
    fn when(self, truth: Truth) -> Formula {
        if truth == Truth::YES { self } else { Formula::When(truth, Box::new(self)) }
    }

    fn takes_away(&self) -> bool {
        match self {
            Formula::Known(_) | Formula::Node(_) => false,
            Formula::Any(parts) | Formula::All(parts) => parts.iter().any(Formula::takes_away),
            Formula::Without(..) => true,
            Formula::When(_, part) => part.takes_away(),
        }
    }

    fn each_node(&self, visit: &mut dyn FnMut(usize)) {
        match self {
            Formula::Known(_) => {}
            Formula::Node(node) => visit(*node),
            Formula::Any(parts) | Formula::All(parts) => {
                parts.iter().for_each(|part| part.each_node(visit));
            }
            Formula::Without(base, taken) => {
                base.each_node(visit);
                taken.each_node(visit);
            }
            Formula::When(_, part) => part.each_node(visit),
        }
    }
}
