//! Checks over HTTP, one or fifty a request, against the constant handler.

use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use serde_json::{Value, json};

use crate::bench::{Bench, DataSet, Serving};
use crate::floor;
use crate::http::{Response, post, push_number};
use crate::load::{Load, Outcome, Questions, Verdict};
use crate::process::Server;
use crate::report::{Budget, Line, budgets, median};
use crate::shapes::work_of;
use crate::world::{SCHEMA, Stream, World};

/// Tuples that the budget is about.
pub(crate) const TUPLES: u64 = 5_000_000;
/// Different questions that it is about.
const DISTINCT: u64 = 1_000_000;
/// One in so many requests is a write.
const WRITE_EVERY: u64 = 500;
/// Questions whose work is asked for.
const WORK_SAMPLE: u64 = 2_000;
/// Checks of a batch.
const BATCH: u64 = 50;
/// Correlation ids are of two digits, so that the answer has them in the order of the questions.
const BATCH_ID_FIRST: u64 = 10;

/// The questions about a world as bodies, made beforehand.
pub(crate) struct Bodies {
    /// What is asked in which order.
    pub(crate) stream: Stream,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Bodies {
    /// Of a stream.
    pub(crate) fn new(stream: Stream) -> Bodies {
        let (mut text, mut ends) = (Vec::new(), Vec::with_capacity(stream.questions.len()));
        for (question, _) in &stream.questions {
            text.extend_from_slice(b"{\"tuple_key\":{\"user\":\"");
            question.subject.write(&mut text);
            text.extend_from_slice(b"\",\"relation\":\"viewer\",\"object\":\"voice:");
            push_number(&mut text, question.voice as usize);
            text.extend_from_slice(b"\"}}");
            ends.push(text.len());
        }
        Bodies { stream, text, ends }
    }

    /// The body of a question, by its place among the different ones.
    pub(crate) fn body(&self, place: usize) -> &[u8] {
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[begin..self.ends[place]]
    }
}

/// A check a request; now and then a write, if wanted.
pub(crate) struct Checks {
    /// What is asked.
    pub(crate) bodies: Arc<Bodies>,
    /// Where.
    pub(crate) path: String,
    /// Where writes go; none: there are none.
    pub(crate) write_path: Option<String>,
    /// The constant handler is asked, whose answer is always the same.
    pub(crate) is_floor: bool,
}

impl Checks {
    fn is_write(&self, number: u64) -> bool {
        self.write_path.is_some() && number.is_multiple_of(WRITE_EVERY)
    }
}

impl Questions for Checks {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        match &self.write_path {
            Some(path) if self.is_write(number) => {
                // A further viewer of a voice that is asked about: no answer changes, but what was looked at does.
                let (question, _) = self.bodies.stream.get(number);
                post(request, path, write_body("new", number, question.voice).as_bytes());
            }
            _ => post(request, &self.path, self.bodies.body(self.bodies.stream.place(number))),
        }
    }

    fn judge(&self, number: u64, response: &Response<'_>) -> Verdict {
        if !response.is_success() {
            return Verdict::Failed;
        }
        if self.is_floor {
            return if response.body == floor::ANSWER.as_bytes() { Verdict::Right } else { Verdict::Wrong };
        }
        if self.is_write(number) {
            return Verdict::Right;
        }
        judge_allowed(response.body, self.bodies.stream.get(number).1)
    }

    fn kind(&self, number: u64) -> usize {
        usize::from(self.is_write(number))
    }

    fn kinds(&self) -> &'static [&'static str] {
        if self.write_path.is_some() { &["check", "write"] } else { &["check"] }
    }
}

/// The body of a write of one viewer.
pub(crate) fn write_body(who: &str, number: u64, voice: u64) -> String {
    format!(
        "{{\"writes\":{{\"tuple_keys\":[{{\"user\":\"user:{who}-{number}\",\"relation\":\"viewer\",\"object\":\
         \"voice:{voice}\"}}]}}}}"
    )
}

/// Holds the answer to a check against what is expected.
pub(crate) fn judge_allowed(body: &[u8], expected: bool) -> Verdict {
    let (right, wrong): (&[u8], &[u8]) = if expected {
        (b"{\"allowed\":true", b"{\"allowed\":false")
    } else {
        (b"{\"allowed\":false", b"{\"allowed\":true")
    };
    if body.starts_with(right) {
        return Verdict::Right;
    }
    if body.starts_with(wrong) {
        return Verdict::Wrong;
    }
    match serde_json::from_slice::<Value>(body) {
        // Some leave out what is false.
        Ok(json) if json["allowed"].as_bool().unwrap_or(false) == expected => Verdict::Right,
        _ => Verdict::Wrong,
    }
}

