//! Purge: everything that names one object leaves the present, the past and the log.
//!
//! A read of the past that would have needed what is gone must not answer as if it had never been. So for every purged
//! tuple, a keyed digest of each look that sees it is kept with the revisions in which the tuple was there; a past reader
//! asks for the digest of its own look. The digests cannot be worked out from a guessed name without the directory's secret.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use super::apply::{Batch, Staged};
use super::families::{self, Family};
use super::key::{self, Direction};
use super::{Database, View, read_change, show};
use crate::storage::change::{ChangeKind, RevisionKind};
use crate::storage::codec::{self, ChangeValue, Head, PurgedValue};
use crate::storage::error::StorageError;
use crate::storage::filter::{ObjectFilter, SubjectFilter, TupleFilter};
use crate::storage::look::Look;
use crate::tuple::{ObjectRef, Revision, SubjectRef, Timestamp, TupleKey, TupleRef};

/// Rows that one purge takes at most: it is one batch.
const ROWS_MAX: usize = 50_000;
/// Marks that are forgotten with one batch of a collection.
const FORGOTTEN_MAX: usize = 2_000;

type Digest = [u8; 16];
type Marks = HashMap<Digest, PurgedValue>;

/// What a purge took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Tuples that were there.
    pub tuples: u64,
    /// Rows of the past.
    pub history: u64,
    /// Entries of the change log.
    pub changes: u64,
}

/// A row that names the object: its tuple, and in which revisions it was there.
struct Named {
    tuple: TupleKey,
    created: Revision,
    /// None: it is there still.
    ended: Option<Revision>,
}

impl Database {
    /// Takes away whatever names an object. None: nothing does. For the writer's thread, with no write under way.
    pub(in crate::storage) fn purge(
        &self,
        store: u32,
        object: ObjectRef<'_>,
        before: Head,
        time: Timestamp,
    ) -> Result<Option<(Head, Purged)>, StorageError> {
        let view = self.view();
        let rows = rows_that_name(&view, store, object)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let head = Head { revision: before.revision.next(), time, ..before };
        let mut staged = Staged::default();
        let mut purged = Purged::default();
        let mut marks = Marks::new();
        let mut revisions = BTreeSet::new();
        for Named { tuple, created, ended } in &rows {
            let tuple = tuple.as_ref();
            for direction in [Direction::Forward, Direction::Backward] {
                let key = key::tuple(direction, store, tuple);
                match (ended, direction) {
                    (None, Direction::Forward) => staged.delete(Family::Tuples, key),
                    (None, Direction::Backward) => staged.delete(Family::BySubject, key),
                    (Some(at), Direction::Forward) => {
                        staged.delete(Family::History, key::with_revision(key, *at));
                    }
                    (Some(at), Direction::Backward) => {
                        staged.delete(Family::HistoryBySubject, key::with_revision(key, *at));
                    }
                }
            }
            *(if ended.is_some() { &mut purged.history } else { &mut purged.tuples }) += 1;
            revisions.insert(*created);
            revisions.extend(*ended);
            let until = ended.unwrap_or(head.revision);
            self.digests_of(tuple).into_iter().for_each(|digest| join(&mut marks, digest, *created, until));
        }
        for revision in revisions {
            purged.changes += stage_log(&view, &mut staged, store, revision, object)?;
        }
        for (digest, mark) in marks {
            self.stage_mark(&view, &mut staged, store, digest, mark)?;
        }
        staged.put(Family::Changes, key::change(store, head.revision, 0), nameless_entry()?);
        staged.end_revision(store, head, RevisionKind::Purge, 1)?;
        drop(view);
        let mut batch = Batch::new(self);
        batch.take(staged)?;
        batch.commit()?;
        Ok(Some((head, purged)))
    }

    /// Joins a mark with the one that is kept already.
    fn stage_mark(
        &self,
        view: &View<'_>,
        staged: &mut Staged,
        store: u32,
        digest: Digest,
        mark: PurgedValue,
    ) -> Result<(), StorageError> {
        let key = families::purged_key(store, digest);
        let mut joined = mark;
        if let Some(kept) = read_mark(view.get(Family::Meta, &key)?.as_deref(), &key)? {
            joined = PurgedValue { from: kept.from.min(mark.from), until: kept.until.max(mark.until) };
            staged.delete(Family::Meta, families::purged_until_key(store, Revision(kept.until), digest));
        }
        let by_until = families::purged_until_key(store, Revision(joined.until), digest);
        staged.put(Family::Meta, by_until, Vec::new());
        staged.put(Family::Meta, key, codec::encode_purged(joined)?);
        Ok(())
    }

