//! Opening a data directory: what is in it, whose it is, whether it is whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dashmap::DashMap;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, Options,
    ReadOptions, SliceTransform,
};

use super::clock::Clock;
use super::directory::{self, Directory, FORMAT, Making, ROCKSDB_DIR};
use super::families::{self, Family};
use super::{Database, key, log, seal, statistics};
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::stripes::Stripes;
use crate::tuple::{Incarnation, StoreId, Timestamp, TokenKey};

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
    /// Places in the table that says since when tuples have not changed, 8 bytes each; 0: none is kept, and no decision.
    pub stripes: usize,
    /// Have RocksDB count what it does. That costs a look-up in memory about 8 in a hundred.
    pub statistics: bool,
}

impl Default for DatabaseOptions {
    fn default() -> DatabaseOptions {
        DatabaseOptions {
            create: false,
            block_cache_bytes: 256 << 20,
            write_buffer_bytes: 128 << 20,
            verify_bytes_max: 64 << 20,
            stripes: 0,
            statistics: false,
        }
    }
}

impl Database {
    /// Opens a data directory.
    ///
    /// # Errors
    /// Whatever keeps it from being served: missing, another program's, locked, too new, or damaged, with the file.
    pub fn open(dir: &Path, options: &DatabaseOptions) -> Result<Database, StorageError> {
        let directory = directory::take(dir, options.create)?;
        let making = directory.making;
        let mut manifest = None;
        if making == Making::Done {
            seal::check(dir)?;
            manifest = Some(log::check(&dir.join(ROCKSDB_DIR))?);
            seal::break_open(dir)?;
        }
        let database = Database::open_files(dir, directory, manifest.as_deref(), options)?;
        database.finish_making(making)?;
        Ok(database)
    }

