//! What every route needs: the engine, the limits of requests, and the way of an answer back.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::access::{Access, AccessSettings};
use super::cors::Origins;
use super::error::{ApiError, Code};
use super::fields::{Fields, Form};
use super::load::{AtOnce, Class, Load, Place};
use super::observers::{Decided, ObserveSettings, Observers};
use super::quota::{QuotaRates, Quotas};
use super::tls::TlsSettings;
use super::traces;
use super::translate::{no_schema, unknown_schema};
use super::watchers::Watchers;
use crate::engine::{At, Deadline, Engine, EngineError, StorageError, View, within};
use crate::tuple::{SchemaId, StoreId, TupleKey};

pub(super) const STORE_ID: HeaderName = HeaderName::from_static("openfga-store-id");
pub(super) const SCHEMA_ID: HeaderName = HeaderName::from_static("openfga-authorization-model-id");
pub(super) const DURATION: HeaderName = HeaderName::from_static("fga-query-duration-ms");
/// The state that a write left, or that a question was answered in.
pub(super) const TOKEN: HeaderName = HeaderName::from_static("stonetown-token");
/// The revision that a write made.
pub(super) const REVISION: HeaderName = HeaderName::from_static("stonetown-revision");
/// How many tuples a write changed.
pub(super) const CHANGED: HeaderName = HeaderName::from_static("stonetown-changed");
/// Asked for with any value: what a check took, as `gets scans rows`.
pub(super) const WORK: HeaderName = HeaderName::from_static("stonetown-work");
/// The state that a question is asked of: a token or a time.
pub(super) const AT: HeaderName = HeaderName::from_static("stonetown-at");
/// The state that a question is asked of has to be no older than this token's.
pub(super) const AT_LEAST: HeaderName = HeaderName::from_static("stonetown-at-least");
/// A write that is sent again under the same key is not made again.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// A list may hold so many entries.
pub(super) const LIMIT: HeaderName = HeaderName::from_static("stonetown-limit");
/// A question may take so many milliseconds.
pub(super) const DEADLINE: HeaderName = HeaderName::from_static("stonetown-deadline-ms");
/// Why a list is not complete: `limit` or `deadline`.
pub(super) const INCOMPLETE: HeaderName = HeaderName::from_static("stonetown-incomplete");
/// Where a list goes on.
pub(super) const CONTINUATION: HeaderName = HeaderName::from_static("stonetown-continuation");

/// What requests may ask for.
#[derive(Debug, Clone)]
pub struct ApiLimits {
    /// Most bytes of a body.
    pub body_bytes_max: usize,
    /// Most tuples in one write, deletions included.
    pub write_tuples_max: usize,
    /// Most checks in one batch.
    pub batch_checks_max: usize,
    /// Most contextual tuples of one question.
    pub contextual_tuples_max: usize,
    /// Most bytes of a list, or of the names that a search finds, that is not streamed.
    pub answer_bytes_max: usize,
    /// How long a list, read or expansion may take.
    pub list_time_max: Duration,
    /// How long a streamed list, a diff, an explanation, an audit or a matrix may take.
    pub long_time_max: Duration,
    /// How many requests are worked on at once.
    pub at_once: AtOnce,
    /// How much may be read a second.
    pub quotas: QuotaRates,
    /// What connections may do.
    pub connections: ConnectionLimits,
    /// Backups may be made in it, and below; none: none may.
    pub backup_dir: Option<PathBuf>,
}

/// How the API is served.
#[derive(Debug, Clone, Default)]
pub struct ApiSettings {
    /// What requests may ask for.
    pub limits: ApiLimits,
    /// Who may call.
    pub access: AccessSettings,
    /// None: there is no TLS.
    pub tls: Option<TlsSettings>,
    /// Where clients find the server, without a slash at its end; none: what they say of it is believed.
    pub public_url: Option<String>,
    /// From which pages browsers may ask.
    pub origins: Origins,
    /// What is told of requests.
    pub observe: ObserveSettings,
}

