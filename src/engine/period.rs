//! Period: since when, and until when, an answer is what it is.
//!
//! An evaluation is recorded with everything that it looked at. The answer is the same at every moment up to the next
//! one, in either direction, at which one of these looks may be answered otherwise: a change in the log that one of them
//! sees, the end of a row that was met, another schema, or revisions whose tuples are purged. There the question is asked
//! again, until the answer differs. All of this is read under the snapshot of the view that gave the answer: what is
//! written, collected or purged meanwhile cannot tear it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::error::EngineError;
use super::given::Given;
use super::view::View;
use crate::eval::{self, Answer, EvalError, Limits};
use crate::storage::{ChangeRecord, Reads, Recorder, StorageError};
use crate::tuple::{Revision, Timestamp, TupleRef};

/// How long the whole search may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Reads of one evaluation: each is remembered.
const READS_MAX: u64 = 1_000_000;
/// Log entries between two looks at the clock.
const ENTRIES_PER_CLOCK: u64 = 4_096;
/// Changes that are told of one moment.
const CHANGES_MAX: usize = 10;

/// The time during which an answer is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Since when.
    pub since: Since,
    /// Until when.
    pub until: Until,
}

/// Since when an answer is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// It was another one just before.
    Moment(Moment),
    /// As long as the store has been there.
    Beginning(Timestamp),
    /// At least since the oldest revision that is kept, of this time.
    Collected(Revision, Timestamp),
    /// At least since this revision and time: what would have to be asked about before is purged.
    Purged(Revision, Timestamp),
}

/// Until when an answer is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// From this moment on it is another one.
    Moment(Moment),
    /// Now it is the same. If nothing is changed, it is another one from this time on, when a tuple ends.
    Due(Timestamp),
    /// Now it is the same.
    Open,
    /// At least up to this revision and time: what would have to be asked about then is purged.
    Purged(Revision, Timestamp),
}

/// When an answer became another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The time from which on it is.
    pub time: Timestamp,
    /// The revision in force from then on.
    pub revision: Revision,
    /// By what.
    pub cause: Cause,
}

/// What made an answer another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// These changes; others that the answer does not hang on are left out, as are those beyond the tenth.
    Changes(Vec<ChangeRecord>),
    /// Another schema.
    Schema,
    /// The end of a tuple.
    Expiry,
}

/// A state at a time: a point on the way.
struct Point {
    revision: Revision,
    outcome: Outcome,
    reads: Reads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Yes,
    No,
    /// There was no schema, or one that lacks a name, or a limit was reached.
    NoAnswer,
    Purged,
}

/// Where the answer may become another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// At a revision.
    Revision(Revision),
    /// At a time between two.
    Time(Timestamp),
}

struct Search<'v, 'e> {
    view: &'v View<'e>,
    tuple: TupleRef<'v>,
    given: &'v Given,
    limits: Limits,
    deadline: Instant,
    /// Revisions that wrote schemas, in order; empty where the schema is named.
    schemas: Vec<Revision>,
}

impl View<'_> {
    /// Since when, and until when, the answer to a check is what it is in this state.
    ///
    /// # Errors
    /// [`EvalError::TimedOut`] also where the search takes too long.
    pub fn period(&self, tuple: TupleRef<'_>, given: &Given) -> Result<Period, EngineError> {
        let token = self.token();
        let mut schemas = Vec::new();
        if !self.is_named {
            let written = self.engine.database().schemas(self.store.number)?;
            schemas.extend(written.into_iter().map(|(_, revision)| revision));
            schemas.retain(|revision| *revision <= self.state.head_revision());
            schemas.reverse();
        }
        let limits = &self.engine.settings().limits;
        let limits = Limits { reads_max: limits.reads_max.min(READS_MAX), ..*limits };
        let deadline = Instant::now() + TIME_MAX;
        let search = Search { view: self, tuple, given, limits, deadline, schemas };
        let begin = search.evaluate(token.revision, token.time)?;
        let since = match search.since(&begin)? {
            // Before the store was made it was as empty.
            Since::Beginning(time) => Since::Beginning(time.min(token.time)),
            since => since,
        };
        Ok(Period { since, until: search.until(&begin)? })
    }
}

