//! `stonetown export`

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use super::args::StoreArgs;
use super::exit::Exit;
use super::output::{Misunderstood, Output, tell};
use super::target::Target;
use crate::bulk::{self, Compression, ExportError, Format, WriteError};
use crate::engine::At;
use crate::storage::TupleFilter;
use crate::tuple::StoreId;

/// Write all tuples of a state, sorted: two exports can be compared line by line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown export --output tuples.csv.gz --data ./data
  stonetown export 'voice:' --data ./data > voices.jsonl
  stonetown export --at 2026-11-17T09:00:00Z --export-format text --data ./data
  stonetown export --output tuples.json --url http://127.0.0.1:8080

Formats, told by the name of the file or by --export-format: jsonl (the usual one), csv (in OpenFGA's columns), json, yaml, text,
spicedb; .gz and .zst, or --compression, pack. `stonetown import` reads each of them back, exactly; OpenFGA's `fga tuple write`
reads csv, json and yaml, if no tuple has an end.

A file is complete or not there: it gets its name at the end.")]
pub(super) struct ExportArgs {
    /// Which tuples: [TYPE:[ID]][#RELATION][@SUBJECT]
    #[arg(value_name = "FILTER", default_value = "")]
    filter: TupleFilter,

    /// The file to write; without it, standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The format, when the name of the file does not tell: text, csv, jsonl, json, yaml, spicedb
    #[arg(long, value_name = "FORMAT")]
    export_format: Option<Format>,

    /// How it is packed, when the name of the file does not tell: none, gzip, zstd
    #[arg(long, value_name = "COMPRESSION")]
    compression: Option<Compression>,

    /// Export the past: a token that an answer printed, or an RFC 3339 time
    #[arg(long, value_name = "TOKEN|TIME")]
    at: Option<String>,

    #[command(flatten)]
    store: StoreArgs,
}

/// What is exported, and how.
pub(super) struct Exported {
    pub(super) store: StoreId,
    pub(super) filter: TupleFilter,
    pub(super) at: At,
    pub(super) format: Format,
    pub(super) compression: Compression,
}

pub(super) fn run(args: ExportArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let at = args.at.as_deref().map_or(Ok(At::Head), str::parse).map_err(Misunderstood::new)?;
    let path = args.output.as_deref();
    let format = args.export_format.or_else(|| path.and_then(Format::of_path));
    let format = match (format, path) {
        (Some(Format::StoreTest), _) => {
            return Err(Misunderstood::new("a store test is more than tuples: choose another format").into());
        }
        (Some(format), _) => format,
        (None, None) => Format::JsonLines,
        (None, Some(path)) => {
            return Err(Misunderstood::new(format_args!(
                "cannot tell the format of `{}` from its name: say `--export-format`",
                path.display()
            ))
            .into());
        }
    };
    let compression = args.compression.or_else(|| path.map(Compression::of_path)).unwrap_or_default();
    let (target, store) = args.store.open()?;
    let what = Exported { store, filter: args.filter, at, format, compression };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut progress = |tuples: u64| bar.set_message(format!("{tuples} tuples"));
    match path {
        None => {
            out.flush()?;
            let written = write(&target, &what, io::stdout().lock(), &mut progress);
            bar.finish_and_clear();
            match written {
                // Whoever closed the pipe had enough.
                Err(error) if is_closed_pipe(&error) => {}
                written => drop(written?),
            }
        }
        Some(path) => {
            let (token, bytes) = to_file(&target, &what, path, &mut progress)?;
            bar.finish_and_clear();
            let place = path.display();
            out.print(
                || format!("{place}: {bytes} bytes\ntoken {token}"),
                || json!({ "file": path, "bytes": bytes, "token": token }),
            )?;
        }
    }
    Ok(Exit::Yes)
}

/// Writes a file that is complete or not there. The answer is the token of the state, and the file's bytes.
fn to_file(
    target: &Target,
    what: &Exported,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<(String, u64)> {
    let shown = path.display();
    let partial = path.with_file_name(format!(
        "{}.partial",
        path.file_name().with_context(|| format!("`{shown}` has no file name"))?.to_string_lossy()
    ));
    let file = File::create(&partial).with_context(|| format!("cannot write `{}`", partial.display()))?;
    let written = write(target, what, file, progress).and_then(|(token, file)| {
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        std::fs::rename(&partial, path)?;
        Ok((token, bytes))
    });
    if written.is_err() {
        // It is of no use to anybody.
        drop(std::fs::remove_file(&partial));
    }
    written.with_context(|| format!("`{shown}` was not written"))
}

fn write<W: Write>(
    target: &Target,
    what: &Exported,
    out: W,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<(String, W)> {
    match target {
        Target::Local(engine) => {
            let state = engine.export(what.store, what.filter.clone(), &what.at)?;
            let (_, out) = bulk::export(&state, out, what.format, what.compression, progress)?;
            Ok((engine.seal(&state.token()), out))
        }
        Target::Remote(client) => client.export(what, out),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let of_writer = error.downcast_ref::<ExportError>().and_then(|error| match error {
        ExportError::Write(WriteError::Io(error)) => Some(error),
        _ => None,
    });
    let found = of_writer.or_else(|| error.downcast_ref::<io::Error>());
    let is_closed = found.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if !is_closed {
        tell("stonetown: the export is not complete");
    }
    is_closed
}
