//! What is told of requests when they have been answered: counted in metrics, logged where they were slow, written down where they were acts of
//! administration, traced where that is asked for. Nothing here sees a body, a key or a token.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Response};
use jiff::Timestamp;
use serde_json::json;

use super::app::Took;
use super::audit_log::AuditLog;
use super::metrics::Metrics;
use super::traces::{self, TraceSettings, Traces};
use super::verb::Verb;
use crate::engine::Engine;
use crate::tuple::TupleKey;

/// What is told, and where to.
#[derive(Debug, Clone)]
pub struct ObserveSettings {
    /// Requests that take as long are logged; none: none are.
    pub slow: Option<Duration>,
    /// The audit log; none: there is none.
    pub audit_log: Option<PathBuf>,
    /// The share of decisions of checks that are put into the audit log: 0 to 1.
    pub audited_decisions: f64,
    /// Where traces go; none: there are none.
    pub traces: Option<TraceSettings>,
}

/// Why nothing could be told.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The audit log cannot be opened.
    #[error("cannot open the audit log `{}`: {cause}", path.display())]
    AuditLog {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// Traces cannot be sent.
    #[error("cannot send traces to `{to}`: {cause}")]
    Traces {
        /// Where to.
        to: String,
        /// Why not.
        cause: String,
    },
}

impl Default for ObserveSettings {
    fn default() -> ObserveSettings {
        ObserveSettings {
            slow: Some(Duration::from_secs(1)),
            audit_log: None,
            audited_decisions: 0.0,
            traces: None,
        }
    }
}

/// Those who are told.
pub(super) struct Observers {
    pub(super) metrics: Metrics,
    slow: Option<Duration>,
    audit: Option<Arc<AuditLog>>,
    audited_decisions: f64,
    pub(super) traces: Option<Traces>,
}

/// Decisions that are to be put into the audit log: in the extensions of a response.
#[derive(Debug, Clone)]
pub(super) struct Decided(pub(super) Vec<(TupleKey, bool)>);

/// A request, from when it came.
#[derive(Debug, Clone)]
pub(super) struct Told<'r> {
    pub(super) verb: Verb<'r>,
    pub(super) begun: Instant,
    pub(super) request_id: &'r HeaderValue,
    /// Who asked: the name of a key or token, else the address.
    pub(super) caller: &'r str,
    /// Whether that is somebody who may call at all.
    pub(super) is_known: bool,
    /// The trace that it belongs to, where it is traced.
    pub(super) trace: Option<&'r str>,
}

impl Observers {
    /// # Errors
    /// What is told has nowhere to go.
    pub(super) fn new(engine: Arc<Engine>, settings: &ObserveSettings) -> Result<Observers, ObserveError> {
        let open = |path: &PathBuf| {
            let opened = AuditLog::open(path);
            opened.map(Arc::new).map_err(|cause| ObserveError::AuditLog { path: path.clone(), cause })
        };
        let audit = settings.audit_log.as_ref().map(open).transpose()?;
        let audited_decisions = if audit.is_some() { settings.audited_decisions } else { 0.0 };
        let metrics = Metrics::new(engine);
        let begin = |settings: &TraceSettings| {
            let traces = Traces::new(settings, metrics.spans.clone(), metrics.spans_sent.clone());
            let to = settings.to.clone();
            traces.map_err(|error| ObserveError::Traces { to, cause: error.to_string() })
        };
        let traces = settings.traces.as_ref().map(begin).transpose()?;
        Ok(Observers { metrics, slow: settings.slow, audit, audited_decisions, traces })
    }

    /// Whether a decision is to be put into the audit log.
    pub(super) fn is_audited(&self) -> bool {
        self.audited_decisions > 0.0 && rand::random::<f64>() < self.audited_decisions
    }

    /// Tells of a request that has been answered. What has to be on disk before, is when this is done.
    pub(super) async fn tell(&self, told: &Told<'_>, response: &mut Response<Body>) {
        let after = told.begun.elapsed();
        let (verb, status) = (told.verb, response.status().as_u16());
        let took = response.extensions_mut().remove::<Took>();
        self.metrics.answered(verb.name, status, after, took.map(|took| (took.reads, took.waited)));
        let is_slow = self.slow.is_some_and(|slow| after >= slow);
        let why = match status {
            // Whoever makes tokens up could fill the log while an issuer cannot be asked; that has a line of its own.
            500.. if told.is_known => Some(Why::Failed),
            _ if is_slow => Some(Why::Slow),
            _ => tracing::enabled!(target: "stonetown::requests", tracing::Level::DEBUG).then_some(Why::All),
        };
        if let Some(why) = why {
            log(told, status, after, took.unwrap_or_default(), why);
        }
        if told.trace.is_some() {
            traces::say("stonetown.request_id", text(told.request_id).to_owned());
            traces::say("stonetown.caller", told.caller.to_owned());
        }
        let Some(audit) = &self.audit else { return };
        if let Some(Decided(decisions)) = response.extensions_mut().remove() {
            for (question, allowed) in decisions {
                let mut entry = entry(told, status);
                entry["decision"] = json!({
                    "object": question.object.to_string(),
                    "relation": question.relation.to_string(),
                    "user": question.subject.to_string(),
                    "allowed": allowed,
                });
                self.note(audit.add(&entry, false));
            }
        }
        // Who is not even known could fill the disk with it; they are counted.
        if verb.is_administrative && told.is_known {
            let (audit, entry) = (Arc::clone(audit), entry(told, status));
            let adding = tokio::task::spawn_blocking(move || audit.add(&entry, true));
            let added = traces::stage("audit", adding).await;
            self.note(added.unwrap_or_else(|_| Err(std::io::Error::other("broken off"))));
        }
    }

    fn note(&self, added: std::io::Result<()>) {
        if let Err(error) = added {
            self.metrics.audit_failed.inc();
            tracing::error!(%error, "an entry could not be added to the audit log");
        }
    }
}

fn entry(told: &Told<'_>, status: u16) -> serde_json::Value {
    json!({
        "time": Timestamp::now().to_string(),
        "request_id": text(told.request_id),
        "caller": told.caller,
        "verb": told.verb.name,
        "store": told.verb.store,
        "status": status,
    })
}

/// Why a request is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Failed,
    Slow,
    All,
}

fn log(told: &Told<'_>, status: u16, after: Duration, took: Took, why: Why) {
    macro_rules! line {
        ($level:ident, $target:literal, $message:literal) => {
            tracing::$level!(
                target: $target,
                request_id = text(told.request_id),
                caller = told.caller,
                verb = told.verb.name,
                store = told.verb.store,
                trace_id = told.trace,
                status,
                millis = millis(after),
                waited_millis = millis(took.waited),
                worked_millis = millis(took.worked),
                reads = took.reads,
                $message
            )
        };
    }
    match why {
        Why::Failed => line!(error, "stonetown::failed", "the server could not answer"),
        Why::Slow => line!(warn, "stonetown::slow", "slow request"),
        Why::All => line!(debug, "stonetown::requests", "request"),
    }
}

fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// To a microsecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
