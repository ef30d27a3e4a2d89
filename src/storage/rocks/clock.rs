//! Now, and the times of commits.
//!
//! The state at a time must not change once somebody has asked for it. A commit gets its time before it is synced and
//! visible, so a reader of a time at or after it waits for the batch that is under way; and a commit gets a time later
//! than every one that was given out before.
//!
//! What is dropped for ever waits for a clock that steps of the wall clock do not move: one that somebody sets ten years
//! ahead, and back, must not cost the past.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::tuple::Timestamp;

/// The time of one data directory, which never goes backwards.
pub(super) struct Clock {
    /// The latest time that was given to a reader or a commit.
    last: AtomicI64,
    /// While a batch is under way: a time before all of its commits, and after all that was given out before it.
    under_way: Mutex<Option<Timestamp>>,
    over: Condvar,
    steady: Mutex<Steady>,
}

/// A clock that steps of the wall clock do not move.
struct Steady {
    /// What the wall clock said when this began, and when that was.
    begun: (Timestamp, Instant),
    /// Since when the wall clock has been found ahead of it.
    ahead_since: Option<Instant>,
}

/// Less than this the wall clock may be ahead: it is set right in small steps all the time.
const SLACK: Duration = Duration::from_secs(60);
/// A wall clock that has been ahead for so long is believed: it was set right, and had been wrong before.
const BELIEVED_AFTER: Duration = Duration::from_secs(24 * 3600);

impl Steady {
    fn begin(wall_clock: Timestamp, at: Instant) -> Steady {
        Steady { begun: (wall_clock, at), ahead_since: None }
    }

    /// What it says, given what the wall clock says at a moment.
    fn at(&mut self, wall_clock: Timestamp, at: Instant) -> Timestamp {
        let later = |time: Timestamp, by: Duration| {
            let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_micros(time.as_micros().saturating_add(micros))
        };
        let (before, begun) = self.begun;
        let time = later(before, at.saturating_duration_since(begun));
        if wall_clock <= later(time, SLACK) {
            self.ahead_since = None;
            return time;
        }
        let since = *self.ahead_since.get_or_insert(at);
        if at.saturating_duration_since(since) < BELIEVED_AFTER {
            return time;
        }
        *self = Steady::begin(wall_clock, at);
        wall_clock
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            last: AtomicI64::default(),
            under_way: Mutex::default(),
            over: Condvar::default(),
            steady: Mutex::new(Steady::begin(Timestamp::wall_clock(), Instant::now())),
        }
    }
}

/// A batch is under way until this is dropped.
pub(in crate::storage) struct UnderWay<'c>(&'c Clock);

impl Clock {
    /// The wall clock or `floor`, whichever is later, and never earlier than any answer before.
    pub(super) fn now(&self, floor: Timestamp) -> Timestamp {
        let now = Timestamp::wall_clock().max(floor).as_micros();
        Timestamp::from_micros(self.last.fetch_max(now, Ordering::AcqRel).max(now))
    }

    /// What the wall clock says, but for steps ahead that have not lasted.
    pub(super) fn steady(&self) -> Timestamp {
        let mut steady = self.steady.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        steady.at(Timestamp::wall_clock(), Instant::now())
    }

    /// The same as [`Clock::now`], but later than any answer before.
    pub(super) fn commit_time(&self, floor: Timestamp) -> Timestamp {
        let now = Timestamp::wall_clock().max(floor).as_micros();
        let mut last = self.last.load(Ordering::Acquire);
        loop {
            let time = now.max(last.saturating_add(1));
            match self.last.compare_exchange_weak(last, time, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Timestamp::from_micros(time),
                Err(newer) => last = newer,
            }
        }
    }

    /// To be held from before the first commit time of a batch is taken until the batch is visible.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        let mut under_way = self.lock();
        *under_way = Some(self.commit_time(Timestamp::default()));
        UnderWay(self)
    }

    /// Waits until everything that is committed at or before a time is visible. The time must have been past already.
    pub(super) fn wait_for_commits(&self, time: Timestamp) {
        let mut under_way = self.lock();
        while under_way.is_some_and(|since| since <= time) {
            under_way = self.over.wait(under_way).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.under_way.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
        self.0.over.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn time(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * 3_600_000_000)
    }

    #[test]
    fn a_step_ahead_is_believed_when_it_has_lasted_a_day() {
        let begun = Instant::now();
        let mut steady = Steady::begin(time(100), begun);
        assert_eq!(steady.at(time(101), begun + HOUR), time(101));
        // Ahead, and back within the day.
        assert_eq!(steady.at(time(9_000), begun + 2 * HOUR), time(102));
        assert_eq!(steady.at(time(9_020), begun + 22 * HOUR), time(122));
        assert_eq!(steady.at(time(123), begun + 23 * HOUR), time(123));
        // The day begins anew.
        assert_eq!(steady.at(time(9_024), begun + 24 * HOUR), time(124));
        assert_eq!(steady.at(time(9_047), begun + 47 * HOUR), time(147));
        assert_eq!(steady.at(time(9_048), begun + 48 * HOUR), time(9_048));
        assert_eq!(steady.at(time(9_049), begun + 49 * HOUR), time(9_049));
        // A step back is none: `now` stands still meanwhile.
        assert_eq!(steady.at(time(5), begun + 50 * HOUR), time(9_050));
    }
}
