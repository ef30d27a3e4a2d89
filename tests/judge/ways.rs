//! The ways of asking the fast evaluator: over tuples that are stored nowhere, over stored ones, and over both.

use std::collections::BTreeMap;
use std::time::Duration;

use stonetown::engine::{
    At, CheckRequest, Context, Engine, EngineError, OnDuplicate, OnMissing, Settings, View, WriteRequest,
    admit,
};
use stonetown::eval::{self, EvalError, Limits};
use stonetown::storage::{Change, DatabaseOptions, Empty, Overlay, TupleReader};
use stonetown::tuple::{Revision, SchemaId, StoreId, Subject, Timestamp, Tuple, TupleKey};
use tempfile::TempDir;

use super::generator::World;
use super::model::{Verdict, valid};
use super::permissive::permissive;

/// What the fast evaluator said; a text: it failed in a way that the judge does not know.
pub(crate) type Found = Result<Verdict, String>;

/// A way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// All tuples are contextual, over nothing.
    Contextual,
    /// Some tuples are there, others come and go by changes that are only thought of.
    WhatIf,
    /// All tuples are in RocksDB.
    Stored,
    /// Some tuples are in RocksDB, the others contextual.
    Split,
}

impl Way {
    /// All ways.
    const ALL: [Way; 4] = [Way::Contextual, Way::WhatIf, Way::Stored, Way::Split];
    /// Those that write nothing.
    const UNSTORED: [Way; 2] = [Way::Contextual, Way::WhatIf];

    /// The ways in which a world can be asked about. The engine refuses tuples that say of a userset that it is itself; where
    /// one of them counts, the world cannot be stored.
    pub(crate) fn of(world: &World) -> &'static [Way] {
        let counts = |tuple: &Tuple| valid(world.program.schema(), tuple).is_some();
        let is_storable = world.tuples.iter().all(|tuple| is_writable(tuple) || !counts(tuple));
        if is_storable { &Way::ALL } else { &Way::UNSTORED }
    }
}

/// The limits of a question; only the one on depth can be reached.
pub(crate) fn limits(depth_max: u32) -> Limits {
    Limits { depth_max, reads_max: u64::MAX, time_max: Duration::from_secs(3600), ..Limits::default() }
}

/// The evaluator's answer over a state.
pub(crate) fn ask(world: &World, state: &dyn TupleReader, question: &TupleKey, depth_max: u32) -> Found {
    verdict(
        eval::check(&world.program, state, question.as_ref(), &Context::default(), &limits(depth_max))
            .map(|answer| answer.allowed),
    )
}

/// A world's tuples, all of them contextual.
pub(crate) fn contextual(tuples: &[Tuple]) -> Overlay<Empty> {
    Overlay::contextual(Empty { now: Timestamp::default() }, tuples.iter().cloned())
}

fn verdict(answer: Result<bool, EvalError>) -> Found {
    match answer {
        Ok(true) => Ok(Verdict::Yes),
        Ok(false) => Ok(Verdict::No),
        Err(EvalError::TooDeep(_)) => Ok(Verdict::TooDeep),
        Err(error) => Err(error.to_string()),
    }
}

/// Every way of asking, with one data directory for each depth limit: an engine's limits are settings.
#[derive(Default)]
pub(crate) struct Ways {
    engines: BTreeMap<u32, Served>,
}

/// An engine in a directory of its own. The engine goes first.
struct Served {
    engine: Engine,
    _dir: TempDir,
}

/// A world's store.
struct Stored<'w> {
    world: &'w World,
    id: StoreId,
    /// Lets in whatever the world holds.
    permissive: SchemaId,
}

impl Ways {
    /// The answers of every way that there is to all questions.
    pub(crate) fn all_answers(&mut self, world: &World, questions: &[TupleKey]) -> Vec<(Way, Vec<Found>)> {
        let mut found: Vec<(Way, Vec<Found>)> =
            Way::UNSTORED.map(|way| (way, self.answers(way, world, questions))).into();
        if Way::of(world).contains(&Way::Stored) {
            let (split, stored) = self.stored(world, questions);
            found.extend([(Way::Stored, stored), (Way::Split, split)]);
        }
        found
    }

    /// The answers of one way to all questions.
    pub(crate) fn answers(&mut self, way: Way, world: &World, questions: &[TupleKey]) -> Vec<Found> {
        match way {
            Way::Contextual => {
                let state = contextual(&world.tuples);
                questions.iter().map(|question| ask(world, &state, question, world.depth_max)).collect()
            }
            Way::WhatIf => {
                let state = what_if(&world.tuples, questions);
                questions.iter().map(|question| ask(world, &state, question, world.depth_max)).collect()
            }
            Way::Stored => self.stored(world, questions).1,
            Way::Split => self.stored(world, questions).0,
        }
    }

