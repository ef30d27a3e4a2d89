//! The process that writes until it is killed: this test binary once more, told by its environment to be that.
//!
//! It says on standard output what it did, one line at a time, each after the fact; a line is one system call, so that
//! it arrives whole or not at all.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use stonetown::storage::{Database, DatabaseOptions, StorageError, StoreRecord, WriteError, Writer};
use stonetown::tuple::StoreId;

use super::ledger;
use super::workload::{STORES, THREADS, Write, last_number};

const DIR: &str = "STONETOWN_DURABILITY_DIR";
const UPKEEP: &str = "STONETOWN_DURABILITY_UPKEEP";
const BUFFER: &str = "STONETOWN_DURABILITY_BUFFER";
/// Opening a file of this name beside the data directory turns the simulated power off.
pub(super) const SWITCH: &str = "switch-off";

/// What goes on beside the writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upkeep {
    /// Only what RocksDB does by itself.
    None,
    /// Memory is written out, again and again.
    Flush,
    /// And table files are merged.
    Compact,
}

/// What a process said of its deeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It is about to open the directory.
    Opening,
    /// It has, and this is a store that it found or made.
    Store(String, StoreId),
    /// A write was acknowledged, with its revision.
    Acknowledged(StoreId, Write, u64),
    /// A store that lives for a moment is made,
    Made(StoreId),
    /// is about to be removed,
    Leaving(StoreId),
    /// is removed.
    Gone(StoreId),
    /// Storage refused something: only right when it was made to.
    Refused(String),
    /// After a refusal, this many more writes were refused, and everything could still be read.
    ReadsGoOn(usize),
    /// Something that must never happen.
    Wrong(String),
}

/// A process that writes.
pub(super) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts one, with more in its environment than it needs to write.
    pub(super) fn start<'e>(
        dir: &Path,
        upkeep: Upkeep,
        buffer_bytes: usize,
        environment: impl IntoIterator<Item = (&'e str, &'e OsStr)>,
    ) -> Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "durability::process::writes_until_killed", "--nocapture", "--test-threads=1"])
            .env(DIR, dir)
            .env(UPKEEP, format!("{upkeep:?}"))
            .env(BUFFER, buffer_bytes.to_string())
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        Ok(Process { child, lines })
    }

    /// Waits for the next thing it says; none when it has ended.
    pub(super) fn hear(&mut self) -> Result<Option<Said>> {
        for line in self.lines.by_ref() {
            // The rest is what the test harness says.
            if let Some(line) = line?.strip_prefix('@') {
                return line.parse().map(Some).with_context(|| format!("the process said `{line}`"));
            }
        }
        Ok(None)
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    /// Waits for its end: its exit code, none when it was killed.
    pub(super) fn end(mut self) -> Result<Option<i32>> {
        Ok(self.child.wait()?.code())
    }
}

impl FromStr for Said {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Said> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split(' ').collect();
        Ok(match (word, words.as_slice()) {
            ("opening", _) => Said::Opening,
            ("store", [name, id]) => Said::Store((*name).to_owned(), id.parse()?),
            ("ack", [store, thread, number, revision]) => {
                let write = Write { thread: thread.parse()?, number: number.parse()? };
                Said::Acknowledged(store.parse()?, write, revision.parse()?)
            }
            ("made", [id]) => Said::Made(id.parse()?),
            ("leaving", [id]) => Said::Leaving(id.parse()?),
            ("gone", [id]) => Said::Gone(id.parse()?),
            ("refused", _) => Said::Refused(rest.to_owned()),
            ("reads-go-on", [writes]) => Said::ReadsGoOn(writes.parse()?),
            ("wrong", _) => Said::Wrong(rest.to_owned()),
            _ => bail!("no such line"),
        })
    }
}

fn say(line: impl Display) {
    let line = format!("@{line}\n");
    // Whoever does not listen any longer has killed us, or is about to.
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}

/// Not a test of its own: what a test of another module starts as a process.
#[test]
fn writes_until_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    // The harness has begun a line.
    println!();
    if let Err(error) = write_until_refused(&dir) {
        say(format_args!("wrong {error:#}"));
    }
    drop(std::fs::File::create(dir.with_file_name(SWITCH)));
}

