//! List objects: on which objects of a type a subject holds a relation.
//!
//! The walk goes backwards from the subject, over the tuples that name it, the usersets it is in and the parents they
//! are of ([`Backward`]). What is reached by steps that are each enough, within the depth limit, is in the list; whatever
//! else is reached has to be checked. What is not reached at all has no support, so its check is no.
//!
//! Where the listed relation leads to no further object, the tuples that end at it are read side by side and merged by
//! id: the list is sorted, and nothing that is in it is held in memory. Otherwise (folders in folders) every object is
//! a subproblem on the way to others, and they come in the order of the walk.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::time::Duration;

use super::backward::{Backward, Over, Step};
use super::conditions::{Conditions, Counts};
use super::error::EvalError;
use super::ground::Child;
use super::meter::{Limits, Meter, Work};
use super::program::{Program, find_relation, find_type, subject_shape};
use crate::condition::Context;
use crate::schema::resolved::{RelationIndex, RestrictionShape, TypeIndex};
use crate::storage::TupleReader;
use crate::tuple::{ObjectRef, Subject, SubjectRef, TupleRef};

/// Which objects to list.
#[derive(Debug, Clone, Copy)]
pub struct ListObjects<'q> {
    /// Of this type.
    pub object_type: &'q str,
    /// On which this is held.
    pub relation: &'q str,
    /// By whom.
    pub subject: SubjectRef<'q>,
    /// Go on where an earlier part of the same list, of the same state, ended.
    pub after: Option<&'q Resume>,
    /// Stop after this time.
    pub time_max: Option<Duration>,
}

/// How a list ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Whether everything was listed.
    pub end: ListEnd,
    /// Where to go on; none when nothing was looked at.
    pub resume: Option<Resume>,
    /// What the walk took; the checks on the way are not counted.
    pub work: Work,
}

/// Where a list ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The id that was looked at last; empty before all others.
    pub last: Box<str>,
    /// Whether a check so far was [`EvalError::TooDeep`], which is told at the end of the list.
    pub too_deep: bool,
}

/// Why a list ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListEnd {
    /// There is no more.
    Complete,
    /// The visitor had enough.
    Stopped,
    /// The time was over.
    TimedOut,
}

/// Visits the objects on which the subject holds the relation: exactly those whose check is yes.
///
/// # Errors
/// Names that the schema does not have, before anything is visited. [`EvalError::TooDeep`] after everything that is
/// known to be in the list has been visited, when the check of another object reached from the subject is that error.
/// Any other error of a check ends the list at once.
pub fn list_objects(
    program: &Program,
    state: &dyn TupleReader,
    request: &ListObjects<'_>,
    context: &Context,
    limits: &Limits,
    visit: &mut dyn FnMut(ObjectRef<'_>) -> ControlFlow<()>,
) -> Result<Listed, EvalError> {
    let schema = program.schema();
    let object_type = find_type(schema, request.object_type)?;
    let target = find_relation(schema, object_type, request.relation)?;
    let (subject_type, shape) = subject_shape(schema, request.subject)?;
    let walk_limits = Limits {
        reads_max: u64::MAX,
        time_max: request.time_max.unwrap_or(Duration::MAX),
        depth_max: limits.depth_max,
        ..*limits
    };
    let conditions = Conditions::new(context);
    let mut run = Run {
        program,
        context,
        back: program.backward(target),
        meter: Meter::new(state, &walk_limits, &conditions),
        state,
        request,
        limits,
        target,
        only_unions: schema.graph().only_unions(target) && !schema.has_conditions(),
        seen: HashMap::new(),
        waiting: VecDeque::new(),
        later: Vec::new(),
        points: BTreeMap::new(),
        sources: Vec::new(),
        skipping: request
            .after
            .map(|after| &*after.last)
            .filter(|_| program.backward(target).end(target).is_none()),
        last: request.after.map(|after| after.last.clone()),
        too_deep: request.after.is_some_and(|after| after.too_deep),
        visit,
    };
    run.meter.start_clock();
    let end = match run.run(subject_type, shape) {
        Ok(()) => ListEnd::Complete,
        Err(Stop::Visitor) => ListEnd::Stopped,
        Err(Stop::Error(EvalError::TimedOut(_))) if request.time_max.is_some() => ListEnd::TimedOut,
        Err(Stop::Error(error) | Stop::Check(error)) => return Err(error),
    };
    if run.too_deep && end == ListEnd::Complete {
        return Err(EvalError::TooDeep(limits.depth_max));
    }
    let too_deep = run.too_deep;
    Ok(Listed { end, resume: run.last.map(|last| Resume { last, too_deep }), work: run.meter.work() })
}

/// Why the walk ends early.
enum Stop {
    Visitor,
    Error(EvalError),
    /// Of the check of one object: also when that took too long, the list's own time is not over.
    Check(EvalError),
}

impl From<EvalError> for Stop {
    fn from(error: EvalError) -> Stop {
        Stop::Error(error)
    }
}

/// Tuples to be read: those that name a subject with one relation. What they are on holds, or may hold, `to`.
#[derive(Debug, Clone)]
struct Source {
    subject: Subject,
    subject_type: TypeIndex,
    shape: RestrictionShape,
    /// The relation that the tuples are on.
    on: RelationIndex,
    to: RelationIndex,
    reached: Reached,
}

/// How a subproblem was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// By steps that are enough, in so many hops.
    Holds(u32),
    /// In some way that has to be checked.
    MayHold,
}

