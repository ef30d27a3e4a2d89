//! List subjects: who of a type holds a relation on an object. The wire calls it list users.
//!
//! The subproblems that the answer can hang on are laid out from the object, nearest first, up to the depth limit, as for
//! a check. Everybody who is named in one of them is a candidate: one who is reached by steps that are each enough is
//! in the list, the others are checked. All who are named nowhere have the same answer, and one check of somebody who
//! cannot be named gives it: yes means that everybody of the type is in the list, but for those named and denied.
//!
//! Beside everybody, only those are listed who are named in a place that gives: by a tuple on a relation that is reached
//! without passing the right side of a `but not`. Those named in places that take away only, and who hold the relation
//! all the same, are covered by everybody, as those are who are named nowhere.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use super::conditions::{Conditions, Counts, Fault};
use super::error::EvalError;
use super::ground::{Child, Edge, arrow_edges, userset_edges, written};
use super::list_objects::{ListEnd, Listed, Resume};
use super::meter::{Limits, Meter};
use super::named::Named;
use super::program::{Program, find_relation, find_type};
use crate::condition::Context;
use crate::schema::resolved::{ArrowOver, RelationIndex, RestrictionShape, Rewrite, TypeIndex};
use crate::storage::TupleReader;
use crate::tuple::{ObjectRef, SubjectKind, SubjectRef, TupleRef};

/// Which subjects to list.
#[derive(Debug, Clone, Copy)]
pub struct ListSubjects<'q> {
    /// On what.
    pub object: ObjectRef<'q>,
    /// What is held.
    pub relation: &'q str,
    /// Subjects of this type: objects, and everybody.
    pub subject_type: &'q str,
    /// Instead, usersets of the type that ask for this relation.
    pub subject_relation: Option<&'q str>,
    /// Go on where an earlier part of the same list, of the same state, ended.
    pub after: Option<&'q Resume>,
    /// Stop after this time.
    pub time_max: Option<Duration>,
}

/// What is said of a subject in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// It holds the relation.
    Holds,
    /// It holds the relation as everybody of its type does, and is named only where something is taken away.
    Covered,
    /// It does not, although everybody of its type who is not named does.
    Excluded,
}

/// The id of nobody: no subject has it, so nothing names it.
const NOBODY: &str = "*";

/// Visits the subjects that hold the relation, everybody first, then by id: exactly those whose check is yes. Where
/// everybody does, also those who do not, and [`Holding`] tells who is named for it.
///
/// # Errors
/// Names that the schema does not have, before anything is visited. [`EvalError::TooDeep`] after everything that is
/// known to be in the list has been visited, when the check of another subject, one not named within the limit too, is
/// that error. Any other error of a check ends the list at once.
pub fn list_subjects(
    program: &Program,
    state: &dyn TupleReader,
    request: &ListSubjects<'_>,
    context: &Context,
    limits: &Limits,
    visit: &mut dyn FnMut(SubjectRef<'_>, Holding) -> ControlFlow<()>,
) -> Result<Listed, EvalError> {
    let schema = program.schema();
    let object_type = find_type(schema, request.object.object_type())?;
    let relation = find_relation(schema, object_type, request.relation)?;
    let subject_type = find_type(schema, request.subject_type)?;
    let asked = match request.subject_relation {
        Some(name) => Some(find_relation(schema, subject_type, name)?),
        None => None,
    };
    let walk_limits = Limits {
        reads_max: u64::MAX,
        time_max: request.time_max.unwrap_or(Duration::MAX),
        depth_max: limits.depth_max,
        ..*limits
    };
    let conditions = Conditions::new(context);
    let mut meter = Meter::new(state, &walk_limits, &conditions);
    meter.start_clock();
    let mut resume = request.after.cloned();
    let named = Layout::of(program, &mut meter, relation, request.object.id()).and_then(|mut layout| {
        layout.find_certain(limits.depth_max);
        let candidates = layout.candidates(program, &mut meter, subject_type, asked)?;
        Ok((candidates, layout.is_cut, layout.doubt))
    });
    let end = match named {
        // The list's own time; that of a single check is an error.
        Err(EvalError::TimedOut(_)) if request.time_max.is_some() => ListEnd::TimedOut,
        named => {
            let (candidates, is_cut, doubt) = named?;
            let questions = Questions { program, state, request, context, limits };
            let end = questions.answer(&meter, candidates, is_cut, &mut resume, visit)?;
            match doubt {
                // OpenFGA's rule: it cannot be told who stands behind that tuple, whoever else does.
                Some(fault) if end == ListEnd::Complete => return Err(fault.error()),
                _ => end,
            }
        }
    };
    Ok(Listed { end, resume, work: meter.work() })
}

/// Who is named.
struct Candidates {
    by_id: BTreeMap<Box<str>, Naming>,
    /// Whether a tuple for everybody of the type was met.
    everybody: bool,
}

/// How somebody is named, in all places together.
#[derive(Debug, Clone, Copy, Default)]
struct Naming {
    /// One of the places is enough for holding the relation.
    is_enough: bool,
    /// One of the places gives.
    is_given: bool,
}

impl Naming {
    fn add(&mut self, other: Naming) {
        self.is_enough |= other.is_enough;
        self.is_given |= other.is_given;
    }
}

/// A part of the rule of a subproblem, as it bears on whoever is named in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bearing {
    /// To hold the part is enough for holding the whole.
    is_enough: bool,
    /// The part takes away, or takes away what takes away.
    is_taken: bool,
}

