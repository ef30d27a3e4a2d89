//! Directories to be damaged: small, but with rows of every family.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use stonetown::storage::{Change, Database, DatabaseOptions, WriteError, Writer};
use stonetown::tuple::{SchemaId, StoreId};
use tempfile::TempDir;

use super::directory;
use super::ledger::{Found, look};
use super::workload::{STORES, THREADS, Write};

/// Writes to each store.
const WRITES: u64 = 24;

/// A data directory, and everything that was acknowledged.
pub(super) struct Sample {
    place: TempDir,
    /// What a whole directory holds.
    pub(super) expected: Found,
    /// What was made, in order: each is one write to the log.
    made: Vec<Made>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Directory,
    Store(StoreId),
    Revision(StoreId),
}

/// Where its rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// In the write-ahead log alone.
    InLog,
    /// In table files alone, at least two of every family that has rows.
    InTables,
}

impl Sample {
    pub(super) fn new(rows: Rows) -> Result<Sample> {
        let place = memory()?;
        let dir = place.path().join("closed");
        let database = Arc::new(Database::open(&dir, &options(true))?);
        let writer = Writer::start(Arc::clone(&database))?;
        let mut made = vec![Made::Directory];
        let make_store = |made: &mut Vec<Made>, name: &str| -> Result<StoreId> {
            let store = writer.create_store(StoreId::generate(), Some(name.to_owned()))?;
            made.push(Made::Store(store.id));
            Ok(store.id)
        };
        let stores = STORES.map(|name| make_store(&mut made, name));
        let stores: Vec<StoreId> = stores.into_iter().collect::<Result<_>>()?;
        for half in 0..2 {
            for number in half * WRITES / 2..(half + 1) * WRITES / 2 {
                let threads = u64::from(THREADS);
                let write = Write { thread: (number % threads) as u8, number: number / threads + 1 };
                for store in &stores {
                    commit(&writer, *store, move || write.changes())?;
                    made.push(Made::Revision(*store));
                }
            }
            // A store made in each half, so that `stores` and `schemas` have two tables as well.
            let store = make_store(&mut made, &format!("schemas {half}"))?;
            let document = r#"{"schema_version":"1.1"}"#.into();
            commit(&writer, store, move || vec![Change::Schema { id: SchemaId::generate(), document }])?;
            made.push(Made::Revision(store));
            if rows == Rows::InTables {
                database.flush()?;
            }
        }
        let expected = look(&database)?;
        // What a crash at this moment leaves.
        directory::copy(&dir, &place.path().join("crashed"))?;
        drop(writer);
        drop(Arc::into_inner(database).context("the writer has let go")?);
        Ok(Sample { place, expected, made })
    }

    /// The directory as it is after it was closed.
    pub(super) fn closed(&self) -> PathBuf {
        self.place.path().join("closed")
    }

    /// The directory as a process left it that was killed.
    pub(super) fn crashed(&self) -> PathBuf {
        self.place.path().join("crashed")
    }

    /// A place for copies.
    pub(super) fn place(&self) -> &Path {
        self.place.path()
    }

    /// Whether a directory holds what the first so many writes to the log made, no more and no less.
    pub(super) fn is_prefix(&self, found: &Found, writes: usize) -> bool {
        let mut expected: BTreeMap<StoreId, usize> = BTreeMap::new();
        for made in &self.made[..writes] {
            match made {
                Made::Directory => {}
                Made::Store(store) => drop(expected.insert(*store, 0)),
                Made::Revision(store) => *expected.entry(*store).or_default() += 1,
            }
        }
        expected == found.iter().map(|(store, (_, writes))| (*store, writes.len())).collect()
            && found.iter().all(|(store, (record, writes))| {
                let (whole_record, whole) = &self.expected[store];
                record == whole_record
                    && writes.iter().all(|(revision, write)| whole.get(revision) == Some(write))
            })
    }
}

/// Opens a directory, and reads all of it.
pub(super) fn read(dir: &Path) -> Result<Result<Found>> {
    match Database::open(dir, &options(false)) {
        Ok(database) => Ok(look(&database)),
        Err(error) => Err(error.into()),
    }
}

fn options(create: bool) -> DatabaseOptions {
    DatabaseOptions { create, block_cache_bytes: 1 << 20, ..DatabaseOptions::default() }
}

fn commit(
    writer: &Writer,
    store: StoreId,
    changes: impl FnOnce() -> Vec<Change> + Send + 'static,
) -> Result<()> {
    match writer.write::<String>(store, Box::new(move |_, _| Ok(changes()))) {
        Ok(_) => Ok(()),
        Err(WriteError::Storage(error)) => Err(error.into()),
        Err(WriteError::Refused(problem)) => bail!(problem),
    }
}

/// A directory in memory where there is one: these tests do not care for syncs.
fn memory() -> Result<TempDir> {
    Ok(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?)
}

/// The records of one of RocksDB's logs, as far as they make sense: where each begins and ends, and whether it is the
/// last (or only) piece of what was written at once.
pub(super) fn records(log: &[u8]) -> Result<Vec<Record>> {
    const BLOCK_BYTES: usize = 32 << 10;
    const HEADER_BYTES: usize = 7;
    let mut records = Vec::new();
    let mut at = 0;
    while at + HEADER_BYTES <= log.len() {
        let block_left = BLOCK_BYTES - at % BLOCK_BYTES;
        if block_left < HEADER_BYTES {
            at += block_left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]]));
        let end = at + HEADER_BYTES + length;
        ensure!(end <= log.len() && HEADER_BYTES + length <= block_left, "record at {at} of {length} bytes");
        records.push(Record { begin: at, end, is_last: matches!(log[at + 6], 1 | 4) });
        at = end;
    }
    Ok(records)
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) is_last: bool,
}
