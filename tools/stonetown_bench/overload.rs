//! Too much of everything, and for long: what is asked ten times as often as it can be answered, and a mixed load that does not end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::bench::{Bench, Serving};
use crate::check::{Batches, Bodies, bodies, holds, judge_allowed, world_data};
use crate::http::{Response, post};
use crate::load::{Load, Outcome, Questions, Verdict, micros};
use crate::report::{Line, budgets};
use crate::world::{Question, Subject, World};

/// Tuples of both rows.
const TUPLES: u64 = 1_000_000;
/// Connections that find out what is sustainable: so few that nobody is turned away.
const CONNECTIONS_FEW: usize = 4;
/// Connections of the overload.
const CONNECTIONS_MANY: usize = 512;
/// How many times what is sustainable.
const TIMES: f64 = 10.0;
/// What the server is asked when it is said to be unloaded, of what is sustainable.
const UNLOADED: f64 = 0.1;
/// Seconds after the overload that are looked at one by one.
const AFTER: usize = 8;
/// Batches that are asked again and again.
const BATCHES_MADE: u64 = 2_000;
/// People whom writes give and take a voice.
const WRITERS: u64 = 10_000;
/// Status of a request that is turned away.
const TURNED_AWAY: u16 = 429;

const CHECK: usize = 0;
const BATCH: usize = 1;
const LIST: usize = 2;
const WRITE: usize = 3;
const AWAY: usize = 4;
const KINDS: [&str; 5] = ["check", "batch", "list", "write", "turned away"];

/// What a service of pages asks: one of ten is a check, half are batches of fifty, a third lists of what the admin of a hundred organisations
/// may view, the rest writes.
struct Mixed {
    world: World,
    bodies: Arc<Bodies>,
    batches: Batches,
    /// Some of them, made beforehand: the load has one core.
    made: Vec<Vec<u8>>,
    check: String,
    list: String,
    write: String,
}

impl Mixed {
    fn new(bench: &Bench, world: World, serving: &Serving) -> anyhow::Result<Mixed> {
        let bodies = bodies(bench, world)?;
        let batches = Batches { bodies: Arc::clone(&bodies), path: serving.path("batch-check") };
        let made = (0..BATCHES_MADE).map(|number| {
            let mut request = Vec::new();
            post(&mut request, &batches.path, &batches.body(number));
            request
        });
        Ok(Mixed {
            world,
            made: made.collect(),
            batches,
            bodies,
            check: serving.path("check"),
            list: serving.path("list-objects"),
            write: serving.path("write"),
        })
    }

    fn question(&self, number: u64) -> (Question, bool) {
        self.bodies.stream.get(number)
    }
}

impl Questions for Mixed {
    fn kind(&self, number: u64) -> usize {
        // A walk through 0 to 99 that mixes the kinds; 37 is coprime to 100.
        match number.wrapping_mul(37) % 100 {
            0..10 => CHECK,
            10..60 => BATCH,
            60..95 => LIST,
            _ => WRITE,
        }
    }

    fn kind_of_answer(&self, number: u64, response: &Response<'_>) -> usize {
        if response.status == TURNED_AWAY { AWAY } else { self.kind(number) }
    }

    fn kinds(&self) -> &'static [&'static str] {
        &KINDS
    }

    fn write(&self, number: u64, request: &mut Vec<u8>) {
        match self.kind(number) {
            CHECK => post(request, &self.check, self.bodies.body(self.bodies.stream.place(number))),
            BATCH => request.extend_from_slice(&self.made[(number % BATCHES_MADE) as usize]),
            LIST => {
                let org = self.world.org_above(self.question(number).0.voice, 2);
                let body = format!(
                    "{{\"type\":\"voice\",\"relation\":\"viewer\",\"user\":\"{}\"}}",
                    Subject::Admin(org).text()
                );
                post(request, &self.list, body.as_bytes());
            }
            _ => {
                // Given and taken again and again, so that the store does not grow.
                let who = number % WRITERS;
                let key = format!(
                    "{{\"user\":\"user:zz-{who}\",\"relation\":\"viewer\",\"object\":\"voice:{}\"}}",
                    who % 1_000
                );
                let (what, else_) = match (number / WRITERS).is_multiple_of(2) {
                    true => ("writes", "on_duplicate"),
                    false => ("deletes", "on_missing"),
                };
                let body = format!("{{\"{what}\":{{\"tuple_keys\":[{key}],\"{else_}\":\"ignore\"}}}}");
                post(request, &self.write, body.as_bytes());
            }
        }
    }

    fn judge(&self, number: u64, response: &Response<'_>) -> Verdict {
        if response.status == TURNED_AWAY {
            return Verdict::Right;
        }
        if !response.is_success() {
            return Verdict::Failed;
        }
        let (question, allowed) = self.question(number);
        match self.kind(number) {
            CHECK => judge_allowed(response.body, allowed),
            BATCH => self.batches.judge(number % BATCHES_MADE, response),
            LIST if holds(response.body, &format!("\"voice:{}\"", question.voice)) => Verdict::Right,
            LIST => Verdict::Wrong,
            _ => Verdict::Right,
        }
    }
}

