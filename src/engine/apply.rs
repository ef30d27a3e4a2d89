//! Apply: a new schema, renames that move tuples, and writes, all of it in one revision, or nothing.
//!
//! What the schema would silence is found before the writer is asked; the plan makes sure that this still holds, decides
//! everything else on the state that it finds, and makes the changes.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::admission::{Rejection, admit_stored};
use super::error::EngineError;
use super::pending::Pending;
use super::precondition::{Precondition, Preconditions};
use super::renames::{Rename, Renames};
use super::silenced::{Fate, Judge, Looked};
use super::tuple_groups::TupleGroups;
use super::write::{OnDuplicate, OnMissing, WriteRefusal, check_unrepeated, is_same};
use super::write_schema::SchemaInput;
use super::{At, Engine, Shared};
use crate::eval::Program;
use crate::storage::{Change, Row, StateReader, StoreRecord, TupleReader};
use crate::tuple::{Revision, SchemaId, StoreId, Token, Tuple, TupleError, TupleKey, TupleRef};

/// A change of the schema together with what it asks of the tuples, or a change of tuples alone.
#[derive(Debug, Clone)]
pub struct ApplyRequest {
    /// Of which store.
    pub store: StoreId,
    /// The schema to be in force afterwards; none: the one that is.
    pub schema: Option<SchemaInput>,
    /// What it calls otherwise than the schema before: the tuples move along.
    pub renames: Vec<Rename>,
    /// Tuples to be there afterwards, as the new schema calls them.
    pub writes: Vec<Tuple>,
    /// Tuples to be gone afterwards, as they are stored before.
    pub deletes: Vec<TupleKey>,
    /// What has to be true before.
    pub preconditions: Vec<Precondition>,
    /// What to do with a tuple that is there already.
    pub on_duplicate: OnDuplicate,
    /// What to do with a deletion of a tuple that is not there.
    pub on_missing: OnMissing,
    /// Go on where the schema silences tuples: they stay stored, and count no longer.
    pub allow_silenced: bool,
    /// Find out what would be done, and do nothing.
    pub is_trial: bool,
}

/// What a change does to the stored tuples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplyReport {
    /// Those that count under the schema before, and would not under the new one.
    pub silenced: TupleGroups,
    /// Tuples that move.
    pub moved: u64,
    /// Tuples of the request that are written.
    pub written: u64,
    /// Tuples of the request that are deleted.
    pub deleted: u64,
}

/// A change that was made, or tried.
#[derive(Debug, Clone)]
pub struct ApplyAnswer {
    /// What it does.
    pub report: ApplyReport,
    /// None: it was a trial.
    pub applied: Option<Applied>,
}

/// A change that was made.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The id of the new schema, if there was one.
    pub schema: Option<SchemaId>,
    /// The state that it left.
    pub token: Token,
}

/// Why a change of the schema was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyRefusal {
    /// There is nothing to do.
    #[error("there is nothing to apply: pass a schema, or tuples to write or to delete")]
    Empty,
    /// Names change only together with the schema that they are of.
    #[error("rename `{0}` comes without a schema: pass the one that has the new name")]
    RenameWithoutSchema(Rename),
    /// The schema in force does not have the old name.
    #[error("rename `{0}`: the schema in force has no such {what}", what = what_of(.0))]
    UnknownOld(Rename),
    /// The new schema does not have the new name.
    #[error("rename `{0}`: the new schema has no {what} of the new name", what = what_of(.0))]
    UnknownNew(Rename),
    /// A name is renamed twice.
    #[error("rename `{0}`: another rename is of the same name, keep one of them")]
    RenamedTwice(Rename),
    /// Too many tuples would move.
    #[error(
        "more than {0} tuples would move as one revision: apply a schema that has both names, write them anew in parts, and drop the old name then"
    )]
    TooManyMoved(usize),
    /// A tuple would move to where another one is.
    #[error(
        "tuple `{from}` would become `{to}`, which is there with another condition or expiry: delete one of them"
    )]
    Lands {
        /// What it is called before.
        from: String,
        /// What it would be called.
        to: String,
    },
    /// The new name of a tuple is too long.
    #[error("tuple `{tuple}` cannot be renamed: {cause}")]
    Unnameable {
        /// What it is called before.
        tuple: String,
        /// What is wrong with the new name.
        cause: TupleError,
    },
    /// Too much was written while the store was searched.
    #[error(
        "more than {0} changes were made while the store was searched: too much was written meanwhile, try again"
    )]
    TooMuchMeanwhile(usize),
    /// Something was purged while the store was searched.
    #[error("something was purged while the store was searched: try again")]
    PurgedMeanwhile,
    /// A schema was written while the store was searched.
    #[error("another schema was written while the store was searched: look at it, and try again")]
    SchemaMeanwhile,
    /// The schema would silence stored tuples.
    #[error(
        "the schema would silence {} stored tuples, of {} kinds: delete or rename them with it, or allow it", .0.silenced.total(), .0.silenced.iter().len()
    )]
    Silences(Box<ApplyReport>),
}

