//! Compact: merge the files of the data directory.

use super::Engine;
use super::error::EngineError;

impl Engine {
    /// Writes everything out of memory and merges the table files of every family: smaller, and faster to read.
    pub fn compact(&self) -> Result<(), EngineError> {
        Ok(self.database().compact()?)
    }
}
