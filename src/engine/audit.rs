//! Audit: who can do something on an object, and what a subject can do, at a time and between two times.
//!
//! Between two times the answer is worked out once, and then again at each moment at which something that it looked at changes:
//! a tuple that it saw or looked for, the schema, the end of a tuple.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::Engine;
use super::at::At;
use super::error::EngineError;
use super::view::View;
use crate::analysis::{self, DiffLimits, Held, Holder, Permission, Side};
use crate::condition::Context;
use crate::eval::{EvalError, Program};
use crate::storage::{Reads, Recorder, StorageError, TupleReader};
use crate::tuple::{Object, ObjectRef, Revision, SchemaId, StoreId, Timestamp, Token};

/// How long a question about a time may take.
const TIME_MAX: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Debug, Clone)]
pub enum AuditQuestion {
    /// Who holds a relation of an object.
    Who {
        /// On what.
        object: Object,
        /// What.
        relation: Box<str>,
    },
    /// What a subject holds.
    What {
        /// Who.
        subject: Object,
        /// Only these permissions, as type and name; empty: all.
        only: Vec<Permission>,
    },
}

/// Of when.
#[derive(Debug, Clone)]
pub enum AuditTime {
    /// In one state.
    At(At),
    /// At any moment between two times, both included.
    Between(Timestamp, Timestamp),
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Who.
    Holder(Holder),
    /// What.
    Held(Held),
}

/// Since when and until when, within a time; no end: it was still so at the last moment.
pub type Stretch = (Timestamp, Option<Timestamp>);

/// A line of an answer, with its stretch where a time was asked about.
pub type AuditLine = (Access, Option<Stretch>);

/// The answer.
#[derive(Debug, Clone)]
pub struct AuditAnswer {
    /// By subject, or by object and permission.
    pub lines: Vec<AuditLine>,
    /// The state, or the last one.
    pub token: Token,
    /// The schema of that state.
    pub schema: SchemaId,
}

impl Engine {
    /// Answers who or what, of one state or of a time.
    ///
    /// # Errors
    /// No such store, state or schema; a bound that was reached.
    pub fn audit(
        &self,
        store: StoreId,
        question: &AuditQuestion,
        time: &AuditTime,
        context: &Context,
    ) -> Result<AuditAnswer, EngineError> {
        match time {
            AuditTime::At(at) => {
                let view = self.view(store, None, at)?;
                let lines = answer(question, &view.program, &view.state, context)?;
                let lines = lines.into_iter().map(|line| (line, None)).collect();
                Ok(AuditAnswer { lines, token: view.token(), schema: view.schema() })
            }
            AuditTime::Between(from, to) => {
                // Held, so that nothing of the time between is collected meanwhile.
                let first = self.view(store, None, &At::Time(*from))?;
                let last = self.view(store, None, &At::Time(*to))?;
                let lines = Timeline { first: &first, last: &last, question, context }.run(*from, *to)?;
                Ok(AuditAnswer { lines, token: last.token(), schema: last.schema() })
            }
        }
    }
}

fn answer(
    question: &AuditQuestion,
    program: &Program,
    state: &dyn TupleReader,
    context: &Context,
) -> Result<Vec<Access>, EngineError> {
    let (side, limits) = (Side { program, state }, DiffLimits::default());
    Ok(match question {
        AuditQuestion::Who { object, relation } => {
            find(program, object.as_ref(), relation)?;
            let found = analysis::holders(side, object.as_ref(), relation, context, &limits)?;
            found.into_iter().map(Access::Holder).collect()
        }
        AuditQuestion::What { subject, only } => {
            super::access_diff::known_permissions(only, [program, program])?;
            let found = analysis::held(side, subject, context, only, &limits)?;
            found.into_iter().map(Access::Held).collect()
        }
    })
}

