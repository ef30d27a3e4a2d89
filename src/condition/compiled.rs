//! A condition made ready: parsed, checked, and evaluated as often as is wanted.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use cel::common::types::CelBool;
use cel::parser::Parser;
use cel::{Context as CelContext, IdedExpr, Value as CelValue};
use serde_json::{Map, Value};

use super::check::check;
use super::context::Context;
use super::error::ConditionError;
use super::kind::Kind;
use super::library::ENVIRONMENT;
use super::value::convert;
use super::work::{Sizes, bound, length};
use crate::tuple::ConditionContext;

/// Bytes of an expression, as in OpenFGA.
pub const EXPRESSION_BYTES_MAX: usize = 512;
/// How deep an expression may nest.
const NESTING_MAX: u16 = 48;
/// Steps of one evaluation.
const STEPS_MAX: u64 = 100_000;

/// A parameter of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub kind: Kind,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Which bytes of it; none: all of it.
    pub place: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
}

/// A condition, ready to be evaluated.
#[derive(Debug)]
pub struct Compiled {
    parameters: Vec<Parameter>,
    /// As written.
    text: Box<str>,
    expression: IdedExpr,
    /// Operators that take one step, by their ids.
    light: HashSet<u64>,
}

impl Compiled {
    /// Reads an expression over parameters and checks its types.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(parameters: Vec<Parameter>, expression: &str) -> Result<Compiled, Vec<Mistake>> {
        let whole = |message| vec![Mistake { place: None, message }];
        if expression.len() > EXPRESSION_BYTES_MAX {
            let bytes = expression.len();
            return Err(whole(format!(
                "the expression has {bytes} bytes, at most {EXPRESSION_BYTES_MAX} are allowed"
            )));
        }
        // Its nesting is counted before a parser sees it, whose own limit does not count everything that nests.
        if nesting(expression) > usize::from(NESTING_MAX) {
            return Err(whole(format!("the expression nests more than {NESTING_MAX} levels deep")));
        }
        let parser = Parser::new().max_recursion_depth(NESTING_MAX * 2).enable_optional_syntax(false);
        let parsed = parser.parse_with_source_info(expression);
        let (parsed, places) = parsed.map_err(|errors| {
            let mistake = |error: &cel::ParseError| {
                let at = offset(expression, error.pos);
                Mistake { place: Some(bytes(expression, at..at + 1)), message: sentence(&error.msg) }
            };
            errors.errors.iter().map(mistake).collect::<Vec<_>>()
        })?;
        let mut mistakes = match check(&parsed, &places, &parameters) {
            Ok(light) => {
                return Ok(Compiled {
                    parameters,
                    text: expression.trim().into(),
                    expression: parsed,
                    light,
                });
            }
            Err(mistakes) => mistakes,
        };
        for mistake in &mut mistakes {
            mistake.place = mistake.place.take().map(|place| bytes(expression, place));
        }
        Err(mistakes)
    }

    /// The parameters.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Its parameters and its expression as text: what has another one may hold otherwise.
    pub fn definition(&self) -> String {
        let parameters = self.parameters.iter().map(|Parameter { name, kind }| format!("{name}: {kind}"));
        format!("({}) {{ {} }}", parameters.collect::<Vec<_>>().join(", "), self.text)
    }

    /// Whether the values in the context of a tuple are such that they can be written: parameters of this condition, of
    /// their types.
    ///
    /// # Errors
    /// The first that is not.
    pub fn admit(&self, context: &ConditionContext) -> Result<(), String> {
        for (name, value) in values(context) {
            let Some(parameter) = self.parameters.iter().find(|it| *it.name == *name) else {
                return Err(format!("`{name}` is not one of its parameters"));
            };
            let Parameter { name, kind } = parameter;
            convert(kind, &value)
                .map_err(|problem| format!("`{name}` has to be of type {kind}: {problem}"))?;
        }
        Ok(())
    }

    /// Whether the condition holds, given the context of the tuple, which counts first, and that of the request.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn holds(&self, tuple: &ConditionContext, request: &Context) -> Result<bool, ConditionError> {
        let own = values(tuple);
        let value_of = |name: &str| own.get(name).or_else(|| request.get(name));
        let is_missing = |parameter: &&Parameter| value_of(&parameter.name).is_none();
        let missing: Vec<Box<str>> =
            self.parameters.iter().filter(is_missing).map(|it| it.name.clone()).collect();
        if !missing.is_empty() {
            return Err(ConditionError::Missing(missing));
        }
        let mut sizes = Sizes::default();
        let mut context = CelContext::with_env(Arc::clone(&ENVIRONMENT));
        for Parameter { name, kind } in &self.parameters {
            let Some(json) = value_of(name) else { continue };
            sizes.add(json);
            let wrong = |problem| ConditionError::WrongType {
                parameter: name.clone(),
                expected: kind.clone(),
                problem,
            };
            context.add_variable_as_val(&**name, convert(kind, json).map_err(wrong)?);
        }
        let is_parameter = |name: &str| self.parameters.iter().any(|it| *it.name == *name);
        let length_of = |name: &str| value_of(name).filter(|_| is_parameter(name)).map(length);
        let steps = bound(&self.expression, &self.light, sizes, &length_of);
        if steps > STEPS_MAX {
            return Err(ConditionError::TooMuchWork { steps, limit: STEPS_MAX });
        }
        let result = CelValue::resolve_val(&self.expression, &context);
        let result = result.map_err(|error| ConditionError::Failed(error.to_string()))?;
        match result.downcast_ref::<CelBool>() {
            Some(holds) => Ok(*holds.inner()),
            None => Err(ConditionError::Failed("it is not a bool".to_owned())),
        }
    }
}

fn values(context: &ConditionContext) -> Map<String, Value> {
    // A context has been read when it was made.
    serde_json::from_str(context.as_str()).unwrap_or_default()
}

/// How deep brackets and prefixed operators nest; what stands in texts counts too.
fn nesting(expression: &str) -> usize {
    let (mut open, mut prefixes, mut deepest) = (0_usize, 0_usize, 0_usize);
    for byte in expression.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'!' | b'-' | b'?' => prefixes += 1,
            byte if byte.is_ascii_whitespace() => {}
            _ => prefixes = 0,
        }
        deepest = deepest.max(open + prefixes);
    }
    deepest
}

/// The character of a line and column, both counted from 1.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let from_zero = |number: isize| usize::try_from(number).unwrap_or(0).saturating_sub(1);
    let lines = text.split_inclusive('\n').take(from_zero(line));
    lines.map(|line| line.chars().count()).sum::<usize>() + from_zero(column)
}

/// The bytes of some characters: the parser counts those. Of what is missing at the end, the last one.
fn bytes(text: &str, characters: Range<usize>) -> Range<usize> {
    let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let byte = |character: usize| text.char_indices().nth(character).map(|(at, _)| at);
    let start = byte(characters.start).unwrap_or(last);
    start..byte(characters.end).unwrap_or(text.len()).max(start)
}

/// The parser's message in our words, as far as it is one of the usual ones.
fn sentence(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = message.trim_start_matches("Syntax error: ");
    let quoted = || message.split('\'').nth(1).unwrap_or_default();
    let usual = ["mismatched input", "extraneous input", "no viable alternative", "token recognition error"];
    match usual.iter().any(|begin| message.starts_with(begin)) {
        true if message.contains("<EOF>") && quoted() == "<EOF>" => {
            "the expression is not complete".to_owned()
        }
        true => format!("unexpected `{}`", quoted()),
        false => message.to_owned(),
    }
}
