//! What can go wrong at rest.

use std::path::PathBuf;

use crate::tuple::{Revision, StoreId, Timestamp};

/// Why storage did not do what was asked. Nothing is half-applied when one of these is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// There is no data directory where one was expected.
    #[error("no data directory at `{0}`: create a store there first, or name another directory")]
    NoDirectory(PathBuf),
    /// The directory holds something else.
    #[error("`{0}` is not empty and holds no Stonetown data: name an empty or a new directory")]
    ForeignDirectory(PathBuf),
    /// A restore into the directory was interrupted.
    #[error("a restore into `{0}` was not finished: run it again, or remove the directory")]
    RestoreInterrupted(PathBuf),
    /// A backup is to be restored where something is.
    #[error("`{0}` holds data already: restore into a new or an empty directory")]
    NotEmpty(PathBuf),
    /// A place for backups that holds something else.
    #[error("`{0}` is not empty and holds no backups: name a new or an empty directory")]
    NoBackupPlace(PathBuf),
    /// There are no backups where some were expected.
    #[error("no backups at `{0}`: make one with `stonetown backup`, or name another directory")]
    NoBackups(PathBuf),
    /// There is no such backup.
    #[error("`{place}` has no backup {id}: `stonetown backup list` shows what there is")]
    NoBackup {
        /// Where.
        place: PathBuf,
        /// The one asked for.
        id: u32,
    },
    /// Backups of two data directories do not mix.
    #[error(
        "`{0}` holds backups of another data directory, or of this one before it was restored: name a new or an empty directory"
    )]
    ForeignBackups(PathBuf),
    /// Somebody is busy with the backups.
    #[error(
        "the backups at `{0}` are in use: another backup, or a restore, is under way there; try again when it is done"
    )]
    BackupsLocked(PathBuf),
    /// Backups are not kept within what they are of.
    #[error("`{0}` lies in the data directory itself: name a place outside of it")]
    BackupInside(PathBuf),
    /// A file of a backup is not what was written.
    #[error("backup {id} is damaged: {place}: {detail}; take another one with `--backup`")]
    DamagedBackup {
        /// Which backup.
        id: u32,
        /// The file at fault.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A backup knows nothing of what came after it.
    #[error("backup {id} was made at {made_at}: it does not hold the state of {asked}")]
    AfterBackup {
        /// Which backup.
        id: u32,
        /// When it was made.
        made_at: Timestamp,
        /// The time asked for.
        asked: Timestamp,
    },
    /// A store that was not there at the time that is asked for.
    #[error("store `{store}` was made at {created_at}, after {asked}")]
    MadeLater {
        /// The store.
        store: StoreId,
        /// When it was made.
        created_at: Timestamp,
        /// The time asked for.
        asked: Timestamp,
    },
    /// Another process has the directory open.
    #[error("data directory `{0}` is in use by another process: stop it, or ask it instead")]
    Locked(PathBuf),
    /// Written by a version with a later format.
    #[error(
        "data directory `{path}` has format {found}, this version reads up to {supported}: use a newer Stonetown"
    )]
    TooNew {
        /// The directory.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The newest format this version reads.
        supported: u32,
    },
    /// A file, or a row in it, is not what was written.
    #[error("damaged: {place}: {detail}; restore a backup, or run `stonetown validate` for the extent")]
    Damaged {
        /// The file or row at fault.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no such store.
    #[error("store `{0}` does not exist")]
    NoStore(StoreId),
    /// There is already such a store.
    #[error("store `{0}` exists already")]
    StoreExists(StoreId),
    /// An import has the store to itself.
    #[error("an import into store `{0}` is in progress: write again when it is done; reads go on meanwhile")]
    ImportInProgress(StoreId),
    /// Another import by files is under way.
    #[error(
        "another import by files into this store is being prepared: wait for it, or import with `--way live`"
    )]
    ImportPrepared,
    /// Another import was interrupted, and waits to be gone on with.
    #[error(
        "an import of {0} into this store was not finished: run it again to go on, or throw it away with `--restart`"
    )]
    UnfinishedImport(String),
    /// The tuples of an import were held against a schema that is no longer in force.
    #[error("a schema was written while the import was reading: run the import again")]
    SchemaChanged,
    /// An import by files would replace too many tuples.
    #[error("more than {0} stored tuples would get another condition or expiry: import with `--way live`")]
    TooManyReplaced(usize),
    /// A request took longer than it may.
    #[error("the request takes longer than {0:?}: raise the limit, or ask for less")]
    TimedOut(std::time::Duration),
    /// The past reaches back only so far.
    #[error("revision {asked} is no longer kept: the oldest kept is {oldest} of {oldest_time}")]
    BelowHorizon {
        /// The revision asked for.
        asked: Revision,
        /// The oldest one kept.
        oldest: Revision,
        /// When that was committed.
        oldest_time: Timestamp,
    },
    /// The change log reaches back only so far.
    #[error("the change log is kept behind revision {oldest} of {oldest_time} only: ask for what came later")]
    LogCollected {
        /// The last revision whose changes are no longer kept.
        oldest: Revision,
        /// When that was committed.
        oldest_time: Timestamp,
    },
    /// The past cannot be told any longer.
    #[error(
        "the state at revision {asked} cannot be told any longer: something that it needs was purged, and was there before \
         revision {until}"
    )]
    Purged {
        /// The revision asked for.
        asked: Revision,
        /// From this revision on, the same question is answered.
        until: Revision,
    },
    /// A purge that is too large for one step.
    #[error(
        "`{object}` is named in more than {limit} rows of the present and the past: delete its tuples in several writes, \
         collect the past before them, and purge then"
    )]
    PurgeTooLarge {
        /// What was to be purged.
        object: String,
        /// Rows that one purge takes at most.
        limit: usize,
    },
    /// The future is not known.
    #[error("revision {asked} has not been reached: the store is at {head}")]
    AboveHead {
        /// The revision asked for.
        asked: Revision,
        /// The store's newest.
        head: Revision,
    },
    /// The future is not known.
    #[error("time {asked} lies in the future: it is {now}")]
    FutureTime {
        /// The time asked for.
        asked: Timestamp,
        /// The time it is.
        now: Timestamp,
    },
    /// The idempotency key was used before, for something else.
    #[error(
        "the idempotency key was used for another write within the last hour: take a new key for a new write"
    )]
    KeyReused,
    /// An earlier write could not be made durable, so no more are taken.
    #[error(
        "writes are refused since one could not be synced ({0}): what it held may or may not be there; reads go on; \
         {remedy}restart the server, which reopens the data directory",
        remedy = remedy(.0).map(|remedy| format!("{remedy}, then ")).unwrap_or_default()
    )]
    WritesRefused(String),
    /// The operating system or RocksDB refused.
    #[error("storage: {0}{remedy}", remedy = remedy(.0).map(|remedy| format!("; {remedy}")).unwrap_or_default())]
    Io(String),
}

/// What helps against a refusal of the operating system, which is known by its words alone: RocksDB keeps no more of it.
fn remedy(text: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 4] = [
        ("No space left on device", "the disk is full: make room on it"),
        ("Disk quota exceeded", "the disk quota is used up: make room, or raise it"),
        ("Read-only file system", "the file system is read-only: make it writable"),
        ("Permission denied", "let the user that runs Stonetown read and write there"),
    ];
    REMEDIES.into_iter().find_map(|(words, remedy)| text.contains(words).then_some(remedy))
}

impl StorageError {
    pub(super) fn damaged(place: impl Into<String>, detail: impl Into<String>) -> StorageError {
        StorageError::Damaged { place: place.into(), detail: detail.into() }
    }
}
