//! Check: does a subject hold a relation on an object.

use super::Engine;
use super::at::At;
use super::decisions::{self, Decisions};
use super::error::EngineError;
use super::given::Given;
use super::view::View;
use crate::eval::{self, Answer, EvalError, Limits, Work};
use crate::storage::step;
use crate::tuple::{SchemaId, StoreId, Token, TupleRef};

/// A check.
#[derive(Debug, Clone)]
pub struct CheckRequest<'q> {
    /// In which store.
    pub store: StoreId,
    /// Object, relation and subject.
    pub tuple: TupleRef<'q>,
    /// Under which schema; none: the one in force.
    pub schema: Option<SchemaId>,
    /// What counts for this question alone.
    pub given: Given,
    /// In which state.
    pub at: At,
}

/// The answer to a check.
#[derive(Debug, Clone)]
pub struct CheckAnswer {
    /// Whether the subject holds the relation.
    pub allowed: bool,
    /// The state and time it was answered at: asking there again gives the same answer.
    pub token: Token,
    /// The schema it was answered under.
    pub schema: SchemaId,
    /// What it took.
    pub work: Work,
}

impl Engine {
    /// Answers a check in one state, under one snapshot.
    pub fn check(&self, request: CheckRequest<'_>) -> Result<CheckAnswer, EngineError> {
        let view = self.brief_view(request.store, request.schema, &request.at)?;
        let answer = view.check(request.tuple, &request.given)?;
        Ok(CheckAnswer {
            allowed: answer.allowed,
            token: view.token(),
            schema: view.schema(),
            work: answer.work,
        })
    }
}

impl View<'_> {
    /// Answers a check.
    pub fn check(&self, tuple: TupleRef<'_>, given: &Given) -> Result<Answer, EngineError> {
        self.check_under(&self.engine.settings().limits, tuple, given)
    }

    /// The same, when it takes at most so many reads; none: it takes more.
    pub fn check_within(
        &self,
        reads_max: u64,
        tuple: TupleRef<'_>,
        given: &Given,
    ) -> Result<Option<Answer>, EngineError> {
        let limits = Limits { reads_max, ..self.engine.settings().limits };
        match self.check_under(&limits, tuple, given) {
            Err(EngineError::Eval(EvalError::TooManyReads(_))) => Ok(None),
            other => other.map(Some),
        }
    }

    fn check_under(
        &self,
        limits: &Limits,
        tuple: TupleRef<'_>,
        given: &Given,
    ) -> Result<Answer, EngineError> {
        let Some((decisions, state)) = self.decisions(given).zip(self.state.track()) else {
            return self.with(&given.tuples, |state| {
                Ok(eval::check(&self.program, state, tuple, &given.context, limits)?)
            });
        };
        let key = decisions::key(self.store.number, self.schema(), tuple);
        if let Some(allowed) = decisions.find(&key, &self.state) {
            return Ok(Answer { allowed, work: Work::default() });
        }
        let evaluate = || eval::check(&self.program, &state, tuple, &given.context, limits);
        let answer = step("evaluate", evaluate)?;
        if let Some(basis) = state.into_basis() {
            decisions.keep(key, answer.allowed, basis);
        }
        Ok(answer)
    }

    /// What is known to be the answer to a check, without evaluation.
    pub(super) fn decided(&self, tuple: TupleRef<'_>, given: &Given) -> Option<bool> {
        let decisions = self.decisions(given)?;
        decisions.find(&decisions::key(self.store.number, self.schema(), tuple), &self.state)
    }

    /// Where decisions of such a question are kept.
    fn decisions(&self, given: &Given) -> Option<&Decisions> {
        self.engine.shared.decisions.as_ref().filter(|_| given.tuples.is_empty())
    }
}
