//! Metrics for Prometheus, in its text form (OpenMetrics 1.0). No label names an object, a subject or a store: their number has no bound.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{self, ConstGauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::error::Code;
use crate::engine::{Engine, RocksCounts};

/// Seconds: from what a check takes to what a batch takes.
const SECONDS: [f64; 19] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Looks into the state and rows.
const READS: [f64; 13] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    verb: &'static str,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Because {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFamily {
    family: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSettings {
    of: &'static str,
}

/// Counts up.
pub(super) type Count = Counter<u64, AtomicU64>;
/// Goes up and down.
pub(super) type Gauge = gauge::Gauge<i64, AtomicI64>;

/// What is counted and measured.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Of, Histogram, fn() -> Histogram>,
    waits: Family<Of, Histogram, fn() -> Histogram>,
    reads: Family<Of, Histogram, fn() -> Histogram>,
    refused: Family<Because, Counter>,
    stale: Family<OfSettings, Gauge>,
    /// Requests that are being answered.
    pub(super) in_flight: Gauge,
    /// Connections that are open.
    pub(super) connections: Gauge,
    /// Connections that were turned away, since there were too many.
    pub(super) connections_refused: Count,
    /// Handshakes of TLS that failed.
    pub(super) handshakes_failed: Count,
    /// Entries that could not be added to the audit log.
    pub(super) audit_failed: Count,
    /// Spans that were made, and of them those that a collector has taken.
    pub(super) spans: Count,
    pub(super) spans_sent: Count,
}

impl Metrics {
    pub(super) fn new(engine: Arc<Engine>) -> Metrics {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(seconds),
            waits: Family::new_with_constructor(seconds),
            reads: Family::new_with_constructor(|| Histogram::new(READS)),
            refused: Family::default(),
            stale: Family::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            handshakes_failed: Counter::default(),
            audit_failed: Counter::default(),
            spans: Counter::default(),
            spans_sent: Counter::default(),
        };
        // So that there is something to compare the first one with.
        for code in Code::OF_CALLERS {
            drop(metrics.refused.get_or_create(&Because { reason: code.name() }));
        }
        metrics.registered(engine)
    }

    fn registered(mut self, engine: Arc<Engine>) -> Metrics {
        self.registry.register_collector(Box::new(OfProcess));
        let registry = self.registry.sub_registry_with_prefix("stonetown");
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        registry.register("requests", "Requests answered, by verb and status", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From the head of a request to the head of its response",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register_with_unit(
            "request_wait",
            "Of that, waiting for room and for a turn, where the work is not done at once",
            Unit::Seconds,
            self.waits.clone(),
        );
        registry.register("request_reads", "Looks into the state and rows, a request", self.reads.clone());
        registry.register("requests_in_flight", "Requests that are being answered", self.in_flight.clone());
        registry.register(
            "refusals",
            "Requests of callers who are not known, or may not",
            self.refused.clone(),
        );
        registry.register(
            "settings_stale",
            "1: the files of a setting that is read anew are wrong, and what was in force before stays",
            self.stale.clone(),
        );
        registry.register("connections", "Connections that are open", self.connections.clone());
        registry.register(
            "connections_refused",
            "Connections that were turned away, since there were too many",
            self.connections_refused.clone(),
        );
        registry.register("tls_handshakes_failed", "Handshakes that failed", self.handshakes_failed.clone());
        registry.register(
            "audit_entries_failed",
            "Entries that could not be added to the audit log",
            self.audit_failed.clone(),
        );
        registry.register("trace_spans", "Spans of traces that were made", self.spans.clone());
        registry.register("trace_spans_sent", "Spans that a collector has taken", self.spans_sent.clone());
        registry.register_collector(Box::new(OfEngine(engine)));
        self
    }

    /// Counts an answer; `took` are looks and rows, and how long it waited, where that is known.
    pub(super) fn answered(
        &self,
        verb: &'static str,
        code: u16,
        after: Duration,
        took: Option<(u64, Duration)>,
    ) {
        self.requests.get_or_create(&Answered { verb, code }).inc();
        self.durations.get_or_create(&Of { verb }).observe(after.as_secs_f64());
        if let Some((reads, waited)) = took {
            self.reads.get_or_create(&Of { verb }).observe(reads as f64);
            if !waited.is_zero() {
                self.waits.get_or_create(&Of { verb }).observe(waited.as_secs_f64());
            }
        }
    }

    /// Counts one who was not let in.
    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Because { reason }).inc();
    }

    /// 1 while what is read anew is wrong.
    pub(super) fn stale(&self, of: &'static str) -> Gauge {
        self.stale.get_or_create(&OfSettings { of }).clone()
    }

    /// All of them, as text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text does not fail; what a collector cannot find out, it leaves out.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// What the engine knows by itself.
struct OfEngine(Arc<Engine>);

impl fmt::Debug for OfEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfEngine")
    }
}

/// Encodes what is read off now.
struct Reading<'e, 'x>(&'e mut DescriptorEncoder<'x>);

