use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stonetown::engine::{Engine, EngineError, RestoreTo, StorageError};

use super::world::{assert_valid, back_up, change, open, restore, settings, write_schema};
use crate::random::Random;

/// Nobody takes the beginning of a restore for an empty directory; a restore begins it anew.
#[test]
fn what_an_interrupted_restore_leaves_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir.path().join("data"));
    let place = dir.path().join("backups");
    let store = engine.create_store(None).unwrap().id;
    write_schema(&engine, store, false);
    change(&engine, store, &mut Random::new(1), None);
    back_up(&engine, &place);
    let half = dir.path().join("half");
    drop(restore(&place, None, &half, RestoreTo::Newest).unwrap());
    fs::rename(half.join("stonetown.format"), half.join("stonetown.restoring")).unwrap();
    fs::remove_file(half.join("rocksdb/CURRENT")).unwrap();
    for create in [true, false] {
        let mut settings = settings();
        settings.database.create = create;
        let refused = Engine::open(&half, settings).map(drop);
        assert_eq!(refused, Err(StorageError::RestoreInterrupted(half.clone())));
    }
    let (restored, _) = restore(&place, None, &half, RestoreTo::Newest).unwrap();
    assert_valid(&restored);
}

/// Killed at any moment, a restore leaves nothing, something that is refused, or all.
#[test]
fn a_restore_that_is_killed_is_never_half_served() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir.path().join("data"));
    let place = dir.path().join("backups");
    let store = engine.create_store(None).unwrap().id;
    write_schema(&engine, store, false);
    for seed in 0..100 {
        change(&engine, store, &mut Random::new(seed), None);
    }
    let revision = back_up(&engine, &place).done.backup.stores[0].revision;
    let target = dir.path().join("target");
    let command = |to: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.args(["restore", "--revision", "20", "--data"]).arg(to).arg(&place);
        command.env_remove("STONETOWN_DATA").stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let begun = Instant::now();
    assert!(command(&dir.path().join("measured")).status().unwrap().success());
    let whole = begun.elapsed();
    let (mut nothing, mut half, mut complete) = (0, 0, 0);
    for round in 0..12_u32 {
        let mut process = command(&target).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(whole.as_micros() as u64 * u64::from(round) / 5));
        // It may have ended.
        let _ = process.kill();
        process.wait().unwrap();
        let mut settings = settings();
        settings.database.create = false;
        match Engine::open(&target, settings) {
            Ok(restored) => {
                complete += 1;
                assert_eq!(restored.newest(store).unwrap().revision.0, 20);
                assert_valid(&restored);
                drop(restored);
                fs::remove_dir_all(&target).unwrap();
            }
            Err(StorageError::NoDirectory(_)) => nothing += 1,
            Err(StorageError::RestoreInterrupted(_)) => half += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("{nothing} times nothing, {half} times half, {complete} times complete, {whole:?} each");
    assert!(revision.0 > 20);
    if target.exists() {
        match restore(&place, None, &target, RestoreTo::Newest) {
            Ok((restored, _)) => assert_valid(&restored),
            Err(EngineError::Storage(error)) => assert_eq!(error, StorageError::NotEmpty(target)),
            Err(error) => panic!("{error}"),
        }
    }
}
