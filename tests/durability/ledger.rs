//! What the acknowledgements of all processes so far promise, and whether a directory keeps it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use stonetown::storage::{
    ChangeKind, ChangeRecord, Database, DatabaseOptions, RevisionKind, Row, StoreRecord, TupleFilter,
    TupleReader as _,
};
use stonetown::tuple::{Revision, StoreId, TupleKey};

use super::process::Said;
use super::workload::Write;

/// All that was promised.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Stores that are there for good.
    stores: BTreeMap<String, StoreId>,
    /// Writes by store and revision.
    writes: BTreeMap<StoreId, BTreeMap<u64, Write>>,
    /// Stores that come and go.
    passing: BTreeMap<StoreId, Passing>,
    /// How many writes were acknowledged.
    pub(super) acknowledged: usize,
    /// How many calls were refused by storage.
    pub(super) refused: usize,
    /// How many processes went on reading after a refusal.
    pub(super) readers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    Made,
    /// Its removal was asked for: both are right.
    Leaving,
    Gone,
}

/// What a directory holds: the writes of each store, by revision.
pub(super) type Found = BTreeMap<StoreId, (StoreRecord, BTreeMap<u64, Write>)>;

impl Ledger {
    /// Takes note of what a process said.
    pub(super) fn note(&mut self, said: Said) -> Result<()> {
        match said {
            Said::Opening => {}
            Said::Store(name, id) => {
                let known = *self.stores.entry(name.clone()).or_insert(id);
                ensure!(known == id, "store `{name}` was {known} and is {id} now");
            }
            Said::Acknowledged(store, write, revision) => {
                self.acknowledged += 1;
                let before = self.writes.entry(store).or_default().insert(revision, write);
                ensure!(
                    before.is_none_or(|before| before == write),
                    "revision {revision} of store {store} was {before:?} and is {write:?} now"
                );
            }
            Said::Made(id) => drop(self.passing.insert(id, Passing::Made)),
            Said::Leaving(id) => drop(self.passing.insert(id, Passing::Leaving)),
            Said::Gone(id) => drop(self.passing.insert(id, Passing::Gone)),
            Said::Refused(_) => self.refused += 1,
            Said::ReadsGoOn(_) => self.readers += 1,
            Said::Wrong(problem) => anyhow::bail!("the writing process: {problem}"),
        }
        Ok(())
    }

    /// Opens a directory and holds it against every promise. What it holds beyond them is a promise from now on: it
    /// has been seen.
    pub(super) fn check(&mut self, dir: &Path) -> Result<()> {
        // Before the first acknowledgement there need not be anything.
        let options =
            DatabaseOptions { create: true, block_cache_bytes: 8 << 20, ..DatabaseOptions::default() };
        let database = Database::open(dir, &options).context("opening after the end")?;
        let found = look(&database)?;
        for (name, id) in &self.stores {
            let (record, _) = found.get(id).with_context(|| format!("store `{name}` is lost"))?;
            ensure!(record.name.as_deref() == Some(name), "store `{name}` is `{:?}` now", record.name);
        }
        for (id, passing) in &mut self.passing {
            let is_there = found.contains_key(id);
            ensure!(*passing != Passing::Gone || !is_there, "store {id} was removed and is there again");
            ensure!(*passing != Passing::Made || is_there, "store {id} is lost");
            if !is_there {
                *passing = Passing::Gone;
                self.writes.remove(id);
            }
        }
        for (id, promised) in &self.writes {
            let (_, writes) = found.get(id).with_context(|| format!("store {id} is lost"))?;
            for (revision, write) in promised {
                let kept = writes.get(revision);
                ensure!(
                    kept == Some(write),
                    "revision {revision} of store {id} was {write:?} and is {kept:?} now; the head is {:?}",
                    writes.keys().next_back()
                );
            }
        }
        for (id, (record, writes)) in found {
            if let Some(name) = record.name {
                self.stores.insert(name.to_string(), id);
            } else {
                // Found without a word: removed by the process that made it, perhaps just now.
                self.passing.entry(id).or_insert(Passing::Leaving);
            }
            self.writes.insert(id, writes);
        }
        Ok(())
    }
}

