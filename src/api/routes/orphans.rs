//! Orphans: stored tuples that a schema does not let in. JSON lines: first how many there are, then one tuple a line.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::Instant;

use axum::body::Body as StreamBody;
use axum::extract::{Path, Query, State};
use axum::http::Response;
use serde_json::Value;

use super::super::app::{Answer, App, Charge, REVISION, TOKEN, respond};
use super::super::change_forms::{OrphanForm, RemovedForm, TupleGroupsForm};
use super::super::error::ApiError;
use super::super::load::Class;
use super::super::query::Parameters;
use super::super::translate::unknown_schema;
use super::super::wire::{self, OrEmpty, OrphansRequest};
use super::Body;
use super::past::store_id;
use super::pieces::{Pieces, streamed};
use crate::engine::{OrphansUnder, SchemaInput};
use crate::tuple::StoreId;

/// What is asked for.
struct Asked {
    store: StoreId,
    under: OrphansUnder,
    /// Tuples that are shown.
    limit: u64,
}

impl Asked {
    fn read(app: &App, store: &str, request: OrphansRequest) -> Result<Asked, ApiError> {
        let store = store_id(app, store, "OrphansRequest")?;
        let under = match (request.schema, request.schema_id.text()) {
            (None, "") => OrphansUnder::InForce,
            (None, id) => OrphansUnder::Stored(id.parse().map_err(|_| unknown_schema(id))?),
            (Some(schema), "") => OrphansUnder::Given(SchemaInput::Json(Value::Object(schema))),
            (Some(_), _) => {
                return Err(ApiError::validation("pass either `schema` or `schema_id`, not both"));
            }
        };
        Ok(Asked { store, under, limit: request.limit.unwrap_or(u64::MAX) })
    }

    fn of_query(query: &Parameters) -> Result<OrphansRequest, ApiError> {
        let limit = query.number("limit")?.map(u64::try_from).transpose();
        let limit = limit.map_err(|_| ApiError::validation("`limit` has to be at least 0"))?;
        let schema_id = Some(query.text("schema_id")?.to_owned());
        Ok(OrphansRequest { schema: None, schema_id, limit })
    }
}

/// Under the schema in force, or a stored one.
pub(super) async fn list(
    State(app): State<App>,
    Path(store): Path<String>,
    Query(query): Query<Parameters>,
    charge: Charge,
) -> Response<StreamBody> {
    answer(app, &store, charge, Asked::of_query(&query)).await
}

/// The same, or under one that comes with the request.
pub(super) async fn list_under(
    State(app): State<App>,
    Path(store): Path<String>,
    charge: Charge,
    body: Body,
) -> Response<StreamBody> {
    let request = super::bytes(&body).and_then(|body| wire::read(body));
    answer(app, &store, charge, request).await
}

async fn answer(
    app: App,
    store: &str,
    charge: Charge,
    request: Result<OrphansRequest, ApiError>,
) -> Response<StreamBody> {
    let received = Instant::now();
    let asked = match request.and_then(|request| Asked::read(&app, store, request)) {
        Ok(asked) => asked,
        Err(error) => return respond(Some(store), Err(error), received),
    };
    let make = move |app: &App, out: &mut Pieces| write(app, &asked, out);
    streamed(app, Class::Analysis, charge, store, "application/x-ndjson", make).await
}

fn write(app: &App, asked: &Asked, out: &mut Pieces) -> Result<(), ApiError> {
    let orphans = app.engine.orphans(asked.store, &asked.under)?;
    out.of_state(app.engine.seal(&orphans.token()));
    let groups = TupleGroupsForm::from(&orphans.groups()?);
    let mut sent = line(out, &groups);
    let mut left = asked.limit.min(groups.tuples);
    if left > 0 && sent.is_ok() {
        orphans.visit(&mut |tuple, reason| {
            left -= 1;
            sent = line(out, &OrphanForm::new(&tuple, reason));
            if left > 0 && sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    // Nobody takes it any longer.
    sent.map_err(|error| ApiError::validation(error.to_string()))
}

fn line(out: &mut Pieces, form: &impl serde::Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(form)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// Deletes the orphans under the schema in force.
pub(super) async fn remove(State(app): State<App>, Path(store): Path<String>) -> Response<StreamBody> {
    app.run(Class::Bulk, Some(store), |app, store| {
        let id = store_id(app, store, "RemoveOrphansRequest")?;
        let answer = app.engine.remove_orphans(id, &mut |_| ControlFlow::Continue(()))?;
        let (token, revision) = (app.engine.seal(&answer.token), answer.token.revision.to_string());
        Ok(Answer::json(&RemovedForm::from(&answer)).with(TOKEN, &token).with(REVISION, &revision))
    })
    .await
}
