//! The text that a schema was read from, of one file or of several, and where in it something stands.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The name and the text of a schema file; the text is empty for a schema that came as JSON.
///
/// The files of a modular schema are one source, its manifest first: their texts stand one after the other.
#[derive(Debug, Default)]
pub struct Source {
    name: String,
    text: String,
    /// The files after the first. INVARIANT: each begins behind a line end that belongs to none.
    further: Vec<Further>,
    line_starts: OnceLock<Vec<usize>>,
}

#[derive(Debug)]
struct Further {
    name: String,
    start: usize,
}

/// A stretch of a source text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// Where something stands: in a text by its bytes, in a JSON document by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the source text.
    Span(Span),
    /// In a JSON document: `type_definitions[2].relations.viewer`; the document itself is the empty path.
    Path(Arc<str>),
}

/// The place of a node of a tree.
///
/// Any two are equal, so that two trees are equal when they say the same, wherever it stood.
#[derive(Debug, Clone)]
pub struct At(pub Place);

/// A line and a column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl Source {
    /// A source with its name, as messages will show it, and its text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        Source { name: name.into(), text: text.into(), further: Vec::new(), line_starts: OnceLock::new() }
    }

    /// Adds a file behind those that are there; gives back which bytes are its own.
    pub(super) fn add(&mut self, name: &str, text: &str) -> Range<usize> {
        self.text.push('\n');
        let start = self.text.len();
        self.text.push_str(text);
        self.further.push(Further { name: name.to_string(), start });
        self.line_starts = OnceLock::new();
        start..self.text.len()
    }

    /// The name that messages show: a file name, usually; of a modular schema that of its manifest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text, of all files; empty for a schema that came as JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of the file that a byte is in, and which bytes are that file's.
    pub fn file_of(&self, offset: usize) -> (&str, Range<usize>) {
        let before = self.further.partition_point(|file| file.start <= offset);
        let end = self.further.get(before).map_or(self.text.len(), |next| next.start - 1);
        match before.checked_sub(1) {
            Some(at) => (&self.further[at].name, self.further[at].start..end),
            None => (&self.name, 0..end),
        }
    }

    /// The line and column of a byte, in its file.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.char_start(offset);
        let line = self.line_of(offset);
        let start = self.line_starts()[line];
        let column = self.text[start..offset].chars().count() + 1;
        Position { line: self.line_in_file(line), column }
    }

    /// The bytes of the lines that a span touches, and the number of the first of them in its file, from 1.
    pub(super) fn lines_around(&self, span: Span) -> (Range<usize>, usize) {
        let first = self.line_of(span.start);
        let last = self.line_of(span.end.max(span.start));
        let starts = self.line_starts();
        let (_, file) = self.file_of(span.start);
        let end = starts.get(last + 1).map_or(file.end, |next| file.end.min(*next));
        (starts[first]..end, self.line_in_file(first))
    }

    fn line_in_file(&self, line: usize) -> usize {
        let (_, file) = self.file_of(self.line_starts()[line]);
        line - self.line_of(file.start) + 1
    }

    fn char_start(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|start| *start <= offset).saturating_sub(1)
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let after_newlines = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(after_newlines.map(|(at, _)| at + 1)).collect()
        })
    }
}

impl Span {
    /// The bytes from `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    /// From the start of this span to the end of another.
    pub fn to(self, end: Span) -> Span {
        Span::new(self.start, end.end.max(self.start))
    }
}

impl Place {
    /// The span, when the place is in a text.
    pub fn span(&self) -> Option<Span> {
        match self {
            Place::Span(span) => Some(*span),
            Place::Path(_) => None,
        }
    }
}

impl From<Span> for Place {
    fn from(span: Span) -> Place {
        Place::Span(span)
    }
}

impl At {
    /// In a JSON document, at this path.
    pub fn path(path: &str) -> At {
        At(Place::Path(path.into()))
    }

    /// Nowhere: of a node that was made, not read.
    pub fn nowhere() -> At {
        At::path("")
    }

    /// From here to there, when both are in a text; else here.
    pub(super) fn to(&self, end: &At) -> At {
        match (&self.0, &end.0) {
            (Place::Span(start), Place::Span(end)) => At(Place::Span(start.to(*end))),
            _ => self.clone(),
        }
    }
}

impl From<Span> for At {
    fn from(span: Span) -> At {
        At(Place::Span(span))
    }
}

impl PartialEq for At {
    fn eq(&self, _: &At) -> bool {
        true
    }
}

impl Eq for At {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source::new("x.fga", "model\n  schémä 1.1\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(8), Position { line: 2, column: 3 });
        let after = "model\n  schémä".len();
        assert_eq!(source.position(after), Position { line: 2, column: 9 });
        assert_eq!(source.position(1000), Position { line: 3, column: 1 });
    }

    #[test]
    fn files_have_lines_of_their_own() {
        let mut source = Source::new("fga.mod", "a: b\n");
        assert_eq!(source.position(3), Position { line: 1, column: 4 });
        let (first, empty, last) =
            (source.add("x.fga", "one\ntwo"), source.add("y.fga", ""), source.add("z.fga", "é\n3"));
        assert_eq!(source.file_of(4), ("fga.mod", 0..5));
        assert_eq!(source.file_of(5), ("fga.mod", 0..5));
        assert_eq!(source.file_of(first.start), ("x.fga", first.clone()));
        assert_eq!(source.file_of(first.end), ("x.fga", first.clone()));
        assert_eq!(source.file_of(empty.start), ("y.fga", empty.clone()));
        assert_eq!(source.file_of(1000), ("z.fga", last.clone()));
        assert_eq!(source.position(first.start + 5), Position { line: 2, column: 2 });
        assert_eq!(source.position(empty.start), Position { line: 1, column: 1 });
        assert_eq!(source.position(last.end), Position { line: 2, column: 2 });
        assert_eq!(source.lines_around(Span::new(first.end, first.end)), (first.start + 4..first.end, 2));
        assert_eq!(source.lines_around(Span::new(empty.start, empty.end)), (empty, 1));
        assert_eq!(source.lines_around(Span::new(last.start, last.end)), (last, 1));
    }

    #[test]
    fn lines_around_a_span() {
        let source = Source::new("x.fga", "one\ntwo\nthree");
        assert_eq!(source.lines_around(Span::new(5, 6)), (4..8, 2));
        assert_eq!(source.lines_around(Span::new(5, 9)), (4..13, 2));
        assert_eq!(source.lines_around(Span::new(13, 13)), (8..13, 3));
    }
}
