//! Changes: the log, oldest first.

use std::ops::ControlFlow;

use super::Engine;
use super::error::EngineError;
use crate::storage::{ChangeRecord, RevisionRecord, StorageError, TupleReader};
use crate::tuple::{Revision, StoreId, Timestamp};

/// What part of the log.
#[derive(Debug, Clone)]
pub struct ChangesRequest {
    /// Of which store.
    pub store: StoreId,
    /// From where on.
    pub from: ChangesFrom,
    /// Only changes of objects of this type.
    pub object_type: Option<String>,
}

/// Where a part of the log begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangesFrom {
    /// With the oldest that is kept.
    Oldest,
    /// Behind the state of a token.
    After(String),
    /// Behind the change of this number within its revision.
    Behind(Revision, u32),
    /// With the first revision committed at this time or later.
    Time(Timestamp),
}

impl Engine {
    /// Has somebody told of every new revision of every store, when it is durable and visible. The listener must be quick:
    /// writes wait for it.
    pub fn listen(&self, listener: impl Fn(StoreId, Revision) + Send + Sync + 'static) {
        self.writer.listen(Box::new(listener));
    }

    /// Visits the change log from a token on, with what is known of each change's revision.
    pub fn changes(
        &self,
        request: &ChangesRequest,
        visit: &mut dyn FnMut(&ChangeRecord, &RevisionRecord) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let store = self.store(request.store)?;
        let from = match &request.from {
            ChangesFrom::Oldest => (Revision::ZERO, 0),
            ChangesFrom::After(token) => (self.open_token(&store, token)?.revision.next(), 0),
            ChangesFrom::Behind(revision, ordinal) => (*revision, ordinal.saturating_add(1)),
            ChangesFrom::Time(time) => (self.first_since(store.number, *time)?, 0),
        };
        let mut last: Option<(Revision, RevisionRecord)> = None;
        let mut failed = None;
        self.database().changes(store.number, from, &mut |change| {
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

    /// The first revision committed at a time or later.
    fn first_since(&self, store: u32, time: Timestamp) -> Result<Revision, StorageError> {
        let just_before = Timestamp::from_micros(time.as_micros().saturating_sub(1));
        match self.database().at_time(store, just_before) {
            Ok(state) => Ok(state.revision().next()),
            Err(StorageError::BelowHorizon { oldest, .. }) => Ok(oldest),
            Err(error) => Err(error),
        }
    }

    fn revision_of(&self, store: u32, revision: Revision) -> Result<RevisionRecord, StorageError> {
        self.database().revision_record(store, revision)?.ok_or_else(|| StorageError::Damaged {
            place: "revisions".to_owned(),
            detail: format!("revision {revision} is missing"),
        })
    }
}