fn what_of(rename: &Rename) -> &'static str {
    match rename {
        Rename::Type { .. } => "type",
        Rename::Relation { .. } => "relation",
    }
}

/// A change on its way to the writer's thread.
struct Plan {
    shared: Arc<Shared>,
    store: StoreRecord,
    request: ApplyRequest,
    preconditions: Preconditions,
    /// None: the schema stays.
    schema: Option<NewSchema>,
}

/// A schema that is to be written, and what was found out about it.
struct NewSchema {
    document: Box<str>,
    judge: Judge,
    looked: Looked,
}

/// What a plan came to.
struct Planned {
    changes: Vec<Change>,
    report: ApplyReport,
    schema: Option<SchemaId>,
}

impl Engine {
    /// Puts a schema in force, moves what it calls otherwise, writes and deletes tuples: all of it in one revision.
    ///
    /// # Errors
    /// A refusal; then nothing was changed. [`ApplyRefusal::Silences`] where the schema would silence tuples, and that is
    /// not allowed; a trial reports it instead.
    pub fn apply(&self, request: ApplyRequest) -> Result<ApplyAnswer, EngineError> {
        let store = self.store(request.store)?;
        self.check_apply(&request)?;
        let preconditions = self.open_preconditions(&store, &request.preconditions)?;
        // Held until the end, and with it the change log behind it.
        let state = self.held_state(&store, &At::Head)?;
        let schema = self.look_at_new_schema(&store, &request, &state)?;
        let is_refused = !request.allow_silenced && schema.as_ref().is_some_and(NewSchema::silences);
        let is_trial = request.is_trial;
        let plan =
            Plan { shared: Arc::clone(&self.shared), store: store.clone(), request, preconditions, schema };
        if is_trial || is_refused {
            let Planned { report, .. } = plan.run(&state, state.schema()?, false)?;
            return match is_trial {
                true => Ok(ApplyAnswer { report, applied: None }),
                false => Err(ApplyRefusal::Silences(Box::new(report)).into()),
            };
        }
        let (tell, told) = sync_channel(1);
        let run = move |state: &dyn TupleReader, in_force| {
            let Planned { changes, report, schema } = plan.run(state, in_force, true)?;
            // The receiver is there until the change is answered.
            let _ = tell.send((report, schema));
            Ok(changes)
        };
        let commit = self.writer.write_first::<EngineError>(store.id, None, Box::new(run))?;
        let (report, schema) = told.try_recv().unwrap_or_default();
        let token = self.token(store.id, commit.revision, commit.time);
        Ok(ApplyAnswer { report, applied: Some(Applied { schema, token }) })
    }

