//! The floor of a check over HTTP: a handler that reads the same body into a typed struct and says the same all the time.
//! Same framework, runtime and socket options as `src/api/server.rs`, and nothing else.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::post;
use axum::serve::ListenerExt;
use serde::Deserialize;
use tokio::net::TcpListener;

/// As long as the answer to a check that is a yes.
pub(crate) const ANSWER: &str = "{\"allowed\":true,\"resolution\":\"\"}";

#[derive(Deserialize)]
struct CheckBody {
    tuple_key: TupleKey,
}

#[derive(Deserialize)]
struct TupleKey {
    user: String,
    relation: String,
    object: String,
}

async fn check(body: Bytes) -> Response<Body> {
    let is_read = serde_json::from_slice::<CheckBody>(&body).is_ok_and(|body| {
        let key = std::hint::black_box(&body.tuple_key);
        !key.user.is_empty() && !key.relation.is_empty() && !key.object.is_empty()
    });
    let mut response = Response::new(Body::from(if is_read { ANSWER } else { "{}" }));
    if !is_read {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers until the process is ended.
pub(crate) fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    use std::io::Write;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut out = std::io::stdout();
        writeln!(out, "{}", serde_json::json!({ "url": url }))?;
        out.flush()?;
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        axum::serve(listener, Router::new().route("/stores/{store}/check", post(check))).await?;
        anyhow::Ok(())
    })
}
