//! `condition in_office(ip: ipaddress) { … }`.

use super::super::code::ProblemCode;
use super::super::lex::{BodyLine, Kind};
use super::super::problem::Problem;
use super::super::source::{At, Span};
use super::super::tree::{
    BodyComments, ConditionDefinition, Name, Parameter, ParameterType, ParameterTypeName,
};
use super::cursor::Parser;
use super::words::{self, NameKind, Opening};

const FORM_HELP: &str = "write `condition NAME(PARAMETER: TYPE, …) {`, all of it on one line";
const TYPES_HELP: &str = "one of `bool`, `string`, `int`, `uint`, `double`, `duration`, `timestamp`, `ipaddress`, or a `list<…>` or `map<…>` of one of these";

impl Parser<'_> {
    /// `condition = "condition" name "(" param {"," param} ")" "{" body "}"`
    pub(super) fn condition(&mut self, opening: Opening) -> Option<ConditionDefinition> {
        let trivia = self.lead();
        let problems_before = self.problems.len();
        self.keyword(opening);
        let name = self.name(NameKind::Condition);
        let parameters = match &name {
            Some(_) => self.parameters(),
            None => Vec::new(),
        };
        if self.problems.len() == problems_before && self.kind() != Kind::BraceOpen {
            let message = format!("expected `{{`, found {}", self.found());
            let problem = Problem::spanned(ProblemCode::MissingBody, self.token().span, message);
            self.report(problem.help(FORM_HELP));
        }
        self.skip_to_body();
        let Kind::Body(number) = self.ahead(1).kind else {
            self.skip_line();
            self.newline();
            return None;
        };
        let open = self.bump();
        let body = self.bump();
        let lines = std::mem::take(&mut self.lexed.bodies[number as usize].lines);
        let name = name.unwrap_or_else(|| Name::made(""));
        let mut condition = ConditionDefinition::new(name, parameters, "", At::from(body.span));
        condition.trivia = trivia;
        self.body(&mut condition, &lines);
        if self.take(Kind::BraceClose).is_none() {
            let problem = Problem::spanned(ProblemCode::UnclosedBody, open.span, "this `{` is not closed");
            self.report(problem.help("write the `}` after the expression"));
            self.newline();
            return Some(condition);
        }
        if condition.expression.is_empty() {
            let span = open.span.to(self.behind().span);
            self.report_at(ProblemCode::MissingBody, span, "the condition has no expression");
        }
        condition.closing_comment = self.end_of_line("`}`");
        (!condition.name.text.is_empty()).then_some(condition)
    }

    /// `"(" param {"," param} ")"`
    fn parameters(&mut self) -> Vec<Parameter> {
        let mut list: Vec<Parameter> = Vec::new();
        if self.take(Kind::ParenOpen).is_none() {
            self.report_parameters(format!(
                "expected `(` after the name of the condition, found {}",
                self.found()
            ));
            return list;
        }
        loop {
            let Some(parameter) = self.parameter() else { return list };
            if let Some(first) = list.iter().find(|first| first.name.text == parameter.name.text) {
                let message = format!("the parameter `{}` is already defined", parameter.name.text);
                let problem = Problem::new(ProblemCode::DuplicateParameter, &parameter.name.at, message)
                    .also(&first.name.at, "first defined here");
                self.report(problem);
            } else {
                list.push(parameter);
            }
            if self.take(Kind::ParenClose).is_some() {
                return list;
            }
            if self.take(Kind::Comma).is_none() {
                self.report_parameters(format!("expected `,` or `)`, found {}", self.found()));
                return list;
            }
        }
    }

    /// `param = name ":" ptype`
    fn parameter(&mut self) -> Option<Parameter> {
        if self.kind() != Kind::Word {
            self.report_parameters(format!("expected a parameter, found {}", self.found()));
            return None;
        }
        let problems_before = self.problems.len();
        let name = self.name(NameKind::Parameter)?;
        if self.take(Kind::Colon).is_none() {
            if self.problems.len() > problems_before {
                return None;
            }
            self.report_parameters(format!("expected `:` after the parameter, found {}", self.found()));
            return None;
        }
        Some(Parameter { name, kind: self.parameter_type()? })
    }

    /// `ptype = scalar | ("map" | "list") "<" scalar ">"`
    fn parameter_type(&mut self) -> Option<ParameterType> {
        let name = self.parameter_type_name()?;
        if !name.is_container() {
            return Some(ParameterType { name, generics: Vec::new() });
        }
        let container = name.as_str();
        if self.kind() != Kind::Less {
            let message = format!("expected `<` after `{container}`, found {}", self.found());
            let problem = Problem::spanned(ProblemCode::UnknownParameterType, self.token().span, message);
            self.report(problem.help(format!("say what is in it: `{container}<string>`")));
            return None;
        }
        self.expect_no_space();
        self.bump();
        self.expect_no_space();
        let inner_at = self.token().span;
        let inner = self.parameter_type_name()?;
        if inner.is_container() {
            let message = format!("`{container}` cannot hold `{}`", inner.as_str());
            self.report(
                Problem::spanned(ProblemCode::UnknownParameterType, inner_at, message).help(TYPES_HELP),
            );
            return None;
        }
        if self.kind() != Kind::Greater {
            self.report_parameters(format!("expected `>`, found {}", self.found()));
            return None;
        }
        self.expect_no_space();
        self.bump();
        Some(ParameterType { name, generics: vec![ParameterType { name: inner, generics: Vec::new() }] })
    }

    fn parameter_type_name(&mut self) -> Option<ParameterTypeName> {
        let token = self.token();
        let text = self.text_of(token);
        let known = ParameterTypeName::ALL.into_iter().find(|name| name.as_str() == text);
        match known.filter(|_| words::is_parameter_type(text)) {
            Some(name) => {
                self.bump();
                Some(name)
            }
            None => {
                let message = format!("expected the type of a parameter, found {}", self.found());
                let problem = Problem::spanned(ProblemCode::UnknownParameterType, token.span, message);
                self.report(problem.help(TYPES_HELP));
                None
            }
        }
    }

    fn report_parameters(&mut self, message: String) {
        let span = self.token().span;
        self.report(Problem::spanned(ProblemCode::InvalidParameters, span, message).help(FORM_HELP));
    }

    /// Leaves the rest of a broken head behind, also over several lines, up to the body that belongs to it.
    fn skip_to_body(&mut self) {
        while !matches!(self.ahead(1).kind, Kind::Body(_)) && !self.at_end() {
            let at_line_end = self.at_line_end();
            if at_line_end && self.next_line_begins_definition() {
                return;
            }
            self.bump();
        }
    }

    fn next_line_begins_definition(&self) -> bool {
        let next = self.ahead(1);
        next.kind == Kind::End
            || next.kind == Kind::Word
                && ["condition", "type", "extend", "define"].contains(&self.text_of(next))
    }

    /// Divides the lines of a body into the expression and the comments around it.
    fn body(&self, condition: &mut ConditionDefinition, lines: &[BodyLine]) {
        let text = |span: Span| &self.text[span.start..span.end];
        let has_code = |line: &BodyLine| !text(line.code).trim().is_empty();
        let first = lines.iter().position(has_code).unwrap_or(lines.len());
        let end = lines.iter().rposition(has_code).map_or(first, |last| last + 1);
        let comment = |line: &BodyLine| line.comment.map(|span| text(span).to_string());
        let mut comments = BodyComments::default();
        for (number, line) in lines.iter().enumerate() {
            let Some(comment) = comment(line) else { continue };
            match number {
                0 if first > 0 => condition.trivia.trailing = Some(comment),
                number if number < first => comments.before.push(comment),
                number if number < end => comments.on_lines.push((number - first, comment)),
                _ => comments.after.push(comment),
            }
        }
        let code: Vec<&str> = lines[first..end].iter().map(|line| text(line.code).trim_end()).collect();
        condition.expression = code.join("\n").trim().into();
        if let [first, .., last] = &lines[first.min(end)..end] {
            condition.expression_at = At::from(first.code.to(last.code));
        } else if let [only] = &lines[first.min(end)..end] {
            condition.expression_at = At::from(only.code);
        }
        condition.body_comments = comments;
    }
}
