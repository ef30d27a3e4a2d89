//! JSON forms that the server answers and `--format json` prints alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::routes::change_json;
use crate::engine::{
    Backup, BackupAnswer, BackupDone, Cause, CollectAnswer, DeleteAnswer, Engine, EngineError, Moment,
    Period, Prepared, PurgeAnswer, RestoreAnswer, Retention, SchemaDocument, SchemaInfo, Since, StorageError,
    StoreRecord, StoreStats, Until, Validation,
};
use crate::tuple::{Revision, StoreId, Timestamp, Token};

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
    /// Decisions kept, of all stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_cache: Option<DecisionsForm>,
    /// What the writer has done since the data directory was opened, for all stores.
    pub writer: WriterForm,
}

/// How often decisions were found, and what they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionsForm {
    /// Questions that a kept decision answered.
    pub hits: u64,
    /// Questions for which there was none that holds still.
    pub misses: u64,
    /// Decisions kept.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

/// Writes, and how they shared syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterForm {
    /// Writes acknowledged.
    pub writes: u64,
    /// Batches that they were synced in.
    pub syncs: u64,
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

/// Since when, and until when, an answer is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodForm {
    /// Since when.
    pub since: MomentForm,
    /// Until when; none: it is so now, and nothing is known that will change it.
    pub until: Option<MomentForm>,
}

/// An end of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MomentForm {
    /// RFC 3339. The period begins at it, or ends just before it.
    pub time: String,
    /// The revision in force from then on; none: it lies in the future.
    pub revision: Option<u64>,
    /// `write`, `schema` or `expiry`: what made the answer another one. `beginning`: the store did not exist before.
    /// `collected`, `purged`: it was the same at least so far; what lies beyond cannot be told any longer.
    pub cause: String,
    /// The changes that did it: the first ten, as in the change log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Value>,
}

impl MomentForm {
    fn new(time: Timestamp, revision: Option<Revision>, cause: &str) -> MomentForm {
        let revision = revision.map(|revision| revision.0);
        MomentForm { time: time.to_string(), revision, cause: cause.to_owned(), changes: Vec::new() }
    }

    fn of(moment: &Moment) -> MomentForm {
        let Moment { time, revision, cause } = moment;
        let new = |text| MomentForm::new(*time, Some(*revision), text);
        match cause {
            Cause::Schema => new("schema"),
            Cause::Expiry => new("expiry"),
            Cause::Changes(changes) => {
                let changes = changes.iter().map(|change| change_json(change, *time)).collect();
                MomentForm { changes, ..new("write") }
            }
        }
    }
}

impl From<&Period> for PeriodForm {
    fn from(period: &Period) -> PeriodForm {
        let since = match &period.since {
            Since::Moment(moment) => MomentForm::of(moment),
            Since::Beginning(time) => MomentForm::new(*time, Some(Revision::ZERO), "beginning"),
            Since::Collected(revision, time) => MomentForm::new(*time, Some(*revision), "collected"),
            Since::Purged(revision, time) => MomentForm::new(*time, Some(*revision), "purged"),
        };
        let until = match &period.until {
            Until::Moment(moment) => Some(MomentForm::of(moment)),
            Until::Due(time) => Some(MomentForm::new(*time, None, "expiry")),
            Until::Open => None,
            Until::Purged(revision, time) => Some(MomentForm::new(*time, Some(*revision), "purged")),
        };
        PeriodForm { since, until }
    }
}

/// How long the past of a store is kept, and how far back it reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionForm {
    /// `forever`, or a time such as `30days`.
    pub retention: String,
    /// The oldest revision whose state is kept.
    pub oldest_revision: u64,
    /// When that was committed; of revision 0: when the store was made.
    pub oldest_time: String,
}

/// What a collection did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectForm {
    /// Tuples that had ended by their expiry.
    pub expired: u64,
    /// Rows of the past that were dropped.
    pub history: u64,
    /// Entries of the change log that were dropped.
    pub changes: u64,
    /// The oldest revision whose state is kept.
    pub oldest_revision: u64,
    /// When that was committed; of revision 0: when the store was made.
    pub oldest_time: String,
}

/// What a purge took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeForm {
    /// Tuples that were there.
    pub tuples: u64,
    /// Rows of the past.
    pub history: u64,
    /// Entries of the change log that have lost their names.
    pub changes: u64,
    /// The store's revision afterwards.
    pub revision: u64,
}

/// What a merge of all files left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactedForm {
    /// Bytes of all table files afterwards.
    pub file_bytes: u64,
}

