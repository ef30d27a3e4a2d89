//! Read: the tuples as they are stored, without evaluating anything.

use std::ops::ControlFlow;

use super::Engine;
use super::at::At;
use super::error::EngineError;
use crate::storage::{TupleFilter, TupleReader};
use crate::tuple::{Revision, StoreId, Token, Tuple};

/// A read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// In which store.
    pub store: StoreId,
    /// Which tuples.
    pub filter: TupleFilter,
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
        let state = self.state(&store, &request.at)?;
        let mut count = 0;
        state.scan(&request.filter, &mut |key, row| {
            count += 1;
            let condition = row.condition.clone();
            let tuple = Tuple { key: key.to_owned(), condition, expires_at: row.expires_at };
            visit(ReadTuple { tuple, created: row.created })
        })?;
        Ok(ReadAnswer { token: self.token_of(store.id, &state), count })
    }
}
