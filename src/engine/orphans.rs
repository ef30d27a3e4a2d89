//! Orphans: stored tuples that a schema does not let in, so that they count for nothing.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::admission::{Rejection, admit_stored_key};
use super::error::EngineError;
use super::tuple_groups::{TupleGroups, tuple_of};
use super::write_schema::SchemaInput;
use super::{At, Engine};
use crate::eval::Program;
use crate::storage::{Change, Row, StateReader, TupleFilter, TupleReader};
use crate::tuple::{SchemaId, StoreId, Token, Tuple, TupleKey, TupleRef};

/// Tuples that are removed as one revision.
const REMOVED_MAX: usize = 10_000;

/// Which schema tuples are held against.
#[derive(Debug, Clone)]
pub enum OrphansUnder {
    /// The one in force.
    InForce,
    /// A stored one.
    Stored(SchemaId),
    /// One that is not stored.
    Given(SchemaInput),
}

/// The orphans of one state, which is held while they are looked at.
pub struct Orphans<'e> {
    state: StateReader<'e>,
    program: Arc<Program>,
    token: Token,
}

/// What was removed.
#[derive(Debug, Clone, Copy)]
pub struct RemovedAnswer {
    /// The state it left.
    pub token: Token,
    /// Tuples removed.
    pub removed: u64,
}

impl Engine {
    /// The orphans of the newest state.
    pub fn orphans(&self, store: StoreId, under: &OrphansUnder) -> Result<Orphans<'_>, EngineError> {
        let store = self.store(store)?;
        let state = self.held_state(&store, &At::Head)?;
        let program = match under {
            OrphansUnder::InForce => self.program(&store, None, state.schema()?)?.1,
            OrphansUnder::Stored(id) => self.program(&store, Some(*id), None)?.1,
            OrphansUnder::Given(input) => {
                let (_, schema) = input.resolve(&self.settings().schema_limits)?;
                Arc::new(Program::new(schema))
            }
        };
        let token = self.token_of(store.id, &state);
        Ok(Orphans { state, program, token })
    }

    /// Deletes the orphans under the schema in force, in revisions of bounded size; the writer makes sure that each is one
    /// still. `progress` is told how many were removed so far; it may stop the rest.
    pub fn remove_orphans(
        &self,
        store: StoreId,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<RemovedAnswer, EngineError> {
        let orphans = self.orphans(store, &OrphansUnder::InForce)?;
        let mut answer = RemovedAnswer { token: orphans.token(), removed: 0 };
        let mut part = Vec::new();
        let mut failed = Ok(());
        orphans.visit(&mut |tuple, _| {
            part.push(tuple.key);
            if part.len() < REMOVED_MAX {
                return ControlFlow::Continue(());
            }
            failed = self.remove_part(store, std::mem::take(&mut part), &mut answer);
            if failed.is_ok() { progress(answer.removed) } else { ControlFlow::Break(()) }
        })?;
        failed?;
        if !part.is_empty() {
            self.remove_part(store, part, &mut answer)?;
        }
        Ok(answer)
    }

    fn remove_part(
        &self,
        store: StoreId,
        keys: Vec<TupleKey>,
        answer: &mut RemovedAnswer,
    ) -> Result<(), EngineError> {
        let number = self.store(store)?.number;
        let shared = Arc::clone(&self.shared);
        let plan = move |state: &dyn TupleReader, in_force: Option<SchemaId>| {
            let id = in_force.ok_or(EngineError::NoSchema(store))?;
            let program = shared.programs.get(&shared.database, number, id)?;
            let mut changes = Vec::with_capacity(keys.len());
            for key in keys {
                let row = state.get(key.as_ref())?;
                if row.is_some_and(|row| rejection(&program, key.as_ref(), &row).is_some()) {
                    changes.push(Change::Delete(key));
                }
            }
            Ok(changes)
        };
        let commit = self.writer.write::<EngineError>(store, Box::new(plan))?;
        answer.token = self.token(store, commit.revision, commit.time);
        answer.removed += commit.changes as u64;
        Ok(())
    }
}

impl Orphans<'_> {
    /// The state.
    pub fn token(&self) -> Token {
        self.token
    }

    /// How many there are, by relation, kind of subject and reason.
    pub fn groups(&self) -> Result<TupleGroups, EngineError> {
        let mut groups = TupleGroups::default();
        self.state.scan(&TupleFilter::default(), &mut |tuple, row| {
            if let Some(reason) = rejection(&self.program, tuple, row) {
                groups.add(tuple, row, reason);
            }
            ControlFlow::Continue(())
        })?;
        Ok(groups)
    }

    /// Visits them in the order of their keys, each with why it is one.
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(Tuple, &Rejection) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        self.state.scan(
            &TupleFilter::default(),
            &mut |tuple, row| match rejection(&self.program, tuple, row) {
                Some(reason) => visit(tuple_of(tuple.to_owned(), row), &reason),
                None => ControlFlow::Continue(()),
            },
        )?;
        Ok(())
    }
}

fn rejection(program: &Program, tuple: TupleRef<'_>, row: &Row) -> Option<Rejection> {
    admit_stored_key(program.schema(), tuple, row.condition.as_ref()).err()
}
