//! Each published advisory of OpenFGA, and each fix of the same kind without a number, as a test: the situation in which
//! its answers were wrong, asked of a running server, without kept decisions and with them. A test is named after the
//! advisory; the words behind say what went wrong there.
//!
//! Not here, since there is no authentication yet; these belong to its tests when it comes:
//!
//! - CVE-2022-39340: a stream of a list that asked for no authentication;
//! - CVE-2026-55689: a token's audience that was not looked at where none was set;
//! - GHSA-68m9-983m-f3v5: a playground that was served with the keys known to it (that there is none is tested here);
//! - #3168: keys compared in a time that tells how much of them is right.

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
