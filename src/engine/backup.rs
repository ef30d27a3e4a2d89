//! Backup: a copy of the whole data directory, made while it is served.

use std::num::NonZero;
use std::path::Path;

use super::Engine;
use super::error::EngineError;
use crate::storage::{self, Backup, BackupDone, BackupStep, Finding, StorageError};
use crate::tuple::Token;

/// A backup that was made.
#[derive(Debug, Clone)]
pub struct BackupAnswer {
    /// It, and what it took.
    pub done: BackupDone,
    /// For each of its stores, in their order, the state that it certainly holds.
    pub tokens: Vec<Token>,
}

/// What was found in the files of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupVerdict {
    /// Which backup.
    pub id: u32,
    /// What is not as it was written.
    pub findings: Vec<Finding>,
}

impl Engine {
    /// Copies the data directory to a place for backups, beside earlier ones, whose files it shares, and reads all of it
    /// back; then removes all but the newest `keep`. Reads and writes go on.
    ///
    /// # Errors
    /// The place holds backups of another data directory, or something else.
    pub fn backup(
        &self,
        place: &Path,
        keep: Option<NonZero<usize>>,
        progress: &mut dyn FnMut(BackupStep),
    ) -> Result<BackupAnswer, EngineError> {
        let done = self.database().back_up(place, keep, progress)?;
        let made_at = done.backup.made_at;
        let tokens = done.backup.stores.iter();
        let tokens = tokens.map(|store| self.token(store.id, store.revision, store.time.max(made_at)));
        Ok(BackupAnswer { tokens: tokens.collect(), done })
    }
}

/// The backups at a place, oldest first; in place of one whose record is damaged, the error that says so.
pub fn list_backups(place: &Path) -> Result<Vec<Result<Backup, StorageError>>, EngineError> {
    Ok(storage::list_backups(place)?)
}

/// Reads every file of a backup, or of all backups of a place.
pub fn verify_backups(
    place: &Path,
    id: Option<u32>,
    progress: &mut dyn FnMut(BackupStep),
) -> Result<Vec<BackupVerdict>, EngineError> {
    let verified = storage::verify_backups(place, id, progress)?;
    Ok(verified.into_iter().map(|(id, findings)| BackupVerdict { id, findings }).collect())
}
