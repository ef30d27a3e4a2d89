//! Taking a store back to an earlier revision, by its change log: for a directory that is being restored, which nobody reads yet.
//!
//! The log is gone through backwards, and every change undone: what was written goes, what was ended comes back out of
//! the history. In bounded batches: a stop half-way leaves a directory that is not complete, and is begun anew.

use std::ops::ControlFlow;

use super::apply::{Batch, Staged, stage_tuple};
use super::families::{self, Family};
use super::key::{self, Direction};
use super::state::StateReader;
use super::{Database, purge, show};
use crate::storage::change::{ChangeKind, ChangeRecord};
use crate::storage::codec::{self, Head, PurgedValue};
use crate::storage::error::StorageError;
use crate::tuple::{Revision, StoreId, Timestamp};

/// Bytes of a batch.
const BATCH_BYTES: usize = 4 << 20;

/// A store that was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewound {
    /// The revision it had.
    pub from: Revision,
    /// The one it has.
    pub to: Revision,
    /// When that was committed; of revision 0: when the store was made.
    pub time: Timestamp,
    /// Changes that were undone.
    pub changes: u64,
}

/// A store on its way back.
struct Rewind<'d> {
    database: &'d Database,
    store: u32,
    to: Revision,
    batch: Batch<'d>,
}

