use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use stonetown::engine::{
    Engine, EngineError, FileImportRequest, OnDuplicate, Place, RestoreTo, StorageError,
};
use stonetown::storage::Retention;
use stonetown::tuple::{StoreId, Timestamp, Token, TupleRef};

use super::world::{assert_valid, back_up, change, open, restore, said, write_schema};
use crate::random::Random;

const BACKUPS: usize = 3;
const IMPORTED: u64 = 3_000;

fn import(engine: &Engine, store: StoreId, round: u32) -> Token {
    let mut import = engine
        .import_files(FileImportRequest {
            store,
            schema: None,
            on_duplicate: OnDuplicate::Ignore,
            identity: format!("round{round}"),
            about: "a test".to_owned(),
            restart: true,
            memory_bytes: 4 << 20,
            is_trial: false,
        })
        .unwrap();
    for line in 0..IMPORTED {
        let text = format!("voice:{round}-{line}#viewer@user:u{}", line % 97);
        import.add(Place { input: 0, line }, TupleRef::parse(&text).unwrap(), None, None).unwrap().unwrap();
    }
    import.finish("end", &mut |_, _, _| ControlFlow::Break(()), &|_| ()).unwrap().unwrap().token
}

/// Writers, deletions, schemas, collections of both kinds, stores that come and go, imports by files: all at once.
#[test]
fn a_backup_under_load_answers_at_every_token_that_was_given_before_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir.path().join("data"));
    let place = dir.path().join("backups");
    let written = engine.create_store(Some("written".to_owned())).unwrap().id;
    let imported = engine.create_store(Some("imported".to_owned())).unwrap().id;
    engine.set_retention(written, Retention::Forever).unwrap();
    for store in [written, imported] {
        write_schema(&engine, store, false);
    }
    let is_over = AtomicBool::new(false);
    let imports = AtomicU32::new(0);
    let given: Mutex<Vec<Token>> = Mutex::default();
    let is_on = || !is_over.load(Ordering::Acquire);
    let backups = std::thread::scope(|scope| {
        for writer in 0..4 {
            let (engine, given) = (&engine, &given);
            scope.spawn(move || {
                let mut random = Random::new(writer);
                while is_on() {
                    let token = change(engine, written, &mut random, None).token;
                    given.lock().unwrap().push(token);
                }
            });
        }
        scope.spawn(|| {
            for round in 0.. {
                if !is_on() {
                    return;
                }
                let token = write_schema(&engine, written, round % 2 == 0);
                given.lock().unwrap().push(token);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        scope.spawn(|| {
            while is_on() {
                for store in [written, imported] {
                    // Of the one store nothing of the past is dropped.
                    let before = (store == imported).then(|| engine.newest(store).unwrap().time);
                    engine.collect(store, before, &mut |_| ControlFlow::Continue(())).unwrap();
                }
                let short = engine.create_store(None).unwrap().id;
                write_schema(&engine, short, false);
                change(&engine, short, &mut Random::new(1), None);
                engine.delete_store(short).unwrap();
            }
        });
        scope.spawn(|| {
            while is_on() {
                let token = import(&engine, imported, imports.load(Ordering::Acquire));
                given.lock().unwrap().push(token);
                imports.fetch_add(1, Ordering::Release);
            }
        });
        let mut backups = Vec::new();
        for done in 1..=BACKUPS {
            while imports.load(Ordering::Acquire) < done as u32 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            let before = given.lock().unwrap().clone();
            backups.push((back_up(&engine, &place), before));
        }
        is_over.store(true, Ordering::Release);
        backups
    });
    let imports = imports.into_inner();
    for (backup, before) in &backups {
        let id = backup.done.backup.id;
        let restored = dir.path().join(format!("restored-{id}"));
        let (restored, answer) = restore(&place, Some(id), &restored, RestoreTo::Newest).unwrap();
        assert_valid(&restored);
        assert_eq!(answer.backup, backup.done.backup);
        for (store, token) in backup.done.backup.stores.iter().zip(&backup.tokens) {
            let Some(found) = answer.stores.iter().find(|found| found.record.id == store.id) else {
                assert!(store.id != written && store.id != imported);
                continue;
            };
            assert!(found.token.revision >= store.revision);
            assert_eq!((token.store, token.revision), (store.id, store.revision));
        }
        // The newest ones, and some of all.
        let (mut compared, step) = (0, 1 + before.len() / 100);
        let sample = before.iter().rev().take(30).chain(before.iter().step_by(step));
        for token in sample.chain(&backup.tokens) {
            let Token { store, revision, time, .. } = *token;
            let then = match said(&engine, store, revision, time) {
                Ok(then) => then,
                // Collected, or deleted, since.
                Err(EngineError::Storage(StorageError::BelowHorizon { .. } | StorageError::NoStore(_))) => {
                    assert!(store != written);
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            assert_eq!(said(&restored, store, revision, time).unwrap(), then, "{token:?}");
            compared += 1;
            let old = stonetown::engine::At::Token(engine.seal(token));
            let refused = restored.view(store, None, &old).map(|_| ());
            assert!(matches!(refused, Err(EngineError::OldIncarnation)), "{refused:?}");
        }
        assert!(compared > 30, "{compared} compared");
        let newest = restored.newest(written).unwrap();
        assert_ne!(newest.incarnation, engine.newest(written).unwrap().incarnation);
        let next = change(&restored, written, &mut Random::new(9), None).token;
        assert!(next.revision > newest.revision && next.time > Timestamp::default());
        assert_valid(&restored);
        println!(
            "backup {id}: {} bytes, {} copied, {} tokens before, {compared} compared, {imports} imports in all",
            backup.done.backup.bytes,
            backup.done.bytes_copied,
            before.len(),
        );
    }
}
