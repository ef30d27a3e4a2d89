//! A revision and its data always belong together, whatever the writer is doing.
//!
//! The store under test says in its data which revision it is: exactly one object carries the number of the
//! revision, a set has as many members as the revision tells, the schema in force is the revision's own. A reader that
//! paired one revision with the data of another could not hide it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use rand::{RngExt as _, SeedableRng as _};
use stonetown::storage::{Change, Database, StateReader, StorageError, TupleFilter, TupleReader, Writer};
use stonetown::tuple::{
    Object, Revision, SchemaId, StoreId, SubjectKind, SubjectRef, Timestamp, Tuple, TupleKey,
};
use tempfile::TempDir;

use crate::seed::{Chance, seeds};
use crate::settings::say;
use crate::world::options;

/// Reads of one [`hold`].
const READS: usize = 8;

fn key(text: &str) -> TupleKey {
    text.parse().unwrap()
}

/// How many members the set has at a revision: seldom as many as at the one before.
fn members(revision: u64) -> u64 {
    revision * 7 % 13
}

fn schema(revision: u64) -> SchemaId {
    SchemaId::from_bytes(u128::from(revision).to_be_bytes())
}

/// From the state at a revision to the next one.
fn advance(revision: Revision) -> Vec<Change> {
    let (old, new) = (revision.0, revision.0 + 1);
    let mut changes = vec![Change::Schema { id: schema(new), document: "{}".into() }];
    if old > 0 {
        changes.push(Change::Delete(key(&format!("doc:{old}#at@user:marker"))));
        changes.push(Change::Delete(key(&format!("group:g#has@doc:{old}#at"))));
    }
    changes.push(Change::Write(Tuple::plain(key(&format!("doc:{new}#at@user:marker")))));
    changes.push(Change::Write(Tuple::plain(key(&format!("group:g#has@doc:{new}#at")))));
    let member = |n| key(&format!("set:s#member@user:{n}"));
    let (before, after) = (if old > 0 { members(old) } else { 0 }, members(new));
    changes.extend((before..after).map(|n| Change::Write(Tuple::plain(member(n)))));
    changes.extend((after..before).map(|n| Change::Delete(member(n))));
    changes
}

/// Holds everything that a reader shows against its revision.
fn hold(reader: &dyn TupleReader) {
    let n = reader.revision().0;
    let at = |n: u64| key(&format!("doc:{n}#at@user:marker"));
    let row = reader.get(at(n).as_ref()).unwrap();
    assert_eq!(row.map(|row| row.created.0), (n > 0).then_some(n), "created at {n}");
    assert_eq!(reader.get(at(n + 1).as_ref()).unwrap(), None, "{n} shows the one after");
    assert_eq!(reader.get(at(n.wrapping_sub(1)).as_ref()).unwrap(), None, "{n} shows the one before");
    let expected: Vec<Object> = (n > 0).then(|| format!("doc:{n}").parse().unwrap()).into_iter().collect();

    let mut objects: Vec<Object> = Vec::new();
    let marker = SubjectRef::parse("user:marker").unwrap();
    let mut visit = |object: stonetown::tuple::ObjectRef<'_>, _: &_| {
        objects.push(object.to_owned());
        ControlFlow::Continue(())
    };
    reader.objects(marker, "doc", "at", None, &mut visit).unwrap();
    assert_eq!(objects, expected, "objects at {n}");

    let mut scanned = Vec::new();
    let filter: TupleFilter = "doc:".parse().unwrap();
    let mut visit = |tuple: stonetown::tuple::TupleRef<'_>, _: &_| {
        scanned.push(tuple.object.to_owned());
        ControlFlow::Continue(())
    };
    reader.scan(&filter, &mut visit).unwrap();
    assert_eq!(scanned, expected, "scan at {n}");

    let subjects = |object: &str, relation, kind| {
        let object: Object = object.parse().unwrap();
        let mut found = Vec::new();
        let mut visit = |subject: SubjectRef<'_>, _: &_| {
            found.push(subject.to_string());
            ControlFlow::Continue(())
        };
        reader.subjects(object.as_ref(), relation, kind, &mut visit).unwrap();
        found
    };
    let usersets: Vec<String> = (n > 0).then(|| format!("doc:{n}#at")).into_iter().collect();
    assert_eq!(subjects("group:g", "has", SubjectKind::Userset), usersets, "usersets at {n}");
    let count = if n > 0 { members(n) } else { 0 };
    assert_eq!(subjects("set:s", "member", SubjectKind::Object).len() as u64, count, "members at {n}");
}

/// What belongs to a stored state beside its tuples.
fn hold_stored(reader: &StateReader<'_>) {
    let n = reader.revision().0;
    assert_eq!(reader.schema().unwrap(), (n > 0).then(|| schema(n)), "schema at {n}");
    hold(reader);
}

/// One store, and its writer.
struct Place {
    _dir: TempDir,
    database: Arc<Database>,
    writer: Writer,
    id: StoreId,
    number: u32,
}

impl Place {
    fn new() -> Place {
        let dir = TempDir::new().unwrap();
        let database = Arc::new(Database::open(dir.path(), &options()).unwrap());
        let writer = Writer::start(Arc::clone(&database)).unwrap();
        let record = writer.create_store(StoreId::generate(), None).unwrap();
        Place { _dir: dir, database, writer, id: record.id, number: record.number }
    }

