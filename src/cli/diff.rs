//! `stonetown diff`: who gains and loses what by a change, before it is made.

mod forbid;
mod markdown;
mod saved;

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::{Value, json};

pub(super) use saved::SavedDiff;

use super::args::{StoreArgs, parse_context, parse_permission};
use super::exit::Exit;
use super::output::{Misunderstood, Output, tell};
use super::schema::{read_schema_file, render};
use super::target::Target;
use crate::api::{DiffDetail, DiffEvent, DiffLineForm, DiffLinesForm, DiffSummaryForm};
use crate::engine::{AccessDiffRequest, At, ChangeSet, Context, DiffLimits, DiffOf, Permission, SchemaInput};
use crate::tuple::{StoreId, Timestamp, Tuple, TupleKey};
use forbid::Forbidden;

/// Show who gains and who loses what by a change, without making it; or between two past times.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown diff --schema new.fga --data ./data                          what another schema would change
  stonetown diff --write 'org:film#admin@user:bea' --delete 'org:film#user@user:bea' --data ./data
  stonetown diff --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z --data ./data
  stonetown diff --schema new.fga --as markdown --url http://127.0.0.1:8080 > comment.md
  stonetown diff --schema new.fga --forbid 'gain:voice#viewer' --forbid 'lose:*' --data ./data
  stonetown diff --schema new.fga --save approved.json --data ./data     then: stonetown write --if-diff approved.json

Every subject that is named in a tuple is compared, and `user:*`, who stands for everybody not named. An answer is no, yes, or
`if CONDITION` as far as `--context` leaves conditions open. `gained` rises in this order, `lost` falls, `changed` is conditional on
other conditions; where everybody not named changes, `kept` names those who do not.

Exit codes: 0 done, whatever was found; 1 something forbidden was found; 3 failed, or not everything could be found out.")]
pub(super) struct DiffArgs {
    /// The schema afterwards (.fga, fga.mod, or .json in OpenFGA's form)
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,

    /// A tuple that is there afterwards; may be repeated
    #[arg(long, value_name = "TUPLE")]
    write: Vec<Tuple>,

    /// A tuple that is not there afterwards; may be repeated
    #[arg(long, value_name = "TUPLE")]
    delete: Vec<TupleKey>,

    /// Compare from this state: a token, or an RFC 3339 time
    #[arg(long, value_name = "TOKEN|TIME", conflicts_with_all = ["schema", "write", "delete", "save"])]
    from: Option<String>,

    /// With this one; none: with the newest
    #[arg(long, value_name = "TOKEN|TIME", requires = "from")]
    to: Option<String>,

    /// See both states at this time; none: each at its own
    #[arg(long, value_name = "TIME", requires = "from")]
    now: Option<Timestamp>,

    /// Compare with this state changed, in place of the newest
    #[arg(long, value_name = "TOKEN|TIME", conflicts_with_all = ["from", "save"])]
    at: Option<String>,

    /// Values of conditions' parameters, as a JSON object; others are unknown
    #[arg(long, value_name = "JSON", value_parser = parse_context)]
    context: Option<Context>,

    /// Only this permission; may be repeated
    #[arg(long, value_name = "TYPE#RELATION", value_parser = parse_permission, conflicts_with = "save")]
    only: Vec<Permission>,

    /// Exit with 1 when there is one: gain, lose or change, `:`, and TYPE#PERMISSION, TYPE#* or *; may be repeated
    #[arg(long, value_name = "WHAT")]
    forbid: Vec<Forbidden>,

    /// How it is printed
    #[arg(long = "as", value_enum, default_value_t = Shown::Table)]
    shown: Shown,

    /// Objects that are shown of each permission; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u64,

    /// Keep the change and its diff, to be applied by `stonetown write --if-diff`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// For people
    Table,
    /// Every line, one JSON object for each relation of an object, and the summary last
    Jsonl,
    /// For a pull request
    Markdown,
}

