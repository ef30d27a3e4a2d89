//! YAML files: a list of tuples, or a mapping that holds one.
//!
//! A list is read entry by entry, so it may be of any length: an entry of a block list ends where the next line stands no
//! deeper than its dash. What is written otherwise (a flow list over several lines, anchors) is read at once, up to a
//! limit.

use std::io;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::buffer::{LINE_BYTES_MAX, LineEnd};
use super::json::{self, Entry};
use super::lines::{Found, Lines};
use super::reader::utf8;
use super::{BulkTuple, Position, Reason, spicedb};
use crate::tuple::Tuple;

/// Most bytes that are read at once.
pub(super) const WHOLE_BYTES_MAX: usize = 16 << 20;

/// Finds the entries of a YAML file.
#[derive(Debug)]
pub(super) struct Yaml {
    place: Place,
    /// Whether a mapping without tuples is one, as in store tests.
    may_be_empty: bool,
    has_tuples: bool,
    /// Entries given.
    entries: u64,
    last: Last,
}

#[derive(Debug)]
enum Place {
    Begin,
    /// Between the fields of the outermost mapping.
    Mapping,
    /// Behind `tuples:`.
    ListBegin,
    /// In a block list whose dashes stand so deep.
    List {
        depth: usize,
        is_in_mapping: bool,
    },
    /// In SpiceDB's relationships, as a block of text.
    Relationships,
    /// In what has been read at once.
    Read(std::vec::IntoIter<(u64, Result<Tuple, Reason>)>),
    Over,
}

/// What the last entry is.
#[derive(Debug, Default)]
enum Last {
    /// A JSON object on one line of the file.
    Json,
    /// Lines of the file.
    #[default]
    Lines,
    /// A relationship of SpiceDB's.
    Relationship,
    /// What has been read at once.
    Tuple(Tuple),
}

/// What ends the search of an entry.
pub(super) enum Stop {
    Io(io::Error),
    /// More than [`WHOLE_BYTES_MAX`] would have to be read at once.
    TooLong,
}

impl From<io::Error> for Stop {
    fn from(cause: io::Error) -> Stop {
        Stop::Io(cause)
    }
}

const HELP: &str = "write a list of entries `- { object: voice:7, relation: viewer, user: user:anne }`";

/// Whether a line holds nothing: it is blank, or a comment.
fn is_blank(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b"#")
}

/// How deep a line stands.
fn depth(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b' ').count()
}

/// Whether an entry of a list begins here.
fn is_dash(line: &[u8]) -> bool {
    line == b"-" || line.starts_with(b"- ") || line.starts_with(b"-\t")
}

/// Whether a document ends or begins here.
fn is_marker(line: &[u8]) -> bool {
    let is_it = |mark: &[u8]| {
        line.strip_prefix(mark).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
    };
    is_it(b"---") || is_it(b"...")
}

/// The name of the field that a line begins, and what stands behind its colon.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = (0..line.len())
        .find(|&at| line[at] == b':' && line.get(at + 1).is_none_or(u8::is_ascii_whitespace))?;
    let name = line[..colon].trim_ascii();
    let unquoted = |quote: &[u8]| name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote));
    let value = line[colon + 1..].trim_ascii();
    let value = if value.starts_with(b"#") { b"" } else { value };
    Some((unquoted(b"\"").or_else(|| unquoted(b"'")).unwrap_or(name), value))
}

impl Yaml {
    pub(super) fn new(may_be_empty: bool) -> Yaml {
        Yaml { place: Place::Begin, may_be_empty, has_tuples: false, entries: 0, last: Last::default() }
    }

    /// The place behind the last entry.
    pub(super) fn position(&self, lines: &Lines) -> Position {
        Position { bytes: lines.buffer.offset(), line: self.entries }
    }