/// Everything that was answered, and everything that was turned away, in nanoseconds.
fn sides(outcome: &Outcome) -> anyhow::Result<(Histogram<u64>, Histogram<u64>)> {
    let mut accepted = outcome.latency[CHECK].1.clone();
    for kind in [BATCH, LIST, WRITE] {
        accepted.add(&outcome.latency[kind].1)?;
    }
    Ok((accepted, outcome.latency[AWAY].1.clone()))
}

fn shown(histogram: &Histogram<u64>) -> String {
    let at = |percentile| micros(histogram.value_at_percentile(percentile));
    format!("p50 {}, p99 {}, p99.9 {}, max {}", at(50.0), at(99.0), at(99.9), micros(histogram.max()))
}

/// Has what is started from now on, and this program's own threads, run on some cores.
#[cfg(target_os = "linux")]
fn pin(cores: &[usize]) -> anyhow::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    cores.iter().for_each(|&core| set.set(core));
    rustix::thread::sched_setaffinity(None, &set).context("cannot choose cores")
}

#[cfg(not(target_os = "linux"))]
fn pin(_: &[usize]) -> anyhow::Result<()> {
    bail!("cores can be chosen on Linux only")
}

/// The most memory that a server has had while this is alive.
struct Memory {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
}

impl Memory {
    fn watch(pid: u32) -> Memory {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let of_thread = (Arc::clone(&stop), Arc::clone(&most));
        std::thread::spawn(move || {
            while !of_thread.0.load(Ordering::Relaxed) {
                of_thread.1.fetch_max(process(pid).resident, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Memory { stop, most }
    }

    fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What a process has.
#[derive(Debug, Clone, Copy, Default)]
struct Process {
    resident: u64,
    handles: u64,
    threads: u64,
    /// Of the resident bytes, those of what fills up to a size that is set: blocks, decisions, rows that are not in table files yet.
    kept: u64,
}

impl Process {
    fn rest(&self) -> u64 {
        self.resident.saturating_sub(self.kept)
    }
}

/// What a server keeps, by its own metrics.
fn kept(address: std::net::SocketAddr) -> u64 {
    let answer = ureq::get(format!("http://{address}/metrics")).call();
    let text = answer.ok().and_then(|mut it| it.body_mut().read_to_string().ok()).unwrap_or_default();
    let names =
        ["stonetown_block_cache_bytes ", "stonetown_memtables_bytes ", "stonetown_decision_cache_bytes "];
    let values = text.lines().filter_map(|line| names.iter().find_map(|name| line.strip_prefix(name)));
    values.filter_map(|value| value.parse::<f64>().ok()).sum::<f64>() as u64
}

fn process(pid: u32) -> Process {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let handles = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |dir| dir.count() as u64);
    Process { resident: number("VmRSS:") << 10, handles, threads: number("Threads:"), kept: 0 }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The row `overload`: the load on one core, the server on another.
pub(crate) fn overload(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "overload";
    if crate::machine::cores() < 2 {
        bail!("the server and the load need a core each");
    }
    let world = World::of_tuples(bench.tuples(TUPLES));
    let set = world_data(bench, world)?;
    pin(&[1])?;
    let serving = bench.serve(&set, &[])?;
    pin(&[0])?;
    let mixed = Arc::new(Mixed::new(bench, world, &serving)?);
    let load = |connections| Load {
        address: serving.server.address,
        connections,
        threads: 1,
        questions: Arc::clone(&mixed) as Arc<dyn Questions>,
        next: Arc::new(AtomicU64::new(0)),
    };
    let few = load(CONNECTIONS_FEW);
    drop(few.closed(bench.warm_up())?);
    let sustained = few.closed(bench.time())?;
    let rate = sides(&sustained)?.0.len() as f64 / sustained.elapsed.as_secs_f64();
    let many = load(CONNECTIONS_MANY);
    drop(many.open(bench.warm_up(), rate * UNLOADED)?);
    let unloaded = many.open(bench.time().max(Duration::from_secs(5)), rate * UNLOADED)?;
    let (before, away_before) = sides(&unloaded)?;
    let at_first = process(serving.server.pid());
    let memory = Memory::watch(serving.server.pid());
    let time = Duration::from_secs(bench.sized(60, 5));
    let over = many.open(time, rate * TIMES)?;
    let most = memory.most();
    drop(memory);
    // Second by second, from the moment in which the overload ends.
    let mut recovered = None;
    let mut after = Vec::new();
    for second in 1..=AFTER {
        let outcome = many.open(Duration::from_secs(1), rate * UNLOADED)?;
        let (accepted, away) = sides(&outcome)?;
        let p99 = accepted.value_at_percentile(99.0);
        after.push(json!({ "p99_us": p99 as f64 / 1e3, "turned_away": away.len() }));
        if recovered.is_none() && away.is_empty() && p99 <= before.value_at_percentile(99.0) * 3 / 2 {
            recovered = Some(second);
        }
    }
    let at_last = process(serving.server.pid());
    let (accepted, away) = sides(&over)?;
    let [p99, p99_before] = [&accepted, &before].map(|it| it.value_at_percentile(99.0) as f64 / 1e6);
    let offered = rate * TIMES;
    let sent = over.answered + over.failed;
    let mut line = Line::new(
        ROW,
        format!(
            "99th percentile of accepted requests at {TIMES:.0} times the sustainable rate, {} s",
            time.as_secs()
        ),
        p99,
        "ms",
    )
    .against(format!("the same at {UNLOADED} of that rate"), p99_before, p99 / p99_before)
    .budget(budgets::OVERLOAD)
    .not_judged((bench.is_quick).then(|| "not judged: a quick run".to_owned()))
    .note(format!(
        "checks 10 %, batches of 50 50 %, lists of what an admin of 100 organisations may view 35 %, writes 5 %; server on one core, load on another, {} tuples",
        set.tuples
    ))
    .note(format!(
        "sustainable {rate:.0}/s ({} turned away); wanted {offered:.0}/s, sent {:.0}/s, accepted {:.0}/s, turned away {:.0}/s",
        sides(&sustained)?.1.len(),
        sent as f64 / over.elapsed.as_secs_f64(),
        accepted.len() as f64 / over.elapsed.as_secs_f64(),
        away.len() as f64 / over.elapsed.as_secs_f64()
    ))
    .note(format!("accepted: {}; unloaded: {} ({} turned away)", shown(&accepted), shown(&before), away_before.len()))
    .note(format!("turned away: {}", shown(&away)))
    .note(format!(
        "resident memory: {:.0} MiB before, {:.0} at most, {:.0} after; handles {} before, {} after",
        mib(at_first.resident),
        mib(most),
        mib(at_last.resident),
        at_first.handles,
        at_last.handles
    ))
    .note(match recovered {
        Some(second) => format!("recovered in second {second} after it"),
        None => format!("not recovered within {AFTER} s"),
    })
    .detail("after", Value::from(after))
    .detail("overload", over.percentiles())
    .detail("unloaded", unloaded.percentiles())
    .errors_of(&sustained)
    .errors_of(&unloaded)
    .errors_of(&over);
    for kind in [CHECK, BATCH, LIST, WRITE] {
        line = line.note(format!(
            "{}: {}; unloaded {}",
            KINDS[kind],
            over.percentiles_shown(kind),
            unloaded.percentiles_shown(kind)
        ));
    }
    pin(&(0..crate::machine::cores()).collect::<Vec<_>>())?;
    Ok(vec![line])
}

/// What clients do that come and go: they leave in the midst of answers, send nonsense, and are slow.
fn churn(address: std::net::SocketAddr, store: &str, stop: &AtomicBool) -> u64 {
    let get = |path: &str| format!("GET /stores/{store}/{path} HTTP/1.1\r\nhost: soak\r\n\r\n");
    let ask = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /stores/{store}/{path} HTTP/1.1\r\nhost: soak\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let key = "\"tuple_key\":{\"user\":\"user:admin-1\",\"relation\":\"viewer\",\"object\":\"voice:1\"}";
    let visits = [
        get("watch"),
        get("changes"),
        ask(
            "streamed-list-objects",
            "{\"type\":\"voice\",\"relation\":\"viewer\",\"user\":\"user:admin-0\"}",
        ),
        ask("export?format=csv", ""),
        ask(
            "list-users",
            "{\"object\":{\"type\":\"voice\",\"id\":\"1\"},\"relation\":\"viewer\",\"user_filters\":[{\"type\":\"user\"}]}",
        ),
        ask("explain", &format!("{{{key}}}")),
        ask("expand", "{\"tuple_key\":{\"relation\":\"viewer\",\"object\":\"voice:2\"}}"),
        ask("read", "{\"page_size\":50}"),
        ask(
            "access-diff",
            "{\"writes\":{\"tuple_keys\":[{\"user\":\"user:zz\",\"relation\":\"viewer\",\"object\":\"voice:3\"}]}}",
        ),
        ask("check", "{\"tuple_key\":{\"user\":7}}"),
        // The rest of it never comes.
        format!("POST /stores/{store}/check HTTP/1.1\r\nhost: soak\r\ncontent-length: 100000\r\n\r\n{{"),
        "NONSENSE\r\n\r\n".to_owned(),
    ];
    let mut count = 0;
    for visit in visits.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if let Ok(mut connection) = TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            drop(connection.set_read_timeout(Some(Duration::from_millis(200))));
            drop(connection.write_all(visit.as_bytes()));
            // A part of the answer.
            drop(connection.read(&mut [0; 2_000]));
            count += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    count
}

/// The row `soak`: a mixed load at half of what is sustainable, for as long as one measurement is to take.
pub(crate) fn soak(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "soak";
    let world = World::of_tuples(bench.tuples(TUPLES));
    let set = world_data(bench, world)?;
    let serving =
        bench.serve(&set, &["--decision-cache-mib", "64", "--cache-mib", "256", "--collect-every", "30s"])?;
    let mixed = Arc::new(Mixed::new(bench, world, &serving)?);
    let load = Load { connections: CONNECTIONS_FEW, ..bench.load(&serving.server, mixed) };
    drop(load.closed(bench.warm_up().min(Duration::from_secs(5)))?);
    let rate = load.closed(Duration::from_secs(5).min(bench.time()))?.rate();
    let stop = AtomicBool::new(false);
    let pid = serving.server.pid();
    let begin = Instant::now();
    let (outcome, samples, visits) = std::thread::scope(|scope| {
        let (stop, serving) = (&stop, &serving);
        let visiting = scope.spawn(move || churn(serving.server.address, &serving.store, stop));
        let sampling = scope.spawn(move || {
            let mut samples = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let kept = kept(serving.server.address);
                samples.push((begin.elapsed(), Process { kept, ..process(pid) }));
                // Often enough to see what is flat, and to end soon.
                let pause = (bench.time() / 180).clamp(Duration::from_millis(50), Duration::from_secs(10));
                std::thread::sleep(pause);
            }
            samples
        });
        let outcome = load.open(bench.time(), rate * 0.5);
        stop.store(true, Ordering::Relaxed);
        let visits = visiting.join().unwrap_or(0);
        (outcome, sampling.join().unwrap_or_default(), visits)
    });
    let outcome = outcome?;
    // The first sixth is for caches to fill.
    let steady = &samples[samples.len() / 6..];
    let (first, last) = steady.split_at(steady.len() / 2);
    let mean = |part: &[(Duration, Process)], of: fn(&Process) -> u64| {
        part.iter().map(|(_, it)| of(it) as f64).sum::<f64>() / part.len().max(1) as f64
    };
    let halves = |of: fn(&Process) -> u64| (mean(first, of), mean(last, of));
    let (memory, rest) = (halves(|it| it.resident), halves(Process::rest));
    let (handles, threads) = (halves(|it| it.handles), halves(|it| it.threads));
    let each: Vec<Value> = samples
        .iter()
        .map(|(at, it)| json!([at.as_secs(), mib(it.resident), mib(it.kept), it.handles, it.threads]))
        .collect();
    let (accepted, away) = sides(&outcome)?;
    let line = Line::new(ROW, format!("mixed load for {:.0} s: memory in the last half, without what is kept up to a size that is set", bench.seconds), rest.1 / 1e6, "MB")
        .against("in the half before", rest.0 / 1e6, rest.1 / rest.0)
        .note(format!(
            "resident {:.1} and {:.1} MB with blocks, decisions and rows not yet in table files; every tenth of the time: {}",
            memory.0 / 1e6,
            memory.1 / 1e6,
            samples
                .iter()
                .step_by((samples.len() / 10).max(1))
                .map(|(_, it)| format!("{:.0} ({:.0} kept)", mib(it.resident), mib(it.kept)))
                .collect::<Vec<_>>()
                .join(", ")
        ))
        .note(format!(
            "{} answers ({:.0}/s), {} turned away; {visits} visits of clients that leave in the midst, send nonsense or half a request",
            accepted.len(),
            accepted.len() as f64 / outcome.elapsed.as_secs_f64(),
            away.len()
        ))
        .note(format!("accepted: {}", shown(&accepted)))
        .note(format!(
            "handles {:.1} and {:.1}, threads {:.1} and {:.1} on average in the two halves behind the first sixth",
            handles.0, handles.1, threads.0, threads.1
        ))
        .detail("seconds_mib_kept_handles_threads", Value::from(each))
        .detail("latency", outcome.percentiles())
        .errors_of(&outcome);
    Ok(vec![line])
}
