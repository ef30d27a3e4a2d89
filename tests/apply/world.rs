use std::collections::BTreeMap;
use std::ops::ControlFlow;

use stonetown::engine::{
    ApplyAnswer, ApplyRefusal, ApplyRequest, At, CheckRequest, Engine, EngineError, Given, OnDuplicate,
    OnMissing, ReadRequest, Rename, SchemaInput, Settings, TupleGroups, WriteRequest,
};
use stonetown::schema::{Schema, Tree, read_schema};
use stonetown::tuple::{Revision, StoreId, Tuple, TupleKey};
use tempfile::TempDir;

/// Documents in folders, seen by users, everybody, and groups.
pub(super) const DOCS: &str = "\
model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member]

type folder
  relations
    define viewer: [user]

type doc
  relations
    define folder: [folder]
    define owner: [user]
    define viewer: [user, user:*, group#member, doc#owner, user with soon]
    define can_view: viewer or owner or viewer from folder

condition soon(x: int) {
  x < 10
}
";

/// A data directory with one store; validated when it goes.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) store: StoreId,
    // After the engine, which has to let go of its files first.
    pub(super) directory: TempDir,
}

pub(super) fn resolve(text: &str) -> (Tree, Schema) {
    read_schema("test.fga", text).unwrap()
}

impl World {
    pub(super) fn new(schema: &str, tuples: &[&str]) -> World {
        World::with_settings(schema, tuples, Settings::default())
    }

    pub(super) fn with_settings(schema: &str, tuples: &[&str], mut settings: Settings) -> World {
        let directory = tempfile::tempdir().unwrap();
        settings.database.create = true;
        let engine = Engine::open(&directory.path().join("data"), settings).unwrap();
        let store = engine.create_store(None).unwrap().id;
        let world = World { engine, store, directory };
        world.engine.write_schema(store, &resolve(schema).0).unwrap();
        if !tuples.is_empty() {
            world.write(tuples);
        }
        world
    }

    /// Writes tuples, and gives the token.
    pub(super) fn write(&self, tuples: &[&str]) -> String {
        self.change_tuples(tuples.iter().map(|text| text.parse().unwrap()).collect(), Vec::new())
    }

    pub(super) fn delete(&self, tuples: &[&str]) -> String {
        self.change_tuples(Vec::new(), tuples.iter().map(|text| text.parse().unwrap()).collect())
    }

    pub(super) fn change_tuples(&self, writes: Vec<Tuple>, deletes: Vec<TupleKey>) -> String {
        let request = WriteRequest {
            store: self.store,
            writes,
            deletes,
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Error,
            on_missing: OnMissing::Error,
            schema: None,
        };
        self.engine.seal(&self.engine.write(request).unwrap().token)
    }

    /// A change to a schema, with nothing else.
    pub(super) fn change(&self, schema: &str) -> ApplyRequest {
        ApplyRequest {
            schema: Some(SchemaInput::Tree(Box::new(resolve(schema).0))),
            ..self.change_without_schema()
        }
    }

    pub(super) fn change_without_schema(&self) -> ApplyRequest {
        ApplyRequest {
            store: self.store,
            schema: None,
            renames: Vec::new(),
            writes: Vec::new(),
            deletes: Vec::new(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Error,
            on_missing: OnMissing::Error,
            allow_silenced: false,
            is_trial: false,
        }
    }

    /// Asserts that a change is made in one revision, of which a trial says the same beforehand.
    pub(super) fn apply(&self, request: ApplyRequest) -> ApplyAnswer {
        let before = self.state();
        let trial = self.engine.apply(ApplyRequest { is_trial: true, ..request.clone() }).unwrap();
        assert!(trial.applied.is_none());
        assert_eq!(self.state(), before, "a trial changes nothing");
        let answer = self.engine.apply(request).unwrap();
        assert_eq!(answer.report, trial.report);
        assert_eq!(answer.applied.as_ref().unwrap().token.revision, before.0.next());
        answer
    }

    /// Asserts that a change is refused and changes nothing, and gives the refusal.
    pub(super) fn refusal(&self, request: ApplyRequest) -> ApplyRefusal {
        match self.error(request) {
            EngineError::NotApplied(refusal) => refusal,
            other => panic!("not refused, but failed: {other}"),
        }
    }

    /// Asserts that a change ends in an error and changes nothing.
    pub(super) fn error(&self, request: ApplyRequest) -> EngineError {
        let before = (self.state(), self.engine.list_schemas(self.store).unwrap());
        let error = self.engine.apply(request).unwrap_err();
        assert_eq!((self.state(), self.engine.list_schemas(self.store).unwrap()), before, "{error}");
        error
    }

    /// The newest revision and all tuples.
    pub(super) fn state(&self) -> (Revision, Vec<String>) {
        self.state_at(At::Head)
    }

    pub(super) fn state_at(&self, at: At) -> (Revision, Vec<String>) {
        let mut tuples = Vec::new();
        let request = ReadRequest { store: self.store, filter: Default::default(), after: None, at };
        let answer = self.engine.read(&request, &mut |read| {
            tuples.push(read.tuple.to_string());
            ControlFlow::Continue(())
        });
        (answer.unwrap().token.revision, tuples)
    }

    pub(super) fn tuples(&self) -> Vec<String> {
        self.state().1
    }

    pub(super) fn check(&self, text: &str, at: &At) -> bool {
        let key: TupleKey = text.parse().unwrap();
        let (store, tuple, at) = (self.store, key.as_ref(), at.clone());
        let given = Given::default();
        self.engine.check(CheckRequest { store, tuple, schema: None, given, at }).unwrap().allowed
    }

    /// What the change log has behind a revision.
    pub(super) fn log_after(&self, token: &str) -> Vec<String> {
        let mut log = Vec::new();
        let from = stonetown::engine::ChangesFrom::After(token.to_owned());
        let request = stonetown::engine::ChangesRequest { store: self.store, from, object_type: None };
        let visited = self.engine.changes(&request, &mut |change, _| {
            log.push(format!("{} {:?} {}", change.revision, change.kind, change.tuple.as_ref().unwrap()));
            ControlFlow::Continue(())
        });
        visited.unwrap();
        log
    }

    pub(super) fn newest(&self) -> String {
        self.engine.seal(&self.engine.newest(self.store).unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let seen = self.engine.validate(&mut |_| {}).unwrap();
            assert_eq!(seen.findings_total, 0, "{:?}", seen.findings);
        }
    }
}

pub(super) fn of_type(text: &str) -> Rename {
    Rename::parse_type(text).unwrap()
}

pub(super) fn of_relation(text: &str) -> Rename {
    Rename::parse_relation(text).unwrap()
}

pub(super) fn tuple(text: &str) -> Tuple {
    text.parse().unwrap()
}

pub(super) fn key(text: &str) -> TupleKey {
    text.parse().unwrap()
}

/// Groups as counts by `relation@subject code`.
pub(super) fn counts(groups: &TupleGroups) -> BTreeMap<String, u64> {
    let name = |it: &stonetown::engine::TupleGroup| format!("{}@{} {}", it.relation, it.subject, it.code);
    groups.iter().map(|group| (name(group), group.count)).collect()
}
