//! Reading one state of one store under one RocksDB snapshot: the head, or a past revision.

use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

use rocksdb::{ColumnFamily, DBRawIterator, ReadOptions, Snapshot};

use super::families::{self, Family};
use super::key::{self, Direction, REVISION_BYTES};
use super::pins::Pin;
use super::{Database, open, purge, read_change};
use crate::storage::allowance;
use crate::storage::change::ChangeRecord;
use crate::storage::codec::{self, Head};
use crate::storage::error::StorageError;
use crate::storage::filter::TupleFilter;
use crate::storage::look::Look;
use crate::storage::reader::{Row, TupleReader};
use crate::storage::stripes::Stripes;
use crate::storage::tracked::Tracked;
use crate::tuple::{ObjectRef, Relation, Revision, SchemaId, SubjectKind, SubjectRef, Timestamp, TupleRef};

/// One state of one store.
///
/// INVARIANT: the revision comes out of the snapshot that the rows come out of, so the two always belong together.
/// The head reads the two current families alone; a past revision merges the history families in.
pub struct StateReader<'a> {
    database: &'a Database,
    /// For look-ups under the snapshot, and the family most of them are in: found once, not for every one.
    options: ReadOptions,
    tuples: &'a ColumnFamily,
    /// Kept from scan to scan: to make one costs as much as to move it.
    scanner: Cell<Option<DBRawIterator<'a>>>,
    back_scanner: Cell<Option<DBRawIterator<'a>>>,
    /// Shared by readers of several revisions, so that they see one history.
    snapshot: Arc<Snapshot<'a>>,
    store: u32,
    head: Head,
    /// The store was deleted between look-up and snapshot: it reads as empty.
    is_gone: bool,
    revision: Revision,
    now: Timestamp,
    /// Of a past revision: something that was there then is purged.
    is_torn: bool,
    pin: Option<Pin>,
}

type Visit<'v> = &'v mut dyn FnMut(&[u8], &Row) -> ControlFlow<()>;

impl<'a> StateReader<'a> {
    pub(super) fn open(database: &'a Database, store: u32) -> Result<StateReader<'a>, StorageError> {
        let snapshot = database.db.snapshot();
        let options = under(&snapshot);
        let found = database.head_under(&snapshot, &options, store)?;
        let is_gone = found.is_none();
        let nothing = Head { revision: Revision::ZERO, time: Timestamp::default(), schema: None };
        let head = found.unwrap_or(nothing);
        let tuples = database.family(Family::Tuples)?;
        let (revision, now, snapshot) = (head.revision, head.time, Arc::new(snapshot));
        Ok(StateReader {
            database,
            options,
            tuples,
            scanner: Cell::default(),
            back_scanner: Cell::default(),
            snapshot,
            store,
            head,
            is_gone,
            revision,
            now,
            is_torn: false,
            pin: None,
        })
    }

    /// The same state, with expiry decided at another time.
    pub fn at_time(mut self, now: Timestamp) -> StateReader<'a> {
        self.now = now;
        self
    }

