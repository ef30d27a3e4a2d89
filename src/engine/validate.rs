//! Validate: hold every family of the data directory against the others.

use super::Engine;
use super::error::EngineError;
use crate::storage::Validation;

impl Engine {
    /// Validates the whole data directory. `progress` is told what is being read.
    pub fn validate(&self, progress: &mut dyn FnMut(&str)) -> Result<Validation, EngineError> {
        Ok(self.database().validate(progress)?)
    }
}
