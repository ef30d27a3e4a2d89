//! Where a store's decision point is found, and what it has.

use axum::body::Body as ResponseBody;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Response, Uri, header};
use serde_json::json;

use super::super::app::{Answer, App};
use super::super::error::ApiError;
use super::super::load::Class;
use super::super::translate::no_store;
use super::refusal;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

pub(in super::super) async fn configuration(
    State(app): State<App>,
    Path(store): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<ResponseBody> {
    app.run(Class::Look, Some(store), move |app, store| {
        let base = || match &app.public_url {
            Some(url) => Ok(url.to_string()),
            None => base(&headers, &uri),
        };
        let found = app.store(store).ok_or_else(no_store).and_then(|_| base());
        Ok(found.map_or_else(|error| refusal(&error), |base| describe(&format!("{base}/stores/{store}"))))
    })
    .await
}

fn describe(decision_point: &str) -> Answer {
    let endpoint = |verb: &str| format!("{decision_point}/access/v1/{verb}");
    // No capability has been registered yet, and what has no values is left out.
    Answer::json(&json!({
        "policy_decision_point": decision_point,
        "access_evaluation_endpoint": endpoint("evaluation"),
        "access_evaluations_endpoint": endpoint("evaluations"),
        "search_subject_endpoint": endpoint("search/subject"),
        "search_resource_endpoint": endpoint("search/resource"),
        "search_action_endpoint": endpoint("search/action"),
    }))
    // It follows what this request says of the server: nobody else is to be given it.
    .with(header::CACHE_CONTROL, "no-store")
}

/// The URL of the server as the client knows it: what a proxy in between says of it, else what the client asked for.
fn base(headers: &HeaderMap, uri: &Uri) -> Result<String, ApiError> {
    // Of several proxies, the first is the one that the client asked.
    let first = |name: &HeaderName| {
        let text = headers.get(name)?.to_str().unwrap_or("?");
        Some(text.split(',').next().unwrap_or_default().trim())
    };
    let scheme = first(&FORWARDED_PROTO).unwrap_or("http");
    if !["http", "https"].contains(&scheme) {
        let message = format!("header X-Forwarded-Proto is `{scheme}`: it has to be `http` or `https`");
        return Err(ApiError::validation(message));
    }
    let asked = || uri.authority().map(|authority| authority.as_str());
    let host = first(&FORWARDED_HOST).or_else(|| first(&header::HOST)).or_else(asked);
    let host = host.ok_or_else(|| ApiError::validation("header Host is missing"))?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._~:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(ApiError::validation("header Host, or X-Forwarded-Host, names no host"));
    }
    Ok(format!("{scheme}://{host}"))
}
