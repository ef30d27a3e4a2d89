//! Filters over tuples, and their text form `[TYPE:[ID]][#RELATION][@SUBJECT]`; `@*` is any subject, as no `@` is.

use std::fmt;
use std::str::FromStr;

use crate::tuple::{Object, ObjectRef, Relation, Subject, SubjectRef, TupleError, TupleRef, check_type_name};

/// Which tuples: every part that is given must fit. The default matches all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TupleFilter {
    /// The type of the object, or one object.
    pub object: Option<ObjectFilter>,
    /// The relation.
    pub relation: Option<Relation>,
    /// The subject, or its type.
    pub subject: Option<SubjectFilter>,
}

/// Which objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObjectFilter {
    /// `voice:`: all of a type.
    Type(Box<str>),
    /// `voice:7`: one.
    Object(Object),
}

/// Which subjects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubjectFilter {
    /// `user:`: of a type, whatever their shape.
    Type(Box<str>),
    /// `user:anne`, `org:acme#admin` or `user:*`: exactly this.
    Subject(Subject),
}

/// A text that is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "filter `{text}`: {cause}; write `[TYPE:[ID]][#RELATION][@SUBJECT]`, for example `voice:7#viewer` or `@user:anne`"
)]
pub struct FilterError {
    text: String,
    cause: TupleError,
}

impl TupleFilter {
    /// Whether a tuple fits.
    pub fn matches(&self, tuple: TupleRef<'_>) -> bool {
        let object = match &self.object {
            None => true,
            Some(ObjectFilter::Type(name)) => tuple.object.object_type() == &**name,
            Some(ObjectFilter::Object(object)) => tuple.object == object.as_ref(),
        };
        let relation = self.relation.as_ref().is_none_or(|relation| relation.as_str() == tuple.relation);
        let subject = match &self.subject {
            None => true,
            Some(SubjectFilter::Type(name)) => tuple.subject.subject_type() == &**name,
            Some(SubjectFilter::Subject(subject)) => tuple.subject == subject.as_ref(),
        };
        object && relation && subject
    }

    fn parse(text: &str) -> Result<TupleFilter, TupleError> {
        let mut filter = TupleFilter::default();
        let (object, rest) = match text.find(['#', '@']) {
            // An object id may hold an `@`; then its relation follows it.
            Some(at) if text.as_bytes()[at] == b'@' && at > 0 && text[at..].contains('#') => {
                text.split_at(at + text[at..].find('#').unwrap_or(0))
            }
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        if let Some(object_type) = object.strip_suffix(':') {
            check_type_name(object_type)?;
            filter.object = Some(ObjectFilter::Type(object_type.into()));
        } else if !object.is_empty() {
            filter.object = Some(ObjectFilter::Object(ObjectRef::parse(object)?.to_owned()));
        }
        let (relation, subject) = match rest.split_once('@') {
            Some((relation, subject)) => (relation, Some(subject)),
            None => (rest, None),
        };
        if let Some(relation) = relation.strip_prefix('#') {
            filter.relation = Some(Relation::new(relation)?);
        }
        if let Some(subject) = subject.filter(|&subject| subject != "*") {
            filter.subject = Some(match subject.strip_suffix(':') {
                Some(subject_type) => {
                    check_type_name(subject_type)?;
                    SubjectFilter::Type(subject_type.into())
                }
                None => SubjectFilter::Subject(SubjectRef::parse(subject)?.to_owned()),
            });
        }
        Ok(filter)
    }
}

impl FromStr for TupleFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<TupleFilter, FilterError> {
        TupleFilter::parse(text).map_err(|cause| FilterError { text: text.chars().take(80).collect(), cause })
    }
}

impl fmt::Display for TupleFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            None => {}
            Some(ObjectFilter::Type(name)) => write!(f, "{name}:")?,
            Some(ObjectFilter::Object(object)) => object.fmt(f)?,
        }
        if let Some(relation) = &self.relation {
            write!(f, "#{relation}")?;
        }
        match &self.subject {
            None => Ok(()),
            Some(SubjectFilter::Type(name)) => write!(f, "@{name}:"),
            Some(SubjectFilter::Subject(subject)) => write!(f, "@{subject}"),
        }
    }
}
