//! Answers: check, expand, list objects and list subjects, over any [`TupleReader`].
//!
//! **Meaning.** A check is yes exactly when it is true in the well-founded model of the schema's rules over the tuples
//! that are valid under the schema (Van Gelder, Ross, Schlipf: *The well-founded semantics for general logic
//! programs*, 1991): cycles in data prove nothing, and what could be true only through its own denial is no.
//!
//! **Depth.** A subproblem is `object#relation` for the subject asked about. Its distance is the least number of hops
//! (from a tuple's userset, or over a parent) that lead to it from the question, by any dependency. Subproblems
//! farther away than the limit are not evaluated: where the answer hangs on one, it is an error, never a no.
//!
//! **Conditions.** A tuple whose condition is false does not exist. Where a condition cannot be evaluated, the tuple may or
//! may not exist: the answer is the one that both ways give (Kleene's three values), else the error.
//!
//! Two ways lead to the same meaning: relations whose graph holds only unions are walked breadth-first with one visited
//! set (`walk`); everywhere else the subproblems are laid out as a graph of formulas and solved (`solve`).

mod backward;
mod conditions;
mod error;
mod expand;
mod ground;
mod list_objects;
mod list_subjects;
mod meter;
mod named;
mod program;
mod solve;
mod sorted;
mod walk;

pub use error::EvalError;
pub use expand::{ExpandNode, Expansion, Follow, UsersetNode, expand};
pub use list_objects::{ListEnd, ListObjects, Listed, Resume, list_objects};
pub use list_subjects::{Holding, ListSubjects, list_subjects};
pub use meter::{Limits, Work};
pub use program::{Program, Question};
pub use sorted::lists_sorted;

use crate::condition::{ConditionError, Context};
use crate::storage::TupleReader;
use crate::tuple::TupleRef;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Whether the subject holds the relation on the object.
    pub allowed: bool,
    /// What it took to find out.
    pub work: Work,
}

/// A decision where the values of conditions' parameters may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The subject does not hold the relation, whatever the missing values are.
    No,
    /// It depends on missing values. (Or seems to: that two conditions are never true together is not seen.)
    Conditional {
        /// The first condition that it depends on.
        condition: Box<str>,
        /// The parameters of it that are missing.
        missing: Vec<Box<str>>,
    },
    /// The subject holds the relation, whatever the missing values are.
    Yes,
}

/// The same as [`check`], where missing values make an answer conditional rather than an error.
///
/// # Errors
/// As [`check`]; a condition that fails for another reason than a missing value.
pub fn decide(
    program: &Program,
    state: &dyn TupleReader,
    tuple: TupleRef<'_>,
    context: &Context,
    limits: &Limits,
) -> Result<Decision, EvalError> {
    match check(program, state, tuple, context, limits) {
        Ok(Answer { allowed: true, .. }) => Ok(Decision::Yes),
        Ok(Answer { allowed: false, .. }) => Ok(Decision::No),
        Err(EvalError::Condition { condition, cause: ConditionError::Missing(missing), .. }) => {
            Ok(Decision::Conditional { condition, missing })
        }
        Err(error) => Err(error),
    }
}

/// Whether a subject holds a relation on an object, in one state; the context has the values of conditions' parameters.
///
/// # Errors
/// Names that the schema does not have, a limit that was reached before the answer was known, or storage.
pub fn check(
    program: &Program,
    state: &dyn TupleReader,
    tuple: TupleRef<'_>,
    context: &Context,
    limits: &Limits,
) -> Result<Answer, EvalError> {
    check_named(program, state, tuple, context, limits, named::Named::default())
}

/// The same, with what is known of where the subject is named.
fn check_named(
    program: &Program,
    state: &dyn TupleReader,
    tuple: TupleRef<'_>,
    context: &Context,
    limits: &Limits,
    named: named::Named,
) -> Result<Answer, EvalError> {
    let question = Question::resolve(program.schema(), tuple)?;
    let conditions = conditions::Conditions::new(context);
    let mut meter = meter::Meter::new(state, limits, &conditions);
    let allowed = if program.schema().graph().only_unions(question.relation) {
        walk::check(program, &mut meter, &question, named)?
    } else {
        solve::check(program, &mut meter, &question, named)?
    };
    Ok(Answer { allowed, work: meter.work() })
}
