//! Retention: how long the past of a store is kept.

use super::Engine;
use super::error::EngineError;
use crate::storage::Retention;
use crate::tuple::{StoreId, Token};

impl Engine {
    /// Has the past of a store kept for another time; what is to be dropped goes with the next collection.
    pub fn set_retention(&self, store: StoreId, retention: Retention) -> Result<Token, EngineError> {
        let commit = self.writer.keep_past(store, retention)?;
        Ok(self.token(store, commit.revision, commit.time))
    }
}
