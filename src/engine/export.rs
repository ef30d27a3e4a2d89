//! Export: all tuples of one state, in the order of their keys.

use std::ops::ControlFlow;

use super::Engine;
use super::at::At;
use super::error::EngineError;
use crate::storage::{Row, StateReader, TupleFilter, TupleReader};
use crate::tuple::{StoreId, Token, TupleRef};

/// One state of a store, held while it is exported.
pub struct Export<'e> {
    state: StateReader<'e>,
    filter: TupleFilter,
    token: Token,
}

impl Engine {
    /// Holds a state to be exported.
    pub fn export(&self, store: StoreId, filter: TupleFilter, at: &At) -> Result<Export<'_>, EngineError> {
        let store = self.store(store)?;
        let state = self.held_state(&store, at)?;
        let token = self.token_of(store.id, &state);
        Ok(Export { state, filter, token })
    }
}

impl Export<'_> {
    /// The state.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Whether any of the tuples ends. It walks to the first that does.
    pub fn has_ends(&self) -> Result<bool, EngineError> {
        let mut found = false;
        self.visit(&mut |_, row| {
            found = row.expires_at.is_some();
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Visits the tuples. Without a filter, or where it names an object or its type, they come by object, relation and subject;
    /// where it names a subject alone, by subject, type, relation and id.
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        Ok(self.state.scan(&self.filter, visit)?)
    }
}
