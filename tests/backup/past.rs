use std::ops::ControlFlow;

use stonetown::engine::{Engine, EngineError, RestoreTo, StorageError};
use stonetown::storage::Retention;
use stonetown::tuple::{Object, Revision, StoreId, Timestamp, Token};

use super::world::{assert_valid, back_up, change, log, open, restore, said, write_schema};
use crate::random::Random;

const STEPS: usize = 60;

/// A store, and what was written to it under idempotency keys.
struct History {
    store: StoreId,
    keys: Vec<(String, u64, Token)>,
}

impl History {
    fn new(engine: &Engine, name: &str) -> History {
        let store = engine.create_store(Some(name.to_owned())).unwrap().id;
        write_schema(engine, store, false);
        History { store, keys: Vec::new() }
    }

    fn step(&mut self, engine: &Engine, random: &mut Random, with_purges: bool) {
        let store = self.store;
        match random.below(100) {
            0..5 => drop(write_schema(engine, store, random.chance(50))),
            5..8 if with_purges => {
                let object: Object = random.pick(&["user:a", "org:1", "voice:0"]).parse().unwrap();
                engine.purge(store, object, false).unwrap();
            }
            8..12 => {
                let before = random.chance(40).then(|| {
                    let now = engine.newest(store).unwrap().time.as_micros();
                    Timestamp::from_micros(now - random.between(50_000, 300_000) as i64)
                });
                engine.collect(store, before, &mut |_| ControlFlow::Continue(())).unwrap();
            }
            12..14 => drop(engine.set_retention(store, Retention::Forever).unwrap()),
            14..16 => {
                let schema = engine.list_schemas(store).unwrap()[0].id;
                engine.write_assertions(store, schema, "[]".to_owned()).unwrap();
            }
            16..30 => {
                let (key, seed) = (format!("key {}", self.keys.len()), random.below(1 << 20) as u64);
                // What has an expiry cannot be asked for in the same words again.
                let answer = write_keyed(engine, store, seed, &key);
                self.keys.push((key, seed, answer));
            }
            _ => drop(change(engine, store, random, None)),
        }
    }
}

/// A write that is the same for the same seed.
fn write_keyed(engine: &Engine, store: StoreId, seed: u64, key: &str) -> Token {
    let request = stonetown::engine::WriteRequest {
        store,
        writes: vec![stonetown::tuple::Tuple::plain(format!("voice:k{seed}#viewer@user:a").parse().unwrap())],
        deletes: Vec::new(),
        preconditions: Vec::new(),
        on_duplicate: stonetown::engine::OnDuplicate::Replace,
        on_missing: stonetown::engine::OnMissing::Ignore,
        schema: None,
    };
    engine.write_once(request, Some(key)).unwrap().token
}

fn committed_at(engine: &Engine, store: StoreId, revision: Revision) -> Timestamp {
    let found = engine.committed_at(store, revision).unwrap();
    found.unwrap_or_else(|| engine.find_store(store).unwrap().created_at)
}

