//! An access diff as lines: one for each relation of an object whose answers differ, and a summary.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{standing_text, subject_text};
use crate::engine::{AccessChange, AccessDiffRequest, DiffFound, DiffLines, Engine, EngineError, digest};

/// How much is told of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiffDetail {
    /// Every line.
    #[default]
    Lines,
    /// How many lines each relation of an object has.
    Counts,
    /// The summary alone.
    Summary,
}

/// What is told on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DiffEvent {
    /// It could not be found out.
    Incomplete {
        /// The object.
        object: String,
        /// The relation.
        permission: String,
        /// Why not.
        incomplete: String,
    },
    /// The answers differ.
    Lines {
        /// The object.
        object: String,
        /// The relation.
        permission: String,
        /// Who.
        #[serde(flatten)]
        lines: Rc<DiffLinesForm>,
    },
}

/// Who gains and loses one relation of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLinesForm {
    /// How many lines there are.
    pub counts: DiffCountsForm,
    /// The lines, by change, type and id; everybody not named first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<DiffLineForm>,
    /// Usersets whose members are all among the lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usersets: Vec<DiffUsersetForm>,
}

/// Lines by change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffCountsForm {
    /// The answer rises, in no, if, yes.
    pub gained: u64,
    /// It falls.
    pub lost: u64,
    /// It is conditional on other conditions.
    pub changed: u64,
    /// It stays, while that of everybody not named does not.
    pub kept: u64,
}

/// What becomes of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLineForm {
    /// `gained`, `lost`, `changed`, `kept`.
    pub change: String,
    /// `user:anne`, or `user:*` for everybody of the type who is not named.
    pub subject: String,
    /// `no`, `yes`, `if …`.
    pub before: String,
    /// The same after.
    pub after: String,
}

/// A userset by which lines can be told shorter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffUsersetForm {
    /// `gained` or `lost`.
    pub change: String,
    /// `team:x#member`
    pub userset: String,
    /// How many of the lines it accounts for that no larger one does.
    pub count: u64,
}

/// What a diff was of, and what came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffSummaryForm {
    /// The state before.
    pub before: String,
    /// The state after, where it is one of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The schema before; none: there was none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The revision before.
    pub revision: u64,
    /// By type and permission.
    pub rows: Vec<DiffRowForm>,
    /// The relations whose tuples it depends on.
    pub depends: Vec<String>,
    /// Tells it from every other one.
    pub digest: String,
    /// What it took.
    pub work: DiffWorkForm,
}

/// What came out for one permission of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffRowForm {
    /// `voice#viewer`
    pub permission: String,
    /// Objects on which it differs.
    pub objects: u64,
    /// All lines.
    #[serde(flatten)]
    pub counts: DiffCountsForm,
    /// Objects of which it could not be found out.
    pub incomplete: u64,
}

/// What a diff took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffWorkForm {
    /// Objects that were compared.
    pub objects: u64,
    /// Relations of them that were.
    pub places: u64,
    /// Look-ups and rows read.
    pub reads: u64,
    /// How often the memory was full and everything was begun anew.
    pub resets: u64,
    /// Whether whole types were walked through.
    pub scan: bool,
}

/// Forms that are kept: many objects share one.
const KEPT_MAX: usize = 10_000;
/// The lines of all of them together.
const KEPT_LINES_MAX: usize = 500_000;

/// Asks the engine for a diff and tells it in this form.
///
/// # Errors
/// Those of the engine.
pub fn access_diff(
    engine: &Engine,
    request: &AccessDiffRequest,
    detail: DiffDetail,
    visit: &mut dyn FnMut(&DiffEvent) -> ControlFlow<()>,
) -> Result<DiffSummaryForm, EngineError> {
    let mut told =
        Told { detail, kept: HashMap::new(), kept_lines: 0, rows: BTreeMap::new(), digest: String::new() };
    let answer = engine.access_diff(request, &mut |found| match told.tell(&found) {
        Some(event) => visit(&event),
        None => ControlFlow::Continue(()),
    })?;
    let work = answer.diff.work;
    Ok(DiffSummaryForm {
        before: engine.seal(&answer.before),
        after: answer.after.map(|token| engine.seal(&token)),
        schema: answer.schema.map(|schema| schema.to_string()),
        revision: answer.before.revision.0,
        rows: told.rows.into_values().collect(),
        depends: answer.diff.depends.iter().map(|(of, relation)| format!("{of}#{relation}")).collect(),
        digest: told.digest,
        work: DiffWorkForm {
            objects: work.objects,
            places: work.places,
            reads: work.reads,
            resets: work.resets,
            scan: work.is_scan,
        },
    })
}

