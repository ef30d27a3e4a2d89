//! Read the schemas of a store.

use super::Engine;
use super::at::At;
use super::error::EngineError;
use crate::tuple::{Revision, SchemaId, StoreId, Timestamp};

/// A schema as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDocument {
    /// Its id.
    pub id: SchemaId,
    /// The revision that wrote it.
    pub written: Revision,
    /// Its wire form: JSON text.
    pub document: String,
}

/// A schema in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaInfo {
    /// Its id.
    pub id: SchemaId,
    /// The revision that wrote it.
    pub written: Revision,
    /// When it was written; none when that revision is no longer kept.
    pub written_at: Option<Timestamp>,
}

impl Engine {
    /// One schema of a store; none named: the one in force in a state.
    pub fn read_schema(
        &self,
        store: StoreId,
        id: Option<SchemaId>,
        at: &At,
    ) -> Result<SchemaDocument, EngineError> {
        let store = self.store(store)?;
        let id = match id {
            Some(id) => id,
            None => self.state(&store, at)?.schema()?.ok_or(EngineError::NoSchema(store.id))?,
        };
        let found = self.database().schema(store.number, id)?;
        let (written, document) = found.ok_or(EngineError::UnknownSchema { store: store.id, schema: id })?;
        Ok(SchemaDocument { id, written, document })
    }

    /// All schemas of a store, newest first.
    pub fn list_schemas(&self, store: StoreId) -> Result<Vec<SchemaInfo>, EngineError> {
        let store = self.store(store)?;
        let database = self.database();
        let info = |(id, written)| {
            let record = database.revision_record(store.number, written)?;
            Ok(SchemaInfo { id, written, written_at: record.map(|record| record.time) })
        };
        database.schemas(store.number)?.into_iter().map(info).collect()
    }
}