/// The restored store is at a revision, its past is that of the source up to there, and it goes on from there.
fn hold(source: &Engine, restored: &Engine, history: &History, revision: Revision, random: &mut Random) {
    let store = history.store;
    assert_valid(restored);
    let newest = restored.newest(store).unwrap();
    assert_eq!(newest.revision, revision);
    let (oldest, _) = source.oldest(store).unwrap();
    assert_eq!(restored.oldest(store).unwrap().0, oldest);
    let mut asked = vec![revision];
    asked.extend((0..8).map(|_| Revision(random.between(oldest.0 as usize, revision.0 as usize) as u64)));
    for asked in asked {
        let mut times = vec![committed_at(source, store, asked)];
        times.extend((asked == revision).then_some(newest.time));
        for time in times {
            match (said(source, store, asked, time), said(restored, store, asked, time)) {
                (Ok(there), Ok(here)) => assert_eq!(here, there, "revision {asked} at {time}"),
                // A later purge is none of the restored one's.
                (Err(EngineError::Storage(StorageError::Purged { .. })), _) => {}
                (there, here) => panic!("{there:?} and {here:?}"),
            }
        }
    }
    let mut expected = log(source, store);
    expected.retain(|(at, ..)| *at <= revision);
    assert_eq!(log(restored, store), expected);
    let schemas = |engine: &Engine| {
        let mut schemas = engine.list_schemas(store).unwrap();
        schemas.retain(|schema| schema.written <= revision);
        let assertions =
            schemas.iter().map(|it| engine.assertions(store, it.id).unwrap()).collect::<Vec<_>>();
        (schemas.iter().map(|it| (it.id, it.written)).collect::<Vec<_>>(), assertions)
    };
    assert_eq!(schemas(restored), schemas(source));
    assert_eq!(restored.list_schemas(store).unwrap().len(), schemas(source).0.len());
    if schemas(source).0.is_empty() {
        write_schema(restored, store, false);
    } else {
        // A write that is part of the state is answered again, a later one is made.
        for (key, seed, was) in &history.keys {
            let before = restored.newest(store).unwrap().revision;
            let answered = write_keyed(restored, store, *seed, key);
            if was.revision <= revision {
                assert_eq!((answered.revision, answered.time), (was.revision, was.time));
            } else {
                assert_eq!(answered.revision, before.next());
            }
        }
    }
    let before = restored.newest(store).unwrap().revision;
    let next = change(restored, store, random, None).token.revision;
    assert!(next == before || next == before.next());
    restored.collect(store, None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_valid(restored);
}

fn histories(with_purges: bool, seeds: std::ops::Range<u64>) {
    let (mut held, mut purged, mut collected) = (0, 0, 0);
    for seed in seeds {
        println!("STONETOWN_SEED={seed} STONETOWN_ROUNDS=1");
        let mut random = Random::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let source = open(&dir.path().join("data"));
        let place = dir.path().join("backups");
        let mut first = History::new(&source, "first");
        let mut second = History::new(&source, "second");
        let mut beginning = Vec::new();
        for step in 0..STEPS {
            first.step(&source, &mut random, with_purges);
            second.step(&source, &mut random, false);
            beginning.extend((step == STEPS / 3).then(|| source.newest(first.store).unwrap().time));
        }
        let last = source.create_store(Some("last".to_owned())).unwrap();
        back_up(&source, &place);
        let head = source.newest(first.store).unwrap().revision;
        let (oldest, _) = source.oldest(first.store).unwrap();
        let mut to: Vec<u64> = (0..4).map(|_| random.below(head.0 as usize + 1) as u64).collect();
        to.extend([oldest.0, head.0]);
        for (n, revision) in to.into_iter().map(Revision).enumerate() {
            let dir = dir.path().join(format!("at-{n}"));
            match restore(&place, None, &dir, RestoreTo::Revision(revision, first.store)) {
                Ok((restored, _)) => {
                    assert!(revision >= oldest);
                    hold(&source, &restored, &first, revision, &mut random);
                    // The other store is as it was backed up.
                    assert_eq!(
                        restored.newest(second.store).unwrap().revision,
                        source.newest(second.store).unwrap().revision
                    );
                    assert_eq!(log(&restored, second.store), log(&source, second.store));
                    held += 1;
                }
                Err(EngineError::Storage(StorageError::BelowHorizon { asked, oldest: found, .. })) => {
                    assert!((asked, found) == (revision, oldest) && revision < oldest);
                    collected += 1;
                    // Refused, it leaves nothing that anybody could take for data.
                    assert!(!dir.join("rocksdb").exists() && !dir.join("stonetown.format").exists());
                }
                Err(EngineError::Storage(StorageError::Purged { asked, .. })) => {
                    assert_eq!(asked, revision);
                    let time = committed_at(&source, first.store, revision);
                    let there = said(&source, first.store, revision, time);
                    assert!(
                        matches!(there, Err(EngineError::Storage(StorageError::Purged { .. }))),
                        "{there:?}"
                    );
                    purged += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        // All stores at a time, and at a token of that time.
        if !with_purges {
            by_time(
                &source,
                &dir.path().join("by-time"),
                &place,
                [&first, &second],
                last.id,
                beginning[0],
                &mut random,
            );
        }
    }
    println!("{held} held, {purged} refused for a purge, {collected} below the horizon");
}

fn by_time(
    source: &Engine,
    dir: &std::path::Path,
    place: &std::path::Path,
    histories: [&History; 2],
    last: StoreId,
    time: Timestamp,
    random: &mut Random,
) {
    let expected: Result<Vec<Token>, EngineError> = histories
        .iter()
        .map(|history| {
            let at = stonetown::engine::At::Time(time);
            Ok(source.view(history.store, None, &at)?.token())
        })
        .collect();
    let expected = match expected {
        Ok(expected) => expected,
        Err(EngineError::Storage(StorageError::BelowHorizon { .. })) => {
            let refused =
                restore(place, None, &dir.join("refused"), RestoreTo::Time(time, None)).map(|(_, it)| it);
            assert!(
                matches!(refused, Err(EngineError::Storage(StorageError::BelowHorizon { .. }))),
                "{refused:?}"
            );
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let token = source.seal(&expected[0]);
    for (n, to) in
        [RestoreTo::Time(time, None), RestoreTo::Token(token.clone(), None)].into_iter().enumerate()
    {
        let (restored, answer) = restore(place, None, &dir.join(n.to_string()), to).unwrap();
        assert_eq!(answer.left_out, [last]);
        assert!(restored.find_store(last).is_none());
        for (history, token) in histories.iter().zip(&expected) {
            hold(source, &restored, history, token.revision, random);
        }
    }
    // One store alone: the others stay what they are.
    let to = RestoreTo::Token(token, Some(histories[0].store));
    let (restored, answer) = restore(place, None, &dir.join("one"), to).unwrap();
    assert_eq!(answer.left_out, []);
    assert_eq!(restored.newest(histories[0].store).unwrap().revision, expected[0].revision);
    assert_eq!(log(&restored, histories[1].store), log(source, histories[1].store));
    let (store, before) = (Some(last), Timestamp::from_micros(time.as_micros()));
    let refused = restore(place, None, &dir.join("later"), RestoreTo::Time(before, store)).map(|(_, it)| it);
    assert!(matches!(refused, Err(EngineError::Storage(StorageError::MadeLater { .. }))), "{refused:?}");
}

#[test]
fn a_store_taken_back_is_what_it_was_and_goes_on_from_there() {
    histories(false, super::world::seeds(3));
}

#[test]
fn what_is_purged_does_not_come_back_unnoticed() {
    histories(true, super::world::seeds(3));
}

#[test]
fn a_point_in_time_is_one_of_the_backup() {
    let dir = tempfile::tempdir().unwrap();
    let source = open(&dir.path().join("data"));
    let place = dir.path().join("backups");
    let history = History::new(&source, "only");
    let backup = back_up(&source, &place).done.backup;
    let later = change(&source, history.store, &mut Random::new(1), None).token;
    let refused = |to| match restore(&place, None, &dir.path().join("new"), to) {
        Err(error) => error,
        Ok((_, answer)) => panic!("{answer:?}"),
    };
    let error = refused(RestoreTo::Time(later.time, None));
    let expected = StorageError::AfterBackup { id: backup.id, made_at: backup.made_at, asked: later.time };
    assert!(matches!(&error, EngineError::Storage(found) if *found == expected), "{error}");
    let error = refused(RestoreTo::Token(source.seal(&later), Some(history.store)));
    let expected = StorageError::AboveHead { asked: Revision(2), head: Revision(1) };
    assert!(matches!(&error, EngineError::Storage(found) if *found == expected), "{error}");
    let error = refused(RestoreTo::Token("A".repeat(66), None));
    assert!(matches!(error, EngineError::Token(_)), "{error}");
    let (restored, _) = restore(&place, None, &dir.path().join("copy"), RestoreTo::Newest).unwrap();
    let of_copy = restored.seal(&restored.newest(history.store).unwrap());
    let error = refused(RestoreTo::Token(of_copy, None));
    assert!(matches!(error, EngineError::OtherIncarnation), "{error}");
    // Up to the moment it was made.
    let (restored, answer) =
        restore(&place, None, &dir.path().join("new"), RestoreTo::Time(backup.made_at, None)).unwrap();
    assert_eq!(answer.stores[0].token.revision, Revision(1));
    assert_valid(&restored);
}
