//! The one writer: groups concurrent writes into one synced batch over all families.
//!
//! A write is a [`Plan`]: from the state left by the writes before it in the batch, to changes or a refusal. Plans run
//! one after the other on the writer's thread; each accepted one takes a revision; the batch is synced once; then
//! all of them are answered. Nothing is acknowledged before its bytes are synced. After a failed sync no more
//! writes are taken: what reached the disk is known only by opening the directory again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use super::change::Change;
use super::codec::{AnsweredValue, Head, Retention, StoreRecord};
use super::error::StorageError;
use super::overlay::{Dated, Overlay};
use super::reader::TupleReader;
use super::rocks::{Batch, Database, StateReader, UnderWay};
use crate::tuple::{Revision, SchemaId, StoreId, Timestamp};

/// Writes waiting for the writer; more wait to be let in.
const QUEUE_MAX: usize = 1024;
/// Writes in one batch.
const GROUP_MAX: usize = 512;
/// Bytes after which a batch takes no further write.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// The way to change anything in a data directory. Dropping it waits for the writes it has taken.
pub struct Writer {
    database: Arc<Database>,
    listeners: Listeners,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// An accepted write, durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The revision it took; the store's revision before it when it changed nothing.
    pub revision: Revision,
    /// When it was committed.
    pub time: Timestamp,
    /// How many changes it made.
    pub changes: usize,
}

/// What a write wants to change, decided on the state it finds: the tuples as of the write's own time, and the
/// schema in force.
pub type Plan<E> = Box<dyn FnOnce(&dyn TupleReader, Option<SchemaId>) -> Result<Vec<Change>, E> + Send>;

/// Why a write was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError<E> {
    /// By storage.
    Storage(StorageError),
    /// By its plan.
    Refused(E),
}

/// What tells a write that is sent again from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// Digest of the idempotency key.
    pub key: [u8; 16],
    /// Digest of everything that is asked for.
    pub request: [u8; 16],
}

/// How long the answer to a write is kept under its idempotency key, in microseconds: an hour.
const ANSWERS_KEPT: i64 = 3_600_000_000;

/// Told of a store's new revision when it is durable and visible. It must be quick: writes wait for it.
pub type Listener = Box<dyn Fn(StoreId, Revision) + Send + Sync>;
type Listeners = Arc<RwLock<Vec<Listener>>>;

type Reply<T> = SyncSender<Result<T, StorageError>>;
/// A plan that keeps its refusal to itself: none when it refused.
type RunPlan = Box<dyn FnOnce(&dyn TupleReader, Option<SchemaId>) -> Option<Vec<Change>> + Send>;

enum Job {
    Write(WriteJob),
    CreateStore { id: StoreId, name: Option<String>, reply: Reply<StoreRecord> },
    DeleteStore { id: StoreId, reply: Reply<bool> },
    WriteAssertions { store: StoreId, schema: SchemaId, text: String, reply: Reply<()> },
}

struct WriteJob {
    store: StoreId,
    once: Option<Once>,
    plan: RunPlan,
    /// None: the plan refused.
    reply: Reply<Option<Commit>>,
}

impl Writer {
    /// Starts the writer of a data directory. There must be only one.
    pub fn start(database: Arc<Database>) -> Result<Writer, StorageError> {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let of_thread = Arc::clone(&database);
        let listeners = Listeners::default();
        let told = Arc::clone(&listeners);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || run(&of_thread, &queue, &told))
            .map_err(|error| StorageError::Io(format!("cannot start the writer: {error}")))?;
        Ok(Writer { database, listeners, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Makes one write and waits until it is durable. A plan without changes takes no revision.
    pub fn write<E: Send + 'static>(&self, store: StoreId, plan: Plan<E>) -> Result<Commit, WriteError<E>> {
        self.write_once(store, None, plan)
    }

    /// The same; a write that was made within the last hour is not made again, but answered again.
    ///
    /// # Errors
    /// [`StorageError::KeyReused`] where the key was used for another write.
    pub fn write_once<E: Send + 'static>(
        &self,
        store: StoreId,
        once: Option<Once>,
        plan: Plan<E>,
    ) -> Result<Commit, WriteError<E>> {
        let (refusal, refused) = sync_channel(1);
        let run: RunPlan = Box::new(move |reader, schema| match plan(reader, schema) {
            Ok(changes) => Some(changes),
            Err(error) => {
                drop(refusal.send(error));
                None
            }
        });
        let answer = self.ask(|reply| Job::Write(WriteJob { store, once, plan: run, reply }));
        match answer.map_err(WriteError::Storage)? {
            Some(commit) => Ok(commit),
            None => match refused.recv() {
                Ok(error) => Err(WriteError::Refused(error)),
                Err(_) => Err(WriteError::Storage(stopped())),
            },
        }
    }

    /// Makes a store, and waits until it is durable.
    pub fn create_store(&self, id: StoreId, name: Option<String>) -> Result<StoreRecord, StorageError> {
        self.ask(|reply| Job::CreateStore { id, name, reply })
    }