/// Fifty checks a request.
pub(crate) struct Batches {
    /// What is asked.
    pub(crate) bodies: Arc<Bodies>,
    /// Where.
    pub(crate) path: String,
}

impl Batches {
    /// The checks of a request: correlation id, place among the different questions, and answer.
    pub(crate) fn each(&self, number: u64) -> impl Iterator<Item = (u64, usize, bool)> {
        (0..BATCH).map(move |at| {
            let asked = number * BATCH + at;
            (BATCH_ID_FIRST + at, self.bodies.stream.place(asked), self.bodies.stream.get(asked).1)
        })
    }
}

impl Batches {
    /// The body of a request.
    pub(crate) fn body(&self, number: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(8 << 10);
        body.extend_from_slice(b"{\"checks\":[");
        for (id, place, _) in self.each(number) {
            if id > BATCH_ID_FIRST {
                body.push(b',');
            }
            let key = self.bodies.body(place);
            body.extend_from_slice(&key[..key.len() - 1]);
            body.extend_from_slice(b",\"correlation_id\":\"");
            push_number(&mut body, id as usize);
            body.extend_from_slice(b"\"}");
        }
        body.extend_from_slice(b"]}");
        body
    }
}

impl Questions for Batches {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        post(request, &self.path, &self.body(number));
    }

    fn judge(&self, number: u64, response: &Response<'_>) -> Verdict {
        if !response.is_success() {
            return Verdict::Failed;
        }
        let mut expected = Vec::with_capacity(2 << 10);
        expected.extend_from_slice(b"{\"result\":{");
        for (id, _, allowed) in self.each(number) {
            if id > BATCH_ID_FIRST {
                expected.push(b',');
            }
            expected.push(b'"');
            push_number(&mut expected, id as usize);
            expected.extend_from_slice(if allowed {
                b"\":{\"allowed\":true}".as_slice()
            } else {
                b"\":{\"allowed\":false}"
            });
        }
        expected.extend_from_slice(b"}}");
        if response.body == expected {
            return Verdict::Right;
        }
        // Others write maps in another order, or with blanks.
        let Ok(json) = serde_json::from_slice::<Value>(response.body) else { return Verdict::Wrong };
        let is_right = self.each(number).all(|(id, _, allowed)| {
            let answer = &json["result"][id.to_string()];
            answer.is_object()
                && answer["error"].is_null()
                && answer["allowed"].as_bool().unwrap_or(false) == allowed
        });
        if is_right { Verdict::Right } else { Verdict::Wrong }
    }
}

/// The data set of a world.
pub(crate) fn world_data(bench: &Bench, world: World) -> anyhow::Result<DataSet> {
    bench.data_set(&format!("voices-{}", world.tuples), SCHEMA, |out| world.write_csv(out))
}

/// The questions that the budget is about, fewer in a quick run.
pub(crate) fn bodies(bench: &Bench, world: World) -> anyhow::Result<Arc<Bodies>> {
    let distinct = bench.sized(DISTINCT, 50_000).min(world.voices * 4);
    Ok(Arc::new(Bodies::new(world.stream(distinct as usize, 11)?)))
}

/// What alternating runs came to.
pub(crate) struct Turns {
    /// Of ours, a second.
    pub(crate) rate: f64,
    /// Of the floor, a second.
    pub(crate) floor_rate: f64,
    /// The median of the pairs' ratios.
    pub(crate) ratio: f64,
    /// All runs of ours together with their warm-up.
    pub(crate) all: Vec<Outcome>,
    /// All runs of the floor.
    pub(crate) all_floor: Vec<Outcome>,
    /// CPU seconds a request of ours and of the floor.
    pub(crate) cpu: (Option<f64>, Option<f64>),
}

fn cpu_of(server: Option<&Server>) -> Option<f64> {
    server.and_then(Server::cpu_seconds)
}

