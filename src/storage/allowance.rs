//! What the request that runs on this thread may take, and what it has taken: every read of a state counts, whichever verb it
//! is for and whatever wraps the reader. Everything below `api` is plain blocking Rust, so a request that is being worked on has
//! a thread to itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::error::StorageError;

/// The clock is looked at once in this many reads.
const READS_PER_CLOCK: u64 = 128;

/// Until when a request is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    after: Duration,
}

impl Deadline {
    /// So long after a request was received; none: nobody lives to see it.
    pub fn after(received: Instant, time: Duration) -> Option<Deadline> {
        received.checked_add(time).map(|at| Deadline { at, after: time })
    }

    /// The moment.
    pub fn at(self) -> Instant {
        self.at
    }
}

thread_local! {
    static READS: Cell<u64> = const { Cell::new(0) };
    static DEADLINE: Cell<Option<Deadline>> = const { Cell::new(None) };
}

/// What is put back when the work is over, also by a panic; what it has read counts outside of it too.
struct Before {
    reads: u64,
    deadline: Option<Deadline>,
}

impl Drop for Before {
    fn drop(&mut self) {
        READS.set(self.reads + READS.get());
        DEADLINE.set(self.deadline);
    }
}

/// Runs the work of a request on this thread. Behind the deadline every read of a state is [`StorageError::TimedOut`]. Answers how
/// many looks and rows it has read, too.
pub fn within<T>(deadline: Option<Deadline>, work: impl FnOnce() -> T) -> (T, u64) {
    let _before = Before { reads: READS.replace(0), deadline: DEADLINE.replace(deadline) };
    let answer = work();
    (answer, READS.get())
}

/// How many it has read so far.
pub(super) fn reads() -> u64 {
    READS.get()
}

/// Counts a read.
pub(super) fn spend() -> Result<(), StorageError> {
    let reads = READS.get() + 1;
    READS.set(reads);
    if reads.is_multiple_of(READS_PER_CLOCK) { look_at_clock() } else { Ok(()) }
}

/// Whether there is time left for what does not read, or takes long between two reads.
pub(crate) fn look_at_clock() -> Result<(), StorageError> {
    match DEADLINE.get() {
        Some(deadline) if Instant::now() > deadline.at => Err(StorageError::TimedOut(deadline.after)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_counted_and_end_with_the_time() {
        let past = Deadline::after(Instant::now(), Duration::ZERO);
        let (ended, reads) = within(past, || (0..1_000).map(|_| spend()).position(|read| read.is_err()));
        assert_eq!((ended, reads), (Some(READS_PER_CLOCK as usize - 1), READS_PER_CLOCK));
        let ((inner, outer), reads) = within(None, || {
            drop(spend());
            let inner = within(past, || (0..5).for_each(|_| drop(spend()))).1;
            (inner, look_at_clock())
        });
        assert_eq!((inner, outer, reads), (5, Ok(()), 6));
        let panicked = std::panic::catch_unwind(|| within(past, || panic!("as planned")));
        assert!(panicked.is_err());
        assert_eq!(look_at_clock(), Ok(()), "nothing is left of a request that panicked");
    }
}
