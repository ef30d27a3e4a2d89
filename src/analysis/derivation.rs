//! A question laid out as formulas over tuples: those that are there, and those that could be.
//!
//! The subproblems are found breadth-first from the question, within the limit of depth, as far as a person can be expected to
//! read them: beyond [`FAN_MAX`] usersets or parents of one object only those are gone into that hold the subject.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use crate::condition::{ConditionError, Context};
use crate::eval::{self, EvalError, Limits, Program, Question};
use crate::schema::{Arrow, ArrowOver, RelationIndex, RestrictionShape, Rewrite, TypeIndex};
use crate::storage::{Row, TupleReader};
use crate::tuple::{Object, ObjectRef, Relation, Subject, SubjectKind, SubjectRef, TupleKey, TupleRef};

/// Usersets or parents of one object that are all gone into.
const FAN_MAX: usize = 200;
/// Subproblems that are laid out.
const NODES_MAX: usize = 5_000;

/// A tuple that an answer may hang on.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) key: TupleKey,
    pub(super) stands: Stands,
}

/// How a tuple stands to the answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stands {
    /// It is there, and counts.
    Counts(Row),
    /// It is there, and does not count, for its condition: false, or not to be told.
    Blocked(Row, Option<ConditionError>),
    /// It is not there, and could be, with this condition if it has to have one.
    Possible(Option<Box<str>>),
}

/// The rule of a subproblem.
#[derive(Debug, Clone)]
pub(super) enum Formula {
    Constant(bool),
    Leaf(usize),
    Node(usize),
    /// A tuple with a userset or a parent, and what has to be held there.
    Over {
        leaf: usize,
        node: usize,
    },
    Any(Vec<Formula>),
    All(Vec<Formula>),
    /// What is taken away, in words of the schema.
    Without {
        base: Box<Formula>,
        taken: Box<Formula>,
        text: Box<str>,
    },
}

/// A relation of an object, laid out.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) relation: RelationIndex,
    pub(super) id: Box<str>,
    distance: u32,
    pub(super) formula: Formula,
}

/// What could be written.
pub(super) trait Possible {
    /// Objects that could be linked to for a relation of theirs, at so many hops from the question.
    fn links(&self, relation: RelationIndex, distance: u32) -> Vec<Box<str>>;

    /// Whether a tuple could be written, or taken away, at all.
    fn may_change(&self, key: &TupleKey) -> bool;
}

/// Nothing could be.
pub(super) struct Nothing;

impl Possible for Nothing {
    fn links(&self, _: RelationIndex, _: u32) -> Vec<Box<str>> {
        Vec::new()
    }

    fn may_change(&self, _: &TupleKey) -> bool {
        false
    }
}

/// A question, laid out; it is node 0.
pub(super) struct Derivation {
    pub(super) nodes: Vec<Node>,
    pub(super) leaves: Vec<Leaf>,
    /// Tuples that name the subject, and that the schema does not allow.
    pub(super) invalid: Vec<TupleKey>,
    /// There is more than was laid out.
    pub(super) is_cut: bool,
}

/// Lays a question out.
///
/// # Errors
/// Storage, or a limit of the checks that are made on the way.
pub(super) fn lay_out(
    program: &Program,
    state: &dyn TupleReader,
    question: &Question<'_>,
    context: &Context,
    limits: &Limits,
    possible: &dyn Possible,
) -> Result<Derivation, EvalError> {
    let derivation = Derivation { nodes: Vec::new(), leaves: Vec::new(), invalid: Vec::new(), is_cut: false };
    let mut layout = Layout {
        program,
        state,
        question,
        context,
        limits,
        possible,
        derivation,
        node_of: HashMap::new(),
        leaf_of: HashMap::new(),
        reads: Cell::new(0),
        begun: Instant::now(),
    };
    layout.node(question.relation, question.object.id(), 0);
    let mut at = 0;
    while at < layout.derivation.nodes.len() {
        let Node { relation, ref id, distance, .. } = layout.derivation.nodes[at];
        let place = Place { relation, id: id.clone(), distance };
        layout.derivation.nodes[at].formula = layout.formula(&place)?;
        at += 1;
    }
    Ok(layout.derivation)
}

struct Place {
    relation: RelationIndex,
    id: Box<str>,
    distance: u32,
}

struct Layout<'l> {
    program: &'l Program,
    state: &'l dyn TupleReader,
    question: &'l Question<'l>,
    context: &'l Context,
    limits: &'l Limits,
    possible: &'l dyn Possible,
    derivation: Derivation,
    node_of: HashMap<(RelationIndex, Box<str>), usize>,
    leaf_of: HashMap<TupleKey, usize>,
    reads: Cell<u64>,
    begun: Instant,
}

