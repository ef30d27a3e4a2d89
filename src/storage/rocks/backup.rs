//! Backups: copies of a data directory, made while it is served.
//!
//! ```text
//! PLACE/stonetown.backups  format and incarnation: whose backups these are
//! PLACE/stonetown.lock     locked while backups are made, read back, or restored
//! PLACE/backup-N.json      what backup N holds: written when all of it is durable and has been read back
//! PLACE/rocksdb/           RocksDB's backups: table files are shared by all that have them
//! ```
//!
//! RocksDB copies its files without stopping anybody: table files never change, and of the log it takes what is there. So a
//! backup holds one state of all stores together, which is at least as new as the heads that were read before it began.
//! RocksDB's own verification compares sizes alone; the record has a checksum of every file, and those are held against the files.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rocksdb::Env;
use rocksdb::backup::{BackupEngine, BackupEngineOptions};
use serde::{Deserialize, Serialize};

use super::directory::{self, ROCKSDB_DIR, create_directory, io, remove_durably, write_durably};
use super::families::{Family, IMPORTING};
use super::state::StateReader;
use super::{Database, open};
use crate::storage::error::StorageError;
use crate::storage::validate::Finding;
use crate::tuple::{Incarnation, Revision, StoreId, Timestamp};

const FORMAT: u32 = 1;
const PLACE_FILE: &str = "stonetown.backups";
/// Between the document of a record and its checksum.
const SUM: &str = "\ncrc32c ";
/// Bytes that are read at once, and between two reports of progress.
const READ_BYTES: usize = 1 << 20;

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its number in its place: later ones have higher ones.
    pub id: u32,
    /// Which life of the data directory it is of.
    pub incarnation: Incarnation,
    /// When it was begun: it holds everything that was committed until then.
    pub made_at: Timestamp,
    /// The stores that it holds.
    pub stores: Vec<BackedUpStore>,
    /// Bytes of its files, those that it shares with other backups included.
    pub bytes: u64,
    /// How many files that are.
    pub files: u64,
}

/// A store in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUpStore {
    /// Its id.
    pub id: StoreId,
    /// Its name.
    pub name: Option<String>,
    /// The newest revision that is certainly there; what was written meanwhile may be there too.
    pub revision: Revision,
    /// When that was committed.
    pub time: Timestamp,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupDone {
    /// It.
    pub backup: Backup,
    /// Bytes that were copied: what no earlier backup had.
    pub bytes_copied: u64,
    /// Older backups that were removed.
    pub removed: Vec<u32>,
}

/// What is being done to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupStep {
    /// Files are copied, either way.
    Copying,
    /// Files are held against their checksums: so many bytes so far.
    Verifying(u64),
    /// A store is taken back to an earlier revision: so many changes so far.
    Rewinding(u64),
}

/// Told what is being done.
pub(super) type Steps<'p> = &'p mut dyn FnMut(BackupStep);

/// `backup-N.json`, behind which stands its own checksum.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    id: u32,
    incarnation: u64,
    made_at_micros: i64,
    stores: Vec<StoreEntry>,
    files: Vec<FileEntry>,
}

#[derive(Serialize, Deserialize)]
struct StoreEntry {
    id: String,
    name: Option<String>,
    revision: u64,
    time_micros: i64,
}

/// A file of RocksDB's backups.
#[derive(Serialize, Deserialize)]
struct FileEntry {
    name: String,
    bytes: u64,
    crc32c: u32,
}

/// A directory of backups.
pub(super) struct Place {
    dir: PathBuf,
    /// None: the place cannot be written to, so nobody removes anything either.
    _lock: Option<File>,
}