impl Database {
    pub(super) fn rewind(
        &self,
        id: StoreId,
        to: Revision,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Rewound, StorageError> {
        let record = self.store(id).ok_or(StorageError::NoStore(id))?;
        let store = record.number;
        let state = StateReader::open(self, store)?;
        let from = state.head_revision();
        if to > from {
            return Err(StorageError::AboveHead { asked: to, head: from });
        }
        let (oldest, oldest_time) = state.oldest()?;
        if to < oldest {
            let oldest_time = oldest_time.unwrap_or(record.created_at);
            return Err(StorageError::BelowHorizon { asked: to, oldest, oldest_time });
        }
        let head = match to {
            Revision::ZERO => Head { revision: to, time: record.created_at, schema: None },
            _ if to == from => self.read_head(store)?,
            _ => {
                let record = state.record(to)?;
                Head { revision: to, time: record.time, schema: record.schema }
            }
        };
        let mut changes = 0;
        if to < from {
            let mut rewind = Rewind { database: self, store, to, batch: Batch::new(self) };
            rewind.forget_purges()?;
            changes = rewind.undo(&state, progress)?;
            rewind.forget_schemas()?;
            rewind.forget_answers()?;
            rewind.end(head)?;
            // They hold for the state that was.
            self.forget_ends(store);
        }
        Ok(Rewound { from, to, time: head.time, changes })
    }
}

impl Rewind<'_> {
    /// Refuses where a tuple that was there is purged, and forgets what was purged of what came later.
    fn forget_purges(&mut self) -> Result<(), StorageError> {
        let of_all = self.database.purged_key_of_all(self.store);
        let prefix = families::purged_prefix(self.store);
        let view = self.database.view();
        // One of what is kept, for the whole store.
        let mut all: Option<PurgedValue> = None;
        let mut refused = None;
        view.walk(Family::Meta, &prefix, &mut |key, value| {
            let Some(mark) = purge::read_mark(Some(value), key)? else {
                return Ok(ControlFlow::Continue(()));
            };
            if key == of_all {
                return Ok(ControlFlow::Continue(()));
            }
            if (mark.from..mark.until).contains(&self.to.0) {
                refused = Some(Revision(mark.until));
                return Ok(ControlFlow::Break(()));
            }
            if mark.from > self.to.0 {
                self.forget_mark(key, &mark)?;
            } else {
                let joined = all.get_or_insert(mark);
                joined.from = joined.from.min(mark.from);
                joined.until = joined.until.max(mark.until);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if let Some(until) = refused {
            return Err(StorageError::Purged { asked: self.to, until });
        }
        if let Some(mark) = purge::read_mark(view.get(Family::Meta, &of_all)?.as_deref(), &of_all)? {
            self.forget_mark(&of_all, &mark)?;
        }
        if let Some(mark) = all {
            let by_until = self.by_until(&of_all, &mark)?;
            self.batch.put(Family::Meta, &by_until, &[])?;
            self.batch.put(Family::Meta, &of_all, &codec::encode_purged(mark)?)?;
        }
        Ok(())
    }

    fn forget_mark(&mut self, key: &[u8], mark: &PurgedValue) -> Result<(), StorageError> {
        let by_until = self.by_until(key, mark)?;
        self.batch.delete(Family::Meta, key)?;
        self.batch.delete(Family::Meta, &by_until)?;
        self.commit_if_full()
    }

    /// The second row of a mark.
    fn by_until(&self, key: &[u8], mark: &PurgedValue) -> Result<Vec<u8>, StorageError> {
        let digest = key.get(families::purged_prefix(self.store).len()..).and_then(|it| it.try_into().ok());
        let digest = digest.ok_or_else(|| StorageError::damaged("meta", format!("key {}", show(key))))?;
        Ok(families::purged_until_key(self.store, Revision(mark.until), digest))
    }

    /// Undoes the changes after the revision, newest first: how many there were.
    fn undo(&mut self, state: &StateReader<'_>, progress: &mut dyn FnMut(u64)) -> Result<u64, StorageError> {
        let mut changes = 0;
        let mut undone = Ok(());
        state.changes_back(state.head_revision(), &mut |change| {
            if change.revision <= self.to {
                return ControlFlow::Break(());
            }
            changes += 1;
            undone = self.undo_one(&change);
            if undone.is_ok() && changes % 10_000 == 0 {
                progress(changes);
            }
            if undone.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        undone.map(|()| changes)
    }

    fn undo_one(&mut self, change: &ChangeRecord) -> Result<(), StorageError> {
        // What is purged had not begun at the revision, or had ended: else there is a mark.
        let Some(tuple) = change.tuple.as_ref().map(|tuple| tuple.key.as_ref()) else { return Ok(()) };
        let mut staged = Staged::default();
        if change.kind == ChangeKind::Written {
            stage_tuple(&mut staged, self.store, tuple, None)?;
        } else {
            let history =
                |direction| key::with_revision(key::tuple(direction, self.store, tuple), change.revision);
            let (forward, backward) = (history(Direction::Forward), history(Direction::Backward));
            let place = || format!("history row {}", show(&forward));
            let row = self.database.get(Family::History, &forward)?;
            let row = row.ok_or_else(|| StorageError::damaged(place(), "is missing"))?;
            let row = codec::decode_row(&row, &place)?;
            stage_tuple(&mut staged, self.store, tuple, Some(&row))?;
            staged.delete(Family::History, forward.clone());
            staged.delete(Family::HistoryBySubject, backward);
        }
        self.batch.take(staged)?;
        self.commit_if_full()
    }

    /// Schemas that were written later, with their assertions.
    fn forget_schemas(&mut self) -> Result<(), StorageError> {
        for (id, written) in self.database.schemas(self.store)? {
            if written > self.to {
                let key = key::schema(self.store, id.to_bytes());
                self.batch.delete(Family::Schemas, &key)?;
                self.batch.delete(Family::Assertions, &key)?;
            }
        }
        Ok(())
    }

    /// A later write, sent again, is to be made again; and an import cannot know how much of it is still there.
    fn forget_answers(&mut self) -> Result<(), StorageError> {
        let view = self.database.view();
        let prefix = families::answered_prefix(self.store);
        view.walk(Family::Meta, &prefix, &mut |key, value| {
            let answer = codec::decode_answered(value, &|| format!("meta row {}", show(key)))?;
            if answer.revision > self.to.0 {
                let digest = key.get(prefix.len()..).and_then(|it| it.try_into().ok());
                let digest =
                    digest.ok_or_else(|| StorageError::damaged("meta", format!("key {}", show(key))))?;
                let time = Timestamp::from_micros(answer.time);
                let by_time = families::answered_by_time_key(time, self.store, digest);
                self.batch.delete(Family::Meta, key)?;
                self.batch.delete(Family::Meta, &by_time)?;
                self.commit_if_full()?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        view.walk(Family::Meta, &families::imported_prefix(self.store), &mut |key, _| {
            self.batch.delete(Family::Meta, key)?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The log and the revisions end where the store does.
    fn end(mut self, head: Head) -> Result<(), StorageError> {
        let next = self.to.next();
        let prefix = key::store_prefix(self.store);
        let end = key::successor(&prefix)
            .ok_or_else(|| StorageError::Io(format!("store number {} is out of range", self.store)))?;
        self.batch.delete_range(Family::Changes, &key::change(self.store, next, 0), &end)?;
        self.batch.delete_range(Family::Revisions, &key::revision(self.store, next), &end)?;
        self.batch.put(Family::Meta, &families::head_key(self.store), &codec::encode_head(&head)?)?;
        self.batch.commit()
    }

    fn commit_if_full(&mut self) -> Result<(), StorageError> {
        if self.batch.bytes() < BATCH_BYTES {
            return Ok(());
        }
        std::mem::replace(&mut self.batch, Batch::new(self.database)).commit()
    }
}
