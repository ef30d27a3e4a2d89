//! Every scan finds what a plain model holds, wherever RocksDB has the rows: in memory, in tables of several levels, merged.
//! Scans ask the tables' filters by the beginnings of keys; a beginning that is not told rightly would hide rows.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[allow(dead_code, reason = "shared with the judge's own tests")]
#[path = "judge/random.rs"]
mod random;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use random::Random;
use stonetown::storage::{Change, Database, DatabaseOptions, StateReader, TupleFilter, TupleReader, Writer};
use stonetown::tuple::{
    Object, Relation, Revision, StoreId, Subject, SubjectKind, Timestamp, Tuple, TupleKey,
};

const KINDS: [SubjectKind; 3] = [SubjectKind::Object, SubjectKind::Wildcard, SubjectKind::Userset];

/// Names of which some begin others, or are others' neighbours.
const IDS: [&str; 9] = ["a", "aa", "ab", "a/b", "b", "ü", "üü", "1", "a@b"];
const TYPES: [&str; 4] = ["doc", "docs", "d", "user"];
const RELATIONS: [&str; 4] = ["r", "rr", "viewer", "view"];

fn object(random: &mut Random) -> Object {
    let (object_type, id) = (*random.pick(&TYPES), *random.pick(&IDS));
    Object::new(object_type, id).unwrap()
}

fn relation(random: &mut Random) -> Relation {
    let name = random.pick::<&str>(&RELATIONS);
    Relation::new(name).unwrap()
}

fn key(random: &mut Random) -> TupleKey {
    let subject = match random.below(10) {
        0..6 => Subject::Object(object(random)),
        6 => Subject::Wildcard((*random.pick(&TYPES)).into()),
        _ => Subject::Userset(object(random), relation(random)),
    };
    TupleKey { object: object(random), relation: relation(random), subject }
}

type Model = BTreeSet<TupleKey>;

/// All looks that some tuple could be seen by, and as many by which none is.
fn agree(state: &StateReader<'_>, model: &Model, what: &str) {
    let objects: Vec<Object> =
        TYPES.iter().flat_map(|of| IDS.iter().map(|id| Object::new(of, id).unwrap())).collect();
    let relations: Vec<Relation> = RELATIONS.iter().map(|name| Relation::new(name).unwrap()).collect();
    for object in &objects {
        for relation in &relations {
            for kind in KINDS {
                let expected: BTreeSet<Subject> = model
                    .iter()
                    .filter(|it| it.object == *object && it.relation == *relation)
                    .map(|it| it.subject.clone())
                    .filter(|it| it.as_ref().kind() == kind)
                    .collect();
                let mut found = BTreeSet::new();
                let mut visit = |subject: stonetown::tuple::SubjectRef<'_>, _: &_| {
                    assert!(found.insert(subject.to_owned()), "twice");
                    ControlFlow::Continue(())
                };
                state.subjects(object.as_ref(), relation.as_str(), kind, &mut visit).unwrap();
                assert_eq!(found, expected, "{what}: {object}#{relation} {kind:?}");
            }
        }
    }
    let wildcards = TYPES.iter().map(|of| Subject::Wildcard((*of).into()));
    let usersets = objects
        .iter()
        .flat_map(|it| relations.iter().map(move |relation| Subject::Userset(it.clone(), relation.clone())));
    for subject in objects.iter().cloned().map(Subject::Object).chain(wildcards).chain(usersets) {
        for object_type in TYPES {
            for relation in &relations {
                let expected: Vec<&str> = {
                    let of = |it: &&TupleKey| {
                        it.subject == subject
                            && it.object.object_type() == object_type
                            && it.relation == *relation
                    };
                    let mut ids: Vec<&str> = model.iter().filter(of).map(|it| it.object.id()).collect();
                    ids.sort_unstable();
                    ids
                };
                for after in [None, Some("a"), Some("ab")] {
                    let mut found = Vec::new();
                    let mut visit = |object: stonetown::tuple::ObjectRef<'_>, _: &_| {
                        found.push(object.id().to_owned());
                        ControlFlow::Continue(())
                    };
                    let (of, relation) = (subject.as_ref(), relation.as_str());
                    state.objects(of, object_type, relation, after, &mut visit).unwrap();
                    let behind = expected.iter().filter(|id| after.is_none_or(|after| **id > after));
                    assert!(found.iter().eq(behind), "{what}: {object_type}#{relation}@{subject} {after:?}");
                }
            }
        }
    }
    let mut random = Random::new(9);
    for key in model.iter().cloned().chain((0..300).map(|_| key(&mut random))) {
        let found = state.get(key.as_ref()).unwrap();
        assert_eq!(found.is_some(), model.contains(&key), "{what}: {key}");
    }
    for filter in ["", "doc:", "doc:a", "#viewer", "doc:#r", "@user:", "@user:a", "@doc:a#", "doc:a#r@user:a"]
    {
        let filter: TupleFilter = filter.parse().unwrap();
        let mut found = Model::new();
        state
            .scan(&filter, &mut |tuple, _| {
                found.insert(tuple.to_owned());
                ControlFlow::Continue(())
            })
            .unwrap();
        let expected: Model = model.iter().filter(|it| filter.matches(it.as_ref())).cloned().collect();
        assert_eq!(found, expected, "{what}: filter {filter}");
        // From behind each of some, as pages go on; the order is the key's, so what is left is told by the whole.
        let mut order = Vec::new();
        let mut visit = |tuple: stonetown::tuple::TupleRef<'_>, _: &_| {
            order.push(tuple.to_owned());
            ControlFlow::Continue(())
        };
        state.scan(&filter, &mut visit).unwrap();
        for (at, after) in order.iter().enumerate().step_by(7) {
            let mut rest = Vec::new();
            let mut visit = |tuple: stonetown::tuple::TupleRef<'_>, _: &_| {
                rest.push(tuple.to_owned());
                ControlFlow::Continue(())
            };
            state.scan_behind(&filter, Some(after.as_ref()), &mut visit).unwrap();
            assert_eq!(rest, order[at + 1..], "{what}: filter {filter} behind {after}");
        }
    }
}

