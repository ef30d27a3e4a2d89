//! Changes of the schema with their tuples: everything in one revision or nothing; what moves, what would be silenced, what
//! is not let in. On a real data directory, and over HTTP; every store is validated at the end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

mod apply {
    /// A store with a schema, changes, and what is asserted of them.
    mod world;

    /// The same over HTTP.
    mod http;
    /// Writers beside a change.
    mod meanwhile;
    /// Tuples that a schema does not let in.
    mod orphans;
    /// A change in the past, the log, and backups.
    mod past;
    /// Everything that a change is refused for.
    mod refusals;
    /// Types and relations under other names.
    mod renames;
    /// What a schema would silence.
    mod silenced;
}