impl Layout<'_> {
    /// The node of a subproblem; none: there are too many, or it lies too far away.
    fn node(&mut self, relation: RelationIndex, id: &str, distance: u32) -> Option<usize> {
        if let Some(&known) = self.node_of.get(&(relation, id.into())) {
            return Some(known);
        }
        let nodes = &mut self.derivation.nodes;
        if nodes.len() == NODES_MAX || distance > self.limits.depth_max {
            self.derivation.is_cut = true;
            return None;
        }
        let number = nodes.len();
        nodes.push(Node { relation, id: id.into(), distance, formula: Formula::Constant(false) });
        self.node_of.insert((relation, id.into()), number);
        Some(number)
    }

    fn formula(&mut self, place: &Place) -> Result<Formula, EvalError> {
        if self.question.is_userset(place.relation, &place.id) {
            return Ok(Formula::Constant(true));
        }
        let program = self.program;
        self.rewrite(place, &program.schema().relation_at(place.relation).rewrite)
    }

    fn rewrite(&mut self, place: &Place, rewrite: &Rewrite) -> Result<Formula, EvalError> {
        let all = |layout: &mut Self, parts: &[Rewrite]| {
            parts.iter().map(|part| layout.rewrite(place, part)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match rewrite {
            Rewrite::Nil => Formula::Constant(false),
            Rewrite::Direct => self.direct(place)?,
            Rewrite::Computed(other) => match self.node(*other, &place.id, place.distance) {
                Some(node) => Formula::Node(node),
                None => Formula::Constant(false),
            },
            Rewrite::Arrow(arrow) => self.arrow(place, arrow)?,
            Rewrite::Union(parts) => Formula::Any(all(self, parts)?),
            Rewrite::Intersection(parts) => Formula::All(all(self, parts)?),
            Rewrite::Exclusion(base, taken) => Formula::Without {
                base: Box::new(self.rewrite(place, base)?),
                text: rewrite_text(self.program, place.relation, taken).into(),
                taken: Box::new(self.rewrite(place, taken)?),
            },
        })
    }

    /// The tuples on the relation itself that name the subject, or a userset.
    fn direct(&mut self, place: &Place) -> Result<Formula, EvalError> {
        let (program, question) = (self.program, self.question);
        let object = self.object(place.relation, &place.id);
        let relation = Relation::from_checked(program.relation_name(place.relation));
        let mut any = Vec::new();
        for (subject, shape) in question.as_written() {
            let key =
                TupleKey { object: object.clone(), relation: relation.clone(), subject: subject.to_owned() };
            match self.get(&key)? {
                Some(row) if program.allows(place.relation, question.subject_type, shape, &row) => {
                    any.push(Formula::Leaf(self.stored(key, row)));
                }
                Some(_) => self.derivation.invalid.push(key),
                None => {
                    let subject_type = question.subject_type;
                    any.extend(
                        self.possible_leaf(place.relation, subject_type, shape, key).map(Formula::Leaf),
                    );
                }
            }
        }
        let mut met = Vec::new();
        if program.may_hold_usersets(place.relation) {
            let name = program.relation_name(place.relation);
            let mut found = Vec::new();
            self.subjects(&object, name, SubjectKind::Userset, &mut |subject, row| {
                if let Some(asked) = program.valid_userset(place.relation, subject, row) {
                    found.push((subject.to_owned(), asked, row.clone()));
                }
            })?;
            for (subject, asked, row) in self.worth_going_into(found)? {
                let key = TupleKey { object: object.clone(), relation: relation.clone(), subject };
                any.extend(self.over(key, asked, row, place.distance));
            }
            met.extend(any.iter().filter_map(|part| match part {
                Formula::Over { node, .. } => Some(*node),
                _ => None,
            }));
        }
        for asked in program.usersets_of(place.relation).collect::<Vec<_>>() {
            for id in self.possible.links(asked, place.distance) {
                if met.iter().any(|&node| self.is_at(node, asked, &id)) {
                    continue;
                }
                let asked_relation = Relation::from_checked(program.relation_name(asked));
                let subject = Subject::Userset(self.object(asked, &id), asked_relation);
                let key = TupleKey { object: object.clone(), relation: relation.clone(), subject };
                let subject_type = program.schema().relation_at(asked).object_type;
                let shape = RestrictionShape::Userset(asked);
                any.extend(self.link(place, (place.relation, subject_type, shape), key, (asked, &id))?);
            }
        }
        Ok(Formula::Any(any))
    }

    fn arrow(&mut self, place: &Place, arrow: &Arrow) -> Result<Formula, EvalError> {
        let program = self.program;
        let object = self.object(place.relation, &place.id);
        let name = program.relation_name(arrow.tupleset);
        let relation = Relation::from_checked(name);
        let mut found = Vec::new();
        let mut dead_ends = Vec::new();
        self.subjects(&object, name, SubjectKind::Object, &mut |subject, row| {
            let Some(parent_type) = program.valid_parent(arrow.tupleset, subject, row) else { return };
            match arrow.targets.iter().find(|(target_type, _)| *target_type == parent_type) {
                Some(&(_, target)) => found.push((subject.to_owned(), target, row.clone())),
                None => dead_ends.push((subject.to_owned(), row.clone())),
            }
        })?;
        let mut any = Vec::new();
        for (subject, target, row) in self.worth_going_into(found)? {
            let key = TupleKey { object: object.clone(), relation: relation.clone(), subject };
            any.extend(self.over(key, target, row, place.distance));
        }
        let stored = any.clone();
        for &(target_type, target) in &arrow.targets {
            for id in self.possible.links(target, place.distance) {
                if stored
                    .iter()
                    .any(|part| matches!(part, Formula::Over { node, .. } if self.is_at(*node, target, &id)))
                {
                    continue;
                }
                let subject = Subject::Object(self.object(target, &id));
                let key = TupleKey { object: object.clone(), relation: relation.clone(), subject };
                let shape = RestrictionShape::Object;
                any.extend(self.link(place, (arrow.tupleset, target_type, shape), key, (target, &id))?);
            }
        }
        if arrow.over == ArrowOver::Any {
            return Ok(Formula::Any(any));
        }
        // There is one, and of each that is there it can be said.
        let mut lacking = Vec::new();
        for part in &stored {
            let Formula::Over { leaf, node } = part else { continue };
            lacking.push(Formula::Without {
                base: Box::new(Formula::Leaf(*leaf)),
                taken: Box::new(Formula::Node(*node)),
                text: arrow.target_name.clone(),
            });
        }
        for (subject, row) in dead_ends {
            let key = TupleKey { object: object.clone(), relation: relation.clone(), subject };
            lacking.push(Formula::Leaf(self.stored(key, row)));
        }
        Ok(Formula::Without {
            base: Box::new(Formula::Any(any)),
            taken: Box::new(Formula::Any(lacking)),
            text: format!("a {name} without {}", arrow.target_name).into(),
        })
    }

    /// A tuple that is not there, and what has to be held on what it names.
    fn link(
        &mut self,
        place: &Place,
        (on, subject_type, shape): (RelationIndex, TypeIndex, RestrictionShape),
        key: TupleKey,
        (asked, id): (RelationIndex, &str),
    ) -> Result<Option<Formula>, EvalError> {
        // It may be there, and not be allowed.
        if self.get(&key)?.is_some() {
            return Ok(None);
        }
        let Some(leaf) = self.possible_leaf(on, subject_type, shape, key) else { return Ok(None) };
        let node = self.node(asked, id, place.distance + 1);
        Ok(node.map(|node| Formula::Over { leaf, node }))
    }

    /// A tuple that is there, and what has to be held on what it names.
    fn over(&mut self, key: TupleKey, asked: RelationIndex, row: Row, distance: u32) -> Option<Formula> {
        let id: Box<str> = match &key.subject {
            Subject::Object(object) | Subject::Userset(object, _) => object.id().into(),
            Subject::Wildcard(_) => return None,
        };
        let node = self.node(asked, &id, distance + 1)?;
        Some(Formula::Over { leaf: self.stored(key, row), node })
    }

    fn is_at(&self, node: usize, relation: RelationIndex, id: &str) -> bool {
        let node = &self.derivation.nodes[node];
        node.relation == relation && *node.id == *id
    }

    /// Of many, those that hold the subject, and the first ones.
    fn worth_going_into(
        &mut self,
        found: Vec<(Subject, RelationIndex, Row)>,
    ) -> Result<Vec<(Subject, RelationIndex, Row)>, EvalError> {
        if found.len() <= FAN_MAX {
            return Ok(found);
        }
        self.derivation.is_cut = true;
        let (mut holding, mut others) = (Vec::new(), Vec::new());
        for (subject, relation, row) in found {
            if holding.len() == FAN_MAX || self.begun.elapsed() > self.limits.time_max {
                break;
            }
            let of = match &subject {
                Subject::Object(object) | Subject::Userset(object, _) => object.as_ref(),
                Subject::Wildcard(_) => continue,
            };
            let asked = TupleRef {
                object: of,
                relation: self.program.relation_name(relation),
                subject: self.question.subject,
            };
            let holds = match eval::check(self.program, self.state, asked, self.context, self.limits) {
                Ok(answer) => answer.allowed,
                Err(error @ (EvalError::Storage(_) | EvalError::TimedOut(_))) => return Err(error),
                Err(_) => false,
            };
            if holds {
                holding.push((subject, relation, row));
            } else if others.len() < FAN_MAX {
                others.push((subject, relation, row));
            }
        }
        let most = FAN_MAX.saturating_sub(holding.len());
        holding.extend(others.into_iter().take(most));
        Ok(holding)
    }

    fn stored(&mut self, key: TupleKey, row: Row) -> usize {
        let stands = match &row.condition {
            None => Stands::Counts(row),
            Some(condition) => {
                let schema = self.program.schema();
                let compiled = schema
                    .condition_named(condition.name())
                    .map(|index| &schema.condition_at(index).compiled);
                match compiled.map(|compiled| compiled.holds(condition.context(), self.context)) {
                    Some(Ok(true)) => Stands::Counts(row),
                    Some(Err(error)) => Stands::Blocked(row, Some(error)),
                    Some(Ok(false)) | None => Stands::Blocked(row, None),
                }
            }
        };
        self.leaf(key, stands)
    }

    fn leaf(&mut self, key: TupleKey, stands: Stands) -> usize {
        if let Some(&known) = self.leaf_of.get(&key) {
            return known;
        }
        let number = self.derivation.leaves.len();
        self.leaf_of.insert(key.clone(), number);
        self.derivation.leaves.push(Leaf { key, stands });
        number
    }

    /// A tuple that is not there, if the schema allows it and it could be written.
    fn possible_leaf(
        &mut self,
        relation: RelationIndex,
        subject_type: TypeIndex,
        shape: RestrictionShape,
        key: TupleKey,
    ) -> Option<usize> {
        let schema = self.program.schema();
        let mut fitting = schema
            .relation_at(relation)
            .restrictions
            .iter()
            .filter(|it| it.subject_type == subject_type && it.shape == shape)
            .map(|it| it.condition.map(|index| schema.condition_at(index).name.clone()));
        let is_implicit = matches!(&key.subject, Subject::Userset(of, asked)
            if *of == key.object && *asked == key.relation);
        // Without a condition, where that is allowed.
        let condition = fitting.clone().find(Option::is_none).or_else(|| fitting.next())?;
        if is_implicit || !self.possible.may_change(&key) {
            return None;
        }
        Some(self.leaf(key, Stands::Possible(condition)))
    }

    fn get(&self, key: &TupleKey) -> Result<Option<Row>, EvalError> {
        self.spend()?;
        Ok(self.state.get(key.as_ref())?)
    }

    fn subjects(
        &self,
        object: &Object,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row),
    ) -> Result<(), EvalError> {
        let mut over = self.spend();
        self.state.subjects(object.as_ref(), relation, kind, &mut |subject, row| {
            visit(subject, row);
            over = self.spend();
            if over.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        over
    }

    fn spend(&self) -> Result<(), EvalError> {
        self.reads.set(self.reads.get() + 1);
        match self.reads.get() > self.limits.reads_max {
            true => Err(EvalError::TooManyReads(self.limits.reads_max)),
            false => Ok(()),
        }
    }

    fn object(&self, relation: RelationIndex, id: &str) -> Object {
        ObjectRef::from_checked(self.program.type_name(relation), id).to_owned()
    }
}

/// A part of a rewrite as the schema's author wrote it, about.
pub(super) fn rewrite_text(program: &Program, of: RelationIndex, rewrite: &Rewrite) -> String {
    let join = |parts: &[Rewrite], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| rewrite_text(program, of, part)).collect();
        parts.join(word)
    };
    match rewrite {
        Rewrite::Nil => "nobody".to_owned(),
        Rewrite::Direct => format!("written on {}", program.relation_name(of)),
        Rewrite::Computed(other) => program.relation_name(*other).to_owned(),
        Rewrite::Arrow(arrow) => {
            format!("{} from {}", arrow.target_name, program.relation_name(arrow.tupleset))
        }
        Rewrite::Union(parts) => format!("({})", join(parts, " or ")),
        Rewrite::Intersection(parts) => format!("({})", join(parts, " and ")),
        Rewrite::Exclusion(base, taken) => {
            format!("({} but not {})", rewrite_text(program, of, base), rewrite_text(program, of, taken))
        }
    }
}
