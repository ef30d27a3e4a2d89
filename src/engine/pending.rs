//! What becomes of tuples in one revision, put together step by step over the state before: each tuple changes once.

use std::collections::BTreeMap;

use super::write::is_same;
use crate::storage::{Change, Row, StorageError, TupleReader};
use crate::tuple::{Tuple, TupleKey};

/// Changes in the making.
pub(super) struct Pending<'s> {
    state: &'s dyn TupleReader,
    /// In the order of their keys, as they will be stored; none: it is gone afterwards.
    tuples: BTreeMap<TupleKey, Option<Row>>,
}

impl<'s> Pending<'s> {
    pub(super) fn over(state: &'s dyn TupleReader) -> Pending<'s> {
        Pending { state, tuples: BTreeMap::new() }
    }

    /// The row of a tuple as it stands so far.
    pub(super) fn get(&self, key: &TupleKey) -> Result<Option<Row>, StorageError> {
        match self.tuples.get(key) {
            Some(row) => Ok(row.clone()),
            None => self.state.get(key.as_ref()),
        }
    }

    /// Whether anything was said about a tuple so far.
    pub(super) fn knows(&self, key: &TupleKey) -> bool {
        self.tuples.contains_key(key)
    }

    /// The tuple is to be there, with the condition and expiry of a row; none: it is to be gone.
    pub(super) fn put(&mut self, key: TupleKey, row: Option<Row>) {
        self.tuples.insert(key, row);
    }

    /// What has to be changed; what is as it was needs nothing.
    pub(super) fn into_changes(self, changes: &mut Vec<Change>) -> Result<(), StorageError> {
        for (key, row) in self.tuples {
            let before = self.state.get(key.as_ref())?;
            match row {
                Some(Row { condition, expires_at, .. }) => {
                    let tuple = Tuple { key, condition, expires_at };
                    if !before.is_some_and(|before| is_same(&before, &tuple)) {
                        changes.push(Change::Write(tuple));
                    }
                }
                None if before.is_some() => changes.push(Change::Delete(key)),
                None => {}
            }
        }
        Ok(())
    }
}