    /// Removes a store; false when there was none. Its rows are dropped after the answer.
    pub fn delete_store(&self, id: StoreId) -> Result<bool, StorageError> {
        self.ask(|reply| Job::DeleteStore { id, reply })
    }

    /// Replaces the assertions of a schema, and waits until they are durable.
    pub fn write_assertions(
        &self,
        store: StoreId,
        schema: SchemaId,
        text: String,
    ) -> Result<(), StorageError> {
        self.ask(|reply| Job::WriteAssertions { store, schema, text, reply })
    }

    /// Has somebody told of every new revision from now on.
    pub fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// The data directory that it writes to.
    pub fn database(&self) -> &Database {
        &self.database
    }

    fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StorageError> {
        let (reply, answer) = sync_channel(1);
        self.jobs.as_ref().ok_or_else(stopped)?.send(job(reply)).map_err(|_| stopped())?;
        answer.recv().map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has been printed; there is nobody left to tell.
            drop(thread.join());
        }
    }
}

fn stopped() -> StorageError {
    StorageError::WritesRefused("the writer has stopped".to_owned())
}

/// The writer's life: takes what waits, commits it, answers it. After a failed commit it only refuses.
fn run(database: &Database, queue: &Receiver<Job>, listeners: &Listeners) {
    let mut failed: Option<StorageError> = None;
    let mut waiting: Option<Job> = None;
    while let Some(job) = waiting.take().or_else(|| queue.recv().ok()) {
        if let Some(error) = &failed {
            job.refuse(error.clone());
            continue;
        }
        let result = match job {
            Job::Write(first) => {
                let mut group = Group::new(database);
                waiting = group.collect(first, queue);
                group.commit(listeners)
            }
            Job::CreateStore { id, name, reply } => create_store(database, id, name, &reply),
            Job::DeleteStore { id, reply } => delete_store(database, id, &reply),
            Job::WriteAssertions { store, schema, text, reply } => {
                write_assertions(database, store, schema, &text, &reply)
            }
        };
        failed = result.err();
    }
}

