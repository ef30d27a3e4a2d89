//! Renames of types and relations, and what they make of tuples.

use std::collections::HashMap;
use std::fmt;

use super::apply::ApplyRefusal;
use crate::schema::Schema;
use crate::storage::{ObjectFilter, SubjectFilter, TupleFilter};
use crate::tuple::{
    Object, ObjectRef, Relation, Subject, SubjectRef, TupleError, TupleKey, TupleRef, check_relation_name,
    check_type_name,
};

/// A type or a relation that is called something else in the new schema. Both names are of the schema before: all renames
/// of one change are made at once, so that two names can be exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rename {
    /// Of a type: of objects, subjects, usersets, and everybody of it.
    Type {
        /// Its name before.
        old: Box<str>,
        /// Its name in the new schema.
        new: Box<str>,
    },
    /// Of a relation: of tuples on it, and of usersets that name it.
    Relation {
        /// The type, as it is called before.
        object_type: Box<str>,
        /// Its name before.
        old: Box<str>,
        /// Its name in the new schema.
        new: Box<str>,
    },
}

/// A text that is no rename.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// Its parts cannot be told apart.
    #[error("`{text}` is no rename: write `{right}`")]
    Form {
        /// As given.
        text: String,
        /// What would be right.
        right: &'static str,
    },
    /// One of its names breaks the rules.
    #[error("rename `{text}`: {cause}")]
    Name {
        /// As given.
        text: String,
        /// What is wrong.
        cause: TupleError,
    },
    /// It changes nothing.
    #[error("rename `{0}`: the old name and the new one are the same")]
    Same(String),
}

impl Rename {
    /// Reads `OLD=NEW`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_type(text: &str) -> Result<Rename, RenameError> {
        let right = || RenameError::Form { text: text.to_owned(), right: "OLD=NEW" };
        let (old, new) = text.split_once('=').ok_or_else(right)?;
        Rename::of_type(old, new)
    }

    /// Reads `TYPE#OLD=NEW`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_relation(text: &str) -> Result<Rename, RenameError> {
        let right = || RenameError::Form { text: text.to_owned(), right: "TYPE#OLD=NEW" };
        let (old, new) = text.split_once('=').ok_or_else(right)?;
        let (object_type, old) = old.split_once('#').ok_or_else(right)?;
        Rename::of_relation(object_type, old, new)
    }

    /// Of a type.
    ///
    /// # Errors
    /// A name breaks the rules, or both are the same.
    pub fn of_type(old: &str, new: &str) -> Result<Rename, RenameError> {
        let rename = Rename::Type { old: old.into(), new: new.into() };
        rename.checked(&[check_type_name(old), check_type_name(new)], old == new)
    }

    /// Of a relation.
    ///
    /// # Errors
    /// A name breaks the rules, or both are the same.
    pub fn of_relation(object_type: &str, old: &str, new: &str) -> Result<Rename, RenameError> {
        let rename = Rename::Relation { object_type: object_type.into(), old: old.into(), new: new.into() };
        let checks = [check_type_name(object_type), check_relation_name(old), check_relation_name(new)];
        rename.checked(&checks, old == new)
    }

    fn checked(self, checks: &[Result<(), TupleError>], is_same: bool) -> Result<Rename, RenameError> {
        if let Some(Err(cause)) = checks.iter().find(|check| check.is_err()) {
            return Err(RenameError::Name { text: self.to_string(), cause: cause.clone() });
        }
        if is_same { Err(RenameError::Same(self.to_string())) } else { Ok(self) }
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rename::Type { old, new } => write!(f, "{old}={new}"),
            Rename::Relation { object_type, old, new } => write!(f, "{object_type}#{old}={new}"),
        }
    }
}

/// All renames of one change, looked up.
#[derive(Debug, Default)]
pub(super) struct Renames {
    types: HashMap<Box<str>, Box<str>>,
    /// By the type, as it is called before.
    relations: HashMap<Box<str>, HashMap<Box<str>, Relation>>,
}