impl Reached {
    fn over(self, step: &Step, depth_max: u32) -> Reached {
        let hops = u32::from(step.over != Over::Computed);
        match self {
            Reached::Holds(distance) if step.is_enough && distance + hops <= depth_max => {
                Reached::Holds(distance + hops)
            }
            _ => Reached::MayHold,
        }
    }
}

/// Rows that are read before anything is done with them.
const CHUNK_ROWS: usize = 256;
/// Rows that all sources together hold while they are merged.
const MERGED_ROWS: usize = 1 << 16;

struct Run<'r> {
    program: &'r Program,
    back: &'r Backward,
    meter: Meter<'r>,
    state: &'r dyn TupleReader,
    request: &'r ListObjects<'r>,
    context: &'r Context,
    limits: &'r Limits,
    target: RelationIndex,
    /// Whatever is not sure to hold lies beyond the depth limit.
    only_unions: bool,
    /// Subproblems that lead on, or are of the listed relation.
    seen: HashMap<Child, Reached>,
    waiting: VecDeque<(Child, Reached)>,
    /// Steps to be taken when everything that surely holds has been reached.
    later: Vec<(Child, Step)>,
    /// Objects in the list without a tuple to be read, and whether that is sure.
    points: BTreeMap<Box<str>, bool>,
    /// Tuples on objects that lead no further.
    sources: Vec<Source>,
    /// Everything up to this object was listed before.
    skipping: Option<&'r str>,
    last: Option<Box<str>>,
    too_deep: bool,
    visit: &'r mut dyn FnMut(ObjectRef<'_>) -> ControlFlow<()>,
}

