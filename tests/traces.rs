//! Traces: a collector, as people run them, gets from a server where the time of its requests went.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod support;

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use support::Served;
use support::client::Client;
use support::collector::{Collector, attribute};
use tempfile::TempDir;

const SCHEMA: &str = "model\n  schema 1.1\ntype user\ntype team\n  relations\n    define member: [user]\n\
    type doc\n  relations\n    define viewer: [user, team#member]\n";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn count(span: &Span, name: &str) -> u64 {
    attribute(&span.attributes, name)
        .unwrap_or_else(|| panic!("{} has no {name}", span.name))
        .parse()
        .unwrap()
}

/// The value of a metric.
#[track_caller]
fn count_of(metrics: &Value, name: &str) -> u64 {
    let value = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// A span by the names on the way to it.
#[track_caller]
fn at<'s>(spans: &'s [Span], way: &[&str]) -> &'s Span {
    let mut parent: Option<&Span> = None;
    for name in way {
        let is_it = |span: &&Span| {
            let is_below = parent.is_none_or(|parent| span.parent_span_id == parent.span_id);
            span.name == *name && is_below
        };
        let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
        parent = Some(spans.iter().find(is_it).unwrap_or_else(|| panic!("no {way:?} among {names:?}")));
    }
    parent.unwrap()
}

/// Spans begin and end within those that they are part of, and belong to the same trace.
#[track_caller]
fn assert_nested(spans: &[Span]) {
    for span in spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        let Some(parent) = spans.iter().find(|parent| parent.span_id == span.parent_span_id) else {
            continue;
        };
        assert_eq!(span.trace_id, parent.trace_id);
        let is_within = parent.start_time_unix_nano <= span.start_time_unix_nano
            && span.end_time_unix_nano <= parent.end_time_unix_nano;
        assert!(is_within, "{} is not within {}", span.name, parent.name);
    }
}

/// A server that traces this share of its requests.
fn traced(collector: &Collector, share: &str, dir: TempDir) -> Served {
    Served::on(dir, &["--traces-to", &collector.url, "--trace-share", share])
}

