//! A store under test, its model beside it: whatever is done to one is done to the other.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use stonetown::engine::{
    At, ChangeKind, ChangesFrom, ChangesRequest, Engine, OnDuplicate, OnMissing, Settings, WriteRequest,
};
use stonetown::storage::DatabaseOptions;
use stonetown::tuple::{Incarnation, Object, Revision, StoreId, Subject, Timestamp, Token, Tuple, TupleKey};
use tempfile::TempDir;

use super::generator::World;
use super::model::valid;
use super::past::{Kept, Past};
use super::random::Random;
use super::sketch::Sketch;

pub(crate) struct Store {
    dir: TempDir,
    engine: Option<Engine>,
    pub(crate) id: StoreId,
    incarnation: Incarnation,
    pub(crate) past: Past,
    /// The schemas that take turns.
    pub(crate) schemas: Vec<Sketch>,
    pub(crate) world: World,
    /// Ends of tuples.
    pub(crate) ends: Vec<Timestamp>,
}

fn settings(depth_max: u32) -> Settings {
    let database = DatabaseOptions {
        create: true,
        block_cache_bytes: 1 << 20,
        write_buffer_bytes: 256 << 10,
        ..DatabaseOptions::default()
    };
    // With decisions kept: none of them may show.
    let decision_cache_bytes = 1 << 20;
    Settings { database, limits: super::ways::limits(depth_max), decision_cache_bytes, ..Settings::default() }
}

