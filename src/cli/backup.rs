//! `stonetown backup`

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{HumanBytes, ProgressBar};
use serde_json::json;

use super::args::PlaceArgs;
use super::exit::Exit;
use super::output::{Misunderstood, Output, form_json, tell};
use super::target::Place;
use crate::api::BackupForm;
use crate::engine::{BackupStep, list_backups, verify_backups};

/// Copy a data directory while it is served; list and verify such backups.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  stonetown backup /backups/demo --data ./data
  stonetown backup /backups/demo --keep 7 --data ./data     and remove all but the newest 7
  stonetown backup nightly --url http://127.0.0.1:8080      on the server, in its --backup-dir
  stonetown backup list /backups/demo
  stonetown backup verify /backups/demo

Reads and writes go on. A second backup into the same directory copies only the files that are new. Everything is read back and
held against its checksums before the backup counts. While a server has the data directory open, the server makes the backup, if
it was started with --backup-dir. Make a data directory of a backup with `stonetown restore`. A directory named list or verify is
written ./list."
)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    command: Option<BackupCommand>,

    /// Where backups of this data directory are kept; made when it is not there
    #[arg(value_name = "DIR", required = true)]
    dir: Option<PathBuf>,

    /// Remove all but the newest N backups afterwards
    #[arg(long, value_name = "N")]
    keep: Option<NonZero<usize>>,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Print the backups in a directory, oldest first
    List(ListArgs),
    /// Read every file of the backups in a directory, and tell what is not as it was written
    Verify(VerifyArgs),
}

/// Print the backups in a directory, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown backup list /backups/demo
  stonetown backup list /backups/demo --format json")]
struct ListArgs {
    /// Where the backups are
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Read every file of the backups in a directory, and tell what is not as it was written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown backup verify /backups/demo
  stonetown backup verify /backups/demo --backup 3

Exit code 0: everything is as it was written; 1: it is not, and what was found is printed.")]
struct VerifyArgs {
    /// Where the backups are
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Only this backup
    #[arg(long, value_name = "ID")]
    backup: Option<u32>,
}

pub(super) fn run(args: BackupArgs, out: &mut Output) -> anyhow::Result<Exit> {
    match args.command {
        Some(BackupCommand::List(args)) => list(&args, out),
        Some(BackupCommand::Verify(args)) => verify(&args, out),
        None => backup(args, out),
    }
}

fn backup(args: BackupArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let dir = args.dir.ok_or_else(|| Misunderstood::new("say where: `stonetown backup DIR`"))?;
    let dir = match args.place.place()? {
        // A server that has the directory open works elsewhere.
        Place::Data(_) => std::path::absolute(&dir)?,
        // Its own directory.
        Place::Server(_) => dir,
    };
    let target = args.place.open(false)?;
    let bar = spinner();
    let made = target.backup(&dir, args.keep, &mut |step| bar.set_message(describe(step)));
    bar.finish_and_clear();
    let form = made?;
    out.print(
        || {
            let mut text =
                format!("{}, {} copied, verified", line(&form.backup), HumanBytes(form.bytes_copied));
            for store in &form.backup.stores {
                text.push_str(&format!(
                    "\n{}",
                    store_line(&store.id, store.name.as_deref(), store.revision, &store.committed_at)
                ));
                if let Some(token) = &store.token {
                    text.push_str(&format!("\n  token {token}"));
                }
            }
            if !form.removed.is_empty() {
                let removed: Vec<String> = form.removed.iter().map(u32::to_string).collect();
                text.push_str(&format!("\nremoved backup {}", removed.join(", ")));
            }
            text
        },
        || form_json(&form),
    )?;
    Ok(Exit::Yes)
}

fn list(args: &ListArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let mut exit = Exit::Yes;
    let backups = list_backups(&args.dir)?;
    if backups.is_empty() {
        tell("no backups: the first one was not finished");
    }
    for backup in backups {
        match backup {
            Ok(backup) => {
                let form = BackupForm::from(&backup);
                out.print(|| line(&form), || form_json(&form))?;
            }
            Err(error) => {
                exit = Exit::No;
                out.print(|| error.to_string(), || json!({ "damaged": error.to_string() }))?;
            }
        }
    }
    Ok(exit)
}

fn verify(args: &VerifyArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let bar = spinner();
    let verified = verify_backups(&args.dir, args.backup, &mut |step| bar.set_message(describe(step)));
    bar.finish_and_clear();
    let mut exit = Exit::Yes;
    for verdict in verified? {
        if !verdict.findings.is_empty() {
            exit = Exit::No;
        }
        out.print(
            || {
                let mut text = String::new();
                for finding in &verdict.findings {
                    text.push_str(&format!("{}: {}\n", finding.place, finding.problem));
                }
                match verdict.findings.len() {
                    0 => format!("backup {}: everything is as it was written", verdict.id),
                    count => format!("{text}backup {}: {count} findings", verdict.id),
                }
            },
            || {
                let findings = verdict.findings.iter();
                let findings: Vec<_> =
                    findings.map(|it| json!({ "place": it.place, "problem": it.problem })).collect();
                json!({ "backup": verdict.id, "findings": findings })
            },
        )?;
    }
    Ok(exit)
}

pub(super) fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

pub(super) fn describe(step: BackupStep) -> String {
    match step {
        BackupStep::Copying => "copying".to_owned(),
        BackupStep::Verifying(bytes) => format!("verifying, {}", HumanBytes(bytes)),
        BackupStep::Rewinding(changes) => format!("undoing changes, {changes}"),
    }
}

fn line(backup: &BackupForm) -> String {
    let BackupForm { backup, made_at, bytes, files, stores } = backup;
    let stores = match stores.len() {
        1 => "1 store".to_owned(),
        count => format!("{count} stores"),
    };
    format!("backup {backup} of {made_at}: {stores}, {files} files, {}", HumanBytes(*bytes))
}

pub(super) fn store_line(id: &str, name: Option<&str>, revision: u64, committed_at: &str) -> String {
    let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
    format!("store {id}{name}: revision {revision} of {committed_at}")
}
