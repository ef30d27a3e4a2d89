//! Collect: the rows of tuples that have ended, and the past that need not be kept any longer.

use std::ops::ControlFlow;

use super::Engine;
use super::error::EngineError;
use crate::storage::{StorageError, StoreRecord};
use crate::tuple::{Revision, StoreId, Timestamp, TupleKey};

/// Ended tuples that are collected as one revision.
const ENDED_MAX: usize = 1_000;
/// Rows and log entries after which files are merged, so that the bytes are given back; with less it is not worth it.
const COMPACTED_MIN: u64 = 10_000;

/// Told what was done so far; it may stop the rest.
type Progress<'p> = &'p mut dyn FnMut(&CollectAnswer) -> ControlFlow<()>;

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CollectAnswer {
    /// Tuples that had ended.
    pub expired: u64,
    /// Rows of the past that were dropped.
    pub history: u64,
    /// Entries of the change log that were dropped.
    pub changes: u64,
    /// The oldest revision that is kept.
    pub oldest: Revision,
    /// When that was committed; of revision 0: when the store was made.
    pub oldest_time: Timestamp,
}

impl Engine {
    /// Collects the tuples of a store that have ended, then drops the past from before a time; none: what the store need
    /// not keep. Writes go on meanwhile. What somebody holds stays, and is dropped by a later collection, as does the rest
    /// when `progress`, which is told what was done so far, breaks.
    ///
    /// # Errors
    /// A time in the future.
    pub fn collect(
        &self,
        store: StoreId,
        before: Option<Timestamp>,
        progress: Progress<'_>,
    ) -> Result<CollectAnswer, EngineError> {
        let record = self.store(store)?;
        let now = self.database().now(Timestamp::default());
        if let Some(asked) = before.filter(|&before| before > now) {
            return Err(StorageError::FutureTime { asked, now }.into());
        }
        // A clock that was set ahead may be set back.
        let steady = self.database().steady_now();
        let mut answer = CollectAnswer::default();
        if self.database().may_have_ended(record.number, steady) {
            self.collect_ended(&record, steady, &mut answer, progress)?;
        }
        if let Some(before) = before.or_else(|| record.retention.kept_from(steady)) {
            self.collect_past(&record, before, &mut answer, progress)?;
        }
        (answer.oldest, answer.oldest_time) = self.oldest(store)?;
        Ok(answer)
    }

    fn collect_ended(
        &self,
        store: &StoreRecord,
        now: Timestamp,
        answer: &mut CollectAnswer,
        progress: Progress<'_>,
    ) -> Result<(), EngineError> {
        let mut part: Vec<TupleKey> = Vec::new();
        let mut failed = None;
        let mut expire = |part: &mut Vec<TupleKey>, answer: &mut CollectAnswer| {
            match self.writer.expire(store.id, std::mem::take(part)) {
                Ok(commit) => answer.expired += commit.changes as u64,
                Err(error) => failed = Some(error),
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let searched = self.database().ended(store.number, now, &mut |tuple| {
            part.extend(tuple);
            if part.len() >= ENDED_MAX {
                expire(&mut part, answer)?;
            }
            progress(answer)
        });
        if searched.is_ok() && !part.is_empty() {
            let _ = expire(&mut part, answer);
        }
        if let Some(error) = failed {
            // They are still there, whatever the search has noted.
            self.database().forget_ends(store.number);
            return Err(error.into());
        }
        Ok(searched?)
    }

    fn collect_past(
        &self,
        store: &StoreRecord,
        before: Timestamp,
        answer: &mut CollectAnswer,
        progress: Progress<'_>,
    ) -> Result<(), EngineError> {
        let mut from = (Revision::ZERO, 0);
        let horizon = loop {
            let part = self.writer.collect(store.id, before, from)?;
            answer.history += part.history;
            answer.changes += part.changes;
            match part.next {
                Some(next) => from = next,
                None => break part.horizon,
            }
            if progress(answer).is_break() {
                return Ok(());
            }
        };
        if answer.history + answer.changes >= COMPACTED_MIN {
            self.database().compact_past(store.number, horizon)?;
        }
        Ok(())
    }
}
