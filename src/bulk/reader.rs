//! Reading a file of tuples: one line after the other, in bounded memory, from any place in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::buffer::Buffer;
use super::lines::{Found, Lines, is_blank};
use super::{Format, Input, Line, Position, ReadError, Reason, csv, json, text};

/// The tuples of one file, in its order. Blank lines and comments are passed over; a line that is no tuple is given with
/// the reason.
pub struct TupleLines {
    input: Input,
    /// Bytes taken from the input, as packed.
    read: Arc<AtomicU64>,
    lines: Lines,
    reader: Reader,
    /// What of the last line could not be borrowed from the file.
    names: String,
}

enum Reader {
    Text,
    JsonLines,
    Csv(csv::Records),
}

impl TupleLines {
    /// Opens an input at a place in it, at `Position::default()` to read all of it.
    ///
    /// # Errors
    /// It cannot be read, or ends before that place.
    pub fn open(input: &Input, from: Position) -> Result<TupleLines, ReadError> {
        let read = Arc::new(AtomicU64::new(0));
        let io = |cause| ReadError::Io { path: input.path.clone(), cause };
        let buffer = Buffer::open(input, &read).map_err(io)?;
        let reader = match input.format {
            Format::Text => Reader::Text,
            Format::JsonLines => Reader::JsonLines,
            Format::Csv => Reader::Csv(csv::Records::default()),
            _ => Reader::Text,
        };
        let lines = Lines::new(buffer);
        let mut opened = TupleLines { input: input.clone(), read, lines, reader, names: String::new() };
        if from != Position::default() {
            opened.go_to(from)?;
        }
        Ok(opened)
    }

    /// The next line that is not blank; nothing at the end.
    ///
    /// # Errors
    /// The input cannot be read on: refused by the operating system, or packed and damaged or cut off.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        let found = match &mut self.reader {
            Reader::Text => self.lines.next(text::is_blank),
            Reader::JsonLines => self.lines.next(is_blank),
            Reader::Csv(records) => records.next(&mut self.lines),
        };
        let Some(Found { line, content, problem }) = found.map_err(|cause| self.error(cause))? else {
            return Ok(None);
        };
        let text = self.lines.buffer.slice(content);
        let tuple = match (&self.reader, problem) {
            (_, Some(reason)) => Err(reason),
            (Reader::Text, None) => utf8(text).and_then(text::parse),
            (Reader::JsonLines, None) => utf8(text).and_then(|text| json::parse(text, &mut self.names)),
            (Reader::Csv(records), None) => records.tuple(text),
        };
        Ok(Some(Line { line, after: self.lines.position(), text, tuple }))
    }

    /// How many bytes of the input have been read, packed as they are: to be held against [`Input::bytes`].
    pub fn bytes_read(&self) -> u64 {
        match self.lines.buffer.is_file() {
            true => self.lines.buffer.offset(),
            false => self.read.load(Ordering::Relaxed),
        }
    }

    fn go_to(&mut self, from: Position) -> Result<(), ReadError> {
        if let Reader::Csv(records) = &mut self.reader {
            records.begin(&mut self.lines).map_err(|cause| self.error(cause))?;
        }
        if !self.lines.buffer.skip_to(from.bytes).map_err(|cause| self.error(cause))? {
            return Err(ReadError::Shorter { path: self.input.path.clone(), bytes: from.bytes });
        }
        self.lines.count = from.line;
        Ok(())
    }

    fn error(&self, cause: std::io::Error) -> ReadError {
        let path = self.input.path.clone();
        match self.lines.buffer.is_packed() {
            true => ReadError::Packed { path, line: self.lines.count, cause },
            false => ReadError::Io { path, cause },
        }
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(bytes).map_err(|_| Reason::not_utf8(bytes))
}
