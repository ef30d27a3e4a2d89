//! Create a store.

use super::Engine;
use super::error::EngineError;
use crate::storage::StoreRecord;
use crate::tuple::StoreId;

impl Engine {
    /// Makes a store with a new id.
    pub fn create_store(&self, name: Option<String>) -> Result<StoreRecord, EngineError> {
        Ok(self.writer.create_store(StoreId::generate(), name)?)
    }

    /// Makes a store with an id that was chosen elsewhere.
    pub fn create_store_with_id(&self, id: StoreId) -> Result<StoreRecord, EngineError> {
        Ok(self.writer.create_store(id, None)?)
    }
}
