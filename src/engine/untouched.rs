//! Whether the change log since a token has anything about some relations, or the schema.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use super::error::EngineError;
use super::write::WriteRefusal;
use crate::storage::{ChangeKind, ChangeRecord, StateReader, StorageError};
use crate::tuple::{Relation, Revision, SchemaId, Token, check_type_name};

/// Entries of the change log that are looked at: all other writes wait for it.
const ENTRIES_MAX: u64 = 100_000;

/// What is to be untouched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Area {
    /// `*`: the tuples on any relation.
    AllTuples,
    /// `TYPE#*`: the tuples on objects of a type.
    Type(Box<str>),
    /// `TYPE#RELATION`: the tuples on one relation.
    Relation(Box<str>, Relation),
    /// `schema`: which schema is in force.
    Schema,
}

impl Area {
    /// Whether an entry of the log is about it. What is purged has no name: it may have been on any relation.
    fn is_touched(&self, change: &ChangeRecord) -> bool {
        match (self, &change.tuple) {
            (Area::Schema, _) => false,
            (Area::AllTuples, _) | (_, None) => true,
            (Area::Type(object_type), Some(tuple)) => tuple.key.object.object_type() == &**object_type,
            (Area::Relation(object_type, relation), Some(tuple)) => {
                tuple.key.object.object_type() == &**object_type && tuple.key.relation == *relation
            }
        }
    }
}

impl FromStr for Area {
    type Err = ();

    fn from_str(text: &str) -> Result<Area, ()> {
        match (text, text.split_once('#')) {
            ("*", _) => Ok(Area::AllTuples),
            ("schema", _) => Ok(Area::Schema),
            (_, Some((object_type, "*"))) if check_type_name(object_type).is_ok() => {
                Ok(Area::Type(object_type.into()))
            }
            (_, Some((object_type, relation))) if check_type_name(object_type).is_ok() => {
                let relation = Relation::new(relation).map_err(|_| ())?;
                Ok(Area::Relation(object_type.into(), relation))
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Area::AllTuples => f.write_str("*"),
            Area::Type(object_type) => write!(f, "{object_type}#*"),
            Area::Relation(object_type, relation) => write!(f, "{object_type}#{relation}"),
            Area::Schema => f.write_str("schema"),
        }
    }
}

/// What touched one of the areas since a token; none: nothing did.
///
/// # Errors
/// [`StorageError::LogCollected`] where the log no longer reaches back so far, [`WriteRefusal::TooMuchSince`] where it
/// would have to be followed too far.
pub(super) fn touched(
    areas: &[Area],
    head: &StateReader<'_>,
    since: Token,
) -> Result<Option<String>, EngineError> {
    let (oldest, oldest_time) = head.oldest()?;
    if since.revision < oldest {
        let oldest_time = oldest_time.unwrap_or_default();
        return Err(StorageError::LogCollected { oldest, oldest_time }.into());
    }
    if since.revision > head.head_revision() {
        return Err(StorageError::AboveHead { asked: since.revision, head: head.head_revision() }.into());
    }
    if areas.contains(&Area::Schema) && head.schema()? != schema_at(head, since.revision)? {
        return Ok(Some("a schema was written since".to_owned()));
    }
    if areas.iter().all(|area| *area == Area::Schema) {
        return Ok(None);
    }
    let (mut entries, mut found) = (0, None);
    head.changes((since.revision.next(), 0), &mut |change| {
        entries += 1;
        if entries <= ENTRIES_MAX && areas.iter().any(|area| area.is_touched(&change)) {
            found = Some(show(&change));
        }
        let is_over = entries > ENTRIES_MAX || found.is_some();
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if found.is_none() && entries > ENTRIES_MAX {
        return Err(WriteRefusal::TooMuchSince(ENTRIES_MAX).into());
    }
    Ok(found)
}

/// Every schema has an id of its own: so another one in force is one that was written since.
fn schema_at(head: &StateReader<'_>, revision: Revision) -> Result<Option<SchemaId>, StorageError> {
    match revision {
        Revision::ZERO => Ok(None),
        revision => Ok(head.record(revision)?.schema),
    }
}

fn show(change: &ChangeRecord) -> String {
    let revision = change.revision;
    let Some(tuple) = &change.tuple else {
        return format!("something was purged in revision {revision}, or of what was written in it");
    };
    let what = match change.kind {
        ChangeKind::Written => "written",
        ChangeKind::Replaced => "replaced",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Expired => "collected when it had ended,",
        ChangeKind::Purged => "purged",
    };
    format!("`{}` was {what} in revision {revision}", tuple.key)
}
