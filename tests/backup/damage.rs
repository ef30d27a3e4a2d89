use std::fs;
use std::path::{Path, PathBuf};

use stonetown::engine::{EngineError, RestoreTo, StorageError, list_backups, verify_backups};

use super::world::{assert_valid, back_up, change, open, restore, write_schema};
use crate::random::Random;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// One bit of a file, an end that is missing, a file that is missing: each is found, by name, and nothing is restored from it.
#[test]
fn every_damaged_file_is_named_and_never_restored() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir.path().join("data"));
    let place = dir.path().join("backups");
    let store = engine.create_store(None).unwrap().id;
    write_schema(&engine, store, false);
    for seed in 0..20 {
        change(&engine, store, &mut Random::new(seed), None);
    }
    back_up(&engine, &place);
    let mut random = Random::new(7);
    let mut damaged = 0;
    for path in files(&place) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let whole = fs::read(&path).unwrap();
        if name == "stonetown.lock" || name == "stonetown.backups" || whole.is_empty() {
            continue;
        }
        let mut flipped = || {
            let mut bytes = whole.clone();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            bytes
        };
        let cut = &whole[..whole.len() - 1];
        for bytes in [Some(flipped()), Some(cut.to_vec()), None] {
            if bytes.is_none() && name == "backup-1.json" {
                // Without a record there is no backup.
                continue;
            }
            match &bytes {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let verdicts = verify_backups(&place, None, &mut |_| ()).unwrap();
            let [verdict] = verdicts.as_slice() else { panic!("{verdicts:?}") };
            let [finding] = verdict.findings.as_slice() else { panic!("{}: {verdict:?}", path.display()) };
            assert_eq!(finding.place, path.display().to_string());
            let to = dir.path().join("restored");
            match restore(&place, None, &to, RestoreTo::Newest).map(|(_, answer)| answer) {
                Err(EngineError::Storage(StorageError::DamagedBackup { id: 1, place, .. })) => {
                    assert_eq!(place, path.display().to_string());
                }
                other => panic!("{}: {other:?}", path.display()),
            }
            assert!(!to.exists());
            damaged += 1;
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(damaged > 20, "{damaged} files were damaged");
    assert!(list_backups(&place).unwrap()[0].is_ok());
    let (restored, _) = restore(&place, None, &dir.path().join("restored"), RestoreTo::Newest).unwrap();
    assert_valid(&restored);
}
