//! The seal: what RocksDB's files were when the directory was closed.
//!
//! A log that was cut, or is not there at all, looks as if nothing had ever been written to it. So when a directory is
//! closed, the size and the end of every file are written down, and held against the files before they are opened
//! again; then the seal is broken. After a crash there is none: then only a torn write may be missing, and no more
//! than that can be told from the logs themselves.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::directory::{ROCKSDB_DIR, io, remove_durably, write_durably};
use crate::storage::error::StorageError;

const SEAL_FILE: &str = "stonetown.seal";
/// Of each file, this much of its end: what a table file is opened by stands there.
const END_BYTES: u64 = 4096;

/// Seals a directory whose files nobody writes to any longer.
pub(super) fn set(dir: &Path) -> Result<(), StorageError> {
    let files = dir.join(ROCKSDB_DIR);
    let mut names: Vec<String> = fs::read_dir(&files)
        .map_err(|error| io(&files, &error))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".sst") || is_log(name) || name == "CURRENT")
        .collect();
    names.sort();
    let mut text = String::new();
    for name in names {
        let path = files.join(&name);
        let (bytes, end) = measure(&path, is_log(&name)).map_err(|error| io(&path, &error))?;
        text.push_str(&format!("{name} {bytes} {end:08x}\n"));
    }
    let sum = crc32c::crc32c(text.as_bytes());
    text.push_str(&format!("all {sum:08x}\n"));
    write_durably(dir, SEAL_FILE, text.as_bytes())
}

/// Holds the files against the seal, if there is one.
pub(super) fn check(dir: &Path) -> Result<(), StorageError> {
    let path = dir.join(SEAL_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(&path, &error)),
    };
    let damaged = || StorageError::damaged(path.display().to_string(), "is not what was written");
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
    let (lines, sum) = text.rsplit_once("all ").ok_or_else(damaged)?;
    if sum != format!("{:08x}\n", crc32c::crc32c(lines.as_bytes())) {
        return Err(damaged());
    }
    lines.lines().try_for_each(|line| {
        let mut words = line.split(' ');
        let (Some(name), Some(bytes), Some(end)) = (words.next(), words.next(), words.next()) else {
            return Err(damaged());
        };
        check_file(&dir.join(ROCKSDB_DIR).join(name), bytes, end)
    })
}

/// Breaks the seal: from now on the files change.
pub(super) fn break_open(dir: &Path) -> Result<(), StorageError> {
    remove_durably(dir, SEAL_FILE)
}

fn check_file(path: &Path, bytes: &str, end: &str) -> Result<(), StorageError> {
    let damaged = |detail: String| Err(StorageError::damaged(path.display().to_string(), detail));
    match measure(path, false) {
        Ok((found, _)) if found.to_string() != bytes => {
            damaged(format!("has {found} bytes, it had {bytes} when it was closed"))
        }
        Ok((_, found)) if format!("{found:08x}") != end => {
            damaged("its end is not what it was when it was closed".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => damaged("is missing".to_owned()),
        Err(error) => Err(io(path, &error)),
    }
}

/// The size of a file and the checksum of its end.
fn measure(path: &Path, sync: bool) -> std::io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    if sync {
        file.sync_all()?;
    }
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(END_BYTES)))?;
    let mut end = Vec::new();
    file.take(END_BYTES).read_to_end(&mut end)?;
    Ok((bytes, crc32c::crc32c(&end)))
}

fn is_log(name: &str) -> bool {
    name.ends_with(".log") || name.starts_with("MANIFEST-")
}
