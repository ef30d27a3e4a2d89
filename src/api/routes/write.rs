//! Write: tuples come and go, all of them in one revision, or none.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::json;

use super::super::app::{
    AT, AT_LEAST, Answer, Answered, App, CHANGED, IDEMPOTENCY_KEY, REVISION, TOKEN, ids,
};
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::translate::{missing_tuple, parts_of, too_many_tuples, tuple_key};
use super::super::tuples;
use super::super::wire::{self, Deletes, OrEmpty, Writes};
use super::Body;
use crate::engine::{At, EngineError, OnDuplicate, OnMissing, Precondition, View, WriteRequest};
use crate::tuple::{StoreId, Tuple, TupleKey};

pub(super) async fn write(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Write, Some(store), move |app, store| {
        if headers.contains_key(AT) || headers.contains_key(AT_LEAST) {
            let message =
                "headers Stonetown-At and Stonetown-At-Least are for questions: a write is made now";
            return Err(ApiError::validation(message));
        }
        let request: wire::WriteRequest = wire::read(super::bytes(&body)?)?;
        look_at(store, &request)?;
        // Of the newest state: also a mere deletion needs a schema, and errors are answered with its id.
        let view = app.view(store, request.authorization_model_id.text(), &At::Head)?;
        let schema = view.schema();
        let key = idempotency_key(&headers)?;
        apply(app, view, store, request, key).map_err(|error| error.under(schema))
    })
    .await
}

fn look_at(store: &str, request: &wire::WriteRequest) -> Result<(), ApiError> {
    let mut fields = Fields::of("WriteRequest");
    ids(&mut fields, store, request.authorization_model_id.text());
    look_at_tuples(&mut fields, request.writes.as_ref(), request.deletes.as_ref());
    fields.finish()
}

/// Looks at the fields of the tuples that a request writes and deletes.
pub(super) fn look_at_tuples(fields: &mut Fields, writes: Option<&Writes>, deletes: Option<&Deletes>) {
    if let Some(Writes { tuple_keys, .. }) = writes {
        let keys = tuple_keys.as_deref().unwrap_or_default();
        if keys.is_empty() {
            fields.wrong_in(Some("WriteRequestWrites"), "TupleKeys", "value must contain at least 1 item(s)");
        }
        for key in keys {
            tuples::look_at(fields, key);
        }
    }
    if let Some(Deletes { tuple_keys, .. }) = deletes {
        let keys = tuple_keys.as_deref().unwrap_or_default();
        if keys.is_empty() {
            fields.wrong_in(
                Some("WriteRequestDeletes"),
                "TupleKeys",
                "value must contain at least 1 item(s)",
            );
        }
        let message = Some("TupleKeyWithoutCondition");
        for key in keys {
            fields.form_in(message, "User", key.user.text(), Form::WordOrEmpty(512));
            fields.form_in(message, "Relation", key.relation.text(), Form::RelationNameOrEmpty);
            fields.form_in(message, "Object", key.object.text(), Form::WordOrEmpty(256));
        }
    }
}

/// A text of our clients' choice, such as a UUID.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let wrong = || ApiError::validation("header Idempotency-Key has to be a text of 1 to 255 characters");
    key.ok_or_else(wrong).map(Some)
}

