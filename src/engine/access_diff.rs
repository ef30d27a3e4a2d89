//! Access diff: who gains and who loses what by a change that is not made, or between two past times.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Engine;
use super::admission::{Rejection, admit_stored};
use super::at::At;
use super::error::EngineError;
use super::view::View;
use super::write::WriteRefusal;
use super::write_schema::SchemaInput;
use crate::analysis::{self, AccessDiff, DiffLimits, DiffRequest, Found, Permission, Side, Touched};
use crate::condition::Context;
use crate::eval::{EvalError, Program};
use crate::schema::Schema;
use crate::storage::{Change, Dated, Overlay, Row, StateReader, TupleFilter, TupleReader};
use crate::tuple::{ObjectRef, SchemaId, StoreId, Timestamp, Token, Tuple, TupleKey};

/// Changes between two times that are looked at one by one; with more, everything is compared.
const CHANGES_MAX: usize = 1_000_000;

/// A diff.
#[derive(Debug, Clone)]
pub struct AccessDiffRequest {
    /// In which store.
    pub store: StoreId,
    /// What is compared with what.
    pub of: DiffOf,
    /// Values of conditions' parameters.
    pub context: Context,
    /// Only these permissions, as type and name; empty: all.
    pub only: Vec<Permission>,
    /// How much it may take.
    pub limits: DiffLimits,
}

/// What is compared.
#[derive(Debug, Clone)]
pub enum DiffOf {
    /// A state, and the same state with a change.
    Change {
        /// Which state.
        at: At,
        /// The change.
        change: Box<ChangeSet>,
    },
    /// Two states.
    Times {
        /// The one before.
        from: At,
        /// The one after.
        to: At,
        /// Both are seen at this time; none: each at its own.
        now: Option<Timestamp>,
    },
}

/// A change that is thought of.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    /// The schema in force afterwards; none: the same.
    pub schema: Option<SchemaInput>,
    /// Tuples that are there afterwards, with these conditions and ends.
    pub writes: Vec<Tuple>,
    /// Tuples that are not.
    pub deletes: Vec<TupleKey>,
}

impl AccessDiffRequest {
    /// A diff of everything, within the usual limits.
    pub fn of(store: StoreId, of: DiffOf) -> AccessDiffRequest {
        AccessDiffRequest {
            store,
            of,
            context: Context::default(),
            only: Vec::new(),
            limits: DiffLimits::default(),
        }
    }
}

/// What a diff was of.
#[derive(Debug, Clone)]
pub struct AccessDiffAnswer {
    /// The state before.
    pub before: Token,
    /// The state after; none: it is no state of the store.
    pub after: Option<Token>,
    /// The schema before; none: there was none yet.
    pub schema: Option<SchemaId>,
    /// What it took, and what it depends on.
    pub diff: AccessDiff,
}

impl Engine {
    /// Compares who holds what before and after. Nothing is changed. `visit` is told of each relation of an object whose answers
    /// differ, by type and id of the object.
    ///
    /// # Errors
    /// A change that a write would refuse; no such store, state or schema; storage.
    pub fn access_diff(
        &self,
        request: &AccessDiffRequest,
        visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> Result<AccessDiffAnswer, EngineError> {
        match &request.of {
            DiffOf::Change { at, change } => {
                let view = self.view(request.store, None, at)?;
                self.diff_of_change(request, &view, change, visit)
            }
            DiffOf::Times { from, to, now } => {
                let before = self.past_side(request.store, from)?;
                let after = self.past_side(request.store, to)?;
                self.diff_of_times(request, [&before, &after], *now, visit)
            }
        }
    }

    fn diff_of_change(
        &self,
        request: &AccessDiffRequest,
        view: &View<'_>,
        change: &ChangeSet,
        visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> Result<AccessDiffAnswer, EngineError> {
        if change.schema.is_none() && change.writes.is_empty() && change.deletes.is_empty() {
            return Err(WriteRefusal::Empty.into());
        }
        let program = match &change.schema {
            None => Arc::clone(&view.program),
            Some(schema) => Arc::new(Program::new(schema.resolve(&self.settings().schema_limits)?.1)),
        };
        known_permissions(&request.only, [&view.program, &program])?;
        let changes = changes_of(&view.state, program.schema(), change)?;
        let mut after = Overlay::what_if(&view.state);
        after.apply(view.state.revision().next(), &changes);
        let keys = change.deletes.iter().cloned().chain(change.writes.iter().map(|tuple| tuple.key.clone()));
        let diff = analysis::access_diff(
            &DiffRequest {
                before: Side { program: &view.program, state: &view.state },
                after: Side { program: &program, state: &after },
                touched: Touched::Tuples(keys.collect()),
                context: &request.context,
                only: request.only.clone(),
                limits: request.limits,
            },
            visit,
        )?;
        Ok(AccessDiffAnswer { before: view.token(), after: None, schema: Some(view.schema()), diff })
    }

    fn diff_of_times(
        &self,
        request: &AccessDiffRequest,
        [before, after]: [&PastSide<'_>; 2],
        now: Option<Timestamp>,
        visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> Result<AccessDiffAnswer, EngineError> {
        known_permissions(&request.only, [&before.program, &after.program])?;
        let states = [with_ended(before)?, with_ended(after)?];
        let times = [before, after].map(|side| now.unwrap_or(side.state.now()));
        let touched = touched_between(&states, times)?;
        let dated = [Dated::new(&states[0], times[0]), Dated::new(&states[1], times[1])];
        let diff = analysis::access_diff(
            &DiffRequest {
                before: Side { program: &before.program, state: &dated[0] },
                after: Side { program: &after.program, state: &dated[1] },
                touched,
                context: &request.context,
                only: request.only.clone(),
                limits: request.limits,
            },
            visit,
        )?;
        Ok(AccessDiffAnswer {
            before: self.token_of(request.store, &before.state),
            after: Some(self.token_of(request.store, &after.state)),
            schema: before.schema,
            diff,
        })
    }

    /// A state and its schema. Before there was any, nobody could do anything.
    fn past_side(&self, store: StoreId, at: &At) -> Result<PastSide<'_>, EngineError> {
        let record = self.store(store)?;
        let state = self.held_state(&record, at)?;
        match state.schema()? {
            None => Ok(PastSide { state, program: Arc::new(Program::new(Schema::empty())), schema: None }),
            in_force => {
                let (schema, program) = self.program(&record, None, in_force)?;
                Ok(PastSide { state, program, schema: Some(schema) })
            }
        }
    }
}

/// A past state.
struct PastSide<'e> {
    state: StateReader<'e>,
    program: Arc<Program>,
    schema: Option<SchemaId>,
}

/// The state, with the rows that have ended too.
fn with_ended<'e>(side: &PastSide<'e>) -> Result<StateReader<'e>, EngineError> {
    Ok(side.state.elsewhere(side.state.revision(), Timestamp::from_micros(i64::MIN))?)
}

