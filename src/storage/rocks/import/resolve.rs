//! Which of the sorted tuples become rows: each once, and only those that are not there already.

use std::ops::ControlFlow;

use rocksdb::{DBRawIterator, ReadOptions};

use super::sort::{self, Merge};
use super::{Clash, ClashKind, OnStored, Place};
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::rocks::families::Family;
use crate::storage::rocks::key::{self, Direction, show};
use crate::storage::rocks::{Database, open};
use crate::tuple::Timestamp;

/// The stored rows of one direction, walked along beside the sorted ones.
pub(super) struct Stored<'d> {
    rows: DBRawIterator<'d>,
    store: [u8; key::STORE_BYTES],
    seek: Vec<u8>,
    family: Family,
}

/// Rows that are stepped over before seeking instead.
const STEPS: usize = 8;

impl<'d> Stored<'d> {
    pub(super) fn open(
        database: &'d Database,
        store: u32,
        direction: Direction,
    ) -> Result<Stored<'d>, StorageError> {
        let family = match direction {
            Direction::Forward => Family::Tuples,
            Direction::Backward => Family::BySubject,
        };
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.fill_cache(false);
        let prefix = key::store_prefix(store);
        if let Some(end) = key::successor(&prefix) {
            options.set_iterate_upper_bound(end);
        }
        let mut rows = database.db.raw_iterator_cf_opt(database.family(family)?, options);
        rows.seek(&prefix);
        Ok(Stored { rows, store: store.to_be_bytes(), seek: Vec::new(), family })
    }

    /// The limits of the row with this key, if there is one. Keys are asked for in ascending order.
    fn find(&mut self, wanted: &[u8]) -> Result<Option<&[u8]>, StorageError> {
        for step in 0.. {
            let Some(found) = self.rows.key() else {
                return self.rows.status().map(|()| None).map_err(open::from_rocks);
            };
            match found[key::STORE_BYTES..].cmp(wanted) {
                std::cmp::Ordering::Greater => return Ok(None),
                std::cmp::Ordering::Equal => break,
                std::cmp::Ordering::Less if step == STEPS => {
                    self.seek.clear();
                    self.seek.extend_from_slice(&self.store);
                    self.seek.extend_from_slice(wanted);
                    self.rows.seek(&self.seek);
                }
                std::cmp::Ordering::Less => self.rows.next(),
            }
        }
        let family = self.family;
        let place = || format!("{} row {}", family.name(), show(wanted));
        self.rows.value().map(|value| codec::limits_of_row(value, &place)).transpose()
    }
}

/// What becomes of a tuple.
pub(super) enum Fate {
    /// A new row.
    New,
    /// A row in the place of another.
    Replaced,
}

/// Takes what becomes a row: key and limits.
type Emit<'e> = &'e mut dyn FnMut(Fate, &[u8], &[u8]) -> Result<(), StorageError>;
/// Is told of what cannot be taken.
type Clashing<'c> = &'c mut dyn FnMut(Clash<'_>) -> ControlFlow<()>;

/// What was found on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Tuples that were there, or in the input, already.
    pub(super) unchanged: u64,
}

/// How tuples that are there already are dealt with.
pub(super) struct Rules {
    pub(super) on_stored: OnStored,
    /// Rows that have ended by now are as good as gone.
    pub(super) now: Timestamp,
}

/// Visits, in order of their keys, the tuples that become rows: key and limits. Both directions come to the same decisions.
///
/// A tuple that cannot be taken is told to `clash`, which may end it all: then the answer is none.
pub(super) fn resolve(
    mut sorted: Merge,
    mut stored: Stored<'_>,
    rules: &Rules,
    emit: Emit<'_>,
    clash: Clashing<'_>,
) -> Result<Option<Tally>, StorageError> {
    let mut tally = Tally::default();
    let mut held = Held::default();
    while let Some((key, value)) = sorted.next()? {
        let (place, limits) = read_value(value)?;
        if held.is_any && held.key == key {
            let is_same = held.limits == limits;
            if rules.on_stored == OnStored::Replace && !is_same {
                // The last one counts.
                held.take(key, place, limits);
                tally.unchanged += 1;
            } else if rules.on_stored == OnStored::Error || !is_same {
                let kind = ClashKind::Repeated { first: held.place, is_same };
                if clash(Clash { place, kind, key }).is_break() {
                    return Ok(None);
                }
            } else {
                tally.unchanged += 1;
            }
            continue;
        }
        if held.is_any && held.settle(&mut stored, rules, &mut tally, emit, clash)?.is_break() {
            return Ok(None);
        }
        held.take(key, place, limits);
    }
    if held.is_any && held.settle(&mut stored, rules, &mut tally, emit, clash)?.is_break() {
        return Ok(None);
    }
    Ok(Some(tally))
}

/// The first of several records of one key.
#[derive(Default)]
struct Held {
    is_any: bool,
    key: Vec<u8>,
    limits: Vec<u8>,
    place: Place,
}

impl Held {
    fn take(&mut self, key: &[u8], place: Place, limits: &[u8]) {
        self.is_any = true;
        self.key.clear();
        self.key.extend_from_slice(key);
        self.limits.clear();
        self.limits.extend_from_slice(limits);
        self.place = place;
    }

    /// Holds it against what is stored.
    fn settle(
        &self,
        stored: &mut Stored<'_>,
        rules: &Rules,
        tally: &mut Tally,
        emit: Emit<'_>,
        clash: Clashing<'_>,
    ) -> Result<ControlFlow<()>, StorageError> {
        let key = &self.key[..];
        let Some(limits) = stored.find(key)? else {
            emit(Fate::New, key, &self.limits)?;
            return Ok(ControlFlow::Continue(()));
        };
        let is_same = limits == self.limits;
        let end = codec::decode_end(limits, &|| format!("row {}", show(key)))?;
        if end.is_some_and(|end| end <= rules.now) || (rules.on_stored == OnStored::Replace && !is_same) {
            emit(Fate::Replaced, key, &self.limits)?;
        } else if rules.on_stored == OnStored::Error || !is_same {
            let kind = ClashKind::Stored { is_same };
            return Ok(clash(Clash { place: self.place, kind, key }));
        } else {
            tally.unchanged += 1;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The value of a sorted record: where the tuple stands, then its limits.
pub(super) fn put_place(bytes: &mut Vec<u8>, place: Place) {
    sort::put_length(bytes, place.input as usize);
    sort::put_length(bytes, place.line as usize);
}

fn read_value(mut value: &[u8]) -> Result<(Place, &[u8]), StorageError> {
    let input = sort::take_length(&mut value).and_then(|input| u32::try_from(input).ok());
    match (input, sort::take_length(&mut value)) {
        (Some(input), Some(line)) => Ok((Place { input, line: line as u64 }, value)),
        _ => Err(StorageError::damaged("a sorted run", "a record is not what was written")),
    }
}
