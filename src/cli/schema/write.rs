//! `stonetown schema write`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{read_schema_file, render};
use crate::cli::args::StoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, tell};
use crate::cli::target::SchemaWritten;

/// Write a schema into a store: it is in force from then on. Earlier ones stay, for the past and by their id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown schema write schema/audiostack.fga --data ./data
  stonetown schema write schema/audiostack.fga --url http://127.0.0.1:8080")]
pub(in crate::cli) struct WriteArgs {
    /// A schema file (.fga, fga.mod, or .json in OpenFGA's form); `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &WriteArgs, out: &mut Output) -> anyhow::Result<Exit> {
    args.store.place.place()?;
    let tree = match read_schema_file(&args.file)? {
        Ok((tree, _)) => tree,
        Err(problems) => {
            tell(render(&problems));
            return Ok(Exit::No);
        }
    };
    let (target, store) = args.store.open()?;
    let SchemaWritten { schema, revision, token } = target.write_schema(store, &tree)?;
    out.print(
        || format!("schema {schema} in force from revision {revision}\ntoken {token}"),
        || json!({ "schema": schema, "revision": revision, "token": token }),
    )?;
    Ok(Exit::Yes)
}