/// Lets floor and server take turns, after a warm-up of each.
pub(crate) fn alternate(
    bench: &Bench,
    floor: (&Load, Option<&Server>),
    ours: (&Load, Option<&Server>),
) -> anyhow::Result<Turns> {
    let mut all_floor = vec![floor.0.closed(bench.warm_up())?];
    let mut all = vec![ours.0.closed(bench.warm_up())?];
    let (mut rates, mut floor_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu, mut floor_cpu) = (Some(0.0), Some(0.0));
    let (mut count, mut floor_count) = (0, 0);
    let measure = |load: &Load, server: Option<&Server>, cpu: &mut Option<f64>, count: &mut u64| {
        let before = cpu_of(server);
        let outcome = load.closed(bench.time())?;
        *cpu = cpu.zip(before).zip(cpu_of(server)).map(|((sum, before), after)| sum + after - before);
        *count += outcome.answered;
        anyhow::Ok(outcome)
    };
    for _ in 0..bench.rounds {
        let below = measure(floor.0, floor.1, &mut floor_cpu, &mut floor_count)?;
        let above = measure(ours.0, ours.1, &mut cpu, &mut count)?;
        floor_rates.push(below.rate());
        rates.push(above.rate());
        ratios.push(above.rate() / below.rate());
        all_floor.push(below);
        all.push(above);
    }
    Ok(Turns {
        rate: median(rates),
        floor_rate: median(floor_rates),
        ratio: median(ratios),
        all,
        all_floor,
        cpu: (cpu.map(|cpu| cpu / count.max(1) as f64), floor_cpu.map(|cpu| cpu / floor_count.max(1) as f64)),
    })
}

impl Turns {
    /// A line of it.
    pub(crate) fn line(&self, row: &'static str, what: String, unit: &'static str, floor: &str) -> Line {
        let rates = |all: &[Outcome]| json!(all.iter().skip(1).map(Outcome::rate).collect::<Vec<_>>());
        let mut line = Line::new(row, what, self.rate, unit)
            .against(floor, self.floor_rate, self.ratio)
            .detail("rates", rates(&self.all))
            .detail("floor_rates", rates(&self.all_floor));
        for outcome in self.all.iter().chain(&self.all_floor) {
            line = line.errors_of(outcome);
        }
        if let Some(last) = self.all.last() {
            line = line.detail("latency_closed_loop", last.percentiles());
        }
        if let (Some(ours), Some(floor)) = self.cpu {
            let shown = format!(
                "CPU of the server a request: {:.1} µs; of the handler: {:.1} µs",
                ours * 1e6,
                floor * 1e6
            );
            line = line.note(shown).detail("cpu_us", json!([ours * 1e6, floor * 1e6]));
        }
        line
    }
}

const FLOOR: &str = "constant axum handler that parses the same check body";

/// The rows `check` and `check-cached`.
pub(crate) fn check(bench: &Bench, is_cached: bool) -> anyhow::Result<Vec<Line>> {
    let row = if is_cached { "check-cached" } else { "check" };
    if is_cached && !bench.can_serve_with("--decision-cache-mib") {
        let why = "`stonetown serve` has no option --decision-cache-mib: nothing was measured";
        return Ok(vec![
            Line::absent(row, "check with a decision cache", why).budget(budgets::HTTP_CHECK_CACHED),
        ]);
    }
    let world = World::of_tuples(bench.tuples(TUPLES));
    let set = world_data(bench, world)?;
    let bodies = bodies(bench, world)?;
    let options: &[&str] = if is_cached { &["--decision-cache-mib", "64"] } else { &[] };
    let serving = bench.serve(&set, options)?;
    let floor = bench.serve_floor()?;
    let write_path = is_cached.then(|| serving.path("write"));
    let path = serving.path("check");
    let asked = |is_floor, write_path| {
        Arc::new(Checks { bodies: Arc::clone(&bodies), path: path.clone(), write_path, is_floor })
    };
    let ours = bench.load(&serving.server, asked(false, write_path));
    let below = bench.load(&floor, asked(true, None));
    let sample = (0..WORK_SAMPLE).map(|at| bodies.body(bodies.stream.place(at)));
    let work = work_of(&serving, sample.filter_map(|body| serde_json::from_slice(body).ok()))?;
    let before = if is_cached { Some(serving.stats()?) } else { None };
    let turns = alternate(bench, (&below, Some(&floor)), (&ours, Some(&serving.server)))?;
    let (budget, what): (Budget, _) = if is_cached {
        (budgets::HTTP_CHECK_CACHED, "check over HTTP, decision cache 64 MiB, 0.2 % writes")
    } else {
        (budgets::HTTP_CHECK, "check over HTTP")
    };
    let mut line = turns
        .line(row, format!("{what}, {} connections", bench.connections), "checks/s", FLOOR)
        .budget(budget)
        .not_judged(bench.smaller(set.tuples, TUPLES).or_else(|| not_usual(bench)))
        .note(format!("{} tuples; {}", set.tuples, bodies.stream.shown()))
        .note(format!("a check that is evaluated: {}", work.shown()));
    if let Some(before) = before {
        line = with_hit_rate(line, &before, &serving.stats()?);
    }
    let mut lines = vec![line];
    lines.push(open_loop(bench, row, &ours, turns.rate * 0.5)?);
    Ok(lines)
}

