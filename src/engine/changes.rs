//! Changes: the log, oldest first.

use std::ops::ControlFlow;

use super::Engine;
use super::error::EngineError;
use crate::storage::{
    ChangeKind, ChangeRecord, Pin, RevisionKind, RevisionRecord, StorageError, StoreRecord, TupleReader,
};
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

    /// Visits the change log, with what is known of each change's revision; what it reads is held meanwhile. Of a purge
    /// the one entry that tells of it is visited, whatever type is asked for; entries that it left without a name are not.
    ///
    /// # Errors
    /// [`StorageError::LogCollected`] where changes that are asked for are no longer kept.
    pub fn changes(
        &self,
        request: &ChangesRequest,
        visit: &mut dyn FnMut(&ChangeRecord, &RevisionRecord) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let store = self.store(request.store)?;
        let (_held, behind) = self.behind(&store, &request.from)?;
        let from = behind.1.checked_add(1).map_or((behind.0.next(), 0), |ordinal| (behind.0, ordinal));
        let mut last: Option<(Revision, RevisionRecord)> = None;
        let mut failed = None;
        self.database().changes(store.number, from, &mut |change| {
            let object_type = change.tuple.as_ref().map(|tuple| tuple.key.object.object_type());
            let is_other = object_type
                .is_some_and(|found| request.object_type.as_deref().is_some_and(|wanted| wanted != found));
            if is_other {
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
            if change.kind == ChangeKind::Purged && record.kind != RevisionKind::Purge {
                return ControlFlow::Continue(());
            }
            visit(&change, &record)
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Holds the log behind a place, which is a change by its revision and number (the greatest: all of that revision), until the
    /// pin is dropped.
    ///
    /// # Errors
    /// [`StorageError::LogCollected`] where something behind it is no longer kept.
    pub fn hold_log(&self, store: StoreId, place: (Revision, u32)) -> Result<Pin, EngineError> {
        let store = self.store(store)?;
        self.hold(&store, place)
    }

    fn hold(&self, store: &StoreRecord, (revision, ordinal): (Revision, u32)) -> Result<Pin, EngineError> {
        let database = self.database();
        // In the middle of a revision, its own entries are needed too.
        if ordinal < u32::MAX
            && revision > Revision::ZERO
            && let Some(pin) = database.hold(store.number, Revision(revision.0 - 1))?
        {
            return Ok(pin);
        }
        if let Some(pin) = database.hold(store.number, revision)? {
            let is_whole = ordinal == u32::MAX || {
                let record = database.revision_record(store.number, revision)?;
                record.is_none_or(|record| ordinal.saturating_add(1) >= record.changes)
            };
            if is_whole {
                return Ok(pin);
            }
        }
        let (oldest, time) = database.head(store.number)?.oldest()?;
        Err(StorageError::LogCollected { oldest, oldest_time: time.unwrap_or(store.created_at) }.into())
    }

    /// The oldest revision of a store whose state is kept, and when it was committed.
    pub fn oldest(&self, store: StoreId) -> Result<(Revision, Timestamp), EngineError> {
        let store = self.store(store)?;
        let (oldest, time) = self.database().head(store.number)?.oldest()?;
        Ok((oldest, time.unwrap_or(store.created_at)))
    }

    /// Where a part of the log begins: behind which change of which revision, and what holds it.
    fn behind(&self, store: &StoreRecord, from: &ChangesFrom) -> Result<(Pin, (Revision, u32)), EngineError> {
        let number = store.number;
        let state = self.database().head(number)?;
        if state.is_gone() {
            return Err(StorageError::NoStore(store.id).into());
        }
        let place = match from {
            ChangesFrom::Oldest => loop {
                // The horizon may go on between the two.
                let state = self.database().head(number)?;
                if state.is_gone() {
                    return Err(StorageError::NoStore(store.id).into());
                }
                let (oldest, _) = state.oldest()?;
                if let Some(pin) = self.database().hold(number, oldest)? {
                    return Ok((pin, (oldest, u32::MAX)));
                }
            },
            ChangesFrom::After(token) => (self.open_token(store, token)?.revision, u32::MAX),
            ChangesFrom::Behind(revision, ordinal) => (*revision, *ordinal),
            ChangesFrom::Time(time) => {
                let just_before = Timestamp::from_micros(time.as_micros().saturating_sub(1));
                match self.database().at_time(number, just_before) {
                    Ok(state) => (state.revision(), u32::MAX),
                    Err(StorageError::BelowHorizon { .. }) => (Revision::ZERO, 0),
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let head = state.revision();
        // What a time leads to may be newer than the snapshot.
        if place.0 > head && !matches!(from, ChangesFrom::Time(_)) {
            return Err(StorageError::AboveHead { asked: place.0, head }.into());
        }
        Ok((self.hold(store, place)?, place))
    }

    pub(super) fn revision_of(&self, store: u32, revision: Revision) -> Result<RevisionRecord, StorageError> {
        self.database().revision_record(store, revision)?.ok_or_else(|| StorageError::Damaged {
            place: "revisions".to_owned(),
            detail: format!("revision {revision} is missing"),
        })
    }
}
