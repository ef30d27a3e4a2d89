//! A look at the write-ahead log before RocksDB replays it.
//!
//! RocksDB accepts a record that runs past the end of the log as torn: the process died while it was written, so it
//! was never acknowledged. A damaged *length* in the middle of the log looks the same, and everything after it
//! would be dropped in silence. So when the last record of a log is cut short, the rest of the file is searched:
//! where whole records follow, the log is damaged, not torn.
//!
//! The format is RocksDB's: blocks of 32 KiB, each record `crc32c 4 | length 2 | type 1 | payload` with the masked
//! checksum over type and payload; recyclable types add a log number of 4 bytes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::storage::error::StorageError;

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Plain types are 1 to 4; 9 to 13 are RocksDB's newer kinds without a log number in their header.
const TYPES: std::ops::RangeInclusive<u8> = 1..=13;

/// Refuses a directory whose logs were cut by damage rather than by a crash.
pub(super) fn verify(files: &Path) -> Result<(), StorageError> {
    let entries =
        fs::read_dir(files).map_err(|error| StorageError::Io(format!("`{}`: {error}", files.display())))?;
    let mut logs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    for log in logs {
        let bytes =
            fs::read(&log).map_err(|error| StorageError::Io(format!("`{}`: {error}", log.display())))?;
        if let Some(at) = damage(&bytes) {
            let detail =
                format!("record at byte {at} runs past the end of the log, but whole records follow it");
            return Err(StorageError::damaged(log.display().to_string(), detail));
        }
    }
    Ok(())
}

/// Where a record is cut short although whole ones follow.
fn damage(log: &[u8]) -> Option<usize> {
    let torn = torn_record(log)?;
    let mut at = torn + 1;
    while at + HEADER_BYTES <= log.len() {
        if whole_record(log, at).is_some() {
            return Some(torn);
        }
        at += 1;
    }
    None
}

/// Where the records stop making sense: a record that reaches over the end of its block or of the log.
fn torn_record(log: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + HEADER_BYTES <= log.len() {
        let block_left = BLOCK_BYTES - at % BLOCK_BYTES;
        if block_left < HEADER_BYTES {
            at += block_left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([log[at + 4], log[at + 5]]));
        let kind = log[at + 6];
        if kind == 0 && length == 0 {
            // Space set aside and never written; what follows it in the file, if anything, is no log.
            return Some(at);
        }
        let record = HEADER_BYTES + length;
        if record > block_left || at + record > log.len() {
            return Some(at);
        }
        at += record;
    }
    None
}

/// The length of a record that is whole and whose checksum holds.
fn whole_record(log: &[u8], at: usize) -> Option<usize> {
    let header = log.get(at..at + HEADER_BYTES)?;
    let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
    // An empty record is no proof of anything: seven bytes can look like it by chance.
    if length == 0 || !TYPES.contains(&header[6]) {
        return None;
    }
    let body = log.get(at + 6..at + HEADER_BYTES + length)?;
    let stored = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    (mask(crc32c::crc32c(body)) == stored).then_some(HEADER_BYTES + length)
}

/// RocksDB stores checksums rotated and offset, so that a checksum of checksums is not weak.
fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8]) -> Vec<u8> {
        let mut body = vec![1];
        body.extend_from_slice(payload);
        let mut record = mask(crc32c::crc32c(&body)).to_le_bytes().to_vec();
        record.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        record.extend_from_slice(&body);
        record
    }

    #[test]
    fn a_torn_tail_is_no_damage() {
        let log = [record(b"first"), record(b"second")].concat();
        for cut in 0..log.len() {
            assert_eq!(damage(&log[..cut]), None, "cut at {cut}");
        }
        let preallocated = [log, vec![0; 64]].concat();
        assert_eq!(damage(&preallocated), None);
    }

    #[test]
    fn a_damaged_length_is() {
        let mut log = [record(b"first"), record(b"second"), record(b"third")].concat();
        log[5] ^= 0x40;
        assert_eq!(damage(&log), Some(0));
    }
}
