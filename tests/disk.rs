//! A disk that is full, and one that is read-only: writes are refused in words that say what to do, nothing that was
//! acknowledged is lost, reads, checks and lists go on, and once there is room again all is as it was.
//!
//! The disk is one of two. A library in C (`disk/shim.c`), preloaded into the server, lets so many more bytes be written
//! below a directory, partial writes first, as file systems do; and as root on Linux, a small file system in memory that
//! the test mounts where nobody else sees it.
//!
//! Every random choice comes from one seed, which each test prints; `STONETOWN_SEED=N` repeats it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its seed"
)]

mod support;

mod disk {
    /// Disks that can be full.
    mod place;
    /// What was written to a server, and whether it is still there.
    mod written;

    /// Backups that find no room.
    mod backup;
    /// Full while it is served from, and when it is opened.
    mod full;
    /// Imports that find no room.
    mod import;
    /// A real file system.
    mod mounted;
    /// Read-only, and somebody else's.
    mod read_only;
}
