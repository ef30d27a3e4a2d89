//! Purge: everything that names one object leaves the present, the past and the change log.

use super::Engine;
use super::error::EngineError;
use crate::storage::Purged;
use crate::tuple::{Object, StoreId, Token};

/// What a purge took away.
#[derive(Debug, Clone)]
pub struct PurgeAnswer {
    /// The state it left.
    pub token: Token,
    /// What is gone; all zero: nothing named the object, and no revision was taken.
    pub purged: Purged,
}

impl Engine {
    /// Takes away whatever names an object: as object, as subject, or as the object of a userset. No read shows it from
    /// here on; its bytes leave the table files when they are merged, at once with `compact`, as far as no running read needs them.
    ///
    /// # Errors
    /// [`StorageError::PurgeTooLarge`](crate::storage::StorageError::PurgeTooLarge).
    pub fn purge(&self, store: StoreId, object: Object, compact: bool) -> Result<PurgeAnswer, EngineError> {
        let (commit, purged) = self.writer.purge(store, object)?;
        if compact {
            self.database().compact()?;
        }
        Ok(PurgeAnswer { token: self.token(store, commit.revision, commit.time), purged })
    }
}
