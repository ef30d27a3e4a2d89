//! `stonetown schema fmt`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{manifest, read_text, render};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, fail, tell};
use crate::schema::{Tree, module_file_name, read_manifest};

/// Lay schema files out in the standard form; comments stay where they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema fmt schema/audiostack.fga            rewrites the file
  stonetown schema fmt models/fga.mod                   rewrites every file that it lists
  stonetown schema fmt --check schema/*.fga             changes nothing; exit code 1 when a file would change
  stonetown schema fmt - < model.fga                    prints to standard output")]
pub(in crate::cli) struct FmtArgs {
    /// Schema files, files of a modular schema, or an `fga.mod` for all that it lists; `-` reads standard input and
    /// prints the result
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Change nothing, only say which files would change
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &FmtArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Yes;
    for file in &args.files {
        let formatted = match manifest(file) {
            Some(manifest) => format_all(&manifest, args.check, out),
            None => format(file, args.check, out),
        };
        exit = exit.max(formatted.unwrap_or_else(|error| fail(&error)));
    }
    Ok(exit)
}

/// Every file of a modular schema.
fn format_all(manifest: &Path, check: bool, out: &mut Output) -> anyhow::Result<Exit> {
    let name = manifest.display().to_string();
    let files = match read_manifest(&name, &read_text(manifest)?) {
        Ok(files) => files,
        Err(problems) => {
            tell(render(&problems));
            return Ok(Exit::No);
        }
    };
    let mut exit = Exit::Yes;
    for file in files {
        let file = module_file_name(&name, &file);
        exit = exit.max(format(Path::new(&file), check, out).unwrap_or_else(|error| fail(&error)));
    }
    Ok(exit)
}

fn format(file: &Path, check: bool, out: &mut Output) -> anyhow::Result<Exit> {
    let name = file.display().to_string();
    let text = read_text(file)?;
    let tree = match Tree::parse(&name, &text) {
        Ok(tree) => tree,
        Err(problems) => {
            tell(render(&problems));
            return Ok(Exit::No);
        }
    };
    let printed = tree.print()?;
    let is_changed = printed != text;
    if check {
        if is_changed {
            out.print(|| format!("{name}: would change"), || json!({ "file": name, "changed": true }))?;
            return Ok(Exit::No);
        }
    } else if file.to_str() == Some("-") {
        out.line(printed.trim_end_matches('\n'))?;
    } else if is_changed {
        replace(file, &printed)?;
        out.print(|| format!("{name}: formatted"), || json!({ "file": name, "changed": true }))?;
    }
    Ok(Exit::Yes)
}

/// Writes beside the file and renames, so that a stop in between leaves one of the two whole. Links stay links, and
/// whoever may read the file still may.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let rewrite = || {
        let file = std::fs::canonicalize(file)?;
        let mut beside = file.as_os_str().to_owned();
        beside.push(".new");
        std::fs::write(&beside, text)?;
        std::fs::set_permissions(&beside, std::fs::metadata(&file)?.permissions())?;
        std::fs::rename(&beside, &file)
    };
    rewrite().with_context(|| format!("cannot write `{}`", file.display()))
}
