//! Restoring a backup into a new data directory.
//!
//! Until the directory has its format file nobody serves from it: what an interrupted restore leaves is known by its mark
//! (`directory.rs`), and only a restore begins it anew.

use std::fs::{self, File};
use std::path::Path;

use rocksdb::backup::RestoreOptions;

use super::apply::Batch;
use super::backup::{Backup, Place, Steps};
use super::directory::{self, Making, ROCKSDB_DIR, io, sync_directory};
use super::rewind::Rewound;
use super::{BackupStep, Database, DatabaseOptions, log, open};
use crate::storage::error::StorageError;
use crate::tuple::{Revision, StoreId};

/// A directory that holds what a backup does, and is not complete yet.
pub struct Restored {
    database: Database,
    backup: Backup,
}

impl Restored {
    /// Copies a backup, the newest if none is named, into a directory that is not there or empty. The files are held against
    /// their checksums before. The directory gets an incarnation of its own.
    pub fn begin(
        place: &Path,
        id: Option<u32>,
        dir: &Path,
        options: &DatabaseOptions,
        progress: Steps<'_>,
    ) -> Result<Restored, StorageError> {
        directory::refuse_complete(dir)?;
        let place = Place::open(place)?;
        let backup = place.find(id)?;
        place.verify_whole(backup.id, progress)?;
        progress(BackupStep::Copying);
        let directory = directory::take_to_restore(dir)?;
        let opened = || {
            let files = dir.join(ROCKSDB_DIR);
            copy(&place, backup.id, &files)?;
            let database = Database::open_files(dir, directory, manifest(&files)?.as_deref(), options)?;
            database.hold_against(&backup)?;
            Ok(database)
        };
        match opened() {
            Ok(database) => Ok(Restored { database, backup }),
            Err(error) => {
                directory::give_up_restoring(dir)?;
                Err(error)
            }
        }
    }

    /// What is in it so far.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What it was restored from.
    pub fn backup(&self) -> &Backup {
        &self.backup
    }

    /// Takes a store back to an earlier revision, as if nothing had been written since.
    ///
    /// # Errors
    /// [`StorageError::AboveHead`], [`StorageError::BelowHorizon`], and [`StorageError::Purged`] where something that was there
    /// at that revision has been purged since.
    pub fn rewind(&self, store: StoreId, to: Revision, progress: Steps<'_>) -> Result<Rewound, StorageError> {
        self.database.rewind(store, to, &mut |changes| progress(BackupStep::Rewinding(changes)))
    }

    /// Leaves a store out.
    pub fn leave_out(&self, store: StoreId) -> Result<(), StorageError> {
        let number = self.database.store_number(store).ok_or(StorageError::NoStore(store))?;
        let mut batch = Batch::new(&self.database);
        batch.delete_store(store, number)?;
        batch.commit()?;
        self.database.unregister(store);
        self.database.drop_rows(number)
    }

    /// Makes it a complete data directory.
    pub fn finish(self) -> Result<Database, StorageError> {
        self.database.finish_making(Making::Restored)?;
        Ok(self.database)
    }

    /// Removes what is there: the directory is empty again.
    pub fn give_up(self) -> Result<(), StorageError> {
        let dir = self.database.dir().to_owned();
        drop(self.database);
        directory::give_up_restoring(&dir)
    }
}

impl Database {
    /// What a backup says that it holds is there.
    fn hold_against(&self, backup: &Backup) -> Result<(), StorageError> {
        for store in &backup.stores {
            let found = match self.store_number(store.id) {
                Some(number) => self.read_head(number)?.revision,
                // It may have been deleted after its head was read.
                None => continue,
            };
            if found < store.revision {
                let detail = format!("is at revision {found}, the backup has {}", store.revision);
                let place = format!("store `{}`", store.id);
                return Err(StorageError::DamagedBackup { id: backup.id, place, detail });
            }
        }
        Ok(())
    }
}

fn copy(place: &Place, id: u32, files: &Path) -> Result<(), StorageError> {
    let mut engine = place.engine()?;
    engine.restore_from_backup(files, files, &RestoreOptions::default(), id).map_err(open::from_rocks)?;
    for entry in fs::read_dir(files).map_err(|error| io(files, &error))? {
        let path = entry.map_err(|error| io(files, &error))?.path();
        File::open(&path).and_then(|file| file.sync_all()).map_err(|error| io(&path, &error))?;
    }
    sync_directory(files)
}

/// The manifest in force, once the logs have been looked at: the last one may end in a write that was under way. Where nothing was
/// written since the tables were, there is no log.
fn manifest(files: &Path) -> Result<Option<std::path::PathBuf>, StorageError> {
    let mut entries = fs::read_dir(files).map_err(|error| io(files, &error))?;
    let has_log = entries.any(|entry| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "log"))
    });
    has_log.then(|| log::check(files)).transpose()
}
