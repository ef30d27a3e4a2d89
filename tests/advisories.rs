//! Each published advisory of OpenFGA, and each fix of the same kind without a number, as a test: the situation in which
//! its answers were wrong, asked of a running server, without kept decisions and with them. A test is named after the
//! advisory; the words behind say what went wrong there.
//!
//! Those about who may call are in `tests/access/advisories.rs`, and of settings (CVE-2026-55689) in `tests/settings.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::nonminimal_bool,
    reason = "a test, which says what it asks, and has formulas as the schemas have them"
)]

mod support;

mod advisories {
    /// Servers to ask, with and without kept decisions.
    mod servers;

    /// One thing taken for another: keys of caches, deduplication, capitals.
    mod identity;
    /// Lists that are not what checks say, and what is told where something fails.
    mod lists;
    /// Exclusions, intersections, cycles, wildcards among tuples.
    mod meaning;
    /// Tuples that the schema does not allow, or no longer.
    mod validity;
    /// Schemas and data made to cost much.
    mod work;
}
