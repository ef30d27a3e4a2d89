//! The load: in a closed loop, where each connection asks as soon as it is answered, and in an open one, where questions
//! come at times of their own, and how long one takes is counted from the time at which it was to be asked.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use hdrhistogram::Histogram;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Exp};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::http::{Connection, Response};
use crate::timer::Timer;

/// So much longer than asked for a load may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that break are opened again so often.
const RECONNECTS_MAX: u32 = 20;
/// Latencies are told up to this, in nanoseconds.
const LATENCY_MAX: u64 = 120_000_000_000;

/// What an answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As expected.
    Right,
    /// An answer, and another one than expected.
    Wrong,
    /// No answer.
    Failed,
}

/// A stream of questions whose answers are known.
pub(crate) trait Questions: Send + Sync {
    /// Writes a request, with its head, into an empty buffer.
    fn write(&self, number: u64, request: &mut Vec<u8>);

    /// Holds the response against what is expected.
    fn judge(&self, number: u64, response: &Response<'_>) -> Verdict;

    /// The kind of a question, as a place in `kinds`.
    fn kind(&self, number: u64) -> usize {
        let _ = number;
        0
    }

    /// The kind that an answer is counted under.
    fn kind_of_answer(&self, number: u64, response: &Response<'_>) -> usize {
        let _ = response;
        self.kind(number)
    }

    /// The names of the kinds.
    fn kinds(&self) -> &'static [&'static str] {
        &["all"]
    }
}

/// Who asks what, and where.
#[derive(Clone)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Open connections, all in use.
    pub(crate) connections: usize,
    /// Threads that they are spread over.
    pub(crate) threads: usize,
    /// What is asked.
    pub(crate) questions: Arc<dyn Questions>,
    /// The number of the next question: a load goes on where the one before it was.
    pub(crate) next: Arc<AtomicU64>,
}

/// What a load came to.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Answers within the time, right or wrong.
    pub(crate) answered: u64,
    /// Wrong ones.
    pub(crate) wrong: u64,
    /// Requests without an answer, or with one that is no success.
    pub(crate) failed: u64,
    /// The first wrong or failed one.
    pub(crate) problem: Option<String>,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Nanoseconds of each answer, by kind.
    pub(crate) latency: Vec<(&'static str, Histogram<u64>)>,
}

