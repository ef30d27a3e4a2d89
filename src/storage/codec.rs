//! Values at rest. The only place that knows bincode.
//!
//! Every value starts with a version byte, so that a later version can read what this one wrote. Golden-byte tests
//! below hold the format; it is described byte by byte in `src/storage/FORMAT.md`.

use std::sync::Arc;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

use super::change::{ChangeKind, RevisionKind, RevisionRecord};
use super::error::StorageError;
use super::reader::Row;
use crate::tuple::{Revision, SchemaId, StoreId, Timestamp, TupleCondition};

const VERSION: u8 = 1;
/// Larger than any value that is ever written, small enough that a damaged length cannot exhaust memory.
const VALUE_BYTES_MAX: usize = 16 << 20;

type Config = Configuration<LittleEndian, Varint, Limit<VALUE_BYTES_MAX>>;
const CONFIG: Config = bincode::config::standard().with_limit::<VALUE_BYTES_MAX>();

fn encode<T: Encode>(value: T) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::with_capacity(16);
    bytes.push(VERSION);
    bincode::encode_into_std_write(value, &mut bytes, CONFIG)
        .map_err(|error| StorageError::Io(format!("cannot encode a value: {error}")))?;
    Ok(bytes)
}

fn decode<T: Decode<()>>(bytes: &[u8], place: &dyn Fn() -> String) -> Result<T, StorageError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => match bincode::decode_from_slice(body, CONFIG) {
            Ok((value, read)) if read == body.len() => Ok(value),
            Ok(_) => Err(StorageError::damaged(place(), "value has bytes after its end")),
            Err(error) => Err(StorageError::damaged(place(), format!("value cannot be read: {error}"))),
        },
        Some((version, _)) => {
            Err(StorageError::damaged(place(), format!("value has unknown version {version}")))
        }
        None => Err(StorageError::damaged(place(), "value is empty")),
    }
}

/// A current row: created revision, condition, expiry in microseconds. The same in both directions and in history.
#[derive(Encode, Decode)]
struct StoredRow {
    created: u64,
    condition: Option<(String, String)>,
    expires_at: Option<i64>,
}

pub(super) fn encode_row(row: &Row) -> Result<Vec<u8>, StorageError> {
    encode(StoredRow {
        created: row.created.0,
        condition: row.condition.as_ref().map(|c| (c.name().to_owned(), c.context().as_str().to_owned())),
        expires_at: row.expires_at.map(Timestamp::as_micros),
    })
}

pub(super) fn decode_row(bytes: &[u8], place: &dyn Fn() -> String) -> Result<Row, StorageError> {
    let stored: StoredRow = decode(bytes, place)?;
    Ok(Row {
        created: Revision(stored.created),
        condition: stored.condition.map(|(name, context)| TupleCondition::from_checked(&name, &context)),
        expires_at: stored.expires_at.map(Timestamp::from_micros),
    })
}

/// What limits a tuple, as it ends the value of a row and that of a change: condition, then expiry.
pub(super) fn encode_limits(
    condition: Option<&TupleCondition>,
    expires_at: Option<Timestamp>,
    bytes: &mut Vec<u8>,
) -> Result<(), StorageError> {
    let condition = condition.map(|it| (it.name(), it.context().as_str()));
    append((condition, expires_at.map(Timestamp::as_micros)), bytes)
}

/// When a tuple of these limits ends.
pub(super) fn decode_end(
    limits: &[u8],
    place: &dyn Fn() -> String,
) -> Result<Option<Timestamp>, StorageError> {
    if limits == [0, 0] {
        return Ok(None);
    }
    match bincode::decode_from_slice::<(Option<(String, String)>, Option<i64>), _>(limits, CONFIG) {
        Ok(((_, end), read)) if read == limits.len() => Ok(end.map(Timestamp::from_micros)),
        _ => Err(StorageError::damaged(place(), "condition and expiry cannot be read")),
    }
}

/// Appends the value of a row with these limits.
pub(super) fn append_row(created: Revision, limits: &[u8], bytes: &mut Vec<u8>) -> Result<(), StorageError> {
    bytes.push(VERSION);
    append(created.0, bytes)?;
    bytes.extend_from_slice(limits);
    Ok(())
}

