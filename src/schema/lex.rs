//! Text to tokens. Comments and blank lines are kept beside the tokens, in the gap between two lines.
//!
//! A comment is what OpenFGA takes for one: a line whose first character is `#`, or everything from the first
//! ` #` (with the space) of a line, wherever it stands, even within a string of a condition.

use super::source::Span;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something that looks like a name or a keyword.
    Word,
    /// Something that begins with a digit.
    Number,
    Hash,
    Colon,
    Comma,
    Star,
    Less,
    Greater,
    BracketOpen,
    BracketClose,
    ParenOpen,
    ParenClose,
    BraceOpen,
    /// What stands between braces; the number is that of the body.
    Body(u32),
    BraceClose,
    /// The end of a line, and all blank lines and comment lines after it; the number is that of the gap.
    Newline(u32),
    /// A character that the language does not use.
    Other,
    End,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
    /// Whether whitespace stands right before it.
    pub(super) spaced: bool,
}

/// What stands between the end of a line and the beginning of the next one that is not blank.
#[derive(Debug, Clone, Default)]
pub(super) struct Gap {
    /// The comment at the end of the line.
    pub(super) trailing: Option<Span>,
    pub(super) lines: Vec<GapLine>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum GapLine {
    Blank,
    /// The indentation is in bytes.
    Comment {
        span: Span,
        indent: usize,
    },
}

/// The lines between the braces of a condition.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) lines: Vec<BodyLine>,
    pub(super) closed: bool,
}

/// A line of a body: what is there without the comment, and the comment.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLine {
    pub(super) code: Span,
    pub(super) comment: Option<Span>,
}

#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// Begins with a newline, and ends with one and `End`.
    pub(super) tokens: Vec<Token>,
    pub(super) gaps: Vec<Gap>,
    pub(super) bodies: Vec<Body>,
}

/// Reads a whole text.
pub(super) fn lex(text: &str) -> Lexed {
    lex_from(text, 0)
}

/// Reads a text from one of its bytes on; spans count from its beginning.
pub(super) fn lex_from(text: &str, start: usize) -> Lexed {
    let mut lexer = Lexer { text, lexed: Lexed::default(), body: None };
    lexer.newline(start, None);
    for line in lines(text, start) {
        lexer.line(line);
    }
    lexer.finish()
}

/// A line: the code without trailing whitespace, and the comment.
#[derive(Debug, Clone, Copy)]
struct Line {
    code: Span,
    comment: Option<Span>,
}

struct Lexer<'a> {
    text: &'a str,
    lexed: Lexed,
    /// The condition body that the text is in, and the string within it.
    body: Option<(Body, Quote)>,
}

/// The string that a body is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    /// Ends with this character repeated three times.
    Triple(u8),
}

