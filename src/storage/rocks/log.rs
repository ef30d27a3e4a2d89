//! A look at RocksDB's logs before RocksDB replays them: the manifest, and the write-ahead logs.
//!
//! Both are written record by record, and a record is synced before the next one is written. So at most the last one
//! may be found torn after a crash: it was never acknowledged, and is cut off here. Anything else that is not as it
//! was written is damage. RocksDB itself cannot be left to tell the two apart:
//!
//! - it takes a record that runs past the end of the file for torn, even when a damaged length makes it seem so;
//! - it takes one that is there in full length but not in full (zeros in place of sectors that the disk had not got to)
//!   for damage, and refuses to open after a mere power loss;
//! - one flipped bit in a record's type can make it drop the whole log in silence, or read on for ever;
//! - it does not say which file is damaged.
//!
//! The format: blocks of 32 KiB, each record `crc32c 4 | length 2 | type 1 | payload`, with the masked checksum over
//! type and payload. A write that does not fit into its block is one record of type 2, any number of 3, and one of 4.

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::io;
use crate::storage::error::StorageError;

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// What a disk writes as a whole, or not at all.
const SECTOR_BYTES: usize = 512;
/// So many zeros in a row stand in no record that was written in full.
const ZEROS_MIN: usize = 8;

const WHOLE: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Refuses damaged logs, and cuts off what the last one holds of a write that was torn. The answer is the manifest
/// that is in force.
pub(super) fn check(files: &Path) -> Result<PathBuf, StorageError> {
    let manifest = current_manifest(files)?;
    check_last(&manifest)?;
    let mut logs = numbered(files, "log")?;
    let Some(newest) = logs.last().cloned() else {
        // There always is one: it is made before the one before it is removed.
        let place = files.join("*.log").display().to_string();
        return Err(StorageError::damaged(place, "the write-ahead log is missing"));
    };
    let mut is_empty = true;
    // A log may be torn as long as nothing was written to the ones after it.
    while is_empty && let Some(last) = logs.pop() {
        is_empty = check_last(&last)? == 0;
    }
    if is_empty && numbered(files, "sst")?.is_empty() {
        let problem = "is empty, and there are no table files: all that was written is lost";
        return Err(StorageError::damaged(newest.display().to_string(), problem));
    }
    for log in logs {
        match scan(&read(&log)?) {
            Scan::Good => {}
            Scan::Torn { at } | Scan::Damaged { at } => return Err(damaged(&log, at)),
        }
    }
    Ok(manifest)
}

/// Checks a log that may end in a torn write, and cuts that off. The answer is how many bytes it has then.
fn check_last(path: &Path) -> Result<usize, StorageError> {
    let bytes = read(path)?;
    match scan(&bytes) {
        Scan::Good => Ok(bytes.len()),
        Scan::Damaged { at } => Err(damaged(path, at)),
        Scan::Torn { at } => {
            let cut = || -> std::io::Result<()> {
                let file = fs::OpenOptions::new().write(true).open(path)?;
                file.set_len(at as u64)?;
                file.sync_all()
            };
            cut().map_err(|error| io(path, &error))?;
            Ok(at)
        }
    }
}

/// The manifest that is in force: the one that `CURRENT` names.
fn current_manifest(files: &Path) -> Result<PathBuf, StorageError> {
    let current = files.join("CURRENT");
    let damaged = |detail: String| StorageError::damaged(current.display().to_string(), detail);
    let bytes = match fs::read(&current) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged("is missing".to_owned()));
        }
        Err(error) => return Err(io(&current, &error)),
    };
    let text = String::from_utf8_lossy(&bytes);
    let name = text.strip_suffix('\n').filter(|name| {
        name.strip_prefix("MANIFEST-").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let Some(name) = name else {
        return Err(damaged(format!("holds `{}` instead of the name of a manifest", text.escape_debug())));
    };
    let manifest = files.join(name);
    if !manifest.is_file() {
        return Err(damaged(format!("names `{name}`, which is missing")));
    }
    Ok(manifest)
}

/// The files of a kind, oldest first.
fn numbered(files: &Path, kind: &str) -> Result<Vec<PathBuf>, StorageError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(files).map_err(|error| io(files, &error))? {
        let path = entry.map_err(|error| io(files, &error))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == kind)) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, StorageError> {
    fs::read(path).map_err(|error| io(path, &error))
}

