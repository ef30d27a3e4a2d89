//! Ways in for `tests/fuzz`, to what only RocksDB's rows and files come to otherwise. Built with `--cfg fuzzing` alone.

#![allow(missing_docs, clippy::panic, reason = "a finding is a panic")]

use std::fmt::Debug;

use super::codec;
use super::error::StorageError;
use super::rocks;
use crate::tuple::{Revision, StoreId};

/// Reads, writes what was read, and reads that: it has to be the same.
fn again<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8], &dyn Fn() -> String) -> Result<T, StorageError>,
    encode: impl Fn(&T) -> Result<Vec<u8>, StorageError>,
) {
    let place = || "fuzz".to_owned();
    match decode(bytes, &place) {
        Err(StorageError::Damaged { .. }) => {}
        Err(error) => panic!("{error:?} of bytes that are damaged"),
        Ok(value) => {
            let written = encode(&value).and_then(|written| decode(&written, &place));
            assert_eq!(written.ok().as_ref(), Some(&value));
        }
    }
}

/// A value of one of the kinds that are stored.
pub fn value(kind: usize, bytes: &[u8]) {
    match kind % 12 {
        0 => again(bytes, codec::decode_row, codec::encode_row),
        1 => again(bytes, codec::decode_import, |value| codec::encode_import(value.clone())),
        2 => again(bytes, codec::decode_change, codec::encode_change),
        3 => again(bytes, codec::decode_revision, codec::encode_revision),
        4 => again(bytes, codec::decode_head, codec::encode_head),
        5 => {
            let id = StoreId::from_bytes([5; 16]);
            again(bytes, |bytes, place| codec::decode_store(id, bytes, place), codec::encode_store);
        }
        6 => again(bytes, codec::decode_schema, |value| codec::encode_schema(value.clone())),
        7 => again(bytes, codec::decode_answered, |value| codec::encode_answered(*value)),
        8 => again(bytes, codec::decode_assertions, |text| codec::encode_assertions(text)),
        9 => again(bytes, codec::decode_purged, |value| codec::encode_purged(*value)),
        10 => again(bytes, codec::decode_secret, |secret| codec::encode_secret(*secret)),
        _ => {
            let place = || "fuzz".to_owned();
            let _ = codec::decode_end(bytes, &place);
            if let Ok(limits) = codec::limits_of_row(bytes, &place) {
                let _ = codec::row_of_limits(Revision(1), limits, &place);
            }
        }
    }
}

/// A key of `tuples` and `by_subject`.
pub fn key(bytes: &[u8]) {
    for direction in [rocks::Direction::Forward, rocks::Direction::Backward] {
        let Some(tuple) = rocks::parse(direction, bytes) else { continue };
        let Some(store) = bytes.first_chunk::<4>() else { continue };
        assert_eq!(rocks::tuple_key(direction, u32::from_be_bytes(*store), tuple), bytes);
    }
    let _ = rocks::show(bytes);
}

/// A row of the change log.
pub fn change(key: &[u8], value: &[u8]) {
    let _ = rocks::read_change(key, value);
}

/// A write-ahead log, or a manifest.
pub fn log(bytes: &[u8]) {
    rocks::scan_log(bytes);
}

/// A log of records whose checksums are right, so that what comes behind them is looked at too. Of each there is a length, a kind, a
/// fate, and the first byte of what it holds.
pub fn log_of_records(bytes: &[u8]) {
    let mut log = Vec::new();
    for [length, kind, fate, content] in bytes.as_chunks::<4>().0 {
        let payload = vec![*content; usize::from(*length) * 137];
        rocks::append_log_record(&mut log, kind % 6, &payload);
        match fate % 16 {
            0 => log.truncate(log.len() - 1 - payload.len() / 2),
            1 => log.extend([0; 600]),
            2 => drop(log.last_mut().map(|last| *last ^= fate)),
            _ => {}
        }
    }
    rocks::scan_log(&log);
}
