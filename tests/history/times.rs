//! The past by its time.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use stonetown::storage::{Change, Database, StorageError, TupleFilter, TupleReader, Writer};
use stonetown::tuple::{Revision, StoreId, Timestamp, Tuple};
use tempfile::TempDir;

use crate::agree::Expected;
use crate::model::seen;
use crate::world::{Store, World, options};

/// Around every commit time, before the first, and now: the last revision committed by then, seen as of then. The
/// future is refused.
pub(crate) fn hold_times(world: &World, store: usize, what: &str) {
    hold_times_from(world, store, Revision::ZERO, what);
}

/// The same, for times since a revision.
pub(crate) fn hold_times_from(world: &World, store: usize, oldest: Revision, what: &str) {
    let Store { number, model, .. } = &world.stores[store];
    let database = world.database();
    let now = database.now(Timestamp::default());
    let commits: Vec<i64> = model.states.iter().map(|state| state.time.as_micros()).collect();
    let between = commits.windows(2).map(|pair| pair[0] + (pair[1] - pair[0]) / 2);
    let around = commits.iter().flat_map(|&micros| [micros - 1, micros, micros + 1]);
    let ends = [i64::MIN, -1, 0, now.as_micros()];
    for micros in around.chain(between).chain(ends) {
        let time = Timestamp::from_micros(micros);
        let is_kept = oldest == Revision::ZERO || time >= model.at(oldest).time;
        if time > now || !is_kept {
            continue;
        }
        let reader = database.at_time(*number, time).unwrap();
        let revision = model.revision_at(time);
        let what = format!("{what}: store {number} at {time}");
        assert_eq!((reader.revision(), reader.now()), (revision, time), "{what}");
        assert_eq!(reader.schema().unwrap(), model.at(revision).schema, "{what}");
        let expected = Expected::stored(seen(&model.at(revision).rows, time));
        expected.hold_points(&reader, &world.universe, &what);
        expected.hold_scan(&reader, &TupleFilter::default(), &what);
    }
    let asked = Timestamp::from_micros(database.now(Timestamp::default()).as_micros() + 3_600_000_000);
    match database.at_time(*number, asked).err() {
        Some(StorageError::FutureTime { asked: refused, now }) => assert!(refused == asked && now < asked),
        other => panic!("{what}: the future is {other:?}"),
    }
}

/// A time that has been asked about is past: a write that is under way then must not slip in before it.
#[test]
fn a_time_keeps_its_answer_while_a_write_is_under_way() {
    let dir = TempDir::new().unwrap();
    let database = Arc::new(Database::open(dir.path(), &options()).unwrap());
    let writer = Writer::start(Arc::clone(&database)).unwrap();
    let store = writer.create_store(StoreId::generate(), None).unwrap();
    let (writer, database) = (&writer, &database);
    std::thread::scope(|scope| {
        let (begun, has_begun) = channel();
        let (go, wait) = channel();
        let (answered, has_answered) = channel();
        let writing = scope.spawn(move || {
            let tuple: Tuple = "voice:7#viewer@user:anne".parse().unwrap();
            let plan = move |_: &dyn TupleReader, _| {
                begun.send(()).unwrap();
                wait.recv().unwrap();
                Ok::<_, String>(vec![Change::Write(tuple)])
            };
            writer.write(store.id, Box::new(plan)).unwrap()
        });
        has_begun.recv().unwrap();
        let time = database.now(Timestamp::default());
        // Whether the reader waits for the write or the write is committed at a later time is not for this test to
        // say: so it asks from a thread of its own.
        let number = store.number;
        let asking = scope.spawn(move || {
            let revision = database.at_time(number, time).unwrap().revision();
            let _ = answered.send(());
            revision
        });
        let _ = has_answered.recv_timeout(Duration::from_millis(50));
        go.send(()).unwrap();
        let (commit, answer) = (writing.join().unwrap(), asking.join().unwrap());
        let again = database.at_time(store.number, time).unwrap().revision();
        assert_eq!(again, answer, "of {time}, asked again after the commit at {}", commit.time);
    });
}

