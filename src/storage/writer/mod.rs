//! The one writer: groups concurrent writes into one synced batch over all families.
//!
//! A write is a [`Plan`]: from the state left by the writes before it in the batch, to changes or a refusal. Plans run
//! one after the other on the writer's thread; each accepted one takes a revision; the batch is synced once; then
//! all of them are answered. Nothing is acknowledged before its bytes are synced. After a failed sync no more
//! writes are taken: what reached the disk is known only by opening the directory again.

mod group;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use group::Group;

use crate::storage::change::Change;
use crate::storage::codec::{Retention, StoreRecord};
use crate::storage::error::StorageError;
use crate::storage::profile::step;
use crate::storage::reader::TupleReader;
use crate::storage::rocks::{
    Batch, ClashKind, Collected, Database, FileImport, Lock, OnStored, Place, Prepared, Progress, Purged,
};
use crate::tuple::{Object, Revision, SchemaId, StoreId, Timestamp, TupleKey};

/// Writes waiting for the writer; more wait to be let in.
const QUEUE_MAX: usize = 1024;

/// The way to change anything in a data directory. Dropping it waits for the writes it has taken.
pub struct Writer {
    database: Arc<Database>,
    listeners: Listeners,
    jobs: Option<SyncSender<Job>>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// Since the writer was started.
#[derive(Debug, Default)]
struct Counts {
    /// Writes made, and acknowledged.
    writes: AtomicU64,
    /// Batches that they were synced in.
    syncs: AtomicU64,
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

/// How far an import has come, written down together with what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which import.
    pub import: [u8; 16],
    /// Where its input goes on; none: it is done, and need not be remembered.
    pub position: Option<String>,
}

/// How an import by files is finished.
#[derive(Debug, Clone, Default)]
pub struct ImportPlan {
    /// What to do with tuples that are there already.
    pub on_stored: OnStored,
    /// Where the input ends, in the words of who imports: an import that is interrupted from here on goes on there.
    pub end: String,
    /// The schema that has to be in force still.
    pub schema: Option<SchemaId>,
    /// Find out what would be done, and do nothing.
    pub is_trial: bool,
}

/// Told of tuples that an import cannot take; it may end the import.
pub type Clashed<'c> = &'c mut dyn FnMut(Place, ClashKind, TupleKey) -> ControlFlow<()>;

/// Told of a store's new revision when it is durable and visible. It must be quick: writes wait for it.
pub type Listener = Box<dyn Fn(StoreId, Revision) + Send + Sync>;
type Listeners = Arc<RwLock<Vec<Listener>>>;

type Reply<T> = SyncSender<Result<T, StorageError>>;
/// A plan that keeps its refusal to itself: none when it refused.
type RunPlan = Box<dyn FnOnce(&dyn TupleReader, Option<SchemaId>) -> Option<Vec<Change>> + Send>;

/// Given why nothing may be written, where that is so.
type RunAlone = Box<dyn FnOnce(Result<&Database, StorageError>) -> Ran + Send>;

enum Job {
    /// Joins a batch with other writes.
    Write(WriteJob),
    /// Commits by itself, or not at all.
    Alone(RunAlone),
}

/// A job that ran alone.
#[derive(Default)]
struct Ran {
    /// The revision it made.
    made: Option<(StoreId, Revision)>,
    /// Why nothing more may be written.
    failed: Option<StorageError>,
}

struct WriteJob {
    store: StoreId,
    terms: Terms,
    work: Work,
    /// None: the plan refused.
    reply: Reply<Option<Commit>>,
}

/// What is asked of the batch that a write joins.
#[derive(Default)]
struct Terms {
    once: Option<Once>,
    mark: Option<Mark>,
    /// The writes before it are committed first, in a batch of their own.
    is_first: bool,
}

enum Work {
    Plan(RunPlan),
    /// Collects those of these tuples that have ended.
    Expire(Vec<TupleKey>),
}

impl Writer {
    /// Starts the writer of a data directory. There must be only one.
    pub fn start(database: Arc<Database>) -> Result<Writer, StorageError> {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let of_thread = Arc::clone(&database);
        let listeners = Listeners::default();
        let told = Arc::clone(&listeners);
        let counts = Arc::<Counts>::default();
        let counting = Arc::clone(&counts);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || run(&of_thread, &queue, &told, &counting))
            .map_err(|error| StorageError::Io(format!("cannot start the writer: {error}")))?;
        Ok(Writer { database, listeners, jobs: Some(jobs), counts, thread: Some(thread) })
    }

