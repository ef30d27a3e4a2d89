//! List subjects: who of a type holds a relation on an object. The wire calls it list users.

use std::ops::ControlFlow;

use super::error::EngineError;
use super::view::View;
use crate::eval::{self, Holding, ListSubjects, Listed};
use crate::tuple::{SubjectRef, Tuple};

impl View<'_> {
    /// Visits the subjects; some tuples may count for the list alone.
    pub fn list_subjects(
        &self,
        request: &ListSubjects<'_>,
        contextual: &[Tuple],
        visit: &mut dyn FnMut(SubjectRef<'_>, Holding) -> ControlFlow<()>,
    ) -> Result<Listed, EngineError> {
        let limits = &self.engine.settings().limits;
        self.with(contextual, |state| Ok(eval::list_subjects(&self.program, state, request, limits, visit)?))
    }
}