impl Store {
    /// A new store for a world: its schema is written, its tuples are not.
    pub(crate) fn new(world: World, random: &mut Random) -> Store {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), settings(world.depth_max)).unwrap();
        let record = engine.create_store(None).unwrap();
        let incarnation = engine.newest(record.id).unwrap().incarnation;
        let mut schemas = vec![world.sketch.clone()];
        let simpler: Vec<Sketch> =
            world.sketch.simpler().into_iter().filter(|it| world.under(it.clone()).is_some()).collect();
        for _ in 0..2 {
            if !simpler.is_empty() {
                schemas.push(random.pick(&simpler).clone());
            }
        }
        let past = Past::new(record.created_at);
        let ends = Vec::new();
        let mut store =
            Store { dir, engine: Some(engine), id: record.id, incarnation, past, schemas, world, ends };
        store.write_schema(0);
        store
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn restart(&mut self) {
        drop(self.engine.take());
        self.engine = Some(Engine::open(self.dir.path(), settings(self.world.depth_max)).unwrap());
    }

    /// The world as it was: under the schema of a state, with the tuples that counted.
    pub(crate) fn world_at(&self, schema: usize, tuples: Vec<Tuple>) -> World {
        World { tuples, ..self.world.under(self.schemas[schema].clone()).unwrap() }
    }

    pub(crate) fn token(&self, revision: Revision, time: Timestamp) -> At {
        let token = Token { store: self.id, incarnation: self.incarnation, revision, time };
        At::Token(self.engine().seal(&token))
    }

    pub(crate) fn write_schema(&mut self, schema: usize) {
        let (tree, _) = self.schemas[schema].resolve().unwrap();
        let token = self.engine().write_schema(self.id, &tree).unwrap().token;
        self.past.push(token.revision, token.time, |state| state.schema = Some(schema));
    }

    /// Some tuples that come or go, some of them for a while.
    pub(crate) fn write(&mut self, random: &mut Random) {
        let schema = self.past.head().schema.unwrap();
        let world = self.world_at(schema, self.world.tuples.clone());
        let is_writable = |tuple: &&Tuple| {
            let itself = matches!(&tuple.key.subject, Subject::Userset(of, relation)
                if *of == tuple.key.object && *relation == tuple.key.relation);
            tuple.condition.is_none() && !itself && valid(world.program.schema(), tuple).is_some()
        };
        let mut pool: Vec<Tuple> = world.tuples.iter().filter(is_writable).cloned().collect();
        random.shuffle(&mut pool);
        pool.truncate(random.between(1, 5));
        let now = Timestamp::wall_clock();
        for tuple in &mut pool {
            tuple.expires_at = None;
            if random.chance(35) {
                let end = Timestamp::from_micros(now.as_micros() + random.between(0, 40_000) as i64 - 5_000);
                tuple.expires_at = Some(end);
                self.ends.push(end);
            }
        }
        // Of what is there, some goes; also what the schema of today would not let in any longer.
        let mut there: Vec<TupleKey> = self.past.head().tuples.keys().cloned().collect();
        there.retain(|key| pool.iter().all(|tuple| tuple.key != *key));
        random.shuffle(&mut there);
        there.truncate(random.weighted(&[(2, 0), (3, 1), (1, 3)]));
        if pool.is_empty() && there.is_empty() {
            return;
        }
        let request = WriteRequest {
            store: self.id,
            writes: pool.clone(),
            deletes: there.clone(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Replace,
            on_missing: OnMissing::Ignore,
            schema: None,
        };
        let answer = self.engine().write(request).unwrap();
        if answer.changed == 0 {
            return;
        }
        let Token { revision, time, .. } = answer.token;
        self.past.push(revision, time, |state| {
            for key in there {
                // What has ended is not there to be deleted; its row is collected.
                if state.tuples.get(&key).is_some_and(|kept| kept.expires_at.is_none_or(|end| end > time)) {
                    state.tuples.remove(&key);
                }
            }
            for Tuple { key, expires_at, .. } in pool {
                let kept = Kept { created: revision, expires_at };
                let same = state.tuples.get(&key).is_some_and(|it| {
                    it.expires_at == kept.expires_at && it.expires_at.is_none_or(|end| end > time)
                });
                if !same {
                    state.tuples.insert(key, kept);
                }
            }
        });
    }

    /// Collects what has ended, and the past from before a time.
    pub(crate) fn collect(&mut self, before: Timestamp) {
        let begun = self.engine().newest(self.id).unwrap().time;
        let answer =
            self.engine().collect(self.id, Some(before), &mut |_| ControlFlow::Continue(())).unwrap();
        let head = self.engine().newest(self.id).unwrap().revision;
        assert_eq!(answer.expired > 0, head > self.past.head().revision, "a collection of ended tuples");
        if answer.expired > 0 {
            // Fewer than are collected as one revision. Some may have ended after the search for them.
            let time = self.engine().committed_at(self.id, head).unwrap().unwrap();
            let collected = self.expired_by(head);
            assert_eq!(collected.len() as u64, answer.expired);
            self.past.push(head, time, |state| {
                for key in collected {
                    let kept = state.tuples.remove(&key).expect("only what is there is collected");
                    assert!(kept.expires_at.is_some_and(|end| end <= time), "{key} was collected too early");
                }
            });
        }
        let is_over = |kept: &Kept| kept.expires_at.is_some_and(|end| end <= begun);
        assert!(!self.past.head().tuples.values().any(is_over), "something that had ended is still there");
        let expected = self.past.at_time(before).revision.max(self.past.horizon);
        assert_eq!(answer.oldest, expected, "the horizon of a collection before {before}");
        self.past.horizon = expected;
    }

    fn expired_by(&self, revision: Revision) -> Vec<TupleKey> {
        let mut collected = Vec::new();
        let from = ChangesFrom::Behind(Revision(revision.0 - 1), u32::MAX);
        let request = ChangesRequest { store: self.id, from, object_type: None };
        // Nothing is asked of what may be below the horizon by now.
        let visited = self.engine().changes(&request, &mut |change, _| {
            assert_eq!(change.kind, ChangeKind::Expired);
            collected.push(change.tuple.clone().unwrap().key);
            ControlFlow::Continue(())
        });
        visited.unwrap();
        collected
    }

    pub(crate) fn purge(&mut self, object: Object) {
        let answer = self.engine().purge(self.id, object.clone(), false).unwrap();
        let Token { revision, time, .. } = answer.token;
        let is_there = |state: &super::past::State| {
            state.revision >= self.past.horizon
                && state
                    .tuples
                    .keys()
                    .any(|key| super::past::names(key, &object) && !self.past.is_purged(key, state.revision))
        };
        if self.past.states.iter().any(is_there) {
            self.past.purge(object, revision, time);
        } else if revision > self.past.head().revision {
            // Rows below the horizon that no collection had come to yet.
            panic!("a purge of {object} found something that is not there");
        }
    }

    /// The log from the oldest kept revision on tells of every difference between two states, and of nothing else.
    pub(crate) fn hold_log(&self) {
        let mut found: BTreeMap<Revision, BTreeMap<Option<TupleKey>, ChangeKind>> = BTreeMap::new();
        let request = ChangesRequest { store: self.id, from: ChangesFrom::Oldest, object_type: None };
        let visited = self.engine().changes(&request, &mut |change, _| {
            let key = change.tuple.as_ref().map(|tuple| tuple.key.clone());
            let before = found.entry(change.revision).or_default().insert(key, change.kind);
            assert_eq!(before, None, "twice in revision {}", change.revision);
            ControlFlow::Continue(())
        });
        visited.unwrap();
        for state in self.past.states.iter().filter(|state| state.revision > self.past.horizon) {
            let revision = state.revision;
            let before = &self.past.at(Revision(revision.0 - 1)).tuples;
            let mut expected: BTreeMap<Option<TupleKey>, ChangeKind> = BTreeMap::new();
            for key in before.keys().chain(state.tuples.keys()) {
                let kind = match (before.get(key), state.tuples.get(key)) {
                    (None, _) => ChangeKind::Written,
                    (Some(old), Some(new)) if old == new => continue,
                    (Some(_), Some(_)) => ChangeKind::Replaced,
                    (Some(_), None) => ChangeKind::Deleted,
                };
                if !self.past.is_purged(key, revision) {
                    expected.insert(Some(key.clone()), kind);
                }
            }
            if self.past.purges.iter().any(|purge| purge.at == revision) {
                expected.clear();
                expected.insert(None, ChangeKind::Purged);
            }
            let mut told = found.remove(&revision).unwrap_or_default();
            for kind in told.values_mut().filter(|kind| **kind == ChangeKind::Expired) {
                *kind = ChangeKind::Deleted;
            }
            assert_eq!(told, expected, "the log of revision {revision}");
        }
        assert!(found.is_empty(), "the log tells of more: {found:?}");
    }
}
