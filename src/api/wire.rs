//! What requests say and answers are: OpenFGA's names. Any field may be missing or null; unknown ones are passed over.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::error::ApiError;
use crate::engine::step;
use crate::tuple::Timestamp;

/// Reads the first JSON value of a body; an empty body is an empty object.
pub(super) fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ApiError> {
    let Some(first) = body.iter().position(|b| !b.is_ascii_whitespace()) else { return Ok(T::default()) };
    if body[first] != b'{' {
        return Err(ApiError::validation("syntax error (line 1:1): the body has to be a JSON object"));
    }
    match step("parse", || serde_json::Deserializer::from_slice(body).into_iter::<T>().next()) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.is_eof() => Err(ApiError::validation("malformed JSON")),
        Some(Err(error)) => Err(ApiError::validation(error.to_string())),
        None => Ok(T::default()),
    }
}

/// A message within another: a JSON object, never an array of its fields.
struct Message<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Message<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Message<T>, D::Error> {
        struct Object<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Message<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Message<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Message)
            }
        }
        deserializer.deserialize_any(Object(std::marker::PhantomData))
    }
}

/// A message that may be null.
fn message<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Message<T>>::deserialize(deserializer)?.map(|message| message.0))
}

/// A list of messages, none of which may be null.
fn messages<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = Option::<Vec<Message<T>>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(|message| message.0).collect()))
}

/// A number, also as a text.
fn page_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let given = match Option::<Value>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(given) => given,
    };
    let number = match &given {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let wrong = || serde::de::Error::custom(format_args!("invalid value for int32 field page_size: {given}"));
    number.map(Some).ok_or_else(wrong)
}

/// The value of a field that may be missing.
pub(super) trait OrEmpty {
    /// The text, or an empty one.
    fn text(&self) -> &str;
}

impl OrEmpty for Option<String> {
    fn text(&self) -> &str {
        self.as_deref().unwrap_or("")
    }
}

/// How fresh the answer has to be. Every answer is that of the newest state, decisions that were kept included.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Consistency(Option<Value>);

