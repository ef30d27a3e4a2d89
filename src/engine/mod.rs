//! The verbs: one file each. Everything above (the command line, the HTTP API, bulk tools) asks here, and only here.

mod access_diff;
mod admission;
mod apply;
mod assertions;
mod at;
mod audit;
mod backup;
mod batch_check;
mod changes;
mod check;
mod collect;
mod compact;
mod create_store;
mod decisions;
mod delete_store;
mod delete_tuples;
mod digest;
mod error;
mod expand;
mod explain;
mod export;
mod given;
mod import_files;
mod import_live;
mod list_objects;
mod list_stores;
mod list_subjects;
mod matrix;
mod orphans;
mod pending;
mod period;
mod precondition;
mod programs;
mod purge;
mod read;
mod read_schema;
mod renames;
mod restore;
mod retention;
mod settings;
mod silenced;
mod stats;
mod store_stats;
mod tuple_groups;
mod untouched;
mod validate;
mod view;
mod write;
mod write_schema;

use std::path::Path;
use std::sync::Arc;

use crate::eval::Program;
use crate::storage::{Database, DatabaseOptions, TupleReader, Writer};
use crate::tuple::{Incarnation, Revision, SchemaId, StoreId, Timestamp, Token};

pub use crate::analysis::{
    AccessDiff, Block, Bound, Change as AccessChange, DiffLimits, DiffWork, ExplainRequest,
    Explained as ExplainedAnswer, Explanation, Found as DiffFound, Held, Holder, Line as DiffLine,
    Lines as DiffLines, Miss, Permission, Proof, Standing, Table as MatrixTable, Why, Written,
};
pub use crate::condition::{ConditionError, Context};
pub use crate::eval::{
    EvalError, ExpandNode, Expansion, Follow, Holding, ListEnd, ListObjects, ListSubjects, Listed, Resume,
    UsersetNode,
};
pub use crate::storage::{
    BackedUpStore, Backup, BackupDone, BackupStep, ChangeKind, ChangeRecord, ClashKind, Deadline,
    FilterError, Finding, ObjectFilter, Pin, Place, Prepared, Progress, Purged, Retention, RevisionRecord,
    Rewound, RocksCounts, Step, StorageError, StorageWork, StoreRecord, SubjectFilter, TupleFilter,
    Validation, profiled, step, within,
};
pub use access_diff::{AccessDiffAnswer, AccessDiffRequest, ChangeSet, DiffOf};
pub use admission::{Rejection, admit, admit_stored};
pub use apply::{Applied, ApplyAnswer, ApplyRefusal, ApplyReport, ApplyRequest};
pub use at::At;
pub use audit::{Access, AuditAnswer, AuditLine, AuditQuestion, AuditTime, Stretch};
pub use backup::{BackupAnswer, BackupVerdict, list_backups, verify_backups};
pub use batch_check::BatchItem;
pub use changes::{ChangesFrom, ChangesRequest};
pub use check::{CheckAnswer, CheckRequest};
pub use collect::CollectAnswer;
pub use decisions::DecisionStats;
pub use delete_tuples::{DeleteAnswer, DeleteRequest, DeleteWhat};
pub use digest::digest;
pub use error::EngineError;
pub use expand::{ExpandAnswer, ExpandRequest};
pub use explain::Explained;
pub use export::Export;
pub use given::Given;
pub use import_files::{FileImportAnswer, FileImportRequest, TupleImport};
pub use import_live::{ImportPart, PartAnswer, Untaken, UntakenReason};
pub use orphans::{Orphans, OrphansUnder, RemovedAnswer};
pub use period::{Cause, Moment, Period, Since, Until};
pub use precondition::{Precondition, PreconditionError};
pub use purge::PurgeAnswer;
pub use read::{ReadAnswer, ReadRequest, ReadTuple};
pub use read_schema::{SchemaDocument, SchemaInfo};
pub use renames::{Rename, RenameError};
pub use restore::{RestoreAnswer, RestoreRequest, RestoreTo, RestoredStore};
pub use settings::Settings;
pub use stats::EngineStats;
pub use store_stats::StoreStats;
pub use tuple_groups::{TupleGroup, TupleGroups};
pub use untouched::Area;
pub use view::View;
pub use write::{OnDuplicate, OnMissing, WriteAnswer, WriteRefusal, WriteRequest};
pub use write_schema::{SchemaInput, WriteSchemaAnswer};

/// With a thousand writes between two questions about the same, one in 250 looks shares a stripe with one of them.
const STRIPES: usize = 1 << 20;

/// An open data directory, ready to answer and to change.
pub struct Engine {
    shared: Arc<Shared>,
    writer: Writer,
}

/// What plans on the writer's thread need too.
struct Shared {
    database: Arc<Database>,
    programs: programs::Programs,
    /// None: none are kept.
    decisions: Option<decisions::Decisions>,
    settings: Settings,
}

impl Engine {
    /// Opens a data directory.
    ///
    /// # Errors
    /// Whatever keeps the directory from being served: see [`StorageError`].
    pub fn open(dir: &Path, settings: Settings) -> Result<Engine, StorageError> {
        let stripes = if settings.decision_cache_bytes > 0 { STRIPES } else { 0 };
        let options = DatabaseOptions { stripes, ..settings.database.clone() };
        Engine::serve(Database::open(dir, &options)?, settings)
    }

    fn serve(database: Database, settings: Settings) -> Result<Engine, StorageError> {
        let database = Arc::new(database);
        let writer = Writer::start(Arc::clone(&database))?;
        let programs = programs::Programs::default();
        let decisions =
            Some(settings.decision_cache_bytes).filter(|&max| max > 0).map(decisions::Decisions::new);
        Ok(Engine { shared: Arc::new(Shared { database, programs, decisions, settings }), writer })
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        self.database().dir()
    }

    /// Which life of the data directory this is, where it is not the first one.
    pub fn later_life(&self) -> Option<Incarnation> {
        self.database().is_restored().then(|| self.database().incarnation())
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The text form of a token.
    pub fn seal(&self, token: &Token) -> String {
        token.seal(self.database().token_key())
    }

    fn database(&self) -> &Database {
        &self.shared.database
    }

    fn store(&self, id: StoreId) -> Result<StoreRecord, StorageError> {
        self.database().store(id).ok_or(StorageError::NoStore(id))
    }

    fn token(&self, store: StoreId, revision: Revision, time: Timestamp) -> Token {
        Token { store, incarnation: self.database().incarnation(), revision, time }
    }

    fn token_of(&self, store: StoreId, state: &dyn TupleReader) -> Token {
        self.token(store, state.revision(), state.now())
    }

    /// The schema asked for by name, else the one in force in a state.
    fn program(
        &self,
        store: &StoreRecord,
        named: Option<SchemaId>,
        in_force: Option<SchemaId>,
    ) -> Result<(SchemaId, Arc<Program>), EngineError> {
        let id = named.or(in_force).ok_or(EngineError::NoSchema(store.id))?;
        let get = || self.shared.programs.get(&self.shared.database, store.number, id);
        Ok((id, step("load_schema", get)?))
    }
}
