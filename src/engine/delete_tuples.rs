//! Delete by filter, and whatever names an object: as one revision, or in bounded steps.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::Engine;
use super::error::EngineError;
use super::write::WriteRefusal;
use crate::storage::{Change, ObjectFilter, SubjectFilter, TupleFilter, TupleReader};
use crate::tuple::{Object, StoreId, Token, TupleKey};

/// What is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteWhat {
    /// Every tuple that a filter matches.
    Matching(TupleFilter),
    /// Every tuple that names an object: as object, subject or in a userset.
    Naming(Object),
}

/// A deletion.
#[derive(Debug, Clone)]
pub struct DeleteRequest {
    /// In which store.
    pub store: StoreId,
    /// What.
    pub what: DeleteWhat,
    /// At most so many tuples, as one revision, and then no more; none: all of them as one revision, or nothing.
    pub step: Option<usize>,
    /// Count, and delete nothing.
    pub is_trial: bool,
}

/// What a deletion did.
#[derive(Debug, Clone)]
pub struct DeleteAnswer {
    /// The state it left.
    pub token: Token,
    /// How many tuples were deleted; of a trial, how many would be.
    pub deleted: usize,
    /// Whether more are left to delete.
    pub is_more: bool,
}

impl Engine {
    /// Deletes tuples. In steps: to be called again until nothing is left.
    ///
    /// # Errors
    /// [`WriteRefusal::TooManyTuples`] where one revision would take too many; then nothing was deleted.
    pub fn delete_tuples(&self, request: &DeleteRequest) -> Result<DeleteAnswer, EngineError> {
        let store = self.store(request.store)?;
        let limit = self.settings().delete_tuples_max;
        let at_most = request.step.map_or(limit, |step| step.clamp(1, limit));
        let what = request.what.clone();
        if request.is_trial {
            let state = self.held_state(&store, &super::At::Head)?;
            let mut deleted = 0;
            visit(&state, &what, &mut |_| {
                deleted += 1;
                ControlFlow::Continue(())
            })?;
            return Ok(DeleteAnswer { token: self.token_of(store.id, &state), deleted, is_more: false });
        }
        let is_whole = request.step.is_none();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let plan = move |state: &dyn TupleReader, _| -> Result<Vec<Change>, EngineError> {
            // A tuple may name the object on both sides.
            let mut keys: Vec<TupleKey> = Vec::new();
            let mut seen = HashSet::new();
            let mut is_more = false;
            visit(state, &what, &mut |key| {
                is_more = keys.len() == at_most && !seen.contains(&key);
                if is_more {
                    return ControlFlow::Break(());
                }
                if seen.insert(key.clone()) {
                    keys.push(key);
                }
                ControlFlow::Continue(())
            })?;
            if is_whole && is_more {
                return Err(WriteRefusal::TooManyDeleted(at_most).into());
            }
            // The receiver is there until the write is answered.
            let _ = tell.send(is_more);
            Ok(keys.into_iter().map(Change::Delete).collect())
        };
        let commit = self.writer.write::<EngineError>(store.id, Box::new(plan))?;
        Ok(DeleteAnswer {
            token: self.token(store.id, commit.revision, commit.time),
            deleted: commit.changes,
            is_more: told.try_recv().unwrap_or(false),
        })
    }
}

/// Visits what is to be deleted; of what names an object, some tuples twice.
fn visit(
    state: &dyn TupleReader,
    what: &DeleteWhat,
    visit: &mut dyn FnMut(TupleKey) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let filters = match what {
        DeleteWhat::Matching(filter) => vec![filter.clone()],
        DeleteWhat::Naming(object) => vec![
            TupleFilter { object: Some(ObjectFilter::Object(object.clone())), ..TupleFilter::default() },
            TupleFilter { subject: Some(SubjectFilter::Naming(object.clone())), ..TupleFilter::default() },
        ],
    };
    let mut flow = ControlFlow::Continue(());
    for filter in filters {
        if flow.is_continue() {
            state.scan(&filter, &mut |tuple, _| {
                flow = visit(tuple.to_owned());
                flow
            })?;
        }
    }
    Ok(())
}
