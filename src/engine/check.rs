//! Check: does a subject hold a relation on an object.

use super::Engine;
use super::admission::{Rejection, admit};
use super::at::At;
use super::error::EngineError;
use crate::eval::{self, Work};
use crate::storage::{Overlay, TupleReader};
use crate::tuple::{SchemaId, StoreId, Token, Tuple, TupleRef};

/// A check.
#[derive(Debug, Clone)]
pub struct CheckRequest<'q> {
    /// In which store.
    pub store: StoreId,
    /// Object, relation and subject.
    pub tuple: TupleRef<'q>,
    /// Under which schema; none: the one in force.
    pub schema: Option<SchemaId>,
    /// Tuples that count for this question alone.
    pub contextual: Vec<Tuple>,
    /// In which state.
    pub at: At,
}

/// The answer to a check.
#[derive(Debug, Clone)]
pub struct CheckAnswer {
    /// Whether the subject holds the relation.
    pub allowed: bool,
    /// The state and time it was answered at: asking there again gives the same answer.
    pub token: Token,
    /// The schema it was answered under.
    pub schema: SchemaId,
    /// What it took.
    pub work: Work,
}

impl Engine {
    /// Answers a check in one state, under one snapshot.
    pub fn check(&self, request: CheckRequest<'_>) -> Result<CheckAnswer, EngineError> {
        let store = self.store(request.store)?;
        let state = self.state(&store, &request.at)?;
        let (schema, program) = self.program(&store, request.schema, state.schema()?)?;
        let token = self.token_of(store.id, &state);
        for tuple in &request.contextual {
            admit(program.schema(), tuple).map_err(|reason| Rejection::refused(tuple, reason))?;
        }
        let limits = &self.settings().limits;
        let answer = if request.contextual.is_empty() {
            eval::check(&program, &state as &dyn TupleReader, request.tuple, limits)?
        } else {
            let state = Overlay::contextual(state, request.contextual);
            eval::check(&program, &state, request.tuple, limits)?
        };
        Ok(CheckAnswer { allowed: answer.allowed, token, schema, work: answer.work })
    }
}
