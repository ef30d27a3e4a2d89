//! Statistics of a store: a walk over all of its tuples.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::Response;

use super::super::app::{Answer, App};
use super::super::fields::{Fields, Form};
use super::super::forms::StatsForm;
use super::super::load::Class;
use super::super::translate::no_store;

pub(super) async fn stats(State(app): State<App>, Path(store): Path<String>) -> Response<ResponseBody> {
    app.run(Class::Analysis, Some(store), |app, store| {
        let mut fields = Fields::of("StatsRequest");
        fields.form("StoreId", store, Form::Id);
        fields.finish()?;
        let stats = app.engine.store_stats(store.parse().map_err(|_| no_store())?)?;
        Ok(Answer::json(&StatsForm::from(&stats)))
    })
    .await
}
