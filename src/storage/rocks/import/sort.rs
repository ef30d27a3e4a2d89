//! The external sort: chunks sorted in memory, written out as runs, read back merged.
//!
//! A record is a key and a value. Records of the same key keep the order in which they were given. A run is a file of
//! blocks; a block is `length u32, CRC-32C u32` (little-endian) and that many bytes of records, each
//! `shared, rest, value` as variable-length lengths, then the rest of the key and the value: the key begins with the
//! `shared` first bytes of the one before it.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::storage::error::StorageError;
use crate::storage::rocks::directory::io;

/// Bytes of records after which a block is written.
const BLOCK_BYTES: usize = 64 << 10;
/// Of a block of a damaged run, not more than this is read.
const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Entries that are compared as a whole rather than word by word.
const SMALL: usize = 12;
const WORD: usize = 8;

/// Records in memory, in the order they came.
#[derive(Default)]
pub(super) struct Chunk {
    /// `key length u32, value length u32, key, value`, one after the other.
    bytes: Vec<u8>,
    /// A word of the key, and where the record begins.
    entries: Vec<(u64, u32)>,
}

impl Chunk {
    /// Bytes of memory in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<(u64, u32)>()
    }

    pub(super) fn records(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Adds a record; key and value are appended in place by the two writers.
    pub(super) fn push(&mut self, key: impl FnOnce(Vec<u8>) -> Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.extend_from_slice(&[0; 2 * size_of::<u32>()]);
        let key_at = bytes.len();
        bytes = key(bytes);
        let value_at = bytes.len();
        value(&mut bytes);
        // A chunk is far smaller than 4 GiB: see `FileImport::add`.
        let lengths = [(value_at - key_at) as u32, (bytes.len() - value_at) as u32];
        for (slot, length) in bytes[at..key_at].chunks_exact_mut(size_of::<u32>()).zip(lengths) {
            slot.copy_from_slice(&length.to_le_bytes());
        }
        self.bytes = bytes;
        self.entries.push((0, at as u32));
    }

    fn record(&self, at: u32) -> (&[u8], &[u8]) {
        record(&self.bytes, at)
    }

    /// Sorts by key, then by the order in which records came.
    pub(super) fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        sort_from(&self.bytes, &mut entries, 0);
        self.entries = entries;
    }

    /// Writes the records as a run, durable.
    pub(super) fn write_run(&self, path: &Path) -> Result<(), StorageError> {
        let mut run = RunWriter::create(path)?;
        for &(_, at) in &self.entries {
            let (key, value) = self.record(at);
            run.put(key, value)?;
        }
        run.finish()
    }
}

fn record(bytes: &[u8], at: u32) -> (&[u8], &[u8]) {
    let length = |at: usize| {
        let word: [u8; 4] = bytes[at..at + 4].try_into().unwrap_or_default();
        u32::from_le_bytes(word) as usize
    };
    let at = at as usize;
    let (key, value) = (length(at), length(at + 4));
    let body = &bytes[at + 8..at + 8 + key + value];
    body.split_at(key)
}

/// Sorts entries whose keys are the same up to `depth`, a word at a time: the word stands beside the entry, so that comparing
/// does not leave the cache (after Bentley and Sedgewick, *Fast algorithms for sorting and searching strings*, 1997).
fn sort_from(bytes: &[u8], entries: &mut [(u64, u32)], depth: usize) {
    if entries.len() <= SMALL {
        sort_whole(bytes, entries);
        return;
    }
    let mut longest = 0;
    for (word, at) in entries.iter_mut() {
        let key = record(bytes, *at).0;
        longest = longest.max(key.len());
        let rest = key.get(depth..).unwrap_or_default();
        let mut padded = [0; WORD];
        let held = rest.len().min(WORD);
        padded[..held].copy_from_slice(&rest[..held]);
        *word = u64::from_be_bytes(padded);
    }
    // What the word says, then the order they came in.
    entries.sort_unstable();
    for group in entries.chunk_by_mut(|one, two| one.0 == two.0) {
        if group.len() == 1 {
            continue;
        }
        if depth + WORD < longest {
            sort_from(bytes, group, depth + WORD);
        } else {
            sort_whole(bytes, group);
        }
    }
}

