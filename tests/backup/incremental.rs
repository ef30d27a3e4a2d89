use std::num::NonZero;

use stonetown::engine::{EngineError, RestoreTo, StorageError, list_backups, verify_backups};
use stonetown::tuple::Tuple;

use super::world::{assert_valid, back_up, change, open, restore, write_schema};
use crate::random::Random;
use stonetown::engine::{OnDuplicate, OnMissing, WriteRequest};

#[test]
fn a_second_backup_copies_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir.path().join("data"));
    let place = dir.path().join("backups");
    let store = engine.create_store(Some("large".to_owned())).unwrap().id;
    write_schema(&engine, store, false);
    let noise =
        |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let writes = (0..40_000)
        .map(|n| {
            Tuple::plain(
                format!("voice:{:016x}#viewer@user:{:016x}", noise(n), noise(n + 7)).parse().unwrap(),
            )
        })
        .collect();
    let request = WriteRequest {
        store,
        writes,
        deletes: Vec::new(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        schema: None,
    };
    engine.write(request).unwrap();
    engine.compact().unwrap();
    let first = back_up(&engine, &place).done;
    assert_eq!(first.bytes_copied, first.backup.bytes);
    change(&engine, store, &mut Random::new(1), None);
    let second = back_up(&engine, &place).done;
    println!(
        "first backup: {} bytes; second: {} bytes, {} of them copied",
        first.backup.bytes, second.backup.bytes, second.bytes_copied
    );
    assert!(second.bytes_copied * 10 < second.backup.bytes, "{second:?}");
    // Nothing new at all, and only the newest two are kept.
    let third = engine.backup(&place, NonZero::new(2), &mut |_| ()).unwrap().done;
    assert_eq!(third.removed, [first.backup.id]);
    let listed: Vec<_> = list_backups(&place).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(listed, [second.backup.clone(), third.backup.clone()]);
    assert!(verify_backups(&place, None, &mut |_| ()).unwrap().iter().all(|it| it.findings.is_empty()));
    // Those that are left are whole without it.
    for backup in [&second.backup, &third.backup] {
        let restored = dir.path().join(format!("restored-{}", backup.id));
        let (restored, answer) = restore(&place, Some(backup.id), &restored, RestoreTo::Newest).unwrap();
        assert_valid(&restored);
        assert_eq!(answer.stores[0].token.revision, backup.stores[0].revision);
    }
    let gone = restore(&place, Some(first.backup.id), &dir.path().join("gone"), RestoreTo::Newest);
    assert!(matches!(gone.map(drop), Err(EngineError::Storage(StorageError::NoBackup { id: 1, .. }))));
    assert!(!dir.path().join("gone").exists());
}

#[test]
fn a_place_holds_backups_of_one_life_of_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir.path().join("data"));
    let place = dir.path().join("not/there/yet");
    let store = engine.create_store(None).unwrap().id;
    back_up(&engine, &place);
    let (restored, _) = restore(&place, None, &dir.path().join("restored"), RestoreTo::Newest).unwrap();
    let refused = |engine: &stonetown::engine::Engine, place| match engine.backup(place, None, &mut |_| ()) {
        Err(EngineError::Storage(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&restored, &place), StorageError::ForeignBackups(place.clone()));
    assert_eq!(
        refused(&open(&dir.path().join("other")), &place),
        StorageError::ForeignBackups(place.clone())
    );
    let inside = dir.path().join("data/backups");
    assert_eq!(refused(&engine, &inside), StorageError::BackupInside(inside.clone()));
    assert!(!inside.exists());
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("letter"), "dear").unwrap();
    assert_eq!(refused(&engine, &full), StorageError::NoBackupPlace(full.clone()));
    let data = dir.path().join("restored");
    assert_eq!(refused(&engine, &data), StorageError::NoBackupPlace(data.clone()));
    // Nor is a backup restored where something is.
    for (to, expected) in
        [(&data, StorageError::NotEmpty(data.clone())), (&full, StorageError::ForeignDirectory(full.clone()))]
    {
        match restore(&place, None, to, RestoreTo::Newest) {
            Err(EngineError::Storage(error)) => assert_eq!(error, expected),
            other => panic!("{:?}", other.map(|(_, answer)| answer)),
        }
    }
    assert_eq!(std::fs::read_to_string(full.join("letter")).unwrap(), "dear");
    let nothing = restore(&full, None, &dir.path().join("new"), RestoreTo::Newest).map(|(_, answer)| answer);
    assert!(matches!(nothing, Err(EngineError::Storage(StorageError::NoBackups(_)))), "{nothing:?}");
    // The restored one goes on in a place of its own.
    write_schema(&restored, store, false);
    back_up(&restored, &dir.path().join("second"));
}
