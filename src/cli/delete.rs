//! `stonetown delete`

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use super::args::StoreArgs;
use super::exit::Exit;
use super::output::{Misunderstood, Output};
use crate::engine::{DeleteRequest, DeleteWhat};
use crate::storage::TupleFilter;
use crate::tuple::Object;

/// Delete all tuples that a filter matches, or that name an object, as one revision or in steps.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown delete 'voice:7#viewer' --dry-run --data ./data     how many would go
  stonetown delete 'voice:7#viewer' --data ./data               as one revision, or nothing
  stonetown delete 'voice:' --step 10000 --data ./data          in steps: other writes go in between
  stonetown delete --object org:acme --data ./data              as object, as subject, and its usersets
  stonetown delete --all --url http://127.0.0.1:8080

The past keeps what is deleted, until collection; `stonetown store purge` takes it out of the past too.")]
pub(super) struct DeleteArgs {
    /// Which tuples: [TYPE:[ID]][#RELATION][@SUBJECT]
    #[arg(value_name = "FILTER", conflicts_with_all = ["object", "all"])]
    filter: Option<TupleFilter>,

    /// Every tuple that names this object, wherever
    #[arg(long, value_name = "OBJECT", conflicts_with = "all")]
    object: Option<Object>,

    /// Every tuple of the store
    #[arg(long)]
    all: bool,

    /// Delete so many at a time, each time as a revision of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    step: Option<u64>,

    /// Count, and delete nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: DeleteArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let what = match (args.filter, args.object, args.all) {
        (Some(filter), _, _) if filter == TupleFilter::default() => {
            return Err(
                Misunderstood::new("this filter matches every tuple: say `--all` if that is meant").into()
            );
        }
        (Some(filter), _, _) => DeleteWhat::Matching(filter),
        (None, Some(object), _) => DeleteWhat::Naming(object),
        (None, None, true) => DeleteWhat::Matching(TupleFilter::default()),
        (None, None, false) => {
            return Err(Misunderstood::new("say what: a FILTER, `--object OBJECT`, or `--all`").into());
        }
    };
    let (target, store) = args.store.open()?;
    let step = args.step.map(|step| step as usize);
    let request = DeleteRequest { store, what, step, is_trial: args.dry_run };
    let bar = ProgressBar::new_spinner();
    let mut deleted = 0;
    let (form, token) = loop {
        let (form, token) = target.delete_tuples(&request)?;
        deleted += form.deleted;
        bar.set_message(format!("{deleted} tuples deleted"));
        bar.tick();
        if !form.more {
            break (form, token);
        }
    };
    bar.finish_and_clear();
    out.print(
        || {
            let done = if args.dry_run { "would be deleted" } else { "deleted" };
            format!("{deleted} tuples {done}\nrevision {}\ntoken {token}", form.revision)
        },
        || json!({ "deleted": deleted, "revision": form.revision, "token": token, "dry_run": args.dry_run }),
    )?;
    Ok(Exit::Yes)
}
