//! A data directory with three stores whose numbers stand next to each other, each with its model.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};
use stonetown::storage::{
    Change, Commit, Database, DatabaseOptions, StorageError, TupleReader, Validation, WriteError, Writer,
};
use stonetown::tuple::{
    ConditionContext, Revision, SchemaId, StoreId, Timestamp, Tuple, TupleCondition, TupleKey,
};
use tempfile::TempDir;

use crate::agree::{Expected, scan_all};
use crate::model::{Model, Rows, State, seen};
use crate::raw::{self, Raw};
use crate::seed::Chance;
use crate::universe::Universe;

/// Which of the three stores is looked at closely; the other two are its neighbours.
pub(crate) const MAIN: usize = 1;

/// Small buffers, so that rows reach table files and leave the cache.
pub(crate) fn options() -> DatabaseOptions {
    DatabaseOptions {
        create: true,
        block_cache_bytes: 1 << 20,
        write_buffer_bytes: 256 << 10,
        ..DatabaseOptions::default()
    }
}

/// A store and what it has to be.
pub(crate) struct Store {
    /// Its public id.
    pub(crate) id: StoreId,
    /// What its keys begin with.
    pub(crate) number: u32,
    /// Its states.
    pub(crate) model: Model,
}

/// An open data directory under test.
pub(crate) struct World {
    dir: TempDir,
    open: Option<(Arc<Database>, Writer)>,
    /// Three stores.
    pub(crate) stores: Vec<Store>,
    /// What they talk about.
    pub(crate) universe: Arc<Universe>,
    /// What happens next.
    pub(crate) chance: Chance,
    /// Times at which some tuple ends.
    ends: Vec<Timestamp>,
}

/// What a plan was shown.
pub(crate) struct Seen {
    /// The state's revision.
    pub(crate) revision: Revision,
    now: Timestamp,
    schema: Option<SchemaId>,
    rows: Rows,
}

/// What a plan saw and decided, on its way out of the writer's thread.
pub(crate) type Slot<T> = Arc<Mutex<Option<T>>>;

impl Seen {
    /// Everything a plan can see.
    pub(crate) fn take(reader: &dyn TupleReader, schema: Option<SchemaId>) -> Seen {
        let rows = scan_all(reader).into_iter().collect();
        Seen { revision: reader.revision(), now: reader.now(), schema, rows }
    }

    /// A plan sees exactly the state before its own revision, at its own time.
    pub(crate) fn hold(&self, before: &State, revision: Revision, commit: Commit) {
        assert_eq!(self.revision, revision, "what a plan saw");
        if commit.changes > 0 {
            assert_eq!(self.now, commit.time, "a plan's now is its commit time");
        }
        assert!(self.now >= before.time, "a plan's now is never before a commit");
        assert_eq!(self.schema, before.schema, "schema that the plan of {} saw", commit.revision);
        assert_eq!(self.rows, seen(&before.rows, self.now), "rows that the plan of {} saw", commit.revision);
    }
}

impl World {
    /// Three new stores. Their numbers are chosen to straddle the bounds of bytes.
    pub(crate) fn new(mut chance: Chance) -> World {
        let dir = TempDir::new().unwrap();
        drop(Database::open(dir.path(), &options()).unwrap());
        let first =
            [1, 254, 255, 65_535, (1 << 24) - 1, u64::from(u32::MAX) - 3].choose(&mut chance).copied();
        Raw::open(dir.path()).put("meta", b"next_store", &raw::number_value(first.unwrap()));
        let universe = Arc::new(Universe::random(&mut chance));
        let mut world = World { dir, open: None, stores: Vec::new(), universe, chance, ends: Vec::new() };
        world.open();
        for _ in 0..3 {
            let record = world.writer().create_store(StoreId::generate(), None).unwrap();
            let model = Model::new(record.created_at);
            world.stores.push(Store { id: record.id, number: record.number, model });
        }
        world
    }

    fn open(&mut self) {
        let database = Arc::new(Database::open(self.dir.path(), &options()).unwrap());
        let writer = Writer::start(Arc::clone(&database)).unwrap();
        self.open = Some((database, writer));
    }

    /// Closes the data directory and opens it again.
    pub(crate) fn restart(&mut self) {
        self.restart_after(|_| ());
    }

    /// Closes the data directory, has something done to it, and opens it again.
    pub(crate) fn restart_after(&mut self, meanwhile: impl FnOnce(&Path)) {
        let (database, writer) = self.open.take().unwrap();
        drop(writer);
        assert!(Arc::try_unwrap(database).is_ok(), "nobody else keeps the database open");
        meanwhile(self.dir.path());
        self.open();
    }