impl Database {
    /// Copies the whole data directory to a place, beside earlier backups of it, whose files it shares; reads everything back;
    /// then removes all but the newest `keep` backups. Reads and writes go on.
    ///
    /// # Errors
    /// The place belongs to another data directory, or holds something else.
    pub fn back_up(
        &self,
        place: &Path,
        keep: Option<NonZero<usize>>,
        progress: Steps<'_>,
    ) -> Result<BackupDone, StorageError> {
        let place = self.take_place(place)?;
        let mut engine = place.engine()?;
        let shared = place.shared_files()?;
        progress(BackupStep::Copying);
        let whole = self.keep_backups_out();
        self.refuse_half_an_import()?;
        let (made_at, stores) = self.heads()?;
        engine.create_new_backup_flush(&self.db, true).map_err(open::from_rocks)?;
        drop(whole);
        let id = engine.get_backup_info().iter().map(|info| info.backup_id).max();
        let id = id.ok_or_else(|| StorageError::Io("RocksDB made no backup".to_owned()))?;
        let files = place.read_back(id, progress)?;
        let incarnation = self.incarnation;
        let bytes_copied =
            files.iter().filter(|file| !shared.contains(&file.name)).map(|file| file.bytes).sum();
        let backup = Backup {
            id,
            incarnation,
            made_at,
            stores,
            bytes: files.iter().map(|file| file.bytes).sum(),
            files: files.len() as u64,
        };
        place.write_record(&backup, files)?;
        let removed = match keep {
            Some(keep) => place.keep_newest(&mut engine, keep)?,
            None => Vec::new(),
        };
        Ok(BackupDone { backup, bytes_copied, removed })
    }

    fn take_place(&self, dir: &Path) -> Result<Place, StorageError> {
        let inside = resolved(&self.dir)?;
        if resolved(dir)?.starts_with(inside) {
            return Err(StorageError::BackupInside(dir.to_owned()));
        }
        match read_incarnation(dir) {
            Ok(_) => {}
            Err(StorageError::NoBackups(_)) if is_free(dir)? => create_directory(dir)?,
            Err(StorageError::NoBackups(_)) => return Err(StorageError::NoBackupPlace(dir.to_owned())),
            Err(error) => return Err(error),
        }
        let lock = lock(dir)?;
        let incarnation = match read_incarnation(dir) {
            Err(StorageError::NoBackups(_)) => {
                let text = format!("{FORMAT} {:016x}\n", self.incarnation.0);
                write_durably(dir, PLACE_FILE, text.as_bytes())?;
                self.incarnation
            }
            read => read?,
        };
        if incarnation != self.incarnation {
            return Err(StorageError::ForeignBackups(dir.to_owned()));
        }
        let place = Place { dir: dir.to_owned(), _lock: Some(lock) };
        create_directory(&place.files())?;
        Ok(place)
    }

    /// Every store with the newest revision that is visible, and a time until when that is everything.
    fn heads(&self) -> Result<(Timestamp, Vec<BackedUpStore>), StorageError> {
        let made_at = self.now(Timestamp::default());
        self.clock.wait_for_commits(made_at);
        let mut heads = Vec::new();
        for record in self.stores() {
            let reader = StateReader::open(self, record.number)?;
            if !reader.is_gone() {
                let name = record.name.as_deref().map(str::to_owned);
                let (revision, time) = (reader.head_revision(), reader.head_time());
                heads.push(BackedUpStore { id: record.id, name, revision, time });
            }
        }
        Ok((made_at, heads))
    }

    /// An import that failed between its first file and the end is finished by opening the directory again, from files that
    /// a backup does not have.
    fn refuse_half_an_import(&self) -> Result<(), StorageError> {
        let mut is_there = false;
        self.view().walk(Family::Meta, IMPORTING, &mut |_, _| {
            is_there = true;
            Ok(ControlFlow::Break(()))
        })?;
        match is_there {
            true => Err(StorageError::WritesRefused("an import by files is half done".to_owned())),
            false => Ok(()),
        }
    }
}

/// The backups at a place, oldest first; in place of one whose record is damaged, the error that says so.
pub fn list_backups(place: &Path) -> Result<Vec<Result<Backup, StorageError>>, StorageError> {
    read_incarnation(place)?;
    let place = Place { dir: place.to_owned(), _lock: None };
    Ok(place.ids()?.into_iter().map(|id| place.record(id).map(|(backup, _)| backup)).collect())
}

