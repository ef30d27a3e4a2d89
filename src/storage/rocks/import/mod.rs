//! Import by files (DESIGN.md §5): tuples are sorted outside of the database, written as table files of every family, and taken in
//! as one revision.
//!
//! ```text
//! DIR/import/STORE-ID/state.json       what is done so far: replaced as a whole, durable
//! DIR/import/STORE-ID/tuples-N.run     sorted runs, one pair a checkpoint
//! DIR/import/STORE-ID/by_subject-N.run
//! DIR/import/STORE-ID/FAMILY-N.sst     table files
//! ```
//!
//! Until the table files are journalled in `meta`, the database knows nothing of all this, and what is there is either gone on
//! with or thrown away. From then on the import is finished, now or on the next opening: see `ingest`.

mod ingest;
mod merge;
mod resolve;
mod sort;
mod sorters;
mod tables;

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};

use super::Database;
use super::directory::{io, sync_directory, write_durably};
use super::families::Family;
use super::key::{self, Direction};
use crate::storage::codec::{self, ImportValue};
use crate::storage::error::StorageError;
use crate::tuple::{Timestamp, TupleCondition, TupleKey, TupleRef};
use merge::{Forward, LOG_PARTS_WAITING, Merging, STOPPED};
use resolve::{Rules, put_place};
use sort::{Chunk, Merge, RunWriter};
use sorters::{Job, Sorters, UnderWay};
use tables::Table;

pub(in crate::storage) use ingest::Lock;

/// Where imports are prepared, in the data directory.
pub(super) const IMPORT_DIR: &str = "import";
const STATE_FILE: &str = "state.json";
/// Runs that are merged at once.
const RUNS_MAX: usize = 256;

/// Where a tuple stands in what is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Which of the inputs, from 0.
    pub input: u32,
    /// Which line of it, from 1.
    pub line: u64,
}

/// What to do with a tuple that is stored, or in the input, already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnStored {
    /// It clashes.
    #[default]
    Error,
    /// It is passed over when it is the same; it clashes otherwise.
    Ignore,
    /// The last one counts.
    Replace,
}

/// A tuple that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clash<'a> {
    place: Place,
    kind: ClashKind,
    key: &'a [u8],
}

/// Why a tuple cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClashKind {
    /// It is in the input twice.
    Repeated {
        /// Where it stands for the first time.
        first: Place,
        /// Whether condition and expiry are the same.
        is_same: bool,
    },
    /// It is stored already.
    Stored {
        /// Whether condition and expiry are the same.
        is_same: bool,
    },
}

/// How far an import by files has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Merging sorted tuples into table files.
    Merged {
        /// Tuples so far, counted once in each of the two directions.
        done: u64,
        /// Of so many.
        all: u64,
    },
    /// Taking the table files in.
    Ingesting,
}

/// What an import by files will change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prepared {
    /// Tuples that become new rows.
    pub written: u64,
    /// Tuples that get another condition or expiry.
    pub replaced: u64,
    /// Tuples that are there, or in the input, already.
    pub unchanged: u64,
}

/// What is known of an import beside its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// What it is an import of: another one does not go on with it.
    identity: String,
    /// The same, for people.
    about: String,
    /// Tuples in the runs.
    tuples: u64,
    /// Where the input goes on behind the runs, as the caller said.
    position: Option<String>,
    /// Sorted runs, oldest first.
    forward: Vec<String>,
    backward: Vec<String>,
    /// Names are not used twice.
    next_run: usize,
    merge: Option<MergeState>,
}

/// Table files made of the runs so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct MergeState {
    /// The revision that the store was at; files made for another are of no use.
    base: u64,
    now: i64,
    tuples: Vec<Table>,
    by_subject: Vec<Table>,
    changes: Vec<Table>,
}

impl MergeState {
    fn of(&mut self, family: Family) -> &mut Vec<Table> {
        match family {
            Family::Tuples => &mut self.tuples,
            Family::BySubject => &mut self.by_subject,
            _ => &mut self.changes,
        }
    }
}

/// An import by files in the making.
pub struct FileImport {
    dir: PathBuf,
    state: State,
    /// Forward and backward.
    chunks: [Chunk; 2],
    chunk_bytes: usize,
    sorters: Option<Sorters>,
    limits: Vec<u8>,
    _turn: Turn,
}

