//! Tuples as JSON or YAML objects, with the wire's names and ours.

use std::borrow::Cow;

use serde::Deserialize;

use super::{BulkTuple, Reason};
use crate::tuple::{ConditionContext, Tuple, TupleCondition, TupleRef};

/// A tuple as files write it: `{"user": …, "relation": …, "object": …}`; `subject` is accepted for `user`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TupleJson {
    #[serde(alias = "subject")]
    user: String,
    relation: String,
    object: String,
    #[serde(default)]
    condition: Option<ConditionJson>,
    #[serde(default)]
    expires_at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionJson {
    name: String,
    #[serde(default)]
    context: Option<serde_json::Value>,
}

impl TupleJson {
    /// The tuple, checked.
    ///
    /// # Errors
    /// Which part is wrong, and what would be right.
    pub fn into_tuple(self) -> Result<Tuple, String> {
        let limits = limits(self.condition, self.expires_at.as_deref());
        let tuple = limits.and_then(|limits| {
            Ok(limits.of(TupleRef::from_parts(&self.object, &self.relation, &self.user)?).into_owned())
        });
        tuple.map_err(|reason| reason.to_string())
    }
}

/// An entry of a file, borrowed from its text where nothing is escaped: a tuple, or a tuple and when it was written, as
/// OpenFGA's read gives it. What has to be there is asked for by [`Entry::tuple`], which says it better.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry<'a> {
    #[serde(borrow, default)]
    key: Option<Box<Entry<'a>>>,
    /// Read over: an import is written when it is made.
    #[serde(default, rename = "timestamp")]
    _timestamp: Option<serde::de::IgnoredAny>,
    #[serde(borrow, default, alias = "subject")]
    user: Option<Text<'a>>,
    #[serde(borrow, default)]
    relation: Option<Text<'a>>,
    #[serde(borrow, default)]
    object: Option<Text<'a>>,
    #[serde(default)]
    condition: Option<ConditionJson>,
    #[serde(borrow, default)]
    expires_at: Option<Text<'a>>,
}

/// Serde borrows a `Cow` only where it stands by itself.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What limits a tuple.
struct Limits {
    condition: Option<TupleCondition>,
    expires_at: Option<crate::tuple::Timestamp>,
}

impl Limits {
    fn of(self, key: TupleRef<'_>) -> BulkTuple<'_> {
        BulkTuple { key, condition: self.condition, expires_at: self.expires_at }
    }
}

const HELP: &str = "write {\"object\":\"voice:7\",\"relation\":\"viewer\",\"user\":\"user:anne\"}";

/// Reads a JSON object.
pub(super) fn entry(text: &str) -> Result<Entry<'_>, Reason> {
    serde_json::from_str(text).or_else(|error| from_nested(text, &error))
}

/// Levels that an entry has around the context of its condition.
const LEVELS_AROUND: usize = 8;
/// Levels that the JSON reader follows by itself.
const LEVELS_MAX: usize = 128;

/// Reads what is nested as deep as a context may be: it is deeper in an entry than by itself.
fn from_nested<'a>(text: &'a str, error: &serde_json::Error) -> Result<Entry<'a>, Reason> {
    if !(LEVELS_MAX..LEVELS_MAX + LEVELS_AROUND).contains(&levels(text)) {
        return Err(problem(error));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let entry = Entry::deserialize(&mut reader).map_err(|error| problem(&error))?;
    reader.end().map_err(|error| problem(&error))?;
    Ok(entry)
}

/// How deep the brackets of a JSON text nest.
fn levels(text: &str) -> usize {
    let (mut level, mut deepest) = (0_usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What serde found, without its place in the file: that is told already.
pub(super) fn problem(error: &serde_json::Error) -> Reason {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    let (kind, at) = match error.classify() {
        serde_json::error::Category::Data => ("is JSON of another form", String::new()),
        _ => ("is not JSON", format!(" at column {}", error.column())),
    };
    Reason::new(kind, format!("{what}{at}: {HELP}")).below(error.line().saturating_sub(1) as u64)
}

impl<'a> Entry<'a> {
    /// The tuple, checked. Names that are not as in the file, because they are escaped there, are put into `names`.
    pub(super) fn tuple(self, names: &'a mut String) -> Result<BulkTuple<'a>, Reason> {
        let fields = match self.key {
            None => self,
            Some(key) => {
                let is_more = self.user.is_some() || self.relation.is_some() || self.object.is_some();
                if is_more || self.condition.is_some() || key.key.is_some() {
                    let text = format!("has `key` beside other fields of a tuple: leave one out; {HELP}");
                    return Err(Reason::new("is JSON of another form", text));
                }
                *key
            }
        };
        let missing = |name: &str| Reason::new("lacks a field", format!("missing field `{name}`: {HELP}"));
        let user = fields.user.ok_or_else(|| missing("user"))?.0;
        let relation = fields.relation.ok_or_else(|| missing("relation"))?.0;
        let object = fields.object.ok_or_else(|| missing("object"))?.0;
        let limits = limits(fields.condition, fields.expires_at.as_ref().map(|text| &*text.0))?;
        let (object, relation, user) = borrowed(object, relation, user, names);
        Ok(limits.of(TupleRef::from_parts(object, relation, user)?))
    }
}

/// The three texts of a key, those that are not part of the file put where they last.
fn borrowed<'a>(
    object: Cow<'a, str>,
    relation: Cow<'a, str>,
    user: Cow<'a, str>,
    names: &'a mut String,
) -> (&'a str, &'a str, &'a str) {
    if let (Cow::Borrowed(object), Cow::Borrowed(relation), Cow::Borrowed(user)) = (&object, &relation, &user)
    {
        return (object, relation, user);
    }
    names.clear();
    names.push_str(&object);
    names.push_str(&relation);
    names.push_str(&user);
    let (object, rest) = names.split_at(object.len());
    let (relation, user) = rest.split_at(relation.len());
    (object, relation, user)
}

fn limits(condition: Option<ConditionJson>, expires_at: Option<&str>) -> Result<Limits, Reason> {
    let condition =
        condition.filter(|condition| !condition.name.is_empty()).map(|ConditionJson { name, context }| {
            let context =
                context.map_or(Ok(ConditionContext::empty()), |value| ConditionContext::from_value(&value));
            context.and_then(|context| TupleCondition::new(&name, context))
        });
    let expires_at = expires_at.map(str::parse).transpose()?;
    Ok(Limits { condition: condition.transpose()?, expires_at })
}