    /// The next entry.
    pub(super) fn next(&mut self, lines: &mut Lines) -> Result<Option<Found>, Stop> {
        let found = loop {
            if let Some(found) = self.step(lines)? {
                break found;
            }
            if matches!(self.place, Place::Over) {
                return Ok(None);
            }
        };
        self.entries += 1;
        Ok(Some(found))
    }

    /// The tuple of the entry that was found last, whose text is given.
    pub(super) fn tuple<'a>(
        &'a self,
        text: &'a [u8],
        names: &'a mut String,
    ) -> Result<BulkTuple<'a>, Reason> {
        match &self.last {
            Last::Tuple(tuple) => Ok(BulkTuple::of(tuple)),
            Last::Relationship => spicedb::parse(utf8(text)?),
            Last::Json => {
                let text = utf8(text)?;
                let json = text.trim_ascii().strip_prefix('-').unwrap_or(text).trim_ascii();
                match json::entry(json) {
                    Ok(entry) => entry.tuple(names),
                    // In YAML less has to be quoted.
                    Err(reason) => entry(text).map_err(|_| reason)?.tuple(names),
                }
            }
            Last::Lines => entry(utf8(text)?)?.tuple(names),
        }
    }

    /// Goes on by a line or an entry.
    fn step(&mut self, lines: &mut Lines) -> Result<Option<Found>, Stop> {
        match &mut self.place {
            Place::Begin => self.begin(lines),
            Place::Mapping => self.field(lines),
            Place::ListBegin => {
                match self.peek(lines)? {
                    Some((depth, line)) if is_dash(&line[depth..]) => {
                        self.place = Place::List { depth, is_in_mapping: true };
                    }
                    Some((0, _)) => self.place = Place::Mapping,
                    Some(_) => self.read(lines, true)?,
                    None => {}
                }
                Ok(None)
            }
            Place::List { depth, is_in_mapping } => {
                let place = (*depth, *is_in_mapping);
                self.entry(lines, place.0, place.1)
            }
            Place::Relationships => {
                let end = lines.peek(spicedb::is_blank)?;
                if end == LineEnd::End || !lines.buffer.unread()[0].is_ascii_whitespace() {
                    self.place = Place::Mapping;
                    return Ok(None);
                }
                self.last = Last::Relationship;
                Ok(lines.next(spicedb::is_blank)?)
            }
            Place::Read(read) => Ok(match read.next() {
                Some((line, Ok(tuple))) => {
                    self.last = Last::Tuple(tuple);
                    Some(Found::at(line))
                }
                Some((line, Err(reason))) => Some(Found::bad(line, reason)),
                None => {
                    self.place = Place::Mapping;
                    None
                }
            }),
            Place::Over => Ok(None),
        }
    }

    /// The depth and the text of the next line that is not blank.
    fn peek<'l>(&mut self, lines: &'l mut Lines) -> Result<Option<(usize, &'l [u8])>, Stop> {
        match lines.peek(is_blank)? {
            LineEnd::End => {
                self.place = Place::Over;
                Ok(None)
            }
            // Only its beginning is looked at; that it is too long is found where it is taken.
            LineEnd::TooLong => {
                let line = lines.buffer.unread();
                Ok(Some((depth(line), line)))
            }
            LineEnd::At { content, .. } => {
                let line = &lines.buffer.unread()[..content];
                Ok(Some((depth(line), line)))
            }
        }
    }

    fn begin(&mut self, lines: &mut Lines) -> Result<Option<Found>, Stop> {
        lines.skip_mark()?;
        let is_small = !lines.buffer.fill_to(LINE_BYTES_MAX)?;
        let has_anchors = is_small && memchr::memmem::find(lines.buffer.unread(), b" &").is_some();
        let Some((depth, line)) = self.peek(lines)? else { return Ok(None) };
        let inner = &line[depth..];
        let is_mark = matches!(line.trim_ascii(), b"---" | b"...") || line.starts_with(b"--- #");
        if is_mark || line.starts_with(b"%") {
            skip_line(lines)?;
        } else if has_anchors || is_marker(line) {
            self.read(lines, false)?;
        } else if is_dash(inner) {
            self.place = Place::List { depth, is_in_mapping: false };
        } else if depth == 0 && !inner.starts_with(b"[") && !inner.starts_with(b"{") && field(inner).is_some()
        {
            self.place = Place::Mapping;
        } else {
            self.read(lines, false)?;
        }
        Ok(None)
    }

    /// A field of the outermost mapping: tuples are entered, all else is passed over.
    fn field(&mut self, lines: &mut Lines) -> Result<Option<Found>, Stop> {
        let may_be_empty = self.may_be_empty || self.has_tuples || self.entries > 0;
        let Some((depth, line)) = self.peek(lines)? else {
            let text = format!("has neither a list nor `tuples` nor `relationships`: {HELP}");
            let nothing = || Found::bad(1, Reason::new("is YAML of another form", text));
            return Ok((!may_be_empty).then(nothing));
        };
        if is_marker(line) {
            self.place = Place::Begin;
            return Ok(None);
        }
        match field(line).filter(|_| depth == 0) {
            Some((b"tuples", b"")) => {
                self.has_tuples = true;
                self.place = Place::ListBegin;
                skip_line(lines)?;
            }
            Some((b"tuples", _)) => {
                self.has_tuples = true;
                self.read(lines, true)?;
            }
            Some((b"relationships", value)) => {
                self.has_tuples = true;
                if value.starts_with(b"|") || value.starts_with(b">") {
                    self.place = Place::Relationships;
                    skip_line(lines)?;
                } else if value.is_empty() {
                    skip_line(lines)?;
                } else {
                    self.read(lines, true)?;
                }
            }
            // What belongs to another field stands deeper, or is a list or ends one.
            Some(_) => {
                skip_line(lines)?;
                while let Some((depth, line)) = self.peek(lines)? {
                    if depth == 0 && !is_dash(line) && !matches!(line[0], b'\t' | b']' | b'}') {
                        break;
                    }
                    skip_line(lines)?;
                }
                if matches!(self.place, Place::Over) {
                    // The end is looked at above.
                    self.place = Place::Mapping;
                }
            }
            None => {
                let reason = Reason::new("is not YAML", format!("is no field of a mapping: {HELP}"));
                skip_line(lines)?;
                return Ok(Some(Found::bad(lines.count, reason)));
            }
        }
        Ok(None)
    }

    /// An entry of a block list.
    fn entry(&mut self, lines: &mut Lines, depth: usize, is_in_mapping: bool) -> Result<Option<Found>, Stop> {
        self.has_tuples = true;
        let Some((found, line)) = self.peek(lines)? else { return Ok(None) };
        if is_marker(line) {
            self.place = Place::Begin;
            return Ok(None);
        }
        if found != depth || !is_dash(&line[found..]) {
            if found == 0 && is_in_mapping {
                self.place = Place::Mapping;
                return Ok(None);
            }
            let reason =
                format!("is no entry of the list: begin it with `- `, as deep as the others; {HELP}");
            skip_line(lines)?;
            return Ok(Some(Found::bad(lines.count, Reason::new("is not YAML", reason))));
        }
        let line = lines.count + 1;
        let LineEnd::At { mut content, mut whole } = lines.buffer.line_end(0)? else {
            return Ok(Some(lines.skip_too_long()?));
        };
        let first = lines.buffer.unread()[depth + 1..content].trim_ascii();
        if first.starts_with(b"{\"") && first.ends_with(b"}") {
            self.last = Last::Json;
            let at = lines.take(whole, 1);
            return Ok(Some(Found { content: at.start..at.start + content, ..Found::at(line) }));
        }
        let mut count = 1;
        loop {
            match lines.buffer.line_end(whole)? {
                LineEnd::End => break,
                LineEnd::TooLong => {
                    lines.take(whole, count);
                    return Ok(Some(Found { line, ..lines.skip_too_long()? }));
                }
                LineEnd::At { content: next_content, whole: next_whole } => {
                    let next = &lines.buffer.unread()[whole..next_content];
                    let is_within = is_blank(next) || self::depth(next) > depth || next.starts_with(b"\t");
                    if !is_within {
                        break;
                    }
                    (content, whole, count) = (next_content, next_whole, count + 1);
                }
            }
        }
        self.last = Last::Lines;
        let at = lines.take(whole, count);
        Ok(Some(Found { content: at.start..at.start + content, ..Found::at(line) }))
    }

    /// Reads the rest of the document at once, or of a field.
    fn read(&mut self, lines: &mut Lines, is_field: bool) -> Result<(), Stop> {
        let first = lines.count;
        let mut end = 0;
        let mut count = 0;
        loop {
            match whole_line(lines, end)? {
                None => break,
                Some(next) => {
                    let line = &lines.buffer.unread()[end..next];
                    let is_within = matches!(line[0], b' ' | b'\t' | b'\r' | b'\n' | b'#' | b']' | b'}');
                    if count > 0 && is_field && !is_within {
                        break;
                    }
                    (end, count) = (next, count + 1);
                }
            }
        }
        let at = lines.take(end, count);
        let read = match utf8(lines.buffer.slice(at)) {
            Ok(text) => read_whole(text),
            Err(reason) => Some(vec![(1, Err(reason))]),
        };
        self.has_tuples |= is_field || read.is_some();
        let read: Vec<_> =
            read.unwrap_or_default().into_iter().map(|(line, tuple)| (first + line, tuple)).collect();
        self.place = Place::Read(read.into_iter());
        Ok(())
    }
}

