//! The list of types in brackets.

use super::super::code::ProblemCode;
use super::super::lex::Kind;
use super::super::problem::Problem;
use super::super::source::{At, Span};
use super::super::suggest;
use super::super::tree::{TypeRestriction, TypeRestrictionShape};
use super::cursor::Parser;
use super::words::NameKind;

const RESTRICTION_HELP: &str = "write `user`, `user:*` or `group#member`";

impl Parser<'_> {
    /// The list in brackets, over as many lines as it likes; then the comments before its end.
    pub(super) fn restrictions(&mut self) -> (Vec<TypeRestriction>, Vec<String>) {
        let problems_before = self.problems.len();
        let open = self.bump();
        let mut list: Vec<TypeRestriction> = Vec::new();
        let (trailing, mut comments) = self.list_gap();
        comments.splice(0..0, trailing);
        let mut after_comma = true;
        while self.kind() != Kind::BracketClose {
            if self.at_line_end() {
                self.report_unclosed(open.span);
                return (list, comments);
            }
            if !after_comma {
                self.report_missing_comma();
                self.skip_restriction();
            } else if let Some(mut restriction) = self.restriction() {
                restriction.comments = std::mem::take(&mut comments);
                let (trailing, after) = self.list_gap();
                restriction.trailing = trailing;
                comments = after;
                list.push(restriction);
            } else {
                self.skip_restriction();
            }
            after_comma = self.take(Kind::Comma).is_some();
            let (trailing, after) = self.list_gap();
            match list.last_mut() {
                Some(last) if last.trailing.is_none() => last.trailing = trailing,
                _ => comments.extend(trailing),
            }
            comments.extend(after);
        }
        let close = self.bump();
        if self.problems.len() > problems_before || !after_comma {
            return (list, comments);
        }
        if list.is_empty() {
            let message = "no types in the brackets";
            let problem = Problem::spanned(ProblemCode::EmptyRestrictions, open.span.to(close.span), message);
            self.report(problem.help("list the types that may be assigned, `[user]` for example"));
        } else {
            self.report_at(
                ProblemCode::MissingName,
                close.span,
                "expected the name of a type after `,`, found `]`",
            );
        }
        (list, comments)
    }

    /// `restriction = name [":*" | "#" name] ["with" name]`
    fn restriction(&mut self) -> Option<TypeRestriction> {
        let start = self.token().span;
        let subject_type = self.name(NameKind::Type)?;
        let shape = match self.kind() {
            Kind::Colon => self.wildcard()?,
            Kind::Hash => {
                self.expect_no_space();
                self.bump();
                if self.kind() == Kind::Word {
                    self.expect_no_space();
                }
                TypeRestrictionShape::Userset(self.name(NameKind::Relation)?)
            }
            _ => TypeRestrictionShape::Object,
        };
        if matches!(self.kind(), Kind::Colon | Kind::Hash | Kind::Star) {
            let message = format!("unexpected {} in a type restriction", self.found());
            let problem = Problem::spanned(ProblemCode::InvalidRestriction, self.token().span, message);
            self.report(problem.help(RESTRICTION_HELP));
            self.skip_restriction();
        }
        let condition = match self.at_word("with") {
            true => {
                self.expect_space();
                self.bump();
                Some(self.name(NameKind::Condition)?)
            }
            false => None,
        };
        let at = At::from(start.to(self.behind().span));
        Some(TypeRestriction::new(at, subject_type, shape, condition))
    }

    /// `":*"`
    fn wildcard(&mut self) -> Option<TypeRestrictionShape> {
        self.expect_no_space();
        self.bump();
        if self.kind() == Kind::Star {
            self.expect_no_space();
            self.bump();
            return Some(TypeRestrictionShape::Wildcard);
        }
        let message = format!("expected `*` after `:`, found {}", self.found());
        let problem = Problem::spanned(ProblemCode::InvalidRestriction, self.token().span, message);
        self.report(
            problem.help("a type restriction names a type, not one object of it; write `user` or `user:*`"),
        );
        None
    }

    /// Leaves the rest of an entry of the list behind.
    fn skip_restriction(&mut self) {
        while !matches!(self.kind(), Kind::Comma | Kind::BracketClose) && !self.at_line_end() {
            self.bump();
        }
    }

    /// Goes over the end of a line within a list: the comment at its end, the comments on the lines after it.
    fn list_gap(&mut self) -> (Option<String>, Vec<String>) {
        if !matches!(self.kind(), Kind::Newline(_)) || self.next_line_is_no_entry() {
            return (None, Vec::new());
        }
        let trailing = self.newline();
        (trailing, self.lead().comments.into_iter().map(|comment| comment.text).collect())
    }

    /// Whether the next line begins something else than an entry of a list.
    fn next_line_is_no_entry(&self) -> bool {
        let next = self.ahead(1);
        match self.text_of(next) {
            "define" | "relations" | "condition" => true,
            "type" | "extend" => self.ahead(2).kind == Kind::Word && !self.word_ahead(2, "with"),
            _ => next.kind == Kind::End,
        }
    }

    fn report_missing_comma(&mut self) {
        let message = format!("expected `,` or `]`, found {}", self.found());
        let help = suggest::did_you_mean(self.text_of(self.token()), ["with"]);
        let problem = Problem::spanned(ProblemCode::MissingComma, self.token().span, message);
        self.report(problem.help_if_any(help));
    }

    fn report_unclosed(&mut self, open: Span) {
        let gap = match self.kind() {
            Kind::Newline(gap) => self.lexed.gaps.get(gap as usize),
            _ => None,
        };
        let comment = gap.and_then(|gap| gap.trailing).map(|span| &self.text[span.start..span.end]);
        let help = match comment {
            Some(comment) if comment[1..].starts_with(|c: char| c.is_alphanumeric()) => {
                format!("`{comment}` is a comment, because a space stands before the `#`; write it without")
            }
            _ => "write the `]` after the last type".to_string(),
        };
        self.report(
            Problem::spanned(ProblemCode::UnclosedBracket, open, "this `[` is not closed").help(help),
        );
    }
}
