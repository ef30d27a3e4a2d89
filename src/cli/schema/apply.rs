//! `stonetown schema apply`

use std::path::PathBuf;

use clap::Args;

use super::groups::{groups_text, tuples_text};
use super::{read_schema_file, render};
use crate::api::ApplyForm;
use crate::cli::args::StoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, form_json, tell};
use crate::engine::{ApplyRequest, OnDuplicate, OnMissing, Precondition, Rename, SchemaInput};
use crate::tuple::{Tuple, TupleKey};

/// Put a schema in force together with what it asks of the tuples: all of it in one revision, or nothing.
///
/// Stored tuples that count now and would not under the new schema are reported, and then nothing is changed, unless that is allowed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema apply schema/audiostack.fga --dry-run --data ./data       what it would do
  stonetown schema apply new.fga --rename-type doc=document --data ./data    the tuples move along
  stonetown schema apply new.fga --rename-relation doc#viewer=reader --data ./data
  stonetown schema apply new.fga --delete 'doc:1#guest@user:zoe' --require 'unchanged doc:1#guest since TOKEN' \\
      --url http://127.0.0.1:8080

Renames are all made at once, by the names before: names can be exchanged. Tuples to delete are named as they are stored,
tuples to write as the new schema calls them.

Exit codes: 0 applied, or a dry run of what can be; 1 refused, because tuples would be silenced; 3 failed.")]
pub(in crate::cli) struct ApplyArgs {
    /// A schema file (.fga, fga.mod, or .json in OpenFGA's form); `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// A type that has another name in the new schema; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = Rename::parse_type)]
    rename_type: Vec<Rename>,

    /// A relation that has another name in the new schema; may be repeated
    #[arg(long, value_name = "TYPE#OLD=NEW", value_parser = Rename::parse_relation)]
    rename_relation: Vec<Rename>,

    /// A tuple to write; may be repeated
    #[arg(long, value_name = "TUPLE")]
    write: Vec<Tuple>,

    /// A tuple to delete; may be repeated
    #[arg(long, value_name = "TUPLE")]
    delete: Vec<TupleKey>,

    /// What has to be true before; may be repeated (`stonetown write --help` has the forms)
    #[arg(long, value_name = "PRECONDITION")]
    require: Vec<Precondition>,

    /// Report, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Go on where tuples are silenced: they stay stored, and count no longer
    #[arg(long)]
    allow_silenced: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: ApplyArgs, out: &mut Output) -> anyhow::Result<Exit> {
    args.store.place.place()?;
    let tree = match read_schema_file(&args.file)? {
        Ok((tree, _)) => tree,
        Err(problems) => {
            tell(render(&problems));
            // Not 1, which says that tuples would be silenced.
            return Ok(Exit::Failed);
        }
    };
    let (target, store) = args.store.open()?;
    let request = ApplyRequest {
        store,
        schema: Some(SchemaInput::Tree(Box::new(tree))),
        renames: args.rename_type.into_iter().chain(args.rename_relation).collect(),
        writes: args.write,
        deletes: args.delete,
        preconditions: args.require,
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        allow_silenced: args.allow_silenced,
        is_trial: args.dry_run,
    };
    let form = target.apply(request)?;
    let is_refused = !form.applied && !args.allow_silenced && form.silenced.tuples > 0;
    out.print(|| text(&form, is_refused), || form_json(&form))?;
    Ok(if is_refused { Exit::No } else { Exit::Yes })
}

fn text(form: &ApplyForm, is_refused: bool) -> String {
    let mut lines = Vec::new();
    if form.silenced.tuples > 0 {
        let would = match (form.applied, form.silenced.tuples) {
            (false, _) => "would be",
            (true, 1) => "is",
            (true, _) => "are",
        };
        lines.push(format!("{} {would} silenced", tuples_text(form.silenced.tuples)));
        lines.push(groups_text(&form.silenced, true));
    }
    let ApplyForm { moved, written, deleted, .. } = form;
    let would = if form.applied { "" } else { "would be " };
    lines.push(format!("{would}moved {moved}, written {written}, deleted {deleted}"));
    if let (Some(schema), Some(revision), Some(token)) = (&form.schema, form.revision, &form.token) {
        lines.push(format!("schema {schema} in force from revision {revision}\ntoken {token}"));
    } else if is_refused {
        let help = "delete or rename these tuples with the schema, or say `--allow-silenced`";
        lines.push(format!("refused, nothing was changed: {help}"));
    } else {
        lines.push("a dry run, nothing was changed".to_owned());
    }
    lines.join("\n")
}