/// From a subproblem to one that its rule looks at.
#[derive(Debug, Clone, Copy)]
struct Lead {
    to: usize,
    bearing: Bearing,
    over: Over,
}

/// What a lead goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Computed,
    /// A tuple that names the userset.
    Userset,
    Arrow,
}

impl Over {
    fn hops(self) -> u32 {
        u32::from(self != Over::Computed)
    }
}

struct Node {
    child: Child,
    distance: u32,
    /// What its rule looks at.
    leads_to: Vec<Lead>,
    /// The parts of its rule that are tuples on the relation itself.
    direct: Vec<Bearing>,
    /// Reached without being taken away.
    is_given: bool,
    /// Reached by steps that are each enough, within the limit.
    is_certain: bool,
}

/// The subproblems within the depth limit.
struct Layout {
    nodes: Vec<Node>,
    by_child: HashMap<Child, usize>,
    waiting: VecDeque<(usize, u32)>,
    depth_max: u32,
    /// Something lies beyond the limit.
    is_cut: bool,
    /// A tuple that leads on may not count.
    doubt: Option<Fault>,
}

impl Layout {
    fn of(
        program: &Program,
        meter: &mut Meter<'_>,
        relation: RelationIndex,
        id: &str,
    ) -> Result<Layout, EvalError> {
        let depth_max = meter.limits().depth_max;
        let mut layout = Layout {
            nodes: Vec::new(),
            by_child: HashMap::new(),
            waiting: VecDeque::new(),
            depth_max,
            is_cut: false,
            doubt: None,
        };
        layout.node(Child { relation, id: id.into() }, 0, 0);
        while let Some((at, distance)) = layout.waiting.pop_front() {
            if layout.nodes[at].distance != distance {
                continue;
            }
            if distance > depth_max {
                layout.is_cut = true;
                continue;
            }
            // Met again in fewer hops: laid out again, so that what lies behind it comes nearer too.
            layout.nodes[at].leads_to.clear();
            layout.nodes[at].direct.clear();
            let rewrite = &program.schema().relation_at(layout.nodes[at].child.relation).rewrite;
            layout.add(program, meter, at, rewrite, Bearing { is_enough: true, is_taken: false })?;
        }
        Ok(layout)
    }

    /// The node of a subproblem at a distance, met over so many hops.
    fn node(&mut self, child: Child, distance: u32, hops: u32) -> usize {
        let at = match self.by_child.get(&child) {
            Some(&at) if self.nodes[at].distance <= distance => return at,
            Some(&at) => at,
            None => {
                let at = self.nodes.len();
                self.by_child.insert(child.clone(), at);
                self.nodes.push(Node {
                    child,
                    distance,
                    leads_to: Vec::new(),
                    direct: Vec::new(),
                    is_given: false,
                    is_certain: false,
                });
                at
            }
        };
        self.nodes[at].distance = distance;
        // Computed relations are no hop away: they come before what is.
        if hops == 0 {
            self.waiting.push_front((at, distance));
        } else {
            self.waiting.push_back((at, distance));
        }
        at
    }

