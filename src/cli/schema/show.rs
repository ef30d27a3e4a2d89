//! `stonetown schema show`

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::{StateArgs, StoreArgs};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::schema::Tree;

/// Print a schema of a store: the one in force, now or in the past, or one by its id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema show --data ./data
  stonetown schema show --at 2026-11-17T09:00:00Z --format json --data ./data")]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    state: StateArgs,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &ShowArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let at = args.state.at()?;
    let (engine, store) = args.store.open()?;
    let found = engine.read_schema(store, args.state.schema, &at)?;
    let document: Value =
        serde_json::from_str(&found.document).with_context(|| format!("schema {} is damaged", found.id))?;
    if out.is_json() {
        out.line(
            json!({ "schema": found.id.to_string(), "revision": found.written.0, "document": document }),
        )?;
        return Ok(Exit::Yes);
    }
    let text = Tree::from_json(&document)?.print()?;
    out.line(format_args!("# schema {} of revision {}", found.id, found.written))?;
    out.line(text.trim_end())?;
    Ok(Exit::Yes)
}