    /// A state of the past, held while the reader lives.
    pub(super) fn at_revision(mut self, revision: Revision) -> Result<StateReader<'a>, StorageError> {
        if revision > self.head.revision {
            return Err(StorageError::AboveHead { asked: revision, head: self.head.revision });
        }
        let oldest = self.horizon()?;
        if revision < oldest {
            // Out of the snapshot: the horizon may have moved on since.
            let oldest_time = self.record(oldest)?.time;
            return Err(StorageError::BelowHorizon { asked: revision, oldest, oldest_time });
        }
        self.revision = revision;
        let (database, store) = (self.database, self.store);
        let Some(held) = self.held() else {
            // The horizon is passing it right now.
            let oldest = database.pins.horizon(store);
            let oldest_time = database.revision_record(store, oldest)?.map(|record| record.time);
            let oldest_time = oldest_time.unwrap_or_default();
            return Err(StorageError::BelowHorizon { asked: revision, oldest, oldest_time });
        };
        self = held;
        self.is_torn = self.finds_torn()?;
        Ok(self)
    }

    /// Holds the state's revision while the reader lives; none when the horizon has passed it since the snapshot.
    pub(super) fn held(mut self) -> Option<StateReader<'a>> {
        self.pin = Some(self.database.pins.hold(self.store, self.revision)?);
        Some(self)
    }

    /// The revisions in which the answer to a look may lack something that is purged: from the first (included) to the
    /// last (excluded).
    pub fn purged(&self, look: &Look) -> Result<Option<(Revision, Revision)>, StorageError> {
        let key = self.database.purged_key_of(self.store, look);
        let mark = purge::read_mark(self.get_raw(Family::Meta, &key)?.as_deref(), &key)?;
        Ok(mark.map(|mark| (Revision(mark.from), Revision(mark.until))))
    }

    /// Refuses a look that would have to see what is purged, or comes too late.
    fn look(&self, look: impl FnOnce() -> Look) -> Result<(), StorageError> {
        allowance::spend()?;
        if !self.is_torn {
            return Ok(());
        }
        match self.purged(&look())? {
            Some((from, until)) if (from..until).contains(&self.revision) => {
                Err(StorageError::Purged { asked: self.revision, until })
            }
            _ => Ok(()),
        }
    }

    /// A further reader, of another revision of the same history: what is written, collected or purged meanwhile does not
    /// change it.
    pub fn elsewhere(&self, revision: Revision, now: Timestamp) -> Result<StateReader<'a>, StorageError> {
        let mut reader = StateReader {
            options: under(&self.snapshot),
            scanner: Cell::default(),
            back_scanner: Cell::default(),
            snapshot: Arc::clone(&self.snapshot),
            revision,
            now,
            pin: None,
            is_torn: false,
            ..*self
        };
        let oldest = reader.horizon()?;
        if revision < oldest {
            let oldest_time = reader.record(oldest)?.time;
            return Err(StorageError::BelowHorizon { asked: revision, oldest, oldest_time });
        }
        if revision > reader.head.revision {
            return Err(StorageError::AboveHead { asked: revision, head: reader.head.revision });
        }
        reader.is_torn = reader.finds_torn()?;
        Ok(reader)
    }

    fn finds_torn(&self) -> Result<bool, StorageError> {
        if self.revision >= self.head.revision {
            return Ok(false);
        }
        let key = self.database.purged_key_of_all(self.store);
        let all = purge::read_mark(self.get_raw(Family::Meta, &key)?.as_deref(), &key)?;
        Ok(all.is_some_and(|mark| (mark.from..mark.until).contains(&self.revision.0)))
    }

    /// Whether the store was deleted before the reader was opened.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// The newest revision that the reader knows of.
    pub fn head_revision(&self) -> Revision {
        self.head.revision
    }

    /// The oldest revision whose state is kept, and when it was committed; none for revision 0.
    pub fn oldest(&self) -> Result<(Revision, Option<Timestamp>), StorageError> {
        match self.horizon()? {
            Revision::ZERO => Ok((Revision::ZERO, None)),
            oldest => Ok((oldest, Some(self.record(oldest)?.time))),
        }
    }

    /// Visits the change log from a position (included) on, oldest first, up to the newest revision the reader knows of.
    pub fn changes(
        &self,
        from: (Revision, u32),
        visit: &mut dyn FnMut(ChangeRecord) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let mut rows = self.log()?;
        rows.seek(key::change(self.store, from.0, from.1));
        while let Some((key, value)) = rows.item() {
            allowance::spend()?;
            if visit(read_change(key, value)?).is_break() {
                return Ok(());
            }
            rows.next();
        }
        rows.status().map_err(open::from_rocks)
    }

    /// The same backwards: from the last change of a revision on, newest first.
    pub fn changes_back(
        &self,
        from: Revision,
        visit: &mut dyn FnMut(ChangeRecord) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let mut rows = self.log()?;
        rows.seek_for_prev(key::change(self.store, from, u32::MAX));
        while let Some((key, value)) = rows.item() {
            allowance::spend()?;
            if visit(read_change(key, value)?).is_break() {
                return Ok(());
            }
            rows.prev();
        }
        rows.status().map_err(open::from_rocks)
    }

    fn log(&self) -> Result<DBRawIterator<'_>, StorageError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_iterate_lower_bound(key::store_prefix(self.store));
        // Behind the head there may be what an import is about to make visible.
        options.set_iterate_upper_bound(key::revision(self.store, self.head.revision.next()));
        Ok(self.snapshot.raw_iterator_cf_opt(self.database.family(Family::Changes)?, options))
    }

    fn horizon(&self) -> Result<Revision, StorageError> {
        let key = families::horizon_key(self.store);
        match self.get_raw(Family::Meta, &key)? {
            Some(bytes) => {
                codec::decode_number(&bytes, &|| format!("meta row {}", key::show(&key))).map(Revision)
            }
            None => Ok(Revision::ZERO),
        }
    }

    /// When the newest revision of the snapshot was committed.
    pub(super) fn head_time(&self) -> Timestamp {
        self.head.time
    }

    /// When the state's revision was committed; 1970 for revision 0 of a store that has gone on since.
    pub fn committed_at(&self) -> Result<Timestamp, StorageError> {
        if self.revision == self.head.revision {
            return Ok(self.head.time);
        }
        if self.revision == Revision::ZERO {
            return Ok(Timestamp::default());
        }
        Ok(self.record(self.revision)?.time)
    }

    /// The schema in force at the state's revision.
    pub fn schema(&self) -> Result<Option<SchemaId>, StorageError> {
        if self.revision == self.head.revision {
            return Ok(self.head.schema);
        }
        if self.revision == Revision::ZERO {
            return Ok(None);
        }
        Ok(self.record(self.revision)?.schema)
    }

    /// The last revision committed at or before a time. Commit times never decrease, so halving finds it.
    pub fn revision_at(&self, time: Timestamp) -> Result<Revision, StorageError> {
        if time >= self.head.time {
            return Ok(self.head.revision);
        }
        // Everything up to `low` was committed in time, nothing from `high` on.
        let (mut low, mut high) = (Revision::ZERO, self.head.revision);
        let horizon = self.horizon()?;
        if horizon > Revision::ZERO {
            if self.record(horizon)?.time > time {
                let oldest_time = self.record(horizon)?.time;
                let asked = Revision(horizon.0 - 1);
                return Err(StorageError::BelowHorizon { asked, oldest: horizon, oldest_time });
            }
            low = horizon;
        }
        while high.0 - low.0 > 1 {
            let middle = Revision(low.0 + (high.0 - low.0) / 2);
            if self.record(middle)?.time <= time { low = middle } else { high = middle }
        }
        Ok(low)
    }

    /// What the log remembers of a revision.
    pub fn record(&self, revision: Revision) -> Result<crate::storage::RevisionRecord, StorageError> {
        match self.get_raw(Family::Revisions, &key::revision(self.store, revision))? {
            Some(bytes) => codec::decode_revision(&bytes, &|| format!("revisions row {revision}")),
            None => Err(StorageError::damaged("revisions", format!("revision {revision} is missing"))),
        }
    }

    fn get_raw(
        &self,
        family: Family,
        key: &[u8],
    ) -> Result<Option<rocksdb::DBPinnableSlice<'_>>, StorageError> {
        self.get_in(self.database.family(family)?, key)
    }

    fn get_in(
        &self,
        family: &ColumnFamily,
        key: &[u8],
    ) -> Result<Option<rocksdb::DBPinnableSlice<'_>>, StorageError> {
        self.database.db.get_pinned_cf_opt(family, key, &self.options).map_err(open::from_rocks)
    }

    /// RocksDB's sequence number of the snapshot: of the last batch in it.
    pub(in crate::storage) fn sequence(&self) -> u64 {
        self.snapshot.sequence_number()
    }

    /// Since when what the newest state holds has not changed; none: that is not kept, or the state is an older one.
    pub(in crate::storage) fn stripes(&self) -> Option<&Stripes> {
        self.database.stripes.as_ref().filter(|_| !self.is_past() && !self.is_gone)
    }

    /// The state, remembering what it is asked; none: what rests on it could not be known to hold still.
    pub fn track(&self) -> Option<Tracked<'_, 'a>> {
        Some(Tracked::new(self, self.stripes()?, self.store))
    }

    fn is_past(&self) -> bool {
        self.revision < self.head.revision
    }

    /// Visits the rows of the state under a prefix, from a key on, in key order, with the key of their tuple.
    fn visit(
        &self,
        direction: Direction,
        prefix: &[u8],
        start: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), StorageError> {
        let (current, history) = match direction {
            Direction::Forward => (Family::Tuples, Family::History),
            Direction::Backward => (Family::BySubject, Family::HistoryBySubject),
        };
        let mut current = Rows::open(self, current, prefix, start)?;
        if !self.is_past() {
            while let Some((key, row)) = current.next(0)? {
                allowance::spend()?;
                if row.is_seen(self.revision, self.now) && visit(key, &row).is_break() {
                    break;
                }
                current.advance();
            }
            return current.finish();
        }
        let mut history = Rows::open(self, history, prefix, start)?;
        loop {
            allowance::spend()?;
            let order = match (current.key(0)?, history.key(REVISION_BYTES)?) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                // Rows of one tuple: its history was first.
                (Some(current), Some(history)) if current == history => Ordering::Greater,
                (Some(current), Some(history)) => current.cmp(history),
            };
            let rows = if order.is_lt() { &mut current } else { &mut history };
            let suffix = if order.is_lt() { 0 } else { REVISION_BYTES };
            let ended = rows.ended(suffix);
            if let Some((key, row)) = rows.next(suffix)?
                && ended.is_none_or(|ended| ended > self.revision)
                && row.is_seen(self.revision, self.now)
                && visit(key, &row).is_break()
            {
                break;
            }
            rows.advance();
        }
        current.finish()?;
        history.finish()
    }
}