/// The changes, as a write would make them; what is there already as it is to be changes nothing.
fn changes_of(
    state: &dyn TupleReader,
    schema: &Schema,
    change: &ChangeSet,
) -> Result<Vec<Change>, EngineError> {
    let mut seen = std::collections::HashSet::new();
    for key in change.deletes.iter().chain(change.writes.iter().map(|tuple| &tuple.key)) {
        if !seen.insert(key) {
            return Err(WriteRefusal::Repeated(key.to_string()).into());
        }
    }
    let mut changes = Vec::with_capacity(seen.len());
    for key in &change.deletes {
        if state.get(key.as_ref())?.is_none() {
            return Err(WriteRefusal::Missing(key.to_string()).into());
        }
        changes.push(Change::Delete(key.clone()));
    }
    for tuple in &change.writes {
        admit_stored(schema, tuple).map_err(|reason| Rejection::refused(tuple, reason))?;
        changes.push(Change::Write(tuple.clone()));
    }
    Ok(changes)
}

/// The tuples that differ between two states: those of the log between them, and those that end between their times.
fn touched_between(
    [before, after]: &[StateReader<'_>; 2],
    times: [Timestamp; 2],
) -> Result<Touched, EngineError> {
    let (first, last) = if before.revision() <= after.revision() { (before, after) } else { (after, before) };
    let until = last.revision();
    let mut keys: Vec<TupleKey> = Vec::new();
    let mut is_known = true;
    last.changes((first.revision().next(), 0), &mut |change| {
        if change.revision > until {
            return ControlFlow::Break(());
        }
        match change.tuple {
            Some(tuple) if keys.len() < CHANGES_MAX => keys.push(tuple.key),
            // Of a purge it is not known what it took away.
            _ => is_known = false,
        }
        if is_known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let (from, to) = (times[0].min(times[1]), times[0].max(times[1]));
    if is_known && from < to {
        first.scan(&TupleFilter::default(), &mut |tuple, row: &Row| {
            if row.expires_at.is_some_and(|end| from < end && end <= to) {
                keys.push(tuple.to_owned());
            }
            ControlFlow::Continue(())
        })?;
    }
    if !is_known || keys.len() > CHANGES_MAX {
        return Ok(Touched::Anything);
    }
    keys.sort_by_key(ToString::to_string);
    keys.dedup();
    Ok(Touched::Tuples(keys))
}

/// Makes sure that one side has each permission that is asked for: a misspelt one would never differ.
pub(super) fn known_permissions(only: &[Permission], programs: [&Program; 2]) -> Result<(), EngineError> {
    for (of, relation) in only {
        let mut last = Ok(());
        for program in programs {
            let tuple = format!("{of}:x");
            last = ObjectRef::parse(&tuple)
                .map_err(|_| EvalError::UnknownType { name: of.to_string(), help: String::new() })
                .and_then(|object| super::audit::find(program, object, relation));
            if last.is_ok() {
                break;
            }
        }
        last?;
    }
    Ok(())
}
