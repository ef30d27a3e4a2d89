//! Stores come and go; their numbers and rows do not come back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use stonetown::storage::{
    Change, Commit, Database, DatabaseOptions, StorageError, StoreRecord, TupleReader, WriteError, Writer,
};
use stonetown::tuple::{Revision, SchemaId, StoreId, Timestamp, TupleKey};
use tempfile::TempDir;

use crate::agree::scan_all;
use crate::raw::{self, OF_STORE, Raw};
use crate::world::options;

fn open(dir: &Path) -> (Arc<Database>, Writer) {
    let database = Arc::new(Database::open(dir, &options()).unwrap());
    let writer = Writer::start(Arc::clone(&database)).unwrap();
    (database, writer)
}

/// A store with `count` tuples, of which some have a past.
fn fill(writer: &Writer, id: StoreId, count: usize) -> StoreRecord {
    let record = writer.create_store(id, None).unwrap();
    let tuples: Vec<TupleKey> =
        (0..count).map(|n| key(&format!("voice:{n}#viewer@user:{}", n % 7))).collect();
    let mut changes = vec![Change::Schema { id: SchemaId::generate(), document: "{}".into() }];
    changes.extend(tuples.iter().cloned().map(|key| Change::Write(key.into())));
    write(writer, id, changes).unwrap();
    write(writer, id, tuples.iter().step_by(2).cloned().map(Change::Delete).collect()).unwrap();
    write(writer, id, tuples.into_iter().step_by(2).map(|key| Change::Write(key.into())).collect()).unwrap();
    record
}

fn key(text: &str) -> TupleKey {
    text.parse().unwrap()
}

fn write(writer: &Writer, id: StoreId, changes: Vec<Change>) -> Result<Commit, WriteError<String>> {
    writer.write(id, Box::new(move |_, _| Ok(changes)))
}

/// A store that does not exist reads as empty at revision 0.
fn hold_gone(database: &Database, number: u32) {
    let head = database.head(number).unwrap();
    assert_eq!((head.revision(), head.schema().unwrap()), (Revision::ZERO, None));
    assert_eq!(scan_all(&head), []);
    assert_eq!(scan_all(&database.at_time(number, head.now()).unwrap()), []);
    let above = database.past(number, Revision(1), head.now()).err();
    assert_eq!(above, Some(StorageError::AboveHead { asked: Revision(1), head: Revision::ZERO }));
    let mut log = 0;
    let mut count = |_| {
        log += 1;
        std::ops::ControlFlow::Continue(())
    };
    database.changes(number, (Revision::ZERO, 0), &mut count).unwrap();
    assert_eq!((log, database.schemas(number).unwrap()), (0, Vec::new()));
    assert_eq!(database.revision_record(number, Revision(1)).unwrap(), None);
}

/// Nothing of the store is left on disk.
fn hold_no_rows(dir: &Path, number: u32) {
    let raw = Raw::open(dir);
    for family in OF_STORE {
        assert_eq!(raw.rows(family, &number.to_be_bytes()), [], "{family} of store number {number}");
    }
    for row in ["head", "horizon", "dropping"] {
        assert_eq!(raw.get("meta", &raw::of_store(row, number)), None, "meta {row}/{number}");
    }
}

