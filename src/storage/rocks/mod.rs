//! RocksDB: its families, options, keys and files. No type of it leaves this folder.

mod answered;
mod apply;
mod backup;
mod clock;
mod collect;
mod directory;
mod families;
mod import;
mod key;
mod log;
mod open;
mod perf;
mod pins;
mod purge;
mod restore;
mod rewind;
mod seal;
mod state;
mod statistics;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use rocksdb::{DB, Options, ReadOptions, WriteBatch, WriteOptions};

use super::change::{ChangeKind, ChangeRecord, RevisionRecord};
use super::codec::{self, Head, StoreRecord};
use super::error::StorageError;
use super::stripes::{Stripe, Stripes};
use crate::tuple::{Incarnation, Revision, SchemaId, StoreId, Timestamp, TokenKey, Tuple};
pub(super) use apply::Batch;
pub use backup::{BackedUpStore, Backup, BackupDone, BackupStep, list_backups, verify_backups};
use clock::Clock;
pub(super) use clock::UnderWay;
pub use collect::Collected;
use directory::ROCKSDB_DIR;
pub(super) use families::{DROPPING, Family, HEAD, HORIZON, NEXT_STORE_KEY, head_key, horizon_key};
pub(super) use import::Lock;
pub use import::{ClashKind, FileImport, OnStored, Place, Prepared, Progress};
pub(super) use key::{Direction, Parts, REVISION_BYTES, parse, show, tuple as tuple_key};
#[cfg(fuzzing)]
pub(super) use log::{append_log_record, scan_log};
use open::Closing;
pub use open::DatabaseOptions;
pub(super) use perf::Perf;
pub use pins::Pin;
use pins::Pins;
pub use purge::Purged;
pub use restore::Restored;
pub use rewind::Rewound;
pub use state::StateReader;
pub use statistics::RocksCounts;

/// An open data directory.
pub struct Database {
    db: DB,
    /// What RocksDB was opened with, which is where its counters are found; none: it counts nothing.
    statistics: Option<Options>,
    dir: PathBuf,
    incarnation: Incarnation,
    is_restored: bool,
    token_key: TokenKey,
    stores: DashMap<StoreId, StoreRecord>,
    clock: Clock,
    pins: Arc<Pins>,
    /// Stores that an import by files is being prepared for.
    preparing: Arc<DashMap<u32, ()>>,
    /// Stores that an import has to itself.
    importing: DashMap<u32, ()>,
    /// Held by whoever takes in table files, and by a backup, which must not see the half of it.
    ingesting: Mutex<()>,
    /// Since when tuples have not changed; none: nobody asks.
    stripes: Option<Stripes>,
    /// Held by whoever makes a batch visible, so that its sequence numbers are known before it is.
    committing: Mutex<()>,
    /// The newest head that was read of each store, with the sequence number of the snapshot it was read from: under a
    /// snapshot of the same number nothing is different.
    heads: DashMap<u32, (u64, Head)>,
    /// No tuple of a store ends before this; of a store that is not in it nothing is known.
    ends: DashMap<u32, Timestamp>,
    /// INVARIANT: stands last, so that it is dropped when RocksDB is closed.
    closing: Closing,
}

/// What a family takes on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilySize {
    /// Its name.
    pub family: &'static str,
    /// RocksDB's estimate of its rows, of all stores.
    pub rows_estimate: u64,
    /// Bytes of its table files.
    pub file_bytes: u64,
    /// Bytes of its rows that are not in table files yet.
    pub memory_bytes: u64,
}

/// What RocksDB holds and does, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStats {
    /// What every family takes.
    pub families: Vec<FamilySize>,
    /// Bytes of blocks that are in memory.
    pub block_cache_bytes: u64,
    /// Bytes that compactions have still to rewrite, estimated.
    pub compaction_pending_bytes: u64,
    /// Compactions that are running.
    pub compactions_running: u64,
    /// What RocksDB does in the background that has failed since it was opened.
    pub background_errors: u64,
    /// What RocksDB has counted since then; none: it counts nothing.
    pub counts: Option<RocksCounts>,
    /// Whether writes are taken; not, once what reached the disk is unknown.
    pub is_writable: bool,
}

impl Database {
    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which life of the data directory this is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Whether it was made by a restore, this life or an earlier one.
    pub fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// The secret that tokens are sealed with.
    pub fn token_key(&self) -> &TokenKey {
        &self.token_key
    }

    /// The store of this id.
    pub fn store(&self, id: StoreId) -> Option<StoreRecord> {
        self.stores.view(&id, |_, record| record.clone())
    }

    /// The number of the store of this id: what its keys begin with.
    pub fn store_number(&self, id: StoreId) -> Option<u32> {
        self.stores.view(&id, |_, record| record.number)
    }

