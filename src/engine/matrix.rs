//! Matrix: which role gives which permission, under a schema of a store.

use super::error::EngineError;
use super::view::View;
use crate::analysis::{self, Table};
use crate::eval::EvalError;
use crate::storage::look_at_clock;

impl View<'_> {
    /// The matrix of a type, or of every type that has permissions.
    ///
    /// # Errors
    /// The schema does not have the type, or the request's time is over.
    pub fn matrix(&self, object_type: Option<&str>) -> Result<Vec<Table>, EngineError> {
        let schema = self.program.schema();
        let index = match object_type {
            None => None,
            Some(name) => Some(schema.type_named(name).ok_or_else(|| EvalError::UnknownType {
                name: name.to_owned(),
                help: schema.instead_of_type(name),
            })?),
        };
        let tables = analysis::matrix_while(&self.program, index, &[], &look_at_clock)?;
        Ok(tables.iter().map(analysis::Matrix::table).collect())
    }
}
