//! What a server shows of itself: metrics by their conventions, and that they count what was done; readiness; `top`; and that the dashboard
//! and the alert rules name only metrics that there are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use support::Served;
use support::client::Client;
use tempfile::TempDir;

const SCHEMA: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define viewer: [user]\n";

fn metrics(url: &str) -> String {
    let mut answer = ureq::get(format!("{url}/metrics")).call().unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    answer.body_mut().read_to_string().unwrap()
}

/// The value of a series; none: there is no such series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

fn busy_server() -> (Served, Client) {
    let served = Served::on(TempDir::new().unwrap(), &["--decision-cache-mib", "1"]);
    let client = Client::new(&served.url, SCHEMA);
    client.write(&["doc:1 viewer user:anne"]);
    for _ in 0..5 {
        assert!(client.allows("doc:1 viewer user:anne"));
    }
    client.objects("doc", "viewer", "user:anne");
    assert_eq!(client.check("doc:1 nothing user:anne", json!({})).status, 400);
    (served, client)
}

#[test]
fn what_was_done_is_counted() {
    let (served, _) = busy_server();
    let text = metrics(&served.url);
    let is = |series: &str| value(&text, series);
    assert_eq!(is("stonetown_requests_total{verb=\"check\",code=\"200\"}"), Some(5.0), "{text}");
    assert_eq!(is("stonetown_requests_total{verb=\"check\",code=\"400\"}"), Some(1.0));
    assert_eq!(is("stonetown_requests_total{verb=\"create_store\",code=\"201\"}"), Some(1.0));
    assert_eq!(is("stonetown_request_duration_seconds_count{verb=\"check\"}"), Some(6.0));
    assert_eq!(is("stonetown_request_duration_seconds_bucket{le=\"+Inf\",verb=\"check\"}"), Some(6.0));
    assert!(is("stonetown_request_duration_seconds_sum{verb=\"check\"}").unwrap() > 0.0);
    assert!(is("stonetown_request_reads_sum{verb=\"list_objects\"}").unwrap() >= 1.0);
    assert_eq!(is("stonetown_stores"), Some(1.0));
    assert_eq!(is("stonetown_requests_in_flight"), Some(1.0), "this one");
    assert!(is("stonetown_connections").unwrap() >= 1.0);
    assert_eq!(is("stonetown_decision_cache_hits_total"), Some(4.0));
    assert!(is("stonetown_writes_total").unwrap() >= 1.0);
    assert!(is("stonetown_rocksdb_log_bytes_total").unwrap() > 100.0);
    assert!(is("stonetown_rocksdb_log_syncs_total").unwrap() >= 1.0);
    assert_eq!(is("stonetown_rocksdb_background_errors_total"), Some(0.0));
    assert_eq!(is("stonetown_rocksdb_stalled_seconds_total"), Some(0.0));
    assert!(is("process_resident_memory_bytes").unwrap() > 1e6);
    assert!(text.contains("stonetown_build_info{version="), "{text}");
}

#[test]
fn what_rocksdb_does_with_its_files_is_counted() {
    let served = Served::start();
    let client = Client::new(&served.url, SCHEMA);
    client.write(&["doc:1 viewer user:anne", "doc:3 viewer user:anne"]);
    let counts = || {
        let text = metrics(&served.url);
        let of = |name: &str| value(&text, &format!("stonetown_rocksdb_{name}_total")).unwrap();
        ["block_cache_hits", "block_cache_misses", "flushed_bytes", "compaction_written_bytes", "filtered"]
            .map(of)
    };
    let [.., flushed, merged, _] = counts();
    assert_eq!((flushed, merged), (0.0, 0.0), "all is in memory");
    client.send("POST", "/compact", &Value::Null, &[]).granted();
    let [.., flushed, merged, _] = counts();
    assert!(flushed > 0.0 && merged > 0.0, "{flushed} {merged}");
    assert!(client.allows("doc:1 viewer user:anne"));
    let [first_hits, first_misses, ..] = counts();
    assert!(client.allows("doc:1 viewer user:anne"));
    let [hits, misses, ..] = counts();
    assert!(first_misses > 0.0 && hits > first_hits && misses == first_misses);
    assert!(!client.allows("doc:2 viewer user:eve"));
    assert!(counts()[4] > 0.0, "a filter knows of no such tuple");

    let uncounted = Served::on(TempDir::new().unwrap(), &["--rocksdb-statistics", "false"]);
    let text = metrics(&uncounted.url);
    assert!(value(&text, "stonetown_rocksdb_background_errors_total").is_some());
    assert!(!text.contains("stonetown_rocksdb_block_cache"), "{text}");
}

