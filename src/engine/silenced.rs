//! What a new schema makes of the stored tuples: which stay, which move, which it would silence.
//!
//! A store is searched through in a state that is held, while writes go on. The writer's plan then looks only at what was
//! changed since, by the change log.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::admission::{Rejection, admit_stored_key};
use super::apply::ApplyRefusal;
use super::error::EngineError;
use super::renames::Renames;
use super::tuple_groups::TupleGroups;
use crate::eval::Program;
use crate::storage::{Database, Row, StateReader, TupleFilter, TupleReader};
use crate::tuple::{Revision, SchemaId, Timestamp, TupleKey, TupleRef};

/// Changes since the search that the plan looks at: all other writes wait for it.
const MEANWHILE_MAX: usize = 100_000;

/// The schemas before and after, and what else is asked for.
pub(super) struct Judge {
    /// None: there was none, so no tuple counts.
    pub(super) before: Option<Arc<Program>>,
    pub(super) after: Arc<Program>,
    pub(super) renames: Renames,
    /// Tuples that are gone afterwards.
    pub(super) deleted: HashSet<TupleKey>,
    /// Tuples that are written, as the new schema calls them.
    pub(super) written: HashSet<TupleKey>,
}

/// What becomes of a stored tuple.
pub(super) enum Fate {
    /// Nothing: it counts as before, or did not count before either.
    Stays,
    /// It counts under another name.
    Moves(TupleKey),
    /// It does not count any longer.
    Silenced(Rejection),
}

/// What a search through a store has found.
pub(super) struct Looked {
    pub(super) silenced: TupleGroups,
    /// The state that was searched.
    revision: Revision,
    now: Timestamp,
    pub(super) schema: Option<SchemaId>,
}

impl Judge {
    /// What becomes of a tuple. One that did not count before stays where it is: no rename gives it a meaning.
    pub(super) fn fate(&self, tuple: TupleRef<'_>, row: &Row) -> Result<Fate, ApplyRefusal> {
        let counts =
            |program: &Program, tuple| admit_stored_key(program.schema(), tuple, row.condition.as_ref());
        let counted = self.before.as_ref().is_some_and(|before| counts(before, tuple).is_ok());
        if !counted || is_among(&self.deleted, tuple) {
            return Ok(Fate::Stays);
        }
        let renamed = self.renames.renamed(tuple);
        let renamed =
            renamed.map_err(|cause| ApplyRefusal::Unnameable { tuple: tuple.to_string(), cause })?;
        let name = renamed.as_ref().map_or(tuple, TupleKey::as_ref);
        Ok(match (counts(&self.after, name), renamed) {
            (Ok(()), Some(renamed)) => Fate::Moves(renamed),
            (Err(reason), _) if !is_among(&self.written, tuple) => Fate::Silenced(reason),
            _ => Fate::Stays,
        })
    }

    /// Searches through a state.
    pub(super) fn look_through(&self, state: &StateReader<'_>) -> Result<Looked, EngineError> {
        let mut silenced = TupleGroups::default();
        let mut failed = Ok(());
        state.scan(&TupleFilter::default(), &mut |tuple, row| {
            match self.fate(tuple, row) {
                Ok(Fate::Silenced(reason)) => silenced.add(tuple, row, reason),
                Ok(Fate::Stays | Fate::Moves(_)) => {}
                Err(error) => {
                    failed = Err(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        failed?;
        Ok(Looked { silenced, revision: state.revision(), now: state.now(), schema: state.schema()? })
    }

    /// Brings what was found up to the state of a plan, which has to have all of its tuples in the change log.
    pub(super) fn look_again(
        &self,
        looked: &mut Looked,
        (database, store): (&Database, u32),
        state: &dyn TupleReader,
    ) -> Result<(), EngineError> {
        let head = database.head(store)?;
        let before = head.elsewhere(looked.revision, looked.now)?;
        for key in changed_since(&head, looked.revision)? {
            let tuple = key.as_ref();
            if let Some(row) = before.get(tuple)?
                && let Fate::Silenced(reason) = self.fate(tuple, &row)?
            {
                looked.silenced.remove(tuple, &reason);
            }
            if let Some(row) = state.get(tuple)?
                && let Fate::Silenced(reason) = self.fate(tuple, &row)?
            {
                looked.silenced.add(tuple, &row, reason);
            }
        }
        Ok(())
    }
}

/// The tuples that the change log names behind a revision.
fn changed_since(head: &StateReader<'_>, revision: Revision) -> Result<HashSet<TupleKey>, EngineError> {
    let (mut keys, mut entries) = (HashSet::new(), 0);
    let mut refused = None;
    head.changes((revision.next(), 0), &mut |change| {
        entries += 1;
        match change.tuple {
            Some(tuple) if entries <= MEANWHILE_MAX => {
                keys.insert(tuple.key);
                return ControlFlow::Continue(());
            }
            Some(_) => refused = Some(ApplyRefusal::TooMuchMeanwhile(MEANWHILE_MAX)),
            // Which tuples they were is not known any longer.
            None => refused = Some(ApplyRefusal::PurgedMeanwhile),
        }
        ControlFlow::Break(())
    })?;
    refused.map_or(Ok(keys), |refusal| Err(refusal.into()))
}

fn is_among(keys: &HashSet<TupleKey>, tuple: TupleRef<'_>) -> bool {
    !keys.is_empty() && keys.contains(&tuple.to_owned())
}