impl Run<'_> {
    fn run(&mut self, subject_type: TypeIndex, shape: RestrictionShape) -> Result<(), Stop> {
        // What surely holds comes first: it is nearest, and needs no check.
        if let (SubjectRef::Userset(object, _), RestrictionShape::Userset(asked)) =
            (self.request.subject, shape)
        {
            self.enter(asked, object.id(), Reached::Holds(0), false)?;
        }
        let starts = self.starts(subject_type, shape);
        for source in starts.iter().filter(|source| source.reached != Reached::MayHold) {
            self.take(source.clone())?;
        }
        self.walk()?;
        for source in starts.into_iter().filter(|source| source.reached == Reached::MayHold) {
            self.take(source)?;
        }
        for (from, step) in std::mem::take(&mut self.later) {
            self.follow(&from, Reached::MayHold, &step)?;
        }
        self.walk()?;
        self.merge()
    }

    /// The tuples that name the subject itself, or everybody of its type.
    fn starts(&self, subject_type: TypeIndex, shape: RestrictionShape) -> Vec<Source> {
        let everybody = match self.request.subject {
            SubjectRef::Object(object) => {
                Some((Subject::Wildcard(object.object_type().into()), RestrictionShape::Wildcard))
            }
            SubjectRef::Wildcard(_) | SubjectRef::Userset(..) => None,
        };
        let itself = Some((self.request.subject.to_owned(), shape));
        let mut starts = Vec::new();
        for &(on, is_enough) in &self.back.starts {
            let reached = if is_enough { Reached::Holds(0) } else { Reached::MayHold };
            for (subject, shape) in itself.iter().chain(&everybody).cloned() {
                starts.push(Source { subject, subject_type, shape, on, to: on, reached });
            }
        }
        starts
    }

    fn walk(&mut self) -> Result<(), Stop> {
        while let Some((node, reached)) = self.waiting.pop_front() {
            if self.seen.get(&node) != Some(&reached) {
                // It was reached again, in fewer hops.
                continue;
            }
            let back = self.back;
            for step in back.steps(node.relation) {
                self.follow(&node, reached, step)?;
            }
        }
        Ok(())
    }

    fn follow(&mut self, from: &Child, reached: Reached, step: &Step) -> Result<(), Stop> {
        let next = reached.over(step, self.limits.depth_max);
        if reached != Reached::MayHold && next == Reached::MayHold {
            self.later.push((from.clone(), step.clone()));
            return Ok(());
        }
        let object = ObjectRef::from_checked(self.program.type_name(from.relation), &from.id);
        let subject_type = self.program.schema().relation_at(from.relation).object_type;
        let (subject, shape, on) = match step.over {
            Over::Computed => return self.enter(step.to, &from.id, next, false),
            Over::Userset => {
                let name = self.program.relation_name(from.relation);
                let shape = RestrictionShape::Userset(from.relation);
                (SubjectRef::Userset(object, name).to_owned(), shape, step.to)
            }
            Over::Arrow(tupleset) => {
                (SubjectRef::Object(object).to_owned(), RestrictionShape::Object, tupleset)
            }
        };
        self.take(Source { subject, subject_type, shape, on, to: step.to, reached: next })
    }

    /// Reads tuples now, or keeps them to be merged.
    fn take(&mut self, source: Source) -> Result<(), Stop> {
        if !self.program.may_hold(source.on, source.subject_type, source.shape) {
            return Ok(());
        }
        if self.back.end(source.to).is_some() {
            self.sources.push(source);
            return Ok(());
        }
        let mut after: Option<Box<str>> = None;
        loop {
            let ids = read(self.program, &mut self.meter, &source, after.as_deref(), CHUNK_ROWS)?;
            for (id, is_doubtful) in &ids.valid {
                let reached = if *is_doubtful { Reached::MayHold } else { source.reached };
                self.enter(source.to, id, reached, true)?;
            }
            match ids.more_behind {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// The subject holds a relation of an object, or may.
    fn enter(
        &mut self,
        relation: RelationIndex,
        id: &str,
        reached: Reached,
        is_hop: bool,
    ) -> Result<(), Stop> {
        let holds = reached != Reached::MayHold;
        if let Some(is_enough) = self.back.end(relation) {
            if self.request.after.is_none_or(|after| id > &*after.last) {
                *self.points.entry(id.into()).or_default() |= holds && is_enough;
            }
            return Ok(());
        }
        let leads_on = !self.back.steps(relation).is_empty();
        if !leads_on && relation != self.target {
            return Ok(());
        }
        let node = Child { relation, id: id.into() };
        let known = self.seen.get(&node).copied();
        if known.is_some_and(|known| known <= reached) {
            return Ok(());
        }
        self.seen.insert(node.clone(), reached);
        if leads_on {
            // Computed relations are no hop away: they come before what is.
            if is_hop {
                self.waiting.push_back((node, reached))
            } else {
                self.waiting.push_front((node, reached))
            }
        }
        if relation == self.target && known.is_none() { self.candidate(id, holds) } else { Ok(()) }
    }

    /// An object of the listed type.
    fn candidate(&mut self, id: &str, holds: bool) -> Result<(), Stop> {
        if let Some(until) = self.skipping {
            if id == until {
                self.skipping = None;
            }
            return Ok(());
        }
        self.meter.look_at_clock()?;
        let object = ObjectRef::from_checked(self.request.object_type, id);
        let is_listed = holds || self.check(object)?;
        self.last = Some(id.into());
        if is_listed && (self.visit)(object).is_break() {
            return Err(Stop::Visitor);
        }
        Ok(())
    }

    fn check(&mut self, object: ObjectRef<'_>) -> Result<bool, Stop> {
        if self.only_unions {
            // It is reached, but not within the limit.
            self.too_deep = true;
            return Ok(false);
        }
        let tuple = TupleRef { object, relation: self.request.relation, subject: self.request.subject };
        match super::check(self.program, self.state, tuple, self.context, self.limits) {
            Ok(answer) => Ok(answer.allowed),
            Err(EvalError::TooDeep(_)) => {
                self.too_deep = true;
                Ok(false)
            }
            Err(error) => Err(Stop::Check(error)),
        }
    }

    /// Reads what is left side by side, in the order of the ids.
    fn merge(&mut self) -> Result<(), Stop> {
        let sources = std::mem::take(&mut self.sources);
        let rows = (MERGED_ROWS / sources.len().max(1)).clamp(4, CHUNK_ROWS);
        let mut inputs = Vec::with_capacity(sources.len() + 1);
        for source in sources {
            let holds = source.reached != Reached::MayHold && self.back.end(source.to) == Some(true);
            let more = Some(self.request.after.map(|after| after.last.clone()));
            inputs.push(Input { source: Some(source), holds, ready: VecDeque::new(), more });
        }
        for (holds, points) in [(true, true), (false, false)].map(|(holds, is_sure)| {
            let of_kind = self.points.iter().filter(|(_, sure)| **sure == is_sure);
            (holds, of_kind.map(|(id, _)| (id.clone(), false)).collect())
        }) {
            inputs.push(Input { source: None, holds, ready: points, more: None });
        }
        self.points.clear();
        let mut heads = BinaryHeap::with_capacity(inputs.len());
        for (at, input) in inputs.iter_mut().enumerate() {
            if let Some((id, is_doubtful)) = input.next(self.program, &mut self.meter, rows)? {
                heads.push(Reverse((id, at, is_doubtful)));
            }
        }
        while let Some(Reverse((id, at, is_doubtful))) = heads.pop() {
            let mut holds = inputs[at].holds && !is_doubtful;
            let mut from = vec![at];
            while let Some(Reverse((next, at, is_doubtful))) = heads.peek()
                && *next == id
            {
                holds |= inputs[*at].holds && !is_doubtful;
                from.push(*at);
                heads.pop();
            }
            self.candidate(&id, holds)?;
            for at in from {
                if let Some((next, is_doubtful)) = inputs[at].next(self.program, &mut self.meter, rows)? {
                    heads.push(Reverse((next, at, is_doubtful)));
                }
            }
        }
        Ok(())
    }
}

/// One of the streams of ids that are merged.
struct Input {
    source: Option<Source>,
    holds: bool,
    ready: VecDeque<(Box<str>, bool)>,
    /// Where to read on; none at the end.
    more: Option<Option<Box<str>>>,
}

impl Input {
    fn next(
        &mut self,
        program: &Program,
        meter: &mut Meter<'_>,
        rows: usize,
    ) -> Result<Option<(Box<str>, bool)>, EvalError> {
        while self.ready.is_empty() {
            let (Some(source), Some(after)) = (&self.source, self.more.take()) else { return Ok(None) };
            let ids = read(program, meter, source, after.as_deref(), rows)?;
            self.ready = ids.valid.into();
            self.more = ids.more_behind.map(Some);
        }
        Ok(self.ready.pop_front())
    }
}

/// Some of the objects that a source's tuples are on.
struct Ids {
    /// Those whose tuples the schema allows and that count, each once, in order; and whether it cannot be told that the
    /// tuple counts.
    valid: Vec<(Box<str>, bool)>,
    /// There may be more, behind this one.
    more_behind: Option<Box<str>>,
}

fn read(
    program: &Program,
    meter: &mut Meter<'_>,
    source: &Source,
    after: Option<&str>,
    rows: usize,
) -> Result<Ids, EvalError> {
    let mut ids = Ids { valid: Vec::new(), more_behind: None };
    let mut count = 0;
    let (object_type, relation) = (program.type_name(source.on), program.relation_name(source.on));
    let conditions = meter.conditions();
    meter.objects(source.subject.as_ref(), object_type, relation, after, |object, row| {
        count += 1;
        if program.allows(source.on, source.subject_type, source.shape, row) {
            let tuple = TupleRef { object, relation, subject: source.subject.as_ref() };
            let is_doubtful = match conditions.counts(program, tuple, row) {
                Counts::No => None,
                Counts::Yes => Some(false),
                Counts::Unknown(_) => Some(true),
            };
            match (ids.valid.last_mut(), is_doubtful) {
                (_, None) => {}
                (Some((last, known)), Some(doubtful)) if **last == *object.id() => *known &= doubtful,
                (_, Some(doubtful)) => ids.valid.push((object.id().into(), doubtful)),
            }
        }
        if count < rows {
            return ControlFlow::Continue(());
        }
        ids.more_behind = Some(object.id().into());
        ControlFlow::Break(())
    })?;
    Ok(ids)
}
