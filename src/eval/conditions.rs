//! Whether tuples with a condition count: evaluated once for each context, errors kept until it shows that the answer hangs
//! on one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::error::EvalError;
use super::program::Program;
use crate::condition::Context;
use crate::schema::resolved::ConditionIndex;
use crate::storage::Row;
use crate::tuple::TupleRef;

/// Whether a tuple counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counts {
    No,
    Yes,
    /// That cannot be told: its condition has this fault.
    Unknown(Fault),
}

/// A condition that could not be evaluated, of a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(Rc<EvalError>);

impl Fault {
    /// The error of a question that hangs on it.
    pub(super) fn error(&self) -> EvalError {
        EvalError::clone(&self.0)
    }
}

/// The conditions of one question.
pub(super) struct Conditions<'a> {
    context: &'a Context,
    known: RefCell<HashMap<(ConditionIndex, Box<str>), Counts>>,
    /// Some have been evaluated since the clock was looked at.
    evaluated: Cell<bool>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(context: &'a Context) -> Conditions<'a> {
        Conditions { context, known: RefCell::default(), evaluated: Cell::new(false) }
    }

    /// Whether a tuple that is valid under the schema counts.
    pub(super) fn counts(&self, program: &Program, tuple: TupleRef<'_>, row: &Row) -> Counts {
        let Some(condition) = &row.condition else { return Counts::Yes };
        let schema = program.schema();
        // A valid tuple has a condition that the schema knows.
        let Some(index) = schema.condition_named(condition.name()) else { return Counts::No };
        let key = (index, condition.context().as_str().into());
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        self.evaluated.set(true);
        let counts = match schema.condition_at(index).compiled.holds(condition.context(), self.context) {
            Ok(true) => Counts::Yes,
            Ok(false) => Counts::No,
            Err(cause) => {
                let (condition, tuple) = (condition.name().into(), Box::new(tuple.to_owned()));
                Counts::Unknown(Fault(Rc::new(EvalError::Condition { condition, tuple, cause })))
            }
        };
        self.known.borrow_mut().insert(key, counts.clone());
        counts
    }

    /// Whether some were evaluated since this was last asked: that takes longer than a read.
    pub(super) fn were_evaluated(&self) -> bool {
        self.evaluated.replace(false)
    }
}
