//! `stonetown write`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::args::{StoreArgs, find_store};
use super::diff::SavedDiff;
use super::exit::Exit;
use super::output::Output;
use super::remote::may_be_done;
use super::target::Written;
use crate::bulk::{self, Format};
use crate::engine::{OnDuplicate, OnMissing, Precondition, WriteRequest};
use crate::tuple::{SchemaId, Tuple, TupleKey};

/// Write and delete tuples, all in one revision or none.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown write 'voice:7#viewer@user:anne' --data ./data
  stonetown write --delete 'studio:main#owner@user:olga' 'studio:main#owner@user:anne' \\
      --require 'exists studio:main#owner@user:olga' --require 'at-most 1 studio:main#owner' --data ./data
  stonetown write --file tuples.csv --on-duplicate ignore --data ./data
  stonetown write --if-diff approved.json --data ./data
  stonetown write 'voice:7#viewer@user:anne' --url http://127.0.0.1:8080

A server takes 100 tuples in one write unless it was started with a larger `--write-tuples-max`.

Files: .csv (object,relation,subject or OpenFGA's columns), .jsonl, .json/.yaml (a list), .txt (one tuple a line),
.spicedb (SpiceDB's relationships); packed too (.csv.gz, .csv.zst).

Preconditions, true of the state before the write:
  exists TUPLE · absent TUPLE · at-least N FILTER · at-most N FILTER · unchanged FILTER since TOKEN
  untouched REL[,REL…] since TOKEN
  a FILTER is [TYPE:[ID]][#RELATION][@SUBJECT]; a REL is TYPE#RELATION, TYPE#*, *, or `schema`")]
pub(super) struct WriteArgs {
    /// Tuples to write: OBJECT#RELATION@SUBJECT
    #[arg(value_name = "TUPLE")]
    tuples: Vec<Tuple>,

    /// A tuple to delete; may be repeated
    #[arg(long, value_name = "TUPLE")]
    delete: Vec<TupleKey>,

    /// A file of tuples to write; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The format of the file, when its name does not tell: text, csv, jsonl, json, yaml, spicedb, fga.yaml
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<Format>,

    /// What has to be true before the write; may be repeated
    #[arg(long, value_name = "PRECONDITION")]
    require: Vec<Precondition>,

    /// What to do with a tuple that exists already
    #[arg(long, value_enum, default_value_t = Duplicate::Error)]
    on_duplicate: Duplicate,

    /// What to do with a deletion of a tuple that does not exist
    #[arg(long, value_enum, default_value_t = Missing::Error)]
    on_missing: Missing,

    /// A text of your choice: the same write, sent again under it within an hour, is not made again
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// Apply a change whose diff was approved, as `stonetown diff --save` kept it, if its diff is still the same
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tuples", "delete", "file", "require", "schema", "idempotency_key"])]
    if_diff: Option<PathBuf>,

    /// The schema that lets the tuples in, by id; otherwise the one in force
    #[arg(long, value_name = "ID")]
    schema: Option<SchemaId>,

    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Duplicate {
    /// Refuse the write
    Error,
    /// Leave it as it is
    Ignore,
    /// Give it the new condition and expiry
    Replace,
}

impl From<Duplicate> for OnDuplicate {
    fn from(chosen: Duplicate) -> OnDuplicate {
        match chosen {
            Duplicate::Error => OnDuplicate::Error,
            Duplicate::Ignore => OnDuplicate::Ignore,
            Duplicate::Replace => OnDuplicate::Replace,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Missing {
    /// Refuse the write
    Error,
    /// Leave it at that
    Ignore,
}

pub(super) fn run(args: WriteArgs, out: &mut Output) -> anyhow::Result<Exit> {
    // A long file is not read in vain.
    args.store.place.place()?;
    if let Some(file) = &args.if_diff {
        let saved = SavedDiff::read(file)?;
        let target = args.store.place.open(false)?;
        let store = find_store(&target, args.store.store.as_deref().or(Some(saved.store())))?;
        return saved.apply(&target, store, out);
    }
    let mut writes = args.tuples;
    if let Some(path) = &args.file {
        let bar = progress(path);
        let tuples = bulk::read_tuples(path, args.input_format, &mut |bytes| bar.set_position(bytes));
        bar.finish_and_clear();
        writes.extend(tuples?.into_iter().map(|located| located.tuple));
    }
    let (target, store) = args.store.open()?;
    let total = writes.len() + args.delete.len();
    let bar = ProgressBar::new_spinner().with_message(format!("writing {total} tuples in one revision"));
    if total > 1_000 {
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
    }
    let answer = target.write(
        WriteRequest {
            store,
            writes,
            deletes: args.delete,
            preconditions: args.require,
            on_duplicate: args.on_duplicate.into(),
            on_missing: match args.on_missing {
                Missing::Error => OnMissing::Error,
                Missing::Ignore => OnMissing::Ignore,
            },
            schema: args.schema,
        },
        args.idempotency_key.as_deref(),
    );
    bar.finish_and_clear();
    let answer = answer.map_err(|error| {
        let what = match may_be_done(&error) {
            true => "it is not known whether anything was written",
            false => "nothing was written",
        };
        with_lines(error, args.file.as_deref(), args.input_format).context(what)
    });
    let Written { changed, revision, token } = answer?;
    out.print(
        || format!("{changed} of {total} tuples changed, revision {revision}\ntoken {token}"),
        || json!({ "changed": changed, "revision": revision, "token": token }),
    )?;
    Ok(Exit::Yes)
}

/// A refusal with the lines of the file on which its tuple stands. Only a refused write reads the file again.
fn with_lines(error: anyhow::Error, file: Option<&Path>, format: Option<Format>) -> anyhow::Error {
    let message = error.to_string();
    // Every refusal that is about one tuple begins with it; a server's has come as a text.
    let file = file.filter(|file| file.to_str() != Some("-") && message.starts_with("tuple `"));
    let Some(file) = file else { return error };
    let read = bulk::read_tuples(file, format, &mut |_| {}).unwrap_or_default();
    let names = |text: String| message.starts_with(&format!("tuple `{text}`"));
    let is_named = |found: &Tuple| names(found.to_string()) || names(found.key.to_string());
    let lines =
        read.iter().filter(|located| is_named(&located.tuple)).map(|located| located.line.to_string());
    let lines = lines.collect::<Vec<_>>().join(", ");
    if lines.is_empty() {
        return error;
    }
    error.context(format!("{}: line {lines}", file.display()))
}

/// A bar over the bytes of a file; none is drawn where standard error is no terminal.
fn progress(path: &Path) -> ProgressBar {
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length == 0 {
        return ProgressBar::new_spinner();
    }
    let style = "reading {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}
