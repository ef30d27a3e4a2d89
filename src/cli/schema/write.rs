//! `stonetown schema write`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{read_schema_file, render};
use crate::cli::args::StoreArgs;
use crate::cli::exit::Exit;
use crate::cli::output::{Output, tell};

/// Write a schema into a store: it is in force from then on. Earlier ones stay, for the past and by their id.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stonetown schema write schema/audiostack.fga --data ./data")]
pub(in crate::cli) struct WriteArgs {
    /// A schema file (.fga, or .json in OpenFGA's form); `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: &WriteArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let tree = match read_schema_file(&args.file)? {
        Ok((tree, _)) => tree,
        Err(problems) => {
            tell(render(&problems));
            return Ok(Exit::No);
        }
    };
    let (engine, store) = args.store.open()?;
    let answer = engine.write_schema(store, &tree)?;
    let token = engine.seal(&answer.token);
    out.print(
        || format!("schema {} in force from revision {}\ntoken {token}", answer.id, answer.token.revision),
        || json!({ "schema": answer.id.to_string(), "revision": answer.token.revision.0, "token": token }),
    )?;
    Ok(Exit::Yes)
}