    /// Forgets some marks of what no reader can ask for any longer; false: there are more.
    pub(super) fn forget_purged(
        &self,
        store: u32,
        horizon: Revision,
        batch: &mut Batch<'_>,
    ) -> Result<bool, StorageError> {
        let prefix = families::purged_until_prefix(store);
        let end = families::purged_until_key(store, horizon.next(), [0; 16]);
        let mut old: Vec<Vec<u8>> = Vec::new();
        let mut is_all = true;
        self.view().walk(Family::Meta, &prefix, &mut |key, _| {
            is_all = *key >= end[..] || old.len() < FORGOTTEN_MAX;
            if *key >= end[..] || !is_all {
                return Ok(ControlFlow::Break(()));
            }
            old.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        for by_until in old {
            let digest = by_until.get(prefix.len() + key::REVISION_BYTES..).and_then(|it| it.try_into().ok());
            let digest =
                digest.ok_or_else(|| StorageError::damaged("meta", format!("key {}", show(&by_until))))?;
            batch.delete(Family::Meta, &families::purged_key(store, digest))?;
            batch.delete(Family::Meta, &by_until)?;
        }
        Ok(is_all)
    }

    /// The key of the mark of a look.
    pub(super) fn purged_key_of(&self, store: u32, look: &Look) -> Vec<u8> {
        families::purged_key(store, self.digest_of(look))
    }

    /// The key of the mark of the whole store: in none but these revisions has anything been purged.
    pub(super) fn purged_key_of_all(&self, store: u32) -> Vec<u8> {
        families::purged_key(store, self.digest("all", &[]))
    }

    fn digest(&self, purpose: &str, content: &[u8]) -> Digest {
        self.token_key.digest(purpose, content)
    }

    /// Of a scan: that of the object or the subject it is about, where it names one.
    fn digest_of(&self, look: &Look) -> Digest {
        match look {
            Look::Tuple(key) => self.digest("tuple", &key::forward(0, key.as_ref())),
            Look::Subjects(object, relation, kind) => {
                self.digest("subjects", &key::subjects_prefix(0, object.as_ref(), relation.as_str(), *kind))
            }
            Look::Objects(subject, object_type, relation) => {
                let prefix = key::objects_prefix(0, subject.as_ref(), object_type, relation.as_str());
                self.digest("objects", &prefix)
            }
            Look::Scan(TupleFilter { object: Some(ObjectFilter::Object(object)), .. }) => {
                self.digest("object", &key::object_prefix(0, object.as_ref()))
            }
            Look::Scan(TupleFilter { subject: Some(SubjectFilter::Subject(subject)), .. }) => {
                self.digest("subject", &key::subject_prefix(0, subject.as_ref()))
            }
            Look::Scan(_) => self.digest("all", &[]),
        }
    }

    /// Of every look that sees a tuple.
    fn digests_of(&self, tuple: TupleRef<'_>) -> [Digest; 6] {
        let [exact, subjects, objects] = Look::of(tuple);
        [
            self.digest_of(&exact),
            self.digest_of(&subjects),
            self.digest_of(&objects),
            self.digest("object", &key::object_prefix(0, tuple.object)),
            self.digest("subject", &key::subject_prefix(0, tuple.subject)),
            self.digest("all", &[]),
        ]
    }
}

/// A mark from its row.
pub(super) fn read_mark(bytes: Option<&[u8]>, key: &[u8]) -> Result<Option<PurgedValue>, StorageError> {
    bytes.map(|bytes| codec::decode_purged(bytes, &|| format!("meta row {}", show(key)))).transpose()
}

fn join(marks: &mut Marks, digest: Digest, from: Revision, until: Revision) {
    let mark = marks.entry(digest).or_insert(PurgedValue { from: from.0, until: until.0 });
    mark.from = mark.from.min(from.0);
    mark.until = mark.until.max(until.0);
}

fn names(tuple: TupleRef<'_>, object: ObjectRef<'_>) -> bool {
    let of_subject = match tuple.subject {
        SubjectRef::Object(of) | SubjectRef::Userset(of, _) => Some(of),
        SubjectRef::Wildcard(_) => None,
    };
    tuple.object == object || of_subject == Some(object)
}

/// Every row of the present and the past whose tuple names an object, once.
fn rows_that_name(view: &View<'_>, store: u32, object: ObjectRef<'_>) -> Result<Vec<Named>, StorageError> {
    let mut found = Vec::new();
    let [of_object, of_userset] = key::subject_prefixes(store, object);
    let forward = key::object_prefix(store, object);
    for (direction, prefix) in
        [(Direction::Forward, forward), (Direction::Backward, of_object), (Direction::Backward, of_userset)]
    {
        let (current, history) = match direction {
            Direction::Forward => (Family::Tuples, Family::History),
            Direction::Backward => (Family::BySubject, Family::HistoryBySubject),
        };
        for (family, suffix) in [(current, 0), (history, key::REVISION_BYTES)] {
            view.walk(family, &prefix, &mut |key, value| {
                let place = || format!("{} row {}", family.name(), show(key));
                let damaged = || StorageError::damaged(place(), "key cannot be read");
                let (tuple_key, end) = key.split_at(key.len().saturating_sub(suffix));
                let tuple = key::parse(direction, tuple_key).ok_or_else(damaged)?;
                if direction == Direction::Backward && tuple.object == object {
                    // Found from the other side.
                    return Ok(ControlFlow::Continue(()));
                }
                let row = codec::decode_row(value, &place)?;
                let ended = key::Parts::new(end).u64().map(Revision);
                found.push(Named { tuple: tuple.to_owned(), created: row.created, ended });
                if found.len() > ROWS_MAX {
                    return Err(StorageError::PurgeTooLarge { object: object.to_string(), limit: ROWS_MAX });
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
    }
    Ok(found)
}

/// Leaves nameless entries in the log of one revision where an object was named: how many there were. Places in the
/// log, which watchers hold, stay what they are.
fn stage_log(
    view: &View<'_>,
    staged: &mut Staged,
    store: u32,
    revision: Revision,
    object: ObjectRef<'_>,
) -> Result<u64, StorageError> {
    let mut gone = 0;
    view.walk(Family::Changes, &key::revision(store, revision), &mut |key, value| {
        let change = read_change(key, value)?;
        if change.tuple.is_some_and(|tuple| names(tuple.key.as_ref(), object)) {
            staged.put(Family::Changes, key.to_vec(), nameless_entry()?);
            gone += 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(gone)
}

fn nameless_entry() -> Result<Vec<u8>, StorageError> {
    codec::encode_change(&ChangeValue {
        kind: ChangeKind::Purged,
        key: Vec::new(),
        condition: None,
        expires_at: None,
    })
}
