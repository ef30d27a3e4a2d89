//! The rows of a closed data directory, below everything that looks after them.
//!
//! Keys are built here once more from the layout that `DESIGN.md` §5 fixes, so that a change of it does not go
//! unnoticed.

use std::path::Path;

use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, Options};
use stonetown::tuple::{Subject, TupleKey};

/// Key and value.
pub(crate) type RawRow = (Box<[u8]>, Box<[u8]>);

/// RocksDB itself, opened on the files of a data directory that nobody else has open.
pub(crate) struct Raw(DB);

impl Raw {
    /// Opens all families there are. The seal, which would tell that somebody did, is broken.
    pub(crate) fn open(dir: &Path) -> Raw {
        drop(std::fs::remove_file(dir.join("stonetown.seal")));
        let files = dir.join("rocksdb");
        let mut options = Options::default();
        options.set_track_and_verify_wals_in_manifest(true);
        let families = DB::list_cf(&options, &files).unwrap();
        Raw(DB::open_cf(&options, &files, families).unwrap())
    }

    fn family(&self, name: &str) -> &ColumnFamily {
        self.0.cf_handle(name).unwrap_or_else(|| panic!("there is no family `{name}`"))
    }

    /// One row.
    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get_cf(self.family(family), key).unwrap()
    }

    /// Writes one row.
    pub(crate) fn put(&self, family: &str, key: &[u8], value: &[u8]) {
        self.0.put_cf(self.family(family), key, value).unwrap();
    }

    /// Takes away one row, which has to be there.
    pub(crate) fn delete(&self, family: &str, key: &[u8]) {
        assert!(self.get(family, key).is_some(), "{family} has no row {}", key.escape_ascii());
        self.0.delete_cf(self.family(family), key).unwrap();
    }

    /// The rows of a family with a prefix, in key order.
    pub(crate) fn rows(&self, family: &str, prefix: &[u8]) -> Vec<RawRow> {
        self.0
            .iterator_cf(self.family(family), IteratorMode::From(prefix, Direction::Forward))
            .map(Result::unwrap)
            .take_while(|(key, _)| key.starts_with(prefix))
            .collect()
    }
}

/// Families whose keys begin with a store number.
pub(crate) const OF_STORE: [&str; 8] = [
    "tuples",
    "by_subject",
    "history",
    "history_by_subject",
    "changes",
    "revisions",
    "schemas",
    "assertions",
];

/// A number as a value: the version byte, then bincode's varint.
pub(crate) fn number_value(number: u64) -> Vec<u8> {
    let mut value = vec![1];
    match number {
        0..=250 => value.push(number as u8),
        251..=0xffff => {
            value.push(251);
            value.extend((number as u16).to_le_bytes());
        }
        _ => {
            value.push(252);
            value.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
    }
    value
}

/// A plain row, without condition and expiry.
pub(crate) fn row_value(created: u8) -> Vec<u8> {
    vec![1, created, 0, 0]
}

/// The key of a tuple in `tuples`.
pub(crate) fn forward(store: u32, tuple: &str) -> Vec<u8> {
    let tuple: TupleKey = tuple.parse().unwrap();
    let mut key = store.to_be_bytes().to_vec();
    text(&mut key, &[tuple.object.object_type(), tuple.object.id(), tuple.relation.as_str()]);
    subject(&mut key, &tuple.subject);
    key
}

/// The key of a tuple in `by_subject`.
pub(crate) fn backward(store: u32, tuple: &str) -> Vec<u8> {
    let tuple: TupleKey = tuple.parse().unwrap();
    let mut key = store.to_be_bytes().to_vec();
    subject(&mut key, &tuple.subject);
    text(&mut key, &[tuple.object.object_type(), tuple.relation.as_str(), tuple.object.id()]);
    key
}

/// A key with the revision that ended its row: that of a history family.
pub(crate) fn ended(mut key: Vec<u8>, revision: u64) -> Vec<u8> {
    key.extend(revision.to_be_bytes());
    key
}

/// The key of a revision, and the beginning of the keys of its changes.
pub(crate) fn revision(store: u32, revision: u64) -> Vec<u8> {
    ended(store.to_be_bytes().to_vec(), revision)
}

/// The key of an entry of the change log.
pub(crate) fn change(store: u32, at: u64, ordinal: u32) -> Vec<u8> {
    let mut key = revision(store, at);
    key.extend(ordinal.to_be_bytes());
    key
}

/// A key of `meta` that is about one store.
pub(crate) fn of_store(name: &str, store: u32) -> Vec<u8> {
    [name.as_bytes(), b"/", &store.to_be_bytes()].concat()
}

fn subject(key: &mut Vec<u8>, subject: &Subject) {
    match subject {
        Subject::Object(object) => {
            key.push(1);
            text(key, &[object.object_type(), object.id()]);
        }
        Subject::Wildcard(subject_type) => {
            key.push(2);
            text(key, &[subject_type]);
        }
        Subject::Userset(object, relation) => {
            key.push(3);
            text(key, &[object.object_type(), object.id(), relation.as_str()]);
        }
    }
}

fn text(key: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        key.extend(part.as_bytes());
        key.push(0);
    }
}
