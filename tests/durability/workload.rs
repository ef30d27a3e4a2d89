//! Every write is known by its thread and number, and everything it changes follows from the two: so half a write, a
//! write of another, or a write that was applied twice is seen by looking at what one revision changed.
//!
//! A write takes away all parts of the thread's write before, gives the thread's cursor a new condition, claims a
//! tuple that all threads share, and writes parts of its own, of every shape of subject. Some carry contexts larger
//! than a block of the write-ahead log.

use anyhow::{Context as _, Result, ensure};
use stonetown::storage::{Change, ChangeRecord, Plan, TupleReader};
use stonetown::tuple::{ConditionContext, Timestamp, Tuple, TupleCondition, TupleKey};

/// The stores that every round writes to.
pub(super) const STORES: [&str; 2] = ["left", "right"];
/// How many threads write to them at once.
pub(super) const THREADS: u8 = 4;

/// One write to one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Write {
    pub(super) thread: u8,
    /// 1, 2, 3…: of this thread in this store.
    pub(super) number: u64,
}

impl Write {
    /// Stands for a schema, which only samples hold.
    pub(super) const SCHEMA: Write = Write { thread: u8::MAX, number: 0 };

    /// Everything it changes, in order.
    pub(super) fn changes(self) -> Vec<Change> {
        let mut changes: Vec<Change> =
            self.before().iter().flat_map(Write::parts).map(|part| Change::Delete(part.key)).collect();
        changes.push(Change::Write(self.cursor()));
        changes.push(Change::Write(self.claim()));
        changes.extend(self.parts().into_iter().map(Change::Write));
        changes
    }

    /// The plan of it: refuses when the thread's write before is not what storage shows.
    pub(super) fn plan(self) -> Plan<String> {
        Box::new(move |state, _schema| {
            let found = last_number(state, self.thread).map_err(|error| error.to_string())?;
            if found != self.number - 1 {
                return Err(format!(
                    "{self:?} finds write {found} of its thread instead of the one before it"
                ));
            }
            Ok(self.changes())
        })
    }

    /// The write whose changes these are, all of them and no others.
    pub(super) fn of(records: &[ChangeRecord]) -> Result<Write> {
        let revision = records.first().context("a revision without changes")?.revision;
        let mut tuples = records.iter().filter_map(|record| record.tuple.as_ref());
        let cursor = tuples.find(|tuple| tuple.key.object.object_type() == "cursor");
        let cursor = cursor.with_context(|| format!("revision {revision} moves no cursor"))?;
        let write = Write {
            thread: cursor.key.object.id().parse().context("the cursor's thread")?,
            number: number_of(cursor.condition.as_ref())?,
        };
        let expected = write.changes();
        ensure!(
            records.len() == expected.len() && records.iter().zip(&expected).all(|(a, b)| is_of(a, b)),
            "revision {revision} holds {write:?} otherwise than it was written: {records:?}"
        );
        Ok(write)
    }

    fn before(self) -> Option<Write> {
        (self.number > 1).then(|| Write { number: self.number - 1, ..self })
    }

    fn cursor(self) -> Tuple {
        let pad = match self.hash() % 16 {
            0 => 20_000 + self.hash() % 10_000,
            1..=4 => self.hash() % 3_000,
            _ => self.hash() % 100,
        };
        let context = serde_json::json!({ "number": self.number, "pad": "~".repeat(pad as usize) });
        tuple(cursor_of(self.thread), Some(context))
    }

    /// Every write of every thread replaces one of four tuples.
    fn claim(self) -> Tuple {
        let by = format!("{}-{}", self.thread, self.number);
        let key = key(&format!("shared:{}", self.number % 4), "claimed", "group:all#member");
        tuple(key, Some(serde_json::json!({ "by": by })))
    }

    fn parts(&self) -> Vec<Tuple> {
        let object = format!("part:{}-{}", self.thread, self.number);
        (0..2 + self.hash() % 5)
            .map(|part| match part {
                0 => tuple(key(&object, "whole", "user:*"), None),
                1 => tuple(key(&object, "half", "group:all#member"), None),
                2 => {
                    let end = Timestamp::from_micros(i64::MAX / 2);
                    Tuple { expires_at: Some(end), ..tuple(key(&object, "rest", "user:2"), None) }
                }
                _ => tuple(key(&object, "rest", &format!("user:{part}")), None),
            })
            .collect()
    }

    /// A number that looks random and is always the same.
    fn hash(self) -> u64 {
        let mut z = (self.number << 8 | u64::from(self.thread)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The number of the thread's last write that a state holds; 0 when there is none.
pub(super) fn last_number(state: &dyn TupleReader, thread: u8) -> Result<u64> {
    match state.get(cursor_of(thread).as_ref())? {
        Some(row) => number_of(row.condition.as_ref()),
        None => Ok(0),
    }
}

fn cursor_of(thread: u8) -> TupleKey {
    key(&format!("cursor:{thread}"), "last", "user:writer")
}

fn number_of(condition: Option<&TupleCondition>) -> Result<u64> {
    let condition = condition.context("a cursor without its condition")?;
    let context: serde_json::Value = serde_json::from_str(condition.context().as_str())?;
    context["number"].as_u64().context("a cursor without its number")
}

/// Whether a record of the change log is what became of a change.
fn is_of(record: &ChangeRecord, change: &Change) -> bool {
    use stonetown::storage::ChangeKind::{Deleted, Replaced, Written};
    match (record.kind, change) {
        (Written | Replaced, Change::Write(tuple)) => record.tuple.as_ref() == Some(tuple),
        (Deleted, Change::Delete(key)) => record.tuple == Some(Tuple::plain(key.clone())),
        _ => false,
    }
}

fn key(object: &str, relation: &str, subject: &str) -> TupleKey {
    TupleKey::from_parts(object, relation, subject).expect("a tuple by the rules")
}

fn tuple(key: TupleKey, context: Option<serde_json::Value>) -> Tuple {
    let condition = context.map(|context| {
        let context = ConditionContext::from_value(&context).expect("a context by the rules");
        TupleCondition::new("of_write", context).expect("a name by the rules")
    });
    Tuple { key, condition, expires_at: None }
}