/// The end of the line that begins so far behind the window's start, however long it is.
fn whole_line(lines: &mut Lines, from: usize) -> Result<Option<usize>, Stop> {
    let mut searched = from;
    loop {
        let unread = lines.buffer.unread();
        if let Some(at) = memchr::memchr(b'\n', &unread[searched..]) {
            return Ok(Some(searched + at + 1));
        }
        searched = unread.len();
        if searched > WHOLE_BYTES_MAX {
            return Err(Stop::TooLong);
        }
        if !lines.buffer.fill()? {
            return Ok((searched > from).then_some(searched));
        }
    }
}

fn skip_line(lines: &mut Lines) -> io::Result<()> {
    lines.skip_rest()
}

/// A mapping that is read at once.
#[derive(Deserialize)]
struct Mapping<E> {
    #[serde(default = "no_list")]
    tuples: Option<Vec<Spanned<E>>>,
    #[serde(default)]
    relationships: Option<Spanned<String>>,
}

fn no_list<E>() -> Option<Vec<Spanned<E>>> {
    None
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: WHOLE_BYTES_MAX,
            max_nodes: WHOLE_BYTES_MAX,
            max_depth: 192,
        },
        with_snippet: false,
    }
}

fn problem(error: &serde_saphyr::Error, lines: &LineNumbers) -> Reason {
    // Its text begins with the place, and draws it: the line is told already.
    let below = error.location().map_or(0, |at| lines.of(at.line()).saturating_sub(1));
    Reason::new("is not YAML", format!("{}: {HELP}", error.without_snippet())).below(below)
}

