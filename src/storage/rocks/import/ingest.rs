//! Taking prepared table files in. RocksDB ingests one family at a time, so that all of them become visible together is our doing:
//!
//! 1. The files, durable, are written down in `meta` with the revision that they become.
//! 2. They are ingested family by family. Their rows were created in a revision above the head: no reader sees them.
//! 3. One synced batch has the revision, the head, and the journal's end.
//!
//! While that is under way the store takes no writes, so nobody else takes the revision. A stop between 1 and 3 is mended on
//! the next opening, by doing 2 and 3 again: ingesting a file twice changes nothing. That is why the files themselves stay until the end,
//! and links to them are ingested.

use std::fs;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};

use rocksdb::IngestExternalFileOptions;

use super::{IMPORT_DIR, remove};
use crate::storage::change::{ChangeKind, RevisionKind};
use crate::storage::codec::{self, ChangeValue, Head, ImportValue};
use crate::storage::error::StorageError;
use crate::storage::reader::Row;
use crate::storage::rocks::apply::{Staged, stage_end, stage_tuple};
use crate::storage::rocks::directory::io;
use crate::storage::rocks::families::{self, Family};
use crate::storage::rocks::key::{self, Direction, Parts};
use crate::storage::rocks::{Batch, Database, open};
use crate::tuple::{Revision, StoreId, Timestamp};

/// Keeps writes away from a store while it lives.
pub(in crate::storage) struct Lock {
    database: Arc<Database>,
    pub(in crate::storage) id: StoreId,
    pub(in crate::storage) number: u32,
    /// The head, which stays what it is.
    pub(in crate::storage) head: Head,
}

impl Lock {
    /// For the writer's thread, so that no write is under way.
    pub(in crate::storage) fn take(database: Arc<Database>, id: StoreId) -> Result<Lock, StorageError> {
        let number = database.store_number(id).ok_or(StorageError::NoStore(id))?;
        let head = database.read_head(number)?;
        if database.importing.insert(number, ()).is_some() {
            return Err(StorageError::ImportInProgress(id));
        }
        Ok(Lock { database, id, number, head })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.database.importing.remove(&self.number);
    }
}

impl Database {
    /// To be held around [`Database::ingest`], outside of the writer's thread: a backup holds it too, and must not see the journal
    /// of an import whose files it does not have.
    pub(in crate::storage) fn keep_backups_out(&self) -> MutexGuard<'_, ()> {
        self.ingesting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses to change a store that an import has to itself.
    pub(in crate::storage) fn check_unlocked(&self, id: StoreId) -> Result<(), StorageError> {
        match self.store_number(id) {
            Some(number) if self.importing.contains_key(&number) => Err(StorageError::ImportInProgress(id)),
            _ => Ok(()),
        }
    }

    /// Takes prepared files in and makes them visible. The answer is the store's head afterwards. For the writer's thread.
    ///
    /// # Errors
    /// [`StorageError::WritesRefused`] when it is not known how much of it is done: opening the directory again finishes it.
    pub(in crate::storage) fn ingest(
        &self,
        store: u32,
        before: Head,
        time: Timestamp,
        import: &ImportValue,
    ) -> Result<Head, StorageError> {
        let key = families::importing_key(store);
        let mut batch = Batch::new(self);
        batch.put(Family::Meta, &key, &codec::encode_import(import.clone())?)?;
        batch.commit()?;
        self.finish_import(store, before, time, import).map_err(|error| match error {
            refused @ StorageError::WritesRefused(_) => refused,
            other => StorageError::WritesRefused(other.to_string()),
        })
    }

    fn finish_import(
        &self,
        store: u32,
        before: Head,
        time: Timestamp,
        import: &ImportValue,
    ) -> Result<Head, StorageError> {
        let dir = self.dir.join(IMPORT_DIR).join(&import.directory);
        for family in [Family::Tuples, Family::BySubject, Family::Changes] {
            let of_family = import.files.iter().filter(|(name, _)| name == family.name());
            let links = of_family.map(|(_, name)| link(&dir, name)).collect::<Result<Vec<_>, _>>()?;
            if links.is_empty() {
                continue;
            }
            let mut options = IngestExternalFileOptions::default();
            options.set_move_files(true);
            self.db
                .ingest_external_file_cf_opts(self.family(family)?, &options, links)
                .map_err(open::from_rocks)?;
        }
        let head = Head { revision: Revision(import.revision), time, ..before };
        let mut staged = Staged::default();
        let changes = self.stage_replaced(&mut staged, store, head.revision, import)?;
        staged.delete(Family::Meta, families::importing_key(store));
        // A stop while the directory is removed must not leave what looks like an import to go on with.
        staged.put(Family::Meta, families::ingested_key(&import.directory), Vec::new());
        staged.end_revision(store, head, RevisionKind::Tuples, changes)?;
        let mut batch = Batch::new(self);
        batch.take(staged)?;
        batch.touch_store(store);
        batch.commit()?;
        if let Some(end) = import.first_end {
            self.note_end(store, Timestamp::from_micros(end));
        }
        // What is left of it takes up room only: the next opening removes it.
        drop(remove(&dir));
        Ok(head)
    }