/// Options to read under a snapshot.
fn under(snapshot: &Snapshot<'_>) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_snapshot(snapshot);
    options
}

impl Database {
    /// The newest revision under a snapshot; none: there is no such store.
    fn head_under(
        &self,
        snapshot: &Snapshot<'_>,
        options: &ReadOptions,
        store: u32,
    ) -> Result<Option<Head>, StorageError> {
        let sequence = snapshot.sequence_number();
        if let Some(kept) = self.heads.get(&store)
            && kept.0 == sequence
        {
            return Ok(Some(kept.1));
        }
        let key = families::head_key(store);
        let found = self.db.get_pinned_cf_opt(self.family(Family::Meta)?, &key, options);
        let found = match found.map_err(open::from_rocks)? {
            Some(bytes) => Some(codec::decode_head(&bytes, &|| format!("meta row {}", key::show(&key)))?),
            None => None,
        };
        if let Some(head) = found {
            self.heads.insert(store, (sequence, head));
        }
        Ok(found)
    }
}

/// The rows of one family under a prefix.
struct Rows<'r> {
    iterator: DBRawIterator<'r>,
    family: Family,
}

impl<'r> Rows<'r> {
    fn open(
        state: &'r StateReader<'_>,
        family: Family,
        prefix: &[u8],
        start: &[u8],
    ) -> Result<Rows<'r>, StorageError> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        if let Some(end) = key::successor(prefix) {
            options.set_iterate_upper_bound(end);
        }
        let mut iterator = state.snapshot.raw_iterator_cf_opt(state.database.family(family)?, options);
        iterator.seek(start);
        Ok(Rows { iterator, family })
    }

    /// The tuple's part of the key: all but its last `suffix` bytes.
    fn key(&self, suffix: usize) -> Result<Option<&[u8]>, StorageError> {
        let Some(key) = self.iterator.key() else { return Ok(None) };
        match key.len().checked_sub(suffix) {
            Some(end) => Ok(Some(&key[..end])),
            None => {
                Err(StorageError::damaged(self.family.name(), format!("key {} is short", key::show(key))))
            }
        }
    }

    fn next(&self, suffix: usize) -> Result<Option<(&[u8], Row)>, StorageError> {
        let (Some(key), Some(value)) = (self.key(suffix)?, self.iterator.value()) else { return Ok(None) };
        let row = codec::decode_row(value, &|| format!("{} row {}", self.family.name(), key::show(key)))?;
        Ok(Some((key, row)))
    }

    /// The revision at the end of a history key.
    fn ended(&self, suffix: usize) -> Option<Revision> {
        let key = self.iterator.key()?;
        let bytes = key.get(key.len().checked_sub(suffix)?..)?;
        Some(Revision(u64::from_be_bytes(bytes.try_into().ok()?)))
    }

    fn advance(&mut self) {
        if self.iterator.valid() {
            self.iterator.next();
        }
    }

    /// An iterator that met damage is merely at its end: only its status tells.
    fn finish(&self) -> Result<(), StorageError> {
        self.iterator.status().map_err(open::from_rocks)
    }
}

