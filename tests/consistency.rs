//! Answers under concurrency, held against what a client may rely on: a history of writes and questions is recorded over HTTP, by
//! clients that know nothing of each other, and verified afterwards.
//!
//! The writes of a store have an order, their revisions. So for every answer there must be a revision at which it was right, which is
//! - no older than any write that was acknowledged before the question was asked, by whichever client,
//! - no older than what any answer had seen that came before the question was asked,
//! - no older than the token that the question carries (`Stonetown-At-Least`), and exactly that of `Stonetown-At`,
//! - no newer than the last write that had begun before the answer came.
//!
//! That is linearizability (M. Herlihy, J. Wing, ACM TOPLAS 12(3), 1990) where states are numbered: taking the oldest possible revision
//! for each answer, in the order in which questions were asked, finds a history if there is one. What an answer's token says is
//! verified too: asked again there, the question has the same answer.
//!
//! `tests/planted/run consistency` plants mistakes that this has to find. `STONETOWN_CASES=N`: so many writes a writer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod support;

mod consistency {
    /// The clients, and what they write down.
    mod clients;
    /// Whether there is a history that explains all of it.
    mod verify;
    /// What the answers are in a state: by hand, for the one schema.
    mod world;

    mod histories;
}