    /// What can be said about a change without any state.
    fn check_apply(&self, request: &ApplyRequest) -> Result<(), EngineError> {
        let (found, limit) = (request.writes.len() + request.deletes.len(), self.settings().write_tuples_max);
        if found == 0 && request.schema.is_none() && request.renames.is_empty() {
            return Err(ApplyRefusal::Empty.into());
        }
        if let (None, Some(rename)) = (&request.schema, request.renames.first()) {
            return Err(ApplyRefusal::RenameWithoutSchema(rename.clone()).into());
        }
        if found > limit {
            return Err(WriteRefusal::TooManyTuples { found, limit }.into());
        }
        Preconditions::check_number(&request.preconditions)?;
        Ok(check_unrepeated(&request.writes, &request.deletes)?)
    }

    fn look_at_new_schema(
        &self,
        store: &StoreRecord,
        request: &ApplyRequest,
        state: &StateReader<'_>,
    ) -> Result<Option<NewSchema>, EngineError> {
        let Some(input) = &request.schema else { return Ok(None) };
        let (tree, schema) = input.resolve(&self.settings().schema_limits)?;
        let in_force = state.schema()?;
        let before = in_force.map(|id| self.program(store, Some(id), None)).transpose()?;
        let before = before.map(|(_, program)| program);
        let renames = match (&before, request.renames.first()) {
            (Some(before), _) => Renames::new(&request.renames, before.schema(), &schema)?,
            (None, Some(rename)) => return Err(ApplyRefusal::UnknownOld(rename.clone()).into()),
            (None, None) => Renames::default(),
        };
        let judge = Judge {
            before,
            after: Arc::new(Program::new(schema)),
            renames,
            deleted: request.deletes.iter().cloned().collect(),
            written: request.writes.iter().map(|tuple| tuple.key.clone()).collect(),
        };
        let looked = judge.look_through(state)?;
        Ok(Some(NewSchema { document: tree.to_json().to_string().into(), judge, looked }))
    }
}

impl NewSchema {
    fn silences(&self) -> bool {
        !self.looked.silenced.is_empty()
    }
}

impl Plan {
    /// From the state it finds to the changes it makes: preconditions, deletions, renames, then writes. `is_live`: the state
    /// is the writer's, and may be newer than the one that was searched.
    fn run(
        mut self,
        state: &dyn TupleReader,
        in_force: Option<SchemaId>,
        is_live: bool,
    ) -> Result<Planned, EngineError> {
        self.preconditions.hold(state, &self.shared.database, self.store.number)?;
        if is_live && let Some(schema) = &mut self.schema {
            if schema.looked.schema != in_force {
                return Err(ApplyRefusal::SchemaMeanwhile.into());
            }
            let place = (&*self.shared.database, self.store.number);
            schema.judge.look_again(&mut schema.looked, place, state)?;
        }
        let after = match &self.schema {
            Some(schema) => Arc::clone(&schema.judge.after),
            None => {
                let id = in_force.ok_or(EngineError::NoSchema(self.store.id))?;
                self.shared.programs.get(&self.shared.database, self.store.number, id)?
            }
        };
        let mut pending = Pending::over(state);
        let mut report = ApplyReport {
            deleted: self.delete(&mut pending)?,
            moved: self.move_renamed(state, &mut pending)?,
            written: self.write(&after, &mut pending)?,
            silenced: TupleGroups::default(),
        };
        if let Some(schema) = &mut self.schema {
            report.silenced = std::mem::take(&mut schema.looked.silenced);
        }
        if is_live && !self.request.allow_silenced && !report.silenced.is_empty() {
            return Err(ApplyRefusal::Silences(Box::new(report)).into());
        }
        let mut changes = Vec::new();
        let schema = is_live.then(|| self.new_schema(&mut changes)).flatten();
        if is_live {
            pending.into_changes(&mut changes)?;
        }
        Ok(Planned { changes, report, schema })
    }

    /// The schema stands before the tuples that it lets in.
    fn new_schema(&mut self, changes: &mut Vec<Change>) -> Option<SchemaId> {
        let NewSchema { document, judge, .. } = self.schema.take()?;
        // Ids are made one after the other here, so that they sort as the revisions do.
        let id = SchemaId::generate();
        self.shared.programs.keep(self.store.number, id, judge.after);
        changes.push(Change::Schema { id, document });
        Some(id)
    }

