//! Printing: results to standard output, as text or JSON; messages to standard error; a closed pipe is success.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write as _};

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::Value;

use super::exit::Exit;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON value, or one a line for long lists.
    Json,
}

pub(super) struct Output {
    format: Format,
    out: BufWriter<StdoutLock<'static>>,
    is_closed: bool,
}

impl Output {
    pub(super) fn new(format: Format) -> Output {
        Output { format, out: BufWriter::new(std::io::stdout().lock()), is_closed: false }
    }

    /// Prints a result in the form asked for; only that form is made.
    pub(super) fn print(
        &mut self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Text => self.line(text()),
            Format::Json => self.line(json()),
        }
    }

    /// Prints a line as it is.
    pub(super) fn line(&mut self, line: impl Display) -> anyhow::Result<()> {
        let written = writeln!(self.out, "{line}");
        self.unless_closed(written)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let flushed = self.out.flush();
        self.unless_closed(flushed)
    }

    /// Whether nobody reads any longer: long lists may end here.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whoever closed the pipe had enough. That is no failure, and it changes no exit code: a no stays a no.
    fn unless_closed(&mut self, result: std::io::Result<()>) -> anyhow::Result<()> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            result => result.context("cannot print the answer (what was asked for has been done)"),
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }
}

/// A form as JSON.
pub(super) fn form_json(form: &impl serde::Serialize) -> Value {
    // Forms have no maps with keys other than texts.
    serde_json::to_value(form).unwrap_or_default()
}

/// An argument that cannot be read, found after clap has taken it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misunderstood(String);

impl Misunderstood {
    pub(super) fn new(problem: impl Display) -> Misunderstood {
        Misunderstood(problem.to_string())
    }
}

/// Prints a message for the person at the terminal.
pub(super) fn tell(message: impl Display) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Prints why the command failed.
pub(super) fn fail(error: &anyhow::Error) -> Exit {
    tell(format_args!("error: {error:#}"));
    if error.is::<Misunderstood>() { Exit::Usage } else { Exit::Failed }
}