impl Search<'_, '_> {
    fn since(&self, begin: &Point) -> Result<Since, EngineError> {
        let mut point = None;
        loop {
            let at: &Point = point.as_ref().unwrap_or(begin);
            let (horizon, _) = self.view.state.oldest()?;
            let Some(turn) = self.last_turn(at, horizon)? else {
                return Ok(match horizon {
                    Revision::ZERO => Since::Beginning(self.view.store.created_at),
                    horizon => Since::Collected(horizon, self.time_of(horizon)?),
                });
            };
            let time = match turn {
                Turn::Revision(revision) => self.time_of(revision)?,
                Turn::Time(time) => time,
            };
            let before = Timestamp::from_micros(time.as_micros() - 1);
            let revision = match turn {
                Turn::Revision(revision) => Revision(revision.0 - 1),
                Turn::Time(_) => self.revision_at(before)?,
            };
            let earlier = self.evaluate(revision, before)?;
            match earlier.outcome {
                outcome if outcome == begin.outcome => point = Some(earlier),
                Outcome::Purged => {
                    let revision = self.revision_at(time)?;
                    return Ok(Since::Purged(revision, time));
                }
                _ => return Ok(Since::Moment(self.moment(turn, time, &at.reads)?)),
            }
        }
    }

    fn until(&self, begin: &Point) -> Result<Until, EngineError> {
        let mut point = None;
        loop {
            let at: &Point = point.as_ref().unwrap_or(begin);
            let now = self.view.engine.database().now(Timestamp::default());
            let Some(turn) = self.next_turn(at)? else { return Ok(Until::Open) };
            let (revision, time) = match turn {
                Turn::Revision(revision) => (revision, self.time_of(revision)?),
                Turn::Time(time) => (self.revision_at(time.min(now))?, time),
            };
            let later = self.evaluate(revision, time)?;
            match later.outcome {
                outcome if outcome == begin.outcome => point = Some(later),
                Outcome::Purged => return Ok(Until::Purged(revision, time)),
                _ if time > now => return Ok(Until::Due(time)),
                _ => return Ok(Until::Moment(self.moment(turn, time, &at.reads)?)),
            }
        }
    }