#[test]
fn a_reader_keeps_the_store_that_is_deleted_under_it() {
    let dir = TempDir::new().unwrap();
    let (database, writer) = open(dir.path());
    let before = fill(&writer, StoreId::generate(), 40);
    let record = fill(&writer, StoreId::generate(), 60);
    let after = fill(&writer, StoreId::generate(), 20);
    let head = database.head(record.number).unwrap();
    let past = [1, 2].map(|revision| database.past(record.number, Revision(revision), head.now()).unwrap());
    assert_eq!(writer.delete_store(record.id), Ok(true));
    for round in 0..2 {
        assert_eq!((head.revision(), scan_all(&head).len()), (Revision(3), 60), "round {round}");
        assert_eq!(past.each_ref().map(|reader| scan_all(reader).len()), [60, 30], "round {round}");
        assert!(past.iter().all(|reader| reader.schema().unwrap() == head.schema().unwrap()));
        database.compact().unwrap();
    }
    hold_gone(&database, record.number);
    assert_eq!(database.store(record.id), None);
    assert_eq!(writer.delete_store(record.id), Ok(false));
    let refused = write(&writer, record.id, Vec::new());
    assert_eq!(refused, Err(WriteError::Storage(StorageError::NoStore(record.id))));
    for (store, count) in [(before, 40), (after, 20)] {
        assert_eq!(scan_all(&database.head(store.number).unwrap()).len(), count);
        assert_eq!(
            scan_all(&database.past(store.number, Revision(2), Timestamp::default()).unwrap()).len(),
            count / 2
        );
    }
    assert_eq!(database.validate(&mut |_| ()).unwrap().findings, []);
    drop((head, past, writer));
    drop(Arc::into_inner(database).unwrap());
    hold_no_rows(dir.path(), record.number);
}

#[test]
fn a_new_store_has_nothing_of_a_deleted_one_and_not_its_number() {
    let dir = TempDir::new().unwrap();
    let id = StoreId::generate();
    let mut numbers = Vec::new();
    for life in 0..4 {
        let (database, writer) = open(dir.path());
        // The same id again, and the highest number deleted: neither brings anything back.
        for _ in 0..2 {
            let record = writer.create_store(id, Some(format!("life {life}"))).unwrap();
            hold_gone(&database, record.number);
            assert_eq!(writer.create_store(id, None), Err(StorageError::StoreExists(id)));
            numbers.push(record.number);
            assert_eq!(writer.delete_store(id), Ok(true));
            let record = fill(&writer, id, 10);
            assert_eq!(scan_all(&database.head(record.number).unwrap()).len(), 10);
            assert_eq!(database.store(id).as_ref(), Some(&record));
            numbers.push(record.number);
            assert_eq!(writer.delete_store(id), Ok(true));
        }
        assert_eq!(database.validate(&mut |_| ()).unwrap(), Default::default());
        assert_eq!(database.stores(), []);
    }
    let mut distinct = numbers.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(numbers, distinct, "numbers only ever rise");
    assert_eq!(numbers.len(), 16);
}

/// The mapping is removed in one write, the rows after it: a stop between the two leaves a mark.
#[test]
fn an_interrupted_deletion_is_finished_on_opening() {
    let dir = TempDir::new().unwrap();
    let (database, writer) = open(dir.path());
    let stores: Vec<StoreRecord> = (0..3).map(|_| fill(&writer, StoreId::generate(), 30)).collect();
    drop(writer);
    drop(Arc::into_inner(database).unwrap());
    let StoreRecord { id, number, .. } = stores[1];
    {
        let raw = Raw::open(dir.path());
        raw.delete("stores", &id.to_bytes());
        raw.delete("meta", &raw::of_store("head", number));
        raw.put("meta", &raw::of_store("dropping", number), &raw::number_value(u64::from(number)));
        // Some of the rows were dropped already.
        let tuples = raw.rows("tuples", &number.to_be_bytes());
        assert_eq!(tuples.len(), 30);
        tuples[..10].iter().for_each(|(key, _)| raw.delete("tuples", key));
    }
    let (database, writer) = open(dir.path());
    hold_gone(&database, number);
    assert_eq!(database.store(id), None);
    for store in [&stores[0], &stores[2]] {
        assert_eq!(database.store(store.id).as_ref(), Some(store));
        assert_eq!(scan_all(&database.head(store.number).unwrap()).len(), 30);
    }
    assert_eq!(database.validate(&mut |_| ()).unwrap().findings, []);
    let new = writer.create_store(id, None).unwrap();
    assert!(new.number > stores[2].number);
    drop(writer);
    drop(Arc::into_inner(database).unwrap());
    hold_no_rows(dir.path(), number);
}