/// The same in a crowd: whatever was answered for a time while others wrote is answered for it ever after.
#[test]
fn a_time_keeps_its_answer_among_writers() {
    const REVISIONS: u64 = 300;
    let dir = TempDir::new().unwrap();
    let database = Arc::new(Database::open(dir.path(), &options()).unwrap());
    let writer = Writer::start(Arc::clone(&database)).unwrap();
    let store = writer.create_store(StoreId::generate(), None).unwrap();
    let head = || database.head(store.number).unwrap().revision();
    let ask = |time| database.at_time(store.number, time).unwrap().revision();
    let asked: Vec<(Timestamp, Revision)> = std::thread::scope(|scope| {
        for thread in 0..2 {
            let (writer, head) = (&writer, &head);
            scope.spawn(move || {
                while head() < Revision(REVISIONS) {
                    let tuple: Tuple = format!("voice:{thread}#viewer@user:anne").parse().unwrap();
                    let plan = move |_: &dyn TupleReader, _| Ok::<_, String>(vec![Change::Write(tuple)]);
                    writer.write(store.id, Box::new(plan)).unwrap();
                }
            });
        }
        let mut asked = Vec::new();
        while head() < Revision(REVISIONS) {
            let time = database.now(Timestamp::default());
            asked.push((time, ask(time)));
            std::thread::yield_now();
        }
        asked
    });
    let changed = asked.iter().filter(|&&(time, revision)| ask(time) != revision).count();
    assert_eq!(changed, 0, "of {} answers changed afterwards", asked.len());
}

/// Commits are later than every time that was given out before them, were the wall clock to step back by an hour;
/// and so it stays over a restart.
#[test]
fn time_never_goes_back() {
    let dir = TempDir::new().unwrap();
    let open = || {
        let database = Arc::new(Database::open(dir.path(), &options()).unwrap());
        let writer = Writer::start(Arc::clone(&database)).unwrap();
        (database, writer)
    };
    let write = |writer: &Writer, store: StoreId| {
        let tuple: Tuple = "voice:7#viewer@user:anne".parse().unwrap();
        writer.write::<String>(store, Box::new(|_, _| Ok(vec![Change::Write(tuple)]))).unwrap()
    };
    let (database, writer) = open();
    let store = writer.create_store(StoreId::generate(), None).unwrap();
    let revision_at = |database: &Database, time| database.at_time(store.number, time).unwrap().revision();
    let ahead = database.now(Timestamp::from_micros(Timestamp::wall_clock().as_micros() + 3_600_000_000));
    assert_eq!(revision_at(&database, ahead), Revision::ZERO);
    let first = write(&writer, store.id);
    assert!(first.time > ahead, "a commit at a time that had been given out");
    assert_eq!(revision_at(&database, ahead), Revision::ZERO);
    assert!(database.head(store.number).unwrap().now() >= first.time);
    drop((database, writer));
    let (database, writer) = open();
    assert!(database.now(Timestamp::default()) >= first.time, "now went back over a restart");
    assert!(write(&writer, store.id).time > first.time);
    assert_eq!(revision_at(&database, first.time), Revision(1));
}

/// Revision 0 was there before every commit.
#[test]
fn the_empty_store_is_older_than_its_first_commit() {
    let dir = TempDir::new().unwrap();
    let database = Arc::new(Database::open(dir.path(), &options()).unwrap());
    let writer = Writer::start(Arc::clone(&database)).unwrap();
    let store = writer.create_store(StoreId::generate(), None).unwrap();
    let write = |text: &str| {
        let tuple: Tuple = text.parse().unwrap();
        writer.write::<String>(store.id, Box::new(|_, _| Ok(vec![Change::Write(tuple)]))).unwrap()
    };
    let first = write("voice:7#viewer@user:anne");
    while write("voice:7#viewer@user:bob").time == first.time {}
    let empty = database.past(store.number, Revision::ZERO, first.time).unwrap();
    assert!(empty.committed_at().unwrap() <= first.time, "revision 0 is younger than revision 1");
}