    fn add(
        &mut self,
        program: &Program,
        meter: &mut Meter<'_>,
        at: usize,
        rewrite: &Rewrite,
        bearing: Bearing,
    ) -> Result<(), EvalError> {
        let Child { relation, ref id } = self.nodes[at].child;
        let doubtful = Bearing { is_enough: false, ..bearing };
        match rewrite {
            Rewrite::Nil => {}
            Rewrite::Direct => {
                let edges = userset_edges(program, meter, relation, id, usize::MAX)?;
                self.nodes[at].direct.push(bearing);
                self.lead_to(at, edges, bearing, Over::Userset);
            }
            Rewrite::Computed(other) => {
                let child = Child { relation: *other, id: id.clone() };
                self.lead_to(at, vec![Edge { child, fault: None }], bearing, Over::Computed);
            }
            Rewrite::Arrow(arrow) => {
                let mut edges = Vec::new();
                arrow_edges(program, meter, arrow, id, &mut edges)?;
                let bearing = if arrow.over == ArrowOver::Any { bearing } else { doubtful };
                self.lead_to(at, edges, bearing, Over::Arrow);
            }
            Rewrite::Union(operands) => {
                for operand in operands {
                    self.add(program, meter, at, operand, bearing)?;
                }
            }
            Rewrite::Intersection(operands) => {
                for operand in operands {
                    self.add(program, meter, at, operand, doubtful)?;
                }
            }
            Rewrite::Exclusion(base, subtract) => {
                self.add(program, meter, at, base, doubtful)?;
                self.add(program, meter, at, subtract, Bearing { is_enough: false, is_taken: true })?;
            }
        }
        Ok(())
    }

    fn lead_to(&mut self, at: usize, edges: Vec<Edge>, bearing: Bearing, over: Over) {
        let distance = self.nodes[at].distance + over.hops();
        for Edge { child, fault } in edges {
            let to = self.node(child, distance, over.hops());
            // A tuple of which it cannot be told whether it counts is not enough.
            let bearing = Bearing { is_enough: bearing.is_enough && fault.is_none(), ..bearing };
            self.nodes[at].leads_to.push(Lead { to, bearing, over });
            self.doubt = self.doubt.take().or(fault);
        }
    }

    /// Finds what is reached by steps that are enough, and what is reached without being taken away.
    fn find_certain(&mut self, depth_max: u32) {
        let mut certain: Vec<Option<u32>> = vec![None; self.nodes.len()];
        let mut waiting = VecDeque::from([(0, 0)]);
        while let Some((at, distance)) = waiting.pop_front() {
            if distance > depth_max || certain[at].is_some_and(|known| known <= distance) {
                continue;
            }
            certain[at] = Some(distance);
            self.nodes[at].is_certain = true;
            for &Lead { to, bearing, over } in &self.nodes[at].leads_to {
                match (bearing.is_enough, over.hops()) {
                    (false, _) => {}
                    (true, 0) => waiting.push_front((to, distance)),
                    (true, hops) => waiting.push_back((to, distance + hops)),
                }
            }
        }
        let mut given = vec![0];
        while let Some(at) = given.pop() {
            if std::mem::replace(&mut self.nodes[at].is_given, true) {
                continue;
            }
            given.extend(self.nodes[at].leads_to.iter().filter(|it| !it.bearing.is_taken).map(|it| it.to));
        }
    }

