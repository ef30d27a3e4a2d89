//! What the work on this thread did, step by step and with what it asked of RocksDB, where somebody wants to know: the spans of a trace
//! are made of it. Where nobody does, a step costs one look at the thread's own memory.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::allowance;
use super::rocks::Perf;

/// Further steps go by unrecorded, as part of the one that they are in.
const STEPS_MAX: usize = 100;

/// A step of the work of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// When it began.
    pub begun: Instant,
    /// How long it took.
    pub took: Duration,
    /// In how many other steps it was made: those before it with fewer.
    pub depth: usize,
    /// Looks into the state, and rows.
    pub reads: u64,
    /// What RocksDB did for them.
    pub storage: StorageWork,
}

/// What RocksDB did on one thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StorageWork {
    /// The time in look-ups, seeks and steps of scans.
    pub time: Duration,
    /// Of it, reading blocks from files.
    pub file_time: Duration,
    /// Blocks that were in memory.
    pub blocks_cached: u64,
    /// Blocks that were read from files.
    pub blocks_read: u64,
    /// Bytes of these.
    pub bytes_read: u64,
    /// Look-ups in a table file that its filter spared.
    pub filtered: u64,
    /// Deleted rows that scans passed over.
    pub tombstones: u64,
}

impl StorageWork {
    fn since(self, before: StorageWork) -> StorageWork {
        StorageWork {
            time: self.time.saturating_sub(before.time),
            file_time: self.file_time.saturating_sub(before.file_time),
            blocks_cached: self.blocks_cached.saturating_sub(before.blocks_cached),
            blocks_read: self.blocks_read.saturating_sub(before.blocks_read),
            bytes_read: self.bytes_read.saturating_sub(before.bytes_read),
            filtered: self.filtered.saturating_sub(before.filtered),
            tombstones: self.tombstones.saturating_sub(before.tombstones),
        }
    }
}

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static PROFILE: RefCell<Profile> = const { RefCell::new(Profile { steps: Vec::new(), depth: 0, perf: None }) };
}

struct Profile {
    steps: Vec<Step>,
    depth: usize,
    perf: Option<Perf>,
}

impl Profile {
    fn storage(&self) -> StorageWork {
        self.perf.as_ref().map(Perf::read).unwrap_or_default()
    }
}

/// Ends the recording, also by a panic.
struct Recording;

impl Recording {
    fn begin() -> Recording {
        PROFILE.with_borrow_mut(|profile| {
            *profile = Profile { steps: Vec::new(), depth: 0, perf: Some(Perf::begin()) };
        });
        IS_ON.set(true);
        Recording
    }

    fn steps(&self) -> Vec<Step> {
        PROFILE.with_borrow_mut(|profile| std::mem::take(&mut profile.steps))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        IS_ON.set(false);
        PROFILE.with_borrow_mut(|profile| profile.perf = None);
    }
}

/// Runs the work of a request on this thread, and answers which steps it took, too: itself, named `name`, first.
/// Within such work it is a step of that.
pub fn profiled<T>(name: &'static str, work: impl FnOnce() -> T) -> (T, Vec<Step>) {
    if IS_ON.get() {
        return (step(name, work), Vec::new());
    }
    let recording = Recording::begin();
    let answer = step(name, work);
    (answer, recording.steps())
}

/// A step of the work of a request: recorded where it is [`profiled`].
pub fn step<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    if !IS_ON.get() {
        return work();
    }
    let reads = allowance::reads();
    let begun = PROFILE.with_borrow_mut(|profile| {
        if profile.steps.len() == STEPS_MAX {
            return None;
        }
        let storage = profile.storage();
        let (begun, depth) = (Instant::now(), profile.depth);
        profile.steps.push(Step { name, begun, took: Duration::ZERO, depth, reads: 0, storage });
        profile.depth += 1;
        Some((profile.steps.len() - 1, begun, storage))
    });
    let Some((index, begun, storage)) = begun else { return work() };
    let answer = work();
    PROFILE.with_borrow_mut(|profile| {
        let now = profile.storage();
        profile.depth -= 1;
        if let Some(step) = profile.steps.get_mut(index) {
            step.took = begun.elapsed();
            step.reads = allowance::reads().saturating_sub(reads);
            step.storage = now.since(storage);
        }
    });
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_recorded_in_order_with_their_depth_and_only_while_somebody_wants_them() {
        assert_eq!(step("unseen", || 1), 1);
        let (answer, steps) = profiled("whole", || {
            step("first", || step("inner", || ()));
            step("second", || 7)
        });
        let found: Vec<_> = steps.iter().map(|step| (step.name, step.depth)).collect();
        assert_eq!((answer, found), (7, vec![("whole", 0), ("first", 1), ("inner", 2), ("second", 1)]));
        assert!(steps[0].took >= steps[1].took + steps[3].took);
        let ((_, none), steps) = profiled("outer", || profiled("inner", || step("innermost", || ())));
        let found: Vec<_> = steps.iter().map(|step| (step.name, step.depth)).collect();
        assert_eq!((none.len(), found), (0, vec![("outer", 0), ("inner", 1), ("innermost", 2)]));
    }

    #[test]
    fn a_panic_ends_the_recording_and_steps_have_a_bound() {
        assert!(
            std::panic::catch_unwind(|| profiled("whole", || step("first", || panic!("as planned"))))
                .is_err()
        );
        assert!(!IS_ON.get());
        let (sum, steps) = profiled("whole", || (0..1_000).map(|number| step("one", || number)).sum::<u64>());
        assert_eq!((sum, steps.len()), (499_500, STEPS_MAX));
        assert!(steps.iter().skip(1).all(|step| step.depth == 1));
    }
}
