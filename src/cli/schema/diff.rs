//! `stonetown schema diff`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::matrix::change_text;
use super::{read_schema_file, render};
use crate::analysis::{CellChange, matrix, matrix_changes};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, tell};
use crate::eval::Program;
use crate::schema::{Difference, Schema, Tree, compare};

/// Compare two schema files: which types, relations and conditions were added, removed or changed.
///
/// Comments, layout and order mean nothing. What differs is told with the cells of the matrix of roles and permissions that change by it.
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
    let (Some((old, before)), Some((new, after))) = (read(&args.old)?, read(&args.new)?) else {
        return Ok(Exit::Failed);
    };
    let differences = compare(&old, &new);
    let cells = match differences.is_empty() {
        true => Vec::new(),
        false => {
            let matrix = |schema| matrix(&Program::new(schema), None, &[]);
            matrix_changes(&matrix(before), &matrix(after))
        }
    };
    out.print(
        || match differences.is_empty() {
            true => "no differences".to_owned(),
            false => {
                let mut lines: Vec<String> = differences.iter().map(text).collect();
                lines.extend(
                    cells.iter().map(|cell| format!("in the matrix, {}", change_text(cell, "before"))),
                );
                lines.join("\n")
            }
        },
        || {
            json!({
                "differences": differences.iter().map(difference_json).collect::<Vec<_>>(),
                "matrix": cells.iter().map(cell_json).collect::<Vec<_>>(),
            })
        },
    )?;
    Ok(if differences.is_empty() { Exit::Yes } else { Exit::No })
}

/// None: it has problems, which have been told.
fn read(file: &Path) -> anyhow::Result<Option<(Tree, Schema)>> {
    match read_schema_file(file)? {
        Ok(read) => Ok(Some(read)),
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

fn cell_json(cell: &CellChange) -> Value {
    let CellChange { object_type, row, column, before, after } = cell;
    json!({ "type": object_type, "row": row, "permission": column, "before": before, "after": after })
}