    /// Everybody of a type who is named.
    fn candidates(
        &self,
        program: &Program,
        meter: &mut Meter<'_>,
        subject_type: TypeIndex,
        asked: Option<RelationIndex>,
    ) -> Result<Candidates, EvalError> {
        let mut found = Candidates { by_id: BTreeMap::new(), everybody: false };
        if let Some(asked) = asked {
            // A userset holds what it stands for, and what a tuple names it for.
            for node in self.within() {
                if node.child.relation == asked {
                    let naming = Naming { is_enough: node.is_certain, is_given: true };
                    found.by_id.entry(node.child.id.clone()).or_default().add(naming);
                }
                for lead in node.leads_to.iter().filter(|lead| lead.over == Over::Userset) {
                    let named = &self.nodes[lead.to].child;
                    if named.relation == asked {
                        let is_enough = node.is_certain && lead.bearing.is_enough;
                        let naming = Naming { is_enough, is_given: true };
                        found.by_id.entry(named.id.clone()).or_default().add(naming);
                    }
                }
            }
            return Ok(found);
        }
        for node in self.within() {
            found.everybody |= names_everybody(program, meter, subject_type, node)?;
        }
        for node in self.within() {
            // Where nobody is named as everybody, those named only where they are taken away hold nothing.
            let is_given = node.is_given && node.direct.iter().any(|bearing| !bearing.is_taken);
            if node.direct.is_empty() || !(is_given || found.everybody) {
                continue;
            }
            let is_enough = node.is_certain && node.direct.iter().any(|bearing| bearing.is_enough);
            let relation = node.child.relation;
            if !program.may_hold(relation, subject_type, RestrictionShape::Object) {
                continue;
            }
            let object = ObjectRef::from_checked(program.type_name(relation), &node.child.id);
            let type_name = &*program.schema().type_at(subject_type).name;
            let by_id = &mut found.by_id;
            let (conditions, name) = (meter.conditions(), program.relation_name(relation));
            meter.subjects(object, name, SubjectKind::Object, |subject, row| {
                let SubjectRef::Object(named) = subject else { return ControlFlow::Continue(()) };
                if named.object_type() != type_name
                    || !program.allows(relation, subject_type, RestrictionShape::Object, row)
                {
                    return ControlFlow::Continue(());
                }
                let is_enough =
                    match conditions.counts(program, TupleRef { object, relation: name, subject }, row) {
                        Counts::No => return ControlFlow::Continue(()),
                        Counts::Yes => is_enough,
                        Counts::Unknown(_) => false,
                    };
                let naming = Naming { is_enough, is_given };
                match by_id.get_mut(named.id()) {
                    Some(known) => known.add(naming),
                    None => drop(by_id.insert(named.id().into(), naming)),
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(found)
    }

    fn within(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.distance <= self.depth_max)
    }
}

fn names_everybody(
    program: &Program,
    meter: &mut Meter<'_>,
    subject_type: TypeIndex,
    node: &Node,
) -> Result<bool, EvalError> {
    let relation = node.child.relation;
    let shape = RestrictionShape::Wildcard;
    if node.direct.is_empty() {
        return Ok(false);
    }
    let object = ObjectRef::from_checked(program.type_name(relation), &node.child.id);
    let subject = SubjectRef::Wildcard(&program.schema().type_at(subject_type).name);
    let tuple = TupleRef { object, relation: program.relation_name(relation), subject };
    Ok(written(program, meter, relation, subject_type, shape, tuple)? != Counts::No)
}

struct Questions<'q> {
    program: &'q Program,
    state: &'q dyn TupleReader,
    request: &'q ListSubjects<'q>,
    context: &'q Context,
    limits: &'q Limits,
}

impl Questions<'_> {
    fn answer(
        &self,
        meter: &Meter<'_>,
        candidates: Candidates,
        is_cut: bool,
        resume: &mut Option<Resume>,
        visit: &mut dyn FnMut(SubjectRef<'_>, Holding) -> ControlFlow<()>,
    ) -> Result<ListEnd, EvalError> {
        let request = self.request;
        let mut too_deep = request.after.is_some_and(|after| after.too_deep);
        // Who is not named holds it as everybody does, or because of what lies beyond the limit, or not at all.
        let everybody = match request.subject_relation {
            None => SubjectRef::Wildcard(request.subject_type),
            Some(name) => SubjectRef::Userset(ObjectRef::from_checked(request.subject_type, NOBODY), name),
        };
        let mut everybody_holds = false;
        if candidates.everybody || is_cut {
            // Among those whom it stands for there may be somebody who is named beyond the limit.
            everybody_holds = self.check(everybody, Named::anywhere(), &mut too_deep)?;
        }
        if request.after.is_none() {
            *resume = Some(Resume { last: "".into(), too_deep });
            if everybody_holds && visit(everybody, Holding::Holds).is_break() {
                return Ok(ListEnd::Stopped);
            }
        }
        for (id, naming) in candidates.by_id {
            if request.after.is_some_and(|after| id <= after.last) {
                continue;
            }
            if meter.look_at_clock().is_err() {
                return Ok(ListEnd::TimedOut);
            }
            let object = ObjectRef::from_checked(request.subject_type, &id);
            let subject = match request.subject_relation {
                None => SubjectRef::Object(object),
                Some(name) => SubjectRef::Userset(object, name),
            };
            let mut is_unknown = false;
            let flow = if naming.is_enough || self.check(subject, Named::default(), &mut is_unknown)? {
                let is_covered = everybody_holds && !naming.is_given;
                visit(subject, if is_covered { Holding::Covered } else { Holding::Holds })
            } else if everybody_holds && !is_unknown {
                visit(subject, Holding::Excluded)
            } else {
                ControlFlow::Continue(())
            };
            too_deep |= is_unknown;
            *resume = Some(Resume { last: id, too_deep });
            if flow.is_break() {
                return Ok(ListEnd::Stopped);
            }
        }
        if too_deep {
            return Err(EvalError::TooDeep(self.limits.depth_max));
        }
        Ok(ListEnd::Complete)
    }

    fn check(&self, subject: SubjectRef<'_>, named: Named, too_deep: &mut bool) -> Result<bool, EvalError> {
        let tuple = TupleRef { object: self.request.object, relation: self.request.relation, subject };
        match super::check_named(self.program, self.state, tuple, self.context, self.limits, named) {
            Ok(answer) => Ok(answer.allowed),
            Err(EvalError::TooDeep(_)) => {
                *too_deep = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
