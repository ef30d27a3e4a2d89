//! `stonetown schema diff`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

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
                lines.extend(cell_texts(&cells));
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

/// By type: which rows and columns came and went, and each cell that is another one.
fn cell_texts(cells: &[CellChange]) -> Vec<String> {
    let mut lines = Vec::new();
    for of in cells.chunk_by(|one, other| one.object_type == other.object_type) {
        let name = &of[0].object_type;
        let mut told = |what: &str, names: Vec<String>| {
            if !names.is_empty() {
                lines.push(format!("matrix of {name}: {what} {}", names.join(", ")));
            }
        };
        for (what, is_row, is_new) in [
            ("new rows", true, true),
            ("gone rows", true, false),
            ("new columns", false, true),
            ("gone columns", false, false),
        ] {
            let whole = |cell: &&CellChange| {
                cell.row.is_some() == is_row
                    && cell.column.is_some() != is_row
                    && cell.after.is_some() == is_new
            };
            let title =
                |cell: &CellChange| cell.row.clone().or_else(|| cell.column.clone()).unwrap_or_default();
            told(what, of.iter().filter(whole).map(title).collect());
        }
        for cell in of {
            let said = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
            let (before, after) = (said(&cell.before), said(&cell.after));
            match (&cell.row, &cell.column) {
                (Some(row), Some(column)) => {
                    lines.push(format!("matrix of {name}: {row} {column} was `{before}`, is `{after}`"));
                }
                (None, None) if cell.after.is_some() => lines.push(format!("matrix of {name}: new")),
                (None, None) => lines.push(format!("matrix of {name}: gone")),
                _ => {}
            }
        }
    }
    lines
}

fn cell_json(cell: &CellChange) -> Value {
    let CellChange { object_type, row, column, before, after } = cell;
    json!({ "type": object_type, "row": row, "permission": column, "before": before, "after": after })
}
