//! List stores.

use super::Engine;
use crate::storage::StoreRecord;
use crate::tuple::StoreId;

impl Engine {
    /// All stores, in the order in which they were made.
    pub fn list_stores(&self) -> Vec<StoreRecord> {
        self.database().stores()
    }

    /// One store; none: there is no such store.
    pub fn find_store(&self, id: StoreId) -> Option<StoreRecord> {
        self.database().store(id)
    }
}
