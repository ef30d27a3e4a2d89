//! `stonetown schema show`

use clap::Args;

use crate::cli::args::{StateArgs, StoreArgs};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, form_json};
use crate::schema::Tree;

/// Print a schema of a store: the one in force, now or in the past, or one by its id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema show --data ./data
  stonetown schema show --at 2026-11-17T09:00:00Z --format json --data ./data
  stonetown schema show --url http://127.0.0.1:8080")]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    state: StateArgs,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &ShowArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let at = args.state.at()?;
    let (target, store) = args.store.open()?;
    let found = target.read_schema(store, args.state.schema, &at)?;
    if out.is_json() {
        out.line(form_json(&found))?;
        return Ok(Exit::Yes);
    }
    let text = Tree::from_json(&found.document)?.with_module_comments().print()?;
    out.line(format_args!("# schema {} of revision {}", found.schema, found.revision))?;
    out.line(text.trim_end())?;
    Ok(Exit::Yes)
}
