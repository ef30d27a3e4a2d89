//! Modular schemas: a manifest, `fga.mod`, lists files; each is a module, or a part of one, and all together are one
//! schema.
//!
//! A module defines types and conditions of its own, and adds relations to types of others. All files are one
//! [`Source`](super::Source), so every problem is in its file, and the rules look at the merged [`Tree`] as at any
//! other.

mod comments;
mod manifest;
mod merge;

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::code::ProblemCode;
use super::limits::Limits;
use super::parse::{self, Parsed};
use super::problem::{Problem, Problems};
use super::resolve::resolve;
use super::resolved::Schema;
use super::rules::Reading;
use super::source::Source;
use super::tree::{Name, Tree};
use manifest::Manifest;
use merge::Module;

/// The name of a manifest.
pub const MANIFEST_NAME: &str = "fga.mod";

/// The files that a manifest lists, in its order, or everything that is wrong with it.
pub fn read_manifest(source_name: &str, text: &str) -> Result<Vec<String>, Problems> {
    let source = Source::new(source_name, text);
    let (manifest, problems) = Manifest::read(text, &Limits::default());
    match problems.is_empty() {
        true => Ok(manifest.files.iter().map(|file| file.text.to_string()).collect()),
        false => Err(Problems::new(source.into(), problems)),
    }
}

/// The name that messages show for a file listed by a manifest: it is looked for beside the manifest.
pub fn module_file_name(manifest_name: &str, file: &str) -> String {
    let folder = Path::new(manifest_name).parent().unwrap_or(Path::new(""));
    folder.join(file).display().to_string()
}

/// Reads a modular schema: its merged tree and what it says, or everything that is wrong with its manifest and all of
/// its files. `read` gives the text of a file by its name as [`module_file_name`] makes it.
pub fn read_modules(
    manifest_name: &str,
    manifest: &str,
    read: &mut dyn FnMut(&str) -> io::Result<String>,
) -> Result<(Tree, Schema), Problems> {
    read_modules_within(manifest_name, manifest, read, &Limits::default())
}

/// The same under other limits; they are for all files together.
pub fn read_modules_within(
    manifest_name: &str,
    manifest: &str,
    read: &mut dyn FnMut(&str) -> io::Result<String>,
    limits: &Limits,
) -> Result<(Tree, Schema), Problems> {
    let Parsed { tree, problems, unread } = parse_all(manifest_name, manifest, read, limits);
    let reading = Reading { problems: problems.len(), unread };
    let schema = resolve(&tree, problems, reading, limits)?;
    Ok((tree, schema))
}

/// Reads what can be read of all files, and merges it.
fn parse_all(
    manifest_name: &str,
    manifest: &str,
    read: &mut dyn FnMut(&str) -> io::Result<String>,
    limits: &Limits,
) -> Parsed {
    let mut source = Source::new(manifest_name, manifest);
    let (manifest, mut problems) = Manifest::read(manifest, limits);
    let mut parts = Vec::new();
    for file in manifest.files {
        if problems.len() > limits.problems_max {
            break;
        }
        match read(&module_file_name(manifest_name, &file.text)) {
            Ok(text) if source.text().len() + text.len() > limits.text_bytes_max => {
                add(too_large(&file, limits), &mut problems, limits);
                break;
            }
            Ok(text) => {
                let range = source.add(&module_file_name(manifest_name, &file.text), &text);
                parts.push((file, range));
            }
            Err(error) => add(unreadable(&file, &error), &mut problems, limits),
        }
    }
    let mut unread = HashSet::new();
    let mut modules = Vec::new();
    for (file, range) in parts {
        if problems.len() > limits.problems_max {
            break;
        }
        let parsed = parse::parse_module(&source.text()[..range.end], range.start, limits, problems);
        problems = parsed.problems;
        unread.extend(parsed.unread);
        modules.push(Module { file: file.text, tree: parsed.tree });
    }
    let (mut tree, found) = merge::merge(modules, &mut unread);
    found.into_iter().for_each(|problem| add(problem, &mut problems, limits));
    tree.header.version = manifest.version;
    tree.source = source.into();
    Parsed { tree, problems, unread }
}

/// Adds a problem; of those that are too many only that they are.
fn add(problem: Problem, problems: &mut Vec<Problem>, limits: &Limits) {
    let most = limits.problems_max;
    match problems.len() {
        found if found < most => problems.push(problem),
        found if found == most => problems.push(problem.too_many(most)),
        _ => {}
    }
}

fn too_large(file: &Name, limits: &Limits) -> Problem {
    let most = limits.text_bytes_max;
    let message = format!("with `{}` the schema has more bytes than the {most} that are read", file.text);
    Problem::new(ProblemCode::TextTooLarge, &file.at, message)
}

fn unreadable(file: &Name, error: &io::Error) -> Problem {
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("there is no file `{}`", file.text),
        _ => format!("cannot read `{}`: {error}", file.text),
    };
    let problem = Problem::new(ProblemCode::UnreadableModule, &file.at, message);
    problem.help("files are looked for beside the manifest")
}