fn damaged(path: &Path, at: usize) -> StorageError {
    StorageError::damaged(
        path.display().to_string(),
        format!("the record at byte {at} is not what was written"),
    )
}

/// What a log holds.
#[derive(Debug, PartialEq, Eq)]
enum Scan {
    /// Whole records.
    Good,
    /// And then, from here on, a write that was never synced.
    Torn { at: usize },
    /// Something else than was written.
    Damaged { at: usize },
}

fn scan(log: &[u8]) -> Scan {
    let mut at = 0;
    // Where the write began that the next record goes on with.
    let mut begun = None;
    loop {
        let block_left = BLOCK_BYTES - at % BLOCK_BYTES;
        if block_left < HEADER_BYTES {
            at += block_left;
            continue;
        }
        if at >= log.len() {
            return begun.map_or(Scan::Good, |at| Scan::Torn { at });
        }
        let record = record(log, at);
        begun = match (record.map(|record| record.kind), begun) {
            (Some(WHOLE), None) | (Some(LAST), Some(_)) => None,
            (Some(FIRST), None) => Some(at),
            (Some(MIDDLE), Some(begun)) => Some(begun),
            _ => return judge(log, begun.unwrap_or(at), at),
        };
        at += record.map_or(HEADER_BYTES, |record| record.bytes);
    }
}

/// A record that is as it was written.
#[derive(Debug, Clone, Copy)]
struct Record {
    kind: u8,
    bytes: usize,
}

fn record(log: &[u8], at: usize) -> Option<Record> {
    let header = Header::read(log, at)?;
    let bytes = HEADER_BYTES + header.length;
    if bytes > BLOCK_BYTES - at % BLOCK_BYTES {
        return None;
    }
    let body = log.get(at + HEADER_BYTES - 1..at + bytes)?;
    header.is_of(body).then_some(Record { kind: header.kind, bytes })
}

struct Header {
    checksum: u32,
    length: usize,
    kind: u8,
}

impl Header {
    fn read(log: &[u8], at: usize) -> Option<Header> {
        let bytes = log.get(at..at + HEADER_BYTES)?;
        Some(Header {
            checksum: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            length: usize::from(u16::from_le_bytes([bytes[4], bytes[5]])),
            kind: bytes[6],
        })
    }

    fn is_of(&self, body: &[u8]) -> bool {
        mask(crc32c::crc32c(body)) == self.checksum
    }
}

/// RocksDB stores checksums rotated and offset, so that a checksum of checksums is not weak.
fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Torn or damaged: the record at `at` does not make sense, and belongs to a write that began at `begun`.
fn judge(log: &[u8], begun: usize, at: usize) -> Scan {
    if !has_later_write(log, at) && (is_cut(log, at) || has_unwritten_sector(log, begun)) {
        Scan::Torn { at: begun }
    } else {
        Scan::Damaged { at }
    }
}

/// Whether another write begins after a place: then what stands at the place had been synced before.
fn has_later_write(log: &[u8], at: usize) -> bool {
    let begins = |at: usize| record(log, at).filter(|record| record.bytes > HEADER_BYTES);
    let is_begin = |record: &Record| matches!(record.kind, WHOLE | FIRST);
    let block_end = ((at / BLOCK_BYTES + 1) * BLOCK_BYTES).min(log.len());
    // The length may be what is damaged, so within the block a record may begin anywhere.
    if (at + 1..block_end)
        .any(|at| log.get(at + 6).is_some_and(|kind| matches!(*kind, WHOLE | FIRST)) && begins(at).is_some())
    {
        return true;
    }
    (block_end..log.len()).step_by(BLOCK_BYTES).any(|mut at| {
        while let Some(record) = begins(at) {
            if is_begin(&record) {
                return true;
            }
            at += record.bytes;
        }
        false
    })
}