impl TupleReader for StateReader<'_> {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn get(&self, tuple: TupleRef<'_>) -> Result<Option<Row>, StorageError> {
        self.look(|| Look::Tuple(tuple.to_owned()))?;
        let key = key::forward(self.store, tuple);
        if let Some(bytes) = self.get_in(self.tuples, &key)? {
            let row = codec::decode_row(&bytes, &|| format!("tuples row {tuple}"))?;
            if row.created <= self.revision {
                return Ok(row.is_seen(self.revision, self.now).then_some(row));
            }
        }
        if !self.is_past() {
            return Ok(None);
        }
        // Intervals of a tuple do not overlap, so the first that ended after the revision is the only candidate.
        let history =
            Rows::open(self, Family::History, &key, &key::with_revision(key.clone(), self.revision.next()))?;
        let row = match history.next(REVISION_BYTES)? {
            Some((found, row)) if found == key => row.is_seen(self.revision, self.now).then_some(row),
            _ => None,
        };
        history.finish()?;
        Ok(row)
    }

    fn subjects(
        &self,
        object: ObjectRef<'_>,
        relation: &str,
        kind: SubjectKind,
        visit: &mut dyn FnMut(SubjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.look(|| Look::Subjects(object.to_owned(), Relation::from_checked(relation), kind))?;
        let prefix = key::subjects_prefix(self.store, object, relation, kind);
        if self.is_past() {
            let visit = &mut |tuple: TupleRef<'_>, row: &Row| visit(tuple.subject, row);
            return self.visit_tuples(Direction::Forward, &prefix, &prefix, visit);
        }
        let mut rows = self.scanner.take().map_or_else(|| self.new_scanner(Family::Tuples), Ok)?;
        rows.seek(&prefix);
        while let Some((key, value)) = rows.item() {
            allowance::spend()?;
            let damaged = || StorageError::damaged("tuples", format!("key {}", key::show(key)));
            let row = codec::decode_row(value, &|| format!("tuples row {}", key::show(key)))?;
            let subject = key::parse_subject(&prefix, key).ok_or_else(damaged)?;
            if row.is_seen(self.revision, self.now) && visit(subject, &row).is_break() {
                break;
            }
            rows.next();
        }
        rows.status().map_err(open::from_rocks)?;
        self.scanner.set(Some(rows));
        Ok(())
    }

    fn objects(
        &self,
        subject: SubjectRef<'_>,
        object_type: &str,
        relation: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(ObjectRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.look(|| {
            Look::Objects(subject.to_owned(), object_type.into(), Relation::from_checked(relation))
        })?;
        let prefix = key::objects_prefix(self.store, subject, object_type, relation);
        let behind = after.map(|id| key::behind_object(&prefix, id));
        let start = behind.as_ref().unwrap_or(&prefix);
        if self.is_past() {
            let visit = &mut |tuple: TupleRef<'_>, row: &Row| visit(tuple.object, row);
            return self.visit_tuples(Direction::Backward, &prefix, start, visit);
        }
        let mut rows = self.back_scanner.take().map_or_else(|| self.new_scanner(Family::BySubject), Ok)?;
        rows.seek(start);
        while let Some((key, value)) = rows.item() {
            allowance::spend()?;
            let damaged = || StorageError::damaged("by_subject", format!("key {}", key::show(key)));
            let row = codec::decode_row(value, &|| format!("by_subject row {}", key::show(key)))?;
            let object =
                ObjectRef::from_checked(object_type, key::parse_id(&prefix, key).ok_or_else(damaged)?);
            if row.is_seen(self.revision, self.now) && visit(object, &row).is_break() {
                break;
            }
            rows.next();
        }
        rows.status().map_err(open::from_rocks)?;
        self.back_scanner.set(Some(rows));
        Ok(())
    }

    fn scan(
        &self,
        filter: &TupleFilter,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.scan_behind(filter, None, visit)
    }
}

impl<'a> StateReader<'a> {
    /// Of the subjects of one relation of an object after the other, or of the objects of a subject. It ends where they end,
    /// and asks the filters of table files whether there are any.
    fn new_scanner(&self, family: Family) -> Result<DBRawIterator<'a>, StorageError> {
        let mut options = under(&self.snapshot);
        options.set_prefix_same_as_start(true);
        Ok(self.database.db.raw_iterator_cf_opt(self.database.family(family)?, options))
    }

    /// The tuples that a filter matches, in key order, from behind one of them on. Where the state has changed, the
    /// tuple itself need not be there any longer.
    pub fn scan_behind(
        &self,
        filter: &TupleFilter,
        after: Option<TupleRef<'_>>,
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        self.look(|| Look::Scan(filter.clone()))?;
        let (direction, prefixes) = key::filter_prefixes(self.store, filter);
        let behind = after.map(|tuple| key::behind(key::tuple(direction, self.store, tuple)));
        let mut flow = ControlFlow::Continue(());
        for prefix in prefixes {
            let start = match &behind {
                Some(behind) if *behind > prefix => behind,
                _ => &prefix,
            };
            self.visit_tuples(direction, &prefix, start, &mut |tuple, row| {
                if filter.matches(tuple) {
                    flow = visit(tuple, row);
                }
                flow
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn visit_tuples(
        &self,
        direction: Direction,
        prefix: &[u8],
        start: &[u8],
        visit: &mut dyn FnMut(TupleRef<'_>, &Row) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let mut damaged = None;
        self.visit(direction, prefix, start, &mut |key, row| match key::parse(direction, key) {
            Some(tuple) => visit(tuple, row),
            None => {
                damaged = Some(StorageError::damaged("tuples", format!("key {}", key::show(key))));
                ControlFlow::Break(())
            }
        })?;
        damaged.map_or(Ok(()), Err)
    }
}