/// What connections may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections that are open at once.
    pub open_max: usize,
    /// Most bytes of the head of a request.
    pub head_bytes_max: usize,
    /// How long a connection may be without a whole head of a request.
    pub idle_max: Duration,
    /// How long a body may take to come; that of an import, which is read as it comes, as long as it moves.
    pub body_time_max: Duration,
    /// Bytes of large bodies that are held in memory at once.
    pub bodies_bytes_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            open_max: 10_000,
            head_bytes_max: 64 << 10,
            idle_max: Duration::from_secs(75),
            body_time_max: Duration::from_secs(30),
            bodies_bytes_max: 256 << 20,
        }
    }
}

impl Default for ApiLimits {
    /// OpenFGA's, where it has one.
    fn default() -> ApiLimits {
        ApiLimits {
            body_bytes_max: 4 << 20,
            write_tuples_max: 100,
            batch_checks_max: 50,
            contextual_tuples_max: 100,
            answer_bytes_max: 64 << 20,
            list_time_max: Duration::from_secs(30),
            long_time_max: Duration::from_secs(600),
            at_once: AtOnce::default(),
            quotas: QuotaRates::default(),
            connections: ConnectionLimits::default(),
            backup_dir: None,
        }
    }
}

/// Shared by all requests.
#[derive(Clone)]
pub(super) struct App {
    pub(super) engine: Arc<Engine>,
    pub(super) limits: Arc<ApiLimits>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) load: Arc<Load>,
    pub(super) observers: Arc<Observers>,
    /// None: everybody may call.
    pub(super) access: Option<Arc<Access>>,
    pub(super) public_url: Option<Arc<str>>,
    /// How long the client waits, when it says so.
    pub(super) patience: Option<Duration>,
}

/// Who is charged for a request whose answer goes on behind its head: in the extensions of the request.
#[derive(Debug, Clone, Default)]
pub(super) struct Charge(Option<Arc<Charged>>);

#[derive(Debug)]
struct Charged {
    quotas: Arc<Quotas>,
    store: Option<Box<str>>,
    caller: Arc<str>,
}

impl Charge {
    pub(super) fn to(quotas: Arc<Quotas>, store: Option<&str>, caller: Arc<str>) -> Charge {
        Charge(Some(Arc::new(Charged { quotas, store: store.map(Box::from), caller })))
    }

    /// Takes what was read.
    pub(super) fn take(&self, reads: u64) {
        if let Some(charged) = &self.0 {
            charged.quotas.charge(charged.store.as_deref(), &charged.caller, reads);
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Charge {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Charge, Infallible> {
        Ok(parts.extensions.remove().unwrap_or_default())
    }
}

/// What the work of a request took: in the extensions of its response.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Took {
    /// Looks into the state, and rows.
    pub(super) reads: u64,
    /// Waiting for room, and for a turn.
    pub(super) waited: Duration,
    pub(super) worked: Duration,
}

/// How much a request may take where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Budget {
    /// So little that nobody waits for it.
    Short,
    /// All that its limits allow.
    Whole,
}

/// Reads of a question that is answered where it comes in: at 2 µs a read, an eighth of a millisecond.
pub(super) const SHORT_READS: u64 = 64;

/// Room for the headers that most answers have.
const HEADERS: usize = 12;

/// An answer that is there as a whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    pub(super) headers: HeaderMap,
    /// Decisions that are to be written down.
    pub(super) decided: Vec<(TupleKey, bool)>,
}

impl Answer {
    pub(super) fn json(body: &impl serde::Serialize) -> Answer {
        // Nothing that is answered has a map with keys other than texts.
        Answer::of(serde_json::to_vec(body).unwrap_or_default())
    }

    /// JSON that has been written.
    pub(super) fn of(body: Vec<u8>) -> Answer {
        Answer { body, headers: HeaderMap::with_capacity(HEADERS), ..Answer::empty(StatusCode::OK) }
    }

    pub(super) fn empty(status: StatusCode) -> Answer {
        Answer { status, body: Vec::new(), headers: HeaderMap::new(), decided: Vec::new() }
    }

    pub(super) fn status(mut self, status: StatusCode) -> Answer {
        self.status = status;
        self
    }

