//! JSON files that are one document: found entry by entry, so that a list of any length is read in bounded memory.
//!
//! Only where entries begin and end is found out here; what is in them is read by `json`.

use std::io;

use super::buffer::LINE_BYTES_MAX;
use super::lines::{Found, Lines};
use super::{Position, Reason};

/// Finds the entries of a document: a list, several, or objects that hold one under `tuples`, as OpenFGA answers. Bare
/// objects one after the other are taken too.
#[derive(Debug, Default)]
pub(super) struct Document {
    place: Place,
    /// Entries found.
    entries: u64,
    /// The line on which the last entry began.
    last_line: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Outside of everything.
    #[default]
    Top,
    /// In an object that holds a list.
    Object,
    /// In a list, which may be in an object.
    List { is_in_object: bool },
    /// In an entry that is torn: the next line that begins with a brace is taken for the next entry.
    Torn { is_in_object: bool },
}

/// Names under which a list of tuples is found.
const LISTS: [&[u8]; 2] = [b"tuples", b"tuple_keys"];
/// What else such an object may begin with.
const BESIDE: [&[u8]; 1] = [b"continuation_token"];
/// Longest name of a field that is looked at.
const NAME_BYTES_MAX: usize = 256;

/// Where a value ends.
enum End {
    At(usize),
    /// The file ends in it.
    Cut,
    /// A string in it is not closed on its line.
    Torn,
    /// It is longer than anything may be, and has been consumed.
    TooLong,
}

impl Document {
    /// The place behind the last entry.
    pub(super) fn position(&self, lines: &Lines) -> Position {
        Position { bytes: lines.buffer.offset(), line: self.entries }
    }

    /// The next entry.
    pub(super) fn next(&mut self, lines: &mut Lines) -> io::Result<Option<Found>> {
        let found = self.find(lines)?;
        Ok(found.map(|mut found| {
            self.entries += 1;
            if found.line == self.last_line {
                // The line alone does not say which one is meant.
                found.entry = Some(self.entries);
            }
            self.last_line = found.line;
            found
        }))
    }

    fn find(&mut self, lines: &mut Lines) -> io::Result<Option<Found>> {
        lines.skip_mark()?;
        loop {
            let next = next_byte(lines)?;
            match (self.place, next) {
                (Place::Top, None) => return Ok(None),
                (Place::Top, Some(b'[')) => {
                    consume(lines, 1);
                    self.place = Place::List { is_in_object: false };
                }
                (Place::Top, Some(b'{')) => {
                    if !is_around_list(lines)? {
                        return self.entry(lines, false).map(Some);
                    }
                    consume(lines, 1);
                    self.place = Place::Object;
                }
                (Place::Top, Some(_)) => {
                    let text = "is no JSON: begin the file with `[`, the list of tuples";
                    return skip_line(lines, Reason::new("is not JSON", text)).map(Some);
                }
                (Place::Object, Some(b'}')) => {
                    consume(lines, 1);
                    self.place = Place::Top;
                }
                (Place::Object, Some(b'"')) => {
                    if let Some(found) = self.field(lines)? {
                        return Ok(Some(found));
                    }
                }
                (Place::Object, Some(_)) => {
                    let text = "has something else where a field or `}` has to be";
                    return skip_line(lines, Reason::new("is not JSON", text)).map(Some);
                }
                (Place::List { is_in_object }, Some(b']')) => {
                    consume(lines, 1);
                    self.place = if is_in_object { Place::Object } else { Place::Top };
                }
                (Place::List { .. }, Some(b'}' | b':')) => {
                    let found =
                        bad(lines, "is not JSON", "has something else where an entry or `]` has to be");
                    consume(lines, 1);
                    return Ok(Some(found));
                }
                (Place::List { is_in_object }, Some(_)) => {
                    return self.entry(lines, is_in_object).map(Some);
                }
                (Place::Object | Place::List { .. }, None) => {
                    self.place = Place::Top;
                    return Ok(Some(bad(lines, "is cut off", "the list is not closed: the file is cut off")));
                }
                (Place::Torn { .. }, None) => return Ok(None),
                (Place::Torn { is_in_object }, Some(b'{')) => self.place = Place::List { is_in_object },
                (Place::Torn { .. }, Some(_)) => lines.skip_rest()?,
            }
        }
    }

    /// An entry, which begins here.
    fn entry(&mut self, lines: &mut Lines, is_in_object: bool) -> io::Result<Found> {
        let line = lines.count + 1;
        let reason = match end(lines)? {
            End::At(bytes) => {
                let content = consume(lines, bytes);
                return Ok(Found { content, ..Found::at(line) });
            }
            End::Cut => {
                let rest = lines.buffer.unread().len();
                consume(lines, rest);
                self.place = Place::Top;
                Reason::new("is cut off", "the entry is not closed: the file is cut off")
            }
            End::Torn => {
                lines.skip_rest()?;
                self.place = Place::Torn { is_in_object };
                Reason::new("is not JSON", "a text is not closed on its line: put a `\"` behind it")
            }
            End::TooLong => Reason::too_long(),
        };
        Ok(Found::bad(line, reason))
    }