/// Compares whole keys: a zero at the end of one and the padding of a word look alike.
fn sort_whole(bytes: &[u8], entries: &mut [(u64, u32)]) {
    let key = |at| record(bytes, at).0;
    entries.sort_unstable_by(|one, two| key(one.1).cmp(key(two.1)).then(one.1.cmp(&two.1)));
}

/// Writes a run.
pub(super) struct RunWriter {
    file: File,
    path: PathBuf,
    block: Vec<u8>,
    last: Vec<u8>,
}

impl RunWriter {
    pub(super) fn create(path: &Path) -> Result<RunWriter, StorageError> {
        let file = File::create(path).map_err(|error| io(path, &error))?;
        let block = Vec::with_capacity(BLOCK_BYTES + 4096);
        Ok(RunWriter { file, path: path.to_owned(), block, last: Vec::new() })
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        let shared = self.last.iter().zip(key).take_while(|(one, two)| one == two).count();
        for length in [shared, key.len() - shared, value.len()] {
            put_length(&mut self.block, length);
        }
        self.block.extend_from_slice(&key[shared..]);
        self.block.extend_from_slice(value);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        if self.block.len() >= BLOCK_BYTES { self.write_block() } else { Ok(()) }
    }

    fn write_block(&mut self) -> Result<(), StorageError> {
        let mut head = [0; 8];
        head[..4].copy_from_slice(&(self.block.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32c::crc32c(&self.block).to_le_bytes());
        let written = self.file.write_all(&head).and_then(|()| self.file.write_all(&self.block));
        self.block.clear();
        // Each block can be read by itself.
        self.last.clear();
        written.map_err(|error| io(&self.path, &error))
    }

    /// Makes it durable.
    pub(super) fn finish(mut self) -> Result<(), StorageError> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        self.file.sync_all().map_err(|error| io(&self.path, &error))
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(super) fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// Takes a number off the front; none where there is none.
pub(super) fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return usize::try_from(length).ok();
        }
    }
    None
}

/// Reads a run, one record at a time.
struct RunReader {
    file: BufReader<File>,
    path: PathBuf,
    block: Vec<u8>,
    at: usize,
    key: Vec<u8>,
    value: (usize, usize),
}

impl RunReader {
    fn open(path: &Path) -> Result<RunReader, StorageError> {
        let file = File::open(path).map_err(|error| io(path, &error))?;
        let file = BufReader::with_capacity(BLOCK_BYTES, file);
        let path = path.to_owned();
        Ok(RunReader { file, path, block: Vec::new(), at: 0, key: Vec::new(), value: (0, 0) })
    }

    fn damaged(&self) -> StorageError {
        StorageError::damaged(self.path.display().to_string(), "a sorted run is not what was written")
    }

    /// Goes on to the next record; false at the end.
    fn advance(&mut self) -> Result<bool, StorageError> {
        if self.at == self.block.len() && !self.read_block()? {
            return Ok(false);
        }
        let mut rest = &self.block[self.at..];
        let mut lengths = [0; 3];
        for length in &mut lengths {
            let Some(found) = take_length(&mut rest) else { return Err(self.damaged()) };
            *length = found;
        }
        let [shared, more, value] = lengths;
        let is_whole = more.checked_add(value).is_some_and(|wanted| wanted <= rest.len());
        if shared > self.key.len() || !is_whole {
            return Err(self.damaged());
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(&rest[..more]);
        let value_at = self.block.len() - rest.len() + more;
        self.value = (value_at, value_at + value);
        self.at = value_at + value;
        Ok(true)
    }

    fn read_block(&mut self) -> Result<bool, StorageError> {
        let mut head = [0; 8];
        match self.file.read_exact(&mut head[..1]) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result.map_err(|error| io(&self.path, &error))?,
        }
        let [a, b, c, d, e, f, g, h] = {
            self.file.read_exact(&mut head[1..]).map_err(|error| io(&self.path, &error))?;
            head
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length == 0 || length > BLOCK_BYTES_MAX {
            return Err(self.damaged());
        }
        self.block.resize(length, 0);
        self.file.read_exact(&mut self.block).map_err(|error| io(&self.path, &error))?;
        if crc32c::crc32c(&self.block) != u32::from_le_bytes([e, f, g, h]) {
            return Err(self.damaged());
        }
        self.at = 0;
        self.key.clear();
        Ok(true)
    }

    fn value(&self) -> &[u8] {
        &self.block[self.value.0..self.value.1]
    }
}

/// A key and a value.
pub(super) type Record<'r> = (&'r [u8], &'r [u8]);

/// Runs merged: by key, then by run, then by the order within it.
pub(super) struct Merge {
    runs: Vec<RunReader>,
    /// A binary heap over the runs, the least record's first.
    heap: Vec<usize>,
    is_begun: bool,
}

impl Merge {
    pub(super) fn open(paths: &[PathBuf]) -> Result<Merge, StorageError> {
        let mut runs = paths.iter().map(|path| RunReader::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut heap = Vec::with_capacity(runs.len());
        for (at, run) in runs.iter_mut().enumerate() {
            if run.advance()? {
                heap.push(at);
            }
        }
        let mut merge = Merge { runs, heap, is_begun: false };
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(at);
        }
        Ok(merge)
    }

