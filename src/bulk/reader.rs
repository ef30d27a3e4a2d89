//! Reading a file of tuples: one line after the other, in bounded memory, from any place in it.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::buffer::Buffer;
use super::document::Document;
use super::lines::{Found, Lines, is_blank};
use super::yaml::{self, Yaml};
use super::{Format, Input, Line, Position, ReadError, Reason, csv, json, spicedb, text};

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
    Spicedb,
    JsonLines,
    Csv(csv::Records),
    Json(Document),
    Yaml(Yaml),
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
        let mut opened = TupleLines::new(input.clone(), read, buffer);
        if from != Position::default() {
            opened.go_to(from)?;
        }
        Ok(opened)
    }

    /// Reads what is not a file, packed or not; errors call it by the name given.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn over(source: Box<dyn Read + Send>, name: &str, format: Format) -> Result<TupleLines, ReadError> {
        let input = Input { path: name.into(), format, bytes: None };
        let read = Arc::new(AtomicU64::new(0));
        let io = |cause| ReadError::Io { path: input.path.clone(), cause };
        let buffer = Buffer::over(source, &read).map_err(io)?;
        Ok(TupleLines::new(input, read, buffer))
    }

    fn new(input: Input, read: Arc<AtomicU64>, buffer: Buffer) -> TupleLines {
        let reader = match input.format {
            Format::Text => Reader::Text,
            Format::JsonLines => Reader::JsonLines,
            Format::Csv => Reader::Csv(csv::Records::default()),
            Format::Json => Reader::Json(Document::default()),
            Format::Yaml => Reader::Yaml(Yaml::new(false)),
            Format::StoreTest => Reader::Yaml(Yaml::new(true)),
            Format::Spicedb => Reader::Spicedb,
        };
        TupleLines { input, read, lines: Lines::new(buffer), reader, names: String::new() }
    }

    /// The next line that is not blank; nothing at the end.
    ///
    /// # Errors
    /// The input cannot be read on: refused by the operating system, or packed and damaged or cut off.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        let Some(Found { line, content, problem, entry }) = self.find()? else { return Ok(None) };
        let after = self.position();
        let text = self.lines.buffer.slice(content);
        let names = &mut self.names;
        let tuple = match (&self.reader, problem) {
            (_, Some(reason)) => Err(reason),
            (Reader::Text, None) => utf8(text).and_then(text::parse),
            (Reader::Spicedb, None) => utf8(text).and_then(spicedb::parse),
            (Reader::JsonLines | Reader::Json(_), None) => {
                utf8(text).and_then(json::entry).and_then(|entry| entry.tuple(names))
            }
            (Reader::Csv(records), None) => records.tuple(text),
            (Reader::Yaml(yaml), None) => yaml.tuple(text, names),
        };
        let tuple = tuple.map_err(|reason| match entry {
            Some(entry) => reason.of_entry(entry),
            None => reason,
        });
        let line = line + tuple.as_ref().map_or_else(Reason::lines_below, |_| 0);
        Ok(Some(Line { line, after, text, tuple }))
    }

    /// The next line or entry, consumed but not yet looked into.
    fn find(&mut self) -> Result<Option<Found>, ReadError> {
        let lines = &mut self.lines;
        let found = match &mut self.reader {
            Reader::Text => lines.next(text::is_blank),
            Reader::Spicedb => lines.next(spicedb::is_blank),
            Reader::JsonLines => lines.next(is_blank),
            Reader::Csv(records) => records.next(lines),
            Reader::Json(document) => document.next(lines),
            Reader::Yaml(yaml) => match yaml.next(lines) {
                Ok(found) => Ok(found),
                Err(yaml::Stop::Io(cause)) => Err(cause),
                Err(yaml::Stop::TooLong) => {
                    let path = self.input.path.clone();
                    return Err(ReadError::TooLong { path, bytes_max: yaml::WHOLE_BYTES_MAX });
                }
            },
        };
        found.map_err(|cause| self.error(cause))
    }

    fn position(&self) -> Position {
        match &self.reader {
            Reader::Json(document) => document.position(&self.lines),
            Reader::Yaml(yaml) => yaml.position(&self.lines),
            _ => self.lines.position(),
        }
    }

    /// How many bytes of the input have been read, packed as they are: to be held against [`Input::bytes`].
    pub fn bytes_read(&self) -> u64 {
        match self.lines.buffer.is_file() {
            true => self.lines.buffer.offset(),
            false => self.read.load(Ordering::Relaxed),
        }
    }

    fn go_to(&mut self, from: Position) -> Result<(), ReadError> {
        if self.input.format.is_document() {
            // Only from its beginning can be told what a place in a document is.
            while self.position().line < from.line {
                if self.find()?.is_none() {
                    return Err(self.shorter(from));
                }
            }
            return Ok(());
        }
        if let Reader::Csv(records) = &mut self.reader {
            records.begin(&mut self.lines).map_err(|cause| self.error(cause))?;
        }
        if !self.lines.buffer.skip_to(from.bytes).map_err(|cause| self.error(cause))? {
            return Err(self.shorter(from));
        }
        self.lines.count = from.line;
        Ok(())
    }

    fn shorter(&self, place: Position) -> ReadError {
        ReadError::Shorter { path: self.input.path.clone(), bytes: place.bytes }
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
    std::str::from_utf8(bytes).map_err(|error| Reason::not_utf8(bytes, error.valid_up_to()))
}