    pub(super) fn under(self, schema: SchemaId) -> Answer {
        self.with(SCHEMA_ID, &schema.to_string())
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// With the schema and the state of a view.
    pub(super) fn of_view(self, app: &App, view: &View<'_>) -> Answer {
        self.under(view.schema()).with(TOKEN, &app.engine.seal(&view.token()))
    }
}

pub(super) type Answered = Result<Answer, ApiError>;

impl App {
    /// Runs a request where it may block, when there is room for it, and makes its answer.
    pub(super) async fn run(
        self,
        class: Class,
        store: Option<String>,
        work: impl FnOnce(&App, &str) -> Answered + Send + 'static,
    ) -> Response<Body> {
        let begun = Instant::now();
        let place = match self.load.enter(class).await {
            Ok(place) => place,
            Err(busy) => return respond(store.as_deref(), Err(busy), begun),
        };
        let deadline = self.deadline(class, begun);
        let of = store.clone().unwrap_or_default();
        let load = Arc::clone(&self.load);
        let is_traced = traces::is_traced();
        let worked = load.work(class, move || {
            let _place: Place = place;
            let working = Instant::now();
            let ((answered, reads), steps) =
                traces::work(is_traced, || within(deadline, || work(&self, &of)));
            let took = Took { reads, waited: working - begun, worked: working.elapsed() };
            (answered, took, Some(traces::stage_between("wait", begun, working)).into_iter().chain(steps))
        });
        let Some((answered, took, steps)) = worked.await else {
            return respond(store.as_deref(), Err(ApiError::internal()), begun);
        };
        traces::note(steps);
        let mut response = respond(store.as_deref(), answered, begun);
        response.extensions_mut().insert(took);
        response
    }

    /// For a client that says how long it waits.
    pub(super) fn for_client(mut self, headers: &HeaderMap) -> App {
        // What is no number is told where the state is read from the headers.
        self.patience = number(headers, DEADLINE).ok().flatten().map(Duration::from_millis);
        self
    }

    /// Runs a check right here if it is short, else where it may block. Going over to another thread and back takes
    /// longer than most checks do.
    pub(super) async fn run_short(
        self,
        store: String,
        work: impl Fn(&App, &str, Budget) -> Option<Answered> + Send + 'static,
    ) -> Response<Body> {
        let begun = Instant::now();
        if let Err(busy) = self.load.admit_short() {
            return respond(Some(&store), Err(busy), begun);
        }
        let short = || catch_unwind(AssertUnwindSafe(|| work(&self, &store, Budget::Short)));
        let ((short, reads), steps) = traces::work(traces::is_traced(), || within(None, short));
        traces::note(steps);
        match short.unwrap_or_else(|_| Some(Err(ApiError::internal()))) {
            Some(answered) => {
                let mut response = respond(Some(&store), answered, begun);
                let took = Took { reads, waited: Duration::ZERO, worked: begun.elapsed() };
                response.extensions_mut().insert(took);
                response
            }
            None => {
                let unanswered = || Err(ApiError::internal());
                self.run(Class::Check, Some(store), move |app, store| {
                    work(app, store, Budget::Whole).unwrap_or_else(unanswered)
                })
                .await
            }
        }
    }

    /// Until when a request may be worked on; none: it is over when it is done.
    pub(super) fn deadline(&self, class: Class, received: Instant) -> Option<Deadline> {
        let time = match class {
            Class::Check | Class::Look => self.engine.settings().limits.time_max,
            Class::List => self.limits.list_time_max,
            Class::Analysis | Class::Stream => self.limits.long_time_max,
            // What is written half would have to be written again; what is long is meant to be.
            Class::Write | Class::Bulk | Class::Watch => return None,
        };
        Deadline::after(received, self.patience.map_or(time, |patience| patience.min(time)))
    }

    /// The view that a question is asked of.
    ///
    /// # Errors
    /// As OpenFGA: a store that does not exist is one without schemas.
    pub(super) fn view(&self, store: &str, schema: &str, at: &At) -> Result<View<'_>, ApiError> {
        self.view_by(store, schema, |store, schema| self.engine.view(store, schema, at))
    }

