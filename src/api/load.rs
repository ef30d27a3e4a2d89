//! Load: how many requests of each kind are worked on at once, how many may wait and for how long, and who is turned away.
//!
//! Each class has room of its own, so that lists never take the place of checks, nor anything that of writes. Who finds no room
//! waits; when too many wait, or one waits too long ([`PATIENCE`]), the room turns strict: for some seconds nobody may wait, and whoever
//! finds no place is answered 429 with `Retry-After`, before anything has been evaluated. Where more comes than can be done, waiting longer
//! helps nobody, it only makes every answer late (controlled delay, after B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015).
//!
//! Of those that have a place and keep a core busy, as many are at work at once as there are cores, one after the other ([`TURN`]): two
//! that share a core are both late, and one of them for nothing. Who takes longer gives the turn up, and goes on beside the others.
//!
//! Short checks are answered on the I/O tasks, and their queue is the runtime's own: when more than [`TURNS_MAX`] tasks wait there for
//! their turn, short checks are turned away.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{ApiError, Code};
use super::evaluators::Evaluators;

/// How long a request waits for room.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long what is no matter of milliseconds waits.
const LONG_PATIENCE: Duration = Duration::from_secs(1);
/// Requests that may wait: as many as a few clients have under way, and more where there is more room.
const WAITING_MAX: usize = 32;
const WAITING_MAX_A_PLACE: usize = 16;
/// How long a room is strict after the last that was turned away,
const STRICT_AFTER: Duration = Duration::from_millis(500);
/// and at most: then it finds out whether it still has to be.
const STRICT_MAX: Duration = Duration::from_secs(4);
/// How long one may have a core to itself before the next begins.
const TURN: Duration = Duration::from_millis(10);
/// What a client that was turned away is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Tasks that wait for their turn beyond those that each worker has at hand (256); a short check takes 20 µs or so.
const TURNS_MAX: usize = 64;

/// What a request is, as far as room for it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Checks that are not short, and batches of them.
    Check,
    /// Lists, reads, expansions, searches.
    List,
    /// What changes tuples, schemas, stores; it waits for the disk more than it works.
    Write,
    /// Diffs, explanations, audits, matrices: each may take much memory.
    Analysis,
    /// Streamed lists: a slow client sets their pace.
    Stream,
    /// Imports, exports, backups, upkeep.
    Bulk,
    /// Watches, which mostly wait.
    Watch,
    /// What is told of stores and schemas.
    Look,
}

impl Class {
    const ALL: [Class; 8] = [
        Class::Check,
        Class::List,
        Class::Write,
        Class::Analysis,
        Class::Stream,
        Class::Bulk,
        Class::Watch,
        Class::Look,
    ];

    /// Whether its requests keep a core busy; others wait for the disk, or are short.
    fn is_evaluated(self) -> bool {
        matches!(self, Class::Check | Class::List | Class::Analysis | Class::Stream)
    }

    fn name(self) -> &'static str {
        match self {
            Class::Check => "checks",
            Class::List => "lists",
            Class::Write => "writes",
            Class::Analysis => "analyses",
            Class::Stream => "streamed lists",
            Class::Watch => "watches",
            Class::Bulk => "imports, exports and upkeep",
            Class::Look => "requests about stores and schemas",
        }
    }
}

/// How many requests of each class are worked on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtOnce {
    /// Checks that are not short, and batches.
    pub checks: usize,
    /// Lists, reads, expansions, searches.
    pub lists: usize,
    /// Writes.
    pub writes: usize,
    /// Diffs, explanations, audits, matrices.
    pub analyses: usize,
    /// Streamed lists.
    pub streams: usize,
    /// Imports, exports, backups, upkeep.
    pub bulk: usize,
    /// Watches.
    pub watches: usize,
}

