//! The AuthZEN 1.0 API, asked as a client asks it: the certification scenario at all its levels, what it says of malformed
//! requests, and the interop scenarios, with schemas and tuples of our own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod authzen {
    /// A store, and requests about it.
    mod client;

    /// Several evaluations in one request.
    mod batch;
    /// The certification scenario: eight decisions, six searches.
    mod certification;
    /// The document by which a decision point is found.
    mod discovery;
    /// Properties and context as values for conditions.
    mod mapping;
    /// Searches that come in pages.
    mod pages;
    /// The Search interop scenario.
    mod records;
    /// What is refused, and how; headers.
    mod refusals;
    /// The Todo interop scenario.
    mod todo;
}
