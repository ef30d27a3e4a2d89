//! The file of settings. What stands in it is put behind the command line, as options that are not given there or in the environment, so that
//! every setting is read in one way, wherever it comes from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::super::output::Misunderstood;
use super::access::{self, IssuerForm, KeyForm};
use crate::api::AccessSettings;
use crate::schema::instead;

/// Options that are none in a file.
const NO_SETTINGS: [&str; 2] = ["config", "help"];

/// What a file says that no option can.
#[derive(Default)]
pub(in crate::cli) struct Given {
    pub(super) access: AccessSettings,
    /// The lines that settings are at, by the ids of their options.
    lines: BTreeMap<String, usize>,
    file: PathBuf,
    /// Keys and issuers, without secrets.
    tables: Vec<String>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Source {
    Option,
    Environment(String),
    File(PathBuf, usize),
    Default,
}

#[derive(Debug, Default, Deserialize)]
struct Tables {
    #[serde(default)]
    keys: Vec<KeyForm>,
    #[serde(default)]
    issuers: Vec<IssuerForm>,
}

impl Tables {
    fn read(file: &Path, text: &str) -> Result<Tables, Misunderstood> {
        toml::from_str(text).map_err(|error| wrong_in(file, text, error.span(), &error.message()))
    }

    fn access(&self, file: &Path) -> Result<AccessSettings, Misunderstood> {
        let mut access = access::read(&self.keys, &self.issuers)
            .with_context(|| file.display().to_string())
            .map_err(|error| Misunderstood::new(format_args!("{error:#}")))?;
        access.files.push(file.to_owned());
        Ok(access)
    }
}

/// Who may call, as the file of settings says.
pub(super) fn read_access(file: &Path) -> anyhow::Result<AccessSettings> {
    let text = read_text(file)?;
    Ok(Tables::read(file, &text)?.access(file)?)
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file);
    text.with_context(|| format!("cannot read the settings in `{}`", file.display()))
}

fn wrong_in(
    file: &Path,
    text: &str,
    at: Option<Range<usize>>,
    problem: &dyn std::fmt::Display,
) -> Misunderstood {
    let line = at.map_or(1, |at| line_of(text, at.start));
    Misunderstood::new(format_args!("{}:{line}: {problem}", file.display()))
}

impl Given {
    /// Where the value of an option comes from.
    pub(in crate::cli) fn source(&self, id: &str, matches: &ArgMatches, command: &Command) -> Source {
        if let Some(line) = self.lines.get(id) {
            return Source::File(self.file.clone(), *line);
        }
        match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Source::Option,
            Some(ValueSource::EnvVariable) => {
                let argument = command.get_arguments().find(|argument| argument.get_id() == id);
                let name = argument.and_then(clap::Arg::get_env).unwrap_or_default();
                Source::Environment(name.to_string_lossy().into_owned())
            }
            _ => Source::Default,
        }
    }

    /// Keys and issuers, as they are written, without secrets.
    pub(in crate::cli) fn tables(&self) -> &[String] {
        &self.tables
    }
}

/// Reads the file of settings, and puts what it says behind the arguments `args`, of which `matches` were found by `command`: the one
/// that has the options.
///
/// # Errors
/// The file cannot be read, or something in it is wrong: it says where, what, and what would be right.
pub(in crate::cli) fn merge(
    file: &Path,
    command: &Command,
    matches: &ArgMatches,
    args: &mut Vec<OsString>,
) -> anyhow::Result<Given> {
    let text = read_text(file)?;
    let wrong = |at, problem: &dyn std::fmt::Display| wrong_in(file, &text, at, problem);
    let root = DeTable::parse(&text).map_err(|error| wrong(error.span(), &error.message()))?;
    let tables = Tables::read(file, &text)?;
    let mut given = Given { file: file.to_owned(), ..Given::default() };
    for (key, value) in root.get_ref() {
        let (name, at) = (key.get_ref().replace('_', "-"), Some(key.span()));
        if ["keys", "issuers"].contains(&&*name) {
            continue;
        }
        let known = command.get_arguments().find(|argument| argument.get_long() == Some(&name));
        let Some(argument) = known.filter(|_| !NO_SETTINGS.contains(&&*name)) else {
            let names: Vec<String> = command
                .get_arguments()
                .filter_map(clap::Arg::get_long)
                .filter(|name| !NO_SETTINGS.contains(name))
                .map(|name| name.replace('-', "_"))
                .collect();
            let meant = instead(&name.replace('-', "_"), names.iter().map(String::as_str));
            return Err(wrong(at, &format_args!("there is no setting `{}`{meant}", key.get_ref())).into());
        };
        let Some(value) = plain(value.get_ref()) else {
            return Err(wrong(
                at,
                &format_args!("`{}` has to be a text, a number, `true` or `false`", key.get_ref()),
            )
            .into());
        };
        let option = match (argument.get_action().takes_values(), &*value) {
            (true, value) => Some(format!("--{name}={value}")),
            (false, "true") => Some(format!("--{name}")),
            (false, "false") => None,
            (false, _) => {
                return Err(
                    wrong(at, &format_args!("`{}` has to be `true` or `false`", key.get_ref())).into()
                );
            }
        };
        if let Some(option) = &option {
            look_at(command, option)
                .map_err(|problem| wrong(at, &format_args!("`{}`: {problem}", key.get_ref())))?;
        }
        let id = argument.get_id().as_str();
        let is_given =
            matches!(matches.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
        if !is_given {
            args.extend(option.map(OsString::from));
            given.lines.insert(id.to_owned(), line_of(&text, key.span().start));
        }
    }
    given.access = tables.access(file)?;
    let keys = tables.keys.iter().map(|key| format!("[[keys]]\n{}", key.describe()));
    let issuers = tables.issuers.iter().map(|issuer| format!("[[issuers]]\n{}", issuer.describe()));
    given.tables = keys.chain(issuers).collect();
    Ok(given)
}

/// Whether an option can be read by itself.
fn look_at(command: &Command, option: &str) -> Result<(), String> {
    // Without what it takes another one for, and without the environment.
    let alone = command.clone().mut_args(|argument| argument.env(None::<&str>));
    let read = alone.no_binary_name(true).try_get_matches_from([option]);
    use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
    match read {
        Ok(_) => Ok(()),
        Err(error) if [ArgumentConflict, MissingRequiredArgument].contains(&error.kind()) => Ok(()),
        Err(error) => {
            let text = error.render().to_string();
            Err(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
        }
    }
}

/// None: it is a list, a table or a date.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(is) => Some(is.to_string()),
        _ => None,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}
