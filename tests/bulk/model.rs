//! A plain model of a store: every state, kept whole.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use stonetown::engine::{
    At, Engine, ImportPart, OnDuplicate, OnMissing, Place, ReadRequest, Settings, TupleFilter, UntakenReason,
    WriteRequest,
};
use stonetown::schema::Tree;
use stonetown::tuple::{StoreId, Timestamp, Token, Tuple, TupleCondition, TupleKey};
use tempfile::TempDir;

use super::random::Random;

pub(crate) const SCHEMA: &str = "\
model
  schema 1.1
type user
type group
  relations
    define member: [user, user:*, group#member]
type doc
  relations
    define parent: [doc]
    define viewer: [user, user with soon, group#member, group#member with soon]
condition soon(level: int) {
  level < 10
}
";

/// What limits a tuple.
pub(crate) type Limits = (Option<TupleCondition>, Option<Timestamp>);
/// The tuples of a state.
pub(crate) type Tuples = BTreeMap<TupleKey, Limits>;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) engine: Option<Engine>,
    pub(crate) store: StoreId,
    pub(crate) states: Vec<(Token, Tuples)>,
}

pub(crate) fn open(dir: &TempDir) -> Engine {
    let mut settings = Settings::default();
    settings.database.create = true;
    Engine::open(dir.path(), settings).unwrap()
}

impl World {
    pub(crate) fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir);
        let store = engine.create_store(None).unwrap().id;
        let written = engine.write_schema(store, &Tree::parse("bulk", SCHEMA).unwrap()).unwrap();
        World { dir, engine: Some(engine), store, states: vec![(written.token, Tuples::new())] }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn restart(&mut self) {
        self.engine = None;
        self.engine = Some(open(&self.dir));
    }

    pub(crate) fn tuples(&self) -> &Tuples {
        &self.states.last().unwrap().1
    }

    /// Some tuples come, some go, by an ordinary write.
    pub(crate) fn write(&mut self, random: &mut Random) {
        let mut tuples = self.tuples().clone();
        let mut deletes = Vec::new();
        for key in self.tuples().keys() {
            if random.below(4) == 0 {
                deletes.push(key.clone());
            }
        }
        deletes.iter().for_each(|key| drop(tuples.remove(key)));
        let mut writes: Vec<Tuple> = Vec::new();
        for _ in 0..random.below(12) {
            let tuple = tuple(random);
            if !deletes.contains(&tuple.key) && !writes.iter().any(|it| it.key == tuple.key) {
                tuples.insert(tuple.key.clone(), (tuple.condition.clone(), tuple.expires_at));
                writes.push(tuple);
            }
        }
        if writes.is_empty() && deletes.is_empty() {
            return;
        }
        let request = WriteRequest {
            store: self.store,
            writes,
            deletes,
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Replace,
            on_missing: OnMissing::Error,
            schema: None,
        };
        let answer = self.engine().write(request).unwrap();
        self.states.push((answer.token, tuples));
    }

    pub(crate) fn read(&self, at: At) -> Tuples {
        let request = ReadRequest { store: self.store, filter: TupleFilter::default(), after: None, at };
        let mut found = Tuples::new();
        self.engine()
            .read(&request, &mut |read| {
                found.insert(read.tuple.key, (read.tuple.condition, read.tuple.expires_at));
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    /// Every state is what it was, and the files agree with each other.
    pub(crate) fn check(&self) {
        for (token, expected) in &self.states {
            let at = At::Token(self.engine().seal(token));
            assert_eq!(&self.read(at), expected, "at {token:?}");
        }
        assert_eq!(&self.read(At::Head), self.tuples());
        let validation = self.engine().validate(&mut |_| ()).unwrap();
        assert!(validation.findings.is_empty(), "{:?}", validation.findings);
    }
}

/// A tuple of few, some with a condition or an end far away.
pub(crate) fn tuple(random: &mut Random) -> Tuple {
    let doc = random.below(6);
    let key = match random.below(5) {
        0 => format!("doc:{doc}#parent@doc:{}", random.below(6)),
        1 => format!("group:{}#member@group:{}#member", random.below(3), 3 + random.below(3)),
        2 => format!("group:{}#member@user:*", random.below(4)),
        3 => format!("doc:{doc}#viewer@group:{}#member", random.below(4)),
        _ => format!("doc:{doc}#viewer@user:{}", random.below(8)),
    };
    let mut text = key.clone();
    if key.contains("#viewer") && random.below(3) == 0 {
        text = format!("{text} with soon {{\"level\":{}}}", random.below(3));
    }
    if random.below(4) == 0 {
        text = format!("{text} until 2100-01-0{}T00:00:00Z", 1 + random.below(3));
    }
    text.parse().unwrap()
}

/// What an import of tuples in this order leaves, and which of them it cannot take.
pub(crate) fn import(before: &Tuples, input: &[Tuple], on_duplicate: OnDuplicate) -> (Tuples, Vec<u64>) {
    let mut wanted: BTreeMap<&TupleKey, (u64, Limits)> = BTreeMap::new();
    let mut untaken = Vec::new();
    for (at, tuple) in input.iter().enumerate() {
        let (line, limits) = (at as u64 + 1, (tuple.condition.clone(), tuple.expires_at));
        match wanted.get(&tuple.key) {
            Some((_, first)) if *first == limits && on_duplicate != OnDuplicate::Error => {}
            Some(_) if on_duplicate != OnDuplicate::Replace => untaken.push(line),
            _ => drop(wanted.insert(&tuple.key, (line, limits))),
        }
    }
    let mut after = before.clone();
    for (key, (line, limits)) in wanted {
        match before.get(key) {
            Some(stored) if *stored == limits && on_duplicate != OnDuplicate::Error => {}
            Some(_) if on_duplicate != OnDuplicate::Replace => untaken.push(line),
            _ => drop(after.insert(key.clone(), limits)),
        }
    }
    untaken.sort_unstable();
    (after, untaken)
}

/// A part of a live import.
pub(crate) fn part(
    world: &World,
    tuples: Vec<Tuple>,
    on_duplicate: OnDuplicate,
    is_strict: bool,
) -> (Token, Vec<u64>) {
    let answer = world
        .engine()
        .import_part(ImportPart {
            store: world.store,
            schema: None,
            on_duplicate,
            tuples: (1..).map(|line| Place { input: 0, line }).zip(tuples).collect(),
            import: ([7; 16], None),
            is_strict,
            is_trial: false,
        })
        .unwrap();
    assert!(answer.untaken.iter().all(|it| matches!(it.reason, UntakenReason::Clash(_))));
    (answer.token, answer.untaken.iter().map(|it| it.place.line).collect())
}
