//! List objects: on which objects of a type a subject holds a relation.

use std::ops::ControlFlow;

use super::error::EngineError;
use super::given::Given;
use super::view::View;
use crate::eval::{self, ListObjects, Listed};
use crate::tuple::ObjectRef;

impl View<'_> {
    /// Visits the objects, without holding them in memory.
    pub fn list_objects(
        &self,
        request: &ListObjects<'_>,
        given: &Given,
        visit: &mut dyn FnMut(ObjectRef<'_>) -> ControlFlow<()>,
    ) -> Result<Listed, EngineError> {
        let limits = &self.engine.settings().limits;
        self.with(&given.tuples, |state| {
            Ok(eval::list_objects(&self.program, state, request, &given.context, limits, visit)?)
        })
    }

    /// Whether the objects are visited in the order of their ids.
    pub fn lists_sorted(&self, object_type: &str, relation: &str) -> Result<bool, EngineError> {
        Ok(eval::lists_sorted(&self.program, object_type, relation)?)
    }
}
