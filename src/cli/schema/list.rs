//! `stonetown schema list`

use clap::Args;

use crate::cli::args::StoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, form_json};

/// List the schemas of a store, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema list --data ./data
  stonetown schema list --url http://127.0.0.1:8080")]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &ListArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    for info in target.list_schemas(store)? {
        out.print(
            || {
                let time = info.written_at.as_deref().unwrap_or("no longer kept");
                format!("{}  revision {}  {time}", info.schema, info.revision)
            },
            || form_json(&info),
        )?;
    }
    Ok(Exit::Yes)
}