impl Renames {
    /// Holds renames against the schema before and the new one.
    pub(super) fn new(list: &[Rename], old: &Schema, new: &Schema) -> Result<Renames, ApplyRefusal> {
        let mut renames = Renames::default();
        // Types first: a relation's new name is looked up on the new name of its type.
        for rename in list {
            if let Rename::Type { old: from, new: to } = rename {
                look_up(rename, old.type_named(from).is_some(), new.type_named(to).is_some())?;
                if renames.types.insert(from.clone(), to.clone()).is_some() {
                    return Err(ApplyRefusal::RenamedTwice(rename.clone()));
                }
            }
        }
        for rename in list {
            if let Rename::Relation { object_type, old: from, new: to } = rename {
                let has = |schema: &Schema, object_type: &str, name: &str| {
                    let object_type = schema.type_named(object_type);
                    object_type.is_some_and(|it| schema.relation_named(it, name).is_some())
                };
                let type_after = renames.types.get(object_type).unwrap_or(object_type);
                look_up(rename, has(old, object_type, from), has(new, type_after, to))?;
                let of_type = renames.relations.entry(object_type.clone()).or_default();
                if of_type.insert(from.clone(), Relation::from_checked(to)).is_some() {
                    return Err(ApplyRefusal::RenamedTwice(rename.clone()));
                }
            }
        }
        Ok(renames)
    }

    /// What finds every tuple that has another name afterwards; some of them twice, and others.
    pub(super) fn filters(&self) -> Vec<TupleFilter> {
        let mut filters = Vec::new();
        for name in self.types.keys() {
            filters
                .push(TupleFilter { object: Some(ObjectFilter::Type(name.clone())), ..Default::default() });
            filters
                .push(TupleFilter { subject: Some(SubjectFilter::Type(name.clone())), ..Default::default() });
        }
        for (name, relations) in self.relations.iter().filter(|(name, _)| !self.types.contains_key(*name)) {
            filters.extend(relations.keys().map(|relation| TupleFilter {
                object: Some(ObjectFilter::Type(name.clone())),
                relation: Some(Relation::from_checked(relation)),
                subject: None,
            }));
            filters
                .push(TupleFilter { subject: Some(SubjectFilter::Type(name.clone())), ..Default::default() });
        }
        filters
    }

    /// What a tuple is called afterwards; none: as before.
    ///
    /// # Errors
    /// The new name would be too long.
    pub(super) fn renamed(&self, tuple: TupleRef<'_>) -> Result<Option<TupleKey>, TupleError> {
        if self.types.is_empty() && self.relations.is_empty() {
            return Ok(None);
        }
        let object = self.object(tuple.object)?;
        let relation = self.relation(tuple.object.object_type(), tuple.relation);
        let subject = self.subject(tuple.subject)?;
        if object.is_none() && relation.is_none() && subject.is_none() {
            return Ok(None);
        }
        Ok(Some(TupleKey {
            object: object.unwrap_or_else(|| tuple.object.to_owned()),
            relation: relation.cloned().unwrap_or_else(|| Relation::from_checked(tuple.relation)),
            subject: subject.unwrap_or_else(|| tuple.subject.to_owned()),
        }))
    }

    fn object(&self, object: ObjectRef<'_>) -> Result<Option<Object>, TupleError> {
        let name = self.types.get(object.object_type());
        name.map(|name| Object::new(name, object.id())).transpose()
    }

    fn relation(&self, object_type: &str, relation: &str) -> Option<&Relation> {
        self.relations.get(object_type)?.get(relation)
    }

    fn subject(&self, subject: SubjectRef<'_>) -> Result<Option<Subject>, TupleError> {
        let renamed = self.types.get(subject.subject_type()).map(|name| &**name);
        let name = renamed.unwrap_or_else(|| subject.subject_type());
        let (id, relation, is_other) = match subject {
            SubjectRef::Object(object) => (object.id(), None, renamed.is_some()),
            SubjectRef::Wildcard(_) => ("*", None, renamed.is_some()),
            SubjectRef::Userset(object, relation) => {
                let other = self.relation(object.object_type(), relation).map(Relation::as_str);
                (object.id(), Some(other.unwrap_or(relation)), renamed.is_some() || other.is_some())
            }
        };
        is_other.then(|| Ok(SubjectRef::new(name, id, relation)?.to_owned())).transpose()
    }
}

/// The old name has to be one of the schema before, the new one of the schema to come.
fn look_up(rename: &Rename, is_known: bool, is_there: bool) -> Result<(), ApplyRefusal> {
    match (is_known, is_there) {
        (false, _) => Err(ApplyRefusal::UnknownOld(rename.clone())),
        (true, false) => Err(ApplyRefusal::UnknownNew(rename.clone())),
        (true, true) => Ok(()),
    }
}
