//! Schemas, which the wire calls authorization models: write, list, find.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, Query, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::app::{Answer, App, REVISION, TOKEN};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::page::{Kind, Pages};
use super::super::query::Parameters;
use super::super::translate::unknown_schema;
use super::super::wire;
use super::Body;
use crate::engine::{At, EngineError, SchemaDocument, StorageError};
use crate::tuple::{SchemaId, StoreId};

pub(super) async fn write(
    State(app): State<App>,
    Path(store): Path<String>,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Write, Some(store), move |app, store| {
        let body: serde_json::Map<String, Value> = wire::read(super::bytes(&body)?)?;
        let mut fields = Fields::of("WriteAuthorizationModelRequest");
        fields.form("StoreId", store, Form::Id);
        fields.finish()?;
        let id: StoreId =
            store.parse().map_err(|_| ApiError::validation(format!("`{store}` is not a ULID")))?;
        let document = Value::Object(body);
        let written = match app.engine.write_schema_json(id, &document) {
            // As in OpenFGA, a store begins with its first schema; it need not have been created.
            Err(EngineError::Storage(StorageError::NoStore(_))) => {
                match app.engine.create_store_with_id(id) {
                    Ok(_) | Err(EngineError::Storage(StorageError::StoreExists(_))) => {}
                    Err(error) => return Err(error.into()),
                }
                app.engine.write_schema_json(id, &document)
            }
            other => other,
        }?;
        let body = json!({ "authorization_model_id": written.id.to_string() });
        Ok(Answer::json(&body)
            .status(StatusCode::CREATED)
            .with(TOKEN, &app.engine.seal(&written.token))
            .with(REVISION, &written.token.revision.to_string()))
    })
    .await
}

pub(super) async fn list(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), move |app, store| {
        let mut fields = Fields::of("ReadAuthorizationModelsRequest");
        fields.form("StoreId", store, Form::Id);
        let size = fields.page_size(query.number("page_size")?);
        let token = query.text("continuation_token")?;
        fields.continuation_token(token);
        fields.finish()?;
        let pages = Pages::of(Kind::Schemas, &[&app.life(store)]);
        let after = pages.place(token)?;
        let Some(id) = app.store(store) else {
            return Ok(Answer::json(&json!({ "authorization_models": [], "continuation_token": "" })));
        };
        // Newest first: what follows is older.
        let all = app.engine.list_schemas(id)?;
        let start = match &after {
            Some(after) => {
                all.iter().position(|info| info.id.to_string() == *after).map_or(all.len(), |at| at + 1)
            }
            None => 0,
        };
        let page: Vec<SchemaId> = all.iter().skip(start).take(size).map(|info| info.id).collect();
        let token = match page.last() {
            Some(last) if start + page.len() < all.len() => pages.token(&last.to_string()),
            _ => String::new(),
        };
        let models: Result<Vec<Value>, ApiError> =
            page.into_iter().map(|schema| model(app, id, schema)).collect();
        Ok(Answer::json(&json!({ "authorization_models": models?, "continuation_token": token })))
    })
    .await
}

pub(super) async fn find(
    State(app): State<App>,
    Path((store, schema)): Path<(String, String)>,
) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), move |app, store| {
        let mut fields = Fields::of("ReadAuthorizationModelRequest");
        fields.form("StoreId", store, Form::Id);
        fields.form("Id", &schema, Form::Id);
        fields.finish()?;
        let unknown = || unknown_schema(&schema);
        let id = app.store(store).ok_or_else(unknown)?;
        let model = model(app, id, schema.parse().map_err(|_| unknown())?)?;
        Ok(Answer::json(&json!({ "authorization_model": model })))
    })
    .await
}

fn model(app: &App, store: StoreId, schema: SchemaId) -> Result<Value, ApiError> {
    let SchemaDocument { id, document, .. } = app.engine.read_schema(store, Some(schema), &At::Head)?;
    let mut model: Value = serde_json::from_str(&document)
        .map_err(|error| ApiError::new(Code::Internal, format!("schema {id}: {error}")))?;
    model["id"] = Value::String(id.to_string());
    Ok(model)
}