    /// All stores, by id, which is the order in which they were made.
    pub fn stores(&self) -> Vec<StoreRecord> {
        let mut stores: Vec<StoreRecord> = self.stores.iter().map(|entry| entry.value().clone()).collect();
        stores.sort_by_key(|record| record.id);
        stores
    }

    /// Now: the wall clock or `floor`, whichever is later, and never earlier than any answer before.
    pub fn now(&self, floor: Timestamp) -> Timestamp {
        self.clock.now(floor)
    }

    /// Now, but for steps ahead of the wall clock that have not lasted: until when what has ended, and what need not be kept,
    /// may be dropped for ever.
    pub fn steady_now(&self) -> Timestamp {
        self.now(Timestamp::default()).min(self.clock.steady())
    }

    /// The time of the next commit: later than every time that was given out before. Only while a batch is under way.
    pub(super) fn commit_time(&self, floor: Timestamp) -> Timestamp {
        self.clock.commit_time(floor)
    }

    /// To be held from before the first commit time of a batch is taken until the batch is visible.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.clock.begin()
    }

    /// The same as [`Database::head`], with the state held: it stays readable from elsewhere as long as the reader lives.
    pub fn head_held(&self, store: u32) -> Result<StateReader<'_>, StorageError> {
        loop {
            let reader = self.head(store)?;
            if reader.is_gone() {
                return Ok(reader);
            }
            // Once passed over by the horizon, a later snapshot is above it.
            if let Some(reader) = reader.held() {
                return Ok(reader);
            }
        }
    }

    /// Holds a revision, so that its state and the log behind it are not collected; none when they may have been.
    pub fn hold(&self, store: u32, revision: Revision) -> Result<Option<Pin>, StorageError> {
        let pin = self.pins.hold(store, revision);
        // The horizon of a former process is known from the files alone.
        Ok(if self.horizon(store)? <= revision { pin } else { None })
    }

    /// A reader of the store's newest state, now.
    pub fn head(&self, store: u32) -> Result<StateReader<'_>, StorageError> {
        let reader = StateReader::open(self, store)?;
        let now = self.now(reader.head_time());
        Ok(reader.at_time(now))
    }

    /// A reader of the state at a revision, with expiry decided at `now`.
    ///
    /// # Errors
    /// [`StorageError::AboveHead`] and [`StorageError::BelowHorizon`].
    pub fn past(
        &self,
        store: u32,
        revision: Revision,
        now: Timestamp,
    ) -> Result<StateReader<'_>, StorageError> {
        StateReader::open(self, store)?.at_time(now).at_revision(revision)
    }

    /// A reader of the last state committed at or before a time, seen at that time. Asked again, it shows the same: it
    /// waits for a batch under way that may hold a commit of that time, so no plan may ask for it.
    ///
    /// # Errors
    /// [`StorageError::FutureTime`] and [`StorageError::BelowHorizon`].
    pub fn at_time(&self, store: u32, time: Timestamp) -> Result<StateReader<'_>, StorageError> {
        let now = self.now(Timestamp::default());
        if time > now {
            return Err(StorageError::FutureTime { asked: time, now });
        }
        self.clock.wait_for_commits(time);
        let reader = StateReader::open(self, store)?;
        let revision = reader.revision_at(time)?;
        reader.at_time(time).at_revision(revision)
    }

    /// The store's newest revision, its time and its schema.
    pub(super) fn read_head(&self, store: u32) -> Result<Head, StorageError> {
        let key = families::head_key(store);
        match self.get(Family::Meta, &key)? {
            Some(bytes) => codec::decode_head(&bytes, &|| format!("meta row {}", show(&key))),
            None => Err(StorageError::damaged("meta", format!("store number {store} has no head"))),
        }
    }

    /// What the log remembers of a revision.
    pub fn revision_record(
        &self,
        store: u32,
        revision: Revision,
    ) -> Result<Option<RevisionRecord>, StorageError> {
        let key = key::revision(store, revision);
        let Some(bytes) = self.get(Family::Revisions, &key)? else { return Ok(None) };
        codec::decode_revision(&bytes, &|| format!("revisions row {revision}")).map(Some)
    }

    /// A schema's document, and the revision that wrote it.
    pub fn schema(&self, store: u32, id: SchemaId) -> Result<Option<(Revision, String)>, StorageError> {
        let Some(bytes) = self.get(Family::Schemas, &key::schema(store, id.to_bytes()))? else {
            return Ok(None);
        };
        let value = codec::decode_schema(&bytes, &|| format!("schema {id}"))?;
        Ok(Some((Revision(value.revision), value.document)))
    }

    /// The ids of all schemas of a store with the revision that wrote each, newest first by revision.
    pub fn schemas(&self, store: u32) -> Result<Vec<(SchemaId, Revision)>, StorageError> {
        let mut found = Vec::new();
        self.view().walk(Family::Schemas, &key::store_prefix(store), &mut |key, value| {
            let id = key.get(key::STORE_BYTES..).and_then(|id| id.try_into().ok()).map(SchemaId::from_bytes);
            let id = id.ok_or_else(|| StorageError::damaged("schemas", format!("key {}", show(key))))?;
            let value = codec::decode_schema(value, &|| format!("schema {id}"))?;
            found.push((id, Revision(value.revision)));
            Ok(ControlFlow::Continue(()))
        })?;
        found.sort_by_key(|&(_, revision)| std::cmp::Reverse(revision));
        Ok(found)
    }

    /// The assertions of a schema, as they were written.
    pub fn assertions(&self, store: u32, schema: SchemaId) -> Result<Option<String>, StorageError> {
        let Some(bytes) = self.get(Family::Assertions, &key::schema(store, schema.to_bytes()))? else {
            return Ok(None);
        };
        codec::decode_assertions(&bytes, &|| format!("assertions of schema {schema}")).map(Some)
    }

    /// How far a live import has come.
    pub fn import_position(&self, store: u32, import: [u8; 16]) -> Result<Option<String>, StorageError> {
        let key = families::imported_key(store, import);
        let Some(bytes) = self.get(Family::Meta, &key)? else { return Ok(None) };
        codec::decode_position(&bytes, &|| format!("meta row {}", show(&key))).map(Some)
    }

    /// Visits the change log from a position (included) on, oldest first, up to the head.
    pub fn changes(
        &self,
        store: u32,
        from: (Revision, u32),
        visit: &mut dyn FnMut(ChangeRecord) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let start = key::change(store, from.0, from.1);
        let view = self.view();
        let key = families::head_key(store);
        let Some(head) = view.get(Family::Meta, &key)? else { return Ok(()) };
        let head = codec::decode_head(&head, &|| format!("meta row {}", show(&key)))?.revision;
        view.walk_from(Family::Changes, &start, &key::store_prefix(store), &mut |key, value| {
            let change = read_change(key, value)?;
            // What an import is about to make visible.
            Ok(if change.revision > head { ControlFlow::Break(()) } else { visit(change) })
        })
    }

    /// Bytes and estimated rows of every family.
    pub fn family_sizes(&self) -> Result<Vec<FamilySize>, StorageError> {
        let number = |family: Family, property: &str| -> Result<u64, StorageError> {
            let value =
                self.db.property_int_value_cf(self.family(family)?, property).map_err(open::from_rocks)?;
            Ok(value.unwrap_or(0))
        };
        Family::ALL
            .into_iter()
            .map(|family| {
                Ok(FamilySize {
                    family: family.name(),
                    rows_estimate: number(family, "rocksdb.estimate-num-keys")?,
                    file_bytes: number(family, "rocksdb.total-sst-files-size")?,
                    memory_bytes: number(family, "rocksdb.cur-size-all-mem-tables")?,
                })
            })
            .collect()
    }

    /// What RocksDB holds and does.
    pub fn stats(&self) -> Result<DatabaseStats, StorageError> {
        let number = |property: &str| -> Result<u64, StorageError> {
            Ok(self.db.property_int_value(property).map_err(open::from_rocks)?.unwrap_or(0))
        };
        let mut compaction_pending_bytes = 0;
        for family in Family::ALL {
            let property = "rocksdb.estimate-pending-compaction-bytes";
            let of_family = self.db.property_int_value_cf(self.family(family)?, property);
            compaction_pending_bytes += of_family.map_err(open::from_rocks)?.unwrap_or(0);
        }
        Ok(DatabaseStats {
            families: self.family_sizes()?,
            // All families share one cache.
            block_cache_bytes: number("rocksdb.block-cache-usage")?,
            compaction_pending_bytes,
            compactions_running: number("rocksdb.num-running-compactions")?,
            background_errors: number("rocksdb.background-errors")?,
            counts: self.statistics.as_ref().map(statistics::read),
            is_writable: self.closing.is_sound.load(Ordering::Acquire),
        })
    }

    /// Writes everything out of memory into table files, and merges those of each family.
    pub fn compact(&self) -> Result<(), StorageError> {
        let failures = || self.db.property_int_value("rocksdb.background-errors").map_err(open::from_rocks);
        let before = failures()?;
        for family in Family::ALL {
            let handle = self.family(family)?;
            self.db.flush_cf(handle).map_err(open::from_rocks)?;
            let mut options = rocksdb::CompactOptions::default();
            options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
            self.db.compact_range_cf_opt(handle, None::<&[u8]>, None::<&[u8]>, &options);
            // RocksDB does not say here that it failed.
            if failures()? != before {
                let log = self.dir.join(ROCKSDB_DIR).join("LOG");
                let problem = "table files could not be merged: is there room on the disk?";
                return Err(StorageError::Io(format!("{problem} `{}` says why", log.display())));
            }
        }
        Ok(())
    }

    /// Writes everything out of memory into table files.
    pub fn flush(&self) -> Result<(), StorageError> {
        for family in Family::ALL {
            self.db.flush_cf(self.family(family)?).map_err(open::from_rocks)?;
        }
        Ok(())
    }

    pub(super) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.db.get_cf(self.family(family)?, key).map_err(open::from_rocks)
    }

    /// Makes a batch durable and visible, as a whole or not at all. Before it can be seen, the stripes of everything in it are
    /// raised.
    pub(super) fn commit(&self, batch: WriteBatch, touched: &[Stripe]) -> Result<(), StorageError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        let _alone = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stripes) = &self.stripes {
            // Every entry of a batch takes one number; that of the last is the snapshot's from which on the batch is seen.
            let sequence = self.db.latest_sequence_number() + batch.len() as u64;
            touched.iter().for_each(|&stripe| stripes.raise(stripe, sequence));
        }
        self.db.write_opt(batch, &options).map_err(|error| {
            self.closing.is_sound.store(false, Ordering::Release);
            open::from_rocks(error)
        })
    }

    /// Takes a store that was made or changed by a committed batch into the registry.
    pub(super) fn register(&self, record: StoreRecord) {
        self.stores.insert(record.id, record);
    }

    /// Takes a deleted store out of the registry.
    pub(super) fn unregister(&self, id: StoreId) {
        if let Some((_, record)) = self.stores.remove(&id) {
            self.pins.forget(record.number);
            self.heads.remove(&record.number);
        }
    }

    /// The newest state of all families together, unchanging.
    pub(super) fn view(&self) -> View<'_> {
        View { database: self, snapshot: self.db.snapshot() }
    }

    fn family(&self, family: Family) -> Result<&rocksdb::ColumnFamily, StorageError> {
        // Opening created every family, so this is for a programming error only.
        self.db
            .cf_handle(family.name())
            .ok_or_else(|| StorageError::Io(format!("family `{}` is not open", family.name())))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let failures = self.db.property_int_value("rocksdb.background-errors");
        if failures != Ok(Some(0)) {
            *self.closing.is_sound.get_mut() = false;
        }
    }
}

