//! `stonetown schema test`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::render;
use super::store_test::StoreTest;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, fail, tell};

/// Run `.fga.yaml` store tests, the same files that the official `fga model test` runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema test schema/audiostack.fga.yaml
  stonetown schema test schema/*.fga.yaml --format json

Exit code 0: all assertions hold; 1: some do not, or a schema has problems.")]
pub(in crate::cli) struct TestArgs {
    /// Store test files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &TestArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Yes;
    for file in &args.files {
        let run = StoreTest::read(file).and_then(|test| {
            let name = test.name.clone().unwrap_or_else(|| file.display().to_string());
            Ok((name, test.run(file)?))
        });
        let (name, outcome) = match run {
            Ok((name, Ok(outcome))) => (name, outcome),
            Ok((_, Err(problems))) => {
                tell(render(&problems));
                exit = exit.max(Exit::No);
                continue;
            }
            Err(error) => {
                exit = exit.max(fail(&error));
                continue;
            }
        };
        if !outcome.failures.is_empty() {
            exit = exit.max(Exit::No);
        }
        out.print(
            || {
                let mut text = String::new();
                for failure in &outcome.failures {
                    text.push_str(&format!("FAILED {failure}\n"));
                }
                let failed = outcome.failures.len();
                format!(
                    "{text}{name}: {} tests, {} assertions hold, {failed} do not",
                    outcome.tests, outcome.passed
                )
            },
            || {
                json!({
                    "name": name,
                    "file": file.display().to_string(),
                    "tests": outcome.tests,
                    "passed": outcome.passed,
                    "failures": outcome.failures,
                })
            },
        )?;
    }
    Ok(exit)
}
