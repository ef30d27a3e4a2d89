//! Many tuples at once: deletion by filter, imports and exports as streams.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::Response;

use super::super::app::{Answer, App, REVISION, TOKEN};
use super::super::error::ApiError;
use super::super::forms::DeletedForm;
use super::super::load::Class;
use super::super::wire::{self, DeleteTuplesRequest, OrEmpty};
use super::Body;
use super::past::store_id;
use crate::engine::{DeleteRequest, DeleteWhat, TupleFilter};
use crate::tuple::ObjectRef;

/// Tuples of a step, at most.
const STEP_MAX: u64 = 100_000;

pub(super) async fn delete(
    State(app): State<App>,
    Path(store): Path<String>,
    body: Body,
) -> Response<ResponseBody> {
    app.run(Class::Bulk, Some(store), move |app, store| {
        let request: DeleteTuplesRequest = wire::read(super::bytes(&body)?)?;
        let id = store_id(app, store, "DeleteTuplesRequest")?;
        let what = match (request.filter.text(), request.object.text()) {
            ("", "") => {
                let message = "pass `filter` or `object`; a filter that matches all is `@*`";
                return Err(ApiError::validation(message));
            }
            (filter, "") => DeleteWhat::Matching(
                filter
                    .parse::<TupleFilter>()
                    .map_err(|error| ApiError::validation(format!("`filter`: {error}")))?,
            ),
            ("", object) => {
                let object = ObjectRef::parse(object);
                let object = object.map_err(|error| ApiError::validation(format!("`object`: {error}")))?;
                DeleteWhat::Naming(object.to_owned())
            }
            _ => return Err(ApiError::validation("pass either `filter` or `object`, not both")),
        };
        let step = match request.step {
            Some(step) if !(1..=STEP_MAX).contains(&step) => {
                return Err(ApiError::validation(format!("`step` must be from 1 to {STEP_MAX}")));
            }
            step => step.map(|step| step as usize),
        };
        let is_trial = request.dry_run.unwrap_or(false);
        let answer = app.engine.delete_tuples(&DeleteRequest { store: id, what, step, is_trial })?;
        let (token, revision) = (app.engine.seal(&answer.token), answer.token.revision.to_string());
        Ok(Answer::json(&DeletedForm::from(&answer)).with(TOKEN, &token).with(REVISION, &revision))
    })
    .await
}
