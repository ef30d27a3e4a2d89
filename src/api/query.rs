//! The parameters of a query string. Unknown ones are passed over; a known one may be given once.

use std::collections::HashMap;

use serde::Deserialize;

use super::error::ApiError;
use crate::tuple::Timestamp;

/// The parameters, each with its values.
#[derive(Debug, Default)]
pub(super) struct Parameters(HashMap<String, Vec<String>>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Parameters, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(deserializer)?;
        let mut parameters = Parameters::default();
        for (name, value) in pairs {
            parameters.0.entry(name).or_default().push(value);
        }
        Ok(parameters)
    }
}

impl Parameters {
    fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.0.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([value]) => Ok(Some(value)),
            Some(values) => {
                let message = format!("too many values for field \"{name}\": {}", values.join(", "));
                Err(ApiError::validation(message))
            }
        }
    }

    /// A text; empty when it is not there.
    pub(super) fn text(&self, name: &str) -> Result<&str, ApiError> {
        Ok(self.one(name)?.unwrap_or(""))
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        text.parse::<i32>().map(|number| Some(i64::from(number))).map_err(|_| {
            ApiError::validation(format!("parsing field \"{name}\": \"{text}\" is not a whole number"))
        })
    }

    /// A time.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|error| ApiError::validation(format!("parsing field \"{name}\": {error}")))
    }
}
