//! JSON forms that the server answers and `--format json` prints alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{SchemaDocument, SchemaInfo, StoreRecord, StoreStats, Validation};

/// A store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreForm {
    /// Its id.
    pub id: String,
    /// The name it was created with.
    pub name: Option<String>,
    /// When it was created.
    pub created_at: String,
    /// When its record was last changed.
    pub updated_at: String,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsForm {
    /// The store.
    pub store: StoreForm,
    /// Its newest revision.
    pub revision: u64,
    /// When that was committed.
    pub committed_at: String,
    /// The schema in force.
    pub schema: Option<String>,
    /// How many schemas were ever written.
    pub schemas: usize,
    /// Current tuples by `type#relation`.
    pub tuples: BTreeMap<String, u64>,
    /// Bytes by family, of all stores in the data directory.
    pub families: BTreeMap<String, FamilyForm>,
}

/// Bytes of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyForm {
    /// Of its table files.
    pub file_bytes: u64,
    /// Of its rows that are not in table files yet.
    pub memory_bytes: u64,
}

/// A schema in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaInfoForm {
    /// Its id.
    pub schema: String,
    /// The revision that wrote it.
    pub revision: u64,
    /// When it was written; none when that revision is no longer kept.
    pub written_at: Option<String>,
}

/// A schema as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaForm {
    /// Its id.
    pub schema: String,
    /// The revision that wrote it.
    pub revision: u64,
    /// OpenFGA's JSON form.
    pub document: Value,
}

/// What validation saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationForm {
    /// Current tuples, of all stores.
    pub tuples: u64,
    /// Rows of the past, of all stores.
    pub history: u64,
    /// Entries of the change log, of all stores.
    pub changes: u64,
    /// Revisions remembered, of all stores.
    pub revisions: u64,
    /// How many things do not hold.
    pub findings_total: u64,
    /// The first of them.
    pub findings: Vec<FindingForm>,
}

/// One thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingForm {
    /// The family and row.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl From<&StoreRecord> for StoreForm {
    fn from(store: &StoreRecord) -> StoreForm {
        StoreForm {
            id: store.id.to_string(),
            name: store.name.as_deref().map(str::to_owned),
            created_at: store.created_at.to_string(),
            updated_at: store.updated_at.to_string(),
        }
    }
}

impl From<&StoreStats> for StatsForm {
    fn from(stats: &StoreStats) -> StatsForm {
        let families = stats.families.iter().map(|size| {
            let bytes = FamilyForm { file_bytes: size.file_bytes, memory_bytes: size.memory_bytes };
            (size.family.to_owned(), bytes)
        });
        StatsForm {
            store: StoreForm::from(&stats.store),
            revision: stats.revision.0,
            committed_at: stats.committed_at.to_string(),
            schema: stats.schema.map(|id| id.to_string()),
            schemas: stats.schemas,
            tuples: stats.tuples.clone(),
            families: families.collect(),
        }
    }
}

impl From<&SchemaInfo> for SchemaInfoForm {
    fn from(info: &SchemaInfo) -> SchemaInfoForm {
        SchemaInfoForm {
            schema: info.id.to_string(),
            revision: info.written.0,
            written_at: info.written_at.map(|time| time.to_string()),
        }
    }
}

impl SchemaForm {
    /// The form of a stored schema.
    ///
    /// # Errors
    /// It is damaged: what is stored is not JSON.
    pub fn read(schema: &SchemaDocument) -> Result<SchemaForm, serde_json::Error> {
        Ok(SchemaForm {
            schema: schema.id.to_string(),
            revision: schema.written.0,
            document: serde_json::from_str(&schema.document)?,
        })
    }
}

impl From<&Validation> for ValidationForm {
    fn from(seen: &Validation) -> ValidationForm {
        let findings = seen
            .findings
            .iter()
            .map(|found| FindingForm { place: found.place.clone(), problem: found.problem.clone() });
        ValidationForm {
            tuples: seen.tuples,
            history: seen.history,
            changes: seen.changes,
            revisions: seen.revisions,
            findings_total: seen.findings_total,
            findings: findings.collect(),
        }
    }
}
