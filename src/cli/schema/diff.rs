//! `stonetown schema diff`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{read_schema_file, render};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, tell};
use crate::schema::{Difference, Tree, compare};

/// Compare two schema files: which types, relations and conditions were added, removed or changed.
///
/// Comments, layout and order mean nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema diff schema/audiostack.fga new.fga
  stonetown schema diff old/fga.mod new/fga.mod --format json

Exit codes: 0 the same, 1 different, 3 failed, also where a file has problems.")]
pub(in crate::cli) struct DiffArgs {
    /// The schema before (.fga, fga.mod, or .json in OpenFGA's form)
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// The schema after
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

pub(super) fn run(args: &DiffArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (Some(old), Some(new)) = (read(&args.old)?, read(&args.new)?) else { return Ok(Exit::Failed) };
    let differences = compare(&old, &new);
    out.print(
        || match differences.is_empty() {
            true => "no differences".to_owned(),
            false => differences.iter().map(text).collect::<Vec<_>>().join("\n"),
        },
        || json!({ "differences": differences.iter().map(difference_json).collect::<Vec<_>>() }),
    )?;
    Ok(if differences.is_empty() { Exit::Yes } else { Exit::No })
}

/// None: it has problems, which have been told.
fn read(file: &Path) -> anyhow::Result<Option<Tree>> {
    match read_schema_file(file)? {
        Ok((tree, _)) => Ok(Some(tree)),
        Err(problems) => {
            tell(render(&problems));
            Ok(None)
        }
    }
}

fn text(difference: &Difference) -> String {
    let Difference { what, old, new } = difference;
    let mut text = format!("{} {} {what}", difference.kind().as_str(), what.kind());
    for (sign, definition) in [('-', old), ('+', new)] {
        for line in definition.iter().flat_map(|definition| definition.lines()) {
            text.push_str(&format!("\n  {sign} {line}"));
        }
    }
    text
}

fn difference_json(difference: &Difference) -> Value {
    let Difference { what, old, new } = difference;
    let kind = difference.kind().as_str();
    json!({ "difference": kind, "kind": what.kind(), "name": what.to_string(), "old": old, "new": new })
}
