//! Holding every family against the others, in bounded memory.
//!
//! Sets are compared without keeping them: every row is hashed in a form that both sides share, and the hashes are
//! added up (a sum does not depend on order). Where two sums differ, a second pass names the rows.

mod locate;
mod stores;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::change::ChangeKind;
use super::codec;
use super::error::StorageError;
use super::reader::Row;
use super::rocks::{
    Database, Direction, Family, Parts, REVISION_BYTES, View, parse, read_change, show, tuple_key,
};
use crate::tuple::{Revision, SchemaId, StoreId, Timestamp, Tuple, TupleRef};

/// Findings kept; the rest is only counted.
const FINDINGS_MAX: usize = 100;

/// What validation saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Validation {
    /// Current tuples, of all stores.
    pub tuples: u64,
    /// Rows of the past, of all stores.
    pub history: u64,
    /// Entries of the change log, of all stores.
    pub changes: u64,
    /// Revisions remembered, of all stores.
    pub revisions: u64,
    /// What does not hold: the first hundred.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub findings_total: u64,
}

/// One thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The family and row.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

/// An order-independent digest of a set of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct SetDigest {
    count: u64,
    sum: u128,
}

impl SetDigest {
    fn add(&mut self, parts: &[&[u8]]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(digest(parts));
    }
}

fn digest(parts: &[&[u8]]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

/// The digests of one store, side against side.
#[derive(Debug)]
struct StoreDigests {
    id: StoreId,
    forward: SetDigest,
    backward: SetDigest,
    history_forward: SetDigest,
    history_backward: SetDigest,
    /// Beginnings of intervals above the horizon: as the rows say, as the log says.
    begun_rows: SetDigest,
    begun_log: SetDigest,
    /// Ends of intervals.
    ended_rows: SetDigest,
    ended_log: SetDigest,
    horizon: Revision,
    head: Revision,
    /// As the head says them.
    head_time: Timestamp,
    head_schema: Option<SchemaId>,
}

impl Database {
    /// Holds all families against each other. `progress` is told what is being read.
    ///
    /// # Errors
    /// Only when rows cannot be read at all; everything that does not hold is a finding.
    pub fn validate(&self, progress: &mut dyn FnMut(&str)) -> Result<Validation, StorageError> {
        // Not while an import takes its files in: its rows are there before its revision is.
        let view = {
            let _no_import = self.keep_backups_out();
            self.view()
        };
        let mut run = Run { view, result: Validation::default(), stores: BTreeMap::new() };
        progress("stores");
        run.open_stores()?;
        run.orphans()?;
        progress("tuples");
        run.current(Family::Tuples, Direction::Forward)?;
        progress("by_subject");
        run.current(Family::BySubject, Direction::Backward)?;
        progress("history");
        run.history(Family::History, Direction::Forward)?;
        progress("history_by_subject");
        run.history(Family::HistoryBySubject, Direction::Backward)?;
        run.intervals()?;
        progress("changes");
        run.changes()?;
        progress("revisions");
        run.revisions()?;
        progress("schemas");
        run.schemas()?;
        run.compare()?;
        Ok(run.result)
    }
}

struct Run<'a> {
    view: View<'a>,
    result: Validation,
    stores: BTreeMap<u32, StoreDigests>,
}

const GO_ON: Result<ControlFlow<()>, StorageError> = Ok(ControlFlow::Continue(()));

impl Validation {
    fn find(&mut self, place: String, problem: impl Into<String>) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { place, problem: problem.into() });
        }
    }
}

/// A row of one of the four tuple families, as far as it could be read.
struct Read<'k> {
    store: u32,
    tuple: TupleRef<'k>,
    row: Row,
    ended: Option<Revision>,
}

/// Reads a row, or says what is wrong with it.
fn read_row<'k>(
    direction: Direction,
    key: &'k [u8],
    value: &[u8],
    has_end: bool,
) -> Result<Read<'k>, String> {
    let end = if has_end { key.len().checked_sub(REVISION_BYTES).ok_or("key is short")? } else { key.len() };
    let (tuple_key, suffix) = key.split_at(end);
    let store = Parts::new(key).u32().ok_or("key is short")?;
    let tuple = parse(direction, tuple_key).ok_or("key is not one of a tuple")?;
    // Every name in a key has passed the parser when it was written.
    let text = tuple.to_string();
    if TupleRef::parse(&text).ok() != Some(tuple) {
        return Err(format!("`{text}` breaks the rules for names"));
    }
    let row = codec::decode_row(value, &String::new).map_err(|error| error.to_string())?;
    Ok(Read { store, tuple, row, ended: Parts::new(suffix).u64().map(Revision) })
}