    /// Asks a store that holds the whole world; none: it cannot be stored.
    pub(crate) fn with_stored<T>(&mut self, world: &World, ask: impl FnOnce(&View<'_>) -> T) -> Option<T> {
        if !Way::of(world).contains(&Way::Stored) {
            return None;
        }
        let served = self.engines.entry(world.depth_max).or_insert_with(|| Served::open(world.depth_max));
        let store = Stored::create(&served.engine, world);
        let tuples: Vec<Tuple> = world.tuples.iter().filter(|tuple| is_writable(tuple)).cloned().collect();
        store.write(&served.engine, &tuples);
        Some(ask(&served.engine.view(store.id, None, &At::Head).unwrap()))
    }

    /// The answers of [`Way::Split`] and of [`Way::Stored`], from one store.
    fn stored(&mut self, world: &World, questions: &[TupleKey]) -> (Vec<Found>, Vec<Found>) {
        let served = self.engines.entry(world.depth_max).or_insert_with(|| Served::open(world.depth_max));
        let schema = world.program.schema();
        let (later, first): (Vec<_>, Vec<_>) = world
            .tuples
            .iter()
            .filter(|tuple| is_writable(tuple))
            .cloned()
            .enumerate()
            .partition(|(number, tuple)| number % 2 == 1 && admit(schema, tuple).is_ok());
        let [later, first] =
            [later, first].map(|half| half.into_iter().map(|(_, tuple)| tuple).collect::<Vec<_>>());
        let engine = &served.engine;
        let store = Stored::create(engine, world);
        store.write(engine, &first);
        let split = questions.iter().map(|question| store.check(engine, question, &later)).collect();
        store.write(engine, &later);
        let stored = questions.iter().map(|question| store.check(engine, question, &[])).collect();
        (split, stored)
    }
}

/// Those of a world's tuples that may be contextual.
pub(crate) fn admitted(world: &World) -> Vec<Tuple> {
    let is_admitted = |tuple: &&Tuple| admit(world.program.schema(), tuple).is_ok();
    world.tuples.iter().filter(is_admitted).step_by(2).cloned().collect()
}

/// Half of the tuples, and some that are not in the world; then the changes that make it the world.
fn what_if(tuples: &[Tuple], questions: &[TupleKey]) -> impl TupleReader {
    let is_there = |key: &TupleKey| tuples.iter().any(|tuple| tuple.key == *key);
    // If one of these were still seen, the answer would be yes.
    let mut noise: Vec<TupleKey> = questions.iter().filter(|key| !is_there(key)).cloned().collect();
    noise.sort();
    noise.dedup();
    let before = tuples.iter().step_by(2).cloned();
    let mut state = Overlay::what_if(contextual(
        &before.chain(noise.iter().cloned().map(Tuple::plain)).collect::<Vec<_>>(),
    ));
    let writes = tuples.iter().skip(1).step_by(2).chain(tuples.iter().step_by(4)).cloned().map(Change::Write);
    let changes: Vec<Change> = noise.into_iter().map(Change::Delete).chain(writes).collect();
    state.apply(Revision(1), &changes);
    state
}

/// Whether some schema lets the tuple be written. As long as schemas have no conditions, none does that carries one.
fn is_writable(tuple: &Tuple) -> bool {
    !is_implicit(&tuple.key) && tuple.condition.is_none()
}

/// A tuple that says of a userset that it is itself: never stored, whatever the schema.
fn is_implicit(key: &TupleKey) -> bool {
    matches!(&key.subject, Subject::Userset(of, name) if *of == key.object && *name == key.relation)
}

impl Served {
    fn open(depth_max: u32) -> Served {
        let dir = TempDir::new().unwrap();
        let database = DatabaseOptions {
            create: true,
            block_cache_bytes: 8 << 20,
            write_buffer_bytes: 16 << 20,
            ..DatabaseOptions::default()
        };
        let settings = Settings { database, limits: limits(depth_max), ..Settings::default() };
        Served { engine: Engine::open(dir.path(), settings).unwrap(), _dir: dir }
    }
}

impl<'w> Stored<'w> {
    fn create(engine: &Engine, world: &'w World) -> Stored<'w> {
        let id = engine.create_store(None).unwrap().id;
        let permissive = engine.write_schema(id, &permissive(&world.tuples)).unwrap().id;
        engine.write_schema(id, &world.tree).unwrap();
        Stored { world, id, permissive }
    }

    /// In a few writes.
    fn write(&self, engine: &Engine, tuples: &[Tuple]) {
        let size = tuples.len().div_ceil(2).max(1);
        for writes in tuples.chunks(size) {
            let request = WriteRequest {
                store: self.id,
                writes: writes.to_vec(),
                deletes: Vec::new(),
                preconditions: Vec::new(),
                on_duplicate: OnDuplicate::Error,
                on_missing: OnMissing::Error,
                schema: Some(self.permissive),
            };
            engine.write(request).unwrap_or_else(|error| panic!("{error}\n{}", self.world.sketch));
        }
    }

    fn check(&self, engine: &Engine, question: &TupleKey, contextual: &[Tuple]) -> Found {
        let request = CheckRequest {
            store: self.id,
            tuple: question.as_ref(),
            schema: None,
            given: contextual.to_vec().into(),
            at: At::Head,
        };
        match engine.check(request) {
            Ok(answer) => verdict(Ok(answer.allowed)),
            Err(EngineError::Eval(error)) => verdict(Err(error)),
            Err(error) => Err(error.to_string()),
        }
    }
}
