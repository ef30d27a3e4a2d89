//! The second pass, over what a sum has shown to differ: it names the rows.

use std::collections::HashMap;

use super::{GO_ON, Read, Run, attributes, digest, read_row};
use crate::storage::change::{ChangeKind, ChangeRecord};
use crate::storage::error::StorageError;
use crate::storage::reader::Row;
use crate::storage::rocks::{Direction, Family, View, read_change, tuple_key};
use crate::tuple::{Revision, TupleRef};

/// Parts into which events are sorted by their digest, so that only the parts that differ are kept in memory.
const PARTS: usize = 1 << 14;
/// Parts looked into: more findings than these hold are not listed anyway.
const PARTS_MAX: usize = 64;

/// A beginning or an end of an interval.
struct Event<'e> {
    tuple: TupleRef<'e>,
    revision: Revision,
    told_by: Teller,
    /// Of a beginning: what was written.
    begun: Option<&'e Row>,
}

/// Who tells of an event: a row of a family, or a change by its ordinal.
#[derive(Clone, Copy)]
enum Teller {
    Row(Family),
    Log(u32),
}

/// How often more one event is told by rows than by the log, and how to say so.
#[derive(Default)]
struct Told {
    balance: i64,
    by_row: Option<(String, String)>,
    by_log: Option<(String, String)>,
}

impl Event<'_> {
    fn digest(&self, store: u32) -> u128 {
        let key = tuple_key(Direction::Forward, store, self.tuple);
        let at = self.revision.0.to_be_bytes();
        match self.begun {
            Some(row) => digest(&[&key, &at, attributes(row).as_bytes()]),
            None => digest(&[&key, &at]),
        }
    }

    /// Place and problem, when one side tells of it and the other does not.
    fn finding(&self) -> (String, String) {
        let Event { tuple, revision, told_by, begun } = self;
        let what = if begun.is_some() { "begins" } else { "ends" };
        match told_by {
            Teller::Row(family) => {
                let problem = format!("{what} at {revision}, the change log does not say so");
                (format!("{} row {tuple}", family.name()), problem)
            }
            Teller::Log(ordinal) => {
                (format!("changes row {revision}/{ordinal} {tuple}"), format!("no row {what} there"))
            }
        }
    }
}

impl Run<'_> {
    /// Names the rows of two families that differ.
    pub(super) fn locate(
        &mut self,
        store: u32,
        forward: Family,
        backward: Family,
        has_end: bool,
    ) -> Result<(), StorageError> {
        let sides = [
            (forward, Direction::Forward, backward, Direction::Backward),
            (backward, Direction::Backward, forward, Direction::Forward),
        ];
        for (family, direction, other, other_direction) in sides {
            let Run { view, result, .. } = self;
            view.walk(family, &store.to_be_bytes(), &mut |key, value| {
                let Ok(read) = read_row(direction, key, value, has_end) else { return GO_ON };
                let mut twin = tuple_key(other_direction, store, read.tuple);
                if let Some(ended) = read.ended {
                    twin.extend_from_slice(&ended.0.to_be_bytes());
                }
                let place = || format!("{} row {}", family.name(), read.tuple);
                match view.get(other, &twin)? {
                    None => result.find(place(), format!("is missing in {}", other.name())),
                    Some(other_value) if other_value != value && direction == Direction::Forward => {
                        result.find(place(), format!("differs from its row in {}", other.name()));
                    }
                    Some(_) => {}
                }
                GO_ON
            })?;
        }
        Ok(())
    }

    /// Names the rows that the log does not tell of, and the entries of the log that have no row.
    pub(super) fn locate_in_log(&mut self, store: u32, horizon: Revision) -> Result<(), StorageError> {
        let part = |digest: u128| digest as usize % PARTS;
        let mut sums = vec![0_u128; PARTS];
        events(&self.view, store, horizon, &mut |event| {
            let digest = event.digest(store);
            let sum = &mut sums[part(digest)];
            *sum = match event.told_by {
                Teller::Row(_) => sum.wrapping_add(digest),
                Teller::Log(_) => sum.wrapping_sub(digest),
            };
        })?;
        let parts: Vec<usize> = (0..PARTS).filter(|&part| sums[part] != 0).take(PARTS_MAX).collect();
        let mut told: HashMap<u128, Told> = HashMap::new();
        events(&self.view, store, horizon, &mut |event| {
            let digest = event.digest(store);
            if parts.binary_search(&part(digest)).is_err() {
                return;
            }
            let told = told.entry(digest).or_default();
            match event.told_by {
                Teller::Row(_) => (told.balance, told.by_row) = (told.balance + 1, Some(event.finding())),
                Teller::Log(_) => (told.balance, told.by_log) = (told.balance - 1, Some(event.finding())),
            }
        })?;
        let surplus = told.into_values().filter_map(|told| match told.balance {
            0 => None,
            1.. => told.by_row,
            _ => told.by_log,
        });
        let mut findings: Vec<(String, String)> = surplus.collect();
        findings.sort();
        findings.into_iter().for_each(|(place, problem)| self.result.find(place, problem));
        Ok(())
    }
}

/// All ends of intervals of a store, and the beginnings above its horizon, as its rows and as its log tell them. What
/// cannot be read has been found before.
fn events(
    view: &View<'_>,
    store: u32,
    horizon: Revision,
    visit: &mut dyn FnMut(Event<'_>),
) -> Result<(), StorageError> {
    for (family, has_end) in [(Family::Tuples, false), (Family::History, true)] {
        view.walk(family, &store.to_be_bytes(), &mut |key, value| {
            let Ok(Read { tuple, row, ended, .. }) = read_row(Direction::Forward, key, value, has_end) else {
                return GO_ON;
            };
            let told_by = Teller::Row(family);
            if row.created > horizon {
                visit(Event { tuple, revision: row.created, told_by, begun: Some(&row) });
            }
            if let Some(revision) = ended {
                visit(Event { tuple, revision, told_by, begun: None });
            }
            GO_ON
        })?;
    }
    view.walk(Family::Changes, &store.to_be_bytes(), &mut |key, value| {
        let Ok(ChangeRecord { revision, ordinal, kind, tuple: Some(tuple) }) = read_change(key, value) else {
            return GO_ON;
        };
        let (told_by, key) = (Teller::Log(ordinal), tuple.key.as_ref());
        if matches!(kind, ChangeKind::Written | ChangeKind::Replaced) && revision > horizon {
            let (condition, expires_at) = (tuple.condition.clone(), tuple.expires_at);
            let row = Row { created: revision, condition, expires_at };
            visit(Event { tuple: key, revision, told_by, begun: Some(&row) });
        }
        if kind != ChangeKind::Written {
            visit(Event { tuple: key, revision, told_by, begun: None });
        }
        GO_ON
    })
}
