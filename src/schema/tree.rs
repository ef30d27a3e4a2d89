//! The schema as it was written: every node with its place, comments and blank lines kept.
//!
//! A tree can say all that the language can, and the few things that only its JSON form can (a direct assignment
//! anywhere in a rewrite, parameters of any type). It is a schema, or one file of a modular schema. Nothing in it has been looked up: names may lead
//! nowhere until [`Schema::resolve`](super::Schema::resolve) has been asked.

use std::sync::Arc;

use super::source::{At, Source};

/// A whole schema file, a file of a modular schema, or a modular schema with all of its files.
///
/// Two trees are equal when they say the same with the same comments in the same layout, wherever it stood.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Where it was read from.
    pub source: Arc<Source>,
    /// `model` and `schema 1.1`, or `module core`.
    pub header: Header,
    /// The types, in the order written.
    pub types: Vec<TypeDefinition>,
    /// The conditions, in the order written.
    pub conditions: Vec<ConditionDefinition>,
    /// Comments after everything else.
    pub tail: Vec<Comment>,
}

/// The two lines that begin a schema, or the one that begins a file of a modular schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name in `module core`, in a file of a modular schema; none: it is a whole schema.
    pub module: Option<Name>,
    /// The version of the language: `1.1` or `1.2`.
    pub version: Name,
    /// Around `model`, or `module`.
    pub model_trivia: Trivia,
    /// Around `schema`.
    pub schema_trivia: Trivia,
    /// Indented comments below.
    pub tail: Vec<Comment>,
}

/// A name, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As written.
    pub text: Box<str>,
    /// Where.
    pub at: At,
}

/// `type document`, and its relations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeDefinition {
    /// Whether it is `extend type document`: the relations are for a type that another module defines.
    pub extends: bool,
    /// The name of the type.
    pub name: Name,
    /// Its relations: as written; those of a schema that came as JSON by name.
    pub relations: Vec<RelationDefinition>,
    /// Around `type`.
    pub trivia: Trivia,
    /// Around `relations`.
    pub relations_trivia: Trivia,
    /// Indented comments below.
    pub tail: Vec<Comment>,
    /// The metadata of the JSON form; none: it has none.
    pub metadata: Option<Metadata>,
}

/// `define viewer: [user] or editor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationDefinition {
    /// The name of the relation.
    pub name: Name,
    /// How its subjects are computed.
    pub expression: Expression,
    /// What may be written on it, as listed by [`ExpressionKind::Direct`].
    pub restrictions: Vec<TypeRestriction>,
    /// Comments before the `]`.
    pub restrictions_tail: Vec<String>,
    /// Around the definition.
    pub trivia: Trivia,
    /// The metadata of the JSON form; none: it has none.
    pub metadata: Option<Metadata>,
    /// Whether something in it could not be read, and has been reported.
    pub(super) broken: bool,
}

/// How the subjects of a relation are computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// Where.
    pub at: At,
    /// What.
    pub kind: ExpressionKind,
}

/// The forms of an [`Expression`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpressionKind {
    /// Nothing is there, or nothing that could be read.
    Missing,
    /// `[user, group#member]`: the list is in [`RelationDefinition::restrictions`].
    Direct,
    /// `editor`.
    Computed(Name),
    /// `viewer from parent`.
    Arrow {
        /// The relation asked on the parents.
        target: Name,
        /// The relation that leads to them.
        tupleset: Name,
    },
    /// `a or b`.
    Union(Vec<Expression>),
    /// `a and b`.
    Intersection(Vec<Expression>),
    /// `a but not b`.
    Exclusion(Box<Expression>, Box<Expression>),
}

/// A form of subject that may be written on a relation: `user`, `user:*`, `group#member`, each `with condition`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeRestriction {
    /// Where.
    pub at: At,
    /// The type of the subject.
    pub subject_type: Name,
    /// Its shape.
    pub shape: TypeRestrictionShape,
    /// The condition that tuples have to carry.
    pub condition: Option<Name>,
    /// Comments on the lines before it.
    pub comments: Vec<String>,
    /// The comment at the end of its line.
    pub trailing: Option<String>,
}

