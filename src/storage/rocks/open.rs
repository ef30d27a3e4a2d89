//! Opening a data directory: what is in it, whose it is, whether it is whole.
//!
//! ```text
//! DIR/stonetown.format   `1`: read before RocksDB touches anything
//! DIR/rocksdb/           RocksDB's files
//! ```

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use dashmap::DashMap;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Options,
    ReadOptions,
};

use super::clock::Clock;
use super::families::{self, Family};
use super::{Database, key, wal};
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::tuple::{Incarnation, StoreId, Timestamp, TokenKey};

/// The format this version writes, and the newest it reads.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "stonetown.format";
const ROCKSDB_DIR: &str = "rocksdb";

/// How to open a data directory.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// Make the directory when it is not there or empty.
    pub create: bool,
    /// Bytes of RocksDB's block cache.
    pub block_cache_bytes: usize,
    /// Bytes of recent writes kept in memory, over all families.
    pub write_buffer_bytes: usize,
    /// Read every block of every table file on opening when there are at most this many bytes of them, so that damage
    /// is found at once. Above it a damaged block is found, and named, when it is first read.
    pub verify_bytes_max: u64,
}

impl Default for DatabaseOptions {
    fn default() -> DatabaseOptions {
        DatabaseOptions {
            create: false,
            block_cache_bytes: 256 << 20,
            write_buffer_bytes: 128 << 20,
            verify_bytes_max: 64 << 20,
        }
    }
}

impl Database {
    /// Opens a data directory.
    ///
    /// # Errors
    /// Whatever keeps it from being served: missing, another program's, locked, too new, or damaged, with the file.
    pub fn open(dir: &Path, options: &DatabaseOptions) -> Result<Database, StorageError> {
        let is_new = prepare_directory(dir, options.create)?;
        let files = dir.join(ROCKSDB_DIR);
        if !is_new {
            wal::verify(&files)?;
        }
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let families = Family::ALL.map(|family| {
            ColumnFamilyDescriptor::new(
                family.name(),
                family_options(family, &cache, options.write_buffer_bytes),
            )
        });
        let db = DB::open_cf_descriptors(&database_options(options), &files, families)
            .map_err(|error| open_error(dir, error))?;
        let mut database = Database {
            db,
            dir: dir.to_owned(),
            incarnation: Incarnation(0),
            token_key: TokenKey::from_bytes([0; 32]),
            stores: DashMap::new(),
            clock: Clock::default(),
        };
        database.verify_tables(options.verify_bytes_max)?;
        database.read_meta(dir)?;
        database.read_stores()?;
        database.finish_drops()?;
        Ok(database)
    }

    /// Reads the identity of the directory, or gives it one.
    fn read_meta(&mut self, dir: &Path) -> Result<(), StorageError> {
        let place = || "meta".to_owned();
        match self.get(Family::Meta, families::FORMAT_KEY)? {
            Some(bytes) => {
                let found = codec::decode_number(&bytes, &place)? as u32;
                if found > FORMAT {
                    return Err(StorageError::TooNew { path: dir.to_owned(), found, supported: FORMAT });
                }
            }
            None => {
                let mut batch = rocksdb::WriteBatch::default();
                let meta = self.family(Family::Meta)?;
                batch.put_cf(meta, families::FORMAT_KEY, codec::encode_number(u64::from(FORMAT))?);
                batch.put_cf(meta, families::INCARNATION_KEY, codec::encode_number(rand::random())?);
                batch.put_cf(meta, families::TOKEN_KEY_KEY, codec::encode_secret(rand::random())?);
                batch.put_cf(meta, families::NEXT_STORE_KEY, codec::encode_number(1)?);
                self.commit(batch)?;
            }
        }
        let required = |key: &[u8]| {
            self.get(Family::Meta, key)?
                .ok_or_else(|| StorageError::damaged("meta", format!("row {} is missing", key::show(key))))
        };
        let incarnation = codec::decode_number(&required(families::INCARNATION_KEY)?, &place)?;
        let secret = codec::decode_secret(&required(families::TOKEN_KEY_KEY)?, &place)?;
        self.incarnation = Incarnation(incarnation);
        self.token_key = TokenKey::from_bytes(secret);
        Ok(())
    }

