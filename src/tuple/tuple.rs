//! Tuples: `voice:7#viewer@user:anne`, optionally `… with in_hours {"zone":"eu"} until 2027-01-01T00:00:00Z`.

use std::fmt;
use std::str::FromStr;

use super::condition::{ConditionContext, TupleCondition};
use super::error::{Part, TupleError};
use super::name::check_relation_name;
use super::object::{Object, ObjectRef};
use super::revision::Timestamp;
use super::subject::{Subject, SubjectRef};

/// The checked name of a relation.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Relation(Box<str>);

/// The identity of a tuple: object, relation, subject. Condition and expiry are no part of it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TupleKey {
    /// On what.
    pub object: Object,
    /// What is held.
    pub relation: Relation,
    /// Who holds it.
    pub subject: Subject,
}

/// A borrowed [`TupleKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TupleRef<'a> {
    /// On what.
    pub object: ObjectRef<'a>,
    /// What is held.
    pub relation: &'a str,
    /// Who holds it.
    pub subject: SubjectRef<'a>,
}

/// A tuple as it is written: its identity, and what limits it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Object, relation, subject.
    pub key: TupleKey,
    /// Holds only when this is true.
    pub condition: Option<TupleCondition>,
    /// Holds only before this.
    pub expires_at: Option<Timestamp>,
}

const TUPLE_HELP: &str = "write `OBJECT#RELATION@SUBJECT`, for example `voice:7#viewer@user:anne`";

impl Relation {
    /// A relation name, checked.
    pub fn new(name: &str) -> Result<Relation, TupleError> {
        check_relation_name(name)?;
        Ok(Relation(name.into()))
    }

    pub(crate) fn from_checked(name: &str) -> Relation {
        Relation(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TupleKey {
    /// The borrowed form.
    pub fn as_ref(&self) -> TupleRef<'_> {
        TupleRef {
            object: self.object.as_ref(),
            relation: self.relation.as_str(),
            subject: self.subject.as_ref(),
        }
    }

    /// A key from its three texts, each checked.
    pub fn from_parts(object: &str, relation: &str, subject: &str) -> Result<TupleKey, TupleError> {
        Ok(TupleRef::from_parts(object, relation, subject)?.to_owned())
    }
}

impl<'a> TupleRef<'a> {
    /// A key from its three texts, each checked.
    pub fn from_parts(object: &'a str, relation: &'a str, subject: &'a str) -> Result<Self, TupleError> {
        let object = ObjectRef::parse(object)?;
        check_relation_name(relation)?;
        Ok(TupleRef { object, relation, subject: SubjectRef::parse(subject)? })
    }

    /// A key from its text form, checked.
    pub fn parse(text: &'a str) -> Result<TupleRef<'a>, TupleError> {
        // An object has no `#` and a relation no `@`, so the first of each ends its part, whatever the ids hold.
        let (object, rest) = text.split_once('#').ok_or_else(|| {
            TupleError::new(Part::Tuple, "has no `#` before its relation", text, TUPLE_HELP)
        })?;
        let (relation, subject) = rest
            .split_once('@')
            .ok_or_else(|| TupleError::new(Part::Tuple, "has no `@` before its subject", text, TUPLE_HELP))?;
        TupleRef::from_parts(object, relation, subject).map_err(|error| error.within(text))
    }

    /// A whole tuple from its text form `OBJECT#RELATION@SUBJECT[ with CONDITION[ {CONTEXT}]][ until TIME]`, checked:
    /// its key, and what limits it.
    #[allow(clippy::type_complexity, reason = "the three parts of a tuple")]
    pub fn parse_tuple(
        text: &'a str,
    ) -> Result<(TupleRef<'a>, Option<TupleCondition>, Option<Timestamp>), TupleError> {
        let Some((key, mut rest)) = text.split_once(' ') else {
            return Ok((TupleRef::parse(text)?, None, None));
        };
        // When the part before the space is no tuple, the space stands inside the tuple: the whole says it best.
        let key =
            TupleRef::parse(key).or_else(|_| TupleRef::parse(text)).map_err(|error| error.within(text))?;
        let mut limiting = None;
        if let Some(condition) = rest.strip_prefix("with ") {
            // The context may hold any text, the word `until` too: the JSON reader finds its end.
            let (name, after) = condition.split_once(' ').unwrap_or((condition, ""));
            let mut context = ConditionContext::empty();
            rest = after;
            if after.starts_with('{') {
                let mut values = serde_json::Deserializer::from_str(after).into_iter::<serde_json::Value>();
                let help = "write a JSON object such as {\"region\":\"eu\"}";
                let value = match values.next() {
                    Some(Ok(value)) => value,
                    _ => return Err(TupleError::new(Part::Context, "is not JSON", text, help)),
                };
                context = ConditionContext::from_value(&value)?;
                rest = after[values.byte_offset()..].trim_start_matches(' ');
            }
            limiting = Some(TupleCondition::new(name, context).map_err(|error| error.within(text))?);
        }
        let mut expires_at = None;
        if let Some(time) = rest.strip_prefix("until ") {
            let help = "write an RFC 3339 time such as `2027-01-01T00:00:00Z`";
            let time =
                time.parse().map_err(|_| TupleError::new(Part::Expiry, "is not a time", text, help))?;
            expires_at = Some(time);
            rest = "";
        }
        if !rest.is_empty() {
            let help = "after the tuple comes nothing, ` with CONDITION {CONTEXT}` or ` until TIME`";
            return Err(TupleError::new(Part::Tuple, "is followed by something else", text, help));
        }
        Ok((key, limiting, expires_at))
    }

    /// An owned copy.
    pub fn to_owned(&self) -> TupleKey {
        TupleKey {
            object: self.object.to_owned(),
            relation: Relation::from_checked(self.relation),
            subject: self.subject.to_owned(),
        }
    }
}

impl Tuple {
    /// A tuple that holds without condition and for ever.
    pub fn plain(key: TupleKey) -> Tuple {
        Tuple { key, condition: None, expires_at: None }
    }
}

impl From<TupleKey> for Tuple {
    fn from(key: TupleKey) -> Tuple {
        Tuple::plain(key)
    }
}

impl FromStr for TupleKey {
    type Err = TupleError;

    fn from_str(text: &str) -> Result<TupleKey, TupleError> {
        Ok(TupleRef::parse(text)?.to_owned())
    }
}

impl FromStr for Tuple {
    type Err = TupleError;

    /// Reads `OBJECT#RELATION@SUBJECT[ with CONDITION[ {CONTEXT}]][ until TIME]`.
    fn from_str(text: &str) -> Result<Tuple, TupleError> {
        let (key, condition, expires_at) = TupleRef::parse_tuple(text)?;
        Ok(Tuple { key: key.to_owned(), condition, expires_at })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TupleRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}@{}", self.object, self.relation, self.subject)
    }
}

impl fmt::Display for TupleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for TupleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)?;
        if let Some(condition) = &self.condition {
            write!(f, " with {condition}")?;
        }
        if let Some(expires_at) = self.expires_at {
            write!(f, " until {expires_at}")?;
        }
        Ok(())
    }
}