fn apply(app: &App, view: View<'_>, store: &str, request: wire::WriteRequest, key: Option<&str>) -> Answered {
    let store_id: StoreId = store.parse().map_err(|_| ApiError::validation("the store's id is no ULID"))?;
    let in_force = view.schema();
    let named = (!request.authorization_model_id.text().is_empty()).then_some(in_force);
    drop(view);
    let AskedTuples { writes, deletes, deletes_given, on_duplicate, on_missing } =
        AskedTuples::read(app, request.writes, request.deletes)?;
    let preconditions = preconditions(request.preconditions)?;
    let request = WriteRequest {
        store: store_id,
        writes,
        deletes,
        preconditions,
        on_duplicate,
        on_missing,
        schema: named,
    };
    let is_idle = request.writes.is_empty() && request.deletes.is_empty() && request.preconditions.is_empty();
    if is_idle && deletes_given > 0 {
        // Nothing of what is to be gone can be there.
        let token = app.engine.newest(store_id)?;
        return Ok(Answer::json(&json!({})).with(TOKEN, &app.engine.seal(&token)).under(in_force));
    }
    let answer = match app.engine.write_once(request, key) {
        Ok(answer) => answer,
        Err(error) => {
            let is_bad_tuple =
                matches!(&error, EngineError::Refused(crate::engine::WriteRefusal::Rejected { .. }));
            let mut error = ApiError::from(error);
            if is_bad_tuple {
                error.code = Code::ValidationError;
            }
            return Err(error);
        }
    };
    let reply = Answer::json(&json!({}))
        .with(TOKEN, &app.engine.seal(&answer.token))
        .with(REVISION, &answer.token.revision.to_string())
        .with(CHANGED, &answer.changed.to_string());
    Ok(reply.under(answer.schema.unwrap_or(in_force)))
}

/// The tuples that a request writes and deletes.
pub(super) struct AskedTuples {
    pub(super) writes: Vec<Tuple>,
    /// Without those that cannot be there, where that is no mistake.
    pub(super) deletes: Vec<TupleKey>,
    pub(super) deletes_given: usize,
    pub(super) on_duplicate: OnDuplicate,
    pub(super) on_missing: OnMissing,
}

impl AskedTuples {
    pub(super) fn read(
        app: &App,
        writes: Option<Writes>,
        deletes: Option<Deletes>,
    ) -> Result<AskedTuples, ApiError> {
        let (writes, deletes) = (writes.unwrap_or_default(), deletes.unwrap_or_default());
        let on_duplicate = match writes.on_duplicate.text() {
            "" | "error" => OnDuplicate::Error,
            "ignore" => OnDuplicate::Ignore,
            // Ours.
            "replace" => OnDuplicate::Replace,
            other => return Err(ApiError::validation(format!("invalid on_duplicate option: {other}"))),
        };
        let on_missing = match deletes.on_missing.text() {
            "" | "error" => OnMissing::Error,
            "ignore" => OnMissing::Ignore,
            other => return Err(ApiError::validation(format!("invalid on_missing option: {other}"))),
        };
        let written = writes.tuple_keys.unwrap_or_default();
        let deleted = deletes.tuple_keys.unwrap_or_default();
        let limit = app.limits.write_tuples_max;
        if written.len() + deleted.len() > limit {
            return Err(too_many_tuples(limit));
        }
        let writes: Result<_, ApiError> =
            written.iter().map(|key| tuples::tuple(key, Code::ValidationError)).collect();
        let deletes: Result<Vec<Option<TupleKey>>, ApiError> =
            deleted.iter().map(|key| deleted_key(key, on_missing)).collect();
        Ok(AskedTuples {
            writes: writes?,
            deletes: deletes?.into_iter().flatten().collect(),
            deletes_given: deleted.len(),
            on_duplicate,
            on_missing,
        })
    }
}

/// Preconditions, each as a text.
pub(super) fn preconditions(texts: Option<Vec<String>>) -> Result<Vec<Precondition>, ApiError> {
    let read = |text: &String| {
        text.parse()
            .map_err(|error: crate::engine::PreconditionError| ApiError::validation(error.to_string()))
    };
    texts.unwrap_or_default().iter().map(read).collect()
}

/// A tuple to be deleted; one that cannot be written is missing.
fn deleted_key(key: &wire::TupleKey, on_missing: OnMissing) -> Result<Option<TupleKey>, ApiError> {
    let (user, relation, object) = (key.user.text(), key.relation.text(), key.object.text());
    match (tuple_key(user, relation, object), on_missing) {
        (Ok(key), _) => Ok(Some(key)),
        (Err(_), OnMissing::Ignore) => Ok(None),
        (Err(_), OnMissing::Error) => Err(missing_tuple(&parts_of(user, relation, object))),
    }
}
