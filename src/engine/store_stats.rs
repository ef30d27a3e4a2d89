//! Statistics of a store.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::Engine;
use super::at::At;
use super::decisions::{DecisionStats, Decisions};
use super::error::EngineError;
use crate::storage::{FamilySize, StoreRecord, TupleFilter, TupleReader};
use crate::tuple::{Revision, SchemaId, StoreId, Timestamp};

/// What a store holds.
#[derive(Debug, Clone)]
pub struct StoreStats {
    /// The store.
    pub store: StoreRecord,
    /// Its newest revision.
    pub revision: Revision,
    /// When that was committed.
    pub committed_at: Timestamp,
    /// The schema in force.
    pub schema: Option<SchemaId>,
    /// How many schemas were ever written.
    pub schemas: usize,
    /// Current tuples by `type#relation`.
    pub tuples: BTreeMap<String, u64>,
    /// Bytes and estimated rows by family, of all stores in the data directory.
    pub families: Vec<FamilySize>,
    /// Decisions kept, of all stores; none: none are.
    pub decisions: Option<DecisionStats>,
    /// Writes acknowledged since the data directory was opened, of all stores, and the batches they were synced in.
    pub writes: (u64, u64),
}

impl Engine {
    /// Counts a store's tuples, by a walk over all of them.
    pub fn store_stats(&self, id: StoreId) -> Result<StoreStats, EngineError> {
        let store = self.store(id)?;
        let state = self.state(&store, &At::Head)?;
        let mut tuples: BTreeMap<String, u64> = BTreeMap::new();
        // Rows of one type follow each other, so the last counter is mostly the right one.
        let mut last = (String::new(), 0);
        state.scan(&TupleFilter::default(), &mut |tuple, _| {
            let relation = format!("{}#{}", tuple.object.object_type(), tuple.relation);
            if relation != last.0 {
                let (before, count) = std::mem::replace(&mut last, (relation, 0));
                *tuples.entry(before).or_default() += count;
            }
            last.1 += 1;
            ControlFlow::Continue(())
        })?;
        *tuples.entry(last.0).or_default() += last.1;
        tuples.retain(|_, count| *count > 0);
        Ok(StoreStats {
            revision: state.revision(),
            committed_at: state.committed_at()?,
            schema: state.schema()?,
            schemas: self.database().schemas(store.number)?.len(),
            tuples,
            families: self.database().family_sizes()?,
            decisions: self.shared.decisions.as_ref().map(Decisions::stats),
            writes: self.writer.counts(),
            store,
        })
    }
}