    /// The tuples that are given other limits go the usual way. How many entries the log has in all.
    fn stage_replaced(
        &self,
        staged: &mut Staged,
        store: u32,
        revision: Revision,
        import: &ImportValue,
    ) -> Result<u32, StorageError> {
        let mut ordinal = import.changes;
        for (key, limits) in &import.replaced {
            let place = || format!("meta row {}", key::show(&families::importing_key(store)));
            let tuple = Parts::new(key).tuple(Direction::Forward);
            let tuple = tuple.ok_or_else(|| StorageError::damaged(place(), "a tuple cannot be read"))?;
            let old = self.get(Family::Tuples, &key::forward(store, tuple))?;
            let old = old.map(|bytes| codec::decode_row(&bytes, &place)).transpose()?;
            let row: Row = codec::row_of_limits(revision, limits, &place)?;
            stage_end(staged, store, revision, tuple, old)?;
            stage_tuple(staged, store, tuple, Some(&row))?;
            let value = codec::encode_change(&ChangeValue {
                kind: ChangeKind::Replaced,
                key: key.clone(),
                condition: row.condition,
                expires_at: row.expires_at,
            })?;
            staged.put(Family::Changes, key::change(store, revision, ordinal), value);
            ordinal += 1;
        }
        Ok(ordinal)
    }

    /// Goes on with imports that a stop interrupted between their first file and the end. For opening.
    pub(in crate::storage::rocks) fn finish_imports(&self) -> Result<(), StorageError> {
        for record in self.stores() {
            let key = families::importing_key(record.number);
            let Some(bytes) = self.get(Family::Meta, &key)? else { continue };
            let import = codec::decode_import(&bytes, &|| format!("meta row {}", key::show(&key)))?;
            let before = self.read_head(record.number)?;
            let time = self.commit_time(before.time);
            self.finish_import(record.number, before, time, &import)?;
        }
        Ok(())
    }
}

impl Database {
    /// Whether a directory is one of an import that is done.
    pub(in crate::storage) fn is_ingested(&self, directory: &str) -> Result<bool, StorageError> {
        Ok(self.get(Family::Meta, &families::ingested_key(directory))?.is_some())
    }

    /// Forgets that an import is done, once nothing is left of its directory.
    pub(in crate::storage) fn forget_ingested(&self, directory: &str) -> Result<(), StorageError> {
        remove(&self.dir.join(IMPORT_DIR).join(directory))?;
        let mut batch = Batch::new(self);
        batch.delete(Family::Meta, &families::ingested_key(directory))?;
        batch.commit()
    }

    /// Removes what is left of imports that are done. For opening.
    pub(in crate::storage::rocks) fn remove_ingested(&self) -> Result<(), StorageError> {
        let mut directories = Vec::new();
        self.view().walk(Family::Meta, families::INGESTED, &mut |key, _| {
            directories.push(String::from_utf8_lossy(&key[families::INGESTED.len()..]).into_owned());
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        directories.iter().try_for_each(|directory| self.forget_ingested(directory))
    }
}

/// A second name for a prepared file: RocksDB moves what it ingests.
fn link(dir: &Path, name: &str) -> Result<std::path::PathBuf, StorageError> {
    let (file, link) = (dir.join(name), dir.join(format!("{name}.link")));
    drop(fs::remove_file(&link));
    match fs::hard_link(&file, &link) {
        Ok(()) => Ok(link),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StorageError::damaged(
            file.display().to_string(),
            "is missing, and the import was not finished",
        )),
        // A file system without links.
        Err(_) => fs::copy(&file, &link).map(|_| link).map_err(|error| io(&file, &error)),
    }
}
