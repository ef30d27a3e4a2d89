//! Expand: who stands behind a relation of an object.

use super::Engine;
use super::at::At;
use super::error::EngineError;
use crate::eval::{self, Follow, UsersetNode};
use crate::tuple::{ObjectRef, SchemaId, StoreId, Token};

/// An expansion.
#[derive(Debug, Clone)]
pub struct ExpandRequest<'q> {
    /// In which store.
    pub store: StoreId,
    /// On what.
    pub object: ObjectRef<'q>,
    /// What is held.
    pub relation: &'q str,
    /// How far.
    pub follow: Follow,
    /// Under which schema; none: the one in force.
    pub schema: Option<SchemaId>,
    /// In which state.
    pub at: At,
}

/// The answer to an expansion.
#[derive(Debug, Clone)]
pub struct ExpandAnswer {
    /// The tree.
    pub root: UsersetNode,
    /// The state and time it was answered at.
    pub token: Token,
    /// The schema it was answered under.
    pub schema: SchemaId,
}

impl Engine {
    /// Expands a relation of an object in one state, under one snapshot.
    pub fn expand(&self, request: ExpandRequest<'_>) -> Result<ExpandAnswer, EngineError> {
        let store = self.store(request.store)?;
        let state = self.state(&store, &request.at)?;
        let (schema, program) = self.program(&store, request.schema, state.schema()?)?;
        let limits = &self.settings().limits;
        let root = eval::expand(&program, &state, request.object, request.relation, request.follow, limits)?;
        Ok(ExpandAnswer { root, token: self.token_of(store.id, &state), schema })
    }
}
