//! `stonetown completions` and `stonetown man`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use super::exit::Exit;
use super::output::Output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown completions bash > /etc/bash_completion.d/stonetown
  stonetown completions zsh > ~/.zfunc/_stonetown
  stonetown completions fish > ~/.config/fish/completions/stonetown.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown man /usr/local/share/man/man1
  man stonetown-serve")]
pub(super) struct ManArgs {
    /// Where the pages go; made when it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn completions(
    args: &CompletionsArgs,
    mut command: Command,
    out: &mut Output,
) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "stonetown", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Yes)
}

pub(super) fn man(args: &ManArgs, command: Command, out: &mut Output) -> anyhow::Result<Exit> {
    let dir = args.dir.display();
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot make `{dir}`"))?;
    clap_mangen::generate_to(command, &args.dir).with_context(|| format!("cannot write pages in `{dir}`"))?;
    let pages = std::fs::read_dir(&args.dir)?.count();
    out.print(|| format!("{pages} pages in {dir}"), || json!({ "dir": args.dir, "pages": pages }))?;
    Ok(Exit::Yes)
}
