//! The data directory around RocksDB's files: whose it is, whether it is complete, who has it open.
//!
//! ```text
//! DIR/stonetown.lock        locked by the process that has the directory open
//! DIR/stonetown.unfinished  the format, while the directory is being made: renamed when all of it is durable
//! DIR/stonetown.restoring   the same, while a backup is being restored into it
//! DIR/stonetown.format      `1`: the format, read before RocksDB touches anything
//! DIR/stonetown.seal        what the files were when the directory was closed: see `seal`
//! DIR/rocksdb/              RocksDB's files
//! ```
//!
//! So a directory is either complete, and whatever is missing from it is damage; or it was never used, and is made anew;
//! or a restore into it was interrupted, and only a restore begins it anew: nobody takes it for an empty one.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::storage::error::StorageError;

/// The format this version writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;
pub(super) const ROCKSDB_DIR: &str = "rocksdb";
const FORMAT_FILE: &str = "stonetown.format";
const UNFINISHED_FILE: &str = "stonetown.unfinished";
const RESTORING_FILE: &str = "stonetown.restoring";
pub(super) const LOCK_FILE: &str = "stonetown.lock";

/// A directory that no other process has.
pub(super) struct Directory {
    pub(super) making: Making,
    /// Unlocked when it is closed, by the death of the process as well.
    pub(super) lock: File,
}

/// How a directory comes to be what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// It is complete.
    Done,
    /// It is yet to be made, empty.
    New,
    /// A backup is being restored into it.
    Restored,
}

enum State {
    Empty,
    Unfinished,
    Restoring,
    Complete,
}

/// Takes a directory, once it is certain that it is ours and of a format we read.
pub(super) fn take(dir: &Path, create: bool) -> Result<Directory, StorageError> {
    match state(dir)? {
        State::Complete => {}
        State::Empty | State::Unfinished if !create => return Err(StorageError::NoDirectory(dir.to_owned())),
        State::Empty | State::Unfinished => create_directory(dir)?,
        State::Restoring => {}
    }
    let lock = lock(dir)?;
    // Once more: until just now another process may have been making it.
    let making = match state(dir)? {
        State::Complete => {
            read_format(dir)?;
            Making::Done
        }
        State::Empty | State::Unfinished => {
            begin(dir, UNFINISHED_FILE)?;
            Making::New
        }
        State::Restoring => return Err(StorageError::RestoreInterrupted(dir.to_owned())),
    };
    Ok(Directory { making, lock })
}

/// Takes a directory to restore a backup into: one that is not there or empty, or that was never complete.
pub(super) fn take_to_restore(dir: &Path) -> Result<Directory, StorageError> {
    refuse_complete(dir)?;
    create_directory(dir)?;
    let lock = lock(dir)?;
    refuse_complete(dir)?;
    begin(dir, RESTORING_FILE)?;
    remove_durably(dir, UNFINISHED_FILE)?;
    Ok(Directory { making: Making::Restored, lock })
}

/// Refuses to restore into a directory that holds something.
pub(super) fn refuse_complete(dir: &Path) -> Result<(), StorageError> {
    match state(dir)? {
        State::Complete => Err(StorageError::NotEmpty(dir.to_owned())),
        State::Empty | State::Unfinished | State::Restoring => Ok(()),
    }
}

/// Takes back the beginning of a restore that is refused: the directory is empty again.
pub(super) fn give_up_restoring(dir: &Path) -> Result<(), StorageError> {
    remove_all(&dir.join(ROCKSDB_DIR))?;
    remove_durably(dir, RESTORING_FILE)
}

fn state(dir: &Path) -> Result<State, StorageError> {
    let is_there = |name: &str| dir.join(name).symlink_metadata().is_ok();
    if is_there(FORMAT_FILE) {
        return match is_there(ROCKSDB_DIR) {
            true => Ok(State::Complete),
            false => Err(StorageError::damaged(dir.join(ROCKSDB_DIR).display().to_string(), "is missing")),
        };
    }
    if is_there(RESTORING_FILE) {
        return Ok(State::Restoring);
    }
    if is_there(UNFINISHED_FILE) {
        return Ok(State::Unfinished);
    }
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            // What was made before the mark of an unfinished directory.
            let is_ours = |name: &OsStr| {
                let unmarked = [UNFINISHED_FILE, RESTORING_FILE].map(new_name);
                name == LOCK_FILE || unmarked.iter().any(|unmarked| name == unmarked.as_str())
            };
            match entries.find(|entry| entry.as_ref().map_or(true, |entry| !is_ours(&entry.file_name()))) {
                None => Ok(State::Empty),
                Some(_) if is_there(ROCKSDB_DIR) => {
                    Err(StorageError::damaged(dir.join(FORMAT_FILE).display().to_string(), "is missing"))
                }
                Some(_) => Err(StorageError::ForeignDirectory(dir.to_owned())),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::Empty),
        Err(error) => Err(io(dir, &error)),
    }
}