    /// Opens the files of a directory, which is complete, or is about to be.
    pub(super) fn open_files(
        dir: &Path,
        directory: Directory,
        manifest: Option<&Path>,
        options: &DatabaseOptions,
    ) -> Result<Database, StorageError> {
        let Directory { making, lock } = directory;
        let cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, 0);
        let families = Family::ALL.map(|family| {
            ColumnFamilyDescriptor::new(
                family.name(),
                family_options(family, &cache, options.write_buffer_bytes),
            )
        });
        let files = dir.join(ROCKSDB_DIR);
        let mut rocks_options = database_options(options, making == Making::New);
        if options.statistics {
            statistics::begin(&mut rocks_options);
        }
        let db = DB::open_cf_descriptors(&rocks_options, &files, families)
            .map_err(|error| open_error(dir, manifest, error))?;
        let mut database = Database {
            db,
            statistics: options.statistics.then_some(rocks_options),
            dir: dir.to_owned(),
            incarnation: Incarnation(0),
            is_restored: false,
            token_key: TokenKey::from_bytes([0; 32]),
            stores: DashMap::new(),
            clock: Clock::default(),
            pins: Arc::default(),
            preparing: Arc::default(),
            importing: DashMap::new(),
            ingesting: Mutex::default(),
            stripes: (options.stripes > 0).then(|| Stripes::new(options.stripes)),
            committing: Mutex::default(),
            heads: DashMap::new(),
            ends: DashMap::new(),
            closing: Closing { dir: dir.to_owned(), is_sound: AtomicBool::new(false), _lock: lock },
        };
        database.verify_tables(options.verify_bytes_max)?;
        database.read_meta(dir, making)?;
        database.read_stores()?;
        database.finish_imports()?;
        database.remove_ingested()?;
        database.finish_drops()?;
        Ok(database)
    }

    /// Says that the directory is complete: from now on it is served from, and sealed when it is closed.
    pub(super) fn finish_making(&self, making: Making) -> Result<(), StorageError> {
        directory::finish(&self.dir, making)?;
        self.closing.is_sound.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads the identity of the directory, or gives it one.
    fn read_meta(&mut self, dir: &Path, making: Making) -> Result<(), StorageError> {
        let place = || "meta".to_owned();
        match self.get(Family::Meta, families::FORMAT_KEY)? {
            Some(bytes) => {
                let found = codec::decode_number(&bytes, &place)? as u32;
                if found > FORMAT {
                    return Err(StorageError::TooNew { path: dir.to_owned(), found, supported: FORMAT });
                }
            }
            None if making != Making::New => {
                let problem = format!("row {} is missing", key::show(families::FORMAT_KEY));
                return Err(StorageError::damaged(place(), problem));
            }
            None => {
                let mut batch = rocksdb::WriteBatch::default();
                let meta = self.family(Family::Meta)?;
                batch.put_cf(meta, families::FORMAT_KEY, codec::encode_number(u64::from(FORMAT))?);
                batch.put_cf(meta, families::INCARNATION_KEY, codec::encode_number(rand::random())?);
                batch.put_cf(meta, families::TOKEN_KEY_KEY, codec::encode_secret(rand::random())?);
                batch.put_cf(meta, families::NEXT_STORE_KEY, codec::encode_number(1)?);
                self.commit(batch, &[])?;
            }
        }
        if making == Making::Restored {
            // Revisions after the backup are not those that the source went on with: their tokens are told apart.
            let mut batch = rocksdb::WriteBatch::default();
            let incarnation = codec::encode_number(rand::random())?;
            let meta = self.family(Family::Meta)?;
            batch.put_cf(meta, families::INCARNATION_KEY, incarnation);
            batch.put_cf(meta, families::RESTORED_KEY, codec::encode_number(1)?);
            self.commit(batch, &[])?;
        }
        let required = |key: &[u8]| {
            self.get(Family::Meta, key)?
                .ok_or_else(|| StorageError::damaged("meta", format!("row {} is missing", key::show(key))))
        };
        let incarnation = codec::decode_number(&required(families::INCARNATION_KEY)?, &place)?;
        let secret = codec::decode_secret(&required(families::TOKEN_KEY_KEY)?, &place)?;
        self.incarnation = Incarnation(incarnation);
        self.is_restored = self.get(Family::Meta, families::RESTORED_KEY)?.is_some();
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
            options.set_total_order_seek(true);
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

/// What is left to do when a database is closed: dropped after RocksDB, when nothing writes to the files any longer.
pub(super) struct Closing {
    dir: PathBuf,
    /// Whether everything that is in the files is durable: not when a write failed.
    pub(super) is_sound: AtomicBool,
    _lock: File,
}

impl Drop for Closing {
    fn drop(&mut self) {
        if *self.is_sound.get_mut() {
            // Without a seal the directory opens as after a crash.
            drop(seal::set(&self.dir));
        }
    }
}

fn database_options(options: &DatabaseOptions, is_unfinished: bool) -> Options {
    let mut db = Options::default();
    // In a complete directory whatever is missing is damage: RocksDB would make it anew, empty, and remove the rest.
    db.create_if_missing(is_unfinished);
    db.create_missing_column_families(is_unfinished);
    // RocksDB's default would silently stop at damage and lose what follows. `log::check` has cut off a torn write by
    // now, and closes the gaps this mode leaves.
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

/// The options of a family for table files that are written outside of the database.
pub(super) fn table_options(family: Family) -> Options {
    // Its cache is never asked.
    family_options(family, &Cache::new_lru_cache(0), 0)
}

/// Measured on 8.3 million real tuples by `benches/key_layout.rs`; the figures are in `src/ARCHITECTURE.md`.
fn family_options(family: Family, cache: &Cache, write_buffer_bytes: usize) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_format_version(7);
    table.set_block_size(16 << 10);
    table.set_index_block_restart_interval(8);
    let mut options = Options::default();
    match family {
        // The one family that point look-ups are asked of.
        Family::Tuples => {
            table.set_block_restart_interval(8);
            table.set_bloom_filter(10.0, false);
            options.set_prefix_extractor(SliceTransform::create(
                "stonetown.subjects",
                key::subjects_part,
                Some(key::has_subjects_part),
            ));
        }
        Family::BySubject => {
            // Of the beginnings alone: nobody looks for a single row.
            table.set_bloom_filter(10.0, false);
            table.set_whole_key_filtering(false);
            options.set_prefix_extractor(SliceTransform::create(
                "stonetown.objects",
                key::objects_part,
                Some(key::has_objects_part),
            ));
        }
        Family::Changes | Family::Revisions => table.set_block_size(32 << 10),
        _ => {}
    }
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(write_buffer_bytes / 2);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options
}

/// Why RocksDB did not open the directory whose manifest this is.
fn open_error(dir: &Path, manifest: Option<&Path>, error: rocksdb::Error) -> StorageError {
    let text = error.to_string();
    if text.contains("LOCK") && (text.contains("lock file") || text.contains("lock hold")) {
        return StorageError::Locked(dir.to_owned());
    }
    let files = dir.join(ROCKSDB_DIR);
    if let Some(manifest) = manifest {
        let manifest = manifest.display().to_string();
        if let Some((_, rest)) = text.split_once("Missing WAL with log number: ")
            && let Ok(number) = rest.trim_end_matches('.').parse::<u64>()
        {
            // Either is at fault: the log was lost, or the manifest has lost what came after it.
            let log = files.join(format!("{number:06}.log"));
            let problem = format!("is missing, but the manifest `{manifest}` says that it is needed");
            return StorageError::damaged(log.display().to_string(), problem);
        }
        if text.contains("Column famil") {
            return StorageError::damaged(manifest, text);
        }
    }
    match from_rocks(error) {
        // RocksDB blames the manifest for a table file that it cannot make sense of. The manifest has been checked.
        StorageError::Damaged { place, detail } if !place.ends_with(".sst") && !place.ends_with(".log") => {
            StorageError::damaged(files.join("*.sst").display().to_string(), detail)
        }
        other => other,
    }
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
