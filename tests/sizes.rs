//! As large and as odd as it may be: many subjects on one object, names and contexts at their limits and one beyond, ids in
//! every script, ten thousand stores. What is taken is found again exactly, everywhere; what is too much is refused by name.
//!
//! `STONETOWN_STORES=N` sets the number of stores, `STONETOWN_SUBJECTS=N` adds a run with so many subjects.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test, which says what it saw"
)]

mod support;

mod sizes {
    /// Stored contexts, contexts of requests, requests.
    mod contexts;
    /// Ids in every script.
    mod ids;
    /// Names at their limits.
    mod names;
    /// A character of each script.
    mod scripts;
    /// Ten thousand stores.
    mod stores;
    /// Many subjects on one object.
    mod subjects;
}