/// The shape of an allowed subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeRestrictionShape {
    /// `user`.
    Object,
    /// `user:*`.
    Wildcard,
    /// `group#member`.
    Userset(Name),
}

/// `condition in_office(ip: ipaddress) { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionDefinition {
    /// The name of the condition.
    pub name: Name,
    /// The key that it stands under in the JSON form, when that is not its name.
    pub key: Option<Name>,
    /// Its parameters: as written; those of a schema that came as JSON by name.
    pub parameters: Vec<Parameter>,
    /// The expression, as written, without comments.
    pub expression: Box<str>,
    /// Where the expression is.
    pub expression_at: At,
    /// The comments between its braces.
    pub body_comments: BodyComments,
    /// Around the first line; the trailing comment is the one after `{`.
    pub trivia: Trivia,
    /// The comment after `}`.
    pub closing_comment: Option<String>,
    /// The metadata of the JSON form; none: it has none.
    pub metadata: Option<Metadata>,
}

/// The comments between the braces of a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodyComments {
    /// On the lines before the expression.
    pub before: Vec<String>,
    /// On a line of the expression: its number from 0, the comment.
    pub on_lines: Vec<(usize, String)>,
    /// On the lines after the expression.
    pub after: Vec<String>,
}

/// `ip: ipaddress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name of the parameter.
    pub name: Name,
    /// Its type.
    pub kind: ParameterType,
}

/// The type of a parameter: `string`, `list<string>`; in JSON also `any` and deeper nesting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterType {
    /// The type, or the container.
    pub name: ParameterTypeName,
    /// What a container holds.
    pub generics: Vec<ParameterType>,
}

/// The names of parameter types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum ParameterTypeName {
    Any,
    Bool,
    String,
    Int,
    Uint,
    Double,
    Duration,
    Timestamp,
    Map,
    List,
    Ipaddress,
}

/// Which module a definition came from, in the JSON form of a modular schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The module; empty when there is none.
    pub module: Box<str>,
    /// The file, when one is given.
    pub file: Option<Box<str>>,
}

/// The comments and blank lines around a line of the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trivia {
    /// The comments on the lines before it.
    pub comments: Vec<Comment>,
    /// Whether a blank line stands right before it, after those comments.
    pub blank_before: bool,
    /// The comment at its end.
    pub trailing: Option<String>,
}

/// A comment on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// From the `#` to the end of the line.
    pub text: String,
    /// Whether a blank line stands before it.
    pub blank_before: bool,
}

impl PartialEq for Tree {
    fn eq(&self, other: &Tree) -> bool {
        self.header == other.header
            && self.types == other.types
            && self.conditions == other.conditions
            && self.tail == other.tail
    }
}

impl Eq for Tree {}