    /// A field of an object that holds a list: the list is entered, anything else passed over.
    fn field(&mut self, lines: &mut Lines) -> io::Result<Option<Found>> {
        let line = lines.count + 1;
        let is_list = match end(lines)? {
            End::At(bytes) => {
                let name = consume(lines, bytes);
                let name = &lines.buffer.slice(name)[1..bytes - 1];
                LISTS.contains(&name)
            }
            _ => return Ok(Some(self.torn(lines, line)?)),
        };
        if next_byte(lines)? == Some(b':') {
            consume(lines, 1);
        }
        let next = next_byte(lines)?;
        // Nothing at all is as good as an empty list.
        let is_wrong = is_list && next != Some(b'n');
        match next {
            Some(b'[') if is_list => {
                consume(lines, 1);
                self.place = Place::List { is_in_object: true };
                Ok(None)
            }
            // The end is told of the object.
            Some(b'}') | None => Ok(None),
            Some(_) => match end(lines)? {
                End::At(bytes) => {
                    let text = "`tuples` is no list: put `[` before the first tuple";
                    let found = is_wrong.then(|| bad(lines, "is JSON of another form", text));
                    consume(lines, bytes);
                    Ok(found)
                }
                End::TooLong => Ok(None),
                End::Cut | End::Torn => Ok(Some(self.torn(lines, line)?)),
            },
        }
    }

    fn torn(&mut self, lines: &mut Lines, line: u64) -> io::Result<Found> {
        lines.skip_rest()?;
        self.place = Place::Torn { is_in_object: false };
        Ok(Found::bad(
            line,
            Reason::new("is not JSON", "a text is not closed on its line: put a `\"` behind it"),
        ))
    }
}

fn bad(lines: &Lines, kind: &'static str, text: &str) -> Found {
    Found::bad(lines.count + 1, Reason::new(kind, text))
}

fn skip_line(lines: &mut Lines, reason: Reason) -> io::Result<Found> {
    let found = Found::bad(lines.count + 1, reason);
    lines.skip_rest()?;
    Ok(found)
}

/// Consumes some bytes and counts the lines that end in them.
fn consume(lines: &mut Lines, bytes: usize) -> std::ops::Range<usize> {
    let newlines = memchr::memchr_iter(b'\n', &lines.buffer.unread()[..bytes]).count();
    lines.take(bytes, newlines as u64)
}

/// The next byte that is neither white space nor a comma; those before it are consumed. Entries that no comma parts are
/// no mistake worth stopping for.
fn next_byte(lines: &mut Lines) -> io::Result<Option<u8>> {
    loop {
        let unread = lines.buffer.unread();
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',');
        let at = unread.iter().position(|byte| !blank(byte));
        let found = at.map(|at| unread[at]);
        let blanks = at.unwrap_or(unread.len());
        consume(lines, blanks);
        if found.is_some() || !lines.buffer.fill()? {
            return Ok(found);
        }
    }
}

/// Whether the object that begins here holds a list of tuples instead of being one: its first field tells.
fn is_around_list(lines: &mut Lines) -> io::Result<bool> {
    lines.buffer.fill_to(NAME_BYTES_MAX)?;
    let unread = lines.buffer.unread();
    let inner = unread.get(1..unread.len().min(NAME_BYTES_MAX)).unwrap_or_default().trim_ascii_start();
    let Some(name) = inner.strip_prefix(b"\"") else { return Ok(inner.starts_with(b"}")) };
    let name = &name[..memchr::memchr(b'"', name).unwrap_or(0)];
    Ok(LISTS.contains(&name) || BESIDE.contains(&name))
}

/// Finds the end of the value that begins here.
fn end(lines: &mut Lines) -> io::Result<End> {
    let mut scan = Scan::default();
    let mut is_too_long = false;
    let mut scanned = 0;
    loop {
        let unread = &lines.buffer.unread()[scanned..];
        match scan.look(unread) {
            Some(Stop::End(bytes)) if is_too_long || scanned + bytes > LINE_BYTES_MAX => {
                consume(lines, scanned + bytes);
                return Ok(End::TooLong);
            }
            Some(Stop::End(bytes)) => return Ok(End::At(scanned + bytes)),
            Some(Stop::Torn(bytes)) => {
                consume(lines, scanned + bytes);
                return Ok(if is_too_long { End::TooLong } else { End::Torn });
            }
            None => {}
        }
        scanned = lines.buffer.unread().len();
        if scanned > LINE_BYTES_MAX {
            is_too_long = true;
            consume(lines, scanned);
            scanned = 0;
        }
        if !lines.buffer.fill()? {
            let is_scalar = scan.level == 0 && !scan.is_in_text && scanned > 0;
            return Ok(if is_scalar { End::At(scanned) } else { End::Cut });
        }
    }
}

/// How far a value has been looked through.
#[derive(Debug, Default)]
struct Scan {
    level: u32,
    is_in_text: bool,
    is_escaped: bool,
    has_begun: bool,
}

enum Stop {
    /// The value ends behind so many bytes.
    End(usize),
    /// A line ends there within a text.
    Torn(usize),
}

impl Scan {
    fn look(&mut self, bytes: &[u8]) -> Option<Stop> {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_escaped {
                self.is_escaped = false;
                at += 1;
                continue;
            }
            if self.is_in_text {
                at += memchr::memchr3(b'"', b'\\', b'\n', &bytes[at..])?;
                match bytes[at] {
                    b'\\' => self.is_escaped = true,
                    b'"' => {
                        self.is_in_text = false;
                        if self.level == 0 {
                            return Some(Stop::End(at + 1));
                        }
                    }
                    _ => return Some(Stop::Torn(at)),
                }
                at += 1;
                continue;
            }
            match bytes[at] {
                // A scalar ends before what cannot be part of it.
                b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' if self.level == 0 && self.has_begun => {
                    return Some(Stop::End(at));
                }
                b'"' => self.is_in_text = true,
                b'{' | b'[' => self.level += 1,
                b'}' | b']' => {
                    self.level = self.level.saturating_sub(1);
                    if self.level == 0 {
                        return Some(Stop::End(at + 1));
                    }
                }
                _ => {}
            }
            self.has_begun = true;
            at += 1;
        }
        None
    }
}
