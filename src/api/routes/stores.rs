//! Stores: create, list, find, delete.

use axum::body::Body as ResponseBody;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{Response, StatusCode};
use serde_json::json;

use super::super::access::Caller;
use super::super::app::{Answer, App};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::page::{Kind, Pages};
use super::super::query::Parameters;
use super::super::translate::no_store;
use super::super::wire::{self, CreateStoreRequest, OrEmpty, time};
use super::Body;
use crate::engine::StoreRecord;

fn store_json(store: &StoreRecord) -> wire::Store {
    wire::Store {
        id: store.id.to_string(),
        name: store.name.as_deref().unwrap_or_default().to_owned(),
        created_at: time(store.created_at),
        updated_at: time(store.updated_at),
    }
}

fn with_deleted_at(store: &StoreRecord) -> serde_json::Value {
    let mut json = json!(store_json(store));
    json["deleted_at"] = serde_json::Value::Null;
    json
}

pub(super) async fn create(State(app): State<App>, body: Body) -> Response<ResponseBody> {
    app.run(Class::Write, None, move |app, _| {
        let request: CreateStoreRequest = wire::read(super::bytes(&body)?)?;
        let mut fields = Fields::of("CreateStoreRequest");
        fields.form("Name", request.name.text(), Form::StoreName);
        fields.finish()?;
        let store = app.engine.create_store(request.name)?;
        Ok(Answer::json(&store_json(&store)).status(StatusCode::CREATED))
    })
    .await
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Option<Extension<Caller>>,
    Query(query): Query<Parameters>,
) -> Response<ResponseBody> {
    app.run(Class::Look, None, move |app, _| {
        let mut fields = Fields::of("ListStoresRequest");
        let size = fields.page_size(query.number("page_size")?);
        let (token, name) = (query.text("continuation_token")?, query.text("name")?);
        fields.continuation_token(token);
        fields.form("Name", name, Form::StoreNameOrEmpty);
        fields.finish()?;
        let pages = Pages::of(Kind::Stores, &[name]);
        let after = pages.place(token)?;
        let mut found = app.engine.list_stores();
        found.retain(|store| {
            caller.as_ref().is_none_or(|caller| caller.sees(&store.id.to_string()))
                && (name.is_empty() || store.name.as_deref() == Some(name))
                && after.as_ref().is_none_or(|after| store.id.to_string() > *after)
        });
        let is_more = found.len() > size;
        found.truncate(size);
        let token = match found.last() {
            Some(last) if is_more => pages.token(&last.id.to_string()),
            _ => String::new(),
        };
        let stores: Vec<_> = found.iter().map(with_deleted_at).collect();
        Ok(Answer::json(&json!({ "stores": stores, "continuation_token": token })))
    })
    .await
}

pub(super) async fn find(State(app): State<App>, Path(store): Path<String>) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), |app, store| {
        let mut fields = Fields::of("GetStoreRequest");
        fields.form("StoreId", store, Form::Id);
        fields.finish()?;
        let found = store.parse().ok().and_then(|id| app.engine.find_store(id)).ok_or_else(no_store)?;
        Ok(Answer::json(&with_deleted_at(&found)))
    })
    .await
}

pub(super) async fn delete(State(app): State<App>, Path(store): Path<String>) -> Response<ResponseBody> {
    app.run(Class::Write, Some(store), |app, store| {
        let mut fields = Fields::of("DeleteStoreRequest");
        fields.form("StoreId", store, Form::Id);
        fields.finish()?;
        // A store that is not there is as deleted as one can be.
        if let Ok(id) = store.parse() {
            app.engine.delete_store(id).map_err(|error| ApiError::new(Code::Internal, error.to_string()))?;
        }
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    })
    .await
}
