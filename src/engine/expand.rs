//! Expand: who stands behind a relation of an object.

use super::Engine;
use super::at::At;
use super::error::EngineError;
use super::view::View;
use crate::eval::{self, Follow, UsersetNode};
use crate::tuple::{ObjectRef, SchemaId, StoreId, Token, Tuple};

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
        let view = self.view(request.store, request.schema, &request.at)?;
        let root = view.expand(request.object, request.relation, request.follow, &[])?;
        Ok(ExpandAnswer { root, token: view.token(), schema: view.schema() })
    }
}

impl View<'_> {
    /// Expands a relation of an object; some tuples may count for it alone.
    pub fn expand(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        follow: Follow,
        contextual: &[Tuple],
    ) -> Result<UsersetNode, EngineError> {
        let limits = &self.engine.settings().limits;
        self.with(contextual, |state| {
            Ok(eval::expand(&self.program, state, object, relation, follow, limits)?)
        })
    }
}