/// One import by files into a store is prepared at a time: two would write each other's files.
struct Turn {
    preparing: Arc<DashMap<u32, ()>>,
    store: u32,
}

impl Turn {
    /// None: another one is being prepared.
    fn take(preparing: &Arc<DashMap<u32, ()>>, store: u32) -> Option<Turn> {
        let is_first = preparing.insert(store, ()).is_none();
        is_first.then(|| Turn { preparing: Arc::clone(preparing), store })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.preparing.remove(&self.store);
    }
}

impl FileImport {
    /// The name of its directory.
    pub(in crate::storage) fn directory(store: u32, identity: &str) -> String {
        format!("{store}-{identity}")
    }

    /// Begins an import into a store, or goes on with one of the same identity.
    ///
    /// # Errors
    /// [`StorageError::UnfinishedImport`] when there is another one for this store; `restart` throws it away.
    pub(in crate::storage) fn open(
        database: &Database,
        store: u32,
        identity: &str,
        about: &str,
        restart: bool,
        chunk_bytes: usize,
    ) -> Result<FileImport, StorageError> {
        let turn = Turn::take(&database.preparing, store).ok_or(StorageError::ImportPrepared)?;
        let data = database.dir();
        let all = data.join(IMPORT_DIR);
        let dir = all.join(FileImport::directory(store, identity));
        for other in of_store(data, store)? {
            let name = other.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if restart || database.is_ingested(&name)? {
                remove(&other)?;
            } else if other != dir {
                // Without a state nothing of it was kept.
                match read_state(&other)? {
                    Some(state) => return Err(StorageError::UnfinishedImport(state.about)),
                    None => remove(&other)?,
                }
            }
        }
        fs::create_dir_all(&dir).map_err(|error| io(&dir, &error))?;
        for dir in [data, &all] {
            sync_directory(dir)?;
        }
        let state = read_state(&dir)?.unwrap_or_else(|| State {
            identity: identity.to_owned(),
            about: about.to_owned(),
            tuples: 0,
            position: None,
            forward: Vec::new(),
            backward: Vec::new(),
            next_run: 0,
            merge: None,
        });
        let import = FileImport {
            dir,
            state,
            chunks: Default::default(),
            chunk_bytes,
            sorters: None,
            limits: Vec::new(),
            _turn: turn,
        };
        import.remove_strays()?;
        Ok(import)
    }

    /// Where the input goes on, if some of it was sorted before, and how many tuples that were.
    pub fn resumed(&self) -> Option<(&str, u64)> {
        Some((self.state.position.as_deref()?, self.state.tuples))
    }

    /// Takes a tuple. True: enough for a checkpoint have come together.
    pub fn add(
        &mut self,
        place: Place,
        tuple: TupleRef<'_>,
        condition: Option<&TupleCondition>,
        expires_at: Option<Timestamp>,
    ) -> Result<bool, StorageError> {
        self.limits.clear();
        codec::encode_limits(condition, expires_at, &mut self.limits)?;
        for (chunk, direction) in self.chunks.iter_mut().zip([Direction::Forward, Direction::Backward]) {
            let key = |bytes| key::append(bytes, direction, tuple);
            chunk.push(key, |bytes| {
                put_place(bytes, place);
                bytes.extend_from_slice(&self.limits);
            });
        }
        Ok(self.chunks.iter().any(|chunk| chunk.bytes() >= self.chunk_bytes))
    }

    /// Has the tuples taken so far sorted and written to disk, in the background. `position` is where the input goes on: an
    /// import that is begun again is told it.
    pub fn checkpoint(&mut self, position: &str) -> Result<(), StorageError> {
        let sorters = match &mut self.sorters {
            Some(sorters) => sorters,
            none => none.insert(Sorters::start()?),
        };
        let number = self.state.next_run;
        self.state.next_run += 1;
        let tuples = self.chunks[0].records() as u64;
        let files = DIRECTIONS.map(|direction| run_name(direction, number));
        let chunks = std::mem::take(&mut self.chunks);
        for ((sorter, chunk), file) in sorters.jobs.iter().zip(chunks).zip(&files) {
            let job = Job { number, path: self.dir.join(file), chunk };
            sorter.send(job).map_err(|_| StorageError::Io("a sorting thread has stopped".to_owned()))?;
        }
        sorters.under_way.push_back(UnderWay {
            number,
            done: 0,
            tuples,
            position: position.to_owned(),
            files,
        });
        self.collect(1)?;
        let sorters = self.sorters.as_mut();
        if let Some([forward, backward]) = sorters.and_then(|sorters| sorters.spare.pop()) {
            self.chunks = [forward, backward];
        }
        Ok(())
    }

