//! Tuples as JSON or YAML objects, with the wire's names and ours.

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::tuple::{ConditionContext, Tuple, TupleCondition, TupleKey};

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
struct ConditionJson {
    name: String,
    #[serde(default)]
    context: Option<serde_json::Value>,
}

/// As much of an OpenFGA store test as holds the tuples that its tests share.
#[derive(Debug, Deserialize)]
pub(super) struct SharedTuples {
    #[serde(default)]
    pub(super) tuples: Vec<Spanned<TupleJson>>,
}

impl TupleJson {
    /// The tuple, checked.
    ///
    /// # Errors
    /// Which part is wrong, and what would be right.
    pub fn into_tuple(self) -> Result<Tuple, String> {
        let key = TupleKey::from_parts(&self.object, &self.relation, &self.user)
            .map_err(|error| error.to_string())?;
        let mut tuple = Tuple::plain(key);
        if let Some(ConditionJson { name, context }) =
            self.condition.filter(|condition| !condition.name.is_empty())
        {
            let context =
                context.map_or(Ok(ConditionContext::empty()), |value| ConditionContext::from_value(&value));
            let condition = context.and_then(|context| TupleCondition::new(&name, context));
            tuple.condition = Some(condition.map_err(|error| error.to_string())?);
        }
        if let Some(time) = self.expires_at {
            tuple.expires_at =
                Some(time.parse().map_err(|error: crate::tuple::TimeError| error.to_string())?);
        }
        Ok(tuple)
    }
}

pub(super) fn parse_line(line: &str) -> Option<Result<Tuple, String>> {
    if line.trim().is_empty() {
        return None;
    }
    let parsed = serde_json::from_str::<TupleJson>(line).map_err(|error| {
        format!("{error}: write {{\"object\":\"voice:7\",\"relation\":\"viewer\",\"user\":\"user:anne\"}}")
    });
    Some(parsed.and_then(TupleJson::into_tuple))
}