/// The limits in the value of a row.
pub(super) fn limits_of_row<'a>(
    bytes: &'a [u8],
    place: &dyn Fn() -> String,
) -> Result<&'a [u8], StorageError> {
    let body = bytes.split_first().filter(|&(&version, _)| version == VERSION).map(|(_, body)| body);
    let created = body.and_then(|body| bincode::decode_from_slice::<u64, _>(body, CONFIG).ok());
    match (body, created) {
        (Some(body), Some((_, read))) => Ok(&body[read..]),
        _ => Err(StorageError::damaged(place(), "value cannot be read")),
    }
}

/// Appends the value of a change that wrote a tuple: the key of `tuples` without its store number, and its limits.
pub(super) fn append_written(key: &[u8], limits: &[u8], bytes: &mut Vec<u8>) -> Result<(), StorageError> {
    bytes.extend_from_slice(&[VERSION, WRITTEN]);
    append(key.len() as u64, bytes)?;
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(limits);
    Ok(())
}

fn append<T: Encode>(value: T, bytes: &mut Vec<u8>) -> Result<(), StorageError> {
    bincode::encode_into_std_write(value, bytes, CONFIG)
        .map(drop)
        .map_err(|error| StorageError::Io(format!("cannot encode a value: {error}")))
}

/// The kind of a change that wrote a tuple.
const WRITTEN: u8 = 1;

/// An import by files between its first file and the moment it is visible.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct ImportValue {
    /// The revision that it becomes.
    pub(super) revision: u64,
    /// Entries of the change log in its files.
    pub(super) changes: u32,
    /// When the first of its tuples ends, in microseconds.
    pub(super) first_end: Option<i64>,
    /// Where its files are, in the data directory.
    pub(super) directory: String,
    /// Family and name of each.
    pub(super) files: Vec<(String, String)>,
    /// Tuples that are there otherwise: key of `tuples` without the store number, and limits.
    pub(super) replaced: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) fn encode_import(value: ImportValue) -> Result<Vec<u8>, StorageError> {
    encode(value)
}

pub(super) fn decode_import(bytes: &[u8], place: &dyn Fn() -> String) -> Result<ImportValue, StorageError> {
    decode(bytes, place)
}

/// The row of these limits.
pub(super) fn row_of_limits(
    created: Revision,
    limits: &[u8],
    place: &dyn Fn() -> String,
) -> Result<Row, StorageError> {
    let mut bytes = Vec::new();
    append_row(created, limits, &mut bytes)?;
    decode_row(&bytes, place)
}

/// An entry of the change log: what happened, and the `tuples` key without its store number.
#[derive(Encode, Decode)]
struct StoredChange {
    kind: u8,
    key: Vec<u8>,
    condition: Option<(String, String)>,
    expires_at: Option<i64>,
}

/// A decoded entry of the change log, its key still in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChangeValue {
    pub(super) kind: ChangeKind,
    pub(super) key: Vec<u8>,
    pub(super) condition: Option<TupleCondition>,
    pub(super) expires_at: Option<Timestamp>,
}

pub(super) fn encode_change(change: &ChangeValue) -> Result<Vec<u8>, StorageError> {
    let kind = match change.kind {
        ChangeKind::Written => WRITTEN,
        ChangeKind::Replaced => 2,
        ChangeKind::Deleted => 3,
        ChangeKind::Expired => 4,
        ChangeKind::Purged => 5,
    };
    encode(StoredChange {
        kind,
        key: change.key.clone(),
        condition: change.condition.as_ref().map(|c| (c.name().to_owned(), c.context().as_str().to_owned())),
        expires_at: change.expires_at.map(Timestamp::as_micros),
    })
}

