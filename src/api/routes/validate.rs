//! Validate: the whole data directory, every family held against the others. Takes as long as it takes.

use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::http::Response;

use super::super::app::{Answer, App};
use super::super::forms::ValidationForm;

pub(super) async fn validate(State(app): State<App>) -> Response<ResponseBody> {
    app.run(None, |app, _| {
        let seen = app.engine.validate(&mut |_| {})?;
        Ok(Answer::json(&ValidationForm::from(&seen)))
    })
    .await
}