impl Lexer<'_> {
    fn line(&mut self, line: Line) {
        let tokens_before = self.lexed.tokens.len();
        let mut at = line.code.start;
        if self.body.is_some() && self.body_was_left_open(line) {
            self.close_body(line.code.start, false);
        }
        while at < line.code.end || self.body.is_some() {
            at = match self.body {
                Some(_) => match self.body_line(at, line) {
                    Some(after) => after,
                    None => return,
                },
                None => self.token(at, line.code.end),
            };
        }
        if self.lexed.tokens.len() > tokens_before {
            self.newline(line.code.end, line.comment);
        } else if let Some(gap) = self.lexed.gaps.last_mut() {
            gap.lines.push(match line.comment {
                Some(span) => GapLine::Comment { span, indent: span.start - line.code.start },
                None => GapLine::Blank,
            });
        }
    }

    fn newline(&mut self, end: usize, trailing: Option<Span>) {
        let gap = self.lexed.gaps.len() as u32;
        self.lexed.gaps.push(Gap { trailing, lines: Vec::new() });
        self.push(Kind::Newline(gap), end, end, false);
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, spaced: bool) {
        self.lexed.tokens.push(Token { kind, span: Span::new(start, end), spaced });
    }

    /// Reads one token, with the whitespace before it; gives back where to read on.
    fn token(&mut self, from: usize, line_end: usize) -> usize {
        let rest = &self.text[from..line_end];
        let start = from + (rest.len() - rest.trim_start_matches(is_space).len());
        let rest = &self.text[start..line_end];
        let Some(first) = rest.chars().next() else { return line_end };
        let kind = match first {
            '#' => Kind::Hash,
            ':' => Kind::Colon,
            ',' => Kind::Comma,
            '*' => Kind::Star,
            '<' => Kind::Less,
            '>' => Kind::Greater,
            '[' => Kind::BracketOpen,
            ']' => Kind::BracketClose,
            '(' => Kind::ParenOpen,
            ')' => Kind::ParenClose,
            '{' => Kind::BraceOpen,
            '}' => Kind::BraceClose,
            '_' => Kind::Word,
            c if c.is_alphabetic() => Kind::Word,
            c if c.is_ascii_digit() => Kind::Number,
            _ => Kind::Other,
        };
        let length = match kind {
            Kind::Word | Kind::Number => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        self.push(kind, start, start + length, start > from);
        if kind == Kind::BraceOpen {
            self.body = Some((Body { lines: Vec::new(), closed: false }, Quote::None));
        }
        start + length
    }

    /// Reads a line of a body from a place in it. Some: the body ended here.
    fn body_line(&mut self, from: usize, line: Line) -> Option<usize> {
        let (body, quote) = self.body.as_mut()?;
        let (end, next) = scan_body(&self.text[from..line.code.end], *quote);
        *quote = next;
        let closed = end.is_some();
        let end = end.map_or(line.code.end, |end| from + end);
        let comment = line.comment.filter(|_| !closed);
        body.lines.push(BodyLine { code: Span::new(from, end), comment });
        if !closed {
            return None;
        }
        self.close_body(end, true);
        self.push(Kind::BraceClose, end, end + 1, false);
        Some(end + 1)
    }

    fn close_body(&mut self, end: usize, closed: bool) {
        let Some((mut body, _)) = self.body.take() else { return };
        body.closed = closed;
        let start = body.lines.first().map_or(end, |line| line.code.start);
        let number = self.lexed.bodies.len() as u32;
        self.lexed.bodies.push(body);
        self.push(Kind::Body(number), start, end.max(start), false);
        if !closed {
            self.newline(end, None);
        }
    }

    /// Whether a line in a body begins what only the line of another definition does: then the `}` is missing.
    fn body_was_left_open(&self, line: Line) -> bool {
        let in_string = matches!(self.body, Some((_, Quote::Triple(_))));
        let code = &self.text[line.code.start..line.code.end];
        let begins = |keyword: &str| {
            let rest = code.strip_prefix(keyword).unwrap_or("");
            rest.starts_with(is_space)
                && rest.trim_start().starts_with(|c: char| c.is_alphabetic() || c == '_')
        };
        !in_string && ["type", "extend", "condition"].into_iter().any(begins)
    }

    fn finish(mut self) -> Lexed {
        let end = self.text.len();
        if self.body.is_some() {
            self.close_body(end, false);
        }
        self.push(Kind::End, end, end, false);
        self.lexed
    }
}

/// Finds the `}` that ends a body, outside of strings and of `//` comments; else the string that goes on.
fn scan_body(code: &str, mut quote: Quote) -> (Option<usize>, Quote) {
    let bytes = code.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Quote::Triple(_), b'\\') => at += 2,
            (Quote::Triple(end), byte) if byte == end && bytes[at..].starts_with(&[end; 3]) => {
                quote = Quote::None;
                at += 3;
            }
            (Quote::Triple(_), _) => at += 1,
            (Quote::None, b'}') => return (Some(at), quote),
            (Quote::None, b'/') if bytes[at..].starts_with(b"//") => break,
            (Quote::None, byte @ (b'"' | b'\'')) if bytes[at..].starts_with(&[byte; 3]) => {
                quote = Quote::Triple(byte);
                at += 3;
            }
            (Quote::None, byte @ (b'"' | b'\'')) => at = after_string(bytes, at, byte),
            (Quote::None, _) => at += 1,
        }
    }
    (None, quote)
}

