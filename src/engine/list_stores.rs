//! List stores.

use super::Engine;
use crate::storage::StoreRecord;

impl Engine {
    /// All stores, in the order in which they were made.
    pub fn list_stores(&self) -> Vec<StoreRecord> {
        self.database().stores()
    }
}