    /// The same; none: it takes more than a short request may.
    pub(super) fn view_at_hand(
        &self,
        store: &str,
        schema: &str,
        at: &At,
    ) -> Result<Option<View<'_>>, ApiError> {
        self.view_by(store, schema, |store, schema| self.engine.view_at_hand(store, schema, at))
    }

    fn view_by<T>(
        &self,
        store: &str,
        schema: &str,
        open: impl FnOnce(StoreId, Option<SchemaId>) -> Result<T, EngineError>,
    ) -> Result<T, ApiError> {
        let absent = || if schema.is_empty() { no_schema(store) } else { unknown_schema(schema) };
        let store_id: StoreId = store.parse().map_err(|_| absent())?;
        let named: Option<SchemaId> = match schema {
            "" => None,
            schema => Some(schema.parse().map_err(|_| unknown_schema(schema))?),
        };
        match open(store_id, named) {
            Ok(view) => Ok(view),
            Err(EngineError::Storage(StorageError::NoStore(_))) => Err(absent()),
            Err(error) => Err(error.into()),
        }
    }

    /// The store that continuation tokens are for: one that is begun again under the same id is another one, and so is each in a data directory
    /// that was restored, where places of before stand for other changes.
    pub(super) fn life(&self, store: &str) -> String {
        let number = store.parse().ok().and_then(|id| self.engine.find_store(id)).map(|store| store.number);
        let number = number.unwrap_or(0);
        match self.engine.later_life() {
            None => format!("{store}/{number}"),
            Some(life) => format!("{store}/{number}/{}", life.0),
        }
    }

    /// The store of a text that has the form of an id; none: there is no such store.
    pub(super) fn store(&self, store: &str) -> Option<StoreId> {
        store.parse().ok().filter(|&id| self.engine.find_store(id).is_some())
    }
}

/// Looks at the ids that most requests have.
pub(super) fn ids(fields: &mut Fields, store: &str, schema: &str) {
    fields.form("StoreId", store, Form::Id);
    fields.form("AuthorizationModelId", schema, Form::IdOrEmpty);
}

/// The state that a request asks about.
pub(super) fn at(headers: &HeaderMap) -> Result<At, ApiError> {
    number(headers, DEADLINE)?;
    let text = |value: &HeaderValue, name: &str| {
        let error = || ApiError::validation(format!("header {name} is not a text"));
        value.to_str().map(str::to_owned).map_err(|_| error())
    };
    match (headers.get(AT), headers.get(AT_LEAST)) {
        (None, None) => Ok(At::Head),
        (None, Some(least)) => Ok(At::AtLeast(text(least, "Stonetown-At-Least")?)),
        (Some(at), None) => {
            let at = text(at, "Stonetown-At")?;
            at.parse().map_err(|error: EngineError| ApiError::validation(error.to_string()))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::validation("headers Stonetown-At and Stonetown-At-Least exclude each other"))
        }
    }
}

/// A number in a header.
pub(super) fn number(headers: &HeaderMap, name: HeaderName) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(&name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|&number| number > 0);
    let wrong = || ApiError::validation(format!("header {name} has to be a number of at least 1"));
    number.ok_or_else(wrong).map(Some)
}

/// The response of an answer.
pub(super) fn respond(store: Option<&str>, answered: Answered, begun: Instant) -> Response<Body> {
    let retry_after = answered.as_ref().err().and_then(ApiError::retry_after_seconds);
    let answer = answered.unwrap_or_else(|error| {
        let answer = Answer { body: error.body(), ..Answer::empty(error.code.status()) };
        match error.schema {
            Some(schema) => answer.under(schema),
            None => answer,
        }
    });
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    head(&mut response, store);
    if !answer.decided.is_empty() {
        response.extensions_mut().insert(Decided(answer.decided));
    }
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let millis = HeaderValue::from(begun.elapsed().as_millis() as u64);
    response.headers_mut().insert(DURATION, millis);
    response
}

/// The response to a request that no route takes.
pub(super) fn refuse(code: Code, message: &str) -> Response<Body> {
    respond(None, Err(ApiError::new(code, message)), Instant::now())
}

/// What every response of a store's route carries.
pub(super) fn head(response: &mut Response<Body>, store: Option<&str>) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(store) = store.and_then(|store| HeaderValue::from_str(store).ok()) {
        headers.insert(STORE_ID, store);
    }
}
