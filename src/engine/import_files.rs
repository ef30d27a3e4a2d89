//! Import by files: any number of tuples become one revision, at the speed of RocksDB's own file writer.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Engine;
use super::admission::{Rejection, admit_stored_key};
use super::error::EngineError;
use super::write::OnDuplicate;
use crate::eval::Program;
use crate::storage::{ClashKind, FileImport, ImportPlan, OnStored, Place, Prepared, Progress};
use crate::tuple::{SchemaId, StoreId, Timestamp, Token, TupleCondition, TupleKey, TupleRef};

/// What is to be imported by files.
#[derive(Debug, Clone)]
pub struct FileImportRequest {
    /// Into which store.
    pub store: StoreId,
    /// The schema that lets the tuples in; none: the one in force, which has to stay so.
    pub schema: Option<SchemaId>,
    /// What to do with tuples that are there, or in the input, already.
    pub on_duplicate: OnDuplicate,
    /// Says whether an interrupted import is one of the same: the same letters and digits.
    pub identity: String,
    /// What is imported, for people.
    pub about: String,
    /// Throw away what an interrupted import left.
    pub restart: bool,
    /// Bytes of memory for sorting, about.
    pub memory_bytes: usize,
    /// Find out what would be done, and do nothing.
    pub is_trial: bool,
}

/// An import by files in the making.
pub struct TupleImport<'e> {
    engine: &'e Engine,
    request: FileImportRequest,
    files: FileImport,
    schema: SchemaId,
    program: Arc<Program>,
}

/// What an import did.
#[derive(Debug, Clone)]
pub struct FileImportAnswer {
    /// The state it left.
    pub token: Token,
    /// Tuples, by what became of them.
    pub counts: Prepared,
}

impl Engine {
    /// Begins an import by files, or goes on with the interrupted one of the same identity.
    ///
    /// # Errors
    /// The store or its schema is not there, or another import was interrupted.
    pub fn import_files(&self, request: FileImportRequest) -> Result<TupleImport<'_>, EngineError> {
        let store = self.store(request.store)?;
        let in_force = self.database().head(store.number)?.schema()?;
        let (schema, program) = self.program(&store, request.schema, in_force)?;
        // Two directions, each with a chunk that is filled and one that is sorted.
        let chunk_bytes = (request.memory_bytes / 4).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        let named = (&*request.identity, &*request.about);
        let files = self.writer.begin_import(request.store, named, request.restart, chunk_bytes)?;
        Ok(TupleImport { engine: self, request, files, schema, program })
    }
}

const CHUNK_BYTES_MIN: usize = 1 << 20;
/// Places in a chunk are 32-bit numbers.
const CHUNK_BYTES_MAX: usize = 1 << 30;

impl TupleImport<'_> {
    /// Where the input goes on, if some of it was taken before an interruption, and how many tuples that were.
    pub fn resumed(&self) -> Option<(&str, u64)> {
        self.files.resumed()
    }

    /// Takes a tuple. True: it is time for a checkpoint.
    ///
    /// # Errors
    /// Inside, why the schema does not let it in; then it is not taken.
    pub fn add(
        &mut self,
        place: Place,
        tuple: TupleRef<'_>,
        condition: Option<&TupleCondition>,
        expires_at: Option<Timestamp>,
    ) -> Result<Result<bool, Rejection>, EngineError> {
        if let Err(rejection) = admit_stored_key(self.program.schema(), tuple, condition) {
            return Ok(Err(rejection));
        }
        Ok(Ok(self.files.add(place, tuple, condition, expires_at)?))
    }

    /// Has what was taken so far sorted and kept. `position`: where the input goes on.
    pub fn checkpoint(&mut self, position: &str) -> Result<(), EngineError> {
        Ok(self.files.checkpoint(position)?)
    }

    /// The same, and waits until it is on disk: for an import that is not gone on with at once.
    pub fn keep(&mut self, position: &str) -> Result<(), EngineError> {
        Ok(self.files.keep(position)?)
    }

    /// Tuples taken so far.
    pub fn tuples(&self) -> u64 {
        self.files.tuples()
    }

    /// Throws away what was taken.
    pub fn discard(self) -> Result<(), EngineError> {
        Ok(self.files.discard()?)
    }

    /// Makes it all one revision; writes to the store are refused meanwhile. `end`: where the input ends. Tuples that cannot
    /// be taken are told to `clash`, which may end the import: then the answer is none, and nothing is changed.
    pub fn finish(
        self,
        end: &str,
        clash: &mut dyn FnMut(Place, ClashKind, TupleKey) -> ControlFlow<()>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Option<FileImportAnswer>, EngineError> {
        let TupleImport { engine, request, files, schema, .. } = self;
        let plan = ImportPlan {
            on_stored: request.on_duplicate.into(),
            end: end.to_owned(),
            schema: request.schema.is_none().then_some(schema),
            is_trial: request.is_trial,
        };
        let done = engine.writer.finish_import(request.store, files, &plan, clash, progress)?;
        Ok(done.map(|(commit, counts)| FileImportAnswer {
            token: engine.token(request.store, commit.revision, commit.time),
            counts,
        }))
    }
}

impl From<OnDuplicate> for OnStored {
    fn from(chosen: OnDuplicate) -> OnStored {
        match chosen {
            OnDuplicate::Error => OnStored::Error,
            OnDuplicate::Ignore => OnStored::Ignore,
            OnDuplicate::Replace => OnStored::Replace,
        }
    }
}
