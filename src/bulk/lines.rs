//! The lines of a file, counted.

use std::io;
use std::ops::Range;

use super::buffer::{Buffer, LineEnd};
use super::{Position, Reason};

/// The lines of a file, and how many have been consumed.
pub(super) struct Lines {
    pub(super) buffer: Buffer,
    pub(super) count: u64,
}

/// A line, or an entry of a document: consumed, but still in the buffer.
#[derive(Debug)]
pub(super) struct Found {
    /// The line it begins on.
    pub(super) line: u64,
    /// Where in the buffer it is.
    pub(super) content: Range<usize>,
    /// What is wrong with it, as far as that was seen on the way.
    pub(super) problem: Option<Reason>,
    /// Its place in the document, where its line does not tell it from the one before.
    pub(super) entry: Option<u64>,
}

impl Found {
    pub(super) fn at(line: u64) -> Found {
        Found { line, content: 0..0, problem: None, entry: None }
    }

    pub(super) fn bad(line: u64, reason: Reason) -> Found {
        Found { problem: Some(reason), ..Found::at(line) }
    }
}

/// Whether a line holds nothing.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

impl Lines {
    pub(super) fn new(buffer: Buffer) -> Lines {
        Lines { buffer, count: 0 }
    }

    /// The place behind what was consumed.
    pub(super) fn position(&self) -> Position {
        Position { bytes: self.buffer.offset(), line: self.count }
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self, is_blank: fn(&[u8]) -> bool) -> io::Result<Option<Found>> {
        match self.peek(is_blank)? {
            LineEnd::End => Ok(None),
            LineEnd::TooLong => self.skip_too_long().map(Some),
            LineEnd::At { content, whole } => {
                let at = self.take(whole, 1);
                Ok(Some(Found { content: at.start..at.start + content, ..Found::at(self.count) }))
            }
        }
    }

    /// Where the next line that is not blank ends; those before it are consumed.
    pub(super) fn peek(&mut self, is_blank: fn(&[u8]) -> bool) -> io::Result<LineEnd> {
        self.skip_mark()?;
        loop {
            let end = self.buffer.line_end(0)?;
            match end {
                LineEnd::At { content, whole } if is_blank(&self.buffer.unread()[..content]) => {
                    self.take(whole, 1);
                }
                _ => return Ok(end),
            }
        }
    }

    /// Consumes so many bytes, which are so many lines.
    pub(super) fn take(&mut self, bytes: usize, lines: u64) -> Range<usize> {
        self.count += lines;
        self.buffer.consume(bytes)
    }

    /// Consumes a line that is too long, however long it is.
    pub(super) fn skip_too_long(&mut self) -> io::Result<Found> {
        self.skip_rest()?;
        Ok(Found::bad(self.count, Reason::too_long()))
    }

    /// Consumes what is left of a line, however long it is.
    pub(super) fn skip_rest(&mut self) -> io::Result<()> {
        self.count += 1;
        self.buffer.skip_line()
    }

    /// Some editors put a mark before the text.
    pub(super) fn skip_mark(&mut self) -> io::Result<()> {
        if self.buffer.offset() == 0 {
            self.buffer.fill_to(3)?;
            if self.buffer.unread().starts_with(b"\xef\xbb\xbf") {
                self.buffer.consume(3);
            }
        }
        Ok(())
    }
}