/// The lines of a text by the numbers that YAML gives them: it takes a carriage return alone for the end of a line too.
struct LineNumbers(Option<Vec<u64>>);

impl LineNumbers {
    fn new(text: &str) -> LineNumbers {
        let bytes = text.as_bytes();
        let is_alone = |at: usize| bytes.get(at + 1) != Some(&b'\n');
        if !memchr::memchr_iter(b'\r', bytes).any(is_alone) {
            return LineNumbers(None);
        }
        let (mut numbers, mut line) = (vec![1], 1);
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            line += u64::from(bytes[at] == b'\n');
            if bytes[at] == b'\n' || is_alone(at) {
                numbers.push(line);
            }
        }
        LineNumbers(Some(numbers))
    }

    fn of(&self, yaml: u64) -> u64 {
        let Some(numbers) = &self.0 else { return yaml };
        let at = usize::try_from(yaml.saturating_sub(1)).unwrap_or(usize::MAX);
        numbers.get(at).or(numbers.last()).copied().unwrap_or(yaml)
    }
}

/// The one entry of a list.
fn entry(text: &str) -> Result<Entry<'_>, Reason> {
    let mut list: Vec<Entry<'_>> = serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| problem(&error, &LineNumbers::new(text)))?;
    match (list.pop(), list.is_empty()) {
        (Some(entry), true) => Ok(entry),
        _ => Err(Reason::new("is not YAML", format!("is not one entry: {HELP}"))),
    }
}