    fn delete(&self, pending: &mut Pending<'_>) -> Result<u64, EngineError> {
        let mut deleted = 0;
        for key in &self.request.deletes {
            // Not held against the schema: tuples of relations that are gone must be deletable.
            match (pending.get(key)?, self.request.on_missing) {
                (Some(_), _) => {
                    pending.put(key.clone(), None);
                    deleted += 1;
                }
                (None, OnMissing::Ignore) => {}
                (None, OnMissing::Error) => return Err(WriteRefusal::Missing(key.to_string()).into()),
            }
        }
        Ok(deleted)
    }

    /// Everything leaves its place before anything takes a new one, so that names can be exchanged.
    fn move_renamed(&self, state: &dyn TupleReader, pending: &mut Pending<'_>) -> Result<u64, EngineError> {
        let Some(NewSchema { judge, .. }) = &self.schema else { return Ok(0) };
        let mut moving = Vec::new();
        for filter in judge.renames.filters() {
            let mut failed = Ok(());
            state.scan(&filter, &mut |tuple, row| {
                failed = self.take_up(judge, (tuple, row), pending, &mut moving);
                if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            failed?;
        }
        let moved = moving.len() as u64;
        for Moving { to, row } in moving {
            if let Some(there) = pending.get(&to)?
                && (&there.condition, there.expires_at) != (&row.condition, row.expires_at)
            {
                return Err(self.lands(judge, state, &to)?.into());
            }
            pending.put(to, Some(row));
        }
        Ok(moved)
    }

    fn take_up(
        &self,
        judge: &Judge,
        (tuple, row): (TupleRef<'_>, &Row),
        pending: &mut Pending<'_>,
        moving: &mut Vec<Moving>,
    ) -> Result<(), EngineError> {
        let Fate::Moves(to) = judge.fate(tuple, row)? else { return Ok(()) };
        let from = tuple.to_owned();
        // It may have been found by another filter.
        if pending.knows(&from) {
            return Ok(());
        }
        let limit = self.shared.settings.move_tuples_max;
        if moving.len() == limit {
            return Err(ApplyRefusal::TooManyMoved(limit).into());
        }
        pending.put(from, None);
        let row = Row { created: Revision::ZERO, ..row.clone() };
        moving.push(Moving { to, row });
        Ok(())
    }

    /// The refusal of a move: which tuple it was is looked up only now.
    fn lands(
        &self,
        judge: &Judge,
        state: &dyn TupleReader,
        to: &TupleKey,
    ) -> Result<ApplyRefusal, EngineError> {
        let mut from = None;
        for filter in judge.renames.filters() {
            state.scan(&filter, &mut |tuple, row| {
                let is_it = matches!(judge.fate(tuple, row), Ok(Fate::Moves(name)) if name == *to);
                from = from.take().or_else(|| is_it.then(|| tuple.to_string()));
                if from.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        Ok(ApplyRefusal::Lands { from: from.unwrap_or_default(), to: to.to_string() })
    }

    fn write(&self, after: &Program, pending: &mut Pending<'_>) -> Result<u64, EngineError> {
        let mut written = 0;
        for tuple in &self.request.writes {
            admit_stored(after.schema(), tuple).map_err(|reason| Rejection::refused(tuple, reason))?;
            let is_wanted = match pending.get(&tuple.key)? {
                None => true,
                Some(row) => self.request.on_duplicate.is_wanted(tuple, is_same(&row, tuple))?,
            };
            if is_wanted {
                let (condition, expires_at) = (tuple.condition.clone(), tuple.expires_at);
                pending.put(tuple.key.clone(), Some(Row { created: Revision::ZERO, condition, expires_at }));
                written += 1;
            }
        }
        Ok(written)
    }
}

/// A tuple on its way to another name.
struct Moving {
    to: TupleKey,
    row: Row,
}