#[test]
fn scans_find_everything_in_memory_in_tables_and_in_both() {
    let dir = tempfile::tempdir().unwrap();
    let options = DatabaseOptions { create: true, ..DatabaseOptions::default() };
    let database = Arc::new(Database::open(dir.path(), &options).unwrap());
    let writer = Writer::start(Arc::clone(&database)).unwrap();
    let stores = [(); 2].map(|()| writer.create_store(StoreId::generate(), None).unwrap());
    let mut models = [Model::new(), Model::new()];
    let mut past: Vec<(usize, Revision, Timestamp, Model)> = Vec::new();
    let mut random = Random::new(20_261_122);
    for round in 0..12 {
        for (at, store) in stores.iter().enumerate() {
            let model = &mut models[at];
            let mut changed = BTreeSet::new();
            let mut changes = Vec::new();
            for _ in 0..random.between(1, 120) {
                let there: Vec<TupleKey> = model.iter().cloned().collect();
                let is_deletion = !there.is_empty() && random.chance(35);
                let key = if is_deletion { random.pick(&there).clone() } else { key(&mut random) };
                if !changed.insert(key.clone()) {
                    continue;
                }
                if is_deletion {
                    model.remove(&key);
                    changes.push(Change::Delete(key));
                } else {
                    model.insert(key.clone());
                    changes.push(Change::Write(Tuple::plain(key)));
                }
            }
            let commit = writer.write::<()>(store.id, Box::new(move |_, _| Ok(changes))).unwrap();
            past.push((at, commit.revision, commit.time, model.clone()));
        }
        match round % 4 {
            1 => database.flush().unwrap(),
            3 => database.compact().unwrap(),
            _ => {}
        }
        for (store, model) in stores.iter().zip(&models) {
            agree(&database.head(store.number).unwrap(), model, &format!("round {round}"));
        }
    }
    for (at, revision, time, model) in past.iter().step_by(5) {
        let state = database.past(stores[*at].number, *revision, *time).unwrap();
        agree(&state, model, &format!("revision {revision}"));
    }
}
