//! List subjects: who of a type holds a relation on an object. The wire calls it list users.

use std::ops::ControlFlow;

use super::error::EngineError;
use super::given::Given;
use super::view::View;
use crate::eval::{self, Holding, ListSubjects, Listed};
use crate::tuple::SubjectRef;

impl View<'_> {
    /// Visits the subjects.
    pub fn list_subjects(
        &self,
        request: &ListSubjects<'_>,
        given: &Given,
        visit: &mut dyn FnMut(SubjectRef<'_>, Holding) -> ControlFlow<()>,
    ) -> Result<Listed, EngineError> {
        let limits = &self.engine.settings().limits;
        self.with(&given.tuples, |state| {
            Ok(eval::list_subjects(&self.program, state, request, &given.context, limits, visit)?)
        })
    }
}
