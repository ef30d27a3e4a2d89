//! The command line: a file a subcommand. Results go to standard output, messages to standard error.

mod args;
mod audit;
mod backup;
mod changes;
mod check;
mod config;
mod delete;
mod diff;
mod exit;
mod expand;
mod explain;
mod export;
mod import;
mod manual;
mod migrate;
mod output;
mod read;
mod remote;
mod restore;
mod schema;
mod serve;
mod store;
mod target;
mod top;
mod validate;
mod watch;
mod write;

use std::ffi::OsString;
use std::path::Path;

use clap::{
    ArgMatches, Command as ClapCommand, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
};

pub use exit::Exit;
use output::Output;

/// Zanzibar-style authorization: tuples in RocksDB, a small schema language, check and expand by graph traversal.
#[derive(Debug, Parser)]
#[command(name = "stonetown", version, max_term_width = 110, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = output::Format::Text)]
    format: output::Format,
}

const AFTER_HELP: &str = "\
Examples:
  stonetown store create --name demo --data ./data
  stonetown schema write schema/audiostack.fga --data ./data
  stonetown write 'org:child#parent@org:acme' 'org:acme#admin@user:anne' --data ./data
  stonetown check 'org:child#admin@user:anne' --data ./data
  stonetown serve --data ./data
  stonetown check 'org:child#admin@user:anne' --url http://127.0.0.1:8080

Where:
  --data DIR  opens a data directory; while a server has it open, that server is asked
  --url URL   asks a server; both can be set in the environment, as STONETOWN_DATA or STONETOWN_URL

Exit codes:
  0  yes, or done
  1  no: the check is denied, a test failed, a schema has problems, validation or verification found damage
  2  the command line cannot be understood
  3  failed: there is no answer; nothing was changed, unless the message says that this is not known";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create, list, delete stores, or show what one holds
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Validate, format, test, draw, write or show schemas
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Write and delete tuples, in one revision
    Write(write::WriteArgs),
    /// Delete all tuples that a filter matches, or that name an object
    Delete(delete::DeleteArgs),
    /// Load any number of tuples from files
    Import(import::ImportArgs),
    /// Write all tuples of a state, sorted, in any format
    Export(export::ExportArgs),
    /// Print stored tuples
    Read(read::ReadArgs),
    /// Ask whether a subject holds a relation on an object
    Check(check::CheckArgs),
    /// Show who stands behind a relation of an object
    Expand(expand::ExpandArgs),
    /// Say why an answer is yes, or what is missing when it is no
    Explain(explain::ExplainArgs),
    /// Show who gains and loses what by a change, before it is made
    Diff(diff::DiffArgs),
    /// List who can do something on an object, now or over a time
    Who(audit::WhoArgs),
    /// List what a subject can do, now or over a time
    What(audit::WhatArgs),
    /// Print the change log, oldest first
    Changes(changes::ChangesArgs),
    /// Print every change of a served store as it is made
    Watch(watch::WatchArgs),
    /// Serve a data directory over HTTP
    Serve(Box<serve::ServeArgs>),
    /// Print the settings that a server would have, and where each comes from
    Config(Box<serve::ServeArgs>),
    /// Show what a server does, as it does it
    Top(top::TopArgs),
    /// Print what a shell needs to complete commands and options
    Completions(manual::CompletionsArgs),
    /// Write a manual page for each command
    Man(manual::ManArgs),
    /// Hold every family of a data directory against the others
    Validate(validate::ValidateArgs),
    /// Copy a data directory while it is served; list and verify such backups
    Backup(backup::BackupArgs),
    /// Make a new data directory of a backup, as it was or as it had been before
    Restore(restore::RestoreArgs),
}

/// The command line as it is understood: the settings of a server can all be given in the environment too.
fn command() -> ClapCommand {
    let in_environment = |serve: ClapCommand| {
        serve.mut_args(|argument| match argument.get_long() {
            Some(name) if !["help", "format"].contains(&name) => {
                let name = format!("STONETOWN_{}", name.replace('-', "_").to_uppercase());
                argument.env(name).hide_env(true)
            }
            _ => argument,
        })
    };
    Cli::command().mut_subcommand("serve", in_environment).mut_subcommand("config", in_environment)
}

/// What was understood, with what a file of settings says.
struct Understood {
    cli: Cli,
    command: ClapCommand,
    matches: ArgMatches,
    given: serve::Given,
}

fn understand(mut args: Vec<OsString>) -> Result<Understood, anyhow::Error> {
    let command = command();
    let mut matches = command.clone().try_get_matches_from(&args)?;
    let mut given = serve::Given::default();
    if let Some((name @ ("serve" | "config"), of_serve)) = matches.subcommand() {
        let of_name = command.find_subcommand(name).cloned().unwrap_or_default();
        if let Some(file) = of_serve.get_one::<std::path::PathBuf>("config") {
            given = serve::merge(Path::new(file), &of_name, of_serve, &mut args)?;
            matches = command.clone().try_get_matches_from(&args)?;
        }
    }
    let cli = Cli::from_arg_matches(&matches)?;
    Ok(Understood { cli, command, matches, given })
}

/// Runs the program on the arguments of the process.
pub fn run() -> Exit {
    let Understood { cli, command, matches, given } = match understand(std::env::args_os().collect()) {
        Ok(understood) => understood,
        Err(error) => {
            return match error.downcast::<clap::Error>() {
                Ok(error) => {
                    // Help and version come this way too; a closed pipe is nothing to tell about.
                    let _ = error.print();
                    if error.use_stderr() { Exit::Usage } else { Exit::Yes }
                }
                Err(error) => output::fail(&error),
            };
        }
    };
    let mut out = Output::new(cli.format);
    let result = match cli.command {
        Command::Store(command) => store::run(command, &mut out),
        Command::Schema(command) => schema::run(command, &mut out),
        Command::Write(args) => write::run(args, &mut out),
        Command::Delete(args) => delete::run(args, &mut out),
        Command::Import(args) => import::run(args, &mut out),
        Command::Export(args) => export::run(args, &mut out),
        Command::Read(args) => read::run(args, &mut out),
        Command::Check(args) => check::run(args, &mut out),
        Command::Expand(args) => expand::run(args, &mut out),
        Command::Explain(args) => explain::run(args, &mut out),
        Command::Diff(args) => diff::run(args, &mut out),
        Command::Who(args) => audit::who(args, &mut out),
        Command::What(args) => audit::what(args, &mut out),
        Command::Changes(args) => changes::run(args, &mut out),
        Command::Watch(args) => watch::run(args, &mut out),
        Command::Serve(args) => serve::run(&args, &given, &mut out),
        Command::Config(args) => config::run(&args, &given, &command, &matches, &mut out),
        Command::Top(args) => top::run(&args, &mut out),
        Command::Completions(args) => manual::completions(&args, command, &mut out),
        Command::Man(args) => manual::man(&args, command, &mut out),
        Command::Validate(args) => validate::run(args, &mut out),
        Command::Backup(args) => backup::run(args, &mut out),
        Command::Restore(args) => restore::run(args, &mut out),
    };
    let result = result.and_then(|exit| out.flush().map(|()| exit));
    result.unwrap_or_else(|error| output::fail(&error))
}