/// Reads the files of a backup, or of all backups of a place, and tells what is not as it was written, by backup.
pub fn verify_backups(
    place: &Path,
    id: Option<u32>,
    progress: Steps<'_>,
) -> Result<Vec<(u32, Vec<Finding>)>, StorageError> {
    let place = Place::open(place)?;
    let ids = match id {
        Some(id) => vec![place.existing(id)?],
        None => place.ids()?,
    };
    // Most files belong to several backups.
    let mut seen = HashMap::new();
    let mut bytes = 0;
    ids.into_iter().map(|id| Ok((id, place.verify(id, &mut seen, &mut bytes, progress)?))).collect()
}

type Seen = HashMap<String, Result<(u64, u32), String>>;

impl Place {
    /// To read from; nothing is removed meanwhile.
    pub(super) fn open(dir: &Path) -> Result<Place, StorageError> {
        read_incarnation(dir)?;
        let lock = match lock(dir) {
            Err(refused @ StorageError::BackupsLocked(_)) => return Err(refused),
            other => other.ok(),
        };
        Ok(Place { dir: dir.to_owned(), _lock: lock })
    }

    fn files(&self) -> PathBuf {
        self.dir.join(ROCKSDB_DIR)
    }

    pub(super) fn engine(&self) -> Result<BackupEngine, StorageError> {
        let mut options = BackupEngineOptions::new(self.files()).map_err(open::from_rocks)?;
        options.set_sync(true);
        options.set_max_background_operations(2);
        let env = Env::new().map_err(open::from_rocks)?;
        BackupEngine::open(&options, &env).map_err(open::from_rocks)
    }