/// How often, and how long apart, a lock is asked for.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A lock that was just given back may be held a moment longer: by a child of this process, between its fork and its
/// exec. So it is asked for more than once.
pub(super) fn lock(dir: &Path) -> Result<File, StorageError> {
    let path = dir.join(LOCK_FILE);
    let file = File::options().create(true).append(true).open(&path).map_err(|error| io(&path, &error))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(io(&path, &error)),
        }
    }
    Err(StorageError::Locked(dir.to_owned()))
}

/// Begins to make a directory. What an interrupted attempt left was never used.
fn begin(dir: &Path, mark: &str) -> Result<(), StorageError> {
    write_durably(dir, mark, format!("{FORMAT}\n").as_bytes())?;
    let files = dir.join(ROCKSDB_DIR);
    remove_all(&files)?;
    create_directory(&files)
}

/// Says that a directory is complete, once everything in it is durable.
pub(super) fn finish(dir: &Path, making: Making) -> Result<(), StorageError> {
    match making {
        Making::Done => Ok(()),
        Making::New => rename_durably(dir, UNFINISHED_FILE, FORMAT_FILE),
        Making::Restored => rename_durably(dir, RESTORING_FILE, FORMAT_FILE),
    }
}

fn read_format(dir: &Path) -> Result<(), StorageError> {
    let file = dir.join(FORMAT_FILE);
    let bytes = fs::read(&file).map_err(|error| io(&file, &error))?;
    let text = String::from_utf8_lossy(&bytes);
    let number = text.strip_suffix('\n').and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(1..=FORMAT) => Ok(()),
        Some(found @ 2..) => Err(StorageError::TooNew { path: dir.to_owned(), found, supported: FORMAT }),
        Some(0) | None => {
            let detail = format!("holds `{}` instead of a format number", text.escape_debug());
            Err(StorageError::damaged(file.display().to_string(), detail))
        }
    }
}

/// Writes a small file of a directory as a whole or not at all.
pub(super) fn write_durably(dir: &Path, name: &str, contents: &[u8]) -> Result<(), StorageError> {
    let new = new_name(name);
    let path = dir.join(&new);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(contents)?;
        file.sync_all()
    };
    write().map_err(|error| io(&path, &error))?;
    rename_durably(dir, &new, name)
}

/// What a file is called until it is whole.
fn new_name(name: &str) -> String {
    format!("{name}.new")
}

fn rename_durably(dir: &Path, from: &str, to: &str) -> Result<(), StorageError> {
    let to = dir.join(to);
    fs::rename(dir.join(from), &to).map_err(|error| io(&to, &error))?;
    sync_directory(dir)
}

/// Removes a small file of a directory, if it is there.
pub(super) fn remove_durably(dir: &Path, name: &str) -> Result<(), StorageError> {
    let path = dir.join(name);
    match fs::remove_file(&path) {
        Ok(()) => sync_directory(dir),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(&path, &error)),
    }
}

fn remove_all(dir: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(dir, &error)),
        _ => Ok(()),
    }
}

fn create_for_its_owner(dir: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    // What is in it says who may do what, and holds the secret that tokens are sealed with.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes a directory and those that lead to it, each durable in the one above it.
pub(super) fn create_directory(dir: &Path) -> Result<(), StorageError> {
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    if !dir.exists() {
        create_directory(parent)?;
        match create_for_its_owner(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(dir, &error)),
            _ => {}
        }
    }
    match sync_directory(parent) {
        // Made by somebody with more rights, who answers for it.
        Err(_) if File::open(parent).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) => {
            Ok(())
        }
        result => result,
    }
}

pub(super) fn sync_directory(dir: &Path) -> Result<(), StorageError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| io(dir, &error))
}

pub(super) fn io(path: &Path, error: &std::io::Error) -> StorageError {
    StorageError::Io(format!("`{}`: {error}", path.display()))
}
