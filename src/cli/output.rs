//! Printing: results to standard output, as text or JSON; messages to standard error; a closed pipe is success.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write as _};

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
}

impl Output {
    pub(super) fn new(format: Format) -> Output {
        Output { format, out: BufWriter::new(std::io::stdout().lock()) }
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
        Ok(writeln!(self.out, "{line}")?)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }

    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }
}

/// Prints a message for the person at the terminal.
pub(super) fn tell(message: impl Display) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Prints why the command failed; whoever closed the pipe had enough.
pub(super) fn fail(error: &anyhow::Error) -> Exit {
    if let Some(io) = error.downcast_ref::<std::io::Error>()
        && io.kind() == ErrorKind::BrokenPipe
    {
        return Exit::Yes;
    }
    tell(format_args!("error: {error:#}"));
    Exit::Failed
}
