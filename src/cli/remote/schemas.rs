//! Schemas.

use serde_json::Value;

use super::Client;
use super::answer::unsure;
use crate::api::{SchemaForm, SchemaInfoForm};
use crate::cli::target::SchemaWritten;
use crate::engine::At;
use crate::schema::Tree;
use crate::tuple::{SchemaId, StoreId};

impl Client {
    pub(in crate::cli) fn write_schema(&self, store: StoreId, tree: &Tree) -> anyhow::Result<SchemaWritten> {
        let path = format!("/stores/{store}/authorization-models");
        let answer = self.post(path, &tree.to_json()).send().map_err(unsure)?;
        let body = answer.json()?;
        let schema = body["authorization_model_id"].as_str();
        Ok(SchemaWritten {
            schema: schema.ok_or_else(|| answer.unlike_ours("no `authorization_model_id`"))?.to_owned(),
            revision: answer.number("stonetown-revision")?,
            token: answer.text("stonetown-token")?.to_owned(),
        })
    }

    pub(in crate::cli) fn read_schema(
        &self,
        store: StoreId,
        schema: Option<SchemaId>,
        at: &At,
    ) -> anyhow::Result<SchemaForm> {
        let mut call = self.get(format!("/stores/{store}/schema")).at(at);
        if let Some(schema) = schema {
            call = call.query("id", schema.to_string());
        }
        call.send()?.form()
    }

    pub(in crate::cli) fn list_schemas(&self, store: StoreId) -> anyhow::Result<Vec<SchemaInfoForm>> {
        let answer = self.get(format!("/stores/{store}/schemas")).send()?;
        let mut body: Value = answer.json()?;
        serde_json::from_value(body["schemas"].take()).map_err(|_| answer.unlike_ours("no `schemas`"))
    }
}
