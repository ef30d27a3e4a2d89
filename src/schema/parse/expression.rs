//! The right side of a `define`.

use super::super::code::ProblemCode;
use super::super::lex::Kind;
use super::super::problem::Problem;
use super::super::source::{At, Span};
use super::super::tree::{Expression, ExpressionKind, TypeRestriction};
use super::cursor::Parser;
use super::words::NameKind;

/// A definition, and the list of types in it.
pub(super) struct Definition {
    pub(super) expression: Expression,
    pub(super) restrictions: Vec<TypeRestriction>,
    pub(super) restrictions_tail: Vec<String>,
}

impl Definition {
    /// For a definition that is not there.
    pub(super) fn nothing(at: &At) -> Definition {
        let expression = Expression::new(ExpressionKind::Missing, at.clone());
        Definition { expression, restrictions: Vec::new(), restrictions_tail: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    ButNot,
}

/// Where an operand stands: how deep, and whether a list of types may stand there.
#[derive(Debug, Clone, Copy)]
struct Position {
    depth: usize,
    first: bool,
}

const OPERAND_HELP: &str = "a definition is made of types in brackets, relations, and relations `from` a relation, joined by `or`, `and` or `but not`";
const FIRST_HELP: &str = "write the types first: `define viewer: [user] or editor`";

impl Parser<'_> {
    /// `def = first [partials]`
    pub(super) fn def(&mut self) -> Definition {
        let mut definition = Definition {
            expression: self.missing(),
            restrictions: Vec::new(),
            restrictions_tail: Vec::new(),
        };
        definition.expression = self.level(&mut definition, Position { depth: 0, first: true });
        definition
    }

    /// A definition has to end here.
    pub(super) fn end_of_definition(&mut self) -> Option<String> {
        if self.at_line_end() {
            return self.newline();
        }
        let problem = match self.kind() {
            Kind::ParenClose => Problem::spanned(
                ProblemCode::UnopenedParenthesis,
                self.token().span,
                "nothing opens this `)`",
            )
            .help("leave it out, or write the `(` that belongs to it"),
            Kind::Hash => {
                Problem::spanned(ProblemCode::UnexpectedText, self.rest_of_line(), "unexpected `#`")
                    .help("put a space before the `#` to begin a comment")
            }
            _ => {
                let message =
                    format!("expected `or`, `and`, `but not` or the end of the line, found {}", self.found());
                let lower = self.text_of(self.token()).to_lowercase();
                let operator = match lower.as_str() {
                    "or" | "|" => Some("or"),
                    "and" | "&" => Some("and"),
                    "but" | "-" => Some("but not"),
                    _ => None,
                };
                Problem::spanned(ProblemCode::UnexpectedText, self.rest_of_line(), message)
                    .help_if_any(operator.map(|operator| format!("did you mean `{operator}`?")))
            }
        };
        self.report(problem);
        self.skip_line();
        self.newline()
    }

    /// One level of a definition: an operand, and further ones joined by one kind of operator.
    fn level(&mut self, definition: &mut Definition, position: Position) -> Expression {
        let first = self.operand(definition, position);
        self.partials(first, definition, position)
    }

    /// `partials = {"or" operand} | {"and" operand} | "but not" operand`
    fn partials(&mut self, first: Expression, definition: &mut Definition, position: Position) -> Expression {
        let mut operands = vec![first];
        let mut level: Option<(Operator, Span)> = None;
        let mut reported = false;
        while let Some((operator, span)) = self.operator() {
            match level {
                None => level = Some((operator, span)),
                Some((before, at)) if !reported && (before != operator || operator == Operator::ButNot) => {
                    reported = true;
                    let start = operands.first().and_then(|first| first.at.0.span()).unwrap_or(at);
                    let level_text = self.text[start.start..span.start].trim();
                    self.report(mixed(level_text, before, at, operator, span));
                }
                Some(_) => {}
            }
            self.expect_space();
            operands.push(self.operand(definition, Position { depth: position.depth, first: false }));
        }
        let at = match (operands.first(), operands.last()) {
            (Some(first), Some(last)) => first.at.to(&last.at),
            _ => At::nowhere(),
        };
        let kind = match level.map(|(operator, _)| operator) {
            Some(Operator::Or) => ExpressionKind::Union(operands),
            Some(Operator::And) => ExpressionKind::Intersection(operands),
            Some(Operator::ButNot) if operands.len() == 2 => match (operands.pop(), operands.pop()) {
                (Some(subtract), Some(base)) => ExpressionKind::Exclusion(base.into(), subtract.into()),
                _ => ExpressionKind::Missing,
            },
            // Reported above; a union keeps the names for further checks.
            Some(Operator::ButNot) => ExpressionKind::Union(operands),
            None => return operands.pop().unwrap_or_else(|| self.missing()),
        };
        Expression::new(kind, at)
    }

    /// Goes over an operator, if there is one.
    fn operator(&mut self) -> Option<(Operator, Span)> {
        let token = self.token();
        let operator = match self.text_of(token) {
            "or" => Operator::Or,
            "and" => Operator::And,
            "but" => Operator::ButNot,
            _ => return None,
        };
        if token.kind != Kind::Word {
            return None;
        }
        self.expect_space();
        self.bump();
        if operator != Operator::ButNot {
            return Some((operator, token.span));
        }
        let not = self.token();
        if !self.at_word("not") {
            let message = format!("expected `not` after `but`, found {}", self.found());
            self.report(
                Problem::spanned(ProblemCode::MissingOperand, not.span, message).help("write `but not`"),
            );
            return Some((operator, token.span));
        }
        self.bump();
        if &self.text[token.span.end..not.span.start] != " " {
            let message = "`but not` is written with one space";
            self.report_at(ProblemCode::WrongSpacing, token.span.to(not.span), message);
        }
        Some((operator, token.span.to(not.span)))
    }

    /// `operand = direct | rewrite | "(" def ")"`
    fn operand(&mut self, definition: &mut Definition, position: Position) -> Expression {
        let token = self.token();
        match token.kind {
            Kind::BracketOpen => self.direct(definition, position),
            Kind::ParenOpen => self.group(definition, position),
            Kind::Word if !self.at_operator() && !self.at_word("from") => self.rewrite(),
            Kind::Number => self.rewrite(),
            _ => {
                let message = match (self.at_line_end(), position.first && position.depth == 0) {
                    (true, true) => "nothing is defined here".to_string(),
                    (true, false) => "a relation is missing at the end of the line".to_string(),
                    (false, _) if self.at_word("but") => "expected a relation, found `but not`".to_string(),
                    (false, _) => format!("expected a relation, found {}", self.found()),
                };
                let problem = Problem::spanned(ProblemCode::MissingOperand, token.span, message);
                self.report(problem.help(OPERAND_HELP));
                self.missing()
            }
        }
    }

    fn at_operator(&self) -> bool {
        self.at_word("or") || self.at_word("and") || self.at_word("but") && self.word_ahead(1, "not")
    }

    /// `"(" def ")"`
    fn group(&mut self, definition: &mut Definition, position: Position) -> Expression {
        let problems_before = self.problems.len();
        if position.depth >= self.limits.nesting_max {
            let message = format!("more than {} parentheses within each other", self.limits.nesting_max);
            let problem = Problem::spanned(ProblemCode::NestingTooDeep, self.token().span, message);
            self.report(problem.help("give the inner parts names of their own: a relation for each"));
            self.skip_line();
            return self.missing();
        }
        let open = self.bump();
        let mut inner = self.level(definition, Position { depth: position.depth + 1, ..position });
        if let Some(close) = self.take(Kind::ParenClose) {
            inner.at = At::from(open.span.to(close.span));
        } else if self.problems.len() == problems_before {
            let problem = match self.at_line_end() {
                true => {
                    Problem::spanned(ProblemCode::UnclosedParenthesis, open.span, "this `(` is not closed")
                        .help("write the `)` on the same line")
                }
                false => {
                    let message = format!("expected `or`, `and`, `but not` or `)`, found {}", self.found());
                    Problem::spanned(ProblemCode::UnexpectedText, self.token().span, message)
                }
            };
            self.report(problem);
            self.skip_line();
        }
        inner
    }

    /// `rewrite = name ["from" name]`
    fn rewrite(&mut self) -> Expression {
        let Some(target) = self.name(NameKind::Relation) else { return self.missing() };
        let at = target.at.clone();
        if !self.at_word("from") {
            return Expression::new(ExpressionKind::Computed(target), at);
        }
        self.bump();
        let Some(tupleset) = self.name(NameKind::Relation) else { return self.missing() };
        let at = at.to(&tupleset.at);
        Expression::new(ExpressionKind::Arrow { target, tupleset }, at)
    }

    /// `direct = "[" restriction {"," restriction} "]"`
    fn direct(&mut self, definition: &mut Definition, position: Position) -> Expression {
        let open = self.token().span;
        let list = self.restrictions();
        let span = open.to(self.behind().span);
        let at = At::from(span);
        if !position.first {
            let message = "types in brackets can only stand first, and only once";
            let problem = Problem::spanned(ProblemCode::MisplacedRestrictions, span, message);
            self.report(problem.help(FIRST_HELP));
            return Expression::new(ExpressionKind::Missing, at);
        }
        (definition.restrictions, definition.restrictions_tail) = list;
        Expression::new(ExpressionKind::Direct, at)
    }

    fn missing(&self) -> Expression {
        Expression::new(ExpressionKind::Missing, At::from(self.token().span))
    }
}

/// Longer expressions are not repeated in a help.
const SHOWN_BYTES_MAX: usize = 60;

fn mixed(level_text: &str, before: Operator, at: Span, operator: Operator, span: Span) -> Problem {
    let (before_text, text) = (operator_text(before), operator_text(operator));
    if before == operator {
        let message = "`but not` cannot stand twice on one level";
        return Problem::spanned(ProblemCode::ChainedExclusion, span, message)
            .also(&At::from(at), "the first one")
            .help("add parentheses: `(a but not b) but not c`, or `a but not (b or c)`");
    }
    let message = format!("`{before_text}` and `{text}` cannot stand on one level");
    Problem::spanned(ProblemCode::MixedOperators, span, message)
        .also(&At::from(at), format!("this level began with `{before_text}`"))
        .help(match level_text.len() <= SHOWN_BYTES_MAX {
            true => format!("add parentheses, for example `({level_text}) {text} …`"),
            false => "add parentheses".to_string(),
        })
}

fn operator_text(operator: Operator) -> &'static str {
    match operator {
        Operator::Or => "or",
        Operator::And => "and",
        Operator::ButNot => "but not",
    }
}
