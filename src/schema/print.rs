//! Tree to text, in the one canonical layout; comments and the writer's blank lines are kept.

use super::lex;
use super::parse::{self, words::NameKind};
use super::tree::{
    Comment, ConditionDefinition, Expression, ExpressionKind, Header, Name, Parameter, ParameterType,
    RelationDefinition, Tree, Trivia, TypeDefinition, TypeRestriction, TypeRestrictionShape,
};

/// Why a tree, which came as JSON or was made, cannot be written in the schema language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrintError {
    /// A name that only the JSON form can hold.
    #[error("the name `{0}` cannot be written in the schema language")]
    Name(String),
    /// A version of the language that cannot be written.
    #[error("the version `{0}` cannot be written in the schema language")]
    Version(String),
    /// A definition that assigns directly elsewhere than first, or more than once, or that is not complete.
    #[error("the definition of `{object_type}#{relation}` cannot be written in the schema language")]
    Definition {
        /// The type.
        object_type: String,
        /// The relation.
        relation: String,
    },
    /// A parameter of a type that only the JSON form can hold.
    #[error(
        "the type of the parameter `{parameter}` of the condition `{condition}` cannot be written in the schema language"
    )]
    Parameter {
        /// The condition.
        condition: String,
        /// The parameter.
        parameter: String,
    },
    /// An expression that would be read as something else: it has a ` #` or a `}` in it.
    #[error("the expression of the condition `{0}` cannot be written in the schema language")]
    Expression(String),
}

impl Tree {
    /// The schema in the schema language. Fails only for a tree that was not read from a text.
    pub fn print(&self) -> Result<String, PrintError> {
        let mut printer = Printer { out: String::new() };
        printer.header(&self.header)?;
        for definition in &self.types {
            printer.typedef(definition)?;
        }
        for condition in &self.conditions {
            printer.condition(condition)?;
        }
        printer.comments("", &self.tail);
        Ok(printer.out)
    }
}

struct Printer {
    out: String,
}

impl Printer {
    fn header(&mut self, header: &Header) -> Result<(), PrintError> {
        if let Some(module) = &header.module {
            let name = checked(NameKind::Module, module)?;
            self.line("", &header.model_trivia, &format!("module {name}"));
            self.comments("  ", &header.tail);
            return Ok(());
        }
        let version = &header.version.text;
        if !parse::is_version(version) {
            return Err(PrintError::Version(version.to_string()));
        }
        self.line("", &header.model_trivia, "model");
        self.line("  ", &header.schema_trivia, &format!("schema {version}"));
        self.comments("  ", &header.tail);
        Ok(())
    }

    fn typedef(&mut self, definition: &TypeDefinition) -> Result<(), PrintError> {
        let name = checked(NameKind::Type, &definition.name)?;
        let extend = if definition.extends { "extend " } else { "" };
        self.line("", &definition.trivia, &format!("{extend}type {name}"));
        if definition.relations.is_empty() {
            self.comments("  ", &definition.tail);
            return Ok(());
        }
        self.line("  ", &definition.relations_trivia, "relations");
        for relation in &definition.relations {
            let text = relation_text(name, relation)?;
            self.line("    ", &relation.trivia, &text);
        }
        self.comments("    ", &definition.tail);
        Ok(())
    }

    fn condition(&mut self, condition: &ConditionDefinition) -> Result<(), PrintError> {
        let name = checked(NameKind::Condition, &condition.name)?;
        if !can_be_body(&condition.expression) {
            return Err(PrintError::Expression(name.to_string()));
        }
        let mut parameters = Vec::new();
        for parameter in &condition.parameters {
            let parameter_name = checked(NameKind::Parameter, &parameter.name)?;
            let Some(kind) = parameter_type_text(&parameter.kind) else {
                return Err(PrintError::Parameter {
                    condition: name.to_string(),
                    parameter: parameter_name.to_string(),
                });
            };
            parameters.push(format!("{parameter_name}: {kind}"));
        }
        if parameters.is_empty() {
            return Err(PrintError::Expression(name.to_string()));
        }
        self.line("", &condition.trivia, &format!("{} {{", condition_head(name, &parameters)));
        self.body(condition);
        let closing = Trivia { trailing: condition.closing_comment.clone(), ..Trivia::default() };
        self.line("", &closing, "}");
        Ok(())
    }

