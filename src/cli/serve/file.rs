//! The file of settings. What stands in it is put behind the command line, as options that are not given there or in the environment, so that
//! every setting is read in one way, wherever it comes from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::super::output::Misunderstood;
use super::access::{self, AccessFiles, IssuerForm, KeyForm};
use crate::api::AccessSettings;
use crate::schema::instead;

/// Options that are none in a file.
const NO_SETTINGS: [&str; 2] = ["config", "help"];
/// The setting that names a file with a key.
const ADMIN_KEY_FILE: &str = "admin-key-file";

/// What a file says that no option can.
#[derive(Default)]
pub(in crate::cli) struct Given {
    pub(super) access: AccessSettings,
    /// The lines that settings are at, by the ids of their options.
    lines: BTreeMap<String, usize>,
    file: PathBuf,
    /// The settings that there are, as they are written in a file.
    names: Vec<String>,
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

/// A file of settings, of which nothing has been looked at but that it could be one.
struct Settings {
    text: String,
    plain: Vec<Plain>,
    tables: Tables,
}

/// A setting that an option could be as well.
struct Plain {
    /// As it is written.
    key: String,
    value: String,
    at: Range<usize>,
}

impl Settings {
    /// # Errors
    /// It cannot be read, is no TOML, or names a setting that is none of `names`.
    fn read(file: &Path, names: &[String]) -> anyhow::Result<Settings> {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| {
            Misunderstood::new(format_args!("cannot read the settings in `{}`: {error}", file.display()))
        })?;
        let wrong = |at, problem: &dyn fmt::Display| wrong_in(file, &text, at, problem);
        let root = DeTable::parse(&text).map_err(|error| wrong(error.span(), &error.message()))?;
        let tables = toml::from_str(&text).map_err(|error| wrong(error.span(), &error.message()))?;
        let mut settings = Vec::new();
        for (key, value) in root.get_ref() {
            let (name, at) = (key.get_ref().replace('-', "_"), Some(key.span()));
            if ["keys", "issuers"].contains(&&*name) {
                continue;
            }
            if !names.contains(&name) {
                let meant = instead(&name, names.iter().map(String::as_str).chain(["keys", "issuers"]));
                let problem = format!("there is no setting `{}`{meant}", key.get_ref());
                return Err(wrong(at, &problem).into());
            }
            let Some(value) = plain(value.get_ref()) else {
                let problem = format!("`{}` has to be a text, a number, `true` or `false`", key.get_ref());
                return Err(wrong(at, &problem).into());
            };
            settings.push(Plain { key: key.get_ref().to_string(), value, at: key.span() });
        }
        Ok(Settings { plain: settings, tables, text })
    }
}

impl Plain {
    /// Of its option.
    fn name(&self) -> String {
        self.key.replace('_', "-")
    }
}

impl Tables {
    fn access(&self, file: &Path) -> Result<AccessSettings, Misunderstood> {
        access::read(&self.keys, &self.issuers)
            .with_context(|| file.display().to_string())
            .map_err(|error| Misunderstood::new(format_args!("{error:#}")))
    }
}

/// Who may call, as a file of settings states it.
pub(super) struct AccessStated {
    file: PathBuf,
    tables: Tables,
    pub(super) admin_key: Option<PathBuf>,
}

impl AccessStated {
    /// # Errors
    /// As [`Settings::read`].
    pub(super) fn read(file: &Path, names: &[String]) -> anyhow::Result<AccessStated> {
        let Settings { plain, tables, .. } = Settings::read(file, names)?;
        let admin_key = plain.into_iter().find(|setting| setting.name() == ADMIN_KEY_FILE);
        let admin_key = admin_key.map(|setting| PathBuf::from(setting.value));
        Ok(AccessStated { file: file.to_owned(), tables, admin_key })
    }

    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let secrets = self.tables.keys.iter().filter_map(KeyForm::file);
        secrets.chain(self.tables.issuers.iter().filter_map(IssuerForm::file))
    }

    pub(super) fn access(&self) -> anyhow::Result<AccessSettings> {
        Ok(self.tables.access(&self.file)?)
    }
}

fn wrong_in(file: &Path, text: &str, at: Option<Range<usize>>, problem: &dyn fmt::Display) -> Misunderstood {
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

    /// Where it stands who may call. `admin_key`: the file of the admin's key that is in force.
    pub(super) fn access_files(&self, config: Option<&Path>, admin_key: Option<&Path>) -> AccessFiles {
        let is_of_file = self.lines.contains_key(&ADMIN_KEY_FILE.replace('-', "_"));
        AccessFiles {
            config: config.map(|file| (file.to_owned(), self.names.clone())),
            admin_key: admin_key.filter(|_| !is_of_file).map(Path::to_owned),
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
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    let names: Vec<String> =
        names.filter(|name| !NO_SETTINGS.contains(name)).map(|name| name.replace('-', "_")).collect();
    let Settings { text, plain, tables } = Settings::read(file, &names)?;
    let mut given = Given { file: file.to_owned(), names, ..Given::default() };
    for setting in plain {
        let (name, key, value) = (setting.name(), &setting.key, &setting.value);
        let wrong = |problem: &dyn fmt::Display| wrong_in(file, &text, Some(setting.at.clone()), problem);
        let known = command.get_arguments().find(|argument| argument.get_long() == Some(&name));
        let Some(argument) = known else { continue };
        let option = match (argument.get_action().takes_values(), &**value) {
            (true, value) => Some(format!("--{name}={value}")),
            (false, "true") => Some(format!("--{name}")),
            (false, "false") => None,
            (false, _) => {
                return Err(wrong(&format_args!("`{key}` has to be `true` or `false`")).into());
            }
        };
        if let Some(option) = &option {
            look_at(command, option).map_err(|problem| wrong(&format_args!("`{key}`: {problem}")))?;
        }
        let id = argument.get_id().as_str();
        let is_given =
            matches!(matches.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
        if !is_given {
            args.extend(option.map(OsString::from));
            given.lines.insert(id.to_owned(), line_of(&text, setting.at.start));
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
