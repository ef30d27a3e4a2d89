//! The settings of an engine.

use crate::eval::Limits;
use crate::schema::Limits as SchemaLimits;
use crate::storage::DatabaseOptions;

/// How an engine is opened, and what it allows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory.
    pub database: DatabaseOptions,
    /// What one question may take.
    pub limits: Limits,
    /// Bytes of decisions kept between questions; 0: none are.
    pub decision_cache_bytes: usize,
    /// How large a schema may be.
    pub schema_limits: SchemaLimits,
    /// Tuples in one write, deletions included.
    pub write_tuples_max: usize,
    /// Tuples deleted by filter as one revision.
    pub delete_tuples_max: usize,
    /// Tuples that renames move in one revision: each is deleted in one place and written in another.
    pub move_tuples_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            database: DatabaseOptions::default(),
            limits: Limits::default(),
            decision_cache_bytes: 0,
            schema_limits: SchemaLimits::default(),
            write_tuples_max: 1_000_000,
            delete_tuples_max: 1_000_000,
            move_tuples_max: 500_000,
        }
    }
}
