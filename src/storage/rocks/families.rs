//! The families of the database, in one table.

use crate::tuple::{Revision, Timestamp};

/// A column family. Keys and values are described in `key` and `codec`, byte by byte in `FORMAT.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Family {
    /// Current tuples, object first.
    Tuples,
    /// Current tuples, subject first.
    BySubject,
    /// Rows that were replaced or deleted, object first, with the revision that ended them.
    History,
    /// The same, subject first.
    HistoryBySubject,
    /// The change log.
    Changes,
    /// What is known of every revision.
    Revisions,
    /// Public id to number and record.
    Stores,
    /// Schema documents.
    Schemas,
    /// Assertions of each schema.
    Assertions,
    /// Format version, incarnation, token secret, next store number; head, horizon and deletion of each store.
    Meta,
}

impl Family {
    pub(in crate::storage) const ALL: [Family; 10] = [
        Family::Tuples,
        Family::BySubject,
        Family::History,
        Family::HistoryBySubject,
        Family::Changes,
        Family::Revisions,
        Family::Stores,
        Family::Schemas,
        Family::Assertions,
        Family::Meta,
    ];

    /// Families whose keys begin with a store number.
    pub(in crate::storage) const OF_STORE: [Family; 8] = [
        Family::Tuples,
        Family::BySubject,
        Family::History,
        Family::HistoryBySubject,
        Family::Changes,
        Family::Revisions,
        Family::Schemas,
        Family::Assertions,
    ];

    pub(in crate::storage) fn name(self) -> &'static str {
        match self {
            Family::Tuples => "tuples",
            Family::BySubject => "by_subject",
            Family::History => "history",
            Family::HistoryBySubject => "history_by_subject",
            Family::Changes => "changes",
            Family::Revisions => "revisions",
            Family::Stores => "stores",
            Family::Schemas => "schemas",
            Family::Assertions => "assertions",
            Family::Meta => "meta",
        }
    }
}

pub(in crate::storage) const FORMAT_KEY: &[u8] = b"format";
pub(in crate::storage) const INCARNATION_KEY: &[u8] = b"incarnation";
/// Of a directory that was restored: places in its log from before stand for other changes.
pub(in crate::storage) const RESTORED_KEY: &[u8] = b"restored";
pub(in crate::storage) const TOKEN_KEY_KEY: &[u8] = b"token_key";
pub(in crate::storage) const NEXT_STORE_KEY: &[u8] = b"next_store";
pub(in crate::storage) const HEAD: &[u8] = b"head/";
pub(in crate::storage) const HORIZON: &[u8] = b"horizon/";
/// A store whose mapping is gone and whose rows are being dropped.
pub(in crate::storage) const DROPPING: &[u8] = b"dropping/";

/// An import by files that is not visible yet, by store.
pub(in crate::storage) const IMPORTING: &[u8] = b"importing/";
/// Directories of imports by files that are done: what is left of them is of no use.
pub(in crate::storage) const INGESTED: &[u8] = b"ingested/";
/// How far a live import has come, by store and import.
pub(in crate::storage) const IMPORTED: &[u8] = b"imported/";

/// The answer that a write with an idempotency key was given.
pub(in crate::storage) const ANSWERED: &[u8] = b"answered/";
/// The keys of those answers, oldest first.
pub(in crate::storage) const ANSWERED_BY_TIME: &[u8] = b"answered_by_time/";

/// What past reads would have needed, and is purged.
pub(in crate::storage) const PURGED: &[u8] = b"purged/";
/// The same, those first that can be forgotten first.
pub(in crate::storage) const PURGED_UNTIL: &[u8] = b"purged_until/";

fn of_store(name: &[u8], store: u32) -> Vec<u8> {
    [name, &store.to_be_bytes()].concat()
}

pub(in crate::storage) fn head_key(store: u32) -> Vec<u8> {
    of_store(HEAD, store)
}

pub(in crate::storage) fn horizon_key(store: u32) -> Vec<u8> {
    of_store(HORIZON, store)
}

pub(in crate::storage) fn answered_prefix(store: u32) -> Vec<u8> {
    of_store(ANSWERED, store)
}

pub(in crate::storage) fn answered_key(store: u32, key: [u8; 16]) -> Vec<u8> {
    [&of_store(ANSWERED, store)[..], &key].concat()
}

pub(in crate::storage) fn answered_by_time_key(time: Timestamp, store: u32, key: [u8; 16]) -> Vec<u8> {
    // Before 1970 nothing was answered.
    let micros = u64::try_from(time.as_micros()).unwrap_or(0).to_be_bytes();
    [ANSWERED_BY_TIME, &micros, &store.to_be_bytes(), &key].concat()
}

pub(in crate::storage) fn purged_prefix(store: u32) -> Vec<u8> {
    of_store(PURGED, store)
}

pub(in crate::storage) fn purged_key(store: u32, what: [u8; 16]) -> Vec<u8> {
    [&purged_prefix(store)[..], &what].concat()
}

pub(in crate::storage) fn purged_until_prefix(store: u32) -> Vec<u8> {
    of_store(PURGED_UNTIL, store)
}

pub(in crate::storage) fn purged_until_key(store: u32, until: Revision, what: [u8; 16]) -> Vec<u8> {
    [&purged_until_prefix(store)[..], &until.0.to_be_bytes(), &what].concat()
}

pub(in crate::storage) fn importing_key(store: u32) -> Vec<u8> {
    of_store(IMPORTING, store)
}

pub(in crate::storage) fn ingested_key(directory: &str) -> Vec<u8> {
    [INGESTED, directory.as_bytes()].concat()
}

pub(in crate::storage) fn imported_key(store: u32, import: [u8; 16]) -> Vec<u8> {
    [&of_store(IMPORTED, store)[..], &import].concat()
}

pub(in crate::storage) fn imported_prefix(store: u32) -> Vec<u8> {
    of_store(IMPORTED, store)
}

pub(in crate::storage) fn dropping_key(store: u32) -> Vec<u8> {
    of_store(DROPPING, store)
}