    /// The backups that have a record, oldest first.
    pub(super) fn ids(&self) -> Result<Vec<u32>, StorageError> {
        let entries = fs::read_dir(&self.dir).map_err(|error| io(&self.dir, &error))?;
        let mut ids: Vec<u32> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                name.strip_prefix("backup-")?.strip_suffix(".json")?.parse().ok()
            })
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn existing(&self, id: u32) -> Result<u32, StorageError> {
        match self.ids()?.contains(&id) {
            true => Ok(id),
            false => Err(StorageError::NoBackup { place: self.dir.clone(), id }),
        }
    }

    /// A backup by its number; none: the newest.
    pub(super) fn find(&self, id: Option<u32>) -> Result<Backup, StorageError> {
        let id = match id {
            Some(id) => self.existing(id)?,
            None => self.ids()?.pop().ok_or_else(|| StorageError::NoBackups(self.dir.clone()))?,
        };
        Ok(self.record(id)?.0)
    }

    /// Refuses a backup of which a file is not as it was written.
    pub(super) fn verify_whole(&self, id: u32, progress: Steps<'_>) -> Result<(), StorageError> {
        match self.verify(id, &mut HashMap::new(), &mut 0, progress)?.into_iter().next() {
            Some(Finding { place, problem: detail }) => {
                Err(StorageError::DamagedBackup { id, place, detail })
            }
            None => Ok(()),
        }
    }

    fn verify(
        &self,
        id: u32,
        seen: &mut Seen,
        bytes: &mut u64,
        progress: Steps<'_>,
    ) -> Result<Vec<Finding>, StorageError> {
        let files = match self.record(id) {
            Ok((_, files)) => files,
            Err(StorageError::DamagedBackup { place, detail, .. }) => {
                return Ok(vec![Finding { place, problem: detail }]);
            }
            Err(error) => return Err(error),
        };
        let mut findings = Vec::new();
        for file in files {
            let path = self.files().join(&file.name);
            let found = seen.entry(file.name).or_insert_with(|| {
                let read = measure(&path, &mut |read| {
                    *bytes += read;
                    progress(BackupStep::Verifying(*bytes));
                });
                read.map_err(|error| match error.kind() {
                    ErrorKind::NotFound => "is missing".to_owned(),
                    _ => error.to_string(),
                })
            });
            let problem = match found {
                Ok((found, _)) if *found != file.bytes => {
                    Some(format!("has {found} bytes, {} were written", file.bytes))
                }
                Ok((_, found)) if *found != file.crc32c => Some("is not what was written".to_owned()),
                Ok(_) => None,
                Err(problem) => Some(problem.clone()),
            };
            findings.extend(problem.map(|problem| Finding { place: path.display().to_string(), problem }));
        }
        Ok(findings)
    }

    fn record(&self, id: u32) -> Result<(Backup, Vec<FileEntry>), StorageError> {
        let path = self.dir.join(record_name(id));
        let damaged = |detail: &str| StorageError::DamagedBackup {
            id,
            place: path.display().to_string(),
            detail: detail.to_owned(),
        };
        let bytes = fs::read(&path).map_err(|error| io(&path, &error))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("is not what was written"))?;
        let (document, sum) = text.rsplit_once(SUM).ok_or_else(|| damaged("is not what was written"))?;
        if sum != format!("{:08x}\n", crc32c::crc32c(document.as_bytes())) {
            return Err(damaged("is not what was written"));
        }
        let format = serde_json::from_str::<serde_json::Value>(document).ok();
        let format = format.and_then(|document| document["format"].as_u64());
        if let Some(found) = format.filter(|&found| found > u64::from(FORMAT)) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(StorageError::TooNew { path, found, supported: FORMAT });
        }
        let record: Record = serde_json::from_str(document).map_err(|error| damaged(&error.to_string()))?;
        let stores = record.stores.into_iter().map(|store| {
            let StoreEntry { id, name, revision, time_micros } = store;
            let id = id.parse().map_err(|_| damaged("names a store by what is no id"))?;
            let time = Timestamp::from_micros(time_micros);
            Ok(BackedUpStore { id, name, revision: Revision(revision), time })
        });
        let backup = Backup {
            id,
            incarnation: Incarnation(record.incarnation),
            made_at: Timestamp::from_micros(record.made_at_micros),
            stores: stores.collect::<Result<_, StorageError>>()?,
            bytes: record.files.iter().map(|file| file.bytes).sum(),
            files: record.files.len() as u64,
        };
        Ok((backup, record.files))
    }

    fn write_record(&self, backup: &Backup, files: Vec<FileEntry>) -> Result<(), StorageError> {
        let stores = backup.stores.iter().map(|store| StoreEntry {
            id: store.id.to_string(),
            name: store.name.clone(),
            revision: store.revision.0,
            time_micros: store.time.as_micros(),
        });
        let record = Record {
            format: FORMAT,
            id: backup.id,
            incarnation: backup.incarnation.0,
            made_at_micros: backup.made_at.as_micros(),
            stores: stores.collect(),
            files,
        };
        let document = serde_json::to_string_pretty(&record)
            .map_err(|error| StorageError::Io(format!("cannot write down a backup: {error}")))?;
        let sum = crc32c::crc32c(document.as_bytes());
        write_durably(&self.dir, &record_name(backup.id), format!("{document}{SUM}{sum:08x}\n").as_bytes())
    }

    /// Table files that some backup has.
    fn shared_files(&self) -> Result<HashSet<String>, StorageError> {
        let dir = self.files().join("shared_checksum");
        match fs::read_dir(&dir) {
            Ok(entries) => Ok(entries
                .filter_map(|entry| Some(format!("shared_checksum/{}", entry.ok()?.file_name().to_str()?)))
                .collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(HashSet::new()),
            Err(error) => Err(io(&dir, &error)),
        }
    }

    /// Reads the files of a new backup, and holds them against what RocksDB read when it copied them.
    fn read_back(&self, id: u32, progress: Steps<'_>) -> Result<Vec<FileEntry>, StorageError> {
        let files = self.files();
        let meta = format!("meta/{id}");
        let path = files.join(&meta);
        let text = fs::read_to_string(&path).map_err(|error| io(&path, &error))?;
        let mut bytes = 0;
        let mut entries = Vec::new();
        let listed = text.lines().filter_map(listed_file).map(|(name, sum)| (name, Some(sum)));
        for (name, sum) in listed.chain([(&*meta, None)]) {
            let path = files.join(name);
            let read = measure(&path, &mut |read| {
                bytes += read;
                progress(BackupStep::Verifying(bytes));
            });
            let (bytes, crc32c) = read.map_err(|error| io(&path, &error))?;
            if sum.is_some_and(|sum| sum != crc32c) {
                let detail = "is not what was copied".to_owned();
                return Err(StorageError::DamagedBackup { id, place: path.display().to_string(), detail });
            }
            entries.push(FileEntry { name: name.to_owned(), bytes, crc32c });
        }
        if !entries.iter().any(|file| file.name.ends_with("/CURRENT")) {
            let detail = "does not list the files of a database".to_owned();
            return Err(StorageError::DamagedBackup { id, place: path.display().to_string(), detail });
        }
        Ok(entries)
    }

    /// Removes all but the newest backups: their records first, so that what is listed is whole.
    fn keep_newest(&self, engine: &mut BackupEngine, keep: NonZero<usize>) -> Result<Vec<u32>, StorageError> {
        let mut ids = self.ids()?;
        let kept = ids.split_off(ids.len().saturating_sub(keep.get()));
        let (Some(&oldest), false) = (kept.first(), ids.is_empty()) else { return Ok(Vec::new()) };
        for &id in &ids {
            remove_durably(&self.dir, &record_name(id))?;
        }
        // Among those of RocksDB there may be some that were interrupted before they had a record.
        let kept = engine.get_backup_info().iter().filter(|info| info.backup_id >= oldest).count();
        engine.purge_old_backups(kept).map_err(open::from_rocks)?;
        Ok(ids)
    }
}

