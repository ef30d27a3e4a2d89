//! A view: one state of one store under one schema, to ask several questions of.

use std::sync::Arc;

use super::Engine;
use super::admission::{Rejection, admit};
use super::at::At;
use super::error::EngineError;
use crate::eval::{Program, Question};
use crate::storage::{Overlay, StateReader, StoreRecord, TupleReader, step};
use crate::tuple::{SchemaId, StoreId, Token, Tuple, TupleRef};

/// One state of one store, under one snapshot, and the schema that questions about it are asked under.
pub struct View<'e> {
    pub(super) engine: &'e Engine,
    pub(super) state: StateReader<'e>,
    pub(super) program: Arc<Program>,
    pub(super) store: StoreRecord,
    schema: SchemaId,
    /// The schema was asked for by name: it is not that of the state.
    pub(super) is_named: bool,
}

impl Engine {
    /// The same as [`Engine::view`], when the schema is at hand; none: it has to be read and made ready first, which takes
    /// its time.
    pub fn view_at_hand(
        &self,
        store: StoreId,
        schema: Option<SchemaId>,
        at: &At,
    ) -> Result<Option<View<'_>>, EngineError> {
        if matches!(at, At::Time(_)) {
            // It may have to wait for a batch that is being synced.
            return Ok(None);
        }
        let record = self.store(store)?;
        let state = self.state(&record, at)?;
        let Some(id) = schema.or(state.schema()?) else { return Err(EngineError::NoSchema(store)) };
        let Some(program) = self.shared.programs.at_hand(record.number, id) else { return Ok(None) };
        let is_named = schema.is_some();
        Ok(Some(View { engine: self, state, program, store: record, schema: id, is_named }))
    }

    /// Opens a view; no schema named: the one in force in that state. The state is held: it can be asked for by its token as
    /// long as the view lives.
    ///
    /// # Errors
    /// No such store, state or schema.
    pub fn view(&self, store: StoreId, schema: Option<SchemaId>, at: &At) -> Result<View<'_>, EngineError> {
        let record = self.store(store)?;
        let state = self.held_state(&record, at)?;
        self.view_of(record, schema, state)
    }

    /// The same, for one short question: nobody else will ask for its state meanwhile.
    pub(super) fn brief_view(
        &self,
        store: StoreId,
        schema: Option<SchemaId>,
        at: &At,
    ) -> Result<View<'_>, EngineError> {
        let record = self.store(store)?;
        let state = self.state(&record, at)?;
        self.view_of(record, schema, state)
    }

    fn view_of<'e>(
        &'e self,
        store: StoreRecord,
        schema: Option<SchemaId>,
        state: StateReader<'e>,
    ) -> Result<View<'e>, EngineError> {
        let is_named = schema.is_some();
        let (schema, program) = self.program(&store, schema, state.schema()?)?;
        Ok(View { engine: self, state, program, store, schema, is_named })
    }
}

impl View<'_> {
    /// The schema that questions are asked under.
    pub fn schema(&self) -> SchemaId {
        self.schema
    }

    /// The names of a type's relations, sorted; none: the schema does not have the type.
    pub fn relations(&self, object_type: &str) -> Option<Vec<&str>> {
        let schema = self.program.schema();
        let relations = &schema.type_at(schema.type_named(object_type)?).relations;
        let mut names: Vec<&str> = relations.iter().map(|&it| &*schema.relation_at(it).name).collect();
        names.sort_unstable();
        Some(names)
    }

    /// The state and time: asking there again gives the same answers.
    pub fn token(&self) -> Token {
        self.engine.token_of(self.store.id, &self.state)
    }

    /// What the same question is asked under in a state with this schema in force.
    pub(super) fn program_for(&self, in_force: Option<SchemaId>) -> Result<Arc<Program>, EngineError> {
        let named = self.is_named.then_some(self.schema);
        Ok(self.engine.program(&self.store, named, in_force)?.1)
    }

    /// Whether a question can be asked: all names in it are known, and the schema lets the contextual tuples in.
    pub fn look_up(&self, tuple: TupleRef<'_>, contextual: &[Tuple]) -> Result<(), EngineError> {
        Question::resolve(self.program.schema(), tuple)?;
        self.with(contextual, |_| Ok(()))
    }

    /// Has a question asked of the state with contextual tuples.
    ///
    /// # Errors
    /// The first tuple that the schema does not let in.
    pub(super) fn with<T>(
        &self,
        contextual: &[Tuple],
        ask: impl FnOnce(&dyn TupleReader) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.over(&self.state, contextual, ask)
    }

    /// The same, over a reader of the same state.
    pub(super) fn over<T>(
        &self,
        base: &dyn TupleReader,
        contextual: &[Tuple],
        ask: impl FnOnce(&dyn TupleReader) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        over(&self.program, base, contextual, ask)
    }
}

/// Has a question asked of a state with contextual tuples, under a schema that has to let them in.
pub(super) fn over<T>(
    program: &Program,
    base: &dyn TupleReader,
    contextual: &[Tuple],
    ask: impl FnOnce(&dyn TupleReader) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    for tuple in contextual {
        admit(program.schema(), tuple).map_err(|reason| Rejection::refused(tuple, reason))?;
    }
    if contextual.is_empty() {
        return step("evaluate", || ask(base));
    }
    let overlay = Overlay::contextual(base, contextual.iter().cloned());
    step("evaluate", || ask(&overlay))
}
