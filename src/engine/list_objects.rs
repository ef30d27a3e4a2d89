//! List objects: on which objects of a type a subject holds a relation.

use std::ops::ControlFlow;

use super::error::EngineError;
use super::view::View;
use crate::eval::{self, ListObjects, Listed};
use crate::tuple::{ObjectRef, Tuple};

impl View<'_> {
    /// Visits the objects, without holding them in memory; some tuples may count for the list alone.
    pub fn list_objects(
        &self,
        request: &ListObjects<'_>,
        contextual: &[Tuple],
        visit: &mut dyn FnMut(ObjectRef<'_>) -> ControlFlow<()>,
    ) -> Result<Listed, EngineError> {
        let limits = &self.engine.settings().limits;
        self.with(contextual, |state| Ok(eval::list_objects(&self.program, state, request, limits, visit)?))
    }
}