/// A deletion takes its place among the writes around it: those before it are answered, those after it refused.
#[test]
fn a_deletion_is_ordered_among_writes() {
    let dir = TempDir::new().unwrap();
    let (database, writer) = open(dir.path());
    let record = fill(&writer, StoreId::generate(), 10);
    std::thread::scope(|scope| {
        let (begun, has_begun) = channel();
        let (go, wait) = channel();
        let (id, writer) = (record.id, &writer);
        let writing = scope.spawn(move || {
            let plan = move |_: &dyn TupleReader, _| {
                begun.send(()).unwrap();
                wait.recv().unwrap();
                Ok::<_, String>(vec![Change::Write(key("voice:new#viewer@user:1").into())])
            };
            writer.write(id, Box::new(plan))
        });
        has_begun.recv().unwrap();
        let deleting = scope.spawn(move || writer.delete_store(id));
        // Nothing tells when the deletion has been put into the queue: give its thread every chance.
        (0..200).for_each(|_| std::thread::yield_now());
        go.send(()).unwrap();
        assert_eq!(writing.join().unwrap().map(|commit| commit.revision), Ok(Revision(4)));
        assert_eq!(deleting.join().unwrap(), Ok(true));
        assert_eq!(write(writer, id, Vec::new()), Err(WriteError::Storage(StorageError::NoStore(id))));
    });
    hold_gone(&database, record.number);
}

/// A reader opened while the store goes sees all of it or nothing.
#[test]
fn a_store_goes_as_a_whole() {
    const TUPLES: usize = 200;
    let dir = TempDir::new().unwrap();
    let (database, writer) = open(dir.path());
    for _ in 0..6 {
        let record = fill(&writer, StoreId::generate(), TUPLES);
        std::thread::scope(|scope| {
            let (database, number) = (&database, record.number);
            let (begun, has_begun) = channel();
            let reading = scope.spawn(move || {
                loop {
                    let head = database.head(number).unwrap();
                    let seen = (head.revision(), scan_all(&head).len());
                    assert!(
                        [(Revision(3), TUPLES), (Revision::ZERO, 0)].contains(&seen),
                        "revision {} with {} tuples",
                        seen.0,
                        seen.1
                    );
                    let _ = begun.send(());
                    if seen.1 == 0 {
                        return;
                    }
                }
            });
            has_begun.recv().unwrap();
            assert_eq!(writer.delete_store(record.id), Ok(true));
            reading.join().unwrap();
        });
    }
}

/// Validation looks at one state of all stores, whatever comes and goes meanwhile.
#[test]
fn validation_beside_stores_that_come_and_go_finds_nothing() {
    let dir = TempDir::new().unwrap();
    let (database, writer) = open(dir.path());
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (writer, is_done) = (&writer, &is_done);
        let living = scope.spawn(move || {
            while !is_done.load(Ordering::Acquire) {
                let record = writer.create_store(StoreId::generate(), None).unwrap();
                write(writer, record.id, vec![Change::Write(key("voice:7#viewer@user:anne").into())])
                    .unwrap();
                assert_eq!(writer.delete_store(record.id), Ok(true));
            }
        });
        let mut validations = (0..2_000).map(|_| database.validate(&mut |_| ()).unwrap().findings);
        let found = validations.find(|findings| !findings.is_empty());
        is_done.store(true, Ordering::Release);
        living.join().unwrap();
        assert_eq!(found, None);
    });
}

/// Only what was made is opened, and only by one at a time.
#[test]
fn opening_what_is_not_there_or_in_use_is_refused() {
    let dir = TempDir::new().unwrap();
    let nowhere = dir.path().join("nowhere");
    let options = DatabaseOptions { create: false, ..options() };
    assert_eq!(Database::open(&nowhere, &options).err(), Some(StorageError::NoDirectory(nowhere)));
    let (database, writer) = open(dir.path());
    let in_use = Some(StorageError::Locked(dir.path().to_owned()));
    assert_eq!(Database::open(dir.path(), &options).err(), in_use);
    drop((database, writer));
    assert!(Database::open(dir.path(), &options).is_ok());
}