/// Makes sure that the schema knows what is asked about.
pub(super) fn find(program: &Program, object: ObjectRef<'_>, relation: &str) -> Result<(), EvalError> {
    let schema = program.schema();
    let Some(of) = schema.type_named(object.object_type()) else {
        let name = object.object_type().to_owned();
        let help = schema.instead_of_type(&name);
        return Err(EvalError::UnknownType { name, help });
    };
    match schema.relation_named(of, relation) {
        Some(_) => Ok(()),
        None => Err(EvalError::UnknownRelation {
            object_type: object.object_type().to_owned(),
            relation: relation.to_owned(),
            help: schema.instead_of_relation(of, relation),
        }),
    }
}

type Lines = Vec<AuditLine>;

struct Timeline<'t, 'e> {
    first: &'t View<'e>,
    last: &'t View<'e>,
    question: &'t AuditQuestion,
    context: &'t Context,
}

impl Timeline<'_, '_> {
    fn run(&self, from: Timestamp, to: Timestamp) -> Result<Lines, EngineError> {
        let begun = Instant::now();
        let mut schemas: Vec<Revision> = Vec::new();
        for (_, revision) in self.last.engine.database().schemas(self.last.store.number)? {
            schemas.push(revision);
        }
        schemas.sort();
        let (mut revision, mut time) = (self.first.token().revision, from);
        let (mut open, mut lines) = (BTreeMap::<Access, Timestamp>::new(), Lines::new());
        loop {
            if begun.elapsed() > TIME_MAX {
                return Err(EvalError::TimedOut(TIME_MAX).into());
            }
            let (mut found, reads) = self.evaluate(revision, time)?;
            found.sort();
            let gone: Vec<Access> =
                open.keys().filter(|line| found.binary_search(line).is_err()).cloned().collect();
            for line in gone {
                let since = open.remove(&line).unwrap_or(from);
                lines.push((line, Some((since, Some(time)))));
            }
            for line in found {
                open.entry(line).or_insert(time);
            }
            match self.next(revision, time, &reads, &schemas)? {
                Some((next_revision, next_time)) if next_time <= to => {
                    (revision, time) = (next_revision, next_time);
                }
                _ => break,
            }
        }
        lines.extend(open.into_iter().map(|(line, since)| (line, Some((since, None)))));
        lines.sort();
        Ok(lines)
    }

    fn evaluate(&self, revision: Revision, time: Timestamp) -> Result<(Vec<Access>, Reads), EngineError> {
        // Shows ended rows too.
        let state = self.last.state.elsewhere(revision, Timestamp::from_micros(i64::MIN))?;
        let recorder = Recorder::new(&state, time);
        let found = match self.last.program_for(state.schema()?) {
            Ok(program) => match answer(self.question, &program, &recorder, self.context) {
                // The schema of that time did not know it: nobody could.
                Err(EngineError::Eval(EvalError::UnknownType { .. } | EvalError::UnknownRelation { .. })) => {
                    Vec::new()
                }
                found => found?,
            },
            Err(EngineError::NoSchema(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok((found, recorder.into_reads()))
    }

    /// The next moment at which the answer may be another one.
    fn next(
        &self,
        revision: Revision,
        time: Timestamp,
        reads: &Reads,
        schemas: &[Revision],
    ) -> Result<Option<(Revision, Timestamp)>, EngineError> {
        let state = &self.last.state;
        let until = state.revision();
        let mut turn = schemas.iter().copied().find(|&schema| schema > revision && schema <= until);
        state.changes((revision.next(), 0), &mut |change| {
            if change.revision > until || turn.is_some_and(|turn| change.revision >= turn) {
                return ControlFlow::Break(());
            }
            // What a purge took away is not known.
            if change.tuple.is_none_or(|tuple| reads.see(tuple.key.as_ref())) {
                turn = Some(change.revision);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        let at =
            |revision: Revision| -> Result<_, StorageError> { Ok((revision, state.record(revision)?.time)) };
        let turn = turn.map(at).transpose()?;
        let end = reads.next_end().filter(|end| *end > time);
        Ok(match (turn, end) {
            (Some((_, moment)), Some(end)) if end < moment => {
                Some((state.revision_at(end)?.max(revision), end))
            }
            (None, Some(end)) => Some((state.revision_at(end)?.max(revision), end)),
            (turn, _) => turn,
        })
    }
}
