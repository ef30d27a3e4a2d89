//! Traces: where the time of a request went, as spans in OpenTelemetry's protocol (OTLP over HTTP). A request that says which trace it
//! belongs to (W3C Trace Context) is traced when that trace is; of the others, a share.
//!
//! What happens on the request's task is a [`stage`]; what happens on the thread that works, a step of `storage/profile.rs`. Both are noted
//! while the request is answered, and become spans when it has been. No span names an object or a subject.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, Response};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, Key, KeyValue, Value};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanData};

use super::metrics::Count;
use super::outbound::Outbound;
use super::verb::{Need, Verb};
use crate::engine::{Step, StorageWork, profiled};
use crate::tuple::StoreId;

/// How long a collector may take to answer.
const EXPORT_TIME: Duration = Duration::from_secs(5);
/// How long what has been noted may take to be sent when the server stops.
const FLUSH_TIME: Duration = Duration::from_secs(3);
/// That something cannot be sent is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// The URL of a collector that takes OTLP over HTTP, without `/v1/traces`.
    pub to: String,
    /// The share of requests that are traced, of those that belong to no trace: 0 to 1.
    pub share: f64,
}

/// Makes traces of requests, and sends them.
pub(super) struct Traces {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    propagator: TraceContextPropagator,
    share: f64,
    made: Count,
}

/// The trace of one request, from its head on.
pub(super) struct Trace {
    tracer: SdkTracer,
    made: Count,
    span: Span,
    begun: Instant,
    begun_at: SystemTime,
}

/// What is noted of a request while it is answered.
#[derive(Debug, Default)]
pub(super) struct Noted {
    steps: Vec<Step>,
    attributes: Vec<KeyValue>,
}

tokio::task_local! {
    static NOTED: RefCell<Noted>;
}

impl Traces {
    /// `made` counts spans, `sent` those that a collector has taken.
    ///
    /// # Errors
    /// The URL is none, or the environment has what no variable of OpenTelemetry (`OTEL_…`) may have.
    pub(super) fn new(
        settings: &TraceSettings,
        made: Count,
        sent: Count,
    ) -> Result<Traces, ExporterBuildError> {
        let url = settings.to.clone();
        let client = Collector { http: Outbound::new(None, EXPORT_TIME), url, told: Mutex::default() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", settings.to))
            .with_timeout(EXPORT_TIME)
            .build()?;
        // What `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say is in it, too, and comes first.
        let said = Resource::builder().build();
        let says = |key| {
            said.get(&Key::new(key)).is_some_and(|value| !value.as_str().starts_with("unknown_service"))
        };
        let mut resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if !says("service.name") {
            resource = resource.with_service_name("stonetown");
        }
        if !says("service.instance.id") {
            let id = ulid::Ulid::generate().to_string();
            resource = resource.with_attribute(KeyValue::new("service.instance.id", id));
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Counting { exporter, sent })
            // Whether a request is traced is known before a span is begun.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("stonetown");
        Ok(Traces {
            tracer,
            provider,
            propagator: TraceContextPropagator::new(),
            share: settings.share,
            made,
        })
    }

    /// The trace of a request; none: it is not traced.
    pub(super) fn begin(
        &self,
        verb: &Verb<'_>,
        method: &Method,
        headers: &HeaderMap,
        begun: Instant,
    ) -> Option<Trace> {
        if matches!(verb.need, Need::Nothing) || verb.name == "metrics" {
            return None;
        }
        let said = self.propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let parent = said.span().span_context().clone();
        let is_traced = match parent.is_valid() {
            true => parent.is_sampled(),
            false => self.share > 0.0 && rand::random::<f64>() < self.share,
        };
        if !is_traced {
            return None;
        }
        let begun_at = SystemTime::now();
        // What vendors have added (`tracestate`) would be in every span, however long it is, and is for nobody else here.
        let parent = SpanContext::new(
            parent.trace_id(),
            parent.span_id(),
            parent.trace_flags(),
            true,
            TraceState::default(),
        );
        let context = Context::new().with_remote_span_context(parent);
        let mut attributes = vec![KeyValue::new("http.request.method", name_of(method))];
        // What is no id could be anything.
        let store = verb.store.and_then(|store| store.parse::<StoreId>().ok());
        attributes.extend(store.map(|store| KeyValue::new("stonetown.store", store.to_string())));
        let span = SpanBuilder::from_name(verb.name)
            .with_kind(SpanKind::Server)
            .with_start_time(begun_at)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &context);
        // It is sent also when the client goes away before it ends.
        self.made.inc();
        Some(Trace { tracer: self.tracer.clone(), made: self.made.clone(), span, begun, begun_at })
    }

    /// Sends what has been noted; nothing is traced behind it.
    pub(super) fn stop(&self) {
        // What cannot be sent is counted, and no reason to wait longer.
        let _ = self.provider.shutdown_with_timeout(FLUSH_TIME);
    }
}

