//! The front: what every request comes through, and every response goes back through.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::ServiceExt;
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

use super::app::{ApiLimits, App, Charge, Cost, respond};
use super::body::{Bodies, Taken};
use super::load::Load;
use super::quota::Quotas;
use super::routes;
use super::watchers::Watchers;
use crate::engine::Engine;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A client's id of a request may be so long; a longer one is passed over.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The API over an engine, to be asked over any connection.
#[derive(Clone)]
pub struct Api {
    app: App,
    router: Router,
    /// The same, where a browser says from which page it asks.
    for_browsers: Router,
    bodies: Bodies,
    quotas: Option<Arc<Quotas>>,
    http: http1::Builder,
}

impl Api {
    /// To be called where a runtime of tokio is entered.
    pub fn new(engine: Arc<Engine>, limits: ApiLimits) -> Api {
        let watchers = Arc::new(Watchers::new());
        let told = Arc::clone(&watchers);
        engine.listen(move |store, revision| told.tell(store, revision));
        let load = Arc::new(Load::new(&limits.at_once, &tokio::runtime::Handle::current()));
        let quotas = Quotas::of(limits.quotas).map(Arc::new);
        let bodies = Bodies::new(limits.body_bytes_max, &limits.connections);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.connections.idle_max)
            .max_header_size(limits.connections.head_bytes_max);
        let is_counting = quotas.is_some();
        let app = App { engine, limits: Arc::new(limits), watchers, load, is_counting, patience: None };
        let cors = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(Any);
        let router = routes::router(app.clone());
        Api { app, for_browsers: router.clone().layer(cors), router, bodies, quotas, http }
    }

    /// Ends what would go on for as long as the client likes.
    pub(super) fn stop_watches(&self) {
        self.app.watchers.stop();
    }

    /// Answers the requests of a connection until the client closes it, or `stopping` says so: then only what has begun.
    pub async fn serve_connection(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        caller: IpAddr,
        mut stopping: watch::Receiver<bool>,
    ) {
        let answer = hyper::service::service_fn(|request| self.answer(request, caller));
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(io), answer));
        tokio::select! {
            // What is wrong with a connection, only its client need know.
            _ = connection.as_mut() => return,
            _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    /// Takes a request's body, has it answered, and gives every response an id, to be found again in logs: the request's own if
    /// it has one.
    async fn answer(&self, request: Request<Incoming>, caller: IpAddr) -> Result<Response<Body>, Infallible> {
        let given = request.headers().get(REQUEST_ID).filter(|id| is_request_id(id)).cloned();
        let mut response = match &self.quotas {
            None => self.answered(request).await?,
            Some(quotas) => self.answered_for(quotas, request, caller).await?,
        };
        let id = given.or_else(|| HeaderValue::from_str(&ulid::Ulid::generate().to_string()).ok());
        if let Some(id) = id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Ok(response)
    }

    /// Within the quotas of the store and of the caller.
    async fn answered_for(
        &self,
        quotas: &Arc<Quotas>,
        mut request: Request<Incoming>,
        caller: IpAddr,
    ) -> Result<Response<Body>, Infallible> {
        let store = request.uri().path().strip_prefix("/stores/").and_then(|path| path.split('/').next());
        let store = store.map(Box::<str>::from);
        if let Err(refusal) = quotas.admit(store.as_deref(), caller) {
            return Ok(respond(store.as_deref(), Err(refusal), Instant::now()));
        }
        request.extensions_mut().insert(Charge::to(Arc::clone(quotas), store.as_deref(), caller));
        let mut response = self.answered(request).await?;
        // What a body that is still being made takes, is charged when it is done.
        let cost = response.extensions_mut().remove::<Cost>().map_or(1, |Cost(cost)| cost);
        quotas.charge(store.as_deref(), caller, cost);
        Ok(response)
    }

    async fn answered(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        if let Some(class) = routes::heavy(request.uri().path())
            && let Err(busy) = self.app.load.admit_heavy(class)
        {
            return Ok(respond(None, Err(busy), Instant::now()));
        }
        let is_browser =
            request.headers().contains_key(header::ORIGIN) || request.method() == Method::OPTIONS;
        match self.bodies.take(request.map(Body::new)).await {
            Err(refusal) => Ok(*refusal),
            // Most requests by far: they need no search for their route, and no boxes on the way.
            Ok((Taken::Whole(parts, body), _held))
                if !is_browser && routes::is_check(&parts) && body.len() <= self.bodies.limit() =>
            {
                Ok(routes::check_at_once(self.app.clone(), parts, body).await)
            }
            Ok((taken, _held)) => {
                let router = if is_browser { &self.for_browsers } else { &self.router };
                Ok(routes::retell(router.clone().oneshot(taken.into_request()).await?))
            }
        }
    }
}

/// Whether a client's id is one that can go into logs as it is.
fn is_request_id(id: &HeaderValue) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}