    fn body(&mut self, condition: &ConditionDefinition) {
        let comments = &condition.body_comments;
        for comment in &comments.before {
            self.out.push_str(&format!("  {comment}\n"));
        }
        for (number, line) in condition.expression.trim().split('\n').enumerate() {
            let indent = if number == 0 { "  " } else { "" };
            let mut text = format!("{indent}{}", line.trim_end());
            if let Some((_, comment)) = comments.on_lines.iter().find(|(on, _)| *on == number) {
                text.push_str(if text.is_empty() { "  " } else { " " });
                text.push_str(comment);
            }
            self.out.push_str(&text);
            self.out.push('\n');
        }
        for comment in &comments.after {
            self.out.push_str(&format!("  {comment}\n"));
        }
    }

    /// A line of the schema with what surrounds it.
    fn line(&mut self, indent: &str, trivia: &Trivia, text: &str) {
        self.comments(indent, &trivia.comments);
        if trivia.blank_before {
            self.out.push('\n');
        }
        self.out.push_str(indent);
        self.out.push_str(text);
        if let Some(comment) = &trivia.trailing {
            self.out.push(' ');
            self.out.push_str(comment);
        }
        self.out.push('\n');
    }

    fn comments(&mut self, indent: &str, comments: &[Comment]) {
        for comment in comments {
            if comment.blank_before {
                self.out.push('\n');
            }
            self.out.push_str(indent);
            self.out.push_str(&comment.text);
            self.out.push('\n');
        }
    }
}

/// The definition of a relation; none: the language cannot say it.
pub(super) fn definition(relation: &RelationDefinition) -> Option<String> {
    relation_text("", relation).ok()
}

/// How the definition of a condition begins.
pub(super) fn condition_head(name: &str, parameters: &[String]) -> String {
    format!("condition {name}({})", parameters.join(", "))
}

/// A parameter of a condition, also one that only the JSON form can hold.
pub(super) fn parameter(parameter: &Parameter) -> String {
    fn kind(of: &ParameterType) -> String {
        let inner: Vec<String> = of.generics.iter().map(kind).collect();
        let name = of.name.as_str();
        if inner.is_empty() { name.to_owned() } else { format!("{name}<{}>", inner.join(", ")) }
    }
    format!("{}: {}", parameter.name.text, kind(&parameter.kind))
}

fn relation_text(object_type: &str, relation: &RelationDefinition) -> Result<String, PrintError> {
    let name = checked(NameKind::Relation, &relation.name)?;
    let mut writer = ExpressionWriter { relation, out: format!("define {name}: "), direct_written: 0 };
    let written = writer.expression(&relation.expression, Position { first: true, inner: false })?;
    let direct_listed = usize::from(!relation.restrictions.is_empty());
    if !written || writer.direct_written != direct_listed {
        let (object_type, relation) = (object_type.to_string(), name.to_string());
        return Err(PrintError::Definition { object_type, relation });
    }
    Ok(writer.out)
}

struct ExpressionWriter<'a> {
    relation: &'a RelationDefinition,
    out: String,
    direct_written: usize,
}

/// Where an expression is written: whether nothing stands before it but `(`, and whether within another.
#[derive(Clone, Copy)]
struct Position {
    first: bool,
    inner: bool,
}

