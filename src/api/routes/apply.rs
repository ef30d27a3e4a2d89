//! A change of the schema together with its tuples: everything in one revision, or nothing.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::super::app::{AT, AT_LEAST, Answer, Answered, App, REVISION, TOKEN};
use super::super::change_forms::ApplyForm;
use super::super::error::{ApiError, Code};
use super::super::fields::{Fields, Form};
use super::super::load::Class;
use super::super::translate::no_store;
use super::super::wire::{self, OrEmpty, RenameItem};
use super::Body;
use super::write::{AskedTuples, look_at_tuples, preconditions};
use crate::engine::{ApplyRefusal, ApplyReport, ApplyRequest, EngineError, Rename, RenameError, SchemaInput};
use crate::tuple::StoreId;

pub(super) async fn apply(
    State(app): State<App>,
    Path(store): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Bulk, Some(store), move |app, store| {
        if headers.contains_key(AT) || headers.contains_key(AT_LEAST) {
            let message =
                "headers Stonetown-At and Stonetown-At-Least are for questions: a change is made now";
            return Err(ApiError::validation(message));
        }
        let request: wire::ApplyRequest = wire::read(super::bytes(&body)?)?;
        let mut fields = Fields::of("ApplyRequest");
        fields.form("StoreId", store, Form::Id);
        look_at_tuples(&mut fields, request.writes.as_ref(), request.deletes.as_ref());
        fields.finish()?;
        let id = app.store(store).ok_or_else(no_store)?;
        let request = read(app, id, request)?;
        match app.engine.apply(request) {
            Ok(answer) => Ok(answered(&ApplyForm::of(&app.engine, &answer))),
            Err(EngineError::NotApplied(ApplyRefusal::Silences(report))) => silences(report),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

fn read(app: &App, store: StoreId, request: wire::ApplyRequest) -> Result<ApplyRequest, ApiError> {
    let AskedTuples { writes, deletes, on_duplicate, on_missing, .. } =
        AskedTuples::read(app, request.writes, request.deletes)?;
    let renames: Result<Vec<Rename>, ApiError> =
        request.renames.unwrap_or_default().iter().map(rename).collect();
    Ok(ApplyRequest {
        store,
        schema: request.schema.map(|schema| SchemaInput::Json(Value::Object(schema))),
        renames: renames?,
        writes,
        deletes,
        preconditions: preconditions(request.preconditions)?,
        on_duplicate,
        on_missing,
        allow_silenced: request.allow_silenced.unwrap_or(false),
        is_trial: request.dry_run.unwrap_or(false),
    })
}

fn rename(item: &RenameItem) -> Result<Rename, ApiError> {
    let wrong = |error: RenameError| ApiError::validation(format!("`renames`: {error}"));
    match (item.object_type.text(), item.relation.text()) {
        (object_type, "") if !object_type.is_empty() => {
            Rename::of_type(object_type, item.to.text()).map_err(wrong)
        }
        ("", relation) if !relation.is_empty() => {
            let Some((object_type, relation)) = relation.split_once('#') else {
                let message = format!("`renames`: relation `{relation}`: write `TYPE#RELATION`");
                return Err(ApiError::validation(message));
            };
            Rename::of_relation(object_type, relation, item.to.text()).map_err(wrong)
        }
        _ => Err(ApiError::validation("`renames`: each has either `type` or `relation`, and `to`")),
    }
}

fn answered(form: &ApplyForm) -> Answer {
    let answer = Answer::json(form);
    match (&form.token, form.revision) {
        (Some(token), Some(revision)) => answer.with(TOKEN, token).with(REVISION, &revision.to_string()),
        _ => answer,
    }
}

/// A conflict as any other, which also has the report.
fn silences(report: Box<ApplyReport>) -> Answered {
    let form = ApplyForm::from(&*report);
    let message = ApplyRefusal::Silences(report).to_string();
    let body =
        json!({ "code": Code::Conflict.name(), "message": message, "reason": message, "report": form });
    Ok(Answer::json(&body).status(StatusCode::CONFLICT))
}
