//! Write a schema: it is in force from its revision on. Schemas are immutable; a new one does not touch the old.

use std::borrow::Cow;
use std::sync::Arc;

use super::Engine;
use super::error::EngineError;
use crate::eval::Program;
use crate::schema::{Limits, Problems, Schema, Tree, read_json_within};
use crate::storage::Change;
use crate::tuple::{SchemaId, StoreId, Token};

/// A schema that is not stored.
#[derive(Debug, Clone)]
pub enum SchemaInput {
    /// As its tree.
    Tree(Box<Tree>),
    /// In OpenFGA's JSON form.
    Json(serde_json::Value),
}

impl SchemaInput {
    /// In OpenFGA's JSON form.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            SchemaInput::Tree(tree) => tree.to_json(),
            SchemaInput::Json(document) => document.clone(),
        }
    }

    /// The tree, and what it comes to.
    pub(super) fn resolve(&self, limits: &Limits) -> Result<(Cow<'_, Tree>, Schema), Problems> {
        match self {
            SchemaInput::Tree(tree) => Ok((Cow::Borrowed(tree), Schema::resolve_within(tree, limits)?)),
            SchemaInput::Json(document) => {
                let (tree, schema) = read_json_within("body", document, limits)?;
                Ok((Cow::Owned(tree), schema))
            }
        }
    }
}

/// A schema that was written.
#[derive(Debug, Clone)]
pub struct WriteSchemaAnswer {
    /// Its id.
    pub id: SchemaId,
    /// The state from which on it is in force.
    pub token: Token,
}

impl Engine {
    /// Writes a schema, given in OpenFGA's JSON form.
    pub fn write_schema_json(
        &self,
        store: StoreId,
        document: &serde_json::Value,
    ) -> Result<WriteSchemaAnswer, EngineError> {
        self.store(store)?;
        let (tree, _) = read_json_within("body", document, &self.settings().schema_limits)?;
        self.write_schema(store, &tree)
    }

    /// Writes a schema, given as its tree.
    ///
    /// # Errors
    /// All problems of the schema at once.
    pub fn write_schema(&self, store: StoreId, tree: &Tree) -> Result<WriteSchemaAnswer, EngineError> {
        let store = self.store(store)?;
        let schema = Schema::resolve_within(tree, &self.settings().schema_limits)?;
        let document = tree.to_json().to_string();
        let shared = Arc::clone(&self.shared);
        let program = Arc::new(Program::new(schema));
        let (made, id) = std::sync::mpsc::sync_channel(1);
        let number = store.number;
        let commit = self.writer.write::<EngineError>(
            store.id,
            Box::new(move |_, _| {
                // Ids are made one after the other here, so that they sort as the revisions do.
                let id = SchemaId::generate();
                shared.programs.keep(number, id, program);
                let _ = made.send(id);
                Ok(vec![Change::Schema { id, document: document.into() }])
            }),
        )?;
        let id = id.recv().map_err(|_| EngineError::NoSchema(store.id))?;
        Ok(WriteSchemaAnswer { id, token: self.token(store.id, commit.revision, commit.time) })
    }
}
