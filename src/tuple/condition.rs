//! The condition that a tuple may carry: its name and the part of its context that is stored.

use std::fmt;

use super::error::{Part, TupleError};
use super::name::check_condition_name;

/// Longest stored context, in bytes of its text.
pub const CONTEXT_BYTES_MAX: usize = 32_768;

/// The condition on a tuple. It is no part of the tuple's identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TupleCondition {
    name: Box<str>,
    context: ConditionContext,
}

/// The stored context of a condition: a JSON object, kept as text with sorted keys, so that equal contexts are
/// equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConditionContext(Box<str>);

impl TupleCondition {
    /// A condition by its name, with its context.
    pub fn new(name: &str, context: ConditionContext) -> Result<TupleCondition, TupleError> {
        check_condition_name(name)?;
        Ok(TupleCondition { name: name.into(), context })
    }

    /// A condition as a stored value holds it: checked when it was written.
    pub(crate) fn from_checked(name: &str, context: &str) -> TupleCondition {
        TupleCondition { name: name.into(), context: ConditionContext(context.into()) }
    }

    /// The name, as the schema declares it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stored context.
    pub fn context(&self) -> &ConditionContext {
        &self.context
    }
}

impl ConditionContext {
    /// The context without any key.
    pub fn empty() -> ConditionContext {
        ConditionContext("{}".into())
    }

    /// Reads a JSON object.
    pub fn from_json(text: &str) -> Result<ConditionContext, TupleError> {
        let help = "write a JSON object such as {\"region\":\"eu\"}";
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|_| TupleError::new(Part::Context, "is not JSON", text, help))?;
        ConditionContext::from_value(&value)
    }

    /// Takes a JSON value, which has to be an object of at most 32,768 bytes.
    pub fn from_value(value: &serde_json::Value) -> Result<ConditionContext, TupleError> {
        let text = value.to_string();
        if !value.is_object() {
            let help = "write a JSON object such as {\"region\":\"eu\"}";
            return Err(TupleError::new(Part::Context, "is not a JSON object", &text, help));
        }
        if text.len() > CONTEXT_BYTES_MAX {
            return Err(TupleError::new(Part::Context, "is too long", &text, "use at most 32,768 bytes"));
        }
        Ok(ConditionContext(text.into()))
    }

    /// The JSON text, keys sorted.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        &*self.0 == "{}"
    }
}

impl fmt::Display for TupleCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.context.is_empty() {
            write!(f, " {}", self.context.0)?;
        }
        Ok(())
    }
}
