//! `stonetown changes`

use std::ops::ControlFlow;

use clap::Args;
use serde_json::json;

use super::args::StoreArgs;
use super::exit::Exit;
use super::output::Output;
use super::read::tuple_json;
use super::target::Change;
use crate::engine::{ChangesFrom, ChangesRequest};
use crate::storage::ChangeKind;

/// Print the change log, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown changes --data ./data
  stonetown changes --type voice --after TOKEN --format json --data ./data
  stonetown changes --limit 10 --url http://127.0.0.1:8080")]
pub(super) struct ChangesArgs {
    /// Only what came after this token
    #[arg(long, value_name = "TOKEN")]
    after: Option<String>,

    /// Only changes of objects of this type
    #[arg(long = "type", value_name = "TYPE")]
    object_type: Option<String>,

    /// Print at most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: ChangesArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut result = Ok(());
    let from = args.after.map_or(ChangesFrom::Oldest, ChangesFrom::After);
    let request = ChangesRequest { store, from, object_type: args.object_type };
    target.changes(request, &mut |change| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        result = print_change(change, out);
        if result.is_err() || out.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    result.map(|()| Exit::Yes)
}

pub(super) fn print_change(change: &Change, out: &mut Output) -> anyhow::Result<()> {
    let kind = match change.kind {
        ChangeKind::Written => "written",
        ChangeKind::Replaced => "replaced",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Expired => "expired",
        ChangeKind::Purged => "purged",
    };
    let tuple = change.tuple.as_ref().map(ToString::to_string).unwrap_or_default();
    out.print(
        || format!("{}  {}  {kind:8}  {tuple}", change.revision, change.time).trim_end().to_owned(),
        || {
            json!({
                "revision": change.revision,
                "time": change.time.to_string(),
                "change": kind,
                "tuple": change.tuple.as_ref().map(tuple_json),
            })
        },
    )
}