pub(super) fn decode_change(bytes: &[u8], place: &dyn Fn() -> String) -> Result<ChangeValue, StorageError> {
    let stored: StoredChange = decode(bytes, place)?;
    let kind = match stored.kind {
        WRITTEN => ChangeKind::Written,
        2 => ChangeKind::Replaced,
        3 => ChangeKind::Deleted,
        4 => ChangeKind::Expired,
        5 => ChangeKind::Purged,
        other => return Err(StorageError::damaged(place(), format!("unknown kind of change {other}"))),
    };
    Ok(ChangeValue {
        kind,
        key: stored.key,
        condition: stored.condition.map(|(name, context)| TupleCondition::from_checked(&name, &context)),
        expires_at: stored.expires_at.map(Timestamp::from_micros),
    })
}

#[derive(Encode, Decode)]
struct StoredRevision {
    time: i64,
    schema: Option<[u8; 16]>,
    kind: u8,
    changes: u32,
}

pub(super) fn encode_revision(record: &RevisionRecord) -> Result<Vec<u8>, StorageError> {
    let kind = match record.kind {
        RevisionKind::Tuples => 1,
        RevisionKind::Schema => 2,
        RevisionKind::Expiry => 3,
        RevisionKind::Retention => 4,
        RevisionKind::Purge => 5,
    };
    encode(StoredRevision {
        time: record.time.as_micros(),
        schema: record.schema.map(SchemaId::to_bytes),
        kind,
        changes: record.changes,
    })
}

pub(super) fn decode_revision(
    bytes: &[u8],
    place: &dyn Fn() -> String,
) -> Result<RevisionRecord, StorageError> {
    let stored: StoredRevision = decode(bytes, place)?;
    let kind = match stored.kind {
        1 => RevisionKind::Tuples,
        2 => RevisionKind::Schema,
        3 => RevisionKind::Expiry,
        4 => RevisionKind::Retention,
        5 => RevisionKind::Purge,
        other => return Err(StorageError::damaged(place(), format!("unknown kind of revision {other}"))),
    };
    Ok(RevisionRecord {
        time: Timestamp::from_micros(stored.time),
        schema: stored.schema.map(SchemaId::from_bytes),
        kind,
        changes: stored.changes,
    })
}

/// A store's newest revision, in `meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) revision: Revision,
    pub(super) time: Timestamp,
    pub(super) schema: Option<SchemaId>,
}

#[derive(Encode, Decode)]
struct StoredHead {
    revision: u64,
    time: i64,
    schema: Option<[u8; 16]>,
}

pub(super) fn encode_head(head: &Head) -> Result<Vec<u8>, StorageError> {
    encode(StoredHead {
        revision: head.revision.0,
        time: head.time.as_micros(),
        schema: head.schema.map(SchemaId::to_bytes),
    })
}

pub(super) fn decode_head(bytes: &[u8], place: &dyn Fn() -> String) -> Result<Head, StorageError> {
    let stored: StoredHead = decode(bytes, place)?;
    Ok(Head {
        revision: Revision(stored.revision),
        time: Timestamp::from_micros(stored.time),
        schema: stored.schema.map(SchemaId::from_bytes),
    })
}

/// How long the past of a store is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Never collected.
    Forever,
    /// At least this many seconds.
    Seconds(u64),
}

impl Retention {
    /// 30 days.
    pub const DEFAULT: Retention = Retention::Seconds(30 * 24 * 3600);

    /// From when on the past is kept, now; none: from the beginning.
    pub fn kept_from(self, now: Timestamp) -> Option<Timestamp> {
        let Retention::Seconds(seconds) = self else { return None };
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
        Some(Timestamp::from_micros(now.as_micros().checked_sub(micros)?))
    }
}

/// What is known of a store beside its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRecord {
    /// Its public id.
    pub id: StoreId,
    /// The number its keys begin with; never used again.
    pub number: u32,
    /// The name it was created with; none when it came to be by a write alone. Shared: every question copies the record.
    pub name: Option<Arc<str>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its record was last changed.
    pub updated_at: Timestamp,
    /// How long its past is kept.
    pub retention: Retention,
}

#[derive(Encode, Decode)]
struct StoredStore {
    number: u32,
    name: Option<String>,
    created_at: i64,
    updated_at: i64,
    /// None: for ever.
    retention_seconds: Option<u64>,
}