struct Kept {
    /// Keeps the address from being used again.
    _lines: Rc<DiffLines>,
    form: Rc<DiffLinesForm>,
    digest: String,
}

struct Told {
    detail: DiffDetail,
    /// By the address of the lines.
    kept: HashMap<*const DiffLines, Kept>,
    /// Lines of all of them.
    kept_lines: usize,
    rows: BTreeMap<(String, String), DiffRowForm>,
    digest: String,
}

impl Told {
    fn tell(&mut self, found: &DiffFound<'_>) -> Option<DiffEvent> {
        let (object, permission) = match found {
            DiffFound::Lines { object, permission, .. }
            | DiffFound::Incomplete { object, permission, .. } => (object, (*permission).to_owned()),
        };
        let name = object.to_string();
        let key = (object.object_type().to_owned(), permission.clone());
        let row = self.rows.entry(key).or_insert_with(|| DiffRowForm {
            permission: format!("{}#{permission}", object.object_type()),
            objects: 0,
            counts: DiffCountsForm::default(),
            incomplete: 0,
        });
        match found {
            DiffFound::Incomplete { bound, .. } => {
                row.incomplete += 1;
                self.digest = hex(&[&self.digest, &name, &permission, "incomplete"]);
                let incomplete = bound.to_string();
                Some(DiffEvent::Incomplete { object: name, permission, incomplete })
            }
            DiffFound::Lines { lines, .. } => {
                let counts = counts(lines);
                row.objects += 1;
                row.counts.gained += counts.gained;
                row.counts.lost += counts.lost;
                row.counts.changed += counts.changed;
                row.counts.kept += counts.kept;
                let (form, told) = self.form(lines);
                self.digest = hex(&[&self.digest, &name, &permission, &told]);
                let lines = match self.detail {
                    DiffDetail::Summary => return None,
                    DiffDetail::Counts => Rc::new(DiffLinesForm { counts, ..DiffLinesForm::default() }),
                    DiffDetail::Lines => form,
                };
                Some(DiffEvent::Lines { object: name, permission, lines })
            }
        }
    }

    fn form(&mut self, lines: &Rc<DiffLines>) -> (Rc<DiffLinesForm>, String) {
        if self.kept.len() >= KEPT_MAX || self.kept_lines > KEPT_LINES_MAX {
            self.kept.clear();
            self.kept_lines = 0;
        }
        if !self.kept.contains_key(&Rc::as_ptr(lines)) {
            self.kept_lines += lines.lines.len();
        }
        let kept = self.kept.entry(Rc::as_ptr(lines)).or_insert_with(|| {
            let form = lines_form(lines);
            let mut texts: Vec<String> = Vec::with_capacity(form.lines.len());
            for line in &form.lines {
                texts.push(format!("{}\0{}\0{}\0{}", line.change, line.subject, line.before, line.after));
            }
            let texts: Vec<&str> =
                texts.iter().map(String::as_str).chain([lines.conditions.as_str()]).collect();
            Kept { _lines: Rc::clone(lines), digest: hex(&texts), form: Rc::new(form) }
        });
        (Rc::clone(&kept.form), kept.digest.clone())
    }
}

fn hex(parts: &[&str]) -> String {
    digest(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counts(lines: &DiffLines) -> DiffCountsForm {
    let count = |change| lines.count(change) as u64;
    DiffCountsForm {
        gained: count(AccessChange::Gained),
        lost: count(AccessChange::Lost),
        changed: count(AccessChange::Changed),
        kept: count(AccessChange::Kept),
    }
}

fn change_text(change: AccessChange) -> String {
    match change {
        AccessChange::Gained => "gained",
        AccessChange::Lost => "lost",
        AccessChange::Changed => "changed",
        AccessChange::Kept => "kept",
    }
    .to_owned()
}

fn lines_form(lines: &DiffLines) -> DiffLinesForm {
    let line = |line: &crate::engine::DiffLine| DiffLineForm {
        change: change_text(line.change),
        subject: subject_text(&line.subject_type, line.subject.as_deref()),
        before: standing_text(&line.before),
        after: standing_text(&line.after),
    };
    let userset = |(change, userset, count): &(AccessChange, Box<str>, usize)| DiffUsersetForm {
        change: change_text(*change),
        userset: userset.to_string(),
        count: *count as u64,
    };
    DiffLinesForm {
        counts: counts(lines),
        lines: lines.lines.iter().map(line).collect(),
        usersets: lines.usersets.iter().map(userset).collect(),
    }
}
