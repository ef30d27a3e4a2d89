//! Statistics of the whole engine, cheap enough to be asked for every second.

use super::Engine;
use super::decisions::{DecisionStats, Decisions};
use super::error::EngineError;
use crate::storage::DatabaseStats;

/// What an engine holds and has done.
#[derive(Debug, Clone)]
pub struct EngineStats {
    /// Stores.
    pub stores: usize,
    /// Writes acknowledged since the data directory was opened, and the batches they were synced in.
    pub writes: (u64, u64),
    /// Decisions kept; none: none are.
    pub decisions: Option<DecisionStats>,
    /// What RocksDB holds.
    pub database: DatabaseStats,
}

impl Engine {
    /// What it holds and has done.
    pub fn stats(&self) -> Result<EngineStats, EngineError> {
        Ok(EngineStats {
            stores: self.list_stores().len(),
            writes: self.writer.counts(),
            decisions: self.shared.decisions.as_ref().map(Decisions::stats),
            database: self.database().stats()?,
        })
    }
}
