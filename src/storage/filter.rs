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
    /// `org:acme#`: an object, and all who hold a relation on it.
    Naming(Object),
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
            Some(SubjectFilter::Naming(object)) => match tuple.subject {
                SubjectRef::Object(of) | SubjectRef::Userset(of, _) => of == object.as_ref(),
                SubjectRef::Wildcard(_) => false,
            },
        };
        object && relation && subject
    }

    fn parse(text: &str) -> Result<TupleFilter, TupleError> {
        let mut filter = TupleFilter::default();
        let (rest, subject) = match subject_start(text) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let (object, relation) = match rest.split_once('#') {
            Some((object, relation)) => (object, Some(relation)),
            None => (rest, None),
        };
        if let Some(object_type) = object.strip_suffix(':') {
            check_type_name(object_type)?;
            filter.object = Some(ObjectFilter::Type(object_type.into()));
        } else if !object.is_empty() {
            filter.object = Some(ObjectFilter::Object(ObjectRef::parse(object)?.to_owned()));
        }
        if let Some(relation) = relation {
            filter.relation = Some(Relation::new(relation)?);
        }
        if let Some(subject) = subject.filter(|&subject| subject != "*") {
            filter.subject = Some(match (subject.strip_suffix(':'), subject.strip_suffix('#')) {
                (Some(subject_type), _) => {
                    check_type_name(subject_type)?;
                    SubjectFilter::Type(subject_type.into())
                }
                (None, Some(object)) => SubjectFilter::Naming(ObjectRef::parse(object)?.to_owned()),
                (None, None) => SubjectFilter::Subject(SubjectRef::parse(subject)?.to_owned()),
            });
        }
        Ok(filter)
    }
}

/// Where the `@` is that begins the subject. A relation holds none, so behind a relation it is the first; an id may
/// hold some, so behind an object alone it is the last one before the `:` of the subject.
fn subject_start(text: &str) -> Option<usize> {
    let id = match text.find(':') {
        Some(colon) if !text.starts_with(['#', '@']) => colon + 1,
        _ => return text.find('@'),
    };
    let colon = text[id..].find(':').map(|at| id + at);
    match text[id..].find('#').map(|at| id + at) {
        Some(hash) if colon.is_none_or(|colon| hash < colon) => text[hash..].find('@').map(|at| hash + at),
        _ => text[id..colon?].rfind('@').map(|at| id + at),
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
            Some(SubjectFilter::Naming(object)) => write!(f, "@{object}#"),
        }
    }
}