fn write_until_refused(dir: &Path) -> Result<()> {
    let write_buffer_bytes = std::env::var(BUFFER)?.parse()?;
    let upkeep = std::env::var(UPKEEP)?;
    say("opening");
    let options = DatabaseOptions {
        create: true,
        write_buffer_bytes,
        block_cache_bytes: 8 << 20,
        ..DatabaseOptions::default()
    };
    let database = match Database::open(dir, &options) {
        Ok(database) => Arc::new(database),
        Err(error @ StorageError::Io(_)) => {
            say(format_args!("refused {error}"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let writer = Writer::start(Arc::clone(&database))?;
    let mut stores = Vec::new();
    for name in STORES {
        match find_or_make(&writer, name) {
            Ok(store) => stores.push(store),
            Err(refusal) => return after(&writer, refusal),
        }
    }
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| keep_up(&database, &upkeep, &has_ended));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let (writer, stores) = (&writer, &stores);
                    move || write_on(writer, thread, stores).and_then(|refusal| after(writer, refusal))
                })
            })
            .collect();
        let results: Vec<Result<()>> =
            threads.into_iter().map(|thread| thread.join().expect("a thread that does not panic")).collect();
        has_ended.store(true, Ordering::Release);
        results.into_iter().collect()
    })
}

fn keep_up(database: &Database, upkeep: &str, has_ended: &AtomicBool) {
    while !has_ended.load(Ordering::Acquire) {
        let result = match upkeep {
            "Flush" => database.flush(),
            "Compact" => database.compact(),
            _ => return,
        };
        if result.is_err() {
            // Only where syncs are made to fail; writes will be refused as well then.
            return;
        }
    }
}

fn find_or_make(writer: &Writer, name: &str) -> Result<StoreRecord, StorageError> {
    let found = writer.database().stores().into_iter().find(|store| store.name.as_deref() == Some(name));
    let store = match found {
        Some(store) => store,
        None => writer.create_store(StoreId::generate(), Some(name.to_owned()))?,
    };
    say(format_args!("store {name} {}", store.id));
    Ok(store)
}

/// Writes to the stores in turn until storage refuses, which it answers with.
fn write_on(writer: &Writer, thread: u8, stores: &[StoreRecord]) -> Result<StorageError> {
    let mut numbers = Vec::new();
    for store in stores {
        numbers.push(last_number(&writer.database().head(store.number)?, thread)?);
    }
    for turn in usize::from(thread).. {
        let side = turn % stores.len();
        let write = Write { thread, number: numbers[side] + 1 };
        if let Some(refusal) = write_one(writer, stores[side].id, write)? {
            return Ok(refusal);
        }
        numbers[side] += 1;
        if thread == 0
            && turn % 40 == 39
            && let Some(refusal) = come_and_go(writer)?
        {
            return Ok(refusal);
        }
    }
    bail!("more turns than a number can count")
}

/// One write. Storage's refusal is an answer, the plan's is an error.
fn write_one(writer: &Writer, store: StoreId, write: Write) -> Result<Option<StorageError>> {
    match writer.write(store, write.plan()) {
        Ok(commit) => {
            say(format_args!("ack {store} {} {} {}", write.thread, write.number, commit.revision));
            Ok(None)
        }
        Err(WriteError::Storage(refusal)) => Ok(Some(refusal)),
        Err(WriteError::Refused(problem)) => bail!(problem),
    }
}

/// A store is made, written to, and removed.
fn come_and_go(writer: &Writer) -> Result<Option<StorageError>> {
    let id = StoreId::generate();
    if let Err(refusal) = writer.create_store(id, None) {
        return Ok(Some(refusal));
    }
    say(format_args!("made {id}"));
    for number in 1..=3 {
        if let Some(refusal) = write_one(writer, id, Write { thread: 0, number })? {
            return Ok(Some(refusal));
        }
    }
    say(format_args!("leaving {id}"));
    match writer.delete_store(id) {
        Ok(was_there) => ensure!(was_there, "store {id} was not there to be removed"),
        Err(refusal) => return Ok(Some(refusal)),
    }
    say(format_args!("gone {id}"));
    Ok(None)
}

/// After a failed sync: every later write is refused, and reads go on.
fn after(writer: &Writer, refusal: StorageError) -> Result<()> {
    say(format_args!("refused {refusal}"));
    let mut refusals = vec![refusal];
    for store in writer.database().stores() {
        let number = last_number(&writer.database().head(store.number)?, 0)? + 1;
        match write_one(writer, store.id, Write { thread: 0, number })? {
            Some(refusal) => refusals.push(refusal),
            None => bail!("a write was accepted after one had been refused"),
        }
        refusals.extend(writer.delete_store(store.id).err());
    }
    match writer.create_store(StoreId::generate(), None) {
        Err(refusal) => refusals.push(refusal),
        Ok(_) => bail!("a store was made after a write had been refused"),
    }
    for refusal in &refusals {
        ensure!(matches!(refusal, StorageError::WritesRefused(_)), "refused by `{refusal}`");
    }
    ledger::look(writer.database()).context("reading after a refusal")?;
    say(format_args!("reads-go-on {}", refusals.len()));
    Ok(())
}
