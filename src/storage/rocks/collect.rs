//! Dropping the past below a horizon (DESIGN.md §5, *Retention*), and finding rows that have ended.

use std::ops::ControlFlow;

use super::apply::Batch;
use super::families::{self, Family};
use super::key::{self, Direction};
use super::state::StateReader;
use super::{Database, read_change, show};
use crate::storage::change::ChangeKind;
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::filter::TupleFilter;
use crate::storage::reader::TupleReader;
use crate::tuple::{Revision, Timestamp, TupleKey};

/// Entries of the log that are dropped with one batch, so that no write waits long for it.
const ENTRIES_MAX: u64 = 2_000;

/// Rows that are read between two visits, at most.
const ROWS_PER_VISIT: u64 = 10_000;

/// What one batch of a collection dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// The oldest revision that is kept.
    pub horizon: Revision,
    /// Rows of the past, each counted once.
    pub history: u64,
    /// Entries of the change log.
    pub changes: u64,
    /// Where the next part begins; none: nothing is left to drop below the horizon.
    pub next: Option<(Revision, u32)>,
}

impl Database {
    /// The oldest revision whose state is kept.
    pub fn horizon(&self, store: u32) -> Result<Revision, StorageError> {
        let key = families::horizon_key(store);
        let Some(bytes) = self.get(Family::Meta, &key)? else { return Ok(Revision::ZERO) };
        codec::decode_number(&bytes, &|| format!("meta row {}", show(&key))).map(Revision)
    }

    /// Moves the horizon up to the state of a time, as far as nobody holds what is below, and drops a part of what is
    /// below it. For the writer's thread.
    pub(in crate::storage) fn collect_some(
        &self,
        store: u32,
        before: Timestamp,
        from: (Revision, u32),
    ) -> Result<Collected, StorageError> {
        let horizon = self.raise_horizon(store, before)?;
        if horizon == Revision::ZERO {
            return Ok(Collected::default());
        }
        let mut batch = Batch::new(self);
        let mut collected = self.drop_changes(store, horizon, from, &mut batch)?;
        if collected.next.is_none() {
            let revisions = key::revision(store, Revision::ZERO);
            if self.has_any(Family::Revisions, &revisions, &key::revision(store, horizon))? {
                batch.delete_range(Family::Revisions, &revisions, &key::revision(store, horizon))?;
            }
            if !self.forget_purged(store, horizon, &mut batch)? {
                collected.next = Some((horizon.next(), 0));
            }
        }
        if !batch.is_empty() {
            batch.commit()?;
        }
        Ok(collected)
    }

    /// The horizon is durable before anything below it is dropped.
    fn raise_horizon(&self, store: u32, before: Timestamp) -> Result<Revision, StorageError> {
        let horizon = self.horizon(store)?;
        let wanted = match StateReader::open(self, store)?.revision_at(before) {
            Ok(wanted) => wanted,
            Err(StorageError::BelowHorizon { .. }) => return Ok(horizon),
            Err(error) => return Err(error),
        };
        if wanted <= horizon {
            return Ok(horizon);
        }
        let passed = self.pins.pass(store, wanted).max(horizon);
        if passed > horizon {
            let mut batch = Batch::new(self);
            batch.put(Family::Meta, &families::horizon_key(store), &codec::encode_number(passed.0)?)?;
            batch.commit()?;
        }
        Ok(passed)
    }

    /// Whoever ended at or before the horizon has an entry there, which goes together with its rows.
    fn drop_changes(
        &self,
        store: u32,
        horizon: Revision,
        from: (Revision, u32),
        batch: &mut Batch<'_>,
    ) -> Result<Collected, StorageError> {
        let mut collected = Collected { horizon, ..Collected::default() };
        let (mut begin, mut end) = (None, None);
        let start = key::change(store, from.0, from.1);
        self.view().walk_from(Family::Changes, &start, &key::store_prefix(store), &mut |at, value| {
            let change = read_change(at, value)?;
            if change.revision > horizon {
                return Ok(ControlFlow::Break(()));
            }
            if collected.changes == ENTRIES_MAX {
                collected.next = Some((change.revision, change.ordinal));
                return Ok(ControlFlow::Break(()));
            }
            collected.changes += 1;
            begin.get_or_insert_with(|| at.to_vec());
            end = Some(key::change(store, change.revision, change.ordinal.saturating_add(1)));
            let ended = change.tuple.filter(|_| change.kind != ChangeKind::Written);
            if let Some(tuple) = ended {
                collected.history += 1;
                for (family, direction) in
                    [(Family::History, Direction::Forward), (Family::HistoryBySubject, Direction::Backward)]
                {
                    let key = key::tuple(direction, store, tuple.key.as_ref());
                    batch.delete(family, &key::with_revision(key, change.revision))?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if let (Some(begin), Some(end)) = (begin, end) {
            batch.delete_range(Family::Changes, &begin, &end)?;
        }
        Ok(collected)
    }

    fn has_any(&self, family: Family, start: &[u8], end: &[u8]) -> Result<bool, StorageError> {
        let mut found = false;
        self.view().walk_from(family, start, &[], &mut |key, _| {
            found = key < end;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Remembers that a tuple of a store ends.
    pub(super) fn note_end(&self, store: u32, end: Timestamp) {
        // Of a store that has not been searched through, nothing is known either way.
        self.ends.alter(&store, |_, earliest| earliest.min(end));
    }

    /// Whether a tuple of a store may have ended and not been collected: known after one search through the store.
    pub fn may_have_ended(&self, store: u32, now: Timestamp) -> bool {
        self.ends.view(&store, |_, &earliest| earliest <= now).unwrap_or(true)
    }

    /// Visits the tuples of a store that have ended by a time and are still there; now and then nothing, so that the visitor
    /// can break.
    pub fn ended(
        &self,
        store: u32,
        now: Timestamp,
        visit: &mut dyn FnMut(Option<TupleKey>) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        // Ends of tuples written from here on are noted beside what is found.
        self.ends.insert(store, Timestamp::from_micros(i64::MAX));
        let state = StateReader::open(self, store)?.at_time(Timestamp::from_micros(i64::MIN));
        let (mut is_whole, mut rows) = (true, 0_u64);
        let scanned = state.scan(&TupleFilter::default(), &mut |tuple, row| {
            rows += 1;
            let ended = row.expires_at.filter(|&end| end <= now);
            if let Some(end) = row.expires_at.filter(|_| ended.is_none()) {
                self.note_end(store, end);
            }
            if ended.is_none() && !rows.is_multiple_of(ROWS_PER_VISIT) {
                return ControlFlow::Continue(());
            }
            let flow = visit(ended.map(|_| tuple.to_owned()));
            is_whole = flow.is_continue();
            flow
        });
        if scanned.is_err() || !is_whole {
            self.forget_ends(store);
        }
        scanned
    }

    /// Has the next collection search through a store again.
    pub fn forget_ends(&self, store: u32) {
        self.ends.remove(&store);
    }

    /// Merges the table files that held what a collection dropped, so that their bytes are given back.
    pub fn compact_past(&self, store: u32, horizon: Revision) -> Result<(), StorageError> {
        let start = key::store_prefix(store);
        let below = key::revision(store, horizon.next());
        let end = key::successor(&start);
        let mut options = rocksdb::CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        for (family, end) in [
            (Family::Changes, Some(&below)),
            (Family::Revisions, Some(&below)),
            (Family::History, end.as_ref()),
            (Family::HistoryBySubject, end.as_ref()),
        ] {
            let handle = self.family(family)?;
            self.db.compact_range_cf_opt(handle, Some(&start), end, &options);
        }
        Ok(())
    }
}
