//! From changes to rows: the one place where tuple families, history and log are written.

use std::collections::HashSet;

use rocksdb::WriteBatch;

use super::Database;
use super::families::{self, Family};
use super::import;
use super::key::{self, Direction, Parts};
use crate::storage::change::{Change, ChangeKind, RevisionKind, RevisionRecord};
use crate::storage::codec::{self, ChangeValue, Head, SchemaValue, StoreRecord};
use crate::storage::error::StorageError;
use crate::storage::reader::{Row, TupleReader};
use crate::storage::stripes::{Part, Stripe};
use crate::tuple::{Revision, SchemaId, StoreId, Timestamp, TupleRef};

/// Rows on their way into the database: everything in it becomes durable and visible together.
pub(in crate::storage) struct Batch<'d> {
    database: &'d Database,
    batch: WriteBatch,
    /// Ends of tuples in it, by store.
    ends: Vec<(u32, Timestamp)>,
    /// What sees the tuples in it.
    touched: Vec<Stripe>,
}

/// The rows of one write: they join the batch all together, or not at all when it fails half-way.
#[derive(Default)]
pub(super) struct Staged(Vec<(Family, Vec<u8>, Option<Vec<u8>>)>);

impl Staged {
    pub(super) fn put(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.0.push((family, key, Some(value)));
    }

    pub(super) fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.0.push((family, key, None));
    }

    /// Writes down what a revision was, and that it is the newest.
    pub(super) fn end_revision(
        &mut self,
        store: u32,
        head: Head,
        kind: RevisionKind,
        changes: u32,
    ) -> Result<(), StorageError> {
        let record = RevisionRecord { time: head.time, schema: head.schema, kind, changes };
        self.put(Family::Revisions, key::revision(store, head.revision), codec::encode_revision(&record)?);
        self.put(Family::Meta, families::head_key(store), codec::encode_head(&head)?);
        Ok(())
    }
}

