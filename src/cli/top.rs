//! `stonetown top`

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use indicatif::HumanBytes;

use super::args::PlaceArgs;
use super::exit::Exit;
use super::output::Output;
use super::target::Target;

/// Clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show what a server does, as it does it, until interrupted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown top --url http://127.0.0.1:8080
  stonetown top --data ./data --every 5s
  stonetown top --times 1 --url http://127.0.0.1:8080      # once, for a script

It asks for the server's metrics (`GET /metrics`), which needs the right `metrics` where keys have to be shown. Rates and
times are of the last interval; p50 and p99 are upper ends of histogram buckets.")]
pub(super) struct TopArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// How often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,

    /// Stop after so many times
    #[arg(long, value_name = "N")]
    times: Option<u64>,
}

pub(super) fn run(args: &TopArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let Target::Remote(client) = args.place.open(false)? else {
        bail!(
            "nobody serves this data directory: name a server with `--url`, or start one with `stonetown serve`"
        );
    };
    let clears = std::io::stdout().is_terminal();
    let mut before = Sample::read(&client.metrics()?);
    for _ in 0..args.times.unwrap_or(u64::MAX) {
        std::thread::sleep(args.every);
        let now = Sample::read(&client.metrics()?);
        if clears {
            out.line(CLEAR)?;
        }
        for line in lines(&before, &now) {
            out.line(line)?;
        }
        out.flush()?;
        if out.is_closed() {
            break;
        }
        before = now;
    }
    Ok(Exit::Yes)
}

/// The metrics of a moment: values by name and labels.
struct Sample {
    at: Instant,
    values: BTreeMap<(String, String), f64>,
}

impl Sample {
    fn read(text: &str) -> Sample {
        let of_line = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            Some(((name.to_owned(), labels.trim_end_matches('}').to_owned()), value.parse().ok()?))
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Sample { at: Instant::now(), values: lines.filter_map(of_line).collect() }
    }

    fn value(&self, name: &str, labels: &str) -> f64 {
        self.values.get(&(name.to_owned(), labels.to_owned())).copied().unwrap_or(0.0)
    }

    /// All series of a name: their labels, and values.
    fn series<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'s str, f64)> {
        let of_name = self.values.iter().filter(move |((of, _), _)| of == name);
        of_name.map(|((_, labels), value)| (&**labels, *value))
    }
}

fn lines(before: &Sample, now: &Sample) -> Vec<String> {
    let seconds = (now.at - before.at).as_secs_f64();
    let more = |name: &str, labels: &str| now.value(name, labels) - before.value(name, labels);
    let bytes = |value: f64| HumanBytes(value as u64).to_string();
    let mut lines = vec![format!(
        "connections {}   in flight {}   stores {}   core {:.0} %   memory {}   block cache {}   files open {}",
        now.value("stonetown_connections", ""),
        now.value("stonetown_requests_in_flight", ""),
        now.value("stonetown_stores", ""),
        100.0 * more("process_cpu_seconds_total", "") / seconds,
        bytes(now.value("process_resident_memory_bytes", "")),
        bytes(now.value("stonetown_block_cache_bytes", "")),
        now.value("process_open_fds", ""),
    )];
    let (hits, misses) =
        (more("stonetown_decision_cache_hits_total", ""), more("stonetown_decision_cache_misses_total", ""));
    if hits + misses > 0.0 {
        lines.push(format!("decisions kept: {:.0} % of checks", 100.0 * hits / (hits + misses)));
    }
    if now.value("stonetown_writer_is_stopped", "") > 0.0 {
        lines.push("WRITES ARE REFUSED: a sync has failed; restart the server".to_owned());
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<24}{:>10}{:>10}{:>10}{:>12}{:>12}{:>12}",
        "", "answers/s", "429/s", "errors/s", "p50", "p99", "reads each"
    ));
    let count = "stonetown_request_duration_seconds_count";
    let mut rows: Vec<(f64, String)> = Vec::new();
    for (labels, total) in now.series(count) {
        let answered = total - before.value(count, labels);
        if answered <= 0.0 {
            continue;
        }
        let (mut busy, mut failed) = (0.0, 0.0);
        for (of, _) in now.series("stonetown_requests_total") {
            let Some(code) = of.strip_prefix(&format!("{labels},code=\"")) else { continue };
            let these = more("stonetown_requests_total", of);
            match code.trim_end_matches('"') {
                "429" => busy += these,
                code if code.starts_with('5') => failed += these,
                _ => {}
            }
        }
        let verb = labels.trim_start_matches("verb=\"").trim_end_matches('"');
        let (p50, p99) = (quantile(before, now, labels, 0.5), quantile(before, now, labels, 0.99));
        let counted = more("stonetown_request_reads_count", labels);
        let reads = if counted > 0.0 { more("stonetown_request_reads_sum", labels) / counted } else { 0.0 };
        rows.push((
            answered,
            format!(
                "{verb:<24}{:>10.0}{:>10.0}{:>10.0}{p50:>12}{p99:>12}{reads:>12.1}",
                answered / seconds,
                busy / seconds,
                failed / seconds,
            ),
        ));
    }
    rows.sort_by(|one, other| other.0.total_cmp(&one.0));
    lines.extend(rows.into_iter().map(|(_, row)| row));
    lines
}

/// The upper end of the bucket that a share of the answers of an interval is in.
fn quantile(before: &Sample, now: &Sample, labels: &str, share: f64) -> String {
    let bucket = "stonetown_request_duration_seconds_bucket";
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for (of, value) in now.series(bucket) {
        let end = of.strip_prefix("le=\"").and_then(|rest| rest.strip_suffix(&format!("\",{labels}")));
        if let Some(end) = end.and_then(|end| end.replace("+Inf", "inf").parse().ok()) {
            buckets.push((end, value - before.value(bucket, of)));
        }
    }
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    let all = buckets.last().map_or(0.0, |(_, count)| *count);
    match buckets.iter().find(|(_, count)| *count >= share * all) {
        Some((end, _)) if end.is_finite() => format!("{:?}", Duration::from_secs_f64(*end)),
        _ => "longer".to_owned(),
    }
}
