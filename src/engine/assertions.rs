//! Assertions: what a schema's author expects of it, kept beside the schema. They are no part of any state.

use super::Engine;
use super::error::EngineError;
use crate::tuple::{SchemaId, StoreId};

impl Engine {
    /// Replaces the assertions of a schema; their text is the caller's.
    pub fn write_assertions(
        &self,
        store: StoreId,
        schema: SchemaId,
        text: String,
    ) -> Result<(), EngineError> {
        Ok(self.writer.write_assertions(store, schema, text)?)
    }

    /// The assertions of a schema; none were written: none.
    pub fn assertions(&self, store: StoreId, schema: SchemaId) -> Result<Option<String>, EngineError> {
        let store = self.store(store)?;
        Ok(self.database().assertions(store.number, schema)?)
    }
}
