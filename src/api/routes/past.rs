//! The past of a store: how long it is kept, dropping it, and taking one object out of it.

use std::ops::ControlFlow;

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::Response;

use super::super::app::{Answer, App, REVISION, TOKEN};
use super::super::error::ApiError;
use super::super::fields::{Fields, Form};
use super::super::forms::{CollectForm, PurgeForm, RetentionForm, parse_retention};
use super::super::load::Class;
use super::super::translate::no_store;
use super::super::wire::{self, CollectRequest, OrEmpty, PurgeRequest, RetentionRequest};
use super::Body;
use crate::tuple::{ObjectRef, StoreId};

pub(super) fn store_id(app: &App, store: &str, request: &'static str) -> Result<StoreId, ApiError> {
    let mut fields = Fields::of(request);
    fields.form("StoreId", store, Form::Id);
    fields.finish()?;
    app.store(store).ok_or_else(no_store)
}

pub(super) async fn retention(State(app): State<App>, Path(store): Path<String>) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), |app, store| {
        let id = store_id(app, store, "GetRetentionRequest")?;
        Ok(Answer::json(&RetentionForm::of(&app.engine, id)?))
    })
    .await
}

pub(super) async fn set_retention(
    State(app): State<App>,
    Path(store): Path<String>,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Write, Some(store), move |app, store| {
        let request: RetentionRequest = wire::read(super::bytes(&body)?)?;
        let id = store_id(app, store, "SetRetentionRequest")?;
        let retention = parse_retention(request.retention.text()).map_err(ApiError::validation)?;
        let token = app.engine.set_retention(id, retention)?;
        let answer = Answer::json(&RetentionForm::of(&app.engine, id)?);
        Ok(answer.with(TOKEN, &app.engine.seal(&token)).with(REVISION, &token.revision.to_string()))
    })
    .await
}

pub(super) async fn collect(
    State(app): State<App>,
    Path(store): Path<String>,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Bulk, Some(store), move |app, store| {
        let request: CollectRequest = wire::read(super::bytes(&body)?)?;
        let id = store_id(app, store, "CollectRequest")?;
        let before = match request.before.text() {
            "" => None,
            text => Some(text.parse().map_err(|error| ApiError::validation(format!("`before`: {error}")))?),
        };
        let collected = app.engine.collect(id, before, &mut |_| ControlFlow::Continue(()))?;
        Ok(Answer::json(&CollectForm::from(&collected)))
    })
    .await
}

pub(super) async fn purge(
    State(app): State<App>,
    Path(store): Path<String>,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Bulk, Some(store), move |app, store| {
        let request: PurgeRequest = wire::read(super::bytes(&body)?)?;
        let id = store_id(app, store, "PurgeRequest")?;
        let object = ObjectRef::parse(request.object.text());
        let object = object.map_err(|error| ApiError::validation(format!("`object`: {error}")))?;
        let answer = app.engine.purge(id, object.to_owned(), request.compact.unwrap_or(false))?;
        let (token, revision) = (app.engine.seal(&answer.token), answer.token.revision.to_string());
        Ok(Answer::json(&PurgeForm::from(&answer)).with(TOKEN, &token).with(REVISION, &revision))
    })
    .await
}