fn begin_parts<'p>(key: &'p [u8], created: &'p [u8; 8], rest: &'p str) -> [&'p [u8]; 3] {
    [key, created, rest.as_bytes()]
}

/// Condition and expiry, the same for a row and for the change that wrote it.
fn attributes(row: &Row) -> String {
    let condition = row.condition.as_ref().map(ToString::to_string);
    format!("{condition:?} {:?}", row.expires_at)
}

impl Run<'_> {
    fn current(&mut self, family: Family, direction: Direction) -> Result<(), StorageError> {
        let Run { view, result, stores } = self;
        view.walk(family, &[], &mut |key, value| {
            let read = match read_row(direction, key, value, false) {
                Ok(read) => read,
                Err(problem) => {
                    result.find(format!("{} row {}", family.name(), show(key)), problem);
                    return GO_ON;
                }
            };
            let Some(digests) = stores.get_mut(&read.store) else { return GO_ON };
            let forward = tuple_key(Direction::Forward, read.store, read.tuple);
            if direction == Direction::Backward {
                digests.backward.add(&[&forward, value]);
                return GO_ON;
            }
            result.tuples += 1;
            digests.forward.add(&[&forward, value]);
            let created = read.row.created;
            if created > digests.head || created == Revision::ZERO {
                let problem = format!("is of revision {created}, the store is at {}", digests.head);
                result.find(format!("tuples row {}", read.tuple), problem);
            }
            if created > digests.horizon {
                digests.begun_rows.add(&begin_parts(
                    &forward,
                    &created.0.to_be_bytes(),
                    &attributes(&read.row),
                ));
            }
            GO_ON
        })
    }

    fn history(&mut self, family: Family, direction: Direction) -> Result<(), StorageError> {
        let Run { view, result, stores } = self;
        view.walk(family, &[], &mut |key, value| {
            let read = match read_row(direction, key, value, true) {
                Ok(read) => read,
                Err(problem) => {
                    result.find(format!("{} row {}", family.name(), show(key)), problem);
                    return GO_ON;
                }
            };
            let (Some(digests), Some(ended)) = (stores.get_mut(&read.store), read.ended) else {
                return GO_ON;
            };
            let forward = tuple_key(Direction::Forward, read.store, read.tuple);
            if direction == Direction::Backward {
                digests.history_backward.add(&[&forward, &ended.0.to_be_bytes(), value]);
                return GO_ON;
            }
            result.history += 1;
            digests.history_forward.add(&[&forward, &ended.0.to_be_bytes(), value]);
            // Below the horizon too: collection drops a row together with the entry of its end.
            digests.ended_rows.add(&[&forward, &ended.0.to_be_bytes()]);
            let created = read.row.created;
            if created > digests.horizon {
                digests.begun_rows.add(&begin_parts(
                    &forward,
                    &created.0.to_be_bytes(),
                    &attributes(&read.row),
                ));
            }
            GO_ON
        })
    }

    /// The intervals of a tuple overlap neither each other nor its current row.
    fn intervals(&mut self) -> Result<(), StorageError> {
        let Run { view, result, .. } = self;
        let mut last: Option<(Vec<u8>, Revision)> = None;
        view.walk(Family::History, &[], &mut |key, value| {
            let Ok(Read { tuple, row, ended: Some(ended), .. }) =
                read_row(Direction::Forward, key, value, true)
            else {
                return GO_ON;
            };
            let tuple_key = &key[..key.len() - REVISION_BYTES];
            let place = || format!("history row {tuple}");
            if row.created >= ended {
                result.find(place(), format!("begins at {} and ends at {ended}", row.created));
            }
            if let Some((before, before_ended)) = &last
                && before == tuple_key
                && *before_ended > row.created
            {
                let problem = format!("begins at {} before the one that ends at {before_ended}", row.created);
                result.find(place(), problem);
            }
            if let Some(bytes) = view.get(Family::Tuples, tuple_key)?
                && let Ok(current) = codec::decode_row(&bytes, &String::new)
                && current.created < ended
            {
                result.find(
                    place(),
                    format!("ends at {ended}, after its current row began at {}", current.created),
                );
            }
            last = Some((tuple_key.to_vec(), ended));
            GO_ON
        })
    }

    /// The log, replayed: every beginning and every end of an interval has its entry, and the other way round.
    fn changes(&mut self) -> Result<(), StorageError> {
        let Run { view, result, stores } = self;
        view.walk(Family::Changes, &[], &mut |key, value| {
            let change = match read_change(key, value) {
                Ok(change) => change,
                Err(error) => {
                    result.find(format!("changes row {}", show(key)), error.to_string());
                    return GO_ON;
                }
            };
            let store = Parts::new(key).u32().unwrap_or(0);
            let Some(digests) = stores.get_mut(&store) else { return GO_ON };
            result.changes += 1;
            // What is purged has neither rows nor a name in the log.
            let Some(Tuple { key: tuple, condition, expires_at }) = change.tuple else { return GO_ON };
            let forward = tuple_key(Direction::Forward, store, tuple.as_ref());
            let at = change.revision.0.to_be_bytes();
            let has_begun = matches!(change.kind, ChangeKind::Written | ChangeKind::Replaced);
            if has_begun && change.revision > digests.horizon {
                let row = Row { created: change.revision, condition, expires_at };
                digests.begun_log.add(&begin_parts(&forward, &at, &attributes(&row)));
            }
            if change.kind != ChangeKind::Written {
                digests.ended_log.add(&[&forward, &at]);
            }
            GO_ON
        })
    }

    /// Revisions follow each other without a gap up to the head, times never go back, counts and schemas are right.
    fn revisions(&mut self) -> Result<(), StorageError> {
        let Run { view, result, stores } = self;
        for (&store, digests) in stores.iter() {
            let mut expected = digests.horizon.next();
            // Below a horizon nothing is known of what was before.
            let begin = (Timestamp::from_micros(i64::MIN), None);
            let mut last = (digests.horizon == Revision::ZERO).then_some(begin);
            view.walk(Family::Revisions, &store.to_be_bytes(), &mut |key, value| {
                let mut parts = Parts::new(key);
                let revision = parts.u32().and_then(|_| parts.u64()).map(Revision);
                let revision = revision.filter(|_| parts.is_empty());
                let place = || format!("revisions row {}", show(key));
                let (Some(revision), Ok(record)) = (revision, codec::decode_revision(value, &place)) else {
                    result.find(place(), "cannot be read");
                    return GO_ON;
                };
                result.revisions += 1;
                // Below the horizon some may be left, which collection has not come to yet.
                if revision != expected && revision > digests.horizon {
                    result.find(place(), format!("is revision {revision}, {expected} should follow"));
                }
                expected = expected.max(revision.next());
                if last.is_some_and(|(time, _)| record.time < time) {
                    result.find(place(), "was committed before the one before it");
                }
                let prefix = [store.to_be_bytes().as_slice(), &revision.0.to_be_bytes()].concat();
                let mut changes = 0;
                view.walk(Family::Changes, &prefix, &mut |_, _| {
                    changes += 1;
                    GO_ON
                })?;
                if changes != record.changes && revision > digests.horizon {
                    let problem = format!("has {changes} changes, its record says {}", record.changes);
                    result.find(place(), problem);
                }
                let before = last.map(|(_, schema)| schema);
                if let Some(problem) = stores::schema_problem(view, store, revision, record.schema, before)? {
                    result.find(place(), problem);
                }
                last = Some((record.time, record.schema));
                GO_ON
            })?;
            if expected != digests.head.next() && digests.head > digests.horizon {
                let problem =
                    format!("the last revision is {}, the head says {}", expected.0 - 1, digests.head);
                result.find(format!("revisions of store number {store}"), problem);
            } else if digests.head > Revision::ZERO
                && let Some((time, schema)) = last
            {
                stores::hold_head(result, store, digests, time, schema);
            }
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), StorageError> {
        let stores = std::mem::take(&mut self.stores);
        for (store, digests) in &stores {
            if digests.forward != digests.backward {
                self.locate(*store, Family::Tuples, Family::BySubject, false)?;
            }
            if digests.history_forward != digests.history_backward {
                self.locate(*store, Family::History, Family::HistoryBySubject, true)?;
            }
            for (what, rows, log) in [
                ("written", digests.begun_rows, digests.begun_log),
                ("ended", digests.ended_rows, digests.ended_log),
            ] {
                if rows != log {
                    let problem = format!(
                        "replaying the change log does not give the rows: {} rows were {what}, the log has {}",
                        rows.count, log.count
                    );
                    self.result.find(format!("changes of store number {store}"), problem);
                }
            }
            if (digests.begun_rows, digests.ended_rows) != (digests.begun_log, digests.ended_log) {
                self.locate_in_log(*store, digests.horizon)?;
            }
        }
        self.stores = stores;
        Ok(())
    }
}
