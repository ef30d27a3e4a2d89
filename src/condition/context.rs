//! What a request says about the parameters of conditions.

use std::sync::Arc;

use serde_json::{Map, Value};

/// The context of a request: values of parameters by name. Cheap to copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Context(Option<Arc<Map<String, Value>>>);

impl Context {
    /// From a JSON object.
    pub fn new(values: Map<String, Value>) -> Context {
        Context((!values.is_empty()).then(|| Arc::new(values)))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// As a JSON object.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.as_deref().cloned().unwrap_or_default())
    }
}
