//! `stonetown schema fmt`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::{read_text, render};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, tell};
use crate::schema::Tree;

/// Lay schema files out in the standard form; comments stay where they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema fmt schema/audiostack.fga            rewrites the file
  stonetown schema fmt --check schema/*.fga             changes nothing; exit code 1 when a file would change
  stonetown schema fmt - < model.fga                    prints to standard output")]
pub(in crate::cli) struct FmtArgs {
    /// Schema files; `-` reads standard input and prints the result
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Change nothing, only say which files would change
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &FmtArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Yes;
    for file in &args.files {
        let name = file.display().to_string();
        let text = read_text(file)?;
        let tree = match Tree::parse(&name, &text) {
            Ok(tree) => tree,
            Err(problems) => {
                tell(render(&problems));
                exit = Exit::No;
                continue;
            }
        };
        let printed = tree.print()?;
        let is_changed = printed != text;
        if file.to_str() == Some("-") {
            out.line(printed.trim_end_matches('\n'))?;
        } else if args.check {
            if is_changed {
                exit = Exit::No;
                out.print(|| format!("{name}: would change"), || json!({ "file": name, "changed": true }))?;
            }
        } else if is_changed {
            replace(file, &printed)?;
            out.print(|| format!("{name}: formatted"), || json!({ "file": name, "changed": true }))?;
        }
    }
    Ok(exit)
}

/// Writes beside the file and renames, so that a stop in between leaves one of the two whole.
fn replace(file: &std::path::Path, text: &str) -> anyhow::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let result = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file));
    result.with_context(|| format!("cannot write `{}`", file.display()))
}