impl Consistency {
    /// Unknown names are passed over, as OpenFGA does; unknown numbers are not.
    pub(super) fn is_known(&self) -> bool {
        match &self.0 {
            None | Some(Value::Null | Value::String(_)) => true,
            Some(Value::Number(number)) => matches!(number.as_i64(), Some(0 | 100 | 200)),
            Some(_) => false,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct TupleKey {
    pub(super) user: Option<String>,
    pub(super) relation: Option<String>,
    pub(super) object: Option<String>,
    #[serde(deserialize_with = "message")]
    pub(super) condition: Option<Condition>,
    /// Ours: when the tuple ends, RFC 3339.
    pub(super) expires_at: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    pub(super) name: Option<String>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TupleKeys {
    #[serde(deserialize_with = "messages")]
    pub(super) tuple_keys: Option<Vec<TupleKey>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreateStoreRequest {
    pub(super) name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WriteRequest {
    #[serde(deserialize_with = "message")]
    pub(super) writes: Option<Writes>,
    #[serde(deserialize_with = "message")]
    pub(super) deletes: Option<Deletes>,
    pub(super) authorization_model_id: Option<String>,
    /// Ours: what has to be true before, each as `stonetown write --if` takes it.
    pub(super) preconditions: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Writes {
    #[serde(deserialize_with = "messages")]
    pub(super) tuple_keys: Option<Vec<TupleKey>>,
    pub(super) on_duplicate: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deletes {
    #[serde(deserialize_with = "messages")]
    pub(super) tuple_keys: Option<Vec<TupleKey>>,
    pub(super) on_missing: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReadRequest {
    #[serde(deserialize_with = "message")]
    pub(super) tuple_key: Option<TupleKey>,
    /// Ours, instead of a tuple key: `[TYPE:[ID]][#RELATION][@SUBJECT]`.
    pub(super) filter: Option<String>,
    #[serde(deserialize_with = "page_size")]
    pub(super) page_size: Option<i64>,
    pub(super) continuation_token: Option<String>,
    pub(super) consistency: Consistency,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckRequest {
    #[serde(deserialize_with = "message")]
    pub(super) tuple_key: Option<TupleKey>,
    #[serde(deserialize_with = "message")]
    pub(super) contextual_tuples: Option<TupleKeys>,
    pub(super) authorization_model_id: Option<String>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
    pub(super) consistency: Consistency,
    /// Ours: the answer says since when and until when it is the same.
    pub(super) period: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BatchCheckRequest {
    #[serde(deserialize_with = "messages")]
    pub(super) checks: Option<Vec<BatchCheckItem>>,
    pub(super) authorization_model_id: Option<String>,
    pub(super) consistency: Consistency,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BatchCheckItem {
    #[serde(deserialize_with = "message")]
    pub(super) tuple_key: Option<TupleKey>,
    #[serde(deserialize_with = "message")]
    pub(super) contextual_tuples: Option<TupleKeys>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
    pub(super) correlation_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExpandRequest {
    #[serde(deserialize_with = "message")]
    pub(super) tuple_key: Option<TupleKey>,
    pub(super) authorization_model_id: Option<String>,
    pub(super) consistency: Consistency,
    #[serde(deserialize_with = "message")]
    pub(super) contextual_tuples: Option<TupleKeys>,
    /// Ours: over how many hops usersets and parents are followed; 0: none.
    pub(super) depth: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListObjectsRequest {
    #[serde(rename = "type")]
    pub(super) object_type: Option<String>,
    pub(super) relation: Option<String>,
    pub(super) user: Option<String>,
    #[serde(deserialize_with = "message")]
    pub(super) contextual_tuples: Option<TupleKeys>,
    pub(super) authorization_model_id: Option<String>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
    pub(super) consistency: Consistency,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListUsersRequest {
    #[serde(deserialize_with = "message")]
    pub(super) object: Option<Object>,
    pub(super) relation: Option<String>,
    #[serde(deserialize_with = "messages")]
    pub(super) user_filters: Option<Vec<UserFilter>>,
    #[serde(deserialize_with = "messages")]
    pub(super) contextual_tuples: Option<Vec<TupleKey>>,
    pub(super) authorization_model_id: Option<String>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
    pub(super) consistency: Consistency,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    #[serde(rename = "type")]
    pub(super) object_type: Option<String>,
    pub(super) id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UserFilter {
    #[serde(rename = "type")]
    pub(super) user_type: Option<String>,
    pub(super) relation: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WriteAssertionsRequest {
    #[serde(deserialize_with = "messages")]
    pub(super) assertions: Option<Vec<Assertion>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Assertion {
    #[serde(deserialize_with = "message")]
    pub(super) tuple_key: Option<TupleKey>,
    pub(super) expectation: Option<bool>,
    #[serde(deserialize_with = "messages")]
    pub(super) contextual_tuples: Option<Vec<TupleKey>>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
}

/// A store, as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct Store {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
}

/// A tuple, as it is answered.
pub(super) fn tuple_json(tuple: &crate::tuple::Tuple) -> Value {
    let condition = tuple.condition.as_ref().map(|condition| {
        // It was JSON when it was written.
        let context: Value = serde_json::from_str(condition.context().as_str()).unwrap_or(Value::Null);
        serde_json::json!({ "name": condition.name(), "context": context })
    });
    let mut json = serde_json::json!({
        "user": tuple.key.subject.to_string(),
        "relation": tuple.key.relation.as_str(),
        "object": tuple.key.object.to_string(),
        "condition": condition,
    });
    if let Some(end) = tuple.expires_at {
        json["expires_at"] = Value::String(time(end));
    }
    json
}

/// A time, as it is answered: RFC 3339 with 0, 3 or 6 digits behind the second.
pub(super) fn time(time: Timestamp) -> String {
    let text = time.to_string();
    let Some((second, digits)) = text.trim_end_matches('Z').split_once('.') else { return text };
    let width = if digits.len() <= 3 { 3 } else { 6 };
    format!("{second}.{digits:0<width$}Z")
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RetentionRequest {
    pub(super) retention: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CollectRequest {
    pub(super) before: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeleteTuplesRequest {
    pub(super) filter: Option<String>,
    pub(super) object: Option<String>,
    pub(super) step: Option<u64>,
    pub(super) dry_run: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PurgeRequest {
    pub(super) object: Option<String>,
    pub(super) compact: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BackupRequest {
    pub(super) directory: Option<String>,
    pub(super) keep: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApplyRequest {
    /// OpenFGA's JSON form.
    pub(super) schema: Option<serde_json::Map<String, Value>>,
    #[serde(deserialize_with = "messages")]
    pub(super) renames: Option<Vec<RenameItem>>,
    #[serde(deserialize_with = "message")]
    pub(super) writes: Option<Writes>,
    #[serde(deserialize_with = "message")]
    pub(super) deletes: Option<Deletes>,
    pub(super) preconditions: Option<Vec<String>>,
    pub(super) dry_run: Option<bool>,
    pub(super) allow_silenced: Option<bool>,
}

/// Either of a type, or of a relation as `TYPE#RELATION`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RenameItem {
    #[serde(rename = "type")]
    pub(super) object_type: Option<String>,
    pub(super) relation: Option<String>,
    pub(super) to: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OrphansRequest {
    /// OpenFGA's JSON form.
    pub(super) schema: Option<serde_json::Map<String, Value>>,
    pub(super) schema_id: Option<String>,
    pub(super) limit: Option<u64>,
}

/// Either a change, or two times.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AccessDiffRequest {
    /// OpenFGA's JSON form.
    pub(super) schema: Option<serde_json::Map<String, Value>>,
    #[serde(deserialize_with = "message")]
    pub(super) writes: Option<Writes>,
    #[serde(deserialize_with = "message")]
    pub(super) deletes: Option<Deletes>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) now: Option<String>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
    /// Permissions, each as `TYPE#RELATION`.
    pub(super) only: Option<Vec<String>>,
    /// `lines`, `counts` or `summary`.
    pub(super) detail: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExplainRequest {
    #[serde(deserialize_with = "message")]
    pub(super) tuple_key: Option<TupleKey>,
    #[serde(deserialize_with = "message")]
    pub(super) contextual_tuples: Option<TupleKeys>,
    pub(super) authorization_model_id: Option<String>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
    pub(super) proofs: Option<u64>,
    pub(super) near_misses: Option<u64>,
}

/// Either who holds a relation of an object, or what a subject holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuditRequest {
    pub(super) object: Option<String>,
    pub(super) relation: Option<String>,
    pub(super) subject: Option<String>,
    /// Permissions, each as `TYPE#RELATION`.
    pub(super) only: Option<Vec<String>>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) context: Option<serde_json::Map<String, Value>>,
}
