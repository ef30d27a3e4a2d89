//! `stonetown schema validate`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{read_schema_file, render};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, fail, tell};

/// Report every problem of schema files, all of them in one run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema validate schema/audiostack.fga
  stonetown schema validate *.fga --format json
  stonetown schema validate models/fga.mod              all files of a modular schema, as one

Exit code 0: no problems (warnings are no problems); 1: there are some.")]
pub(in crate::cli) struct ValidateArgs {
    /// Schema files (.fga, fga.mod, or .json in OpenFGA's form); `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &ValidateArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Yes;
    for file in &args.files {
        let name = file.display().to_string();
        let (problems, is_valid) = match read_schema_file(file) {
            Ok(Ok((tree, _))) => (tree.check(), true),
            Ok(Err(problems)) => (problems, false),
            Err(error) => {
                exit = exit.max(fail(&error));
                continue;
            }
        };
        if !is_valid {
            exit = exit.max(Exit::No);
        }
        if !out.is_json() && !problems.is_empty() {
            tell(render(&problems));
        }
        out.print(
            || format!("{name}: {}", if is_valid { "valid" } else { "has problems" }),
            || json!({ "file": name, "valid": is_valid, "problems": problems.to_json() }),
        )?;
    }
    Ok(exit)
}