impl Outcome {
    fn new(kinds: &[&'static str]) -> anyhow::Result<Outcome> {
        let latency = kinds
            .iter()
            .map(|&kind| Ok((kind, Histogram::new_with_bounds(1, LATENCY_MAX, 3)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Outcome { answered: 0, wrong: 0, failed: 0, problem: None, elapsed: Duration::ZERO, latency })
    }

    fn merge(&mut self, other: &Outcome) -> anyhow::Result<()> {
        self.answered += other.answered;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.elapsed = self.elapsed.max(other.elapsed);
        if self.problem.is_none() {
            self.problem.clone_from(&other.problem);
        }
        for ((_, mine), (_, theirs)) in self.latency.iter_mut().zip(&other.latency) {
            mine.add(theirs)?;
        }
        Ok(())
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Percentiles in microseconds, of all kinds and of each.
    pub(crate) fn percentiles(&self) -> Value {
        let mut all = serde_json::Map::new();
        let told = |histogram: &Histogram<u64>| {
            let at = |percentile| histogram.value_at_percentile(percentile) as f64 / 1e3;
            json!({
                "count": histogram.len(), "mean_us": histogram.mean() / 1e3, "p50_us": at(50.0), "p90_us": at(90.0),
                "p99_us": at(99.0), "p99_9_us": at(99.9), "max_us": histogram.max() as f64 / 1e3,
            })
        };
        for (kind, histogram) in &self.latency {
            all.insert((*kind).to_owned(), told(histogram));
        }
        Value::Object(all)
    }

    /// The percentiles of one kind, for the table.
    pub(crate) fn percentiles_shown(&self, kind: usize) -> String {
        let histogram = &self.latency[kind].1;
        let at = |percentile| micros(histogram.value_at_percentile(percentile));
        format!(
            "p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
            at(50.0),
            at(90.0),
            at(99.0),
            at(99.9),
            micros(histogram.max())
        )
    }
}

/// Nanoseconds as a text that is easy to read.
pub(crate) fn micros(nanos: u64) -> String {
    match nanos {
        0..100_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        100_000..1_000_000 => format!("{:.0} µs", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", nanos as f64 / 1e6),
        _ => format!("{:.2} s", nanos as f64 / 1e9),
    }
}

/// Keeps the moments at which an open loop asks.
struct Arrivals {
    due: RefCell<VecDeque<Instant>>,
    more: Notify,
    is_over: Cell<bool>,
}

/// How connections are kept busy.
#[derive(Clone)]
enum Pace {
    Closed,
    Open(Rc<Arrivals>),
}

impl Load {
    /// Each connection asks as soon as it is answered.
    pub(crate) fn closed(&self, time: Duration) -> anyhow::Result<Outcome> {
        self.run(time, None)
    }

    /// Questions come at random times (a Poisson process), so many a second in all.
    pub(crate) fn open(&self, time: Duration, rate: f64) -> anyhow::Result<Outcome> {
        if rate.is_nan() || rate <= 0.0 {
            bail!("a load of {rate} requests a second is none");
        }
        self.run(time, Some(rate))
    }

    fn run(&self, time: Duration, rate: Option<f64>) -> anyhow::Result<Outcome> {
        let threads = self.threads.clamp(1, self.connections.max(1));
        let barrier = Barrier::new(threads);
        let outcomes: Vec<anyhow::Result<Outcome>> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|thread| {
                    let barrier = &barrier;
                    let share = self.connections / threads + usize::from(thread < self.connections % threads);
                    let rate = rate.map(|rate| rate / threads as f64);
                    scope.spawn(move || self.run_thread(thread, share, time, rate, barrier))
                })
                .collect();
            let joined =
                running.into_iter().map(|it| it.join().map_err(|_| anyhow!("a thread of the load failed")));
            joined.map(|it| it.and_then(|it| it)).collect()
        });
        let mut all = Outcome::new(self.questions.kinds())?;
        for outcome in outcomes {
            all.merge(&outcome?)?;
        }
        Ok(all)
    }

    fn run_thread(
        &self,
        thread: usize,
        connections: usize,
        time: Duration,
        rate: Option<f64>,
        barrier: &Barrier,
    ) -> anyhow::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opened: anyhow::Result<Vec<Connection>> = runtime.block_on(async {
            let mut all = Vec::with_capacity(connections);
            for _ in 0..connections {
                let opened = Connection::open(self.address).await;
                all.push(opened.with_context(|| format!("cannot connect to {}", self.address))?);
            }
            Ok(all)
        });
        // The others wait for this thread even when it has nothing to go on with.
        barrier.wait();
        let opened = opened?;
        let begin = Instant::now();
        let end = begin + time;
        let tasks = LocalSet::new();
        let pace = match rate {
            None => Pace::Closed,
            Some(_) => Pace::Open(Rc::new(Arrivals {
                due: RefCell::default(),
                more: Notify::new(),
                is_over: Cell::new(false),
            })),
        };
        // One for all connections: histograms are large.
        let outcome = Rc::new(RefCell::new(Outcome::new(self.questions.kinds())?));
        let run =
            |connection| self.clone().run_connection(connection, end, pace.clone(), Rc::clone(&outcome));
        let running: Vec<_> =
            opened.into_iter().map(|connection| tasks.spawn_local(run(connection))).collect();
        let seed = self.next.load(Ordering::Relaxed) ^ ((thread as u64) << 56);
        let collect = async move {
            if let (Pace::Open(arrivals), Some(rate)) = (&pace, rate) {
                arrive(arrivals, rate, end, StdRng::seed_from_u64(seed)).await?;
            }
            for one in running {
                one.await?;
            }
            let mut all = outcome.borrow().clone();
            all.elapsed = all.elapsed.max(time);
            anyhow::Ok(all)
        };
        runtime.block_on(tasks.run_until(async {
            let waited = tokio::time::timeout(time + PATIENCE, collect).await;
            waited.map_err(|_| anyhow!("no answer for {PATIENCE:?} after the end of the load"))?
        }))
    }

    async fn run_connection(
        self,
        mut connection: Connection,
        end: Instant,
        pace: Pace,
        outcome: Rc<RefCell<Outcome>>,
    ) {
        let mut has_answers = false;
        let mut request = Vec::with_capacity(1 << 10);
        let mut reconnects = 0;
        let begin = Instant::now();
        loop {
            let intended = match &pace {
                Pace::Closed => Instant::now(),
                Pace::Open(arrivals) => match arrivals.next().await {
                    Some(due) => due,
                    None => break,
                },
            };
            if matches!(pace, Pace::Closed) && intended >= end {
                break;
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            request.clear();
            self.questions.write(number, &mut request);
            let answered = connection.ask(&request).await;
            let done = Instant::now();
            let is_late = matches!(pace, Pace::Closed) && done > end && has_answers && answered.is_ok();
            let is_broken = answered.is_err();
            has_answers |= !is_broken;
            {
                let mut outcome = outcome.borrow_mut();
                match answered {
                    // Begun in time, answered after it: judged, and not counted.
                    Ok(response) if is_late => outcome.judge(&*self.questions, number, &response),
                    Ok(response) => {
                        outcome.answered += 1;
                        outcome.judge(&*self.questions, number, &response);
                        let nanos = done.saturating_duration_since(intended).as_nanos() as u64;
                        let kind = self.questions.kind_of_answer(number, &response);
                        outcome.latency[kind].1.saturating_record(nanos.max(1));
                    }
                    Err(error) => {
                        outcome.failed += 1;
                        outcome.problem.get_or_insert_with(|| format!("request {number}: {error}"));
                    }
                }
            }
            reconnects += u32::from(is_broken);
            if is_late || reconnects > RECONNECTS_MAX {
                break;
            }
            if is_broken {
                match Connection::open(self.address).await {
                    Ok(opened) => connection = opened,
                    Err(_) => break,
                }
            }
        }
        if matches!(pace, Pace::Open(_)) {
            let mut outcome = outcome.borrow_mut();
            outcome.elapsed = outcome.elapsed.max(begin.elapsed());
        }
    }
}

impl Outcome {
    fn judge(&mut self, questions: &dyn Questions, number: u64, response: &Response<'_>) {
        let verdict = questions.judge(number, response);
        match verdict {
            Verdict::Right => return,
            Verdict::Wrong => self.wrong += 1,
            Verdict::Failed => self.failed += 1,
        }
        self.problem.get_or_insert_with(|| {
            let mut request = Vec::new();
            questions.write(number, &mut request);
            let request = String::from_utf8_lossy(&request).into_owned();
            let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
            format!("{verdict:?}: {body} was answered with {}", response.shown())
        });
    }
}

impl Arrivals {
    /// The next moment that has come; none: there will be no more.
    async fn next(&self) -> Option<Instant> {
        loop {
            if let Some(due) = self.due.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.is_over.get() {
                return None;
            }
            self.more.notified().await;
        }
    }
}

/// Lets moments come until the end.
async fn arrive(arrivals: &Arrivals, rate: f64, end: Instant, mut random: StdRng) -> anyhow::Result<()> {
    let pause = Exp::new(rate)?;
    let timer = Timer::new()?;
    let mut due = Instant::now();
    loop {
        due += Duration::from_secs_f64(pause.sample(&mut random));
        if due >= end {
            break;
        }
        timer.wait_until(due).await?;
        arrivals.due.borrow_mut().push_back(due);
        arrivals.more.notify_one();
        // At a moment that is past nothing waits: the connections have to have their turn.
        tokio::task::yield_now().await;
    }
    arrivals.is_over.set(true);
    arrivals.more.notify_waiters();
    // One that is about to wait finds this.
    arrivals.more.notify_one();
    Ok(())
}