    /// The same, and waits until it is done.
    pub fn keep(&mut self, position: &str) -> Result<(), StorageError> {
        self.checkpoint(position)?;
        self.collect(0)
    }

    /// Waits until at most so many checkpoints are under way, and writes down those that are done.
    fn collect(&mut self, at_most: usize) -> Result<(), StorageError> {
        let Some(sorters) = &mut self.sorters else { return Ok(()) };
        while sorters.under_way.len() > at_most {
            let (number, chunk) = sorters
                .done
                .recv()
                .map_err(|_| StorageError::Io("a sorting thread has stopped".to_owned()))
                .and_then(|sorted| sorted)?;
            sorters.chunks.push(chunk);
            if sorters.chunks.len() == 2
                && let (Some(one), Some(two)) = (sorters.chunks.pop(), sorters.chunks.pop())
            {
                sorters.spare.push([one, two]);
            }
            if let Some(run) = sorters.under_way.iter_mut().find(|run| run.number == number) {
                run.done += 1;
            }
            while sorters.under_way.front().is_some_and(|run| run.done == 2)
                && let Some(run) = sorters.under_way.pop_front()
            {
                let [forward, backward] = run.files;
                self.state.forward.push(forward);
                self.state.backward.push(backward);
                self.state.tuples += run.tuples;
                self.state.position = Some(run.position);
                save(&self.dir, &self.state)?;
            }
        }
        Ok(())
    }

    /// Tuples taken so far.
    pub fn tuples(&self) -> u64 {
        let under_way = self.sorters.iter().flat_map(|sorters| &sorters.under_way).map(|run| run.tuples);
        self.state.tuples + under_way.sum::<u64>() + self.chunks[0].records() as u64
    }

    /// Throws away what was prepared.
    pub fn discard(mut self) -> Result<(), StorageError> {
        self.sorters = None;
        remove(&self.dir)
    }

