//! JSON forms of changes of the schema, which the server answers and `--format json` prints alike.

use serde::{Deserialize, Serialize};

use crate::engine::{ApplyAnswer, ApplyReport, Engine, Rejection, RemovedAnswer, TupleGroup, TupleGroups};
use crate::tuple::Tuple;

/// Tuples of one relation and one kind of subject that a schema does not let in for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TupleGroupForm {
    /// `doc#viewer`.
    pub relation: String,
    /// `user`, `user:*` or `group#member`.
    pub subject: String,
    /// The reason by name, such as `unknown_relation` or `not_allowed`.
    pub code: String,
    /// The reason of the first of them.
    pub reason: String,
    /// How many there are.
    pub tuples: u64,
    /// The first ten.
    pub sample: Vec<String>,
}

/// Tuples that a schema does not let in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TupleGroupsForm {
    /// How many there are.
    pub tuples: u64,
    /// By relation, kind of subject and reason.
    pub groups: Vec<TupleGroupForm>,
}

/// What a change of the schema does, and what it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyForm {
    /// Whether it was made.
    pub applied: bool,
    /// Tuples that count no longer.
    pub silenced: TupleGroupsForm,
    /// Tuples that move to another name.
    pub moved: u64,
    /// Tuples of the request that are written.
    pub written: u64,
    /// Tuples of the request that are deleted.
    pub deleted: u64,
    /// The id of the new schema; none: there is none, or nothing was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The store's revision afterwards; none: nothing was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The state it left; none: nothing was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A stored tuple that a schema does not let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanForm {
    /// The tuple, in its text form.
    pub tuple: String,
    /// The reason by name.
    pub code: String,
    /// The reason.
    pub reason: String,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedForm {
    /// Tuples removed.
    pub removed: u64,
    /// The store's revision afterwards.
    pub revision: u64,
}

impl From<&TupleGroup> for TupleGroupForm {
    fn from(group: &TupleGroup) -> TupleGroupForm {
        TupleGroupForm {
            relation: group.relation.clone(),
            subject: group.subject.clone(),
            code: group.code.to_owned(),
            reason: group.reason.to_string(),
            tuples: group.count,
            sample: group.sample.iter().map(Tuple::to_string).collect(),
        }
    }
}

impl From<&TupleGroups> for TupleGroupsForm {
    fn from(groups: &TupleGroups) -> TupleGroupsForm {
        TupleGroupsForm { tuples: groups.total(), groups: groups.iter().map(Into::into).collect() }
    }
}

impl From<&ApplyReport> for ApplyForm {
    /// Of a change that was not made.
    fn from(report: &ApplyReport) -> ApplyForm {
        ApplyForm {
            applied: false,
            silenced: TupleGroupsForm::from(&report.silenced),
            moved: report.moved,
            written: report.written,
            deleted: report.deleted,
            schema: None,
            revision: None,
            token: None,
        }
    }
}

impl ApplyForm {
    /// With the token in its text form.
    pub fn of(engine: &Engine, answer: &ApplyAnswer) -> ApplyForm {
        let form = ApplyForm::from(&answer.report);
        let Some(applied) = &answer.applied else { return form };
        ApplyForm {
            applied: true,
            schema: applied.schema.map(|id| id.to_string()),
            revision: Some(applied.token.revision.0),
            token: Some(engine.seal(&applied.token)),
            ..form
        }
    }
}

impl OrphanForm {
    /// A tuple with why it is one.
    pub fn new(tuple: &Tuple, reason: &Rejection) -> OrphanForm {
        OrphanForm { tuple: tuple.to_string(), code: reason.code().to_owned(), reason: reason.to_string() }
    }
}

impl From<&RemovedAnswer> for RemovedForm {
    fn from(answer: &RemovedAnswer) -> RemovedForm {
        RemovedForm { removed: answer.removed, revision: answer.token.revision.0 }
    }
}