    fn head(&self) -> StateReader<'_> {
        self.database.head(self.number).unwrap()
    }

    fn past(&self, revision: u64, now: Timestamp) -> StateReader<'_> {
        self.database.past(self.number, Revision(revision), now).unwrap()
    }

    /// Takes the store to its next revision, with a stop inside the plan.
    fn advance(&self, stop: impl FnOnce(&dyn TupleReader) + Send + 'static) -> Revision {
        let plan = move |reader: &dyn TupleReader, _| {
            stop(reader);
            Ok::<_, String>(advance(reader.revision()))
        };
        self.writer.write(self.id, Box::new(plan)).unwrap().revision
    }

    /// The same; the answer is noted, and what it tells has to be visible then.
    fn advance_and_look(&self, stop: impl FnOnce(&dyn TupleReader) + Send + 'static, answered: &AtomicU64) {
        let revision = self.advance(stop);
        answered.fetch_max(revision.0, Ordering::Release);
        assert!(self.head().revision() >= revision, "an answered write is visible");
    }

    /// Every kind of reader shows revision `n`, and nothing of `n + 1` is there yet.
    fn hold_at(&self, n: u64) {
        let head = self.head();
        assert_eq!(head.revision(), Revision(n));
        hold_stored(&head);
        hold_stored(&self.past(n, head.now()));
        hold_stored(&self.past(n / 2, head.now()));
        let above = self.database.past(self.number, Revision(n + 1), head.now()).err();
        assert_eq!(above, Some(StorageError::AboveHead { asked: Revision(n + 1), head: Revision(n) }));
    }
}

/// A stop inside a plan: it says what it sees, then waits.
fn stop() -> (impl FnOnce(&dyn TupleReader) + Send + 'static, Receiver<Revision>, Sender<()>) {
    let (begun, has_begun) = channel();
    let (go, wait) = channel();
    let stop = move |reader: &dyn TupleReader| {
        hold(reader);
        begun.send(reader.revision()).unwrap();
        wait.recv().unwrap();
    };
    (stop, has_begun, go)
}

/// The writer stands still in the middle of a write, and in the middle of a batch whose first write it has accepted.
#[test]
fn a_pausing_writer_never_lets_a_reader_pair_a_revision_with_another_revisions_data() {
    let place = Place::new();
    let mut grouped = 0;
    for _ in 0..200 {
        if grouped == 10 {
            break;
        }
        let n = place.head().revision().0;
        let kept = place.head();
        let answered = AtomicU64::new(n);
        let (place, answered) = (&place, &answered);
        std::thread::scope(|scope| {
            let (first, first_begun, first_go) = stop();
            let (second, second_begun, second_go) = stop();
            scope.spawn(move || place.advance_and_look(first, answered));
            assert_eq!(first_begun.recv().unwrap(), Revision(n));
            place.hold_at(n);
            let (queued, is_queued) = channel();
            scope.spawn(move || {
                queued.send(()).unwrap();
                place.advance_and_look(second, answered);
            });
            is_queued.recv().unwrap();
            // Nothing tells when the second write has been put into the queue: give its thread every chance.
            (0..100).for_each(|_| std::thread::yield_now());
            first_go.send(()).unwrap();
            assert_eq!(second_begun.recv().unwrap(), Revision(n + 1), "a plan sees the write before it");
            let visible = place.head().revision().0;
            place.hold_at(visible);
            if visible == n {
                assert_eq!(answered.load(Ordering::Acquire), n, "nothing is answered before it is visible");
                grouped += 1;
            }
            second_go.send(()).unwrap();
        });
        place.hold_at(n + 2);
        assert_eq!(kept.revision(), Revision(n));
        hold_stored(&kept);
    }
    assert!(grouped > 0, "no two writes ever shared a batch");
}

/// Readers in a crowd, on the head and in the past, while several threads write as fast as they can, and rows are
/// flushed and compacted under them.
#[test]
fn a_crowd_of_readers_sees_whole_revisions_only() {
    const REVISIONS: u64 = 700;
    const READS_MIN: usize = 30_000;
    let place = Place::new();
    let (answered, reads, is_written) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let seed = seeds("crowd of readers", 1).next().unwrap();
    let mut chance = seed.chance();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let (place, answered) = (&place, &answered);
                scope.spawn(move || {
                    while answered.load(Ordering::Acquire) < REVISIONS {
                        place.advance_and_look(hold, answered);
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            let mut chance = Chance::seed_from_u64(chance.random());
            let (place, answered, reads, is_written) = (&place, &answered, &reads, &is_written);
            scope.spawn(move || {
                let mut kept = place.head();
                while !is_written.load(Ordering::Acquire) || reads.load(Ordering::Relaxed) < READS_MIN {
                    let seen = answered.load(Ordering::Acquire);
                    let head = place.head();
                    assert!(
                        head.revision().0 >= seen,
                        "an answered write is read by every reader opened afterwards"
                    );
                    hold_stored(&head);
                    hold_stored(&place.past(chance.random_range(0..=head.revision().0), head.now()));
                    hold_stored(&kept);
                    if chance.random_ratio(1, 16) {
                        kept = head;
                    }
                    reads.fetch_add(3 * READS, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            while !is_written.load(Ordering::Acquire) {
                place.database.flush().unwrap();
                place.database.compact().unwrap();
            }
        });
        for writer in writers {
            // A writer that failed must not keep the others waiting.
            let result = writer.join();
            is_written.store(result.is_err(), Ordering::Release);
            result.unwrap();
        }
        is_written.store(true, Ordering::Release);
    });
    say(&format!("crowd of readers: {} reads, {} revisions", reads.into_inner(), place.head().revision()));
    assert_eq!(place.database.validate(&mut |_| ()).unwrap().findings, []);
}
