//! What a server allows, and how it refuses what goes beyond: connections, heads, bodies, requests at once, quotas, time. Whatever is
//! refused, everything else goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod support;

mod limits {
    /// A connection by hand: what is sent when, and what comes back.
    mod connection;

    mod answers;
    mod at_once;
    mod connections;
    mod quotas;
    mod time;
}