    /// The open database.
    pub(crate) fn database(&self) -> &Arc<Database> {
        &self.open.as_ref().unwrap().0
    }

    /// Its writer.
    pub(crate) fn writer(&self) -> &Writer {
        &self.open.as_ref().unwrap().1
    }

    /// Writes these changes to a store: both the data directory and the model take them.
    pub(crate) fn write(&mut self, store: usize, changes: Vec<Change>) {
        let Store { id, model, .. } = &self.stores[store];
        let (slot, planned): (Slot<Seen>, _) = (Slot::default(), changes.clone());
        let of_plan = Arc::clone(&slot);
        let commit = self.writer().write::<String>(
            *id,
            Box::new(move |reader, schema| {
                *of_plan.lock().unwrap() = Some(Seen::take(reader, schema));
                Ok(planned)
            }),
        );
        let commit = commit.unwrap();
        slot.lock().unwrap().take().unwrap().hold(model.head(), model.revision(), commit);
        self.stores[store].model.apply(commit, &changes);
    }

    /// Writes that are refused: by their plan, or because they cannot be applied. They leave no trace.
    pub(crate) fn write_refused(&mut self, store: usize) {
        let id = self.stores[store].id;
        let refused = self.writer().write(id, Box::new(|_, _| Err("no")));
        assert_eq!(refused, Err(WriteError::Refused("no")));
        let tuple = self.tuple();
        let absent =
            self.universe.tuples.iter().find(|key| !self.stores[store].model.head().rows.contains_key(key));
        let twice = vec![Change::Write(tuple.clone()), Change::Write(tuple.clone())];
        let mut cases = vec![(twice, format!("tuple `{}` is changed twice in one revision", tuple.key))];
        if let Some(absent) = absent.filter(|&absent| *absent != tuple.key) {
            let changes = vec![Change::Write(tuple), Change::Delete(absent.clone())];
            cases.push((changes, format!("tuple `{absent}` is deleted but not there")));
        }
        for (changes, problem) in cases {
            let answer = self.writer().write::<String>(id, Box::new(move |_, _| Ok(changes)));
            assert_eq!(answer, Err(WriteError::Storage(StorageError::Io(problem))));
        }
    }

    /// Some changes that a store can take: no tuple twice, deletions of what is there.
    pub(crate) fn changes(&mut self, store: usize) -> Vec<Change> {
        let count = self.chance.random_range(1..=6);
        let universe = Arc::clone(&self.universe);
        let keys: Vec<TupleKey> = universe.tuples.sample(&mut self.chance, count).cloned().collect();
        let mut changes = Vec::new();
        for key in keys {
            let is_there = self.stores[store].model.head().rows.contains_key(&key);
            changes.push(if is_there && self.chance.random_bool(0.6) {
                Change::Delete(key)
            } else {
                Change::Write(Tuple { key, ..self.tuple() })
            });
        }
        changes
    }

    /// Some tuple, with whatever limits it.
    pub(crate) fn tuple(&mut self) -> Tuple {
        let key = self.universe.tuples.choose(&mut self.chance).unwrap().clone();
        let expires_at = expiry(&mut self.chance, &self.ends);
        self.ends.extend(expires_at);
        Tuple { key, condition: condition(&mut self.chance), expires_at }
    }

    /// A new schema.
    pub(crate) fn schema(&mut self) -> Change {
        let document = format!("{{\"n\":{}}}", self.chance.random::<u32>());
        Change::Schema { id: SchemaId::generate(), document: document.into() }
    }

    /// Times worth looking from: before, at and after the end of some tuple, now, and a random one.
    pub(crate) fn nows(&mut self) -> Vec<Timestamp> {
        let now = Timestamp::wall_clock();
        let mut nows = vec![now];
        if let Some(end) = self.ends.choose(&mut self.chance) {
            let micros = end.as_micros();
            nows.extend([micros - 1, micros, micros + 1].map(Timestamp::from_micros));
        }
        nows
    }

    /// Holds the head of a store against its model.
    pub(crate) fn hold_head(&self, store: usize, what: &str) {
        let Store { number, model, .. } = &self.stores[store];
        let head = self.database().head(*number).unwrap();
        let state = model.head();
        assert_eq!(head.revision(), model.revision(), "{what}");
        assert_eq!(head.committed_at().unwrap(), state.time, "{what}");
        assert_eq!(head.schema().unwrap(), state.schema, "{what}");
        assert!(head.now() >= state.time, "{what}: now is never before a commit");
        let expected = Expected::stored(seen(&state.rows, head.now()));
        expected.hold(&head, &self.universe, &format!("{what}: head of store {number}"));
    }