impl Job {
    fn refuse(self, error: StorageError) {
        // A client that went away need not be told.
        match self {
            Job::Write(job) => drop(job.reply.send(Err(error))),
            Job::CreateStore { reply, .. } => drop(reply.send(Err(error))),
            Job::DeleteStore { reply, .. } => drop(reply.send(Err(error))),
            Job::WriteAssertions { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// What is refused from now on, after a commit that failed.
fn refusal(error: StorageError) -> StorageError {
    StorageError::WritesRefused(error.to_string())
}

fn create_store(
    database: &Database,
    id: StoreId,
    name: Option<String>,
    reply: &Reply<StoreRecord>,
) -> Result<(), StorageError> {
    let _under_way = database.begin();
    let prepared = || -> Result<(StoreRecord, Batch<'_>), StorageError> {
        if database.store(id).is_some() {
            return Err(StorageError::StoreExists(id));
        }
        // Later than every token of a store that had the same id before.
        let now = database.commit_time(Timestamp::default());
        let number = database.next_store_number()?;
        let name = name.map(Arc::from);
        let record =
            StoreRecord { id, number, name, created_at: now, updated_at: now, retention: Retention::DEFAULT };
        let mut batch = Batch::new(database);
        batch.create_store(&record)?;
        Ok((record, batch))
    };
    let (record, batch) = match prepared() {
        Ok(prepared) => prepared,
        Err(error) => {
            drop(reply.send(Err(error)));
            return Ok(());
        }
    };
    let result = batch.commit().map_err(refusal);
    if result.is_ok() {
        database.register(record.clone());
    }
    drop(reply.send(result.clone().map(|()| record)));
    result
}

fn delete_store(database: &Database, id: StoreId, reply: &Reply<bool>) -> Result<(), StorageError> {
    let Some(record) = database.store(id) else {
        drop(reply.send(Ok(false)));
        return Ok(());
    };
    let mut batch = Batch::new(database);
    let result = batch.delete_store(id, record.number).and_then(|()| batch.commit()).map_err(refusal);
    if result.is_ok() {
        database.unregister(id);
    }
    drop(reply.send(result.clone().map(|()| true)));
    // The store is gone; what is left of it is dropped now, or on the next opening.
    result.and_then(|()| database.drop_rows(record.number).map_err(refusal))
}

fn write_assertions(
    database: &Database,
    store: StoreId,
    schema: SchemaId,
    text: &str,
    reply: &Reply<()>,
) -> Result<(), StorageError> {
    let Some(number) = database.store_number(store) else {
        drop(reply.send(Err(StorageError::NoStore(store))));
        return Ok(());
    };
    let mut batch = Batch::new(database);
    let result = batch.write_assertions(number, schema, text).and_then(|()| batch.commit()).map_err(refusal);
    drop(reply.send(result.clone()));
    result
}

/// One batch in the making.
struct Group<'d> {
    database: &'d Database,
    batch: Batch<'d>,
    stores: HashMap<u32, StoreState<'d>>,
    accepted: Vec<(Reply<Option<Commit>>, Commit)>,
    /// What writes of this batch with an idempotency key are about to be answered.
    answers: HashMap<(u32, [u8; 16]), AnsweredValue>,
    /// Readers of a time wait for the commits before it.
    under_way: UnderWay<'d>,
}

/// A store as the writes of the batch so far leave it.
struct StoreState<'d> {
    id: StoreId,
    head: Head,
    /// Shows ended rows too: they are there until they are replaced, deleted or collected.
    rows: Overlay<StateReader<'d>>,
}

impl<'d> Group<'d> {
    fn new(database: &'d Database) -> Group<'d> {
        Group {
            database,
            batch: Batch::new(database),
            stores: HashMap::new(),
            accepted: Vec::new(),
            answers: HashMap::new(),
            under_way: database.begin(),
        }
    }

    /// Takes the first write and those that wait behind it, up to the limits of a batch or to a job of another kind,
    /// which is handed back.
    fn collect(&mut self, first: WriteJob, queue: &Receiver<Job>) -> Option<Job> {
        self.add(first);
        for _ in 1..GROUP_MAX {
            if self.batch.bytes() >= GROUP_BYTES_MAX {
                break;
            }
            match queue.try_recv() {
                Ok(Job::Write(job)) => self.add(job),
                Ok(other) => return Some(other),
                Err(_) => break,
            }
        }
        None
    }

    /// Runs one plan on the state so far. Refusals and errors changed nothing and are answered at once.
    fn add(&mut self, job: WriteJob) {
        match self.plan_once(job.store, job.once, job.plan) {
            Ok(Some(commit)) => self.accepted.push((job.reply, commit)),
            other => drop(job.reply.send(other)),
        }
    }

    /// A write that was made before is answered as it was then.
    fn plan_once(
        &mut self,
        store: StoreId,
        once: Option<Once>,
        plan: RunPlan,
    ) -> Result<Option<Commit>, StorageError> {
        let Some(once) = once else { return self.plan(store, plan) };
        let number = self.database.store_number(store).ok_or(StorageError::NoStore(store))?;
        let oldest = self.database.now(Timestamp::default()).as_micros() - ANSWERS_KEPT;
        let before = match self.answers.get(&(number, once.key)) {
            Some(answer) => Some(*answer),
            None => self.database.answered(number, once.key)?.filter(|answer| answer.time > oldest),
        };
        if let Some(answer) = before {
            if answer.request != once.request {
                return Err(StorageError::KeyReused);
            }
            let time = Timestamp::from_micros(answer.time);
            let changes = answer.changes as usize;
            return Ok(Some(Commit { revision: Revision(answer.revision), time, changes }));
        }
        if self.answers.is_empty() {
            self.batch.forget_answers(Timestamp::from_micros(oldest))?;
        }
        let commit = self.plan(store, plan)?;
        if let Some(Commit { revision, time, changes }) = commit {
            let (time, changes) = (time.as_micros(), u32::try_from(changes).unwrap_or(u32::MAX));
            let answer = AnsweredValue { request: once.request, revision: revision.0, time, changes };
            self.batch.keep_answer(number, once.key, answer)?;
            self.answers.insert((number, once.key), answer);
        }
        Ok(commit)
    }

    fn plan(&mut self, store: StoreId, plan: RunPlan) -> Result<Option<Commit>, StorageError> {
        let number = self.database.store_number(store).ok_or(StorageError::NoStore(store))?;
        let state = match self.stores.entry(number) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let rows = self.database.head(number)?.at_time(Timestamp::from_micros(i64::MIN));
                let head =
                    Head { revision: rows.revision(), time: rows.committed_at()?, schema: rows.schema()? };
                entry.insert(StoreState { id: store, head, rows: Overlay::what_if(rows) })
            }
        };
        let time = self.database.commit_time(state.head.time);
        let Some(changes) = plan(&Dated::new(&state.rows, time), state.head.schema) else {
            return Ok(None);
        };
        if !changes.is_empty() {
            state.head = self.batch.apply(number, state.head, &state.rows, time, &changes)?;
            state.rows.apply(state.head.revision, &changes);
        }
        let Head { revision, time, .. } = state.head;
        Ok(Some(Commit { revision, time, changes: changes.len() }))
    }

    /// Syncs the batch, then answers, then tells those who listen.
    fn commit(self, listeners: &Listeners) -> Result<(), StorageError> {
        let Group { database: _, batch, stores, accepted, answers: _, under_way } = self;
        // The snapshots of the state before are not needed any longer.
        let heads: Vec<(StoreId, Revision)> =
            stores.into_values().map(|state| (state.id, state.head.revision)).collect();
        let result = if batch.is_empty() { Ok(()) } else { batch.commit().map_err(refusal) };
        drop(under_way);
        for (reply, commit) in accepted {
            drop(reply.send(result.clone().map(|()| Some(commit))));
        }
        if result.is_ok() {
            for listener in listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
                heads.iter().for_each(|&(store, revision)| listener(store, revision));
            }
        }
        result
    }
}
