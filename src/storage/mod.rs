//! Tuples, schemas, revisions and history at rest.
//!
//! Above this room a state of a store is a [`TupleReader`]: the head, a past revision, or an [`Overlay`] over
//! either. Changes go in through one [`Writer`], which groups concurrent writes into one synced batch. RocksDB's
//! types stay in `rocks`, bincode in `codec`.

mod allowance;
mod change;
mod codec;
mod error;
mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod look;
mod overlay;
mod profile;
mod reader;
mod recorder;
mod remembered;
mod rocks;
mod stripes;
mod tracked;
mod validate;
mod writer;

pub(crate) use allowance::look_at_clock;
pub use allowance::{Deadline, within};
pub use change::{Change, ChangeKind, ChangeRecord, RevisionKind, RevisionRecord};
pub use codec::{Retention, StoreRecord};
pub use error::StorageError;
pub use filter::{FilterError, ObjectFilter, SubjectFilter, TupleFilter};
pub use look::Look;
pub use overlay::{Dated, Empty, Overlay};
pub use profile::{Step, StorageWork, profiled, step};
pub use reader::{Row, TupleReader};
pub use recorder::{Reads, Recorder};
pub use remembered::Remembered;
pub use rocks::{
    BackedUpStore, Backup, BackupDone, BackupStep, ClashKind, Collected, Database, DatabaseOptions,
    DatabaseStats, FamilySize, FileImport, OnStored, Pin, Place, Prepared, Progress, Purged, Restored,
    Rewound, RocksCounts, StateReader, list_backups, verify_backups,
};
pub use stripes::Stripes;
pub use tracked::{Basis, Tracked};
pub use validate::{Finding, Validation};
pub use writer::{Clashed, Commit, ImportPlan, Listener, Mark, Once, Plan, WriteError, Writer};