/// Where a string of one line ends; in a raw one (`r"\d"`) the backslash is an ordinary character.
fn after_string(bytes: &[u8], start: usize, end: u8) -> usize {
    let word = |at: usize| bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_';
    let raw = start > 0
        && bytes[start - 1].eq_ignore_ascii_case(&b'r')
        && (start == 1 || !word(start - 2) || bytes[start - 2].eq_ignore_ascii_case(&b'b'));
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != end {
        at += if bytes[at] == b'\\' && !raw { 2 } else { 1 };
    }
    at + 1
}

/// The lines of a text from one of its bytes on, each divided into code and comment.
fn lines(text: &str, start: usize) -> impl Iterator<Item = Line> {
    let has_mark = text[start..].starts_with('\u{feff}');
    let mut start = if has_mark { start + '\u{feff}'.len_utf8() } else { start };
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let line = divide(start, &rest[..length]);
        let after = &rest[length..];
        start += length + if after.starts_with("\r\n") { 2 } else { after.len().min(1) };
        Some(line)
    })
}

fn divide(start: usize, line: &str) -> Line {
    let begin = line.len() - line.trim_start_matches(is_space).len();
    let comment = match line[begin..].starts_with('#') {
        true => Some(begin),
        false => line.find(" #").map(|at| at + 1),
    };
    let code = line[..comment.unwrap_or(line.len())].trim_end_matches(is_space);
    let comment = comment.map(|at| Span::new(start + at, start + line.trim_end().len()));
    Line { code: Span::new(start, start + code.len()), comment }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Wider than the names of the language, so that a wrong name is one token with one problem.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let lexed = lex(text);
        lexed.tokens.iter().map(|token| (token.kind, &text[token.span.start..token.span.end])).collect()
    }

    #[test]
    fn words_and_marks() {
        let found = kinds("define a.b: [x:*]\n");
        let words: Vec<&str> = found.iter().map(|(_, text)| *text).collect();
        assert_eq!(words, ["", "define", "a.b", ":", "[", "x", ":", "*", "]", "", ""]);
    }

    #[test]
    fn comments_begin_at_the_line_or_after_a_space() {
        let text = "  # one\ntype a#b # two # three\n\n#four\ntype c\n";
        let lexed = lex(text);
        let words: Vec<&str> = kinds(text).iter().map(|(_, text)| *text).collect();
        assert_eq!(words, ["", "type", "a", "#", "b", "", "type", "c", "", ""]);
        let Some(trailing) = lexed.gaps[1].trailing else { panic!("no trailing comment") };
        assert_eq!(&text[trailing.start..trailing.end], "# two # three");
        assert!(matches!(lexed.gaps[1].lines[..], [GapLine::Blank, GapLine::Comment { indent: 0, .. }]));
        assert!(matches!(lexed.gaps[0].lines[..], [GapLine::Comment { indent: 2, .. }]));
    }

    #[test]
    fn a_body_ends_at_the_first_brace_outside_of_strings() {
        let text = "condition c(x: int) {\n  x == \"}\" # cut\n  // }\n} # end\ntype x";
        let lexed = lex(text);
        assert_eq!(lexed.bodies.len(), 1);
        let body = &lexed.bodies[0];
        assert!(body.closed);
        assert_eq!(body.lines.len(), 4);
        assert!(body.lines[1].comment.is_some());
        assert_eq!(lexed.tokens.iter().filter(|token| token.kind == Kind::BraceClose).count(), 1);
    }

    #[test]
    fn a_body_that_is_not_closed_ends_before_the_next_definition() {
        let lexed = lex("condition c(x: int) {\n  x < 1\n\ntype user\n");
        assert!(!lexed.bodies[0].closed);
        assert_eq!(lexed.bodies[0].lines.len(), 3);
        assert!(!lex("condition c(x: int) {\n  x < 1").bodies[0].closed);
    }

    #[test]
    fn line_ends_and_marks_of_other_systems() {
        let found = kinds("\u{feff}model\r\n  schema 1.1 # x\r\rtype a");
        let words: Vec<&str> = found.iter().map(|(_, text)| *text).collect();
        assert_eq!(words, ["", "model", "", "schema", "1.1", "", "type", "a", "", ""]);
    }
}
