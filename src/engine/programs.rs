//! Schemas made ready for evaluation, kept between questions. They are immutable, so they never go stale.

use std::sync::Arc;

use dashmap::DashMap;

use super::error::EngineError;
use crate::eval::Program;
use crate::schema::{Limits, Schema, read_json_within};
use crate::storage::{Database, StorageError};
use crate::tuple::SchemaId;

/// Programs kept; when there are more, all are dropped and made again as needed.
const PROGRAMS_MAX: usize = 1_000;

#[derive(Default)]
pub(super) struct Programs {
    by_schema: DashMap<(u32, SchemaId), Arc<Program>>,
}

impl Programs {
    /// The program of a schema, if it is kept.
    pub(super) fn at_hand(&self, store: u32, id: SchemaId) -> Option<Arc<Program>> {
        self.by_schema.view(&(store, id), |_, program| Arc::clone(program))
    }

    /// The program of a stored schema.
    pub(super) fn get(
        &self,
        database: &Database,
        store: u32,
        id: SchemaId,
    ) -> Result<Arc<Program>, EngineError> {
        if let Some(program) = self.at_hand(store, id) {
            return Ok(program);
        }
        let Some((_, document)) = database.schema(store, id)? else {
            let store = database.stores().into_iter().find(|record| record.number == store).map(|it| it.id);
            let store =
                store.ok_or_else(|| StorageError::Io("the store was deleted meanwhile".to_owned()))?;
            return Err(EngineError::UnknownSchema { store, schema: id });
        };
        let program = Arc::new(Program::new(read_document(id, &document)?));
        self.keep(store, id, Arc::clone(&program));
        Ok(program)
    }

    /// Keeps a program, also of a schema that is about to be written: writes behind it in the same batch need it.
    pub(super) fn keep(&self, store: u32, id: SchemaId, program: Arc<Program>) {
        if self.by_schema.len() >= PROGRAMS_MAX {
            self.by_schema.clear();
        }
        self.by_schema.insert((store, id), program);
    }
}

/// A stored schema, which was checked when it was written.
fn read_document(id: SchemaId, document: &str) -> Result<Schema, StorageError> {
    let damaged = |detail: String| StorageError::Damaged { place: format!("schema {id}"), detail };
    let json: serde_json::Value =
        serde_json::from_str(document).map_err(|error| damaged(error.to_string()))?;
    // Limits may have been lowered since; what is stored stays readable.
    let limits = Limits {
        text_bytes_max: usize::MAX,
        model_bytes_max: usize::MAX,
        types_max: usize::MAX,
        ..Limits::default()
    };
    let (_, schema) =
        read_json_within(&id.to_string(), &json, &limits).map_err(|problems| damaged(problems.plain()))?;
    Ok(schema)
}
