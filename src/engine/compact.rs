//! Compact: merge the files of the data directory.

use super::Engine;
use super::error::EngineError;
use crate::storage::FamilySize;

impl Engine {
    /// Writes everything out of memory and merges the table files of every family: smaller, and faster to read.
    pub fn compact(&self) -> Result<(), EngineError> {
        Ok(self.database().compact()?)
    }

    /// Bytes and estimated rows of every family, of all stores.
    pub fn family_sizes(&self) -> Result<Vec<FamilySize>, EngineError> {
        Ok(self.database().family_sizes()?)
    }
}