    /// The latest moment, at or before a point, before which the answer may be another one; none down to the horizon.
    fn last_turn(&self, at: &Point, horizon: Revision) -> Result<Option<Turn>, EngineError> {
        let schema = self.schemas.iter().rev().find(|&&revision| revision <= at.revision).copied();
        let mut turn = schema.max(self.last_purge(at)?);
        let floor = turn.unwrap_or_default().max(horizon);
        let mut clock = self.clock();
        let mut over = Ok(());
        self.view.state.changes_back(at.revision, &mut |change| {
            over = clock();
            if over.is_err() || change.revision <= floor {
                return ControlFlow::Break(());
            }
            if change.tuple.is_some_and(|tuple| at.reads.see(tuple.key.as_ref())) {
                turn = Some(change.revision);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        over?;
        let turn = turn.filter(|&revision| revision > horizon);
        let oldest = self.time_of(horizon)?;
        let end = at.reads.last_end().filter(|&end| end > oldest);
        Ok(match (turn, end) {
            (Some(revision), Some(end)) if self.time_of(revision)? < end => Some(Turn::Time(end)),
            (Some(revision), _) => Some(Turn::Revision(revision)),
            (None, end) => end.map(Turn::Time),
        })
    }

    /// The earliest moment after a point from which on the answer may be another one.
    fn next_turn(&self, at: &Point) -> Result<Option<Turn>, EngineError> {
        let schema = self.schemas.iter().find(|&&revision| revision > at.revision).copied();
        let mut turn = [schema, self.next_purge(at)?].into_iter().flatten().min();
        let mut clock = self.clock();
        let mut over = Ok(());
        self.view.state.changes((at.revision.next(), 0), &mut |change| {
            over = clock();
            if over.is_err() || turn.is_some_and(|turn| change.revision >= turn) {
                return ControlFlow::Break(());
            }
            if change.tuple.is_some_and(|tuple| at.reads.see(tuple.key.as_ref())) {
                turn = Some(change.revision);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        over?;
        Ok(match (turn, at.reads.next_end()) {
            (Some(revision), Some(end)) if end < self.time_of(revision)? => Some(Turn::Time(end)),
            (Some(revision), _) => Some(Turn::Revision(revision)),
            (None, end) => end.map(Turn::Time),
        })
    }

    /// The latest revision, at or before a point, before which something that was looked at is purged.
    fn last_purge(&self, at: &Point) -> Result<Option<Revision>, EngineError> {
        let purged = self.purged(at)?;
        Ok(purged.into_iter().map(|(_, until)| until).filter(|&until| until <= at.revision).max())
    }

    /// The earliest revision after a point from which on something that was looked at is purged.
    fn next_purge(&self, at: &Point) -> Result<Option<Revision>, EngineError> {
        let purged = self.purged(at)?;
        Ok(purged.into_iter().map(|(from, _)| from).filter(|&from| from > at.revision).min())
    }

    fn purged(&self, at: &Point) -> Result<Vec<(Revision, Revision)>, EngineError> {
        let mut found = Vec::new();
        for look in at.reads.looks() {
            self.look_at_clock()?;
            found.extend(self.view.state.purged(look)?);
        }
        Ok(found)
    }

    /// Asks the question of a state at a time.
    fn evaluate(&self, revision: Revision, now: Timestamp) -> Result<Point, EngineError> {
        self.look_at_clock()?;
        // Shows ended rows too.
        let state = self.view.state.elsewhere(revision, Timestamp::from_micros(i64::MIN))?;
        let recorder = Recorder::new(&state, now);
        self.given.tuples.iter().filter_map(|tuple| tuple.expires_at).for_each(|end| recorder.note_end(end));
        let asked = || -> Result<Answer, EngineError> {
            let program = self.view.program_for(state.schema()?)?;
            super::view::over(&program, &recorder, &self.given.tuples, |reader| {
                Ok(eval::check(&program, reader, self.tuple, &self.given.context, &self.limits)?)
            })
        };
        let outcome = match asked() {
            Ok(Answer { allowed: true, .. }) => Outcome::Yes,
            Ok(Answer { allowed: false, .. }) => Outcome::No,
            Err(EngineError::Eval(EvalError::Storage(StorageError::Purged { .. }))) => Outcome::Purged,
            // What a limit of ours has ended says nothing about that moment.
            Err(
                error @ (EngineError::Storage(_)
                | EngineError::Eval(
                    EvalError::Storage(_) | EvalError::TooManyReads(_) | EvalError::TimedOut(_),
                )),
            ) => return Err(error),
            Err(_) => Outcome::NoAnswer,
        };
        Ok(Point { revision, outcome, reads: recorder.into_reads() })
    }

    fn moment(&self, turn: Turn, time: Timestamp, reads: &Reads) -> Result<Moment, EngineError> {
        let Turn::Revision(revision) = turn else {
            return Ok(Moment { time, revision: self.revision_at(time)?, cause: Cause::Expiry });
        };
        let mut changes = Vec::new();
        self.view.state.changes((revision, 0), &mut |change| {
            if change.revision > revision || changes.len() == CHANGES_MAX {
                return ControlFlow::Break(());
            }
            if change.tuple.as_ref().is_some_and(|tuple| reads.see(tuple.key.as_ref())) {
                changes.push(change);
            }
            ControlFlow::Continue(())
        })?;
        // Of a schema that moves tuples, it is the schema that did it.
        let is_schema = self.schemas.contains(&revision);
        let cause = if is_schema { Cause::Schema } else { Cause::Changes(changes) };
        Ok(Moment { time, revision, cause })
    }

    fn time_of(&self, revision: Revision) -> Result<Timestamp, EngineError> {
        match revision {
            Revision::ZERO => Ok(self.view.store.created_at),
            revision => Ok(self.view.state.record(revision)?.time),
        }
    }

    fn revision_at(&self, time: Timestamp) -> Result<Revision, EngineError> {
        Ok(self.view.state.revision_at(time)?)
    }

    /// Looks at the clock now and then.
    fn clock(&self) -> impl FnMut() -> Result<(), EngineError> {
        let mut entries = 0_u64;
        move || {
            entries += 1;
            if entries.is_multiple_of(ENTRIES_PER_CLOCK) { self.look_at_clock() } else { Ok(()) }
        }
    }

    fn look_at_clock(&self) -> Result<(), EngineError> {
        if Instant::now() > self.deadline {
            return Err(EvalError::TimedOut(TIME_MAX).into());
        }
        Ok(())
    }
}
