//! Write: tuples come and go, all of them in one revision, or none.

use std::collections::HashSet;
use std::sync::Arc;

use super::admission::{Rejection, admit_stored};
use super::digest::digest;
use super::error::EngineError;
use super::precondition::{Precondition, Preconditions};
use super::{Engine, Shared};
use crate::storage::{Change, Once, Row, TupleReader};
use crate::tuple::{SchemaId, StoreId, Token, Tuple, TupleKey};

/// A write.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// In which store.
    pub store: StoreId,
    /// Tuples to be there afterwards.
    pub writes: Vec<Tuple>,
    /// Tuples to be gone afterwards.
    pub deletes: Vec<TupleKey>,
    /// What has to be true before.
    pub preconditions: Vec<Precondition>,
    /// What to do with a tuple that is there already.
    pub on_duplicate: OnDuplicate,
    /// What to do with a deletion of a tuple that is not there.
    pub on_missing: OnMissing,
    /// The schema that lets the tuples in; none: the one in force.
    pub schema: Option<SchemaId>,
}

/// What to do with a tuple that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDuplicate {
    /// Refuse the write.
    #[default]
    Error,
    /// Leave it, if condition and expiry are the same; refuse the write otherwise.
    Ignore,
    /// Give it the new condition and expiry.
    Replace,
}

/// What to do with a deletion of a tuple that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// Refuse the write.
    #[default]
    Error,
    /// Leave it at that.
    Ignore,
}

/// An accepted write, durable.
#[derive(Debug, Clone)]
pub struct WriteAnswer {
    /// The state it left.
    pub token: Token,
    /// Tuples written or deleted; the others were as asked for already.
    pub changed: usize,
    /// The schema that let the tuples in.
    pub schema: Option<SchemaId>,
}

/// Why a write was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteRefusal {
    /// There is nothing to do.
    #[error("the write is empty: pass at least one tuple to write or to delete")]
    Empty,
    /// It has too many tuples.
    #[error("the write has {found} tuples, at most {limit} are allowed: split it")]
    TooManyTuples {
        /// How many it has.
        found: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Too many tuples would be deleted at once.
    #[error("more than {0} tuples would be deleted as one revision: narrow the filter, or delete in steps")]
    TooManyDeleted(usize),
    /// It has too many preconditions.
    #[error("the write has {found} preconditions, at most {limit} are allowed")]
    TooManyPreconditions {
        /// How many it has.
        found: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Its preconditions need too much of the state.
    #[error("more than {0} tuples match the preconditions: narrow their filters, or lower their numbers")]
    PreconditionsTooWide(u64),
    /// A precondition would have to follow the change log too far.
    #[error(
        "more than {0} changes were made since the token of a precondition: look again, and pass a newer token"
    )]
    TooMuchSince(u64),
    /// A tuple is in it twice.
    #[error("tuple `{0}` is in the write twice: name it once")]
    Repeated(String),
    /// The schema does not let a tuple in.
    #[error("tuple `{tuple}`: {reason}")]
    Rejected {
        /// The tuple.
        tuple: String,
        /// Why.
        reason: Rejection,
    },
    /// A tuple to be written is there already.
    #[error("tuple `{0}` exists already: leave it out, or choose to ignore or replace duplicates")]
    Exists(String),
    /// A tuple to be ignored as duplicate differs from the one that is there.
    #[error("tuple `{0}` exists already with another condition or expiry: choose to replace duplicates")]
    ExistsOtherwise(String),
    /// A tuple to be deleted is not there.
    #[error("tuple `{0}` does not exist: leave it out, or choose to ignore missing tuples")]
    Missing(String),
    /// A precondition does not hold.
    #[error("precondition `{precondition}` does not hold: {found}")]
    Precondition {
        /// The precondition.
        precondition: String,
        /// What was found instead.
        found: String,
    },
}

impl Engine {
    /// Writes and deletes tuples, in one revision of their own.
    ///
    /// # Errors
    /// A refusal; then nothing was changed. After a failed sync it is not known whether the write is there.
    pub fn write(&self, request: WriteRequest) -> Result<WriteAnswer, EngineError> {
        self.write_once(request, None)
    }

    /// The same, under an idempotency key: the same write, sent again under the same key within an hour, is not made again,
    /// but answered as the first time.
    ///
    /// # Errors
    /// [`StorageError::KeyReused`](crate::storage::StorageError::KeyReused) where the key was used for another write.
    pub fn write_once(&self, request: WriteRequest, key: Option<&str>) -> Result<WriteAnswer, EngineError> {
        let once = key.map(|key| Once { key: digest(&[key]), request: request.digest() });
        let store = self.store(request.store)?;
        check_shape(&request, self.settings().write_tuples_max)?;
        let preconditions = self.open_preconditions(&store, &request.preconditions)?;
        let is_first = preconditions.ask_the_log();
        let id = store.id;
        let plan = Plan { shared: Arc::clone(&self.shared), store: store.number, id, request, preconditions };
        let (used, schema_used) = std::sync::mpsc::sync_channel(1);
        let run = Box::new(move |state: &dyn TupleReader, schema| {
            // The receiver is there until the write is answered.
            let _ = used.send(plan.request.schema.or(schema));
            plan.run(state, schema)
        });
        let commit = match is_first {
            true => self.writer.write_first::<EngineError>(id, once, run)?,
            false => self.writer.write_once::<EngineError>(id, once, run)?,
        };
        Ok(WriteAnswer {
            token: self.token(id, commit.revision, commit.time),
            changed: commit.changes,
            // Not known of a write that was made before.
            schema: schema_used.try_recv().ok().flatten(),
        })
    }
}