/// Whether the log ends before its last record does, and not just because of a damaged length.
fn is_cut(log: &[u8], at: usize) -> bool {
    let Some(header) = Header::read(log, at) else { return true };
    let bytes = HEADER_BYTES + header.length;
    bytes <= BLOCK_BYTES - at % BLOCK_BYTES
        && at + bytes > log.len()
        && !header.is_of(&log[at + HEADER_BYTES - 1..])
}

/// Whether a sector of a write reads as zeros: the disk had not got to it.
fn has_unwritten_sector(log: &[u8], begun: usize) -> bool {
    let mut at = begun;
    while at < log.len() {
        let end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(log.len());
        let is_enough = at == begun || end - at >= ZEROS_MIN;
        if is_enough && log[at..end].iter().all(|&byte| byte == 0) {
            return true;
        }
        at = end;
    }
    false
}

/// Looks through a log: what is left when a torn write is cut off is good.
#[cfg(fuzzing)]
pub(in crate::storage) fn scan_log(log: &[u8]) {
    match scan(log) {
        Scan::Good => {}
        Scan::Torn { at } => assert_eq!(scan(&log[..at]), Scan::Good, "cut at {at}"),
        Scan::Damaged { at } => assert!(at <= log.len(), "damaged at {at} of {}", log.len()),
    }
}

/// Appends a record as it is written.
#[cfg(fuzzing)]
pub(in crate::storage) fn append_log_record(log: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    log.extend(piece(kind, payload));
}

#[cfg(any(test, fuzzing))]
fn piece(kind: u8, payload: &[u8]) -> Vec<u8> {
    let body = [&[kind], payload].concat();
    let checksum = mask(crc32c::crc32c(&body)).to_le_bytes();
    [&checksum, &(payload.len() as u16).to_le_bytes()[..], &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A write of two pieces that begins within a block and ends in the next one.
    fn split(before: &[u8], bytes: usize) -> Vec<u8> {
        let first = BLOCK_BYTES - before.len() - HEADER_BYTES;
        [piece(FIRST, &vec![b'x'; first]), piece(LAST, &vec![b'y'; bytes])].concat()
    }

    #[test]
    fn a_torn_tail_is_cut_where_its_write_began() {
        let first = piece(WHOLE, b"first");
        let log = [first.clone(), piece(WHOLE, b"second")].concat();
        assert_eq!(scan(&log), Scan::Good);
        for cut in 1..first.len() {
            assert_eq!(scan(&log[..cut]), Scan::Torn { at: 0 }, "cut at {cut}");
            assert_eq!(
                scan(&log[..first.len() + cut]),
                Scan::Torn { at: first.len() },
                "cut at {cut} after the first"
            );
        }
        let preallocated = [log.clone(), vec![0; 600]].concat();
        assert_eq!(scan(&preallocated), Scan::Torn { at: log.len() });
        let large = [first.clone(), split(&first, 2_000)].concat();
        assert_eq!(scan(&large), Scan::Good);
        for cut in [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, large.len() - 1] {
            assert_eq!(scan(&large[..cut]), Scan::Torn { at: first.len() }, "cut at {cut}");
        }
    }

    #[test]
    fn a_sector_that_was_not_written_is_torn_in_the_last_write_only() {
        let first = piece(WHOLE, b"first");
        let mut large = [first.clone(), split(&first, 2_000)].concat();
        large[5 * SECTOR_BYTES..6 * SECTOR_BYTES].fill(0);
        assert_eq!(scan(&large), Scan::Torn { at: first.len() });
        large.extend(piece(WHOLE, b"later"));
        assert_eq!(scan(&large), Scan::Damaged { at: first.len() });
    }

    #[test]
    fn every_flipped_bit_is_damage() {
        let log = [piece(WHOLE, b"first"), piece(WHOLE, b"second"), piece(WHOLE, b"third")].concat();
        for bit in 0..log.len() * 8 {
            let mut log = log.clone();
            log[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(scan(&log), Scan::Damaged { .. }), "bit {bit}: {:?}", scan(&log));
        }
    }
}
