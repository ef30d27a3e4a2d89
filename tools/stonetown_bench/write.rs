//! Writes of one tuple each, synced, by 64 clients; on the machine's own disk, and where every sync takes 1 ms longer.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::bench::{Bench, Serving, create_store, post};
use crate::check::write_body;
use crate::http::{self, Response};
use crate::load::{Questions, Verdict};
use crate::machine;
use crate::process::{Scratch, run};
use crate::report::{Line, budgets, median};
use crate::world::schema_json;

const ROW: &str = "write";
const CLIENTS: usize = 64;
/// What the budget takes for the time of a sync, in microseconds.
const SYNC_MICROS: f64 = 100.0;
const SHIM: &str = include_str!("shim.c");

/// A tuple a request, never the same twice.
struct Writes {
    path: String,
}

impl Questions for Writes {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        http::post(
            request,
            &self.path,
            write_body("writer", number, number.wrapping_mul(2_654_435_761) % 1_000_003).as_bytes(),
        );
    }

    fn judge(&self, _: u64, response: &Response<'_>) -> Verdict {
        if response.is_success() { Verdict::Right } else { Verdict::Failed }
    }
}

/// The row.
pub(crate) fn write(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let scratch = bench.scratch()?;
    let sync = machine::sync_micros(scratch.path())?;
    let mut lines =
        vec![Line::new(ROW, "this machine: one sync of a small write, file allocated", sync, "µs")];
    let shim = match compile(&scratch) {
        Ok(shim) => Some(shim),
        Err(error) => {
            let why = format!("syncs are not counted, and 1 ms is not added: {error:#}");
            lines.push(Line::absent(ROW, "the shim around syncs", why));
            None
        }
    };
    lines.push(measure(bench, &scratch, shim.as_deref(), 0)?);
    if let Some(shim) = &shim {
        lines.push(measure(bench, &scratch, Some(shim), 1_000)?);
    }
    lines.push(measure_inside(bench, &scratch, shim.as_deref(), 0, sync)?);
    if let Some(shim) = &shim {
        lines.push(measure_inside(bench, &scratch, Some(shim), 1_000, sync)?);
    }
    Ok(lines)
}

/// The same in process: in one of its own, so that the shim can stand before its syncs.
fn measure_inside(
    bench: &Bench,
    scratch: &Scratch,
    shim: Option<&Path>,
    added: u64,
    sync: f64,
) -> anyhow::Result<Line> {
    let data = scratch.path().join(format!("inside-{added}"));
    let counts = scratch.path().join("syncs");
    std::fs::write(&counts, [0; 16])?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("writes").arg(&data).args(["--clients", &CLIENTS.to_string()]);
    command.args([
        "--rounds",
        &bench.rounds.to_string(),
        "--seconds",
        &bench.time().as_secs_f64().to_string(),
    ]);
    if let Some(shim) = shim {
        command.env("LD_PRELOAD", shim).env("STONETOWN_BENCH_SYNC_MICROS", added.to_string());
        command.env("STONETOWN_BENCH_SYNC_FILE", &counts);
    }
    let written: crate::inside::Written = serde_json::from_str(&run(&mut command)?)?;
    let (syncs, nanos) = read_counts(&counts)?;
    let what = if added == 0 { "synced single-tuple writes" } else { "the same, 1 ms added to each sync" };
    let what = format!("{what}, {CLIENTS} clients, in process");
    let mut line = Line::new(ROW, what, median(written.rates.clone()), "writes/s")
        .detail("rates", json!(written.rates))
        .detail("writes_per_sync", json!(written.writes_per_sync))
        .note(format!("{:.1} writes a sync", written.writes_per_sync));
    if syncs > 0 {
        line = line.note(format!("a sync took {:.0} µs", nanos as f64 / 1e3 / syncs as f64));
    }
    line.failed = written.failed;
    if added == 0 && sync > SYNC_MICROS * 1.1 {
        line = line
            .note(format!("a sync takes {sync:.0} µs here, not {SYNC_MICROS:.0} µs: judged all the same"));
    }
    Ok(line.budget(if added == 0 { budgets::WRITES } else { budgets::WRITES_SLOW }))
}

