//! From the tuples of requests to those of the engine.

use serde_json::{Map, Value};

use super::app::App;
use super::error::{ApiError, Code};
use super::fields::{Fields, Form};
use super::translate::tuple_key;
use super::wire::{self, OrEmpty};
use crate::engine::{Context, Given};
use crate::tuple::{ConditionContext, SUBJECT_BYTES_MAX, Timestamp, Tuple, TupleCondition};

/// Looks at the fields of a tuple that is written, or contextual.
pub(super) fn look_at(fields: &mut Fields, key: &wire::TupleKey) {
    let message = Some("TupleKey");
    if key.user.text().len() > SUBJECT_BYTES_MAX {
        fields.wrong_in(message, "User", "value length must be at most 512 bytes");
    }
    fields.form_in(message, "Relation", key.relation.text(), Form::RelationNameOrEmpty);
    fields.form_in(message, "Object", key.object.text(), Form::WordOrEmpty(256));
    if let Some(condition) = &key.condition {
        fields.form_in(Some("RelationshipCondition"), "Name", condition.name.text(), Form::Word(256));
    }
}

/// The same, of contextual tuples.
pub(super) fn look_at_all(
    fields: &mut Fields,
    message: Option<&'static str>,
    field: &str,
    keys: Option<&[wire::TupleKey]>,
    max: usize,
) {
    let keys = keys.unwrap_or_default();
    fields.at_most(message, field, keys.len(), max);
    for key in keys {
        look_at(fields, key);
    }
}

/// The same, of the contextual tuples of most requests; hands them on.
pub(super) fn look_at_contextual<'k>(
    fields: &mut Fields,
    app: &App,
    of: &'k Option<wire::TupleKeys>,
) -> Option<&'k [wire::TupleKey]> {
    let keys = keys(of);
    let max = app.limits.contextual_tuples_max;
    look_at_all(fields, Some("ContextualTupleKeys"), "TupleKeys", keys, max);
    keys
}

/// A tuple that is written, or contextual; `code` is what a bad one is answered with.
pub(super) fn tuple(key: &wire::TupleKey, code: Code) -> Result<Tuple, ApiError> {
    let (user, relation, object) = (key.user.text(), key.relation.text(), key.object.text());
    let bad = |reason: &str| {
        ApiError::new(code, format!("Invalid tuple '{object}#{relation}@{user}'. Reason: {reason}"))
    };
    let condition = match &key.condition {
        None => None,
        Some(condition) => {
            let context = match &condition.context {
                Some(context) => ConditionContext::from_value(&serde_json::Value::Object(context.clone()))
                    .map_err(|error| bad(&error.to_string()))?,
                None => ConditionContext::empty(),
            };
            let condition = TupleCondition::new(condition.name.text(), context);
            Some(condition.map_err(|error| bad(&error.to_string()))?)
        }
    };
    let expires_at: Option<Timestamp> = match &key.expires_at {
        None => None,
        Some(text) => {
            let error = |error: crate::tuple::TimeError| bad(&format!("expires_at: {error}"));
            Some(text.parse().map_err(error)?)
        }
    };
    Ok(Tuple { key: tuple_key(user, relation, object).map_err(bad)?, condition, expires_at })
}

/// Contextual tuples.
pub(super) fn contextual(keys: Option<&[wire::TupleKey]>) -> Result<Vec<Tuple>, ApiError> {
    keys.unwrap_or_default().iter().map(|key| tuple(key, Code::InvalidTuple)).collect()
}

/// Contextual tuples and the context of conditions.
pub(super) fn given(
    keys: Option<&[wire::TupleKey]>,
    context: Option<&Map<String, Value>>,
) -> Result<Given, ApiError> {
    let context = context.cloned().map(Context::new).unwrap_or_default();
    Ok(Given { tuples: contextual(keys)?, context })
}

/// The contextual tuples of most requests.
pub(super) fn keys(of: &Option<wire::TupleKeys>) -> Option<&[wire::TupleKey]> {
    of.as_ref()?.tuple_keys.as_deref()
}
