//! The front: what every request comes through, and every response goes back through.

use std::convert::Infallible;
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
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::access::Access;
use super::app::{ApiSettings, App, Charge, Took, respond};
use super::authzen;
use super::body::{Bodies, Taken, pass_over};
use super::cors::Origins;
use super::error::{ApiError, Code};
use super::load::Load;
use super::metrics::Metrics;
use super::observers::{ObserveError, Observers, Told};
use super::quota::Quotas;
use super::routes;
use super::traces::{self, Traces};
use super::verb::{Need, Verb, verb};
use super::watchers::Watchers;
use crate::engine::Engine;
use crate::tuple::StoreId;

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
    origins: Arc<Origins>,
    bodies: Bodies,
    quotas: Option<Arc<Quotas>>,
    http: http1::Builder,
    /// Acts of administration that are under way, whether or not their clients still wait.
    acts: TaskTracker,
}

impl Api {
    /// To be called where a runtime of tokio is entered.
    ///
    /// # Errors
    /// What is to be told has nowhere to go.
    pub fn new(engine: Arc<Engine>, settings: ApiSettings) -> Result<Api, ObserveError> {
        let limits = settings.limits;
        let observers = Arc::new(Observers::new(Arc::clone(&engine), &settings.observe)?);
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
        let app = App {
            engine,
            limits: Arc::new(limits),
            watchers,
            load,
            observers,
            access: Access::of(settings.access).map(Arc::new),
            public_url: settings.public_url.map(Arc::from),
            patience: None,
        };
        let router = routes::router(app.clone());
        let for_browsers = router.clone().layer(settings.origins.layer());
        let origins = Arc::new(settings.origins);
        Ok(Api { app, for_browsers, router, origins, bodies, quotas, http, acts: TaskTracker::new() })
    }

    /// Ends what would go on for as long as the client likes.
    pub(super) fn stop_watches(&self) {
        self.app.watchers.stop();
    }

    /// Waits until acts of administration are done, and told of.
    pub(super) async fn finish_acts(&self) {
        self.acts.close();
        self.acts.wait().await;
    }

    /// Sends what has been traced. None of what comes then is traced.
    pub(super) async fn stop_traces(&self) {
        let observers = Arc::clone(&self.app.observers);
        let stop = move || observers.traces.as_ref().map(Traces::stop);
        // Nothing in it panics.
        drop(tokio::task::spawn_blocking(stop).await);
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.app.observers.metrics
    }

    /// Makes ready what would hold up the first requests.
    pub(super) async fn prepare(&self) {
        if let Some(access) = &self.app.access {
            access.prepare().await;
        }
    }

    /// Reads who may call anew: whether that has changed.
    ///
    /// # Errors
    /// It is wrong: what was in force stays.
    pub(super) fn look(&self) -> Result<bool, String> {
        self.app.access.as_ref().map_or(Ok(false), |access| access.look())
    }

