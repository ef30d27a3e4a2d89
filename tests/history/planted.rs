//! Inconsistencies planted row by row, each of which validation has to find and name.
//!
//! RocksDB is opened directly on a closed data directory, one or two rows are altered, and the directory is opened
//! again as ever.

use std::fs;
use std::path::Path;

use stonetown::storage::{Change, Database, Finding, Writer};
use stonetown::tuple::{SchemaId, StoreId, Tuple};
use tempfile::TempDir;

use crate::raw::{Raw, backward, ended, forward, row_value};
use crate::world::options;

/// The number of the store that is damaged; 1 and 3 are its neighbours.
pub(crate) const STORE: u32 = 2;
/// A number that no store has.
pub(crate) const NOBODY: u32 = 77;

pub(crate) const ANNE: &str = "voice:1#viewer@user:anne";
pub(crate) const BOB: &str = "voice:1#viewer@user:bob";
pub(crate) const ALL: &str = "voice:2#viewer@user:*";
pub(crate) const PARENT: &str = "org:o#parent@org:p#member";
/// A tuple that was never written.
pub(crate) const EVE: &str = "voice:1#viewer@user:eve";

/// What is planted, and what validation has to say: where, and what.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) plant: fn(&Raw),
    pub(crate) place: &'static str,
    pub(crate) problem: &'static str,
}

/// Three stores with the same nine revisions.
///
/// | revision | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |
/// |---|---|---|---|---|---|---|---|---|---|
/// | anne | | written | | | deleted | | written | deleted | written |
/// | bob | | written | | replaced | | | | | |
/// | all | | | written | | | | | | |
/// | parent | | | | | | | | | written |
/// | schema | 1 | | | | | 2 | | | |
fn build(dir: &Path) {
    let database = std::sync::Arc::new(Database::open(dir, &options()).unwrap());
    let writer = Writer::start(database).unwrap();
    for store in 1..=3_u8 {
        let id = StoreId::from_bytes([store; 16]);
        assert_eq!(writer.create_store(id, None).unwrap().number, u32::from(store));
        let write = |text: &str| Change::Write(text.parse().unwrap());
        let delete = |text: &str| Change::Delete(text.parse().unwrap());
        let schema = |n: u8| Change::Schema { id: schema(n), document: "{}".into() };
        let limited = format!("{BOB} with c {{\"a\":1}} until 2030-01-01T00:00:00Z");
        let revisions = [
            vec![schema(1)],
            vec![write(ANNE), write(&limited)],
            vec![write(ALL)],
            vec![write(BOB)],
            vec![delete(ANNE)],
            vec![schema(2)],
            vec![write(ANNE)],
            vec![delete(ANNE)],
            vec![write(ANNE), write(PARENT)],
        ];
        for changes in revisions {
            writer.write::<String>(id, Box::new(move |_, _| Ok(changes))).unwrap();
        }
    }
    assert_eq!(writer.database().validate(&mut |_| ()).unwrap().findings, []);
}

fn schema(n: u8) -> SchemaId {
    SchemaId::from_bytes([n; 16])
}

pub(crate) fn schema_key(store: u32, n: u8) -> Vec<u8> {
    [&store.to_be_bytes()[..], &[n; 16]].concat()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Plants every case in a copy of its own, and reports all that validation missed.
pub(crate) fn hold(cases: &[Case]) {
    let base = TempDir::new().unwrap();
    build(base.path());
    let mut missed = Vec::new();
    for case in cases {
        let dir = TempDir::new().unwrap();
        copy(base.path(), dir.path());
        (case.plant)(&Raw::open(dir.path()));
        let found = match Database::open(dir.path(), &options()) {
            Ok(database) => database.validate(&mut |_| ()).unwrap().findings,
            // What keeps the directory from being opened is found then.
            Err(error) => vec![Finding { place: "opening".to_owned(), problem: error.to_string() }],
        };
        let fits =
            |finding: &Finding| finding.place.contains(case.place) && finding.problem.contains(case.problem);
        if !found.iter().any(fits) {
            missed.push(format!("{}: `{}` `{}` is not in {found:#?}", case.name, case.place, case.problem));
        }
    }
    assert!(missed.is_empty(), "{} of {} missed\n{}", missed.len(), cases.len(), missed.join("\n"));
}

/// Writes the same row in both directions, as a bug in the writer would.
pub(crate) fn put_both(raw: &Raw, tuple: &str, value: &[u8]) {
    raw.put("tuples", &forward(STORE, tuple), value);
    raw.put("by_subject", &backward(STORE, tuple), value);
}

pub(crate) fn put_both_ended(raw: &Raw, tuple: &str, at: u64, value: &[u8]) {
    raw.put("history", &ended(forward(STORE, tuple), at), value);
    raw.put("history_by_subject", &ended(backward(STORE, tuple), at), value);
}

/// Findings are counted to the end, and listed up to a hundred.
#[test]
fn validation_counts_what_it_does_not_list() {
    let dir = TempDir::new().unwrap();
    build(dir.path());
    {
        let raw = Raw::open(dir.path());
        for n in 0..250 {
            let tuple: Tuple = format!("voice:{n}#viewer@user:planted").parse().unwrap();
            raw.put("by_subject", &backward(STORE, &tuple.to_string()), &row_value(2));
        }
    }
    let found = Database::open(dir.path(), &options()).unwrap().validate(&mut |_| ()).unwrap();
    assert_eq!((found.findings.len(), found.findings_total), (100, 250));
}
