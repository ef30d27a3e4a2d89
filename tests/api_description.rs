//! The description of the HTTP API, `src/api/openapi.json`, held against the server: what is described is served and
//! the other way round, answers have the described shapes, and no request that can be made from the description, and
//! then spoilt, brings the server out of step.
//!
//! `STONETOWN_CASES=N` sends so many spoilt requests, `STONETOWN_SEED=N` repeats those of a run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its seed"
)]

mod api_description {
    /// The description, and whether an answer is one that it describes.
    mod description;
    /// Valid requests, made from the description.
    mod generate;
    /// A server in this process, and the stores that requests are about.
    mod server;
    /// What can be done to a request.
    mod spoil;
    /// HTTP as bytes, so that a request can be wrong in every way.
    mod wire;

    /// Bugs that were found, each by a test named for it.
    mod regressions;
    /// Every route is described, everything described is served.
    mod routes;
    /// Real answers against the description, and its own examples.
    mod shapes;
    /// Thousands of spoilt requests.
    mod spoilt;
}
