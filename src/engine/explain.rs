//! Explain: why an answer is yes, what is missing when it is no, and since when it is so.

use super::error::EngineError;
use super::given::Given;
use super::period::Period;
use super::view::View;
use crate::analysis::{self, ExplainRequest, Explanation};
use crate::storage::TupleReader;
use crate::tuple::{Revision, Timestamp};

/// An explanation, with the time of what it rests on.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Why.
    pub explanation: Explanation,
    /// Since when, and until when, the answer is the same; none: it could not be found out in time.
    pub period: Option<Period>,
    /// When each revision was committed that wrote a tuple of a proof; those that are no longer kept are left out.
    pub times: Vec<(Revision, Timestamp)>,
}

impl View<'_> {
    /// Explains the answer to a check in this state.
    ///
    /// # Errors
    /// Those of the check.
    pub fn explain(&self, request: &ExplainRequest<'_>, given: &Given) -> Result<Explained, EngineError> {
        let limits = &self.engine.settings().limits;
        let explanation = self.with(&given.tuples, |state| {
            Ok(analysis::explain(&self.program, state, request, &given.context, limits)?)
        })?;
        let proven = explanation.proofs.iter().flat_map(|proof| &proof.tuples);
        let mut revisions: Vec<Revision> = proven.map(|it| it.revision).collect();
        for block in &explanation.blocks {
            revisions.extend(block.tuples().iter().map(|it| it.revision));
        }
        revisions.sort();
        revisions.dedup();
        let mut times = Vec::new();
        for revision in revisions.into_iter().filter(|revision| *revision <= self.state.revision()) {
            // Below the horizon, when it was is no longer known.
            if let Ok(record) = self.state.record(revision) {
                times.push((revision, record.time));
            }
        }
        // A search through a long past may take longer than an answer is worth.
        let period = self.period(request.tuple, given).ok();
        Ok(Explained { explanation, period, times })
    }
}
