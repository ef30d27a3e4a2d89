//! Subjects: `user:anne`, `org:acme#admin`, `user:*`. The wire calls them users.

use std::fmt;
use std::str::FromStr;

use super::error::{Part, TupleError};
use super::name::{RELATION_CHARS_MAX, SUBJECT_BYTES_MAX, TYPE_CHARS_MAX, check_name};
use super::object::{Object, ObjectRef, split};
use super::tuple::Relation;

/// Who: an object, a userset, or everybody of a type. Owned; [`SubjectRef`] is the borrowed form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// `user:anne`.
    Object(Object),
    /// `user:*`: everybody of the type.
    Wildcard(Box<str>),
    /// `org:acme#admin`: all who hold a relation of an object.
    Userset(Object, Relation),
}

/// A borrowed [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectRef<'a> {
    /// `user:anne`.
    Object(ObjectRef<'a>),
    /// `user:*`.
    Wildcard(&'a str),
    /// `org:acme#admin`.
    Userset(ObjectRef<'a>, &'a str),
}

/// The three shapes of subject, in the order in which they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// `user:anne`.
    Object,
    /// `user:*`.
    Wildcard,
    /// `org:acme#admin`.
    Userset,
}

impl Subject {
    /// The borrowed form.
    pub fn as_ref(&self) -> SubjectRef<'_> {
        match self {
            Subject::Object(object) => SubjectRef::Object(object.as_ref()),
            Subject::Wildcard(subject_type) => SubjectRef::Wildcard(subject_type),
            Subject::Userset(object, relation) => SubjectRef::Userset(object.as_ref(), relation.as_str()),
        }
    }

    /// The type before the colon.
    pub fn subject_type(&self) -> &str {
        self.as_ref().subject_type()
    }
}

impl<'a> SubjectRef<'a> {
    /// A subject from its text form, checked.
    pub fn parse(text: &'a str) -> Result<SubjectRef<'a>, TupleError> {
        SubjectRef::parse_parts(text).map_err(|error| error.within(text))
    }

    /// A subject from its parts, checked; without a relation, the id `*` is everybody of the type.
    pub fn new(
        subject_type: &'a str,
        id: &'a str,
        relation: Option<&'a str>,
    ) -> Result<SubjectRef<'a>, TupleError> {
        let bytes = subject_type.len() + 1 + id.len() + relation.map_or(0, |relation| 1 + relation.len());
        if bytes > SUBJECT_BYTES_MAX {
            return Err(TupleError::new(Part::Subject, "is too long", id, "use at most 512 bytes"));
        }
        if id == "*" && relation.is_none() {
            check_name(Part::SubjectType, subject_type, TYPE_CHARS_MAX, "use at most 254 characters")?;
            return Ok(SubjectRef::Wildcard(subject_type));
        }
        let object = ObjectRef::checked(subject_type, id, Part::SubjectType, Part::SubjectId, Part::Subject)?;
        let Some(relation) = relation else { return Ok(SubjectRef::Object(object)) };
        check_name(Part::SubjectRelation, relation, RELATION_CHARS_MAX, "use at most 50 characters")?;
        if id.contains('*') || relation.contains('*') {
            let help = "a userset names one object: `TYPE:ID#RELATION`, without `*`";
            return Err(TupleError::new(Part::Subject, "mixes a userset and a wildcard", id, help));
        }
        Ok(SubjectRef::Userset(object, relation))
    }

    fn parse_parts(text: &'a str) -> Result<SubjectRef<'a>, TupleError> {
        if text.len() > SUBJECT_BYTES_MAX {
            return Err(TupleError::new(Part::Subject, "is too long", text, "use at most 512 bytes"));
        }
        let (subject_type, rest) = split(text, Part::Subject).map_err(|mut error| {
            error.help = "write `TYPE:ID`, `TYPE:ID#RELATION` or `TYPE:*`, for example `user:anne`";
            error
        })?;
        match rest.split_once('#') {
            Some((id, relation)) => SubjectRef::new(subject_type, id, Some(relation)),
            None => SubjectRef::new(subject_type, rest, None),
        }
    }

    /// The type before the colon.
    pub fn subject_type(&self) -> &'a str {
        match self {
            SubjectRef::Object(object) | SubjectRef::Userset(object, _) => object.object_type(),
            SubjectRef::Wildcard(subject_type) => subject_type,
        }
    }

    /// Which of the three shapes it is.
    pub fn kind(&self) -> SubjectKind {
        match self {
            SubjectRef::Object(_) => SubjectKind::Object,
            SubjectRef::Wildcard(_) => SubjectKind::Wildcard,
            SubjectRef::Userset(..) => SubjectKind::Userset,
        }
    }

    /// An owned copy.
    pub fn to_owned(&self) -> Subject {
        match self {
            SubjectRef::Object(object) => Subject::Object(object.to_owned()),
            SubjectRef::Wildcard(subject_type) => Subject::Wildcard((*subject_type).into()),
            SubjectRef::Userset(object, relation) => {
                Subject::Userset(object.to_owned(), Relation::from_checked(relation))
            }
        }
    }
}

impl FromStr for Subject {
    type Err = TupleError;

    fn from_str(text: &str) -> Result<Subject, TupleError> {
        Ok(SubjectRef::parse(text)?.to_owned())
    }
}

impl fmt::Display for SubjectRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubjectRef::Object(object) => object.fmt(f),
            SubjectRef::Wildcard(subject_type) => write!(f, "{subject_type}:*"),
            SubjectRef::Userset(object, relation) => write!(f, "{object}#{relation}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}