#[test]
fn names_and_units_are_as_prometheus_has_them() {
    let (served, client) = busy_server();
    let text = metrics(&served.url);
    assert!(text.ends_with("# EOF\n"));
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(name.starts_with("stonetown_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        for unit in ["millis", "micros", "kib", "mib", "kb", "mb"] {
            assert!(!name.split('_').any(|word| word == unit), "{name} is in no base unit");
        }
        assert!(kind != "counter" || !name.ends_with("_total"), "{name}: the encoder adds it");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    // From 10 µs to 10 s.
    for end in ["0.00001", "10.0"] {
        let series = format!("stonetown_request_duration_seconds_bucket{{le=\"{end}\",verb=\"check\"}}");
        assert!(value(&text, &series).is_some(), "{series}: {text}");
    }
    // What may have any number of values is no label.
    for name in [&*client.store, "user:anne", "doc:1", "anne"] {
        assert!(!text.contains(name), "{name}");
    }
}

#[test]
fn dashboard_and_rules_name_only_metrics_that_there_are() {
    let (served, _) = busy_server();
    let text = metrics(&served.url);
    let mut known = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        known.insert(line.split(['{', ' ']).next().unwrap().to_owned());
    }
    // Of some there is no series before they first happen.
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        known.insert(if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/monitoring");
    for file in ["dashboard.json", "alerts.yml"] {
        let content = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        let mut named = BTreeSet::new();
        for word in content.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
            if word.starts_with("stonetown_") || word.starts_with("process_") {
                named.insert(word.to_owned());
            }
        }
        assert!(named.len() >= 8, "{file} names {named:?}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, of {known:?}");
    }
    let dashboard = std::fs::read_to_string(format!("{root}/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().iter().all(|panel| panel["title"].is_string()));
    let alerts = std::fs::read_to_string(format!("{root}/alerts.yml")).unwrap();
    let alerts: Value = serde_saphyr::from_str(&alerts).unwrap();
    for rule in alerts["groups"][0]["rules"].as_array().unwrap() {
        for part in ["alert", "expr", "labels", "annotations"] {
            assert!(!rule[part].is_null(), "{rule} has no {part}");
        }
    }
}

#[test]
fn top_shows_what_is_done() {
    let (served, client) = busy_server();
    let asking = std::thread::spawn(move || {
        for _ in 0..200 {
            client.check("doc:1 viewer user:anne", json!({})).granted();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    let output = Command::new(env!("CARGO_BIN_EXE_stonetown"))
        .args(["top", "--times", "1", "--every", "500ms", "--url", &served.url])
        .output()
        .unwrap();
    asking.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let check = text.lines().find(|line| line.starts_with("check ")).unwrap_or_else(|| panic!("{text}"));
    let columns: Vec<&str> = check.split_whitespace().collect();
    assert!(columns[1].parse::<f64>().unwrap() > 10.0, "{text}");
    assert!(columns[4].ends_with('s'), "{text}");
    assert!(text.contains("stores 1"), "{text}");
}

#[test]
fn a_server_is_ready_when_it_can_write() {
    let served = Served::start();
    let answer =
        ureq::get(format!("{}/readyz", served.url)).call().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), json!({ "status": "READY" }));
}
