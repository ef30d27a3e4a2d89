//! `stonetown schema orphans`

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use super::groups::{groups_text, tuples_text};
use super::{read_schema_file, render};
use crate::cli::args::StoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, form_json, tell};
use crate::cli::target::OrphanPart;
use crate::engine::{OrphansUnder, SchemaInput};
use crate::tuple::SchemaId;

/// List the stored tuples that a schema does not let in, so that they count for nothing: how many of which kind, then one a line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema orphans --data ./data                            under the schema in force
  stonetown schema orphans --schema new.fga --limit 0 --data ./data how many there would be under another
  stonetown schema orphans --remove --url http://127.0.0.1:8080     delete them

`--remove` deletes what the schema in force does not let in, 10,000 tuples a revision. The past keeps what is deleted.")]
pub(in crate::cli) struct OrphansArgs {
    /// A schema file to hold the tuples against, instead of the schema in force
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schema_id", "remove"])]
    schema: Option<PathBuf>,

    /// A schema of the store, by id
    #[arg(long, value_name = "ID", conflicts_with = "remove")]
    schema_id: Option<SchemaId>,

    /// List at most so many tuples; all are counted
    #[arg(long, value_name = "N", conflicts_with = "remove")]
    limit: Option<u64>,

    /// Delete them
    #[arg(long)]
    remove: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &OrphansArgs, out: &mut Output) -> anyhow::Result<Exit> {
    args.store.place.place()?;
    let under = match (&args.schema, args.schema_id) {
        (Some(file), _) => match read_schema_file(file)? {
            Ok((tree, _)) => OrphansUnder::Given(SchemaInput::Tree(Box::new(tree))),
            Err(problems) => {
                tell(render(&problems));
                return Ok(Exit::No);
            }
        },
        (None, Some(id)) => OrphansUnder::Stored(id),
        (None, None) => OrphansUnder::InForce,
    };
    if args.remove { remove(args, out) } else { list(args, &under, out) }
}

fn list(args: &OrphansArgs, under: &OrphansUnder, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    let mut printed = Ok(());
    target.orphans(store, under, args.limit.unwrap_or(u64::MAX), &mut |part| {
        printed = print(&part, out);
        if printed.is_err() || out.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    printed.map(|()| Exit::Yes)
}

fn print(part: &OrphanPart, out: &mut Output) -> anyhow::Result<()> {
    match part {
        OrphanPart::Groups(form) => out.print(
            || {
                let groups = groups_text(form, false);
                let groups = if groups.is_empty() { groups } else { format!("\n{groups}") };
                format!("{} not let in{groups}", tuples_text(form.tuples))
            },
            || form_json(form),
        ),
        OrphanPart::Orphan(form) => out.print(|| form.tuple.clone(), || form_json(form)),
    }
}

fn remove(args: &OrphansArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    let bar = ProgressBar::new_spinner();
    let (form, token) = target.remove_orphans(store, &mut |removed| {
        bar.set_message(format!("{removed} tuples removed"));
        bar.tick();
    })?;
    bar.finish_and_clear();
    out.print(
        || format!("{} removed\nrevision {}\ntoken {token}", tuples_text(form.removed), form.revision),
        || json!({ "removed": form.removed, "revision": form.revision, "token": token }),
    )?;
    Ok(Exit::Yes)
}
