//! Reading under limits: every look at the state goes through the meter.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::conditions::Conditions;
use super::error::EvalError;
use crate::storage::{Row, StorageError, TupleReader};
use crate::tuple::{ObjectRef, SubjectKind, SubjectRef, TupleRef};

/// How much one question may take. Reaching a limit is a typed error, never a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Greatest number of hops (usersets and parents) to a subproblem.
    pub depth_max: u32,
    /// Greatest number of look-ups and rows read.
    pub reads_max: u64,
    /// Greatest time.
    pub time_max: Duration,
    /// Greatest number of nodes in an expansion.
    pub expand_nodes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth_max: 25,
            reads_max: 10_000_000,
            time_max: Duration::from_secs(3),
            expand_nodes_max: 100_000,
        }
    }
}

/// What a question took: counted, so that a slow plan is seen without a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Point look-ups.
    pub gets: u64,
    /// Scans begun.
    pub scans: u64,
    /// Rows that scans visited.
    pub rows: u64,
}

pub(super) struct Meter<'a> {
    state: &'a dyn TupleReader,
    limits: &'a Limits,
    conditions: &'a Conditions<'a>,
    /// The outer one: not looked at yet. The inner one: there is none.
    deadline: Option<Option<Instant>>,
    work: Work,
}

/// The clock is looked at once in this many reads.
const READS_PER_CLOCK: u64 = 256;

impl<'a> Meter<'a> {
    pub(super) fn new(
        state: &'a dyn TupleReader,
        limits: &'a Limits,
        conditions: &'a Conditions<'a>,
    ) -> Meter<'a> {
        // The clock is read only when a question turns out to be long.
        Meter { state, limits, conditions, deadline: None, work: Work::default() }
    }

    /// Counts the time from now on, not from the first time that the clock is looked at.
    pub(super) fn start_clock(&mut self) {
        self.deadline = Some(Instant::now().checked_add(self.limits.time_max));
    }

    /// Whether the time is over.
    pub(super) fn look_at_clock(&self) -> Result<(), EvalError> {
        match self.deadline {
            Some(Some(deadline)) if Instant::now() > deadline => {
                Err(EvalError::TimedOut(self.limits.time_max))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// The conditions of the question, to be asked while rows are visited.
    pub(super) fn conditions(&self) -> &'a Conditions<'a> {
        self.conditions
    }

    pub(super) fn work(&self) -> Work {
        self.work
    }

    /// One point look-up.
    pub(super) fn get(&mut self, tuple: TupleRef<'_>) -> Result<Option<Row>, EvalError> {
        self.work.gets += 1;
        self.spend()?;
        Ok(self.state.get(tuple)?)
    }

    /// The subjects of one shape on `object#relation`.
    pub(super) fn subjects(
        &mut self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        mut visit: impl FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), EvalError> {
        self.scan(|state, row_seen| {
            state.subjects(object, relation, kind, &mut |subject, row| {
                row_seen()?;
                visit(subject, row)
            })
        })
    }

    /// The objects of a type on which the subject itself is written with a relation, behind an id.
    pub(super) fn objects(
        &mut self,
        subject: SubjectRef<'_>,
        object_type: &str,
        relation: &str,
        after: Option<&str>,
        mut visit: impl FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), EvalError> {
        self.scan(|state, row_seen| {
            state.objects(subject, object_type, relation, after, &mut |object, row| {
                row_seen()?;
                visit(object, row)
            })
        })
    }

    /// One scan; it calls back for every row, which breaks when a limit is reached.
    fn scan(
        &mut self,
        run: impl FnOnce(&dyn TupleReader, &mut dyn FnMut() -> ControlFlow<()>) -> Result<(), StorageError>,
    ) -> Result<(), EvalError> {
        self.work.scans += 1;
        self.spend()?;
        let mut over = Ok(());
        let state = self.state;
        run(state, &mut || {
            self.work.rows += 1;
            over = self.spend();
            if over.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        over
    }

    fn spend(&mut self) -> Result<(), EvalError> {
        let spent = self.work.gets + self.work.scans + self.work.rows;
        if spent > self.limits.reads_max {
            return Err(EvalError::TooManyReads(self.limits.reads_max));
        }
        if spent.is_multiple_of(READS_PER_CLOCK) || self.conditions.were_evaluated() {
            let now = Instant::now();
            let deadline = *self.deadline.get_or_insert_with(|| now.checked_add(self.limits.time_max));
            if deadline.is_some_and(|deadline| now > deadline) {
                return Err(EvalError::TimedOut(self.limits.time_max));
            }
        }
        Ok(())
    }
}
