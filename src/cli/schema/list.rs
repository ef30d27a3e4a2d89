//! `stonetown schema list`

use clap::Args;
use serde_json::json;

use crate::cli::args::StoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output::Output;

/// List the schemas of a store, newest first.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &ListArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (engine, store) = args.store.open()?;
    for info in engine.list_schemas(store)? {
        let time = info.written_at.map(|time| time.to_string());
        out.print(
            || {
                format!(
                    "{}  revision {}  {}",
                    info.id,
                    info.written,
                    time.as_deref().unwrap_or("no longer kept")
                )
            },
            || json!({ "schema": info.id.to_string(), "revision": info.written.0, "written_at": time }),
        )?;
    }
    Ok(Exit::Yes)
}