impl Reading<'_, '_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }

    fn counter(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, unit, MetricType::Counter)?)
    }
}

impl Reading<'_, '_> {
    fn counts(&mut self, counts: &RocksCounts) -> fmt::Result {
        let bytes = Some(&Unit::Bytes);
        for (name, help, unit, value) in [
            ("block_cache_hits", "Blocks of table files that were in memory", None, counts.block_cache_hits),
            ("block_cache_misses", "Blocks that were read from files", None, counts.block_cache_misses),
            ("filtered", "Looks into a table file that its filter spared", None, counts.filtered),
            ("flushed", "Written out of memory into table files", bytes, counts.flushed_bytes),
            ("compaction_read", "Read by compactions", bytes, counts.merged_from_bytes),
            ("compaction_written", "Written by compactions", bytes, counts.merged_into_bytes),
            ("log", "Written to logs", bytes, counts.log_bytes),
            ("log_syncs", "Syncs of logs", None, counts.log_syncs),
        ] {
            self.counter(&format!("rocksdb_{name}"), help, unit, value as f64)?;
        }
        let stalled = counts.stalled.as_secs_f64();
        let help = "Writes held up, since flushes or compactions were behind";
        self.counter("rocksdb_stalled", help, Some(&Unit::Seconds), stalled)
    }
}

impl Collector for OfEngine {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(stats) = self.0.stats() else { return Ok(()) };
        let mut to = Reading(&mut encoder);
        to.gauge("stores", "Stores", None, stats.stores as f64)?;
        to.counter("writes", "Writes acknowledged", None, stats.writes.0 as f64)?;
        to.counter("write_syncs", "Batches that writes were synced in", None, stats.writes.1 as f64)?;
        to.gauge(
            "writer_is_stopped",
            "1: a sync has failed, and no write is taken until a restart",
            None,
            f64::from(u8::from(!stats.database.is_writable)),
        )?;
        if let Some(decisions) = &stats.decisions {
            to.counter(
                "decision_cache_hits",
                "Checks answered by a kept decision",
                None,
                decisions.hits as f64,
            )?;
            let bytes = decisions.bytes as f64;
            to.gauge("decision_cache", "Decisions in memory", Some(&Unit::Bytes), bytes)?;
            to.counter("decision_cache_misses", "Checks that were evaluated", None, decisions.misses as f64)?;
        }
        let database = &stats.database;
        let cache = database.block_cache_bytes;
        to.gauge("block_cache", "Blocks of table files in memory", Some(&Unit::Bytes), cache as f64)?;
        let tables: u64 = database.families.iter().map(|family| family.memory_bytes).sum();
        to.gauge("memtables", "What is not yet in table files", Some(&Unit::Bytes), tables as f64)?;
        to.gauge(
            "compactions_pending",
            "What compactions have still to rewrite, estimated",
            Some(&Unit::Bytes),
            database.compaction_pending_bytes as f64,
        )?;
        to.gauge(
            "compactions_running",
            "Compactions that are running",
            None,
            database.compactions_running as f64,
        )?;
        let errors = database.background_errors as f64;
        to.counter("rocksdb_background_errors", "Flushes and compactions that failed", None, errors)?;
        if let Some(counts) = &database.counts {
            to.counts(counts)?;
        }
        let mut family = encoder.encode_descriptor(
            "table_files",
            "Bytes of table files",
            Some(&Unit::Bytes),
            MetricType::Gauge,
        )?;
        for size in &database.families {
            let of = OfFamily { family: size.family };
            ConstGauge::new(size.file_bytes as f64).encode(family.encode_family(&of)?)?;
        }
        Ok(())
    }
}

/// What the system knows of this process, under the names that every Prometheus client has for it.
#[derive(Debug)]
struct OfProcess;

impl Collector for OfProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(process) = Process::read() else { return Ok(()) };
        let mut to = Reading(&mut encoder);
        to.gauge("process_resident_memory", "Resident memory", Some(&Unit::Bytes), process.resident_bytes)?;
        to.counter("process_cpu", "Time on a core", Some(&Unit::Seconds), process.cpu_seconds)?;
        to.gauge("process_open_fds", "Open files and connections", None, process.open_files)?;
        to.gauge(
            "process_start_time",
            "When the process was started, since 1970",
            Some(&Unit::Seconds),
            process.started,
        )?;
        Ok(())
    }
}

struct Process {
    resident_bytes: f64,
    cpu_seconds: f64,
    open_files: f64,
    started: f64,
}

impl Process {
    /// None: the system does not tell in this way.
    #[cfg(target_os = "linux")]
    fn read() -> Option<Process> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name, in brackets, and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |at: usize| fields.get(at - 3)?.parse::<f64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let up: f64 = uptime.split(' ').next()?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some(Process {
            cpu_seconds: (number(14)? + number(15)?) / ticks,
            resident_bytes: number(24)? * rustix::param::page_size() as f64,
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            started: now - up + number(22)? / ticks,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> Option<Process> {
        None
    }
}