pub(super) fn encode_store(record: &StoreRecord) -> Result<Vec<u8>, StorageError> {
    encode(StoredStore {
        number: record.number,
        name: record.name.as_deref().map(str::to_owned),
        created_at: record.created_at.as_micros(),
        updated_at: record.updated_at.as_micros(),
        retention_seconds: match record.retention {
            Retention::Forever => None,
            Retention::Seconds(seconds) => Some(seconds),
        },
    })
}

pub(super) fn decode_store(
    id: StoreId,
    bytes: &[u8],
    place: &dyn Fn() -> String,
) -> Result<StoreRecord, StorageError> {
    let stored: StoredStore = decode(bytes, place)?;
    Ok(StoreRecord {
        id,
        number: stored.number,
        name: stored.name.map(Arc::from),
        created_at: Timestamp::from_micros(stored.created_at),
        updated_at: Timestamp::from_micros(stored.updated_at),
        retention: stored.retention_seconds.map_or(Retention::Forever, Retention::Seconds),
    })
}

/// A schema at rest: when it was written, and its wire form as JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct SchemaValue {
    pub(super) revision: u64,
    pub(super) document: String,
}

pub(super) fn encode_schema(value: SchemaValue) -> Result<Vec<u8>, StorageError> {
    encode(value)
}

pub(super) fn decode_schema(bytes: &[u8], place: &dyn Fn() -> String) -> Result<SchemaValue, StorageError> {
    decode(bytes, place)
}

/// What a write was answered, kept under its idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct AnsweredValue {
    /// Digest of what was asked.
    pub(super) request: [u8; 16],
    pub(super) revision: u64,
    /// Microseconds since 1970.
    pub(super) time: i64,
    pub(super) changes: u32,
}

pub(super) fn encode_answered(value: AnsweredValue) -> Result<Vec<u8>, StorageError> {
    encode(value)
}

pub(super) fn decode_answered(
    bytes: &[u8],
    place: &dyn Fn() -> String,
) -> Result<AnsweredValue, StorageError> {
    decode(bytes, place)
}

pub(super) fn encode_assertions(text: &str) -> Result<Vec<u8>, StorageError> {
    encode(text.to_owned())
}

pub(super) fn decode_assertions(bytes: &[u8], place: &dyn Fn() -> String) -> Result<String, StorageError> {
    decode(bytes, place)
}

/// How far a live import has come, in the words of who imports.
pub(super) fn encode_position(text: &str) -> Result<Vec<u8>, StorageError> {
    encode(text.to_owned())
}

pub(super) fn decode_position(bytes: &[u8], place: &dyn Fn() -> String) -> Result<String, StorageError> {
    decode(bytes, place)
}

/// The revisions of which something has been purged: from the first (included) to the last (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct PurgedValue {
    pub(super) from: u64,
    pub(super) until: u64,
}

pub(super) fn encode_purged(value: PurgedValue) -> Result<Vec<u8>, StorageError> {
    encode(value)
}

pub(super) fn decode_purged(bytes: &[u8], place: &dyn Fn() -> String) -> Result<PurgedValue, StorageError> {
    decode(bytes, place)
}

/// A number in `meta`: the next store number, a horizon, the incarnation.
pub(super) fn encode_number(number: u64) -> Result<Vec<u8>, StorageError> {
    encode(number)
}

pub(super) fn decode_number(bytes: &[u8], place: &dyn Fn() -> String) -> Result<u64, StorageError> {
    decode(bytes, place)
}

/// 32 random bytes in `meta`.
pub(super) fn encode_secret(secret: [u8; 32]) -> Result<Vec<u8>, StorageError> {
    encode(secret)
}

