//! The audit log: who did what, a line of JSON each, only ever added to. Acts of administration are on disk before they are answered.
//!
//! A file that was moved away or removed is begun anew, so that it can be rotated by whoever likes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

pub(super) struct AuditLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl AuditLog {
    pub(super) fn open(path: &Path) -> io::Result<AuditLog> {
        Ok(AuditLog { path: path.to_owned(), file: Mutex::new(open(path)?) })
    }

    /// Adds a line; `durably`: it is on disk when this returns.
    pub(super) fn add(&self, entry: &Value, durably: bool) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_at(&file, &self.path) {
            *file = open(&self.path)?;
        }
        // In one piece, so that lines of several processes do not mix.
        file.write_all(format!("{entry}\n").as_bytes())?;
        if durably { file.sync_data() } else { Ok(()) }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(held), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_added_also_after_the_file_was_moved_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        std::fs::write(&path, "before\n").unwrap();
        let log = AuditLog::open(&path).unwrap();
        log.add(&json!({ "n": 1 }), true).unwrap();
        std::fs::rename(&path, dir.path().join("audit.1")).unwrap();
        log.add(&json!({ "n": 2 }), false).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("audit.1")).unwrap(), "before\n{\"n\":1}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":2}\n");
    }
}
