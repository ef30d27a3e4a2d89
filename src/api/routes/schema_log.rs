//! Schemas with the revisions that wrote them, which OpenFGA's routes have no place for.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response};
use serde_json::json;

use super::super::app::{Answer, App, at};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::forms::{SchemaForm, SchemaInfoForm};
use super::super::load::Class;
use super::super::query::Parameters;
use super::super::translate::{no_store, unknown_schema};
use crate::tuple::StoreId;

/// All schemas of a store, newest first.
pub(super) async fn list(State(app): State<App>, Path(store): Path<String>) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), |app, store| {
        let id = store_id(store, "")?;
        let schemas: Vec<SchemaInfoForm> = app.engine.list_schemas(id)?.iter().map(Into::into).collect();
        Ok(Answer::json(&json!({ "schemas": schemas })))
    })
    .await
}

/// One schema: the one named by the parameter `id`, else the one in force in the state asked for.
pub(super) async fn find(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), move |app, store| {
        let named = query.text("id")?;
        let id = store_id(store, named)?;
        let schema = match named {
            "" => None,
            named => Some(named.parse().map_err(|_| unknown_schema(named))?),
        };
        let found = app.engine.read_schema(id, schema, &at(&headers)?)?;
        let form = SchemaForm::read(&found)
            .map_err(|error| ApiError::new(Code::Internal, format!("schema {}: {error}", found.id)))?;
        Ok(Answer::json(&form).under(found.id))
    })
    .await
}

fn store_id(store: &str, schema: &str) -> Result<StoreId, ApiError> {
    let mut fields = Fields::of("SchemaRequest");
    fields.form("StoreId", store, Form::Id);
    fields.form("Id", schema, Form::IdOrEmpty);
    fields.finish()?;
    store.parse().map_err(|_| no_store())
}