impl Default for AtOnce {
    /// As many as there are cores to work on them; writes wait for the disk together, and streams for their clients.
    fn default() -> AtOnce {
        let cores = cores();
        AtOnce { checks: cores, lists: cores, writes: 256, analyses: 2, streams: 64, bulk: 8, watches: 1_000 }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Room for requests.
pub(super) struct Load {
    rooms: [Room; 8],
    runtime: RuntimeMetrics,
    evaluators: Evaluators,
    /// A turn for each core.
    turns: Arc<Semaphore>,
}

/// A turn, which whoever works and whoever waits for it may give up.
type Turn = Mutex<Option<OwnedSemaphorePermit>>;

#[derive(Debug)]
struct Room {
    class: Class,
    /// Places, all in all.
    size: usize,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    begun: Instant,
    /// When it turned strict, and when somebody was turned away last: milliseconds since `begun`. 0: never.
    strict_from: AtomicU64,
    turned_away_at: AtomicU64,
}

/// A place in a room, to be held until the work is over.
#[derive(Debug)]
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
}

impl Load {
    pub(super) fn new(at_once: &AtOnce, runtime: &Handle) -> Load {
        let places = |class| match class {
            Class::Check => at_once.checks,
            Class::List => at_once.lists,
            Class::Write => at_once.writes,
            Class::Analysis => at_once.analyses,
            Class::Stream => at_once.streams,
            Class::Bulk => at_once.bulk,
            Class::Watch => at_once.watches,
            Class::Look => at_once.checks.max(at_once.lists),
        };
        let room = |class: Class| Room {
            class,
            size: places(class).clamp(1, Semaphore::MAX_PERMITS),
            places: Arc::new(Semaphore::new(places(class).clamp(1, Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            begun: Instant::now(),
            strict_from: AtomicU64::new(0),
            turned_away_at: AtomicU64::new(0),
        };
        let evaluators = Evaluators::new(runtime.clone());
        let turns = Arc::new(Semaphore::new(cores()));
        Load { rooms: Class::ALL.map(room), runtime: runtime.metrics(), evaluators, turns }
    }

    /// A place for a request, now or after a wait.
    ///
    /// # Errors
    /// There is none: it is to be turned away.
    pub(super) async fn enter(&self, class: Class) -> Result<Place, ApiError> {
        self.rooms[class as usize].enter().await
    }

    /// Turns a request away whose body has not even been read, where nothing else could come of it.
    ///
    /// # Errors
    /// It is turned away.
    pub(super) fn admit_heavy(&self, class: Class) -> Result<(), ApiError> {
        let room = &self.rooms[class as usize];
        let is_full = room.is_strict() && room.places.available_permits() == 0;
        if is_full { Err(room.turn_away()) } else { Ok(()) }
    }

    /// Runs the work of a request where it may block; none: it panicked.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        class: Class,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if !class.is_evaluated() {
            return tokio::task::spawn_blocking(work).await.ok();
        }
        // It is never closed.
        let turn = Arc::new(Mutex::new(Arc::clone(&self.turns).acquire_owned().await.ok()));
        let give_up = |turn: &Turn| drop(turn.lock().unwrap_or_else(PoisonError::into_inner).take());
        let held = Arc::clone(&turn);
        let mut work = pin!(self.evaluators.run(move || {
            let done = work();
            // The next can begin before this answer is on its way.
            give_up(&held);
            done
        }));
        match tokio::time::timeout(TURN, work.as_mut()).await {
            Ok(done) => done,
            Err(_) => {
                give_up(&turn);
                work.await
            }
        }
    }

    /// The same, without waiting for it.
    pub(super) fn begin(&self, class: Class, work: impl FnOnce() + Send + 'static) {
        match class.is_evaluated() {
            true => self.evaluators.begin(work),
            false => drop(tokio::task::spawn_blocking(work)),
        }
    }

    /// Whether short checks are to be turned away.
    ///
    /// # Errors
    /// They are.
    pub(super) fn admit_short(&self) -> Result<(), ApiError> {
        let is_late = self.runtime.global_queue_depth() > TURNS_MAX;
        if is_late { Err(self.rooms[Class::Check as usize].turn_away()) } else { Ok(()) }
    }
}

impl Room {
    async fn enter(&self) -> Result<Place, ApiError> {
        if self.waiting.load(Relaxed) == 0
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            return Ok(Place { _place: place });
        }
        let patience = match self.class {
            Class::Analysis | Class::Stream | Class::Bulk | Class::Watch => LONG_PATIENCE,
            _ if self.is_strict() => return Err(self.turn_away()),
            _ => PATIENCE,
        };
        let waiting = Waiting::among(&self.waiting, WAITING_MAX + WAITING_MAX_A_PLACE * self.size);
        let Some(_waiting) = waiting else { return Err(self.turn_away()) };
        match tokio::time::timeout(patience, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Place { _place: place }),
            _ => Err(self.turn_away()),
        }
    }

    fn is_strict(&self) -> bool {
        let turned_away_at = self.turned_away_at.load(Relaxed);
        let since = |from: u64| Duration::from_millis(self.millis().saturating_sub(from));
        turned_away_at > 0
            && since(turned_away_at) < STRICT_AFTER
            && since(self.strict_from.load(Relaxed)) < STRICT_MAX
    }

    fn millis(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn turn_away(&self) -> ApiError {
        let now = self.millis().max(1);
        if !self.is_strict() {
            self.strict_from.store(now, Relaxed);
        }
        self.turned_away_at.store(now, Relaxed);
        let message =
            format!("the server is working on as many {} as it may: try again later", self.class.name());
        ApiError::new(Code::Busy, message).retry_after(RETRY_AFTER)
    }
}

/// One who waits, counted until it waits no longer.
struct Waiting<'r>(&'r AtomicUsize);

impl Waiting<'_> {
    /// None: there are so many already.
    fn among(waiting: &AtomicUsize, max: usize) -> Option<Waiting<'_>> {
        let counted = Waiting(waiting);
        (waiting.fetch_add(1, Relaxed) < max).then_some(counted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