/// The entries of a text, each with its line; nothing if it holds something else.
fn read_whole(text: &str) -> Option<Vec<(u64, Result<Tuple, Reason>)>> {
    let first = text.lines().map(|line| line.strip_prefix("---").unwrap_or(line));
    let first =
        first.map(str::trim_ascii_start).find(|line| !is_blank(line.as_bytes()) && !line.starts_with('%'));
    let is_list = first.is_some_and(|line| line.starts_with('[') || is_dash(line.as_bytes()));
    let tuple = |entry: Entry<'_>| Ok(entry.tuple(&mut String::new())?.into_owned());
    let lines = LineNumbers::new(text);
    // As tuples at first, since a text is a text then, whatever it looks like.
    if let Ok(Parts { list, relationships }) = parts::<Entry<'_>>(text, is_list) {
        let located = |found: Spanned<Entry<'_>>| (lines.of(found.referenced.line()), tuple(found.value));
        return together(list.map(|list| list.into_iter().map(located).collect()), relationships, &lines);
    }
    // Then as anything, to find out which of them are wrong.
    match parts::<serde_json::Value>(text, is_list) {
        Ok(Parts { list, relationships }) => {
            let located = |found: Spanned<serde_json::Value>| {
                let entry = Entry::deserialize(&found.value).map_err(|error| json::problem(&error));
                (lines.of(found.referenced.line()), entry.and_then(tuple))
            };
            together(list.map(|list| list.into_iter().map(located).collect()), relationships, &lines)
        }
        Err(error) => Some(vec![(1, Err(problem(&error, &lines)))]),
    }
}

/// What was found in a text: a list of tuples, and SpiceDB's relationships.
struct Parts<E> {
    list: Option<Vec<Spanned<E>>>,
    relationships: Option<Spanned<String>>,
}

/// The parts of a text, its entries as what they are wanted.
fn parts<'t, E: Deserialize<'t>>(text: &'t str, is_list: bool) -> Result<Parts<E>, serde_saphyr::Error> {
    if is_list {
        let list = serde_saphyr::from_str_with_options(text, options())?;
        return Ok(Parts { list: Some(list), relationships: None });
    }
    let Mapping { tuples: list, relationships } = serde_saphyr::from_str_with_options(text, options())?;
    Ok(Parts { list, relationships })
}

fn together(
    list: Option<Vec<(u64, Result<Tuple, Reason>)>>,
    relationships: Option<Spanned<String>>,
    lines: &LineNumbers,
) -> Option<Vec<(u64, Result<Tuple, Reason>)>> {
    let Some(relationships) = relationships else { return list };
    let line = lines.of(relationships.referenced.line());
    let texts = relationships.value.lines().filter(|text| !spicedb::is_blank(text.as_bytes()));
    let mut all = list.unwrap_or_default();
    all.extend(texts.map(|text| (line, spicedb::parse(text).map(BulkTuple::into_owned))));
    Some(all)
}
