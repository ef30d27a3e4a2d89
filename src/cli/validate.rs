//! `stonetown validate`

use clap::Args;
use indicatif::ProgressBar;

use super::args::PlaceArgs;
use super::exit::Exit;
use super::output::{Output, form_json};

/// Hold every family of a data directory against the others: both directions, history, change log, revisions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown validate --data ./data
  stonetown validate --url http://127.0.0.1:8080           the data directory of a server

Exit code 0: everything holds; 1: it does not, and what was found is printed.")]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(args: ValidateArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let target = args.place.open(false)?;
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let result = target.validate(&mut |family| bar.set_message(format!("reading {family}")));
    bar.finish_and_clear();
    let seen = result?;
    out.print(
        || {
            let mut text = String::new();
            for finding in &seen.findings {
                text.push_str(&format!("{}: {}\n", finding.place, finding.problem));
            }
            let summary = format!(
                "{} tuples, {} rows of the past, {} changes, {} revisions: ",
                seen.tuples, seen.history, seen.changes, seen.revisions
            );
            let verdict = match seen.findings_total {
                0 => "everything holds".to_owned(),
                total => format!("{total} findings"),
            };
            format!("{text}{summary}{verdict}")
        },
        || form_json(&seen),
    )?;
    Ok(if seen.findings_total == 0 { Exit::Yes } else { Exit::No })
}