pub(super) fn run(args: DiffArgs, out: &mut Output) -> anyhow::Result<Exit> {
    args.store.place.place()?;
    let schema = match args.schema.as_ref().map(|file| read_schema_file(file)).transpose()? {
        Some(Err(problems)) => {
            tell(render(&problems));
            return Ok(Exit::Failed);
        }
        Some(Ok((tree, _))) => Some(SchemaInput::Tree(Box::new(tree))),
        None => None,
    };
    let state = |text: &Option<String>| -> anyhow::Result<At> {
        match text {
            None => Ok(At::Head),
            Some(text) => Ok(text.parse().map_err(Misunderstood::new)?),
        }
    };
    let change = ChangeSet { schema, writes: args.write, deletes: args.delete };
    let of = match &args.from {
        Some(_) => DiffOf::Times { from: state(&args.from)?, to: state(&args.to)?, now: args.now },
        None if change.schema.is_none() && change.writes.is_empty() && change.deletes.is_empty() => {
            let help =
                "say what changes: `--schema`, `--write` or `--delete`, or two times by `--from` and `--to`";
            return Err(Misunderstood::new(help).into());
        }
        None => DiffOf::Change { at: state(&args.at)?, change: Box::new(change) },
    };
    let (target, store) = args.store.open()?;
    look_at_forbidden(&args.forbid, &target, store, &of)?;
    let context = args.context.unwrap_or_default();
    let request = AccessDiffRequest { store, of, context, only: args.only, limits: DiffLimits::default() };
    let shown = if out.is_json() { Shown::Jsonl } else { args.shown };
    let mut listed = Listed { shown, limit: args.limit, sections: Vec::new(), found: 0 };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let mut printed = Ok(());
    let must_be_whole = args.save.is_some() || !args.forbid.is_empty();
    let asked = target.access_diff(&request, DiffDetail::Lines, &mut |event| {
        bar.set_message(format!("{} relations of objects differ", listed.found));
        printed = listed.take(event, out);
        // What is judged or kept has to be whole, also when nobody reads it.
        let is_wanted = must_be_whole || !out.is_closed();
        if printed.is_ok() && is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    bar.finish_and_clear();
    printed?;
    if out.is_closed() && !must_be_whole {
        return Ok(Exit::Yes);
    }
    let summary = asked?;
    listed.finish(&summary, out)?;
    let forbidden: Vec<String> = args.forbid.iter().flat_map(|it| it.found(&summary)).collect();
    for found in &forbidden {
        tell(format_args!("forbidden: {found}"));
    }
    let incomplete: u64 = summary.rows.iter().map(|row| row.incomplete).sum();
    if incomplete > 0 {
        tell(format_args!("incomplete: of {incomplete} relations of objects it is not known"));
        return Ok(Exit::Failed);
    }
    if !forbidden.is_empty() {
        return Ok(Exit::No);
    }
    // Only what is whole, and not forbidden, is kept.
    if let Some(file) = &args.save {
        SavedDiff::of(&request, &summary).write(file)?;
    }
    Ok(Exit::Yes)
}

/// Makes sure that what is forbidden can happen at all: a misspelt permission would never be gained.
fn look_at_forbidden(
    forbidden: &[Forbidden],
    target: &Target,
    store: StoreId,
    of: &DiffOf,
) -> anyhow::Result<()> {
    if forbidden.is_empty() {
        return Ok(());
    }
    let states = match of {
        DiffOf::Change { at, .. } => vec![at],
        DiffOf::Times { from, to, .. } => vec![from, to],
    };
    // A state without a schema has no permissions.
    let stored = states.into_iter().filter_map(|at| target.read_schema(store, None, at).ok());
    let mut documents: Vec<Value> = stored.map(|form| form.document).collect();
    if let DiffOf::Change { change, .. } = of {
        documents.extend(change.schema.as_ref().map(SchemaInput::to_json));
    }
    match forbidden.iter().find(|it| !it.is_known(&documents)) {
        None => Ok(()),
        Some(unknown) => {
            let message = format!("`--forbid {unknown}`: neither schema has such a permission");
            Err(Misunderstood::new(message).into())
        }
    }
}

/// What is shown of each permission, first objects first.
struct Listed {
    shown: Shown,
    limit: u64,
    /// By permission, in the order found: how many there are, and the first of them.
    sections: Vec<Section>,
    found: u64,
}

struct Section {
    permission: String,
    found: u64,
    texts: Vec<String>,
}

impl Listed {
    fn take(&mut self, event: &DiffEvent, out: &mut Output) -> anyhow::Result<()> {
        self.found += 1;
        if self.shown == Shown::Jsonl {
            // Straight to text: there may be millions.
            return out.line(serde_json::to_string(event)?);
        }
        let (object, permission, texts) = match event {
            DiffEvent::Incomplete { object, permission, incomplete } => {
                (object, permission, vec![format!("incomplete: {incomplete}")])
            }
            DiffEvent::Lines { object, permission, lines } => (object, permission, line_texts(lines)),
        };
        let object_type = object.split(':').next().unwrap_or_default();
        let name = format!("{object_type}#{permission}");
        let at = match self.sections.iter().position(|section| section.permission == name) {
            Some(at) => at,
            None => {
                self.sections.push(Section { permission: name, found: 0, texts: Vec::new() });
                self.sections.len() - 1
            }
        };
        let section = &mut self.sections[at];
        section.found += 1;
        if section.found <= self.limit {
            section.texts.extend(texts.into_iter().map(|text| format!("{object}#{permission}  {text}")));
        }
        Ok(())
    }

    fn finish(&mut self, summary: &DiffSummaryForm, out: &mut Output) -> anyhow::Result<()> {
        match self.shown {
            Shown::Jsonl => out.line(json!({ "summary": summary })),
            Shown::Markdown => out.line(markdown::page(summary, &self.sections)),
            Shown::Table => {
                for section in &self.sections {
                    section.texts.iter().try_for_each(|text| out.line(text))?;
                    let more = section.found.saturating_sub(self.limit);
                    if more > 0 {
                        out.line(format_args!("… and {more} more objects of {}", section.permission))?;
                    }
                }
                out.line(table(summary))
            }
        }
    }
}

/// Subjects of one relation of one object that are named one by one.
const NAMES_MAX: usize = 12;

/// What becomes of whom: those with the same before and after together, usersets in place of their members.
fn line_texts(lines: &DiffLinesForm) -> Vec<String> {
    let mut groups: Vec<(&DiffLineForm, Vec<&str>)> = Vec::new();
    for line in &lines.lines {
        let same = |(first, _): &&mut (&DiffLineForm, Vec<&str>)| {
            (&first.change, &first.before, &first.after) == (&line.change, &line.before, &line.after)
        };
        match groups.iter_mut().find(same) {
            Some((_, subjects)) => subjects.push(&line.subject),
            None => groups.push((line, vec![&line.subject])),
        }
    }
    let kinds: Vec<String> = groups.iter().map(|(line, _)| line.change.clone()).collect();
    let text = |(line, subjects): (&DiffLineForm, Vec<&str>)| {
        // Usersets are known by change alone: with two kinds of it, it is not known which are of this one.
        let is_only = kinds.iter().filter(|kind| **kind == line.change).count() == 1;
        let usersets: Vec<_> =
            lines.usersets.iter().filter(|it| is_only && it.change == line.change).collect();
        let in_usersets: u64 = usersets.iter().map(|it| it.count).sum();
        let mut names: Vec<String> =
            usersets.iter().map(|it| format!("{}, {} people", it.userset, it.count)).collect();
        let rest = subjects.len().saturating_sub(in_usersets as usize);
        if usersets.is_empty() {
            names.extend(subjects.iter().take(NAMES_MAX).map(|subject| (*subject).to_owned()));
            if subjects.len() > NAMES_MAX {
                names.push(format!("and {} more", subjects.len() - NAMES_MAX));
            }
        } else if rest > 0 {
            names.push(format!("and {rest} more"));
        }
        let how = match (&*line.change, &*line.before, &*line.after) {
            ("gained", "no", "yes") | ("lost", "yes", "no") => String::new(),
            ("kept", before, _) => format!(" ({before})"),
            (_, before, after) => format!(" ({before} → {after})"),
        };
        format!("{}{how}: {}", line.change, names.join("; "))
    };
    groups.into_iter().map(text).collect()
}

fn table(summary: &DiffSummaryForm) -> String {
    if summary.rows.is_empty() {
        return "no access changes".to_owned();
    }
    let head =
        ["permission", "objects", "gained", "lost", "changed", "kept", "incomplete"].map(str::to_owned);
    let row = |row: &crate::api::DiffRowForm| {
        let counts = [row.objects, row.counts.gained, row.counts.lost, row.counts.changed, row.counts.kept];
        let mut cells = vec![row.permission.clone()];
        cells.extend(counts.iter().chain([&row.incomplete]).map(u64::to_string));
        cells
    };
    let rows: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(summary.rows.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