impl<'d> Batch<'d> {
    pub(in crate::storage) fn new(database: &'d Database) -> Batch<'d> {
        Batch { database, batch: WriteBatch::default(), ends: Vec::new(), touched: Vec::new() }
    }

    /// Bytes collected so far.
    pub(in crate::storage) fn bytes(&self) -> usize {
        self.batch.size_in_bytes()
    }

    /// Whether there is nothing to commit.
    pub(in crate::storage) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Applies the changes of one revision to the state before it, which has to show ended rows too.
    ///
    /// Deterministic: it knows nothing of clocks and requests, so that every copy fed the same ordered changes
    /// holds the same rows. The answer is the store's head afterwards.
    ///
    /// INVARIANT: no tuple is changed twice within one revision; an interval would be empty otherwise.
    pub(in crate::storage) fn apply(
        &mut self,
        store: u32,
        before: Head,
        state: &dyn TupleReader,
        time: Timestamp,
        changes: &[Change],
    ) -> Result<Head, StorageError> {
        let revision = before.revision.next();
        let mut head = Head { revision, time, schema: before.schema };
        let mut kind = RevisionKind::Tuples;
        let mut ordinal = 0;
        let mut changed = HashSet::with_capacity(changes.len());
        let mut staged = Staged::default();
        let mut ends = Vec::new();
        for change in changes {
            let (tuple, row) = match change {
                Change::Schema { id, document } => {
                    kind = RevisionKind::Schema;
                    head.schema = Some(*id);
                    let value = SchemaValue { revision: revision.0, document: document.to_string() };
                    let key = key::schema(store, id.to_bytes());
                    staged.put(Family::Schemas, key, codec::encode_schema(value)?);
                    continue;
                }
                Change::Write(tuple) => {
                    let condition = tuple.condition.clone();
                    let row = Row { created: revision, condition, expires_at: tuple.expires_at };
                    (tuple.key.as_ref(), Some(row))
                }
                Change::Delete(key) => (key.as_ref(), None),
                Change::Expire(key) => {
                    kind = RevisionKind::Expiry;
                    (key.as_ref(), None)
                }
            };
            if !changed.insert(tuple) {
                return Err(StorageError::Io(format!("tuple `{tuple}` is changed twice in one revision")));
            }
            let old = state.get(tuple)?;
            let change_kind = match (&old, &row) {
                (None, Some(_)) => ChangeKind::Written,
                (Some(_), Some(_)) => ChangeKind::Replaced,
                (Some(_), None) if matches!(change, Change::Expire(_)) => ChangeKind::Expired,
                (Some(_), None) => ChangeKind::Deleted,
                (None, None) => {
                    return Err(StorageError::Io(format!("tuple `{tuple}` is deleted but not there")));
                }
            };
            stage_end(&mut staged, store, revision, tuple, old)?;
            stage_tuple(&mut staged, store, tuple, row.as_ref())?;
            let (condition, expires_at) = row.map_or((None, None), |row| (row.condition, row.expires_at));
            ends.extend(expires_at);
            let key = key::forward(store, tuple).split_off(key::STORE_BYTES);
            let value = codec::encode_change(&ChangeValue { kind: change_kind, key, condition, expires_at })?;
            staged.put(Family::Changes, key::change(store, revision, ordinal), value);
            ordinal += 1;
        }
        staged.end_revision(store, head, kind, ordinal)?;
        self.take(staged)?;
        self.ends.extend(ends.into_iter().min().map(|end| (store, end)));
        Ok(head)
    }

    /// Gives a store's past another time to be kept. The answer is the store's head afterwards.
    pub(in crate::storage) fn keep_past(
        &mut self,
        record: &StoreRecord,
        before: Head,
        time: Timestamp,
    ) -> Result<Head, StorageError> {
        let head = Head { revision: before.revision.next(), time, ..before };
        let mut staged = Staged::default();
        staged.put(Family::Stores, record.id.to_bytes().to_vec(), codec::encode_store(record)?);
        staged.end_revision(record.number, head, RevisionKind::Retention, 0)?;
        self.take(staged)?;
        Ok(head)
    }

    pub(super) fn take(&mut self, staged: Staged) -> Result<(), StorageError> {
        for (family, key, value) in staged.0 {
            match value {
                Some(value) => self.put(family, &key, &value)?,
                None => self.delete(family, &key)?,
            }
        }
        Ok(())
    }

    /// Notes that everything of a store may be another thing when the batch is visible.
    pub(super) fn touch_store(&mut self, store: u32) {
        self.touched.extend(self.database.stripes.as_ref().map(|it| it.of(store, &Part::Store)));
    }

    /// Notes that a current tuple comes or goes.
    fn touch(&mut self, family: Family, key: &[u8]) -> Result<(), StorageError> {
        let Some(stripes) = self.database.stripes.as_ref().filter(|_| family == Family::Tuples) else {
            return Ok(());
        };
        let mut parts = Parts::new(key);
        let tuple = parts.u32().and_then(|store| Some((store, parts.tuple(Direction::Forward)?)));
        let Some((store, tuple)) = tuple else {
            return Err(StorageError::damaged("tuples", format!("key {}", key::show(key))));
        };
        self.touched.extend(stripes.seeing(store, tuple));
        Ok(())
    }

    /// A new store, empty.
    pub(in crate::storage) fn create_store(&mut self, record: &StoreRecord) -> Result<(), StorageError> {
        self.put(Family::Stores, &record.id.to_bytes(), &codec::encode_store(record)?)?;
        let next = codec::encode_number(u64::from(record.number) + 1)?;
        self.put(Family::Meta, families::NEXT_STORE_KEY, &next)?;
        let head = Head { revision: Revision::ZERO, time: record.created_at, schema: None };
        self.put(Family::Meta, &families::head_key(record.number), &codec::encode_head(&head)?)
    }

    /// Removes a store's mapping and head: from here on it does not exist. Its rows are dropped afterwards by
    /// [`Database::drop_rows`], which a mark in `meta` makes sure of.
    pub(in crate::storage) fn delete_store(&mut self, id: StoreId, number: u32) -> Result<(), StorageError> {
        self.batch.delete_cf(self.database.family(Family::Stores)?, id.to_bytes());
        let meta = self.database.family(Family::Meta)?;
        self.batch.delete_cf(meta, families::head_key(number));
        self.batch.delete_cf(meta, families::horizon_key(number));
        self.put(Family::Meta, &families::dropping_key(number), &codec::encode_number(u64::from(number))?)
    }

    /// Replaces the assertions of a schema. They are no part of any state: they take no revision.
    pub(in crate::storage) fn write_assertions(
        &mut self,
        store: u32,
        schema: SchemaId,
        text: &str,
    ) -> Result<(), StorageError> {
        let key = key::schema(store, schema.to_bytes());
        self.put(Family::Assertions, &key, &codec::encode_assertions(text)?)
    }

    /// Writes down how far an import has come, or forgets it.
    pub(in crate::storage) fn keep_import_position(
        &mut self,
        store: u32,
        import: [u8; 16],
        position: Option<&str>,
    ) -> Result<(), StorageError> {
        let key = families::imported_key(store, import);
        match position {
            Some(position) => self.put(Family::Meta, &key, &codec::encode_position(position)?),
            None => self.delete(Family::Meta, &key),
        }
    }

    pub(super) fn database(&self) -> &'d Database {
        self.database
    }

