//! `stonetown schema`

mod apply;
mod diff;
mod fmt;
mod graph;
mod groups;
mod list;
mod matrix;
mod matrix_table;
mod orphans;
mod show;
mod store_test;
mod test;
mod validate;
mod write;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;

use super::exit::Exit;
use super::output::Output;
use crate::schema::{MANIFEST_NAME, Problems, Schema, Tree, read_json, read_modules, read_schema};

/// Validate, format, test, draw, compare, write, apply or show schemas.
#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Report every problem of schema files, with its place and what would be right
    Validate(validate::ValidateArgs),
    /// Lay schema files out in the standard form; comments stay
    Fmt(fmt::FmtArgs),
    /// Run `.fga.yaml` store tests
    Test(test::TestArgs),
    /// Print the graph of a schema's relations for Graphviz
    Graph(graph::GraphArgs),
    /// Print which role gives which permission, worked out from the schema; or hold a committed table against it
    Matrix(matrix::MatrixArgs),
    /// Write a schema into a store: it is in force from then on
    Write(write::WriteArgs),
    /// Put a schema in force together with what it asks of the tuples, unless it would silence some
    Apply(apply::ApplyArgs),
    /// List the stored tuples that a schema does not let in, or remove them
    Orphans(orphans::OrphansArgs),
    /// Compare two schema files: types, relations and conditions
    Diff(diff::DiffArgs),
    /// Print a schema of a store, the one in force unless named
    Show(show::ShowArgs),
    /// List the schemas of a store, newest first
    List(list::ListArgs),
}

pub(super) fn run(command: SchemaCommand, out: &mut Output) -> anyhow::Result<Exit> {
    match command {
        SchemaCommand::Validate(args) => validate::run(&args, out),
        SchemaCommand::Fmt(args) => fmt::run(&args, out),
        SchemaCommand::Test(args) => test::run(&args, out),
        SchemaCommand::Graph(args) => graph::run(&args, out),
        SchemaCommand::Matrix(args) => matrix::run(&args, out),
        SchemaCommand::Write(args) => write::run(&args, out),
        SchemaCommand::Apply(args) => apply::run(args, out),
        SchemaCommand::Orphans(args) => orphans::run(&args, out),
        SchemaCommand::Diff(args) => diff::run(&args, out),
        SchemaCommand::Show(args) => show::run(&args, out),
        SchemaCommand::List(args) => list::run(&args, out),
    }
}

/// The text of a file; `-` is standard input.
fn read_text(path: &Path) -> anyhow::Result<String> {
    if path.to_str() == Some("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// The manifest of a modular schema: a file `fga.mod`, or the one in a folder.
fn manifest(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        let manifest = path.join(MANIFEST_NAME);
        return manifest.is_file().then_some(manifest);
    }
    (path.file_name()? == MANIFEST_NAME).then(|| path.to_path_buf())
}

/// A schema file: all files of a modular schema when it is its manifest, OpenFGA's JSON form when its name ends in
/// `.json`, the language otherwise.
pub(super) fn read_schema_file(path: &Path) -> anyhow::Result<Result<(Tree, Schema), Problems>> {
    if let Some(manifest) = manifest(path) {
        let text = read_text(&manifest)?;
        let name = manifest.display().to_string();
        return Ok(read_modules(&name, &text, &mut |file| std::fs::read_to_string(file)));
    }
    let text = read_text(path)?;
    let name = path.display().to_string();
    if path.extension().is_some_and(|extension| extension == "json") {
        let json = serde_json::from_str(&text).with_context(|| format!("`{name}` is not JSON"))?;
        return Ok(read_json(&name, &json));
    }
    Ok(read_schema(&name, &text))
}

/// The problems as text, in colour when that is wanted and standard error is a terminal.
pub(super) fn render(problems: &Problems) -> String {
    use std::io::IsTerminal as _;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    problems.render(colour)
}
