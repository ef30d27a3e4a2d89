//! The server: listens, answers, and ends without breaking off what it has begun.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower::make::Shared;
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

use super::app::{ApiLimits, App};
use super::body::{Taken, take_whole};
use super::routes;
use super::watchers::Watchers;
use crate::engine::Engine;

/// How long requests that were begun may take to end.
const GRACE: Duration = Duration::from_secs(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client's id of a request may be so long; a longer one is passed over.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// The file in a data directory that names the server which has it open.
pub const URL_FILE: &str = "stonetown.url";

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        cause: std::io::Error,
    },
    /// The data directory cannot be told who serves it.
    #[error("cannot write `{}`: {cause}", path.display())]
    UrlFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// Serving failed.
    #[error("the server failed: {0}")]
    Serve(std::io::Error),
}

/// A server that listens, and is about to answer.
pub struct Server {
    listener: TcpListener,
    front: Front,
    address: SocketAddr,
    url_file: PathBuf,
    watchers: Arc<Watchers>,
}

impl Server {
    /// Listens, and leaves the URL in the data directory.
    pub async fn bind(
        engine: Arc<Engine>,
        limits: ApiLimits,
        address: SocketAddr,
    ) -> Result<Server, ServerError> {
        let listen = |cause| ServerError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let url_file = engine.dir().join(URL_FILE);
        std::fs::write(&url_file, format!("http://{address}\n"))
            .map_err(|cause| ServerError::UrlFile { path: url_file.clone(), cause })?;
        let limit = limits.body_bytes_max;
        let watchers = Arc::new(Watchers::new());
        let told = Arc::clone(&watchers);
        engine.listen(move |store, revision| told.tell(store, revision));
        let analyses = routes::room();
        let app = App { engine, limits: Arc::new(limits), watchers: Arc::clone(&watchers), analyses };
        let cors = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(Any);
        let router = routes::router(app.clone());
        let front = Front { app, for_browsers: router.clone().layer(cors), router, limit };
        Ok(Server { listener, front, address, url_file, watchers })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is done; then ends what has been begun, for at most ten seconds.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServerError> {
        // Answers are small: waiting to fill a packet only delays them. A connection without it works too.
        let listener = self.listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        let watchers = Arc::clone(&self.watchers);
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let front = self.front;
        let front = tower::service_fn(move |request| answer(front.clone(), request));
        let serve = axum::serve(listener, Shared::new(front))
            .with_graceful_shutdown(async move {
                stop.await;
                watchers.stop();
                // Nobody waits for it when serving has ended by itself.
                let _ = stopping.send(());
            })
            .into_future();
        let grace = async move {
            if stopped.await.is_ok() {
                tokio::time::sleep(GRACE).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let served = tokio::select! {
            served = serve => served.map_err(ServerError::Serve),
            () = grace => Ok(()),
        };
        // The next process to open the directory writes its own.
        let _ = std::fs::remove_file(&self.url_file);
        served
    }
}

/// What every request comes through.
#[derive(Clone)]
struct Front {
    app: App,
    router: Router,
    /// The same, where a browser says from which page it asks.
    for_browsers: Router,
    /// Most bytes of a body.
    limit: usize,
}

/// Takes a request's body, has it answered, and gives every response an id, to be found again in logs: the request's own if it
/// has one.
async fn answer(front: Front, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let given = request.headers().get(REQUEST_ID).filter(|id| is_request_id(id)).cloned();
    let is_browser = request.headers().contains_key(header::ORIGIN) || request.method() == Method::OPTIONS;
    let mut response = match take_whole(request, front.limit).await {
        Err(refusal) => refusal,
        // Most requests by far: they need no search for their route, and no boxes on the way.
        Ok(Taken::Whole(parts, body))
            if !is_browser && routes::is_check(&parts) && body.len() <= front.limit =>
        {
            routes::check_at_once(front.app, parts, body).await
        }
        Ok(taken) => {
            let router = if is_browser { front.for_browsers } else { front.router };
            routes::retell(router.oneshot(taken.into_request()).await?)
        }
    };
    let id = given.or_else(|| HeaderValue::from_str(&ulid::Ulid::generate().to_string()).ok());
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// Whether a client's id is one that can go into logs as it is.
fn is_request_id(id: &HeaderValue) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}