    /// Holds one revision of a store, seen at one time, against its model.
    pub(crate) fn hold_past(&self, store: usize, revision: Revision, now: Timestamp, what: &str) {
        let Store { number, model, .. } = &self.stores[store];
        let reader = self.database().past(*number, revision, now).unwrap();
        let state = model.at(revision);
        assert_eq!((reader.revision(), reader.now()), (revision, now), "{what}");
        if revision > Revision::ZERO {
            assert_eq!(reader.committed_at().unwrap(), state.time, "{what}: commit time of {revision}");
        }
        assert_eq!(reader.schema().unwrap(), state.schema, "{what}: schema of {revision}");
        let expected = Expected::stored(seen(&state.rows, now));
        expected.hold(&reader, &self.universe, &format!("{what}: store {number} at {revision}, {now}"));
    }

    /// Holds every revision of a store, its log and its schemas against the model. A neighbour is looked at from one
    /// time only.
    pub(crate) fn hold_every_revision(&mut self, store: usize, what: &str) {
        let times = if store == MAIN { usize::MAX } else { 1 };
        for revision in 0..=self.stores[store].model.revision().0 {
            for now in self.nows().into_iter().take(times) {
                self.hold_past(store, Revision(revision), now, what);
            }
        }
        let Store { number, model, .. } = &self.stores[store];
        let (number, database) = (*number, self.database());
        let head = model.revision();
        let above = database.past(number, head.next(), Timestamp::default()).err();
        assert_eq!(above, Some(StorageError::AboveHead { asked: head.next(), head }));
        for (revision, record) in (1..).map(Revision).zip(&model.records) {
            assert_eq!(
                database.revision_record(number, revision).unwrap(),
                Some(*record),
                "{what}: {revision}"
            );
        }
        assert_eq!(database.revision_record(number, head.next()).unwrap(), None);
        for (id, revision, document) in &model.schemas {
            assert_eq!(database.schema(number, *id).unwrap(), Some((*revision, document.clone())), "{what}");
        }
        let newest_first: Vec<_> =
            model.schemas.iter().rev().map(|(id, revision, _)| (*id, *revision)).collect();
        assert_eq!(database.schemas(number).unwrap(), newest_first, "{what}");
        for from in [0, model.log.len() / 2, model.log.len().saturating_sub(1)] {
            let Some(first) = model.log.get(from) else { continue };
            let mut found = Vec::new();
            let mut visit = |record| {
                found.push(record);
                std::ops::ControlFlow::Continue(())
            };
            database.changes(number, (first.revision, first.ordinal), &mut visit).unwrap();
            assert_eq!(found, model.log[from..], "{what}: the log from {from} on");
        }
    }

    /// Validation finds nothing, and saw all that there is.
    pub(crate) fn hold_valid(&self, what: &str) {
        let found = self.database().validate(&mut |_| ()).unwrap();
        let models = || self.stores.iter().map(|store| &store.model);
        let count = |of: &dyn Fn(&Model) -> usize| models().map(of).sum::<usize>() as u64;
        let changes = count(&|model| model.log.len());
        let tuples = count(&|model| model.head().rows.len());
        let begun = count(&|model| {
            use stonetown::storage::ChangeKind::{Replaced, Written};
            model.log.iter().filter(|record| matches!(record.kind, Written | Replaced)).count()
        });
        let expected = Validation {
            tuples,
            history: begun - tuples,
            changes,
            revisions: count(&|model| model.records.len()),
            findings: Vec::new(),
            findings_total: 0,
        };
        assert_eq!(found, expected, "{what}");
    }
}

/// Half of the tuples have no end; the others end before, during and after the test, some at the same time.
fn expiry(chance: &mut impl Rng, ends: &[Timestamp]) -> Option<Timestamp> {
    let now = Timestamp::wall_clock().as_micros();
    match chance.random_range(0..10) {
        0 => Some(Timestamp::from_micros(now - 1_000_000)),
        1 | 2 => Some(Timestamp::from_micros(now + chance.random_range(0..200_000))),
        3 => Some(Timestamp::from_micros(now + 3_600_000_000)),
        4 => ends.choose(chance).copied(),
        _ => None,
    }
}

fn condition(chance: &mut impl Rng) -> Option<TupleCondition> {
    let contexts = ["{}", r#"{"a":1}"#, r#"{"a":2}"#, r#"{"zone":["eu",{"x":null}],"é":-1.5e300}"#];
    let name = ["c", "cc", "in_hours"].choose(chance)?;
    let context = ConditionContext::from_json(contexts.choose(chance)?).unwrap();
    chance.random_bool(0.4).then(|| TupleCondition::new(name, context).unwrap())
}