    /// Makes table files of what was sorted, on the state that the lock holds. Tuples that cannot be taken are told to
    /// `clash`, which may end the import: then the answer is none, and nothing is changed.
    pub(in crate::storage) fn prepare(
        &mut self,
        database: &Database,
        lock: &Lock,
        (on_stored, position): (OnStored, &str),
        clash: &mut dyn FnMut(Place, ClashKind, TupleKey) -> ControlFlow<()>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Option<(Prepared, ImportValue)>, StorageError> {
        if self.chunks[0].records() > 0 {
            self.checkpoint(position)?;
        }
        self.collect(0)?;
        self.sorters = None;
        self.narrow()?;
        let base = lock.head.revision;
        let merge = match self.state.merge.take() {
            Some(merge) if merge.base == base.0 => merge,
            _ => MergeState {
                base: base.0,
                now: database.now(lock.head.time).as_micros(),
                ..MergeState::default()
            },
        };
        let rules = Rules { on_stored, now: Timestamp::from_micros(merge.now) };
        let paths = |names: &[String]| names.iter().map(|name| self.dir.join(name)).collect::<Vec<PathBuf>>();
        let merging = Merging {
            database,
            store: lock.number,
            revision: base.next(),
            rules,
            dir: &self.dir,
            all: self.state.tuples * 2,
            done: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            state: Mutex::new(State { merge: Some(merge), ..self.state.clone() }),
            progress,
        };
        let forward = Merge::open(&paths(&self.state.forward))?;
        let backward = Merge::open(&paths(&self.state.backward))?;
        let (forward, backward) = std::thread::scope(|scope| {
            let other = scope.spawn(|| merging.backward(backward).inspect_err(|_| merging.stop()));
            let (parts, waiting) = sync_channel(LOG_PARTS_WAITING);
            let log = scope.spawn(|| {
                // Closed when it fails, so that nobody waits to hand anything on.
                let waiting = waiting;
                merging.log(&waiting).inspect_err(|_| merging.stop())
            });
            let forward = merging.forward(forward, parts, clash);
            if !matches!(forward, Ok(Some(_))) {
                merging.stop();
            }
            let backward = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let log = log.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (forward, backward.and_then(|by_subject| Ok((by_subject, log?))))
        });
        // Whichever ended first has stopped the others, and says more than they do.
        let (forward, by_subject, changes) = match (forward, backward) {
            (Ok(None), _) | (Ok(Some(_)), Ok((None, _))) => return Ok(None),
            (Ok(Some(forward)), Ok((Some(by_subject), changes))) => (forward, by_subject, changes),
            (Err(StorageError::Io(text)), Err(other)) if text == STOPPED => return Err(other),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let Forward { tally, tables: tuples, replaced, first_end, written } = forward;
        let files = [(Family::Tuples, tuples), (Family::BySubject, by_subject), (Family::Changes, changes)];
        sync_directory(&self.dir)?;
        let value = ImportValue {
            revision: base.next().0,
            changes: written,
            first_end: first_end.map(Timestamp::as_micros),
            directory: self.dir.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default(),
            files: files
                .into_iter()
                .flat_map(|(family, tables)| {
                    tables.into_iter().map(move |table| (family.name().to_owned(), table.name))
                })
                .collect(),
            replaced,
        };
        let prepared = Prepared {
            written: u64::from(written),
            replaced: value.replaced.len() as u64,
            unchanged: tally.unchanged,
        };
        Ok(Some((prepared, value)))
    }

    /// Merges runs until few enough are left to be merged at once.
    fn narrow(&mut self) -> Result<(), StorageError> {
        for direction in DIRECTIONS {
            loop {
                let number = self.state.next_run;
                let names = match direction {
                    Direction::Forward => &mut self.state.forward,
                    Direction::Backward => &mut self.state.backward,
                };
                if names.len() <= RUNS_MAX {
                    break;
                }
                let old: Vec<PathBuf> = names.iter().take(RUNS_MAX).map(|name| self.dir.join(name)).collect();
                let name = run_name(direction, number);
                let mut merge = Merge::open(&old)?;
                let mut run = RunWriter::create(&self.dir.join(&name))?;
                while let Some((key, value)) = merge.next()? {
                    run.put(key, value)?;
                }
                run.finish()?;
                names.splice(..RUNS_MAX, [name]);
                self.state.next_run += 1;
                save(&self.dir, &self.state)?;
                old.iter().try_for_each(|path| fs::remove_file(path).map_err(|error| io(path, &error)))?;
            }
        }
        Ok(())
    }

    /// Removes what a stop left half-written.
    fn remove_strays(&self) -> Result<(), StorageError> {
        let merge = self.state.merge.iter().flat_map(|it| [&it.tuples, &it.by_subject, &it.changes]);
        let known: std::collections::HashSet<&str> = merge
            .flatten()
            .map(|table| &table.name)
            .chain(&self.state.forward)
            .chain(&self.state.backward)
            .map(String::as_str)
            .chain([STATE_FILE])
            .collect();
        for entry in fs::read_dir(&self.dir).map_err(|error| io(&self.dir, &error))? {
            let entry = entry.map_err(|error| io(&self.dir, &error))?;
            if entry.file_name().to_str().is_none_or(|name| !known.contains(name)) {
                fs::remove_file(entry.path()).map_err(|error| io(&entry.path(), &error))?;
            }
        }
        Ok(())
    }
}

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

fn run_name(direction: Direction, number: usize) -> String {
    let family = match direction {
        Direction::Forward => Family::Tuples,
        Direction::Backward => Family::BySubject,
    };
    format!("{}-{number:05}.run", family.name())
}

fn save(dir: &Path, state: &State) -> Result<(), StorageError> {
    let text = serde_json::to_vec_pretty(state)
        .map_err(|error| StorageError::Io(format!("cannot write the state of an import: {error}")))?;
    write_durably(dir, STATE_FILE, &text)
}

fn read_state(dir: &Path) -> Result<Option<State>, StorageError> {
    let path = dir.join(STATE_FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| StorageError::damaged(path.display().to_string(), error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(&path, &error)),
    }
}

/// The directories of imports into a store.
fn of_store(data: &Path, store: u32) -> Result<Vec<PathBuf>, StorageError> {
    let dir = data.join(IMPORT_DIR);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(&dir, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| io(&dir, &error))?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&format!("{store}-"))) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes what was prepared for a store.
pub(super) fn remove_all(data: &Path, store: u32) -> Result<(), StorageError> {
    of_store(data, store)?.iter().try_for_each(|dir| remove(dir))
}

fn remove(dir: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(dir, &error)),
        _ => Ok(()),
    }
}
