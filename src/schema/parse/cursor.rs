//! Walking over the tokens, collecting problems and comments on the way.

use std::collections::HashSet;

use super::super::code::ProblemCode;
use super::super::lex::{GapLine, Kind, Lexed, Token};
use super::super::limits::Limits;
use super::super::problem::Problem;
use super::super::source::{At, Span};
use super::super::tree::{Comment, Name, Trivia};
use super::words::{self, NameKind};

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) lexed: Lexed,
    pub(super) limits: &'a Limits,
    pub(super) problems: Vec<Problem>,
    at: usize,
    /// The blank lines and comment lines since the last line that was read.
    lines: Vec<GapLine>,
    /// Words of lines that could not be read.
    pub(super) unread: HashSet<Box<str>>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, lexed: Lexed, limits: &'a Limits) -> Parser<'a> {
        Parser { text, lexed, limits, problems: Vec::new(), at: 0, lines: Vec::new(), unread: HashSet::new() }
    }

    pub(super) fn token(&self) -> Token {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, count: usize) -> Token {
        let tokens = &self.lexed.tokens;
        tokens[(self.at + count).min(tokens.len() - 1)]
    }

    pub(super) fn kind(&self) -> Kind {
        self.token().kind
    }

    /// The token before the one at hand.
    pub(super) fn behind(&self) -> Token {
        self.lexed.tokens[self.at.saturating_sub(1)]
    }

    pub(super) fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.span.start..token.span.end]
    }

    pub(super) fn bump(&mut self) -> Token {
        let token = self.token();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn take(&mut self, kind: Kind) -> Option<Token> {
        (self.kind() == kind).then(|| self.bump())
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        self.word_ahead(0, word)
    }

    pub(super) fn word_ahead(&self, count: usize, word: &str) -> bool {
        let token = self.ahead(count);
        token.kind == Kind::Word && self.text_of(token) == word
    }

    pub(super) fn at_line_end(&self) -> bool {
        matches!(self.kind(), Kind::Newline(_) | Kind::End)
    }

    pub(super) fn at_end(&self) -> bool {
        self.kind() == Kind::End
    }

    /// What is there, for a message.
    pub(super) fn found(&self) -> String {
        match self.kind() {
            Kind::Newline(_) => "the end of the line".to_string(),
            Kind::End => "the end of the text".to_string(),
            _ => format!("`{}`", self.text_of(self.token())),
        }
    }

    /// Adds a problem. When there are too many, nothing more is read.
    pub(super) fn report(&mut self, problem: Problem) {
        if self.problems.len() < self.limits.problems_max {
            self.problems.push(problem);
            return;
        }
        if !self.at_end() {
            self.problems.push(problem.too_many(self.limits.problems_max));
            self.at = self.lexed.tokens.len() - 1;
        }
    }

    pub(super) fn report_at(&mut self, code: ProblemCode, span: Span, message: impl Into<String>) {
        self.report(Problem::spanned(code, span, message));
    }

    /// A space is needed before the token at hand.
    pub(super) fn expect_space(&mut self) {
        if !self.token().spaced && !self.at_line_end() {
            let message = format!("a space is missing before {}", self.found());
            self.report_at(ProblemCode::WrongSpacing, self.token().span, message);
        }
    }

    /// No space is allowed before the token at hand.
    pub(super) fn expect_no_space(&mut self) {
        if self.token().spaced {
            let message = format!("a space cannot stand before {}", self.found());
            self.report_at(ProblemCode::WrongSpacing, self.token().span, message);
        }
    }

    /// A name of any kind. None, and a problem, when there is none.
    pub(super) fn name(&mut self, kind: NameKind) -> Option<Name> {
        let token = self.token();
        let text = self.text_of(token);
        if !matches!(token.kind, Kind::Word | Kind::Number) {
            let message = format!("expected {}, found {}", kind.expected(), self.found());
            self.report_at(ProblemCode::MissingName, token.span, message);
            return None;
        }
        self.bump();
        if let Err((code, message, help)) = words::check(kind, text) {
            self.report(Problem::spanned(code, token.span, message).help(help));
        }
        Some(Name::new(text, At::from(token.span)))
    }

    pub(super) fn skip_line(&mut self) {
        while !self.at_line_end() {
            self.bump();
        }
    }

    /// Leaves the line behind, remembering its words: it may have defined something.
    pub(super) fn leave_line_unread(&mut self) {
        while !self.at_line_end() {
            let token = self.bump();
            if token.kind == Kind::Word {
                self.unread.insert(self.text_of(token).into());
            }
        }
    }

    /// The rest of the line.
    pub(super) fn rest_of_line(&self) -> Span {
        let start = self.token().span;
        let mut end = start;
        let mut count = 0;
        while !matches!(self.ahead(count).kind, Kind::Newline(_) | Kind::End) {
            end = self.ahead(count).span;
            count += 1;
        }
        start.to(end)
    }

    /// The line has to end here. Gives back the comment at its end.
    pub(super) fn end_of_line(&mut self, after: &str) -> Option<String> {
        if !self.at_line_end() {
            let message = format!("unexpected {} after {after}", self.found());
            let help = (self.kind() == Kind::Hash)
                .then(|| "put a space before the `#` to begin a comment".to_string());
            let problem = Problem::spanned(ProblemCode::UnexpectedText, self.rest_of_line(), message);
            self.report(problem.help_if_any(help));
            self.skip_line();
        }
        self.newline()
    }

    /// Goes over the end of a line. Gives back the comment at its end, keeps the lines after it.
    pub(super) fn newline(&mut self) -> Option<String> {
        let Kind::Newline(gap) = self.kind() else { return None };
        self.bump();
        let gap = std::mem::take(&mut self.lexed.gaps[gap as usize]);
        self.lines = gap.lines;
        gap.trailing.map(|span| self.text[span.start..span.end].to_string())
    }

    /// The comment lines and blank lines before the line that begins here.
    pub(super) fn lead(&mut self) -> Trivia {
        let (comments, blank_before) = self.take_lines(0);
        Trivia { comments, blank_before, trailing: None }
    }

    /// Those comment lines, before the line that begins here, which are indented more than it.
    pub(super) fn tail(&mut self, indent: usize) -> Vec<Comment> {
        let deeper = |line: &GapLine| match line {
            GapLine::Comment { indent: found, .. } => *found > indent,
            GapLine::Blank => true,
        };
        let end = self.lines.iter().position(|line| !deeper(line)).unwrap_or(self.lines.len());
        let is_comment = |line: &GapLine| matches!(line, GapLine::Comment { .. });
        let end = self.lines[..end].iter().rposition(is_comment).map_or(0, |last| last + 1);
        let rest = self.lines.split_off(end);
        let (comments, _) = self.take_lines(0);
        self.lines = rest;
        comments
    }

    /// How far the token at hand is indented.
    pub(super) fn indent(&self) -> usize {
        let start = self.token().span.start;
        let line_start = self.text[..start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
        start - line_start
    }

    fn take_lines(&mut self, from: usize) -> (Vec<Comment>, bool) {
        let mut comments = Vec::new();
        let mut blank_before = false;
        for line in self.lines.drain(from..) {
            match line {
                GapLine::Blank => blank_before = true,
                GapLine::Comment { span, .. } => {
                    let text = self.text[span.start..span.end].to_string();
                    comments.push(Comment { text, blank_before: std::mem::take(&mut blank_before) });
                }
            }
        }
        (comments, blank_before)
    }
}