    /// The next record; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, StorageError> {
        if self.is_begun
            && let Some(&first) = self.heap.first()
        {
            if !self.runs[first].advance()? {
                self.heap.swap_remove(0);
            }
            self.sift_down(0);
        }
        self.is_begun = true;
        Ok(self.heap.first().map(|&first| {
            let run = &self.runs[first];
            (&run.key[..], run.value())
        }))
    }

    fn compare(&self, one: usize, two: usize) -> Ordering {
        let (one, two) = (self.heap[one], self.heap[two]);
        self.runs[one].key.cmp(&self.runs[two].key).then(one.cmp(&two))
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= self.heap.len() {
                return;
            }
            let is_right = right < self.heap.len() && self.compare(right, left).is_lt();
            let least = if is_right { right } else { left };
            if self.compare(at, least).is_le() {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Records = Vec<(Vec<u8>, Vec<u8>)>;

    fn sorted_through_runs(records: &[(Vec<u8>, Vec<u8>)], per_run: usize) -> Records {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (number, part) in records.chunks(per_run).enumerate() {
            let mut chunk = Chunk::default();
            for (key, value) in part {
                let key = |mut bytes: Vec<u8>| {
                    bytes.extend_from_slice(key);
                    bytes
                };
                chunk.push(key, |bytes| bytes.extend_from_slice(value));
            }
            chunk.sort();
            let path = dir.path().join(number.to_string());
            chunk.write_run(&path).unwrap();
            paths.push(path);
        }
        let mut merge = Merge::open(&paths).unwrap();
        let mut merged = Vec::new();
        while let Some((key, value)) = merge.next().unwrap() {
            merged.push((key.to_vec(), value.to_vec()));
        }
        merged
    }

    proptest! {
        // Every run is synced.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn an_external_sort_is_a_stable_sort(
            keys in prop::collection::vec(prop::collection::vec(0_u8..3, 0..40), 0..400),
            per_run in 1_usize..120,
        ) {
            let records: Records =
                keys.into_iter().enumerate().map(|(at, key)| (key, at.to_le_bytes().to_vec())).collect();
            let mut expected = records.clone();
            expected.sort_by(|one, two| one.0.cmp(&two.0));
            prop_assert_eq!(sorted_through_runs(&records, per_run), expected);
        }
    }

    #[test]
    fn blocks_follow_each_other() {
        let records: Records = (0..40_000_u32)
            .map(|at| (format!("file\0usr/share/doc/{:05}\0", at * 7919 % 40_000).into_bytes(), vec![7; 3]))
            .collect();
        let mut expected = records.clone();
        expected.sort();
        assert_eq!(sorted_through_runs(&records, 15_000), expected);
    }

    #[test]
    fn a_damaged_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let mut run = RunWriter::create(&path).unwrap();
        (0..100_u8).for_each(|at| run.put(&[at; 30], b"value").unwrap());
        run.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            let read = || -> Result<(), StorageError> {
                let mut merge = Merge::open(std::slice::from_ref(&path))?;
                while merge.next()?.is_some() {}
                Ok(())
            };
            let error = read().expect_err("a flipped bit");
            assert!(error.to_string().contains("run"), "{error}");
        }
    }
}
