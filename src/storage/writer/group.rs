//! Group commit: the writes that wait together become one batch with one sync.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::{Commit, Counts, Job, Listeners, Mark, Once, Reply, Work, WriteJob, tell};
use crate::storage::change::Change;
use crate::storage::codec::{AnsweredValue, Head};
use crate::storage::error::StorageError;
use crate::storage::overlay::{Dated, Overlay};
use crate::storage::reader::TupleReader;
use crate::storage::rocks::{Batch, Database, StateReader, UnderWay};
use crate::tuple::{Revision, StoreId, Timestamp, TupleKey};

/// Writes in one batch.
const GROUP_MAX: usize = 512;
/// Bytes after which a batch takes no further write.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// How long the answer to a write is kept under its idempotency key, in microseconds: an hour.
const ANSWERS_KEPT: i64 = 3_600_000_000;

/// One batch in the making.
pub(super) struct Group<'d> {
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
    pub(super) fn new(database: &'d Database) -> Group<'d> {
        Group {
            database,
            batch: Batch::new(database),
            stores: HashMap::new(),
            accepted: Vec::new(),
            answers: HashMap::new(),
            under_way: database.begin(),
        }
    }

    /// Takes the first write and those that wait behind it, up to the limits of a batch or to a job that is not for it,
    /// which is handed back.
    pub(super) fn collect(&mut self, first: WriteJob, queue: &Receiver<Job>) -> Option<Job> {
        self.add(first);
        for _ in 1..GROUP_MAX {
            if self.batch.bytes() >= GROUP_BYTES_MAX {
                break;
            }
            match queue.try_recv() {
                Ok(Job::Write(job)) if !job.terms.is_first => self.add(job),
                Ok(other) => return Some(other),
                Err(_) => break,
            }
        }
        None
    }

    /// Runs one plan on the state so far. Refusals and errors changed nothing and are answered at once.
    fn add(&mut self, job: WriteJob) {
        let mut result = self.run_once(job.store, job.terms.once, job.work);
        if let (Ok(Some(_)), Some(mark)) = (&result, job.terms.mark) {
            result = self.keep_mark(job.store, &mark).and(result);
        }
        match result {
            Ok(Some(commit)) => self.accepted.push((job.reply, commit)),
            other => drop(job.reply.send(other)),
        }
    }

    fn keep_mark(&mut self, store: StoreId, mark: &Mark) -> Result<(), StorageError> {
        let number = self.database.store_number(store).ok_or(StorageError::NoStore(store))?;
        self.batch.keep_import_position(number, mark.import, mark.position.as_deref())
    }

    /// A write that was made before is answered as it was then.
    fn run_once(
        &mut self,
        store: StoreId,
        once: Option<Once>,
        work: Work,
    ) -> Result<Option<Commit>, StorageError> {
        let Some(once) = once else { return self.run(store, work) };
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
        let commit = self.run(store, work)?;
        if let Some(Commit { revision, time, changes }) = commit {
            let (time, changes) = (time.as_micros(), u32::try_from(changes).unwrap_or(u32::MAX));
            let answer = AnsweredValue { request: once.request, revision: revision.0, time, changes };
            self.batch.keep_answer(number, once.key, answer)?;
            self.answers.insert((number, once.key), answer);
        }
        Ok(commit)
    }

    fn run(&mut self, store: StoreId, work: Work) -> Result<Option<Commit>, StorageError> {
        let number = self.database.store_number(store).ok_or(StorageError::NoStore(store))?;
        self.database.check_unlocked(store)?;
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
        let changes = match work {
            Work::Plan(plan) => plan(&Dated::new(&state.rows, time), state.head.schema),
            Work::Expire(tuples) => Some(expired(&state.rows, time, tuples)?),
        };
        let Some(changes) = changes else { return Ok(None) };
        if !changes.is_empty() {
            state.head = self.batch.apply(number, state.head, &state.rows, time, &changes)?;
            // INVARIANT: a full batch takes no further write, so nobody looks at what a large one has left.
            if self.batch.bytes() < GROUP_BYTES_MAX {
                state.rows.apply(state.head.revision, &changes);
            }
        }
        let Head { revision, time, .. } = state.head;
        Ok(Some(Commit { revision, time, changes: changes.len() }))
    }

    /// Syncs the batch, then answers, then tells those who listen.
    pub(super) fn commit(self, listeners: &Listeners, counts: &Counts) -> Result<(), StorageError> {
        let Group { database: _, batch, stores, accepted, answers: _, under_way } = self;
        // The snapshots of the state before are not needed any longer.
        let heads: Vec<(StoreId, Revision)> =
            stores.into_values().map(|state| (state.id, state.head.revision)).collect();
        let result = if batch.is_empty() { Ok(()) } else { batch.commit() };
        drop(under_way);
        counts.writes.fetch_add(accepted.len() as u64, Ordering::Relaxed);
        counts.syncs.fetch_add(1, Ordering::Relaxed);
        for (reply, commit) in accepted {
            drop(reply.send(result.clone().map(|()| Some(commit))));
        }
        if result.is_ok() {
            tell(listeners, heads);
        }
        result
    }
}

/// Those tuples that are there and have ended by a time.
fn expired(
    rows: &dyn TupleReader,
    time: Timestamp,
    tuples: Vec<TupleKey>,
) -> Result<Vec<Change>, StorageError> {
    let mut changes = Vec::with_capacity(tuples.len());
    for key in tuples {
        let end = rows.get(key.as_ref())?.and_then(|row| row.expires_at);
        if end.is_some_and(|end| end <= time) {
            changes.push(Change::Expire(key));
        }
    }
    Ok(changes)
}