    /// Writes acknowledged since it was started, and the batches that they were synced in.
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.writes.load(Ordering::Relaxed), self.counts.syncs.load(Ordering::Relaxed))
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
        self.write_planned(store, Terms { once, ..Terms::default() }, plan)
    }

    /// The same, for a plan that reads the change log: whatever it finds has its entry there already, since the write is
    /// the first of its batch.
    pub fn write_first<E: Send + 'static>(
        &self,
        store: StoreId,
        once: Option<Once>,
        plan: Plan<E>,
    ) -> Result<Commit, WriteError<E>> {
        self.write_planned(store, Terms { once, is_first: true, ..Terms::default() }, plan)
    }

    /// The same, of a part of an import: how far it has come is written down with it, also where nothing is changed.
    pub fn write_marked<E: Send + 'static>(
        &self,
        store: StoreId,
        mark: Mark,
        plan: Plan<E>,
    ) -> Result<Commit, WriteError<E>> {
        self.write_planned(store, Terms { mark: Some(mark), ..Terms::default() }, plan)
    }

    fn write_planned<E: Send + 'static>(
        &self,
        store: StoreId,
        terms: Terms,
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
        match self.join(store, terms, Work::Plan(run)).map_err(WriteError::Storage)? {
            Some(commit) => Ok(commit),
            None => match refused.recv() {
                Ok(error) => Err(WriteError::Refused(error)),
                Err(_) => Err(WriteError::Storage(stopped())),
            },
        }
    }

    /// Collects those of these tuples that have ended by their expiry, as one revision.
    pub fn expire(&self, store: StoreId, tuples: Vec<TupleKey>) -> Result<Commit, StorageError> {
        self.join(store, Terms::default(), Work::Expire(tuples))?.ok_or_else(stopped)
    }

    /// Makes a store, and waits until it is durable.
    pub fn create_store(&self, id: StoreId, name: Option<String>) -> Result<StoreRecord, StorageError> {
        self.alone(move |database| Ok((create_store(database, id, name)?, None)))
    }

    /// Removes a store; false when there was none. Its rows are dropped after the answer.
    pub fn delete_store(&self, id: StoreId) -> Result<bool, StorageError> {
        let number = self.alone(move |database| Ok((delete_store(database, id)?, None)))?;
        if let Some(number) = number {
            // The store is gone; what is left of it is dropped now, or on the next opening.
            let drop_rows = move |database: Result<&Database, StorageError>| Ran {
                made: None,
                failed: database.and_then(|database| database.drop_rows(number)).err(),
            };
            self.send(Job::Alone(Box::new(drop_rows)))?;
        }
        Ok(number.is_some())
    }

    /// Replaces the assertions of a schema, and waits until they are durable.
    pub fn write_assertions(
        &self,
        store: StoreId,
        schema: SchemaId,
        text: String,
    ) -> Result<(), StorageError> {
        self.alone(move |database| {
            let number = database.store_number(store).ok_or(StorageError::NoStore(store))?;
            let mut batch = Batch::new(database);
            batch.write_assertions(number, schema, &text)?;
            Ok((batch.commit()?, None))
        })
    }

    /// Has a store's past kept for another time, as a revision of its own.
    pub fn keep_past(&self, store: StoreId, retention: Retention) -> Result<Commit, StorageError> {
        self.alone(move |database| {
            let record = database.store(store).ok_or(StorageError::NoStore(store))?;
            database.check_unlocked(store)?;
            let before = database.read_head(record.number)?;
            let under_way = database.begin();
            let time = database.commit_time(before.time);
            let record = StoreRecord { retention, updated_at: time, ..record };
            let mut batch = Batch::new(database);
            let head = batch.keep_past(&record, before, time)?;
            batch.commit()?;
            drop(under_way);
            database.register(record);
            Ok((Commit { revision: head.revision, time, changes: 0 }, Some((store, head.revision))))
        })
    }

    /// Moves a store's horizon up to the state of a time, as far as nobody holds what is below, and drops a part of what is
    /// below it, from a place in the log on. To be called again with what is answered as `next`, first with zeros.
    pub fn collect(
        &self,
        store: StoreId,
        before: Timestamp,
        from: (Revision, u32),
    ) -> Result<Collected, StorageError> {
        self.alone(move |database| {
            let number = database.store_number(store).ok_or(StorageError::NoStore(store))?;
            Ok((database.collect_some(number, before, from)?, None))
        })
    }

    /// Takes whatever names an object out of a store's present, past and log. Where nothing does, no revision is taken.
    pub fn purge(&self, store: StoreId, object: Object) -> Result<(Commit, Purged), StorageError> {
        self.alone(move |database| {
            let number = database.store_number(store).ok_or(StorageError::NoStore(store))?;
            database.check_unlocked(store)?;
            let before = database.read_head(number)?;
            let under_way = database.begin();
            let time = database.commit_time(before.time);
            let (head, purged) = match database.purge(number, object.as_ref(), before, time)? {
                Some((head, purged)) => (head, purged),
                None => (before, Purged::default()),
            };
            drop(under_way);
            let changes = usize::from(head.revision > before.revision);
            let commit = Commit { revision: head.revision, time: head.time, changes };
            Ok(((commit, purged), (changes > 0).then_some((store, head.revision))))
        })
    }

    /// Begins an import by files, or goes on with the interrupted one of the same identity. `about` says to people what is
    /// imported; `chunk_bytes` are sorted in memory at once, in each of two directions, twice.
    ///
    /// # Errors
    /// [`StorageError::UnfinishedImport`] where another one was interrupted; `restart` throws away whatever was prepared.
    pub fn begin_import(
        &self,
        store: StoreId,
        (identity, about): (&str, &str),
        restart: bool,
        chunk_bytes: usize,
    ) -> Result<FileImport, StorageError> {
        let number = self.database.store_number(store).ok_or(StorageError::NoStore(store))?;
        let directory = FileImport::directory(number, identity);
        self.alone(move |database| {
            if database.is_ingested(&directory)? {
                database.forget_ingested(&directory)?;
            }
            Ok(((), None))
        })?;
        FileImport::open(&self.database, number, identity, about, restart, chunk_bytes)
    }

    /// Makes one revision of everything that an import has taken; writes to the store are refused meanwhile. None: `clash`
    /// ended it; nothing was changed, and nothing is left of it.
    pub fn finish_import(
        &self,
        store: StoreId,
        mut import: FileImport,
        plan: &ImportPlan,
        clash: Clashed<'_>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Option<(Commit, Prepared)>, StorageError> {
        let database = Arc::clone(&self.database);
        let lock = self.alone(move |_| Ok((Lock::take(database, store)?, None)))?;
        if plan.schema.is_some() && plan.schema != lock.head.schema {
            return Err(StorageError::SchemaChanged);
        }
        let prepared = import.prepare(&self.database, &lock, (plan.on_stored, &plan.end), clash, progress)?;
        let unchanged = Commit { revision: lock.head.revision, time: lock.head.time, changes: 0 };
        let Some((counts, value)) = prepared else {
            import.discard()?;
            return Ok(None);
        };
        let changes = (counts.written + counts.replaced) as usize;
        if changes == 0 || plan.is_trial {
            import.discard()?;
            return Ok(Some((unchanged, counts)));
        }
        progress(Progress::Ingesting);
        // Here, so that writes to other stores go on while it waits for a backup.
        let _no_backup = self.database.keep_backups_out();
        let commit = self.alone(move |database| {
            let under_way = database.begin();
            let time = database.commit_time(lock.head.time);
            let head = database.ingest(lock.number, lock.head, time, &value)?;
            drop(under_way);
            let commit = Commit { revision: head.revision, time: head.time, changes };
            Ok((commit, Some((lock.id, head.revision))))
        })?;
        Ok(Some((commit, counts)))
    }

    /// Has somebody told of every new revision from now on.
    pub fn listen(&self, listener: Listener) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// The data directory that it writes to.
    pub fn database(&self) -> &Database {
        &self.database
    }

    fn join(&self, store: StoreId, terms: Terms, work: Work) -> Result<Option<Commit>, StorageError> {
        let (reply, answer) = sync_channel(1);
        self.send(Job::Write(WriteJob { store, terms, work, reply }))?;
        step("commit", || answer.recv()).map_err(|_| stopped())?
    }

    /// Runs something between two batches; it answers with what is wanted, and with the revision that it made.
    fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<(T, Option<(StoreId, Revision)>), StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (reply, answer) = sync_channel(1);
        let run = move |database: Result<&Database, StorageError>| {
            let (result, ran) = match database.and_then(work) {
                Ok((answer, made)) => (Ok(answer), Ran { made, failed: None }),
                Err(error) => {
                    let failed = matches!(error, StorageError::WritesRefused(_)).then(|| error.clone());
                    (Err(error), Ran { made: None, failed })
                }
            };
            // A client that went away need not be told.
            drop(reply.send(result));
            ran
        };
        self.send(Job::Alone(Box::new(run)))?;
        step("commit", || answer.recv()).map_err(|_| stopped())?
    }

    fn send(&self, job: Job) -> Result<(), StorageError> {
        self.jobs.as_ref().ok_or_else(stopped)?.send(job).map_err(|_| stopped())
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
fn run(database: &Database, queue: &Receiver<Job>, listeners: &Listeners, counts: &Counts) {
    let mut failed: Option<StorageError> = None;
    let mut waiting: Option<Job> = None;
    while let Some(job) = waiting.take().or_else(|| queue.recv().ok()) {
        let usable = failed.clone().map_or(Ok(database), Err);
        match (job, usable) {
            (Job::Write(first), Ok(database)) => {
                let mut group = Group::new(database);
                waiting = group.collect(first, queue);
                failed = group.commit(listeners, counts).err();
            }
            // A client that went away need not be told.
            (Job::Write(job), Err(error)) => drop(job.reply.send(Err(error))),
            (Job::Alone(run), usable) => {
                let ran = run(usable);
                failed = failed.or(ran.failed);
                tell(listeners, ran.made);
            }
        }
    }
}

/// Tells those who listen of new revisions.
fn tell(listeners: &Listeners, made: impl IntoIterator<Item = (StoreId, Revision)>) {
    let listeners = listeners.read().unwrap_or_else(PoisonError::into_inner);
    for (store, revision) in made {
        listeners.iter().for_each(|listener| listener(store, revision));
    }
}

fn create_store(database: &Database, id: StoreId, name: Option<String>) -> Result<StoreRecord, StorageError> {
    let _under_way = database.begin();
    if database.store(id).is_some() {
        return Err(StorageError::StoreExists(id));
    }
    // Later than every token of a store that had the same id before.
    let now = database.commit_time(Timestamp::default());
    let number = database.next_store_number()?;
    let name = name.map(Arc::from);
    let retention = Retention::DEFAULT;
    let record = StoreRecord { id, number, name, created_at: now, updated_at: now, retention };
    let mut batch = Batch::new(database);
    batch.create_store(&record)?;
    batch.commit()?;
    database.register(record.clone());
    Ok(record)
}

/// The number of the store that was there.
fn delete_store(database: &Database, id: StoreId) -> Result<Option<u32>, StorageError> {
    let Some(record) = database.store(id) else { return Ok(None) };
    database.check_unlocked(id)?;
    let mut batch = Batch::new(database);
    batch.delete_store(id, record.number)?;
    batch.commit()?;
    database.unregister(id);
    Ok(Some(record.number))
}
