//! The OpenID AuthZEN Authorization API 1.0, for each store: evaluations, searches, and where they are found.
//!
//! A subject or resource `{type, id}` is the object `type:id`, an action the relation of its name. What a request says
//! besides (properties, context) is the context of conditions. Errors are told as AuthZEN has them: the message alone, as
//! a JSON text.

mod discovery;
mod evaluate;
mod page;
mod search;
mod strict;
mod wire;

use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

use super::app::{Answer, App, Budget, SCHEMA_ID, at};
use super::error::{ApiError, Code};
use super::routes::{Body, bytes};
use super::translate::no_store;
use crate::engine::{At, View};

pub(super) use discovery::configuration;
pub(super) use evaluate::{evaluation, evaluations};
pub(super) use search::{search_action, search_resource, search_subject};

/// The JSON object of a body.
fn read(headers: &HeaderMap, body: &Body) -> Result<Map<String, Value>, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap_or("?"));
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let given = if essence.is_empty() { "missing".to_owned() } else { format!("`{essence}`") };
        let message = format!("header Content-Type has to be `application/json`; it is {given}");
        return Err(ApiError::validation(message));
    }
    strict::object(bytes(body)?)
}

/// The model that a request is about; empty: the one in force.
fn named_schema(headers: &HeaderMap) -> Result<&str, ApiError> {
    let wrong = |_| ApiError::validation("header Openfga-Authorization-Model-Id is not a text");
    headers.get(SCHEMA_ID).map_or(Ok(""), |id| id.to_str().map_err(wrong))
}

/// The view that a question is asked of; none: it takes more than the budget.
fn open<'a>(
    app: &'a App,
    store: &str,
    headers: &HeaderMap,
    state: Option<&At>,
    budget: Budget,
) -> Result<Option<View<'a>>, ApiError> {
    app.store(store).ok_or_else(no_store)?;
    let schema = named_schema(headers)?;
    let state = state.cloned().map_or_else(|| at(headers), Ok)?;
    match budget {
        Budget::Short => app.view_at_hand(store, schema, &state),
        Budget::Whole => app.view(store, schema, &state).map(Some),
    }
}

/// What is told of an error: our own words, since no client of OpenFGA reads them here.
fn message(error: &ApiError) -> &str {
    error.reason.as_deref().unwrap_or(&error.message)
}

/// An error of a part of a request, as it stands in a `context`.
fn error_json(error: &ApiError) -> Value {
    json!({ "status": status(error).as_u16(), "code": error.code.name(), "message": message(error) })
}

fn status(error: &ApiError) -> StatusCode {
    match error.code {
        // AuthZEN has no status of its own for it, and it is not the server's fault.
        Code::ResourceExhausted => StatusCode::BAD_REQUEST,
        code => code.status(),
    }
}

/// The answer to a request that cannot be answered.
pub(super) fn refusal(error: &ApiError) -> Answer {
    let answer = Answer::json(&message(error)).status(status(error));
    match error.schema {
        Some(schema) => answer.under(schema),
        None => answer,
    }
}