impl ExpressionWriter<'_> {
    /// Writes an expression; false when the language cannot say it there.
    fn expression(&mut self, expression: &Expression, position: Position) -> Result<bool, PrintError> {
        let (operands, operator) = match &expression.kind {
            ExpressionKind::Missing => return Ok(false),
            ExpressionKind::Direct => return self.direct(position),
            ExpressionKind::Computed(name) => {
                self.out.push_str(checked(NameKind::Relation, name)?);
                return Ok(true);
            }
            ExpressionKind::Arrow { target, tupleset } => {
                let target = checked(NameKind::Relation, target)?;
                let tupleset = checked(NameKind::Relation, tupleset)?;
                self.out.push_str(&format!("{target} from {tupleset}"));
                return Ok(true);
            }
            ExpressionKind::Union(operands) => (direct_first(operands), " or "),
            ExpressionKind::Intersection(operands) => (direct_first(operands), " and "),
            ExpressionKind::Exclusion(base, subtract) => (vec![&**base, &**subtract], " but not "),
        };
        if operands.len() < 2 {
            return Ok(false);
        }
        if position.inner {
            self.out.push('(');
        }
        for (number, operand) in operands.into_iter().enumerate() {
            if number > 0 {
                self.out.push_str(operator);
            }
            let first = position.first && number == 0;
            if !self.expression(operand, Position { first, inner: true })? {
                return Ok(false);
            }
        }
        if position.inner {
            self.out.push(')');
        }
        Ok(true)
    }

    /// `[user, group#member]`; over several lines when there are comments in it.
    fn direct(&mut self, position: Position) -> Result<bool, PrintError> {
        let restrictions = &self.relation.restrictions;
        if !position.first || restrictions.is_empty() {
            return Ok(false);
        }
        self.direct_written += 1;
        for restriction in restrictions {
            check_restriction(restriction)?;
        }
        let tail = &self.relation.restrictions_tail;
        let has_comments = |restriction: &TypeRestriction| {
            !restriction.comments.is_empty() || restriction.trailing.is_some()
        };
        if tail.is_empty() && !restrictions.iter().any(has_comments) {
            let texts: Vec<String> = restrictions.iter().map(TypeRestriction::text).collect();
            self.out.push_str(&format!("[{}]", texts.join(", ")));
            return Ok(true);
        }
        self.out.push_str("[\n");
        for (number, restriction) in restrictions.iter().enumerate() {
            for comment in &restriction.comments {
                self.out.push_str(&format!("      {comment}\n"));
            }
            let comma = if number + 1 < restrictions.len() { "," } else { "" };
            let trailing = restriction.trailing.as_ref().map(|text| format!(" {text}")).unwrap_or_default();
            self.out.push_str(&format!("      {}{comma}{trailing}\n", restriction.text()));
        }
        for comment in tail {
            self.out.push_str(&format!("      {comment}\n"));
        }
        self.out.push_str("    ]");
        Ok(true)
    }
}

/// The language wants the direct assignment first; in a union or an intersection the order means nothing.
fn direct_first(operands: &[Expression]) -> Vec<&Expression> {
    let mut operands: Vec<&Expression> = operands.iter().collect();
    if let Some(at) = operands.iter().position(|operand| operand.kind == ExpressionKind::Direct) {
        let direct = operands.remove(at);
        operands.insert(0, direct);
    }
    operands
}

fn checked(kind: NameKind, name: &Name) -> Result<&str, PrintError> {
    match parse::words::check(kind, &name.text) {
        Ok(()) => Ok(&name.text),
        Err(_) => Err(PrintError::Name(name.text.to_string())),
    }
}

fn check_restriction(restriction: &TypeRestriction) -> Result<(), PrintError> {
    checked(NameKind::Type, &restriction.subject_type)?;
    if let TypeRestrictionShape::Userset(relation) = &restriction.shape {
        checked(NameKind::Relation, relation)?;
    }
    if let Some(condition) = &restriction.condition {
        checked(NameKind::Condition, condition)?;
    }
    Ok(())
}

fn parameter_type_text(kind: &ParameterType) -> Option<String> {
    let name = kind.name.as_str();
    let can_be_said = parse::words::is_parameter_type(name);
    match &kind.generics[..] {
        [] if can_be_said && !kind.name.is_container() => Some(name.to_string()),
        [inner] if kind.name.is_container() && !inner.name.is_container() => {
            Some(format!("{name}<{}>", parameter_type_text(inner)?))
        }
        _ => None,
    }
}

/// Whether an expression, written between braces, is read back as the same.
fn can_be_body(expression: &str) -> bool {
    let text = format!("{{\n  {}\n}}", expression.trim());
    let lexed = lex::lex(&text);
    let [body] = &lexed.bodies[..] else { return false };
    let comments = body.lines.iter().any(|line| line.comment.is_some());
    let end = lexed.tokens.iter().find(|token| token.kind == lex::Kind::BraceClose);
    !expression.trim().is_empty() && !comments && end.is_some_and(|end| end.span.end == text.len())
}
