//! Delete a store.

use super::Engine;
use super::error::EngineError;
use crate::tuple::StoreId;

impl Engine {
    /// Removes a store with everything in it; false when there was none.
    pub fn delete_store(&self, id: StoreId) -> Result<bool, EngineError> {
        Ok(self.writer.delete_store(id)?)
    }
}
