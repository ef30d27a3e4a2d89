//! The program as people run it: what it prints, its exit codes, and what it says to every mistake.
//!
//! Transcripts that can be read are `tests/cli/*.trycmd`; what they cannot express (tokens of earlier answers, files
//! of many kinds, pipes) is in the modules.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli {
    /// A directory to run the program in, and what became of a run.
    mod program;

    /// backup …, restore
    mod backups;
    /// schema apply, orphans, diff
    mod changes;
    /// Tuples in files of every format.
    mod files;
    /// Everything that a person can get wrong, and what the program says to it.
    mod mistakes;
    /// Closed pipes, and a data directory that is in use.
    mod pipes;
    /// check, expand, read, changes, validate.
    mod questions;
    /// Bugs that were found, each by a test named for it.
    mod regressions;
    /// The same commands asked of a server: by its URL, or by the data directory that it has open.
    mod remote;
    /// schema …
    mod schemas;
    /// A server of a data directory.
    mod server;
    /// store …
    mod stores;
    /// write
    mod writes;
}

#[test]
fn transcripts() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd").run();
}
