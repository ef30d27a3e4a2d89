//! Read: the tuples as they are stored, without evaluating anything.

use std::ops::ControlFlow;

use super::Engine;
use super::at::At;
use super::error::EngineError;
use crate::storage::{Row, TupleFilter, step};
use crate::tuple::{Revision, StoreId, Timestamp, Token, Tuple, TupleKey, TupleRef};

/// A read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// In which store.
    pub store: StoreId,
    /// Which tuples.
    pub filter: TupleFilter,
    /// Only those that come behind this tuple in the order of the read.
    pub after: Option<TupleKey>,
    /// In which state.
    pub at: At,
}

/// A tuple as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTuple {
    /// The tuple.
    pub tuple: Tuple,
    /// The revision that wrote it.
    pub created: Revision,
}

/// What a read saw.
#[derive(Debug, Clone)]
pub struct ReadAnswer {
    /// The state and time it was read at.
    pub token: Token,
    /// How many tuples were visited.
    pub count: u64,
}

impl Engine {
    /// Visits the matching tuples of one state, in key order, without holding them in memory.
    pub fn read(
        &self,
        request: &ReadRequest,
        visit: &mut dyn FnMut(ReadTuple) -> ControlFlow<()>,
    ) -> Result<ReadAnswer, EngineError> {
        let store = self.store(request.store)?;
        let state = self.held_state(&store, &request.at)?;
        let mut count = 0;
        let after = request.after.as_ref().map(TupleKey::as_ref);
        let mut visit_row = |key: TupleRef<'_>, row: &Row| {
            count += 1;
            let condition = row.condition.clone();
            let tuple = Tuple { key: key.to_owned(), condition, expires_at: row.expires_at };
            visit(ReadTuple { tuple, created: row.created })
        };
        step("scan", || state.scan_behind(&request.filter, after, &mut visit_row))?;
        Ok(ReadAnswer { token: self.token_of(store.id, &state), count })
    }

    /// When a revision was committed; none when it is no longer kept.
    pub fn committed_at(&self, store: StoreId, revision: Revision) -> Result<Option<Timestamp>, EngineError> {
        let store = self.store(store)?;
        Ok(self.database().revision_record(store.number, revision)?.map(|record| record.time))
    }
}
