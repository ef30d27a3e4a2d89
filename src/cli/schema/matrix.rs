//! `stonetown schema matrix`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::matrix_table::{
    from_csv, from_json, from_markdown, to_csv, to_json, to_markdown, to_svg, to_text,
};
use super::store_test::StoreTest;
use super::{read_schema_file, read_text, render};
use crate::analysis::{CellChange, Matrix, Table, matrix, table_changes};
use crate::cli::exit::Exit;
use crate::cli::output::{Misunderstood, Output, tell};
use crate::eval::Program;
use crate::schema::TypeIndex;
use crate::tuple::Tuple;

/// Print which role gives which permission: a row for each way to hold a role, a column for each permission.
///
/// Each cell is asked of the evaluator in a world that holds nothing but the role: `yes`, `no`, `with` what else it takes, `unless`
/// something is written too, `if` a condition is true. `more…` is never a no: more facts may be needed than were tried.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema matrix schema/live-studio.fga
  stonetown schema matrix schema/audiostack.fga --type voice --as markdown
  stonetown schema matrix schema/studio.fga --given schema/studio.roles.yaml --as svg > studio.svg
  stonetown schema matrix schema/fastpix.fga --as markdown > schema/fastpix.matrix.md
  stonetown schema matrix schema/fastpix.fga --check schema/fastpix.matrix.md

Exit code 0: printed, or the table agrees; 1: cells differ, or the schema has problems.")]
pub(in crate::cli) struct MatrixArgs {
    /// A schema file (.fga, fga.mod, or .json in OpenFGA's form); `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    object_type: Option<String>,

    /// Tuples that hold whatever the role, as `tuples` of a .fga.yaml file: roles that are data, for example. There is a row for
    /// each object that they say something of, where a role hangs on one
    #[arg(long, value_name = "FILE")]
    given: Option<PathBuf>,

    /// The form of the table; unless given, that of `--format`
    #[arg(long = "as", value_enum, value_name = "FORM", conflicts_with = "check")]
    form: Option<Form>,

    /// Hold a committed table (.md, .csv or .json) against the schema, and print the cells that differ
    #[arg(long, value_name = "TABLE")]
    check: Option<PathBuf>,
}

/// A form of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal
    Text,
    /// A heading and a table for each type
    Markdown,
    /// A line for each cell
    Csv,
    /// One value
    Json,
    /// A picture
    Svg,
}

pub(super) fn run(args: &MatrixArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let program = match read_schema_file(&args.file)? {
        Ok((_, schema)) => Program::new(schema),
        Err(problems) => {
            tell(render(&problems));
            return Ok(Exit::No);
        }
    };
    let wanted = args.object_type.as_deref().map(|name| find_type(&program, name)).transpose()?;
    let given = match &args.given {
        Some(file) => given(file, &program)?,
        None => Vec::new(),
    };
    let committed = args.check.as_ref().map(|file| read_table(file)).transpose()?;
    let made = matrix(&program, wanted, &given);
    match (committed, &args.check) {
        (Some(mut committed), Some(file)) => {
            if let Some(name) = &args.object_type {
                committed.retain(|table| table.object_type == *name);
            }
            check(file, &committed, &made, out)
        }
        _ => print(args.form, &made, out),
    }
}

fn find_type(program: &Program, name: &str) -> anyhow::Result<TypeIndex> {
    let schema = program.schema();
    let found = schema.type_named(name);
    let problem =
        || Misunderstood::new(format_args!("there is no type `{name}`{}", schema.instead_of_type(name)));
    Ok(found.ok_or_else(problem)?)
}

fn given(file: &Path, program: &Program) -> anyhow::Result<Vec<Tuple>> {
    let tuples = StoreTest::read(file)?.common(file, program)?;
    if tuples.is_empty() {
        anyhow::bail!("`{}` gives no tuples: write them as a list under `tuples:`", file.display());
    }
    Ok(tuples)
}

fn print(form: Option<Form>, made: &[Matrix], out: &mut Output) -> anyhow::Result<Exit> {
    let tables: Vec<Table> = made.iter().map(Matrix::table).collect();
    let form = form.unwrap_or(if out.is_json() { Form::Json } else { Form::Text });
    let text = match form {
        Form::Text => to_text(&tables),
        Form::Markdown => to_markdown(&tables),
        Form::Csv => to_csv(&tables),
        Form::Json => to_json(&tables).to_string(),
        Form::Svg => to_svg(&tables),
    };
    out.line(text.trim_end_matches('\n'))?;
    Ok(Exit::Yes)
}

/// A committed table, read by the end of its name.
fn read_table(file: &Path) -> anyhow::Result<Vec<Table>> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let read: fn(&str) -> anyhow::Result<Vec<Table>> = match extension {
        "md" => from_markdown,
        "csv" => from_csv,
        "json" => from_json,
        _ => {
            let name = file.display();
            let problem =
                format!("`{name}` cannot be checked: a table whose name ends in .md, .csv or .json can be");
            return Err(Misunderstood::new(problem).into());
        }
    };
    let tables = read(&read_text(file)?).with_context(|| format!("`{}`", file.display()))?;
    if tables.is_empty() {
        anyhow::bail!("`{}` has no table of a matrix in it", file.display());
    }
    Ok(tables)
}

fn check(file: &Path, committed: &[Table], made: &[Matrix], out: &mut Output) -> anyhow::Result<Exit> {
    let tables: Vec<Table> = made.iter().map(Matrix::table).collect();
    let changes = table_changes(committed, &tables);
    for change in &changes {
        out.print(|| change_text(change), || change_json(change))?;
    }
    if !changes.is_empty() {
        return Ok(Exit::No);
    }
    let cells: usize = tables.iter().map(|table| table.rows.len() * table.columns.len()).sum();
    let name = file.display().to_string();
    out.print(|| format!("{name}: all {cells} cells agree"), || json!({ "file": name, "cells": cells }))?;
    Ok(Exit::Yes)
}

fn change_text(change: &CellChange) -> String {
    let CellChange { object_type, row, column, before, after } = change;
    let place = match (row, column) {
        (Some(row), Some(column)) => format!("{row} {column}"),
        (Some(row), None) => format!("{row} (row)"),
        (None, Some(column)) => format!("{column} (column)"),
        (None, None) => "(table)".to_owned(),
    };
    let said = |side: &Option<String>| side.as_ref().map_or("nothing".to_owned(), |text| format!("`{text}`"));
    format!("{object_type} {place}: committed {}, now {}", said(before), said(after))
}

fn change_json(change: &CellChange) -> serde_json::Value {
    json!({
        "type": change.object_type,
        "row": change.row,
        "permission": change.column,
        "committed": change.before,
        "now": change.after,
    })
}
