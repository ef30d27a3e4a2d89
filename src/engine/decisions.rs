//! Decisions kept between questions, never stale: each with what it rests on, and used only where that holds still.
//!
//! Kept are yes and no of checks of the newest state, without contextual tuples, that met no condition. What is written
//! makes none of them go: a decision that no longer holds is passed over when it is found, and found anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::storage::{Basis, StateReader};
use crate::tuple::{SchemaId, SubjectRef, TupleRef};

/// The decisions of all stores.
pub(super) struct Decisions {
    kept: Cache<Box<[u8]>, Decision, Bytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How often decisions were found, and what they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecisionStats {
    /// Questions that a kept decision answered.
    pub hits: u64,
    /// Questions for which there was none, or none that holds still.
    pub misses: u64,
    /// Decisions kept.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

#[derive(Clone)]
struct Decision {
    allowed: bool,
    basis: Arc<Basis>,
}

#[derive(Clone)]
struct Bytes;

/// Bytes of an entry beside its key and basis: the cache's own, and two counts of references.
const ENTRY_BYTES: usize = 96;
/// Bytes of a usual entry, to begin with.
const USUAL_BYTES: usize = 320;

impl Weighter<Box<[u8]>, Decision> for Bytes {
    fn weight(&self, key: &Box<[u8]>, decision: &Decision) -> u64 {
        (key.len() + decision.basis.bytes() + ENTRY_BYTES) as u64
    }
}

impl Decisions {
    /// For at most so many bytes of them.
    pub(super) fn new(bytes_max: usize) -> Decisions {
        let kept = Cache::with_weighter(bytes_max / USUAL_BYTES, bytes_max as u64, Bytes);
        Decisions { kept, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// What was decided about a question, if that holds in a state.
    pub(super) fn find(&self, key: &[u8], state: &StateReader<'_>) -> Option<bool> {
        let found = self.kept.get(key).filter(|decision| decision.basis.holds_in(state));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        Some(found?.allowed)
    }

    /// Keeps a decision.
    pub(super) fn keep(&self, key: Vec<u8>, allowed: bool, basis: Basis) {
        self.kept.insert(key.into(), Decision { allowed, basis: Arc::new(basis) });
    }

    pub(super) fn stats(&self) -> DecisionStats {
        DecisionStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.kept.len() as u64,
            bytes: self.kept.weight(),
        }
    }
}

/// The question in bytes, different for each: store, schema, and texts that end with a NUL, which no name holds.
pub(super) fn key(store: u32, schema: SchemaId, tuple: TupleRef<'_>) -> Vec<u8> {
    let TupleRef { object, relation, subject } = tuple;
    let (kind, texts) = match subject {
        SubjectRef::Object(it) => (1, [it.object_type(), it.id(), ""]),
        SubjectRef::Wildcard(of) => (2, [of, "", ""]),
        SubjectRef::Userset(it, relation) => (3, [it.object_type(), it.id(), relation]),
    };
    let mut key = Vec::with_capacity(96);
    key.extend_from_slice(&store.to_be_bytes());
    key.extend_from_slice(&schema.to_bytes());
    key.push(kind);
    for text in [object.object_type(), object.id(), relation].into_iter().chain(texts) {
        key.extend_from_slice(text.as_bytes());
        key.push(0);
    }
    key
}