impl Tree {
    /// A tree without types, to build on.
    pub fn empty(version: &str) -> Tree {
        Tree {
            source: Arc::default(),
            header: Header {
                module: None,
                version: Name::made(version),
                model_trivia: Trivia::default(),
                schema_trivia: Trivia::default(),
                tail: Vec::new(),
            },
            types: Vec::new(),
            conditions: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// The same tree under another name for messages; for one that came as JSON, which carries none.
    pub fn with_source_name(mut self, name: &str) -> Tree {
        self.source = Arc::new(Source::new(name, self.source.text()));
        self
    }
}

impl Name {
    /// A name at a place.
    pub fn new(text: &str, at: At) -> Name {
        Name { text: text.into(), at }
    }

    /// A name that stands nowhere.
    pub fn made(text: &str) -> Name {
        Name::new(text, At::nowhere())
    }
}

impl TypeDefinition {
    /// A type without comments.
    pub fn new(name: Name, relations: Vec<RelationDefinition>) -> TypeDefinition {
        let metadata = (!relations.is_empty()).then(Metadata::default);
        TypeDefinition {
            extends: false,
            name,
            relations,
            trivia: Trivia { blank_before: true, ..Trivia::default() },
            relations_trivia: Trivia::default(),
            tail: Vec::new(),
            metadata,
        }
    }
}

impl RelationDefinition {
    /// A relation without comments.
    pub fn new(name: Name, expression: Expression, restrictions: Vec<TypeRestriction>) -> RelationDefinition {
        RelationDefinition {
            name,
            expression,
            restrictions,
            restrictions_tail: Vec::new(),
            trivia: Trivia::default(),
            metadata: Some(Metadata::default()),
            broken: false,
        }
    }

    /// From its name to the end of its definition.
    pub fn at(&self) -> At {
        self.name.at.to(&self.expression.at)
    }
}

impl Expression {
    /// An expression at a place.
    pub fn new(kind: ExpressionKind, at: At) -> Expression {
        Expression { at, kind }
    }

    /// An expression that stands nowhere.
    pub fn made(kind: ExpressionKind) -> Expression {
        Expression::new(kind, At::nowhere())
    }

    /// The operands of an operator, in order; none for anything else.
    pub fn operands(&self) -> Vec<&Expression> {
        match &self.kind {
            ExpressionKind::Union(operands) | ExpressionKind::Intersection(operands) => {
                operands.iter().collect()
            }
            ExpressionKind::Exclusion(base, subtract) => vec![base, subtract],
            _ => Vec::new(),
        }
    }

    /// This expression and all below it, from left to right.
    pub fn walk<'t>(&'t self, visit: &mut dyn FnMut(&'t Expression)) {
        visit(self);
        for operand in self.operands() {
            operand.walk(visit);
        }
    }

    /// Whether it allows tuples to be written on the relation itself.
    pub fn has_direct(&self) -> bool {
        let mut found = false;
        self.walk(&mut |expression| found |= expression.kind == ExpressionKind::Direct);
        found
    }
}

impl TypeRestriction {
    /// A restriction without comments.
    pub fn new(
        at: At,
        subject_type: Name,
        shape: TypeRestrictionShape,
        condition: Option<Name>,
    ) -> TypeRestriction {
        TypeRestriction { at, subject_type, shape, condition, comments: Vec::new(), trailing: None }
    }

    /// As written in the schema, without comments.
    pub fn text(&self) -> String {
        let name = &self.subject_type.text;
        let mut text = match &self.shape {
            TypeRestrictionShape::Object => name.to_string(),
            TypeRestrictionShape::Wildcard => format!("{name}:*"),
            TypeRestrictionShape::Userset(relation) => format!("{name}#{}", relation.text),
        };
        if let Some(condition) = &self.condition {
            text.push_str(" with ");
            text.push_str(&condition.text);
        }
        text
    }
}

impl ConditionDefinition {
    /// A condition without comments.
    pub fn new(name: Name, parameters: Vec<Parameter>, expression: &str, at: At) -> ConditionDefinition {
        ConditionDefinition {
            name,
            key: None,
            parameters,
            expression: expression.into(),
            expression_at: at,
            body_comments: BodyComments::default(),
            trivia: Trivia { blank_before: true, ..Trivia::default() },
            closing_comment: None,
            metadata: None,
        }
    }
}

impl ParameterTypeName {
    /// Every type, in the order of OpenFGA's numbers for them, which begin at 1.
    pub const ALL: [ParameterTypeName; 11] = [
        ParameterTypeName::Any,
        ParameterTypeName::Bool,
        ParameterTypeName::String,
        ParameterTypeName::Int,
        ParameterTypeName::Uint,
        ParameterTypeName::Double,
        ParameterTypeName::Duration,
        ParameterTypeName::Timestamp,
        ParameterTypeName::Map,
        ParameterTypeName::List,
        ParameterTypeName::Ipaddress,
    ];

    /// As written in a schema.
    pub fn as_str(self) -> &'static str {
        match self {
            ParameterTypeName::Any => "any",
            ParameterTypeName::Bool => "bool",
            ParameterTypeName::String => "string",
            ParameterTypeName::Int => "int",
            ParameterTypeName::Uint => "uint",
            ParameterTypeName::Double => "double",
            ParameterTypeName::Duration => "duration",
            ParameterTypeName::Timestamp => "timestamp",
            ParameterTypeName::Map => "map",
            ParameterTypeName::List => "list",
            ParameterTypeName::Ipaddress => "ipaddress",
        }
    }

    /// Whether it holds values of another type.
    pub fn is_container(self) -> bool {
        matches!(self, ParameterTypeName::Map | ParameterTypeName::List)
    }
}
