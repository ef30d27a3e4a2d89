//! From sorted runs to table files: both directions at once, and the log beside them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

use super::resolve::{Fate, Rules, Stored, Tally, resolve};
use super::sort::{self, Merge};
use super::tables::{Table, Tables};
use super::{Clash, ClashKind, Place, Progress, State, save};
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::rocks::families::Family;
use crate::storage::rocks::key::{self, Direction};
use crate::storage::rocks::{Database, open};
use crate::tuple::{Revision, Timestamp, TupleKey};

/// Stored tuples that an import by files may give another condition or expiry: they go through memory.
const REPLACED_MAX: usize = 50_000;
/// Bytes of those.
const REPLACED_BYTES_MAX: usize = 8 << 20;
/// Tuples between two reports of progress.
const PROGRESS: u64 = 16_384;

/// Both directions of a merge under way.
pub(super) struct Merging<'a> {
    pub(super) database: &'a Database,
    pub(super) store: u32,
    pub(super) revision: Revision,
    pub(super) rules: Rules,
    pub(super) dir: &'a Path,
    pub(super) all: u64,
    pub(super) done: AtomicU64,
    /// One of the two has failed, or is not wanted any longer.
    pub(super) is_over: AtomicBool,
    pub(super) state: Mutex<State>,
    pub(super) progress: &'a (dyn Fn(Progress) + Sync),
}

/// What a thread says that was stopped because of another one.
pub(super) const STOPPED: &str = "the import was stopped";

/// Bytes of what is handed on together, and how many such parts may wait.
const LOG_PART_BYTES: usize = 256 << 10;
pub(super) const LOG_PARTS_WAITING: usize = 4;

/// New rows on their way into the log: `key length u32, limits length u32, key, limits`, one after the other.
#[derive(Default)]
pub(super) struct LogPart(Vec<u8>);

impl LogPart {
    fn push(&mut self, key: &[u8], limits: &[u8]) {
        for part in [key, limits] {
            // Far below 4 GiB: keys and contexts have limits.
            self.0.extend_from_slice(&(part.len() as u32).to_le_bytes());
        }
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(limits);
    }

    fn records(&self) -> impl Iterator<Item = sort::Record<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (key, after) = rest.split_first_chunk()?;
            let (limits, after) = after.split_first_chunk()?;
            let (key, after) = after.split_at_checked(u32::from_le_bytes(*key) as usize)?;
            let (limits, after) = after.split_at_checked(u32::from_le_bytes(*limits) as usize)?;
            rest = after;
            Some((key, limits))
        })
    }
}

/// What the forward direction answers.
pub(super) struct Forward {
    pub(super) tally: Tally,
    pub(super) tables: Vec<Table>,
    pub(super) replaced: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) first_end: Option<Timestamp>,
    pub(super) written: u32,
}