    fn read_stores(&self) -> Result<(), StorageError> {
        self.view().walk(Family::Stores, &[], &mut |key, value| {
            let place = || format!("stores row {}", key::show(key));
            let id = key.try_into().map(StoreId::from_bytes);
            let id = id.map_err(|_| StorageError::damaged(place(), "key is not a store id"))?;
            self.register(codec::decode_store(id, value, &place)?);
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        for store in self.stores() {
            self.now(self.read_head(store.number)?.time.max(Timestamp::default()));
        }
        Ok(())
    }

    /// Goes on with deletions of stores that a stop interrupted.
    fn finish_drops(&self) -> Result<(), StorageError> {
        let mut numbers = Vec::new();
        self.view().walk(Family::Meta, families::DROPPING, &mut |key, value| {
            let number = codec::decode_number(value, &|| format!("meta row {}", key::show(key)))?;
            numbers.push(number as u32);
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        numbers.into_iter().try_for_each(|number| self.drop_rows(number))
    }

    /// Reads every block of every table file, unless there are too many bytes of them.
    fn verify_tables(&self, bytes_max: u64) -> Result<(), StorageError> {
        let files = self.db.live_files().map_err(from_rocks)?;
        let bytes: u64 = files.iter().map(|file| file.size as u64).sum();
        if bytes > bytes_max {
            return Ok(());
        }
        for family in Family::ALL {
            let mut options = ReadOptions::default();
            options.fill_cache(false);
            options.set_verify_checksums(true);
            let mut iterator = self.db.raw_iterator_cf_opt(self.family(family)?, options);
            iterator.seek_to_first();
            while iterator.valid() {
                iterator.next();
            }
            iterator.status().map_err(from_rocks)?;
        }
        Ok(())
    }
}

/// Makes sure that the directory is ours, of a format we read; true when it was made just now.
fn prepare_directory(dir: &Path, create: bool) -> Result<bool, StorageError> {
    let file = dir.join(FORMAT_FILE);
    match fs::read_to_string(&file) {
        Ok(text) => {
            let place = || file.display().to_string();
            let found: u32 = text.trim().parse().map_err(|_| {
                StorageError::damaged(
                    place(),
                    format!("holds `{}` instead of a format number", text.escape_debug()),
                )
            })?;
            if found > FORMAT {
                return Err(StorageError::TooNew { path: dir.to_owned(), found, supported: FORMAT });
            }
            if !dir.join(ROCKSDB_DIR).is_dir() {
                return Err(StorageError::damaged(dir.join(ROCKSDB_DIR).display().to_string(), "is missing"));
            }
            return Ok(!dir.join(ROCKSDB_DIR).join("CURRENT").exists());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(&file, &error)),
    }
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(StorageError::ForeignDirectory(dir.to_owned()));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(dir, &error)),
    }
    if !create {
        return Err(StorageError::NoDirectory(dir.to_owned()));
    }
    let files = dir.join(ROCKSDB_DIR);
    fs::create_dir_all(&files).map_err(|error| io(&files, &error))?;
    // The format comes last: a directory with it is complete.
    let write = || -> std::io::Result<()> {
        let mut out = fs::File::create(&file)?;
        writeln!(out, "{FORMAT}")?;
        out.sync_all()?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| io(&file, &error))?;
    Ok(true)
}

fn io(path: &Path, error: &std::io::Error) -> StorageError {
    StorageError::Io(format!("`{}`: {error}", path.display()))
}

fn database_options(options: &DatabaseOptions) -> Options {
    let mut db = Options::default();
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    // A torn last record is a write that was never acknowledged. Anything else wrong in the log is damage: RocksDB's
    // default would silently stop there and lose what follows. `wal::verify` closes the gap this mode leaves.
    db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_paranoid_checks(true);
    db.set_db_write_buffer_size(options.write_buffer_bytes);
    db.set_max_total_wal_size(options.write_buffer_bytes as u64 * 2);
    db.set_max_background_jobs(2);
    db.set_bytes_per_sync(1 << 20);
    db.set_keep_log_file_num(4);
    db.set_max_log_file_size(4 << 20);
    db
}

fn family_options(family: Family, cache: &Cache, write_buffer_bytes: usize) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_format_version(6);
    // Measured on 8.3 million real tuples (benches/key_layout.rs): 18 bytes for the two indexes, as fast as any.
    table.set_block_size(16 << 10);
    table.set_block_restart_interval(8);
    table.set_index_block_restart_interval(8);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if family.has_point_lookups() {
        table.set_bloom_filter(10.0, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(write_buffer_bytes / 2);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options
}

fn open_error(dir: &Path, error: rocksdb::Error) -> StorageError {
    let text = error.to_string();
    if text.contains("LOCK") && (text.contains("lock file") || text.contains("lock hold")) {
        return StorageError::Locked(dir.to_owned());
    }
    from_rocks(error)
}

/// RocksDB's error as ours. Damage is told from refusals, and its file is named.
pub(super) fn from_rocks(error: rocksdb::Error) -> StorageError {
    let text = error.to_string();
    match error.kind() {
        rocksdb::ErrorKind::Corruption => {
            let place = file_named_in(&text).unwrap_or_else(|| "the database".to_owned());
            StorageError::damaged(place, text)
        }
        _ => StorageError::Io(text),
    }
}

/// The file that a message of RocksDB is about.
fn file_named_in(text: &str) -> Option<String> {
    text.split([' ', ',', ';', '"', '\''])
        .map(|word| word.trim_end_matches([':', '.', ')']).trim_start_matches('('))
        .find(|word| {
            let path = PathBuf::from(word);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.ends_with(".sst")
                || name.ends_with(".log")
                || name.starts_with("MANIFEST-")
                || name == "CURRENT"
        })
        .map(str::to_owned)
}
