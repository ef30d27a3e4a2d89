//! Conditions of a tree, compiled: their parameters, and where in the text a mistake in an expression stands.

use super::code::ProblemCode;
use super::limits::{CONDITIONS_MAX, PARAMETERS_MAX};
use super::problem::Problem;
use super::source::{At, Place, Source, Span};
use super::tree::{ConditionDefinition, ParameterType, ParameterTypeName, Tree};
use crate::condition::{Compiled, Kind, Mistake, Parameter};

/// Compiles a condition.
pub(super) fn compile(condition: &ConditionDefinition) -> Result<Compiled, Vec<Mistake>> {
    let parameters = condition.parameters.iter();
    let parameters = parameters.map(|it| Parameter { name: it.name.text.clone(), kind: kind(&it.kind) });
    Compiled::new(parameters.collect(), &condition.expression)
}

/// Everything that is wrong with the conditions of a tree themselves.
pub(super) fn problems(tree: &Tree) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Some(one_too_many) = tree.conditions.get(CONDITIONS_MAX) {
        let count = tree.conditions.len();
        let message = format!("the schema has {count} conditions; at most {CONDITIONS_MAX} are allowed");
        let problem = Problem::new(ProblemCode::TooManyConditions, &one_too_many.name.at, message);
        found.push(problem.help("join conditions that are alike"));
    }
    for condition in tree.conditions.iter().take(CONDITIONS_MAX) {
        if let Some(one_too_many) = condition.parameters.get(PARAMETERS_MAX) {
            let count = condition.parameters.len();
            let name = &condition.name.text;
            let message = format!(
                "the condition `{name}` has {count} parameters; at most {PARAMETERS_MAX} are allowed"
            );
            let problem = Problem::new(ProblemCode::TooManyConditions, &one_too_many.name.at, message);
            found.push(problem.help("pass several values in one parameter of type `map<any>`"));
            continue;
        }
        // What could not be read has been reported.
        if condition.expression.is_empty() {
            continue;
        }
        for mistake in compile(condition).err().unwrap_or_default() {
            let at = place(&tree.source, condition, &mistake);
            found.push(Problem::new(ProblemCode::InvalidExpression, &at, mistake.message));
        }
    }
    found
}

fn kind(of: &ParameterType) -> Kind {
    let inner = || Box::new(of.generics.first().map_or(Kind::Any, kind));
    match of.name {
        ParameterTypeName::Any => Kind::Any,
        ParameterTypeName::Bool => Kind::Bool,
        ParameterTypeName::String => Kind::String,
        ParameterTypeName::Int => Kind::Int,
        ParameterTypeName::Uint => Kind::Uint,
        ParameterTypeName::Double => Kind::Double,
        ParameterTypeName::Duration => Kind::Duration,
        ParameterTypeName::Timestamp => Kind::Timestamp,
        ParameterTypeName::Map => Kind::Map(Box::new(Kind::String), inner()),
        ParameterTypeName::List => Kind::List(inner()),
        ParameterTypeName::Ipaddress => Kind::Ip,
    }
}

/// Where a mistake stands in the source. The expression has the lines of the source, but neither their comments nor the
/// space around it all.
fn place(source: &Source, condition: &ConditionDefinition, mistake: &Mistake) -> At {
    let whole = &condition.expression_at;
    let (Place::Span(span), Some(wrong)) = (&whole.0, &mistake.place) else { return whole.clone() };
    let Some(written) = source.text().get(span.start..span.end) else { return whole.clone() };
    let before = written.len() - written.trim_start().len();
    let in_source = |at: usize| {
        let expression = condition.expression.get(..at).unwrap_or(&condition.expression);
        let line = expression.matches('\n').count();
        let column = expression.len() - expression.rfind('\n').map_or(0, |newline| newline + 1);
        let line_start: usize = written[before..].split_inclusive('\n').take(line).map(str::len).sum();
        (span.start + before + line_start + column).min(span.end)
    };
    let (start, end) = (in_source(wrong.start), in_source(wrong.end));
    // Where it cannot be found, all of it is shown.
    let is_sound = start < end && source.text().get(start..end).is_some();
    if is_sound { At::from(Span::new(start, end)) } else { whole.clone() }
}
