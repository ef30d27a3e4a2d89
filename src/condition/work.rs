//! A bound on the steps of an evaluation, known before it begins.
//!
//! An expression has no loops but those over lists and maps, so its steps are bounded by their lengths. The length of a
//! parameter is known; of what is found within one, the longest there is is taken.

use std::collections::HashSet;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use serde_json::Value;

/// Steps of a regular expression that is made anew at each evaluation; with counted repetitions it may be large.
const MATCH: u64 = 200;
const LARGE_MATCH: u64 = 50_000;
/// Bytes that are compared or copied in one step.
const BYTES_PER_STEP: u64 = 64;

/// How large the values at hand are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes {
    /// Of the longest list or map within any of them.
    pub(super) longest: u64,
    /// Of all of their texts together, in bytes.
    pub(super) bytes: u64,
}

impl Sizes {
    /// Takes a value into account.
    pub(super) fn add(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                self.longest = self.longest.max(items.len() as u64);
                items.iter().for_each(|item| self.add(item));
            }
            Value::Object(entries) => {
                self.longest = self.longest.max(entries.len() as u64);
                for (key, value) in entries {
                    self.bytes += key.len() as u64;
                    self.add(value);
                }
            }
            Value::String(text) => self.bytes += text.len() as u64,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The length of a value, as far as it has one.
pub(super) fn length(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.len() as u64,
        Value::Object(entries) => entries.len() as u64,
        _ => 0,
    }
}

/// An upper bound on the steps of an expression; `length_of` knows the lengths of parameters.
pub(super) fn bound(
    expression: &IdedExpr,
    light: &HashSet<u64>,
    sizes: Sizes,
    length_of: &dyn Fn(&str) -> Option<u64>,
) -> u64 {
    Bound { light, sizes, length_of, inner: Vec::new() }.steps(expression)
}

struct Bound<'b> {
    /// Operators on single values.
    light: &'b HashSet<u64>,
    sizes: Sizes,
    length_of: &'b dyn Fn(&str) -> Option<u64>,
    /// Variables of comprehensions, which hide parameters.
    inner: Vec<String>,
}

impl Bound<'_> {
    fn steps(&mut self, at: &IdedExpr) -> u64 {
        let below: u64 = match &at.expr {
            Expr::Literal(_) | Expr::Ident(_) | Expr::Unspecified => 0,
            Expr::Select(select) => self.steps(&select.operand),
            Expr::List(list) => self.all(&list.elements),
            Expr::Call(call) => self.call(at.id, call),
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr)),
            Expr::Struct(made) => self.entries(made.entries.iter().map(|entry| &entry.expr)),
            Expr::Comprehension(comprehension) => {
                let times = self.length(&comprehension.iter_range);
                let begin = self
                    .steps(&comprehension.iter_range)
                    .saturating_add(self.steps(&comprehension.accu_init));
                let outer = self.inner.len();
                self.inner.extend([comprehension.accu_var.clone(), comprehension.iter_var.clone()]);
                self.inner.extend(comprehension.iter_var2.clone());
                let mut each =
                    self.steps(&comprehension.loop_cond).saturating_add(self.steps(&comprehension.loop_step));
                if matches!(comprehension.accu_init.expr, Expr::List(_)) {
                    // A list that grows may be copied each time.
                    each = each.saturating_add(times / 8);
                }
                let end = self.steps(&comprehension.result);
                self.inner.truncate(outer);
                begin.saturating_add(times.saturating_mul(each)).saturating_add(end)
            }
        };
        below.saturating_add(1)
    }

    fn all<'e>(&mut self, expressions: impl IntoIterator<Item = &'e IdedExpr>) -> u64 {
        expressions.into_iter().fold(0, |sum: u64, expression| sum.saturating_add(self.steps(expression)))
    }

    fn entries<'e>(&mut self, entries: impl Iterator<Item = &'e EntryExpr>) -> u64 {
        entries.fold(0, |sum: u64, entry| {
            let steps = match entry {
                EntryExpr::MapEntry(entry) => self.steps(&entry.key).saturating_add(self.steps(&entry.value)),
                EntryExpr::StructField(field) => self.steps(&field.value),
            };
            sum.saturating_add(steps)
        })
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> u64 {
        let arguments = self.all(call.target.as_deref().into_iter().chain(&call.args));
        let itself = match call.func_name.as_str() {
            "matches" => {
                let is_small = matches!(call.args.last().map(|pattern| &pattern.expr),
                    Some(Expr::Literal(LiteralValue::String(pattern))) if !pattern.inner().contains('{'));
                (if is_small { MATCH } else { LARGE_MATCH }) + self.sizes.bytes
            }
            operators::ADD
            | operators::EQUALS
            | operators::NOT_EQUALS
            | operators::IN
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS => {
                let items = if self.light.contains(&id) { 0 } else { self.sizes.longest };
                self.sizes.bytes / BYTES_PER_STEP + items
            }
            "contains" | "startsWith" | "endsWith" | "string" | "bytes" | "size" => {
                self.sizes.bytes / BYTES_PER_STEP
            }
            _ => 0,
        };
        arguments.saturating_add(itself)
    }

    /// How often something is gone through.
    fn length(&self, range: &IdedExpr) -> u64 {
        match &range.expr {
            Expr::Ident(name) if !self.inner.contains(name) => {
                (self.length_of)(name).unwrap_or(self.sizes.longest)
            }
            Expr::List(list) => list.elements.len() as u64,
            Expr::Map(map) => map.entries.len() as u64,
            Expr::Comprehension(made) if matches!(made.accu_init.expr, Expr::List(_)) => {
                self.length(&made.iter_range)
            }
            Expr::Call(call) if call.func_name == operators::ADD => {
                call.args.iter().fold(0, |sum: u64, part| sum.saturating_add(self.length(part)))
            }
            Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
                call.args.iter().skip(1).map(|part| self.length(part)).max().unwrap_or(0)
            }
            // Something within a literal is no longer than an expression can be.
            _ => self.sizes.longest.max(super::EXPRESSION_BYTES_MAX as u64 / 2),
        }
    }
}
