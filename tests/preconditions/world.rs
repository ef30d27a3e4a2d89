use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Barrier;

use stonetown::engine::{
    At, CheckRequest, Engine, EngineError, Given, OnDuplicate, OnMissing, Precondition, ReadRequest,
    ReadTuple, Settings, WriteAnswer, WriteRefusal, WriteRequest,
};
use stonetown::schema::read_schema;
use stonetown::tuple::{Revision, SchemaId, StoreId, TupleKey};
use tempfile::TempDir;

/// A write as text: each line is `require PRECONDITION`, `delete TUPLE` or `write TUPLE`.
pub(super) type Lines<'t> = &'t [&'t str];

/// A data directory with one store that has a schema.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) store: StoreId,
    /// The token of the tuples it began with; empty when there were none.
    pub(super) began: String,
    // After the engine, which has to let go of its files first.
    _directory: TempDir,
}

impl World {
    /// A store with a system's schema of the folder `schema`, and tuples in one plain write.
    pub(super) fn of(system: &str, before: Lines<'_>) -> World {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{system}.fga"));
        let mut world = World::with_schema(&std::fs::read_to_string(file).unwrap());
        if !before.is_empty() {
            let lines: Vec<String> = before.iter().map(|tuple| format!("write {tuple}")).collect();
            world.began = world.accepts(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        }
        world
    }

    /// A store with a schema given as text.
    pub(super) fn with_schema(schema: &str) -> World {
        World::with_settings(schema, Settings::default())
    }

    pub(super) fn with_settings(schema: &str, mut settings: Settings) -> World {
        let directory = tempfile::tempdir().unwrap();
        settings.database.create = true;
        let engine = Engine::open(&directory.path().join("data"), settings).unwrap();
        let store = engine.create_store(None).unwrap().id;
        let world = World { engine, store, began: String::new(), _directory: directory };
        world.write_schema(schema);
        world
    }

    pub(super) fn write_schema(&self, text: &str) -> SchemaId {
        let (tree, _) = read_schema("test.fga", text).unwrap();
        self.engine.write_schema(self.store, &tree).unwrap().id
    }

    /// A write with nothing but its tuples and preconditions; the rest is as on the command line.
    pub(super) fn request(&self, lines: Lines<'_>) -> WriteRequest {
        let mut request = WriteRequest {
            store: self.store,
            writes: Vec::new(),
            deletes: Vec::new(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::default(),
            on_missing: OnMissing::default(),
            schema: None,
        };
        for line in lines {
            match line.split_once(' ').unwrap() {
                ("require", text) => request.preconditions.push(text.parse::<Precondition>().unwrap()),
                ("delete", text) => request.deletes.push(text.parse().unwrap()),
                ("write", text) => request.writes.push(text.parse().unwrap()),
                _ => panic!("`{line}` begins with none of require, delete, write"),
            }
        }
        request
    }

    pub(super) fn write(&self, lines: Lines<'_>) -> Result<WriteAnswer, EngineError> {
        self.engine.write(self.request(lines))
    }

    /// Asserts that a write is made, in the next revision, and gives the sealed token it answers.
    pub(super) fn accepts(&self, lines: Lines<'_>) -> String {
        let (before, _) = self.state();
        let answer = self.write(lines).unwrap_or_else(|error| panic!("{lines:#?}\nis refused: {error}"));
        assert_eq!(answer.token.revision, before.next());
        self.engine.seal(&answer.token)
    }

    /// Asserts that a write is refused by one precondition, and changes nothing.
    pub(super) fn refuses(&self, lines: Lines<'_>, failing: &str) {
        let required = format!("require {failing}");
        assert!(lines.contains(&required.as_str()), "`{failing}` is not required by {lines:#?}");
        let expected = failing.parse::<Precondition>().unwrap().to_string();
        assert_eq!(failed(self.refusal_unchanged(self.request(lines))), expected);
    }

    /// Asserts that a write is refused and changes nothing, and gives the refusal.
    pub(super) fn refusal_unchanged(&self, request: WriteRequest) -> WriteRefusal {
        let before = self.state();
        let refusal = refusal(self.engine.write(request));
        assert_eq!(self.state(), before, "refused with `{refusal}`, and yet something changed");
        refusal
    }

    /// Runs a write in a thread for each request, all let go at once; gives their outcomes in the same order.
    pub(super) fn race(&self, requests: Vec<WriteRequest>) -> Vec<Result<WriteAnswer, EngineError>> {
        let start = Barrier::new(requests.len());
        std::thread::scope(|scope| {
            let run = |request| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    self.engine.write(request)
                })
            };
            let threads: Vec<_> = requests.into_iter().map(run).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// The newest revision and all tuples, with the revision that wrote each.
    pub(super) fn state(&self) -> (Revision, Vec<ReadTuple>) {
        self.read("")
    }

    fn read(&self, filter: &str) -> (Revision, Vec<ReadTuple>) {
        let request =
            ReadRequest { store: self.store, filter: filter.parse().unwrap(), after: None, at: At::Head };
        let mut tuples = Vec::new();
        let answer = self.engine.read(&request, &mut |read| {
            tuples.push(read);
            ControlFlow::Continue(())
        });
        (answer.unwrap().token.revision, tuples)
    }

    /// The stored tuples that match a filter, as text.
    pub(super) fn tuples(&self, filter: &str) -> Vec<String> {
        self.read(filter).1.iter().map(|read| read.tuple.to_string()).collect()
    }

    /// Asserts that checks answer yes.
    pub(super) fn yes(&self, tuples: &[&str]) {
        self.answer(tuples, true);
    }

    /// Asserts that checks answer no.
    pub(super) fn no(&self, tuples: &[&str]) {
        self.answer(tuples, false);
    }

    fn answer(&self, tuples: &[&str], expected: bool) {
        for text in tuples {
            let key: TupleKey = text.parse().unwrap();
            let (store, tuple) = (self.store, key.as_ref());
            let request = CheckRequest { store, tuple, schema: None, given: Given::default(), at: At::Head };
            assert_eq!(self.engine.check(request).unwrap().allowed, expected, "{text}");
        }
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

/// Why a write was refused; anything else it ended in is a failure of the test.
pub(super) fn refusal(result: Result<WriteAnswer, EngineError>) -> WriteRefusal {
    match result {
        Err(EngineError::Refused(refusal)) => refusal,
        Err(error) => panic!("failed, not refused: {error}"),
        Ok(answer) => panic!("accepted: {answer:?}"),
    }
}

/// The precondition that refused a write, as it is printed.
pub(super) fn failed(refusal: WriteRefusal) -> String {
    match refusal {
        WriteRefusal::Precondition { precondition, .. } => precondition,
        other => panic!("refused, but by no precondition: {other}"),
    }
}