impl Merging<'_> {
    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// The files that are finished already.
    fn finished(&self, family: Family) -> Vec<Table> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.merge.get_or_insert_default().of(family).clone()
    }

    /// Writes down that a file is finished.
    fn finish(&self, family: Family, tables: &[Table]) -> Result<(), StorageError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.merge.get_or_insert_default().of(family) = tables.to_vec();
        save(self.dir, &state)
    }

    fn count(&self, done: &mut u64) -> Result<(), StorageError> {
        *done += 1;
        if !done.is_multiple_of(PROGRESS) {
            return Ok(());
        }
        if self.is_over.load(Ordering::Relaxed) {
            return Err(StorageError::Io(STOPPED.to_owned()));
        }
        let done = self.done.fetch_add(PROGRESS, Ordering::Relaxed) + PROGRESS;
        (self.progress)(Progress::Merged { done, all: self.all });
        Ok(())
    }

    /// Writes `tuples`, and hands on what `changes` are made of.
    pub(super) fn forward(
        &self,
        sorted: Merge,
        log: SyncSender<LogPart>,
        clash: &mut dyn FnMut(Place, ClashKind, TupleKey) -> ControlFlow<()>,
    ) -> Result<Option<Forward>, StorageError> {
        let finished = |family: Family, tables: &[Table]| self.finish(family, tables);
        let options = open::table_options(Family::Tuples);
        let mut tuples =
            Tables::new(&options, self.dir, Family::Tuples, self.finished(Family::Tuples), &finished);
        let mut row = Row::new(self.store);
        let mut part = LogPart::default();
        let stopped = || StorageError::Io(STOPPED.to_owned());
        let (mut replaced, mut replaced_bytes) = (Vec::new(), 0);
        let (mut written, mut done) = (0_u32, 0);
        let mut first_end: Option<Timestamp> = None;
        let mut emit = |fate: Fate, key: &[u8], limits: &[u8]| {
            let place = || "a sorted run".to_owned();
            if let Some(end) = codec::decode_end(limits, &place)? {
                first_end = Some(first_end.map_or(end, |first| first.min(end)));
            }
            if let Fate::Replaced = fate {
                replaced_bytes += key.len() + limits.len();
                if replaced.len() == REPLACED_MAX || replaced_bytes > REPLACED_BYTES_MAX {
                    return Err(StorageError::TooManyReplaced(replaced.len()));
                }
                replaced.push((key.to_vec(), limits.to_vec()));
                return self.count(&mut done);
            }
            let (full, bytes) = row.of(self.revision, key, limits)?;
            tuples.put(full, bytes)?;
            part.push(key, limits);
            if part.0.len() >= LOG_PART_BYTES {
                log.send(std::mem::take(&mut part)).map_err(|_| stopped())?;
            }
            written = written.checked_add(1).ok_or_else(|| {
                StorageError::Io(
                    "one revision takes at most 4,294,967,295 tuples: split the import".to_owned(),
                )
            })?;
            self.count(&mut done)
        };
        let mut told = |clashing: Clash<'_>| {
            let mut parts = key::Parts::new(clashing.key);
            match parts.tuple(Direction::Forward) {
                Some(tuple) => clash(clashing.place, clashing.kind, tuple.to_owned()),
                // A sorted run holds what was put in, checksummed.
                None => ControlFlow::Break(()),
            }
        };
        let stored = Stored::open(self.database, self.store, Direction::Forward)?;
        let tally = resolve(sorted, stored, &self.rules, &mut emit, &mut told)?;
        let Some(tally) = tally else { return Ok(None) };
        log.send(part).map_err(|_| stopped())?;
        Ok(Some(Forward { tally, tables: tuples.finish()?, replaced, first_end, written }))
    }

    /// Writes `changes`: what becomes a new row of `tuples`, in that order.
    pub(super) fn log(&self, parts: &Receiver<LogPart>) -> Result<Vec<Table>, StorageError> {
        let finished = |family: Family, tables: &[Table]| self.finish(family, tables);
        let options = open::table_options(Family::Changes);
        let mut tables =
            Tables::new(&options, self.dir, Family::Changes, self.finished(Family::Changes), &finished);
        let (mut value, mut ordinal) = (Vec::new(), 0_u32);
        while let Ok(part) = parts.recv() {
            for (key, limits) in part.records() {
                value.clear();
                codec::append_written(key, limits, &mut value)?;
                tables.put(&key::change(self.store, self.revision, ordinal), &value)?;
                // As many as `forward` counts.
                ordinal = ordinal.wrapping_add(1);
            }
        }
        tables.finish()
    }

    /// Writes `by_subject`.
    pub(super) fn backward(&self, sorted: Merge) -> Result<Option<Vec<Table>>, StorageError> {
        let finished = |family: Family, tables: &[Table]| self.finish(family, tables);
        let options = open::table_options(Family::BySubject);
        let mut tables =
            Tables::new(&options, self.dir, Family::BySubject, self.finished(Family::BySubject), &finished);
        let mut row = Row::new(self.store);
        let mut done = 0;
        let mut emit = |fate: Fate, key: &[u8], limits: &[u8]| {
            if let Fate::New = fate {
                let (full, bytes) = row.of(self.revision, key, limits)?;
                tables.put(full, bytes)?;
            }
            self.count(&mut done)
        };
        let stored = Stored::open(self.database, self.store, Direction::Backward)?;
        let found = resolve(sorted, stored, &self.rules, &mut emit, &mut |_| ControlFlow::Continue(()))?;
        found.map(|_| tables.finish()).transpose()
    }
}

/// A row in the making, its buffers used again.
struct Row {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Row {
    fn new(store: u32) -> Row {
        Row { key: key::store_prefix(store), value: Vec::new() }
    }

    fn of(&mut self, created: Revision, key: &[u8], limits: &[u8]) -> Result<(&[u8], &[u8]), StorageError> {
        self.key.truncate(key::STORE_BYTES);
        self.key.extend_from_slice(key);
        self.value.clear();
        codec::append_row(created, limits, &mut self.value)?;
        Ok((&self.key, &self.value))
    }
}