fn not_usual(bench: &Bench) -> Option<String> {
    let is_usual = bench.connections == 32 && bench.rounds == 5;
    (!is_usual).then(|| "not judged: 32 connections and 5 rounds are what the budget is about".to_owned())
}

fn with_hit_rate(mut line: Line, before: &Value, after: &Value) -> Line {
    let cache = |name: &str| {
        let at = |stats: &Value| stats["decision_cache"][name].as_u64();
        Some(at(after)?.saturating_sub(at(before)?))
    };
    match (cache("hits"), cache("misses")) {
        (Some(hits), Some(misses)) => {
            line.hit_rate = Some(hits as f64 / (hits + misses).max(1) as f64);
            line.detail("decision_cache", after["decision_cache"].clone())
        }
        _ => line.note("the statistics have no `decision_cache`: the hit rate is not known"),
    }
}

/// A line of percentiles at a rate.
pub(crate) fn open_loop(bench: &Bench, row: &'static str, load: &Load, rate: f64) -> anyhow::Result<Line> {
    let warm = load.open(Duration::from_secs_f64((bench.seconds / 4.0).max(0.3)), rate)?;
    let outcome = load.open(bench.time(), rate)?;
    let mut line = Line::new(row, "  open loop, Poisson arrivals", outcome.rate(), "answers/s")
        .detail("target_rate", json!(rate))
        .detail("latency", outcome.percentiles())
        .errors_of(&warm)
        .errors_of(&outcome)
        .note(format!("{rate:.0}/s wanted, {:.0}/s achieved", outcome.rate()));
    for (kind, (name, histogram)) in outcome.latency.iter().enumerate() {
        if !histogram.is_empty() {
            line = line.note(format!("{name}: {}", outcome.percentiles_shown(kind)));
        }
    }
    Ok(line)
}

/// The row `batch`.
pub(crate) fn batch(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let world = World::of_tuples(bench.tuples(TUPLES));
    let set = world_data(bench, world)?;
    let bodies = bodies(bench, world)?;
    let serving = bench.serve(&set, &[])?;
    let load = batch_load(bench, &serving, &bodies);
    let warm = load.closed(bench.warm_up())?;
    let (mut rates, mut per_core) = (Vec::new(), Vec::new());
    let mut line = Line::new("batch", "", 0.0, "").errors_of(&warm);
    for _ in 0..bench.rounds {
        let before = serving.server.cpu_seconds();
        let outcome = load.closed(bench.time())?;
        let checks = outcome.rate() * BATCH as f64;
        rates.push(checks);
        let cpu = before.zip(serving.server.cpu_seconds()).map(|(before, after)| after - before);
        per_core.extend(cpu.map(|cpu| (outcome.answered * BATCH) as f64 / cpu));
        line = line.errors_of(&outcome).detail("latency", outcome.percentiles());
    }
    line.value = median(per_core.clone());
    line.unit = "checks/s";
    line.what = format!("batch-check, {BATCH} checks a request: per core of the server's CPU time");
    let line = line
        .note(format!(
            "{:.0} checks/s in all, the load on the same {} cores",
            median(rates.clone()),
            bench_cores()
        ))
        .note(format!("{} tuples; {}", set.tuples, bodies.stream.shown()))
        .detail("checks_per_second", json!(rates))
        .detail("checks_per_cpu_second", json!(per_core));
    Ok(vec![line])
}

fn bench_cores() -> usize {
    crate::machine::cores()
}

fn batch_load(bench: &Bench, serving: &Serving, bodies: &Arc<Bodies>) -> Load {
    let questions = Batches { bodies: Arc::clone(bodies), path: serving.path("batch-check") };
    bench.load(&serving.server, Arc::new(questions))
}

/// Whether a body has a text.
pub(crate) fn holds(body: &[u8], text: &str) -> bool {
    memmem::find(body, text.as_bytes()).is_some()
}