impl Trace {
    /// Its id, as logs name it.
    pub(super) fn id(&self) -> String {
        self.span.span_context().trace_id().to_string()
    }

    /// Makes spans of what was noted until the response was made.
    pub(super) fn end(mut self, status: u16, noted: Noted) {
        let ended = Instant::now();
        let at = |moment: Instant| self.begun_at + moment.saturating_duration_since(self.begun);
        // The spans that the next step may be in.
        let mut open: Vec<SpanContext> = vec![self.span.span_context().clone()];
        for step in noted.steps {
            open.truncate(step.depth + 1);
            let Some(parent) = open.last() else { continue };
            let context = Context::new().with_remote_span_context(parent.clone());
            let mut span = SpanBuilder::from_name(step.name)
                .with_kind(SpanKind::Internal)
                .with_start_time(at(step.begun))
                .with_attributes(work_of(&step))
                .start_with_context(&self.tracer, &context);
            open.push(span.span_context().clone());
            span.end_with_timestamp(at(step.begun + step.took));
            self.made.inc();
        }
        self.span.set_attributes(noted.attributes);
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            self.span.set_attribute(KeyValue::new("error.type", status.to_string()));
            self.span.set_status(Status::error(""));
        }
        let ended = at(ended);
        self.span.end_with_timestamp(ended);
    }
}

/// A method by its name, if it is one that there is: a client may send anything as such.
fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        _ => "_OTHER",
    }
}

/// What a step asked of the store, where it did.
fn work_of(step: &Step) -> Vec<KeyValue> {
    let StorageWork { time, file_time, blocks_cached, blocks_read, bytes_read, filtered, tombstones } =
        step.storage;
    if step.reads == 0 && step.storage == StorageWork::default() {
        return Vec::new();
    }
    let seconds = |name, time: Duration| KeyValue::new(name, time.as_secs_f64());
    let count = |name, count: u64| KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX));
    vec![
        count("stonetown.reads", step.reads),
        seconds("stonetown.storage.seconds", time),
        seconds("stonetown.storage.file_seconds", file_time),
        count("stonetown.storage.blocks_cached", blocks_cached),
        count("stonetown.storage.blocks_read", blocks_read),
        count("stonetown.storage.bytes_read", bytes_read),
        count("stonetown.storage.filtered", filtered),
        count("stonetown.storage.tombstones", tombstones),
    ]
}

/// Notes what happens while a request is answered.
pub(super) async fn noted<T>(answering: impl Future<Output = T>) -> (T, Noted) {
    let answering = async {
        let answer = answering.await;
        (answer, NOTED.with(RefCell::take))
    };
    NOTED.scope(RefCell::default(), answering).await
}

/// Whether the request of this task is traced.
pub(super) fn is_traced() -> bool {
    NOTED.try_with(|_| ()).is_ok()
}

/// A part of answering the request of this task, noted where it is traced.
pub(super) async fn stage<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    if !is_traced() {
        return work.await;
    }
    let begun = Instant::now();
    let done = work.await;
    note([stage_between(name, begun, Instant::now())]);
    done
}

/// A part of answering a request that has been.
pub(super) fn stage_between(name: &'static str, begun: Instant, ended: Instant) -> Step {
    let took = ended.saturating_duration_since(begun);
    Step { name, begun, took, depth: 0, reads: 0, storage: StorageWork::default() }
}

/// Notes steps of the request of this task.
pub(super) fn note(steps: impl IntoIterator<Item = Step>) {
    // Where it is not traced, there is nothing to note.
    let _ = NOTED.try_with(|noted| noted.borrow_mut().steps.extend(steps));
}

/// Says something of the request of this task.
pub(super) fn say(key: &'static str, value: impl Into<Value>) {
    let _ = NOTED.try_with(|noted| noted.borrow_mut().attributes.push(KeyValue::new(key, value)));
}

/// Does work on this thread, with its steps where they are to be noted.
pub(super) fn work<T>(is_traced: bool, work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    if is_traced { profiled("work", work) } else { (work(), Vec::new()) }
}

/// Counts the spans that are sent.
#[derive(Debug)]
struct Counting {
    exporter: SpanExporter,
    sent: Count,
}

impl opentelemetry_sdk::trace::SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        self.exporter.export(batch).await?;
        self.sent.inc_by(count);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Sends to a collector. It is called on the exporter's own thread, where it may block.
#[derive(Debug)]
struct Collector {
    http: Outbound,
    url: String,
    /// When it was told last that something could not be sent.
    told: Mutex<Option<Instant>>,
}

impl Collector {
    /// Tells why it could not, once in a while.
    fn tell(&self, why: &dyn fmt::Display) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            tracing::warn!(to = self.url, %why, "traces cannot be sent");
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.http.ask(Request::from_parts(parts, body.as_ref()));
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.tell(&format_args!("it answers {}", answer.status())),
            Err(error) => self.tell(error),
        }
        Ok(answer?.map(Bytes::from))
    }
}