    /// Answers the requests of a connection until the client closes it, or `stopping` says so: then only what has begun.
    /// `address` is where it comes from.
    pub async fn serve_connection(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: Arc<str>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let answer = hyper::service::service_fn(|request| self.answer(request, &address));
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(io), answer));
        tokio::select! {
            // What is wrong with a connection, only its client need know.
            _ = connection.as_mut() => return,
            _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        address: &Arc<str>,
    ) -> Result<Response<Body>, Infallible> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let asked = verb(&method, uri.path());
        if !asked.is_administrative {
            return self.answer_and_tell(asked, request, address).await;
        }
        // In a task of its own: a client that goes away in the midst keeps nobody from being told what it had done.
        let (api, address) = (self.clone(), Arc::clone(address));
        let act = async move { api.answer_and_tell(verb(&method, uri.path()), request, &address).await };
        let told = self.acts.spawn(act).await;
        told.unwrap_or_else(|_| Ok(respond(None, Err(ApiError::internal()), Instant::now())))
    }

    /// Answers and tells, under a trace where the request is to be traced.
    async fn answer_and_tell(
        &self,
        verb: Verb<'_>,
        request: Request<Incoming>,
        address: &Arc<str>,
    ) -> Result<Response<Body>, Infallible> {
        let begun = Instant::now();
        let traces = self.app.observers.traces.as_ref();
        let trace = traces.and_then(|it| it.begin(&verb, request.method(), request.headers(), begun));
        let Some(trace) = trace else { return self.answer_from(begun, verb, request, address, None).await };
        let id = trace.id();
        let answering = self.answer_from(begun, verb, request, address, Some(&id));
        let (answered, noted) = traces::noted(answering).await;
        let response = answered?;
        trace.end(response.status().as_u16(), noted);
        Ok(response)
    }

    /// Finds out who asks for what, has it answered, gives every response an id, to be found again in logs (the request's own if it
    /// has one), and tells of it.
    async fn answer_from(
        &self,
        begun: Instant,
        verb: Verb<'_>,
        mut request: Request<Incoming>,
        address: &Arc<str>,
        trace: Option<&str>,
    ) -> Result<Response<Body>, Infallible> {
        let given = request.headers().get(REQUEST_ID).filter(|id| is_request_id(id)).cloned();
        let is_browser =
            request.headers().contains_key(header::ORIGIN) || request.method() == Method::OPTIONS;
        let _in_flight = InFlight::of(self.metrics());
        let mut from = Asker { caller: Arc::clone(address), is_known: false };
        let admitted = traces::stage("authenticate", self.admit(&verb, &mut request, &mut from)).await;
        let Asker { caller, is_known } = from;
        let mut response = match admitted {
            Ok(()) => match &self.quotas {
                None => self.answered(&verb, request, is_browser).await?,
                Some(quotas) => self.answered_for(quotas, &verb, request, is_browser, &caller).await?,
            },
            Err(refusal) => {
                self.metrics().refused(refusal.code.name());
                self.refused(&verb, request, refusal).await
            }
        };
        let request_id = given.unwrap_or_else(new_request_id);
        let told = Told { verb, begun, request_id: &request_id, caller: &caller, is_known, trace };
        self.app.observers.tell(&told, &mut response).await;
        response.headers_mut().insert(REQUEST_ID, request_id);
        Ok(response)
    }

    /// Whether who asks may. `from` becomes who shows a key or token.
    ///
    /// # Errors
    /// They may not.
    async fn admit(
        &self,
        verb: &Verb<'_>,
        request: &mut Request<Incoming>,
        from: &mut Asker,
    ) -> Result<(), ApiError> {
        if verb.need == Need::Nothing {
            from.is_known = true;
            return Ok(());
        }
        self.origins.permit(request.headers())?;
        let Some(access) = &self.app.access else {
            from.is_known = true;
            return Ok(());
        };
        let who = access.identify(request.headers()).await?;
        *from = Asker { caller: Arc::clone(&who.name), is_known: true };
        who.permit(verb)?;
        request.extensions_mut().insert(who);
        Ok(())
    }

    /// Within the quotas of the store and of the caller.
    async fn answered_for(
        &self,
        quotas: &Arc<Quotas>,
        verb: &Verb<'_>,
        mut request: Request<Incoming>,
        is_browser: bool,
        caller: &Arc<str>,
    ) -> Result<Response<Body>, Infallible> {
        // However it is spelt, a store has one account; what is no id is none.
        let store = verb
            .store
            .map(|store| store.parse::<StoreId>().map_or_else(|_| "?".to_owned(), |id| id.to_string()));
        let store = store.as_deref();
        if let Err(refusal) = quotas.admit(store, caller) {
            return Ok(self.refused(verb, request, refusal).await);
        }
        let charge = Charge::to(Arc::clone(quotas), store, Arc::clone(caller));
        request.extensions_mut().insert(charge);
        let response = self.answered(verb, request, is_browser).await?;
        // What a body that is still being made takes, is charged when it is done.
        let reads = response.extensions().get::<Took>().map_or(0, |took| took.reads);
        quotas.charge(store, caller, 1 + reads);
        Ok(response)
    }

    async fn answered(
        &self,
        verb: &Verb<'_>,
        request: Request<Incoming>,
        is_browser: bool,
    ) -> Result<Response<Body>, Infallible> {
        if let Some(class) = verb.heavy
            && let Err(busy) = self.app.load.admit_heavy(class)
        {
            return Ok(self.refused(verb, request, busy).await);
        }
        let body = self.bodies.take(request.map(Body::new), verb.is_streamed_in());
        match traces::stage("receive", body).await {
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

    /// The response to a request that is refused before any route has seen it.
    async fn refused(&self, verb: &Verb<'_>, request: Request<Incoming>, error: ApiError) -> Response<Body> {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let can_go_on = pass_over(request.into_body()).await;
        let retry_after = error.retry_after_seconds();
        let is_authzen = verb.name.starts_with("authzen_") && error.code != Code::Busy;
        let answered = if is_authzen { Ok(authzen::refusal(&error)) } else { Err(error) };
        let mut response = respond(None, answered, Instant::now());
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if !can_go_on {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(origin) = origin {
            // Without it, the page would not be told why.
            self.origins.show(&origin, response.headers_mut());
        }
        response
    }
}

/// Whom a request is from.
struct Asker {
    /// The name of whom a key or token is of; else an address.
    caller: Arc<str>,
    /// Whether it has shown a key or token that holds, where one has to be shown, and comes from a page that may ask.
    is_known: bool,
}

/// Counts a request while it is being answered, also when its client goes away.
struct InFlight<'m>(&'m Metrics);

impl InFlight<'_> {
    fn of(metrics: &Metrics) -> InFlight<'_> {
        metrics.in_flight.inc();
        InFlight(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

fn new_request_id() -> HeaderValue {
    // Letters and digits alone.
    HeaderValue::from_str(&ulid::Ulid::generate().to_string()).unwrap_or(HeaderValue::from_static("-"))
}

/// Whether a client's id is one that can go into logs as it is.
fn is_request_id(id: &HeaderValue) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}