/// Whose rows a visitor reads; it may stop, or fail.
pub(super) type VisitRow<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StorageError>;

/// All families under one snapshot.
pub(super) struct View<'a> {
    database: &'a Database,
    snapshot: rocksdb::Snapshot<'a>,
}

impl View<'_> {
    /// Visits the rows of a family with a prefix, in key order.
    pub(super) fn walk(
        &self,
        family: Family,
        prefix: &[u8],
        visit: VisitRow<'_>,
    ) -> Result<(), StorageError> {
        self.walk_from(family, prefix, prefix, visit)
    }

    pub(super) fn walk_from(
        &self,
        family: Family,
        start: &[u8],
        prefix: &[u8],
        visit: VisitRow<'_>,
    ) -> Result<(), StorageError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_total_order_seek(true);
        if let Some(end) = key::successor(prefix) {
            options.set_iterate_upper_bound(end);
        }
        let handle = self.database.family(family)?;
        let mut rows = self.snapshot.raw_iterator_cf_opt(handle, options);
        rows.seek(start);
        while let Some((key, value)) = rows.item() {
            if visit(key, value)?.is_break() {
                return Ok(());
            }
            rows.next();
        }
        rows.status().map_err(open::from_rocks)
    }

    /// One row.
    pub(super) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.snapshot.get_cf(self.database.family(family)?, key).map_err(open::from_rocks)
    }
}

/// An entry of the change log from its row.
pub(super) fn read_change(key: &[u8], value: &[u8]) -> Result<ChangeRecord, StorageError> {
    let place = || format!("changes row {}", show(key));
    let mut parts = Parts::new(key);
    let position = parts.u32().and_then(|_| Some((parts.u64()?, parts.u32()?)));
    let Some((revision, ordinal)) = position.filter(|_| parts.is_empty()) else {
        return Err(StorageError::damaged(place(), "key is not one of the change log"));
    };
    let change = codec::decode_change(value, &place)?;
    let mut record = ChangeRecord { revision: Revision(revision), ordinal, kind: change.kind, tuple: None };
    if change.kind != ChangeKind::Purged {
        let mut parts = Parts::new(&change.key);
        let tuple = parts.tuple(Direction::Forward).filter(|_| parts.is_empty());
        let tuple = tuple.ok_or_else(|| StorageError::damaged(place(), "tuple cannot be read"))?;
        let (condition, expires_at) = (change.condition, change.expires_at);
        record.tuple = Some(Tuple { key: tuple.to_owned(), condition, expires_at });
    }
    Ok(record)
}