    pub(super) fn delete(&mut self, family: Family, key: &[u8]) -> Result<(), StorageError> {
        self.touch(family, key)?;
        self.batch.delete_cf(self.database.family(family)?, key);
        Ok(())
    }

    /// Deletes every key from `start` on and before `end`.
    pub(super) fn delete_range(
        &mut self,
        family: Family,
        start: &[u8],
        end: &[u8],
    ) -> Result<(), StorageError> {
        debug_assert!(family != Family::Tuples, "which tuples go has to be known");
        self.batch.delete_range_cf(self.database.family(family)?, start, end);
        Ok(())
    }

    pub(super) fn put(&mut self, family: Family, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.touch(family, key)?;
        self.batch.put_cf(self.database.family(family)?, key, value);
        Ok(())
    }

    /// Makes it all durable and visible, as a whole or not at all.
    ///
    /// # Errors
    /// [`StorageError::WritesRefused`]: what reached the disk is not known, so nothing more may be written.
    pub(in crate::storage) fn commit(self) -> Result<(), StorageError> {
        self.database.commit(self.batch, &self.touched).map_err(refusal)?;
        // When they can be seen: a search that began before has them among what it is told, a later one finds them.
        self.ends.into_iter().for_each(|(store, end)| self.database.note_end(store, end));
        Ok(())
    }
}

/// Moves a row that ends at `revision` into history, in both directions.
pub(super) fn stage_end(
    staged: &mut Staged,
    store: u32,
    revision: Revision,
    tuple: TupleRef<'_>,
    old: Option<Row>,
) -> Result<(), StorageError> {
    let Some(old) = old else { return Ok(()) };
    let value = codec::encode_row(&old)?;
    for (family, direction) in
        [(Family::History, Direction::Forward), (Family::HistoryBySubject, Direction::Backward)]
    {
        let key = key::with_revision(key::tuple(direction, store, tuple), revision);
        staged.put(family, key, value.clone());
    }
    Ok(())
}

/// Writes or removes the current row, in both directions.
pub(super) fn stage_tuple(
    staged: &mut Staged,
    store: u32,
    tuple: TupleRef<'_>,
    row: Option<&Row>,
) -> Result<(), StorageError> {
    let value = row.map(codec::encode_row).transpose()?;
    for (family, direction) in
        [(Family::Tuples, Direction::Forward), (Family::BySubject, Direction::Backward)]
    {
        let key = key::tuple(direction, store, tuple);
        match &value {
            Some(value) => staged.put(family, key, value.clone()),
            None => staged.delete(family, key),
        }
    }
    Ok(())
}

impl Database {
    /// The number for the next store to be made.
    pub(in crate::storage) fn next_store_number(&self) -> Result<u32, StorageError> {
        let place = || "meta row next_store".to_owned();
        let bytes = self.get(Family::Meta, families::NEXT_STORE_KEY)?;
        let bytes = bytes.ok_or_else(|| StorageError::damaged(place(), "is missing"))?;
        let number = codec::decode_number(&bytes, &place)?;
        // The last number is left out, so that every store's rows have an end that can be named.
        u32::try_from(number)
            .ok()
            .filter(|&number| number < u32::MAX)
            .ok_or_else(|| StorageError::Io("no store number is left in this data directory".to_owned()))
    }

    /// Drops the rows of a store whose mapping is gone. Interrupted, it is done again on opening.
    pub(in crate::storage) fn drop_rows(&self, number: u32) -> Result<(), StorageError> {
        let start = key::store_prefix(number);
        // Store number u32::MAX is never given out.
        let end = key::successor(&start)
            .ok_or_else(|| StorageError::Io(format!("store number {number} is out of range")))?;
        self.ends.remove(&number);
        import::remove_all(&self.dir, number)?;
        // One synced batch, as every write: `log` takes a write that is followed by another for durable.
        let mut batch = WriteBatch::default();
        for family in Family::OF_STORE {
            batch.delete_range_cf(self.family(family)?, &start, &end);
        }
        let meta = self.family(Family::Meta)?;
        for prefix in [
            families::purged_prefix(number),
            families::purged_until_prefix(number),
            families::imported_prefix(number),
        ] {
            if let Some(end) = key::successor(&prefix) {
                batch.delete_range_cf(meta, &prefix, &end);
            }
        }
        batch.delete_cf(meta, families::dropping_key(number));
        let touched: Vec<Stripe> =
            self.stripes.iter().map(|stripes| stripes.of(number, &Part::Store)).collect();
        self.commit(batch, &touched).map_err(refusal)
    }
}

/// What is refused from now on, after a commit that failed.
fn refusal(error: StorageError) -> StorageError {
    StorageError::WritesRefused(error.to_string())
}
