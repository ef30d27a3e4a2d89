//! Now, and the times of commits.
//!
//! The state at a time must not change once somebody has asked for it. A commit gets its time before it is synced and
//! visible, so a reader of a time at or after it waits for the batch that is under way; and a commit gets a time later
//! than every one that was given out before.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::tuple::Timestamp;

/// The time of one data directory, which never goes backwards.
#[derive(Default)]
pub(super) struct Clock {
    /// The latest time that was given to a reader or a commit.
    last: AtomicI64,
    /// While a batch is under way: a time before all of its commits, and after all that was given out before it.
    under_way: Mutex<Option<Timestamp>>,
    over: Condvar,
}

/// A batch is under way until this is dropped.
pub(in crate::storage) struct UnderWay<'c>(&'c Clock);

impl Clock {
    /// The wall clock or `floor`, whichever is later, and never earlier than any answer before.
    pub(super) fn now(&self, floor: Timestamp) -> Timestamp {
        let now = Timestamp::wall_clock().max(floor).as_micros();
        Timestamp::from_micros(self.last.fetch_max(now, Ordering::AcqRel).max(now))
    }

    /// The same, but later than any answer before.
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
