//! A change with its diff, kept until somebody has approved it: what `stonetown write --if-diff` applies.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{DiffDetail, DiffRowForm, DiffSummaryForm};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, form_json, tell};
use crate::cli::remote::may_be_done;
use crate::cli::target::Target;
use crate::engine::{
    AccessDiffRequest, ApplyRequest, At, ChangeSet, Context, DiffLimits, DiffOf, OnDuplicate, OnMissing,
    Precondition, SchemaInput,
};
use crate::tuple::{StoreId, TupleError};

const VERSION: u32 = 1;
/// How often a change is tried whose state has moved on.
const TRIES_MAX: u32 = 5;

/// A change and its diff.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::cli) struct SavedDiff {
    version: u32,
    store: String,
    /// The state that the diff is of.
    token: String,
    revision: u64,
    /// The schema that was in force.
    schema_before: Option<String>,
    /// The one afterwards, in OpenFGA's JSON form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
    writes: Vec<String>,
    deletes: Vec<String>,
    context: Value,
    /// The relations whose tuples the diff depends on.
    depends: Vec<String>,
    /// What came out, for people.
    rows: Vec<DiffRowForm>,
    /// Tells the diff from every other one.
    digest: String,
}

impl SavedDiff {
    pub(super) fn of(request: &AccessDiffRequest, summary: &DiffSummaryForm) -> SavedDiff {
        let change = match &request.of {
            DiffOf::Change { change, .. } => (**change).clone(),
            DiffOf::Times { .. } => ChangeSet::default(),
        };
        let schema = change.schema.as_ref().map(SchemaInput::to_json);
        SavedDiff {
            version: VERSION,
            store: request.store.to_string(),
            token: summary.before.clone(),
            revision: summary.revision,
            schema_before: summary.schema.clone(),
            schema,
            writes: change.writes.iter().map(ToString::to_string).collect(),
            deletes: change.deletes.iter().map(ToString::to_string).collect(),
            context: request.context.to_json(),
            depends: summary.depends.clone(),
            rows: summary.rows.clone(),
            digest: summary.digest.clone(),
        }
    }

    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("the diff cannot be written as JSON")?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write `{}`", file.display()))
    }

    pub(in crate::cli) fn read(file: &Path) -> anyhow::Result<SavedDiff> {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
        let saved: SavedDiff = serde_json::from_str(&text)
            .with_context(|| format!("`{name}` is no diff as `stonetown diff --save` writes it"))?;
        if saved.version != VERSION {
            bail!(
                "`{name}` is of version {}, this program reads version {VERSION}: make the diff again",
                saved.version
            );
        }
        Ok(saved)
    }

    pub(in crate::cli) fn store(&self) -> &str {
        &self.store
    }

    /// Applies the change, if its diff, made again, is still the one that was approved. Where something that it depends on changes
    /// just then, it is made once more.
    pub(in crate::cli) fn apply(
        &self,
        target: &Target,
        store: StoreId,
        out: &mut Output,
    ) -> anyhow::Result<Exit> {
        if store.to_string() != self.store {
            bail!("the diff is of store {}, not of {store}: name that one by `--store`", self.store);
        }
        let change = self.change()?;
        for _ in 0..TRIES_MAX {
            // Always made again: also time that passed can make it another one, when a tuple has ended.
            let request = self.diff_request(store, &change)?;
            let summary = target
                .access_diff(&request, DiffDetail::Summary, &mut |_| std::ops::ControlFlow::Continue(()))?;
            if summary.digest != self.digest || summary.rows.iter().any(|row| row.incomplete > 0) {
                tell(
                    "nothing was changed: the diff is another one now, look at it again with `stonetown diff`",
                );
                return Ok(Exit::No);
            }
            match target.apply(apply_request(store, &change, &summary)?) {
                Ok(form) => {
                    let revision = form.revision.unwrap_or_default();
                    let token = form.token.clone().unwrap_or_default();
                    out.print(
                        || format!("applied, revision {revision}\ntoken {token}"),
                        || form_json(&form),
                    )?;
                    return Ok(Exit::Yes);
                }
                Err(error) if is_touched(&error) => {
                    tell("something that the diff depends on has just changed: making it again");
                }
                // A connection that broke says so itself.
                Err(error) if may_be_done(&error) => return Err(error),
                Err(error) => return Err(error.context("nothing was changed")),
            }
        }
        bail!(
            "nothing was changed: {TRIES_MAX} times something was written meanwhile that the diff depends on: try again"
        )
    }

    fn change(&self) -> anyhow::Result<ChangeSet> {
        let wrong = |text: &str, error: TupleError| anyhow!("the diff's tuple `{text}`: {error}");
        let writes: anyhow::Result<_> =
            self.writes.iter().map(|text| text.parse().map_err(|error| wrong(text, error))).collect();
        let deletes: anyhow::Result<_> =
            self.deletes.iter().map(|text| text.parse().map_err(|error| wrong(text, error))).collect();
        Ok(ChangeSet {
            schema: self.schema.clone().map(SchemaInput::Json),
            writes: writes?,
            deletes: deletes?,
        })
    }

    fn diff_request(&self, store: StoreId, change: &ChangeSet) -> anyhow::Result<AccessDiffRequest> {
        let context = self.context.as_object().cloned().map(Context::new).unwrap_or_default();
        Ok(AccessDiffRequest {
            store,
            of: DiffOf::Change { at: At::Head, change: Box::new(change.clone()) },
            context,
            // A diff of some permissions alone is not kept.
            only: Vec::new(),
            limits: DiffLimits::default(),
        })
    }
}

/// Whether a change was refused for what was written since: here and from a server, that is the precondition's own text.
fn is_touched(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("precondition `untouched ")
}

/// What makes the change, if nothing that its diff depends on has changed since.
fn apply_request(
    store: StoreId,
    change: &ChangeSet,
    summary: &DiffSummaryForm,
) -> anyhow::Result<ApplyRequest> {
    let relations =
        summary.depends.iter().map(String::as_str).chain(["schema"]).collect::<Vec<_>>().join(",");
    let untouched: Precondition = format!("untouched {relations} since {}", summary.before)
        .parse()
        .context("the diff's relations cannot be read")?;
    Ok(ApplyRequest {
        store,
        schema: change.schema.clone(),
        renames: Vec::new(),
        writes: change.writes.clone(),
        deletes: change.deletes.clone(),
        preconditions: vec![untouched],
        on_duplicate: OnDuplicate::Replace,
        on_missing: OnMissing::Error,
        // Whoever loses by it is in the diff.
        allow_silenced: true,
        is_trial: false,
    })
}
