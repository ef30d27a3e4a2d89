//! Batch check: several checks of one view. What several of them read is read once.

use std::collections::HashMap;

use super::error::EngineError;
use super::given::Given;
use super::view::View;
use crate::eval;
use crate::storage::Remembered;
use crate::tuple::TupleKey;

/// One of several checks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BatchItem {
    /// Object, relation and subject.
    pub tuple: TupleKey,
    /// What counts for this one alone.
    pub given: Given,
}

impl View<'_> {
    /// Whether each is allowed, in the same order. The error of one does not concern the others; equal ones are asked
    /// once.
    pub fn batch_check(&self, items: &[BatchItem]) -> Vec<Result<bool, EngineError>> {
        let limits = &self.engine.settings().limits;
        let state = Remembered::new(&self.state);
        let mut allowed: HashMap<&BatchItem, bool> = HashMap::new();
        let answers = items.iter().map(|item| {
            if let Some(&allowed) = allowed.get(item) {
                return Ok(allowed);
            }
            let (tuple, context) = (item.tuple.as_ref(), &item.given.context);
            let answer = match self.decided(tuple, &item.given) {
                Some(allowed) => allowed,
                None => self.over(&state, &item.given.tuples, |state| {
                    Ok(eval::check(&self.program, state, tuple, context, limits)?.allowed)
                })?,
            };
            allowed.insert(item, answer);
            Ok(answer)
        });
        answers.collect()
    }
}