fn measure(bench: &Bench, scratch: &Scratch, shim: Option<&Path>, added: u64) -> anyhow::Result<Line> {
    let counts = scratch.path().join("syncs");
    std::fs::write(&counts, [0; 16])?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut environment = Vec::new();
    if let Some(shim) = shim {
        environment.push(("LD_PRELOAD", text(shim)));
        environment.push(("STONETOWN_BENCH_SYNC_MICROS", added.to_string()));
        environment.push(("STONETOWN_BENCH_SYNC_FILE", text(&counts)));
    }
    let mut serving = bench.serve_with(None, &[], &environment)?;
    serving.store = create_store(&serving.server.url, &schema_json())?;
    let mut load = bench.load(&serving.server, std::sync::Arc::new(Writes { path: serving.path("write") }));
    load.connections = CLIENTS;
    let warm = load.closed(bench.warm_up())?;
    let what = if added == 0 { "synced single-tuple writes" } else { "the same, 1 ms added to each sync" };
    let mut line =
        Line::new(ROW, format!("{what}, {CLIENTS} clients, over HTTP"), 0.0, "writes/s").errors_of(&warm);
    let (mut rates, mut answered) = (Vec::new(), 0);
    let cpu_before = serving.server.cpu_seconds();
    let before = (read_counts(&counts)?, writer_stats(&serving)?);
    for _ in 0..bench.rounds {
        let outcome = load.closed(bench.time())?;
        rates.push(outcome.rate());
        answered += outcome.answered;
        line = line.errors_of(&outcome).detail("latency", outcome.percentiles());
        if let Some(shown) = outcome.latency.first().map(|_| outcome.percentiles_shown(0)) {
            line.details.insert("latency_shown".to_owned(), json!(shown));
        }
    }
    let after = (read_counts(&counts)?, writer_stats(&serving)?);
    if let Some((before, after)) = cpu_before.zip(serving.server.cpu_seconds()) {
        let micros = (after - before) * 1e6 / answered.max(1) as f64;
        line =
            line.note(format!("CPU of the server a write: {micros:.1} µs")).detail("cpu_us", json!(micros));
    }
    line.value = median(rates.clone());
    line = line.detail("rates", json!(rates));
    if let Some(shown) = line.details.remove("latency_shown") {
        line = line.note(shown.as_str().unwrap_or_default());
    }
    if shim.is_some() {
        let (syncs, nanos) = (after.0.0 - before.0.0, after.0.1 - before.0.1);
        let mean = answered as f64 / syncs.max(1) as f64;
        let took = nanos as f64 / 1e3 / syncs.max(1) as f64;
        line = line
            .note(format!(
                "{mean:.1} writes a sync (counted by the shim); a sync took {took:.0} µs in the server"
            ))
            .detail("writes_per_sync", json!(mean))
            .detail("sync_us", json!(took));
    }
    line = match before.1.zip(after.1) {
        Some((before, after)) => {
            let mean = (after.0 - before.0) as f64 / (after.1 - before.1).max(1) as f64;
            line.note(format!("{mean:.1} writes a sync, as the server's statistics say"))
        }
        None => line.note("the statistics have no `writer`"),
    };
    line = line.note(verify(&serving, load.next.load(std::sync::atomic::Ordering::Relaxed))?);
    Ok(line)
}

/// Looks after a sample of the tuples that were acknowledged.
fn verify(serving: &Serving, written: u64) -> anyhow::Result<String> {
    let url = format!("{}{}", serving.server.url, serving.path("check"));
    let sample: Vec<u64> = (0..20).map(|at| at * written / 20).collect();
    let mut missing = 0;
    for number in &sample {
        let voice = number.wrapping_mul(2_654_435_761) % 1_000_003;
        let key = json!({ "user": format!("user:writer-{number}"), "relation": "viewer", "object": format!("voice:{voice}") });
        missing += u64::from(post(&url, &json!({ "tuple_key": key }))?["allowed"] != json!(true));
    }
    Ok(format!("{} of {} sampled tuples are there", sample.len() as u64 - missing, sample.len()))
}

fn compile(scratch: &Scratch) -> anyhow::Result<PathBuf> {
    let (source, library) = (scratch.path().join("shim.c"), scratch.path().join("shim.so"));
    std::fs::write(&source, SHIM)?;
    let mut command = Command::new("cc");
    command.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    run(&mut command)?;
    Ok(library)
}

/// Syncs, and the nanoseconds that they took.
fn read_counts(path: &Path) -> anyhow::Result<(u64, u64)> {
    let bytes = std::fs::read(path)?;
    let number =
        |at: usize| bytes.get(at..at + 8).and_then(|it| it.try_into().ok()).map_or(0, u64::from_ne_bytes);
    Ok((number(0), number(8)))
}

/// Writes and syncs as the server counts them.
fn writer_stats(serving: &Serving) -> anyhow::Result<Option<(u64, u64)>> {
    let stats = serving.stats()?;
    Ok(stats["writer"]["writes"].as_u64().zip(stats["writer"]["syncs"].as_u64()))
}
