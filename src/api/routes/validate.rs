//! The whole data directory: every family held against the others, or its files merged. Takes as long as it takes.

use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::Response;

use super::super::app::{Answer, App};
use super::super::forms::{CompactedForm, ValidationForm};
use super::super::load::Class;

pub(super) async fn validate(State(app): State<App>) -> Response<ResponseBody> {
    app.run(Class::Bulk, None, |app, _| {
        let seen = app.engine.validate(&mut |_| {})?;
        Ok(Answer::json(&ValidationForm::from(&seen)))
    })
    .await
}

pub(super) async fn compact(State(app): State<App>) -> Response<ResponseBody> {
    app.run(Class::Bulk, None, |app, _| {
        app.engine.compact()?;
        let files = app.engine.family_sizes()?.iter().map(|family| family.file_bytes).sum::<u64>();
        Ok(Answer::json(&CompactedForm { file_bytes: files }))
    })
    .await
}