pub(super) fn decode_secret(bytes: &[u8], place: &dyn Fn() -> String) -> Result<[u8; 32], StorageError> {
    decode(bytes, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::ConditionContext;

    fn place() -> String {
        "here".to_owned()
    }

    fn full_row() -> Row {
        let context = ConditionContext::from_json(r#"{"z":1,"a":"x"}"#).unwrap();
        Row {
            created: Revision(300),
            condition: Some(TupleCondition::new("c1", context).unwrap()),
            expires_at: Some(Timestamp::from_micros(-2)),
        }
    }

    #[test]
    fn golden_rows() {
        let plain = Row { created: Revision(7), condition: None, expires_at: None };
        assert_eq!(encode_row(&plain).unwrap(), [1, 7, 0, 0]);
        let bytes = encode_row(&full_row()).unwrap();
        let mut expected = vec![1, 251, 44, 1, 1, 2];
        expected.extend(b"c1");
        expected.push(15);
        expected.extend(br#"{"a":"x","z":1}"#);
        expected.extend([1, 3]);
        assert_eq!(bytes, expected);
        assert_eq!(decode_row(&bytes, &place).unwrap(), full_row());
    }

    #[test]
    fn limits_end_rows_and_changes() {
        let row = full_row();
        let mut limits = Vec::new();
        encode_limits(row.condition.as_ref(), row.expires_at, &mut limits).unwrap();
        let mut bytes = Vec::new();
        append_row(row.created, &limits, &mut bytes).unwrap();
        assert_eq!(bytes, encode_row(&row).unwrap());
        assert_eq!(limits_of_row(&bytes, &place).unwrap(), limits);
        assert_eq!(decode_end(&limits, &place).unwrap(), row.expires_at);
        assert_eq!(row_of_limits(row.created, &limits, &place).unwrap(), row);
        let Row { condition, expires_at, .. } = row;
        for key in [&b"k\0"[..], &[b'x'; 600]] {
            let mut bytes = Vec::new();
            append_written(key, &limits, &mut bytes).unwrap();
            let (condition, key) = (condition.clone(), key.to_vec());
            let change = ChangeValue { kind: ChangeKind::Written, key, condition, expires_at };
            assert_eq!(bytes, encode_change(&change).unwrap());
        }
        let mut plain = Vec::new();
        encode_limits(None, None, &mut plain).unwrap();
        assert_eq!(plain, [0, 0]);
    }

    #[test]
    fn golden_change() {
        let change = ChangeValue {
            kind: ChangeKind::Deleted,
            key: b"k\0".to_vec(),
            condition: None,
            expires_at: None,
        };
        assert_eq!(encode_change(&change).unwrap(), [1, 3, 2, b'k', 0, 0, 0]);
    }

    #[test]
    fn golden_revision_head_store_schema() {
        let schema = SchemaId::from_bytes([9; 16]);
        let record = RevisionRecord {
            time: Timestamp::from_micros(1),
            schema: Some(schema),
            kind: RevisionKind::Schema,
            changes: 5,
        };
        let bytes = encode_revision(&record).unwrap();
        assert_eq!(bytes, [[1, 2, 1].as_slice(), &[9; 16], &[2, 5]].concat());
        assert_eq!(decode_revision(&bytes, &place).unwrap(), record);
        let head = Head { revision: Revision(2), time: Timestamp::from_micros(3), schema: None };
        assert_eq!(encode_head(&head).unwrap(), [1, 2, 6, 0]);
        assert_eq!(decode_head(&[1, 2, 6, 0], &place).unwrap(), head);
        let store = StoreRecord {
            id: StoreId::from_bytes([1; 16]),
            number: 4,
            name: Some("ab".into()),
            created_at: Timestamp::from_micros(1),
            updated_at: Timestamp::from_micros(2),
            retention: Retention::Forever,
        };
        let bytes = encode_store(&store).unwrap();
        assert_eq!(bytes, [1, 4, 1, 2, b'a', b'b', 2, 4, 0]);
        assert_eq!(decode_store(store.id, &bytes, &place).unwrap(), store);
        let schema = SchemaValue { revision: 1, document: "{}".to_owned() };
        assert_eq!(encode_schema(schema).unwrap(), [1, 1, 2, b'{', b'}']);
        assert_eq!(encode_number(250).unwrap(), [1, 250]);
    }

    #[test]
    fn damage_is_named() {
        for bytes in [&[][..], &[2, 7, 0, 0], &[1, 7, 0], &[1, 7, 0, 0, 0], &[1, 7, 9, 0]] {
            let error = decode_row(bytes, &place).unwrap_err();
            assert!(error.to_string().starts_with("damaged: here: "), "{error}");
        }
    }
}