impl WriteRequest {
    /// A write of nothing, which refuses what is not as it is told, to be filled: `WriteRequest { writes, ..WriteRequest::of(store) }`.
    pub fn of(store: StoreId) -> WriteRequest {
        WriteRequest {
            store,
            writes: Vec::new(),
            deletes: Vec::new(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::default(),
            on_missing: OnMissing::default(),
            schema: None,
        }
    }

    /// Two writes have the same digest exactly when they ask for the same.
    fn digest(&self) -> [u8; 16] {
        let WriteRequest { store, writes, deletes, preconditions, on_duplicate, on_missing, schema } = self;
        let mut parts = vec![store.to_string(), format!("{on_duplicate:?} {on_missing:?} {schema:?}")];
        parts.extend(writes.iter().map(|tuple| format!("write {tuple}")));
        parts.extend(deletes.iter().map(|key| format!("delete {key}")));
        parts.extend(preconditions.iter().map(|precondition| format!("if {precondition}")));
        digest(&parts)
    }
}

/// What can be said about a write without any state.
fn check_shape(request: &WriteRequest, limit: usize) -> Result<(), WriteRefusal> {
    let found = request.writes.len() + request.deletes.len();
    if found == 0 {
        return Err(WriteRefusal::Empty);
    }
    if found > limit {
        return Err(WriteRefusal::TooManyTuples { found, limit });
    }
    Preconditions::check_number(&request.preconditions)?;
    check_unrepeated(&request.writes, &request.deletes)
}

/// Refuses a tuple that is named twice.
pub(super) fn check_unrepeated(writes: &[Tuple], deletes: &[TupleKey]) -> Result<(), WriteRefusal> {
    let mut seen = HashSet::with_capacity(writes.len() + deletes.len());
    for key in deletes.iter().chain(writes.iter().map(|tuple| &tuple.key)) {
        if !seen.insert(key) {
            return Err(WriteRefusal::Repeated(key.to_string()));
        }
    }
    Ok(())
}

/// A write on its way to the writer's thread.
struct Plan {
    shared: Arc<Shared>,
    store: u32,
    id: StoreId,
    request: WriteRequest,
    preconditions: Preconditions,
}

impl Plan {
    /// From the state it finds to the changes it makes: preconditions, then deletions, then writes.
    fn run(&self, state: &dyn TupleReader, in_force: Option<SchemaId>) -> Result<Vec<Change>, EngineError> {
        let database = &self.shared.database;
        let schema = self.request.schema.or(in_force).ok_or(EngineError::NoSchema(self.id))?;
        let program = self.shared.programs.get(database, self.store, schema)?;
        self.preconditions.hold(state, database, self.store)?;
        let mut changes = Vec::with_capacity(self.request.deletes.len() + self.request.writes.len());
        for key in &self.request.deletes {
            // Not held against the schema: tuples of relations that are gone must be deletable.
            match (state.get(key.as_ref())?, self.request.on_missing) {
                (Some(_), _) => changes.push(Change::Delete(key.clone())),
                (None, OnMissing::Ignore) => {}
                (None, OnMissing::Error) => return Err(WriteRefusal::Missing(key.to_string()).into()),
            }
        }
        for tuple in &self.request.writes {
            admit_stored(program.schema(), tuple).map_err(|reason| Rejection::refused(tuple, reason))?;
            if self.is_wanted(state, tuple)? {
                changes.push(Change::Write(tuple.clone()));
            }
        }
        Ok(changes)
    }

    /// Whether a tuple is to be written, given what is there.
    fn is_wanted(&self, state: &dyn TupleReader, tuple: &Tuple) -> Result<bool, EngineError> {
        match state.get(tuple.key.as_ref())? {
            None => Ok(true),
            Some(row) => Ok(self.request.on_duplicate.is_wanted(tuple, is_same(&row, tuple))?),
        }
    }
}

impl OnDuplicate {
    /// Whether a tuple is to be written although it is there, `is_same`: with the same condition and expiry.
    pub(super) fn is_wanted(self, tuple: &Tuple, is_same: bool) -> Result<bool, WriteRefusal> {
        match self {
            OnDuplicate::Error => Err(WriteRefusal::Exists(tuple.key.to_string())),
            OnDuplicate::Ignore if is_same => Ok(false),
            OnDuplicate::Ignore => Err(WriteRefusal::ExistsOtherwise(tuple.key.to_string())),
            OnDuplicate::Replace => Ok(!is_same),
        }
    }
}

pub(super) fn is_same(row: &Row, tuple: &Tuple) -> bool {
    row.condition == tuple.condition && row.expires_at == tuple.expires_at
}
