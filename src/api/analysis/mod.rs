//! What the analyses say, in one form for answers over HTTP and for the command line.

mod audit;
mod diff;
mod explain;

pub use audit::{AccessForm, AuditForm};
pub use diff::{
    DiffCountsForm, DiffDetail, DiffEvent, DiffLineForm, DiffLinesForm, DiffRowForm, DiffSummaryForm,
    DiffUsersetForm, DiffWorkForm, access_diff,
};
pub use explain::{BlockForm, ExplanationForm, MissForm, ProofForm, WhyForm, WrittenForm};

use crate::engine::Standing;

/// `no`, `yes`, or `if …`.
fn standing_text(standing: &Standing) -> String {
    match standing {
        Standing::No => "no".to_owned(),
        Standing::Yes => "yes".to_owned(),
        Standing::If(when) => format!("if {when}"),
    }
}

/// `user:anne`; everybody of the type who is not named: `user:*`.
fn subject_text(subject_type: &str, subject: Option<&str>) -> String {
    format!("{subject_type}:{}", subject.unwrap_or("*"))
}
