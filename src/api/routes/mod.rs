//! The routes: a file for each thing that they are about. Handlers only convert; the verbs are the engine's.

mod analysis;
mod apply;
mod assertions;
mod backup;
mod bulk;
mod changes;
mod check;
mod expand;
mod export;
mod import;
mod list_objects;
mod list_users;
mod lists;
mod orphans;
mod past;
mod pieces;
mod read;
mod schema_log;
mod schemas;
mod stats;
mod stores;
mod validate;
mod watch;
mod write;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

pub(super) use changes::change_json;
pub(super) use check::{check_at_once, is_check};

use super::app::{Answer, App, refuse, respond};
use super::authzen;
use super::error::{ApiError, Code};
use super::load::Class;
use super::query::Parameters;

/// Every route.
pub(super) fn router(app: App) -> Router {
    let limit = app.limits.body_bytes_max;
    Router::new()
        .route("/stores", post(stores::create).get(stores::list))
        .route("/stores/{store}", get(stores::find).delete(stores::delete))
        .route("/stores/{store}/authorization-models", post(schemas::write).get(schemas::list))
        .route("/stores/{store}/authorization-models/{schema}", get(schemas::find))
        .route("/stores/{store}/write", post(write::write))
        .route("/stores/{store}/read", post(read::read))
        .route("/stores/{store}/changes", get(changes::changes))
        .route("/stores/{store}/watch", get(watch::watch))
        .route("/stores/{store}/check", post(check::check))
        .route("/stores/{store}/batch-check", post(check::batch))
        .route("/stores/{store}/expand", post(expand::expand))
        .route("/stores/{store}/list-objects", post(list_objects::list))
        .route("/stores/{store}/streamed-list-objects", post(list_objects::stream))
        .route("/stores/{store}/list-users", post(list_users::list))
        .route("/stores/{store}/assertions/{schema}", put(assertions::write).get(assertions::read))
        .route("/stores/{store}/stats", get(stats::stats))
        .route("/stores/{store}/schemas", get(schema_log::list))
        .route("/stores/{store}/schema", get(schema_log::find))
        .route("/stores/{store}/apply", post(apply::apply))
        .route("/stores/{store}/access-diff", post(analysis::diff))
        .route("/stores/{store}/explain", post(analysis::explain))
        .route("/stores/{store}/audit", post(analysis::audit))
        .route("/stores/{store}/matrix", get(analysis::matrix))
        .route("/stores/{store}/orphans", get(orphans::list).post(orphans::list_under))
        .route("/stores/{store}/orphans/remove", post(orphans::remove))
        .route("/stores/{store}/retention", get(past::retention).put(past::set_retention))
        .route("/stores/{store}/collect", post(past::collect))
        .route("/stores/{store}/purge", post(past::purge))
        .route("/stores/{store}/delete", post(bulk::delete))
        .route("/stores/{store}/export", post(export::export))
        .route("/stores/{store}/import", post(import::import).get(import::find))
        .route("/stores/{store}/access/v1/evaluation", post(authzen::evaluation))
        .route("/stores/{store}/access/v1/evaluations", post(authzen::evaluations))
        .route("/stores/{store}/access/v1/search/subject", post(authzen::search_subject))
        .route("/stores/{store}/access/v1/search/resource", post(authzen::search_resource))
        .route("/stores/{store}/access/v1/search/action", post(authzen::search_action))
        .route("/stores/{store}/.well-known/authzen-configuration", get(authzen::configuration))
        .route("/.well-known/authzen-configuration/stores/{store}", get(authzen::configuration))
        .route("/validate", post(validate::validate))
        .route("/compact", post(validate::compact))
        .route("/backup", post(backup::backup))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .method_not_allowed_fallback(|| async { refuse(Code::Unimplemented, "Method Not Allowed") })
        .fallback(|| async { refuse(Code::UndefinedEndpoint, "Not Found") })
        // As one layer: each layer by itself costs every request a box.
        .layer((CatchPanicLayer::custom(|_| panicked()), DefaultBodyLimit::max(limit)))
        .with_state(app)
}

fn panicked() -> Response<axum::body::Body> {
    respond(None, Err(ApiError::internal()), std::time::Instant::now())
}

/// A path that is not UTF-8 is refused before a handler sees it, in plain text: clients know errors in our form only.
pub(super) fn retell(response: Response<axum::body::Body>) -> Response<axum::body::Body> {
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind == "application/json");
    if is_ours || !response.status().is_client_error() {
        return response;
    }
    refuse(Code::ValidationError, "the path or the query is not UTF-8")
}

/// The body of a request, or what to answer when it cannot be had.
pub(super) type Body = Result<Bytes, axum::extract::rejection::BytesRejection>;

/// The bytes of a body.
pub(super) fn bytes(body: &Body) -> Result<&Bytes, ApiError> {
    body.as_ref().map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            // OpenFGA's status for it; clients know it.
            ApiError::new(Code::ResourceExhausted, "the body is larger than this server takes")
        } else {
            ApiError::validation("malformed JSON")
        }
    })
}

async fn health(Query(query): Query<Parameters>) -> Response<axum::body::Body> {
    let answered = query.text("service").and_then(|service| match service {
        "" | "openfga.v1.OpenFGAService" => Ok(Answer::json(&serde_json::json!({ "status": "SERVING" }))),
        service => {
            let message = format!("service '{service}' is not registered with the Health server");
            Err(ApiError::new(Code::UndefinedEndpoint, message))
        }
    });
    respond(None, answered, std::time::Instant::now())
}

/// Whether it is well to send requests here: writes are taken, and whoever shows a token can be told from others.
async fn ready(State(app): State<App>) -> Response<axum::body::Body> {
    let access = app.access.clone();
    app.run(Class::Look, None, move |app, _| {
        let mut missing = Vec::new();
        if !app.engine.stats()?.database.is_writable {
            missing.push("writes are refused until the server is started again");
        }
        if access.is_some_and(|access| !access.is_ready()) {
            missing.push("the keys of an issuer of tokens are not at hand");
        }
        match missing.is_empty() {
            true => Ok(Answer::json(&serde_json::json!({ "status": "READY" }))),
            false => Ok(Answer::json(&serde_json::json!({ "status": "NOT_READY", "reasons": missing }))
                .status(StatusCode::SERVICE_UNAVAILABLE)),
        }
    })
    .await
}

async fn metrics(State(app): State<App>) -> Response<axum::body::Body> {
    let content = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let mut response =
        app.run(Class::Look, None, |app, _| Ok(Answer::of(app.observers.metrics.text().into_bytes()))).await;
    if response.status().is_success() {
        response.headers_mut().insert(header::CONTENT_TYPE, content);
    }
    response
}

async fn openapi() -> Response<axum::body::Body> {
    let mut response = Response::new(axum::body::Body::from(super::OPENAPI));
    super::app::head(&mut response, None);
    response
}