/// Everything a database holds, after making sure that it makes sense: validation has no findings, revisions follow
/// each other without a gap, each holds exactly one write, and the log replayed gives the tuples that are read.
pub(super) fn look(database: &Database) -> Result<Found> {
    let validation = database.validate(&mut |_| {})?;
    ensure!(validation.findings_total == 0, "validation found {:?}", validation.findings);
    let mut found = Found::new();
    for store in database.stores() {
        let (writes, tuples) = replay(database, &store).with_context(|| format!("store {}", store.id))?;
        let head = database.head(store.number)?;
        let mut rows = BTreeMap::new();
        head.scan(&TupleFilter::default(), &mut |tuple, row| {
            rows.insert(tuple.to_owned(), row.clone());
            ControlFlow::Continue(())
        })?;
        ensure!(rows == tuples, "the tuples of store {} are not those of its change log", store.id);
        for (tuple, row) in &tuples {
            ensure!(head.get(tuple.as_ref())?.as_ref() == Some(row), "`{tuple}` is scanned but not found");
        }
        found.insert(store.id, (store, writes));
    }
    Ok(found)
}

type Tuples = BTreeMap<TupleKey, Row>;

/// A plain model of a store, made of its change log alone.
fn replay(database: &Database, store: &StoreRecord) -> Result<(BTreeMap<u64, Write>, Tuples)> {
    let mut changes: BTreeMap<u64, Vec<ChangeRecord>> = BTreeMap::new();
    database.changes(store.number, (Revision::ZERO, 0), &mut |record| {
        changes.entry(record.revision.0).or_default().push(record);
        ControlFlow::Continue(())
    })?;
    let mut writes = BTreeMap::new();
    let mut numbers: BTreeMap<u8, u64> = BTreeMap::new();
    let mut tuples = Tuples::new();
    for revision in 1..=database.head(store.number)?.revision().0 {
        let record = database.revision_record(store.number, Revision(revision))?;
        let record = record.with_context(|| format!("revision {revision} has no record"))?;
        let changes = changes.remove(&revision).unwrap_or_default();
        ensure!(
            record.changes as usize == changes.len(),
            "revision {revision} has {} changes",
            changes.len()
        );
        if record.kind == RevisionKind::Schema {
            let schema = record.schema.context("a schema's revision without schema")?;
            ensure!(database.schema(store.number, schema)?.is_some(), "schema {schema} is lost");
            writes.insert(revision, Write::SCHEMA);
            continue;
        }
        let write = Write::of(&changes)?;
        let last = numbers.insert(write.thread, write.number).unwrap_or(0);
        ensure!(write.number == last + 1, "revision {revision} is {write:?}, the one before was {last}");
        writes.insert(revision, write);
        changes.into_iter().try_for_each(|change| apply(&mut tuples, change))?;
    }
    ensure!(changes.is_empty(), "the log goes on above the head: {changes:?}");
    Ok((writes, tuples))
}

fn apply(tuples: &mut Tuples, record: ChangeRecord) -> Result<()> {
    let ChangeRecord { revision, kind, tuple, .. } = record;
    let tuple = tuple.with_context(|| format!("revision {revision} names no tuple"))?;
    let row = Row { created: revision, condition: tuple.condition, expires_at: tuple.expires_at };
    let text = tuple.key.to_string();
    let before = match kind {
        ChangeKind::Written | ChangeKind::Replaced => tuples.insert(tuple.key, row),
        ChangeKind::Deleted | ChangeKind::Expired | ChangeKind::Purged => tuples.remove(&tuple.key),
    };
    ensure!(
        before.is_some() == (kind != ChangeKind::Written),
        "revision {revision}: `{text}` is {kind:?}, before it was {before:?}"
    );
    Ok(())
}
