//! Nothing acknowledged is lost: not by a killed process, not by a power loss, not by a disk that refuses to sync.
//! And no damaged file is ever served from: opening names it instead.
//!
//! Every random choice comes from one seed, which each test prints; `STONETOWN_SEED=N` repeats it as far as
//! the threads of the writing processes allow. `STONETOWN_ROUNDS=100`: so many kills, and power losses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its seed"
)]

mod durability {
    /// Copying data directories, and looking at their files.
    mod directory;
    /// A disk that can lose its power.
    mod disk;
    /// What the acknowledgements of all processes so far promise, and whether a directory keeps it.
    mod ledger;
    /// The process that writes until it is killed.
    mod process;
    /// Directories to be damaged.
    mod sample;
    /// Where random choices come from.
    mod seed;
    /// What it writes.
    mod workload;

    /// Files that are not what was written, and files that are not there.
    mod damage;
    /// Imports that are interrupted, and gone on with.
    mod import;
    /// `kill -9`.
    mod kill;
    /// Power losses, and syncs that fail.
    mod power;
    /// Directories that are not to be opened, though nothing in them is damaged.
    mod refusals;
}
