//! Changes: the log, oldest first.

use std::ops::ControlFlow;

use super::Engine;
use super::error::EngineError;
use crate::storage::{ChangeRecord, RevisionRecord, StorageError};
use crate::tuple::{Revision, StoreId};

/// What part of the log.
#[derive(Debug, Clone)]
pub struct ChangesRequest {
    /// Of which store.
    pub store: StoreId,
    /// Only what came after this token.
    pub after: Option<String>,
    /// Only changes of objects of this type.
    pub object_type: Option<String>,
}

impl Engine {
    /// Visits the change log from a token on, with what is known of each change's revision.
    pub fn changes(
        &self,
        request: &ChangesRequest,
        visit: &mut dyn FnMut(&ChangeRecord, &RevisionRecord) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let store = self.store(request.store)?;
        let after = match &request.after {
            Some(token) => self.open_token(&store, token)?.revision,
            None => Revision::ZERO,
        };
        let mut last: Option<(Revision, RevisionRecord)> = None;
        let mut failed = None;
        self.database().changes(store.number, (after.next(), 0), &mut |change| {
            let object_type = change.tuple.key.object.object_type();
            if request.object_type.as_deref().is_some_and(|wanted| wanted != object_type) {
                return ControlFlow::Continue(());
            }
            let record = match last {
                Some((revision, record)) if revision == change.revision => record,
                _ => match self.revision_of(store.number, change.revision) {
                    Ok(record) => record,
                    Err(error) => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                },
            };
            last = Some((change.revision, record));
            visit(&change, &record)
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn revision_of(&self, store: u32, revision: Revision) -> Result<RevisionRecord, StorageError> {
        self.database().revision_record(store, revision)?.ok_or_else(|| StorageError::Damaged {
            place: "revisions".to_owned(),
            detail: format!("revision {revision} is missing"),
        })
    }
}