fn record_name(id: u32) -> String {
    format!("backup-{id}.json")
}

/// A line of RocksDB's list of a backup's files: `shared_checksum/NAME crc32 NUMBER`, or `private/…`.
fn listed_file(line: &str) -> Option<(&str, u32)> {
    let mut words = line.split(' ');
    let name = words.next().filter(|name| name.starts_with("shared") || name.starts_with("private/"))?;
    let sum = (words.next()? == "crc32").then(|| words.next())??;
    Some((name, sum.parse().ok()?))
}

/// Whose backups are at a place.
fn read_incarnation(place: &Path) -> Result<Incarnation, StorageError> {
    let path = place.join(PLACE_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Err(StorageError::NoBackups(place.to_owned()));
        }
        Err(error) => return Err(io(&path, &error)),
    };
    let damaged = || StorageError::damaged(path.display().to_string(), "is not what was written");
    let (format, incarnation) = text.trim_end().split_once(' ').ok_or_else(damaged)?;
    match format.parse() {
        Ok(FORMAT) => {}
        Ok(found @ 2..) => {
            return Err(StorageError::TooNew { path: place.to_owned(), found, supported: FORMAT });
        }
        _ => return Err(damaged()),
    }
    u64::from_str_radix(incarnation, 16).map(Incarnation).map_err(|_| damaged())
}

/// Whether a directory is not there, or empty but for what an interrupted first backup left.
fn is_free(dir: &Path) -> Result<bool, StorageError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.all(|entry| {
            let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
            name == directory::LOCK_FILE || name == format!("{PLACE_FILE}.new").as_str()
        })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(io(dir, &error)),
    }
}

fn lock(dir: &Path) -> Result<File, StorageError> {
    directory::lock(dir).map_err(|error| match error {
        StorageError::Locked(dir) => StorageError::BackupsLocked(dir),
        other => other,
    })
}

/// A path without links, as far as it is there.
fn resolved(path: &Path) -> Result<PathBuf, StorageError> {
    let whole = std::path::absolute(path).map_err(|error| io(path, &error))?;
    for there in whole.ancestors() {
        if let (Ok(found), Ok(rest)) = (there.canonicalize(), whole.strip_prefix(there)) {
            return Ok(found.join(rest));
        }
    }
    Ok(whole)
}

/// The size of a file and its checksum.
fn measure(path: &Path, progress: &mut dyn FnMut(u64)) -> std::io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let mut part = vec![0; READ_BYTES];
    let (mut bytes, mut sum) = (0, 0);
    loop {
        match file.read(&mut part)? {
            0 => return Ok((bytes, sum)),
            read => {
                sum = crc32c::crc32c_append(sum, &part[..read]);
                bytes += read as u64;
                progress(read as u64);
            }
        }
    }
}
