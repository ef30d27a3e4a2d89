//! Tuple files through the public API: what each format takes and refuses, that what is written is read back exactly, that
//! reading goes on from any place, which files are found, and how bad lines are accounted for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "history/settings.rs"]
mod settings;

#[path = "tuple_text/strategies.rs"]
#[allow(dead_code, reason = "filters are not needed here")]
mod strategies;

mod bulk_formats {
    /// Files made, read and written.
    pub(crate) mod files;

    /// JSON and YAML documents, OpenFGA's exports among them.
    mod documents;
    /// Our text, CSV and JSON lines.
    mod lines;
    /// SpiceDB's relationships.
    mod spicedb;

    /// Which files are read.
    mod inputs;
    /// Packed files, whole and damaged.
    mod packed;
    /// The account of bad lines.
    mod report;
    /// What is written, and that it is read back the same.
    mod writing;
}
