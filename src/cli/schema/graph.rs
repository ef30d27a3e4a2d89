//! `stonetown schema graph`

use std::path::PathBuf;

use clap::Args;

use super::{read_schema_file, render};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, tell};
use crate::schema::to_dot;

/// Print the graph of a schema's relations for Graphviz.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  stonetown schema graph schema/audiostack.fga | dot -Tsvg > audiostack.svg"
)]
pub(in crate::cli) struct GraphArgs {
    /// A schema file (.fga, fga.mod, or .json in OpenFGA's form); `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &GraphArgs, out: &mut Output) -> anyhow::Result<Exit> {
    match read_schema_file(&args.file)? {
        Ok((_, schema)) => {
            out.line(to_dot(&schema).trim_end())?;
            Ok(Exit::Yes)
        }
        Err(problems) => {
            tell(render(&problems));
            Ok(Exit::No)
        }
    }
}