#[test]
fn a_check_shows_where_its_time_went() {
    let collector = Collector::answering(200);
    let served = traced(&collector, "0", TempDir::new().unwrap());
    let client = Client::new(&served.url, SCHEMA);
    client.write(&["doc:1 viewer team:a#member", "team:a member user:anne"]);
    client.send("POST", "/compact", &Value::Null, &[]).granted();
    let (_, dir) = served.stop();
    assert!(collector.spans().is_empty(), "of no request it was said that it is traced");

    // Nothing of the data is in memory.
    let served = traced(&collector, "1", dir);
    let client = Client::of(&served.url, &client.store);
    let asked = client.check("doc:1 viewer user:anne", json!({})).granted();
    assert_eq!(asked.body["allowed"], true);
    drop(served.stop());
    let spans = collector.spans();
    assert_nested(&spans);
    let check = at(&spans, &["check"]);
    assert!(check.parent_span_id.is_empty());
    assert_eq!(check.kind, SpanKind::Server as i32);
    let says = |name| attribute(&check.attributes, name);
    assert_eq!(says("http.request.method").as_deref(), Some("POST"));
    assert_eq!(says("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(says("stonetown.store").as_ref(), Some(&client.store));
    assert_eq!(says("stonetown.request_id").as_deref(), asked.header("x-request-id"));
    assert_eq!(says("stonetown.caller").as_deref(), Some("127.0.0.1"));
    for way in [&["check", "authenticate"][..], &["check", "receive"], &["check", "work", "parse"]] {
        at(&spans, way);
    }
    // The schema was not at hand, so the check was begun anew on a thread that may wait.
    at(&spans, &["check", "wait"]);
    let of_second = spans.iter().find(|span| span.name == "load_schema").unwrap();
    let work = spans.iter().find(|span| span.span_id == of_second.parent_span_id).unwrap();
    assert_eq!(work.name, "work");
    let evaluate = at(&spans, &["evaluate"]);
    assert_eq!(evaluate.parent_span_id, work.span_id);
    let reads = count(evaluate, "stonetown.reads");
    assert!((3..20).contains(&reads), "{reads} reads of two hops");
    assert!(count(evaluate, "stonetown.storage.blocks_read") > 0, "{evaluate:?}");
    assert!(count(evaluate, "stonetown.storage.bytes_read") > 0);
    let seconds = |name| attribute(&evaluate.attributes, name).unwrap().parse::<f64>().unwrap();
    let took = (evaluate.end_time_unix_nano - evaluate.start_time_unix_nano) as f64 / 1e9;
    let (storage, file) = (seconds("stonetown.storage.seconds"), seconds("stonetown.storage.file_seconds"));
    assert!(0.0 < file && file <= storage && storage <= took, "{file} of {storage} of {took}");

    let resource = collector.resources().remove(0);
    assert_eq!(attribute(&resource, "service.name").as_deref(), Some("stonetown"));
    assert_eq!(attribute(&resource, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert!(attribute(&resource, "service.instance.id").is_some());
}

#[test]
fn blocks_that_are_in_memory_are_told_from_those_that_are_read() {
    let collector = Collector::answering(200);
    let arguments = ["--traces-to", &collector.url, "--trace-share", "1"];
    let at_once = [("OTEL_BSP_SCHEDULE_DELAY", "10".as_ref())];
    let served = Served::within(TempDir::new().unwrap(), &arguments, at_once);
    let client = Client::new(&served.url, SCHEMA);
    client.write(&["doc:1 viewer team:a#member", "team:a member user:anne"]);
    client.send("POST", "/compact", &Value::Null, &[]).granted();
    for _ in 0..2 {
        assert!(client.allows("doc:1 viewer user:anne"));
    }
    let metrics = || client.send("GET", "/metrics", &Value::Null, &[]).granted().body;
    let waiting_since = Instant::now();
    while count_of(&metrics(), "stonetown_trace_spans_sent_total") == 0 {
        assert!(waiting_since.elapsed() < Duration::from_secs(60), "nothing is sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    let made = count_of(&metrics(), "stonetown_trace_spans_total");
    drop(served.stop());
    let spans = collector.spans();
    assert_eq!(spans.len() as u64, made);
    let evaluated: Vec<&Span> = spans.iter().filter(|span| span.name == "evaluate").collect();
    assert_eq!(evaluated.len(), 2);
    assert_eq!(count(evaluated[1], "stonetown.storage.blocks_read"), 0);
    assert!(count(evaluated[1], "stonetown.storage.blocks_cached") > 0);
}

#[test]
fn a_request_belongs_to_the_trace_that_it_names() {
    let collector = Collector::answering(200);
    let served = traced(&collector, "0", TempDir::new().unwrap());
    let client = Client::new(&served.url, SCHEMA);
    let question = json!({ "tuple_key": { "object": "doc:1", "relation": "viewer", "user": "user:anne" } });
    let is_asked = |traceparent: &str| {
        client.post_with("check", &question, &[("traceparent", traceparent)]).granted();
    };
    is_asked(&format!("00-{TRACE}-{PARENT}-01"));
    is_asked(&format!("00-{TRACE}-{PARENT}-00"));
    is_asked(&format!("00-{}-{PARENT}-01", "0".repeat(32)));
    is_asked(&format!("ff-{TRACE}-{PARENT}-01"));
    is_asked(&format!("00-{TRACE}-01"));
    is_asked("nonsense");
    // Nobody is asked whether they are well.
    let of_probe = [("traceparent", &*format!("00-{TRACE}-{PARENT}-01"))];
    client.send("GET", "/healthz", &Value::Null, &of_probe).granted();
    client.send("GET", "/readyz", &Value::Null, &of_probe).granted();
    client.send("GET", "/metrics", &Value::Null, &of_probe).granted();
    drop(served.stop());
    let spans = collector.spans();
    let roots: Vec<&Span> = spans.iter().filter(|span| span.kind == SpanKind::Server as i32).collect();
    let [check] = roots[..] else { panic!("{roots:?}") };
    assert_eq!((hex(&check.trace_id).as_str(), hex(&check.parent_span_id).as_str()), (TRACE, PARENT));
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
}

#[test]
fn other_requests_are_traced_too() {
    let collector = Collector::answering(200);
    let files = TempDir::new().unwrap();
    let audit_log = files.path().join("audit.jsonl");
    let audited = ["--audit-log", audit_log.to_str().unwrap()];
    let arguments = [&["--traces-to", &collector.url, "--trace-share", "1"][..], &audited].concat();
    let served = Served::on(TempDir::new().unwrap(), &arguments);
    let client = Client::new(&served.url, SCHEMA);
    client.write(&["doc:1 viewer team:a#member", "team:a member user:anne"]);
    assert_eq!(client.objects("doc", "viewer", "user:anne"), ["doc:1"]);
    client.post("read", &json!({})).granted();
    assert_eq!(client.check("doc:1 nothing user:anne", json!({})).status, 400);
    drop(served.stop());
    let spans = collector.spans();
    assert_nested(&spans);
    for way in [
        &["create_store", "audit"][..],
        &["write_schema", "work"],
        &["write", "work", "commit"],
        &["list_objects", "wait"],
        &["list_objects", "work", "open_state"],
        &["list_objects", "work", "evaluate"],
        &["read", "work", "scan"],
    ] {
        at(&spans, way);
    }
    let refused = at(&spans, &["check"]);
    assert_eq!(attribute(&refused.attributes, "http.response.status_code").as_deref(), Some("400"));
    assert_eq!(
        refused.status.clone().unwrap_or_default().code,
        0,
        "the client's error is none of the server's"
    );
}

#[test]
fn a_log_names_the_trace() {
    let collector = Collector::answering(200);
    let dir = TempDir::new().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_stonetown"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--slow",
            "1us",
            "--log-format",
            "json",
            "--trace-share",
            "0",
        ])
        .args(["--traces-to", &collector.url, "--data"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 512];
    let count = server.stdout.as_mut().unwrap().read(&mut first).unwrap();
    let first = String::from_utf8_lossy(&first[..count]).into_owned();
    let url = first.split([' ', ',']).find(|word| word.starts_with("http")).unwrap();
    let client = Client::of(url, "");
    client
        .send("GET", "/stores", &Value::Null, &[("traceparent", &format!("00-{TRACE}-{PARENT}-01"))])
        .granted();
    client.send("GET", "/stores", &Value::Null, &[]).granted();
    let kill = format!("kill -TERM {}", server.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = server.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_lists: Vec<&Value> =
        lines.iter().filter(|line| line["verb"] == "list_stores").map(|line| &line["trace_id"]).collect();
    assert_eq!(of_lists, [&json!(TRACE), &Value::Null], "{log}");
}

#[test]
fn a_collector_that_does_not_take_them_keeps_nobody_from_an_answer() {
    let refusing = Collector::answering(400);
    for url in [&*refusing.url, "http://127.0.0.1:9"] {
        let arguments = ["--traces-to", url, "--trace-share", "1"];
        // So that it is tried while there are requests.
        let at_once = [("OTEL_BSP_SCHEDULE_DELAY", "10".as_ref())];
        let served = Served::within(TempDir::new().unwrap(), &arguments, at_once);
        let client = Client::new(&served.url, SCHEMA);
        client.write(&["doc:1 viewer user:anne"]);
        assert!(client.allows("doc:1 viewer user:anne"));
        let metrics = client.send("GET", "/metrics", &Value::Null, &[]).granted().body;
        assert!(count_of(&metrics, "stonetown_trace_spans_total") > 10);
        assert_eq!(count_of(&metrics, "stonetown_trace_spans_sent_total"), 0);
        assert!(served.stop().0, "the server ends well");
    }
}

/// One that takes connections and never answers, with a queue that holds nothing to speak of.
#[test]
fn a_collector_that_is_silent_keeps_nobody_from_an_answer_and_what_does_not_fit_is_dropped() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let arguments = ["--traces-to", &url, "--trace-share", "1"];
    let little = [
        ("OTEL_BSP_SCHEDULE_DELAY", "10".as_ref()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1".as_ref()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1".as_ref()),
    ];
    let served = Served::within(TempDir::new().unwrap(), &arguments, little);
    let client = Client::new(&served.url, SCHEMA);
    client.write(&["doc:1 viewer user:anne"]);
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(client.allows("doc:1 viewer user:anne"));
    }
    // One time-out of the exporter would be 5 s.
    assert!(begun.elapsed() < Duration::from_secs(60), "answers wait for the collector");
    let metrics = client.send("GET", "/metrics", &Value::Null, &[]).granted().body;
    assert!(count_of(&metrics, "stonetown_trace_spans_total") > 400);
    let stopping = Instant::now();
    assert!(served.stop().0);
    assert!(stopping.elapsed() < Duration::from_secs(30), "the server waits for the collector");
}
