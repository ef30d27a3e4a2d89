//! Who can do what, as lines.

use serde::{Deserialize, Serialize};

use super::{standing_text, subject_text};
use crate::engine::{Access, AuditAnswer, Engine};

/// Who can do what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditForm {
    /// By subject, or by object and permission.
    pub lines: Vec<AccessForm>,
    /// The state, or the last one.
    pub token: String,
    /// The schema of that state.
    pub schema: String,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessForm {
    /// Of who can do something: the subject, or `user:*` for everybody of the type who is not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Of what a subject can do: on what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// And what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// `yes`, `if …`, and `no` beside everybody's yes.
    pub answer: String,
    /// Between two times: since when, within them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Until when; none: it was so to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl AuditForm {
    /// The form of an answer.
    pub fn of(engine: &Engine, answer: &AuditAnswer) -> AuditForm {
        let lines = answer.lines.iter().map(|(access, time)| {
            let (subject, object, permission, standing) = match access {
                Access::Holder(it) => {
                    let subject = subject_text(&it.subject_type, it.subject.as_deref());
                    (Some(subject), None, None, &it.standing)
                }
                Access::Held(it) => {
                    (None, Some(it.object.to_string()), Some(it.relation.to_string()), &it.standing)
                }
            };
            AccessForm {
                subject,
                object,
                permission,
                answer: standing_text(standing),
                since: time.map(|(since, _)| since.to_string()),
                until: time.and_then(|(_, until)| until).map(|until| until.to_string()),
            }
        });
        let lines = lines.collect();
        AuditForm { lines, token: engine.seal(&answer.token), schema: answer.schema.to_string() }
    }
}
