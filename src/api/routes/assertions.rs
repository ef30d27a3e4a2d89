//! Assertions: what a schema's author expects of it. They are kept, not asked.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::app::{Answer, App};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::translate;
use super::super::tuples;
use super::super::wire::{self, Assertion, OrEmpty, WriteAssertionsRequest, tuple_json};
use super::Body;
use crate::engine::{At, View};
use crate::tuple::StoreId;

const ASSERTIONS_MAX: usize = 100;
const ASSERTIONS_BYTES_MAX: usize = 64_000;
const CONTEXTUAL_MAX: usize = 20;

pub(super) async fn write(
    State(app): State<App>,
    Path((store, schema)): Path<(String, String)>,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Write, Some(store), move |app, store| {
        let request: WriteAssertionsRequest = wire::read(super::bytes(&body)?)?;
        let assertions = request.assertions.unwrap_or_default();
        let mut fields = Fields::of("WriteAssertionsRequest");
        fields.form("StoreId", store, Form::Id);
        fields.form("AuthorizationModelId", &schema, Form::Id);
        fields.at_most(None, "Assertions", assertions.len(), ASSERTIONS_MAX);
        for assertion in &assertions {
            look_at(&mut fields, assertion);
        }
        fields.finish()?;
        let view = app.view(store, &schema, &At::Head)?;
        let under = |error: ApiError| error.under(view.schema());
        let all: Result<Vec<Value>, ApiError> =
            assertions.iter().map(|assertion| assertion_json(&view, assertion)).collect();
        let text = Value::Array(all.map_err(under)?).to_string();
        if text.len() > ASSERTIONS_BYTES_MAX {
            let message =
                format!("assertions exceed the limit: {} bytes vs {ASSERTIONS_BYTES_MAX} bytes", text.len());
            return Err(under(ApiError::new(Code::ExceededEntityLimit, message)));
        }
        let id: StoreId = store.parse().map_err(|_| translate::no_store())?;
        app.engine.write_assertions(id, view.schema(), text)?;
        Ok(Answer::empty(StatusCode::NO_CONTENT).under(view.schema()))
    })
    .await
}

fn look_at(fields: &mut Fields, assertion: &Assertion) {
    match &assertion.tuple_key {
        None => fields.wrong_in(Some("Assertion"), "TupleKey", "value is required"),
        Some(key) => {
            let message = Some("AssertionTupleKey");
            fields.form_in(message, "Object", key.object.text(), Form::Word(256));
            fields.form_in(message, "Relation", key.relation.text(), Form::RelationName);
            fields.form_in(message, "User", key.user.text(), Form::Word(512));
        }
    }
    let keys = assertion.contextual_tuples.as_deref();
    tuples::look_at_all(fields, Some("Assertion"), "ContextualTuples", keys, CONTEXTUAL_MAX);
}

/// As it is stored, and answered.
fn assertion_json(view: &View<'_>, assertion: &Assertion) -> Result<Value, ApiError> {
    let key = assertion.tuple_key.clone().unwrap_or_default();
    let (user, relation, object) = (key.user.text(), key.relation.text(), key.object.text());
    let tuple = translate::tuple_key(user, relation, object).map_err(ApiError::validation)?;
    let contextual: Result<Vec<_>, ApiError> = assertion
        .contextual_tuples
        .iter()
        .flatten()
        .map(|key| tuples::tuple(key, Code::ValidationError))
        .collect();
    let contextual = contextual?;
    view.look_up(tuple.as_ref(), &contextual).map_err(|error| {
        let mut error = ApiError::from(error);
        error.code = Code::ValidationError;
        error
    })?;
    Ok(json!({
        "tuple_key": { "object": object, "relation": relation, "user": user },
        "expectation": assertion.expectation.unwrap_or(false),
        "contextual_tuples": contextual.iter().map(tuple_json).collect::<Vec<_>>(),
        "context": assertion.context,
    }))
}

pub(super) async fn read(
    State(app): State<App>,
    Path((store, schema)): Path<(String, String)>,
) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), move |app, store| {
        let mut fields = Fields::of("ReadAssertionsRequest");
        fields.form("StoreId", store, Form::Id);
        fields.form("AuthorizationModelId", &schema, Form::Id);
        fields.finish()?;
        let view = app.view(store, &schema, &At::Head)?;
        let id: StoreId = store.parse().map_err(|_| translate::no_store())?;
        let text = app.engine.assertions(id, view.schema())?.unwrap_or_else(|| "[]".to_owned());
        let assertions: Value = serde_json::from_str(&text)
            .map_err(|error| ApiError::new(Code::Internal, format!("assertions of {schema}: {error}")))?;
        let body = json!({ "authorization_model_id": schema, "assertions": assertions });
        Ok(Answer::json(&body).under(view.schema()))
    })
    .await
}
