//! Tuples that a schema does not let in, counted by relation, kind of subject and reason, with the first of each.

use std::collections::BTreeMap;

use super::admission::Rejection;
use crate::storage::Row;
use crate::tuple::{SubjectRef, Tuple, TupleKey, TupleRef};

/// Tuples that are kept of each group.
const SAMPLE_MAX: usize = 10;

/// Tuples of one relation and one kind of subject, not let in for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TupleGroup {
    /// `doc#viewer`.
    pub relation: String,
    /// `user`, `user:*` or `group#member`.
    pub subject: String,
    /// The reason by name, as [`Rejection::code`] has it.
    pub code: &'static str,
    /// The reason why the first of them is not let in.
    pub reason: Rejection,
    /// How many there are.
    pub count: u64,
    /// The first ten.
    pub sample: Vec<Tuple>,
}

/// All groups, by relation, kind of subject and reason. It takes memory by groups, not by tuples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TupleGroups {
    groups: BTreeMap<(String, String, &'static str), TupleGroup>,
}

impl TupleGroups {
    /// The groups, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &TupleGroup> {
        self.groups.values()
    }

    /// Whether there is no tuple in any.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many tuples there are in all of them.
    pub fn total(&self) -> u64 {
        self.iter().map(|group| group.count).sum()
    }

    /// Counts a tuple.
    pub(super) fn add(&mut self, tuple: TupleRef<'_>, row: &Row, reason: Rejection) {
        let (relation, subject, code) = name(tuple, &reason);
        let group = self.groups.entry((relation.clone(), subject.clone(), code));
        let group = group.or_insert_with(|| TupleGroup {
            relation,
            subject,
            code,
            reason,
            count: 0,
            sample: Vec::new(),
        });
        group.count += 1;
        if group.sample.len() < SAMPLE_MAX {
            group.sample.push(tuple_of(tuple.to_owned(), row));
        }
    }

    /// Takes a tuple that was counted out again.
    pub(super) fn remove(&mut self, tuple: TupleRef<'_>, reason: &Rejection) {
        let name = name(tuple, reason);
        if let Some(group) = self.groups.get_mut(&name) {
            group.count = group.count.saturating_sub(1);
            group.sample.retain(|it| it.key.as_ref() != tuple);
            if group.count == 0 {
                self.groups.remove(&name);
            }
        }
    }
}

/// What a tuple is counted under.
fn name(tuple: TupleRef<'_>, reason: &Rejection) -> (String, String, &'static str) {
    let subject = match tuple.subject {
        SubjectRef::Object(object) => object.object_type().to_owned(),
        SubjectRef::Wildcard(subject_type) => format!("{subject_type}:*"),
        SubjectRef::Userset(object, relation) => format!("{}#{relation}", object.object_type()),
    };
    (format!("{}#{}", tuple.object.object_type(), tuple.relation), subject, reason.code())
}

/// A tuple from its identity and its row.
pub(super) fn tuple_of(key: TupleKey, row: &Row) -> Tuple {
    Tuple { key, condition: row.condition.clone(), expires_at: row.expires_at }
}