/// What a deletion by filter did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedForm {
    /// Tuples deleted; of a trial, that would be.
    pub deleted: u64,
    /// Whether more are left to delete: ask again.
    pub more: bool,
    /// The store's revision afterwards.
    pub revision: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedForm {
    /// Tuples written.
    pub written: u64,
    /// Tuples that got another condition or expiry; live, they count as written.
    pub replaced: u64,
    /// Tuples that were there, or in the input, already.
    pub unchanged: u64,
    /// The state it left.
    pub token: String,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupForm {
    /// Its number in its place.
    pub backup: u32,
    /// When it was begun: it holds everything that was committed until then.
    pub made_at: String,
    /// Bytes of its files, those that it shares with other backups included.
    pub bytes: u64,
    /// How many files that are.
    pub files: u64,
    /// The stores that it holds.
    pub stores: Vec<BackupStoreForm>,
}

/// A store in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupStoreForm {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The newest revision that is certainly there.
    pub revision: u64,
    /// When that was committed.
    pub committed_at: String,
    /// That state, of the directory that the backup is of; none in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupDoneForm {
    /// It.
    #[serde(flatten)]
    pub backup: BackupForm,
    /// Bytes that were copied: what no earlier backup had.
    pub bytes_copied: u64,
    /// Whether all of it was read back and is what was copied. It always is: a backup that is not is an error.
    pub verified: bool,
    /// Older backups that were removed.
    pub removed: Vec<u32>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreForm {
    /// From which backup.
    pub backup: u32,
    /// When that was made.
    pub made_at: String,
    /// The stores of the new directory.
    pub stores: Vec<RestoredStoreForm>,
    /// Stores that were made after the time that was asked for.
    pub left_out: Vec<String>,
    /// What validation saw; none: it was not asked for.
    pub validation: Option<ValidationForm>,
}

/// A store of a restored directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredStoreForm {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Its newest revision.
    pub revision: u64,
    /// When that was committed.
    pub committed_at: String,
    /// Its newest state, of the new directory.
    pub token: String,
    /// Changes that were undone.
    pub undone: u64,
}

/// The retention of a text: `forever`, or a time such as `30d` or `12h`.
pub fn parse_retention(text: &str) -> Result<Retention, String> {
    if text == "forever" {
        return Ok(Retention::Forever);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration.subsec_nanos() == 0 => Ok(Retention::Seconds(duration.as_secs())),
        _ => Err(format!(
            "retention `{text}`: write `forever`, or whole seconds such as `30d`, `12h` or `90s`"
        )),
    }
}

impl RetentionForm {
    /// Of a store.
    pub fn of(engine: &Engine, store: StoreId) -> Result<RetentionForm, EngineError> {
        let record = engine.find_store(store).ok_or(StorageError::NoStore(store))?;
        let (oldest, time) = engine.oldest(store)?;
        let retention = match record.retention {
            Retention::Forever => "forever".to_owned(),
            Retention::Seconds(seconds) => {
                humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
            }
        };
        Ok(RetentionForm { retention, oldest_revision: oldest.0, oldest_time: time.to_string() })
    }
}

impl From<&CollectAnswer> for CollectForm {
    fn from(answer: &CollectAnswer) -> CollectForm {
        CollectForm {
            expired: answer.expired,
            history: answer.history,
            changes: answer.changes,
            oldest_revision: answer.oldest.0,
            oldest_time: answer.oldest_time.to_string(),
        }
    }
}

impl From<&DeleteAnswer> for DeletedForm {
    fn from(answer: &DeleteAnswer) -> DeletedForm {
        DeletedForm {
            deleted: answer.deleted as u64,
            more: answer.is_more,
            revision: answer.token.revision.0,
        }
    }
}

impl ImportedForm {
    /// With the token in its text form.
    pub fn of(token: Token, counts: Prepared, engine: &Engine) -> ImportedForm {
        let Prepared { written, replaced, unchanged } = counts;
        ImportedForm { written, replaced, unchanged, token: engine.seal(&token) }
    }
}

impl From<&PurgeAnswer> for PurgeForm {
    fn from(answer: &PurgeAnswer) -> PurgeForm {
        PurgeForm {
            tuples: answer.purged.tuples,
            history: answer.purged.history,
            changes: answer.purged.changes,
            revision: answer.token.revision.0,
        }
    }
}

impl From<&Backup> for BackupForm {
    fn from(backup: &Backup) -> BackupForm {
        let stores = backup.stores.iter().map(|store| BackupStoreForm {
            id: store.id.to_string(),
            name: store.name.clone(),
            revision: store.revision.0,
            committed_at: store.time.to_string(),
            token: None,
        });
        BackupForm {
            backup: backup.id,
            made_at: backup.made_at.to_string(),
            bytes: backup.bytes,
            files: backup.files,
            stores: stores.collect(),
        }
    }
}

impl BackupDoneForm {
    /// Of an engine's answer.
    pub fn of(engine: &Engine, answer: &BackupAnswer) -> BackupDoneForm {
        let mut backup = BackupForm::from(&answer.done.backup);
        for (store, token) in backup.stores.iter_mut().zip(&answer.tokens) {
            store.token = Some(engine.seal(token));
        }
        let BackupDone { bytes_copied, ref removed, .. } = answer.done;
        BackupDoneForm { backup, bytes_copied, verified: true, removed: removed.clone() }
    }
}

impl RestoreForm {
    /// Of an engine's answer.
    pub fn of(engine: &Engine, answer: &RestoreAnswer, validation: Option<&Validation>) -> RestoreForm {
        let stores = answer.stores.iter().map(|store| RestoredStoreForm {
            id: store.record.id.to_string(),
            name: store.record.name.as_deref().map(str::to_owned),
            revision: store.token.revision.0,
            committed_at: store.committed_at.to_string(),
            token: engine.seal(&store.token),
            undone: store.rewound.map_or(0, |rewound| rewound.changes),
        });
        RestoreForm {
            backup: answer.backup.id,
            made_at: answer.backup.made_at.to_string(),
            stores: stores.collect(),
            left_out: answer.left_out.iter().map(StoreId::to_string).collect(),
            validation: validation.map(ValidationForm::from),
        }
    }
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
            decision_cache: stats.decisions.map(|it| DecisionsForm {
                hits: it.hits,
                misses: it.misses,
                entries: it.entries,
                bytes: it.bytes,
            }),
            writer: WriterForm { writes: stats.writes.0, syncs: stats.writes.1 },
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
