//! What writes with an idempotency key were answered, kept for an hour: a write that is sent again is not made again.

use std::ops::ControlFlow;

use super::Database;
use super::apply::Batch;
use super::families::{ANSWERED_BY_TIME, Family, answered_by_time_key, answered_key};
use super::key::show;
use crate::storage::codec::{self, AnsweredValue};
use crate::storage::error::StorageError;
use crate::tuple::Timestamp;

/// Old answers that are forgotten with one batch, so that no write waits long for them.
const FORGOTTEN_MAX: usize = 64;
const DIGEST_BYTES: usize = 16;

impl Database {
    /// The answer that is kept under a key of a store.
    pub(in crate::storage) fn answered(
        &self,
        store: u32,
        key: [u8; DIGEST_BYTES],
    ) -> Result<Option<AnsweredValue>, StorageError> {
        let key = answered_key(store, key);
        let Some(bytes) = self.get(Family::Meta, &key)? else { return Ok(None) };
        codec::decode_answered(&bytes, &|| format!("meta row {}", show(&key))).map(Some)
    }
}

impl Batch<'_> {
    /// Keeps the answer to a write beside its changes.
    pub(in crate::storage) fn keep_answer(
        &mut self,
        store: u32,
        key: [u8; DIGEST_BYTES],
        answer: AnsweredValue,
    ) -> Result<(), StorageError> {
        let time = Timestamp::from_micros(answer.time);
        self.put(Family::Meta, &answered_key(store, key), &codec::encode_answered(answer)?)?;
        self.put(Family::Meta, &answered_by_time_key(time, store, key), &[])
    }

    /// Forgets the oldest answers, if they are from before a time.
    pub(in crate::storage) fn forget_answers(&mut self, before: Timestamp) -> Result<(), StorageError> {
        let end = answered_by_time_key(before, 0, [0; DIGEST_BYTES]);
        let mut old: Vec<Vec<u8>> = Vec::new();
        self.database().view().walk(Family::Meta, ANSWERED_BY_TIME, &mut |key, _| {
            let is_old = key < &end[..] && old.len() < FORGOTTEN_MAX;
            if is_old {
                old.push(key.to_vec());
            }
            Ok(if is_old { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        for by_time in old {
            let parts = &by_time[ANSWERED_BY_TIME.len()..];
            let damaged = || StorageError::damaged("meta", format!("key {}", show(&by_time)));
            let store = parts.get(8..12).and_then(|bytes| bytes.try_into().ok()).ok_or_else(damaged)?;
            let key = parts.get(12..).and_then(|bytes| bytes.try_into().ok()).ok_or_else(damaged)?;
            self.delete(Family::Meta, &answered_key(u32::from_be_bytes(store), key))?;
            self.delete(Family::Meta, &by_time)?;
        }
        Ok(())
    }
}
