//! `stonetown config`

use clap::{ArgMatches, Command};
use serde_json::json;

use super::exit::Exit;
use super::output::Output;
use super::serve::{Given, ServeArgs, Source};

/// Options that are no settings.
const OTHERS: [&str; 3] = ["help", "format", "config"];

pub(super) fn run(
    args: &ServeArgs,
    given: &Given,
    command: &Command,
    matches: &ArgMatches,
    out: &mut Output,
) -> anyhow::Result<Exit> {
    // What would stop the start is told here too.
    args.effective(given)?;
    let (Some(command), Some(matches)) =
        (command.find_subcommand("config"), matches.subcommand_matches("config"))
    else {
        return Ok(Exit::Yes);
    };
    if let Some(file) = args.config() {
        out.print(|| format!("# {}", file.display()), || json!({ "config": file }))?;
    }
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        if OTHERS.contains(&id) {
            continue;
        }
        let values = matches.get_raw(id).into_iter().flatten();
        let value: Vec<String> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        let value = match argument.get_action().takes_values() {
            true => value.first().cloned(),
            false => Some(matches.get_flag(id).to_string()),
        };
        let source = match given.source(id, matches, command) {
            Source::Option => format!("--{}", id.replace('_', "-")),
            Source::Environment(name) => name,
            Source::File(file, line) => format!("{}:{line}", file.display()),
            Source::Default => "default".to_owned(),
        };
        let text = || match &value {
            None => format!("# {id} is not set"),
            Some(value) if is_plain(value) => format!("{id} = {value}  # {source}"),
            Some(value) => format!("{id} = {value:?}  # {source}"),
        };
        out.print(text, || json!({ "name": id, "value": value, "source": source }))?;
    }
    for table in given.tables() {
        out.print(|| format!("\n{table}"), || json!({ "table": table }))?;
    }
    Ok(Exit::Yes)
}

/// Whether a value stands without quotes in TOML.
fn is_plain(value: &str) -> bool {
    value == "true" || value == "false" || value.parse::<u64>().is_ok()
}
