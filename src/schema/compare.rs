//! Two schemas beside each other: what was added, removed, changed.
//!
//! It is about what they say, not how: comments, layout and the order of definitions, allowed subjects, parameters and operands
//! of `or` and `and` mean nothing.

use std::collections::BTreeMap;
use std::fmt;

use super::print::{condition_head, definition};
use super::tree::{
    ConditionDefinition, Expression, ExpressionKind, RelationDefinition, Tree, TypeDefinition,
    TypeRestriction,
};

/// Something that two schemas do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: Defined,
    /// Its definition in the old schema; none: the old schema does not have it.
    pub old: Option<String>,
    /// Its definition in the new schema; none: the new schema does not have it.
    pub new: Option<String>,
}

/// Something that a schema defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defined {
    /// A type; its relations are by themselves.
    Type(Box<str>),
    /// A relation of a type.
    Relation(Box<str>, Box<str>),
    /// A condition.
    Condition(Box<str>),
}

/// What has become of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// Only the new schema has it.
    Added,
    /// Only the old schema has it.
    Removed,
    /// Both have it, defined otherwise.
    Changed,
}

impl Difference {
    /// What has become of it.
    pub fn kind(&self) -> DifferenceKind {
        match (&self.old, &self.new) {
            (None, _) => DifferenceKind::Added,
            (Some(_), None) => DifferenceKind::Removed,
            (Some(_), Some(_)) => DifferenceKind::Changed,
        }
    }
}

impl DifferenceKind {
    /// `added`, `removed` or `changed`.
    pub fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::Added => "added",
            DifferenceKind::Removed => "removed",
            DifferenceKind::Changed => "changed",
        }
    }
}

impl Defined {
    /// `type`, `relation` or `condition`.
    pub fn kind(&self) -> &'static str {
        match self {
            Defined::Type(_) => "type",
            Defined::Relation(..) => "relation",
            Defined::Condition(_) => "condition",
        }
    }
}

impl fmt::Display for Defined {
    /// The name: `doc`, `doc#viewer`, `in_hours`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defined::Type(name) | Defined::Condition(name) => f.write_str(name),
            Defined::Relation(object_type, name) => write!(f, "{object_type}#{name}"),
        }
    }
}

/// What two schemas do not have alike: types with their relations by name, then conditions.
///
/// ```
/// use stonetown::schema::{Defined, compare, read_schema};
///
/// let old = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define viewer: [user]\n";
/// let (old_tree, _) = read_schema("old.fga", old)?;
/// let (new_tree, _) = read_schema("new.fga", &old.replace("[user]", "[user, user:*]"))?;
/// let found = compare(&old_tree, &new_tree);
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].what, Defined::Relation("doc".into(), "viewer".into()));
/// assert_eq!(found[0].new.as_deref(), Some("define viewer: [user, user:*]"));
/// # Ok::<(), stonetown::schema::Problems>(())
/// ```
pub fn compare(old: &Tree, new: &Tree) -> Vec<Difference> {
    let (old, mut new) = (definitions(old), definitions(new));
    let mut found = Vec::new();
    for (what, before) in old {
        let after = new.remove(&what);
        if after.as_ref().is_none_or(|after| after.meaning != before.meaning) {
            found.push(Difference { what, old: Some(before.text), new: after.map(|after| after.text) });
        }
    }
    found.extend(new.into_iter().map(|(what, after)| Difference { what, old: None, new: Some(after.text) }));
    found.sort_by(|one, other| place(&one.what).cmp(&place(&other.what)));
    found
}

/// A type stands before its relations, conditions behind all types.
fn place(what: &Defined) -> (bool, &str, &str) {
    match what {
        Defined::Type(name) => (false, name, ""),
        Defined::Relation(object_type, name) => (false, object_type, name),
        Defined::Condition(name) => (true, name, ""),
    }
}

/// A definition as it is shown, and in a form that is the same for all that mean the same.
struct Definition {
    text: String,
    meaning: String,
}

fn definitions(tree: &Tree) -> BTreeMap<Defined, Definition> {
    let mut found = BTreeMap::new();
    for TypeDefinition { name, relations, .. } in &tree.types {
        let text = format!("type {}", name.text);
        found.insert(Defined::Type(name.text.clone()), Definition { meaning: text.clone(), text });
        for relation in relations {
            let what = Defined::Relation(name.text.clone(), relation.name.text.clone());
            let meaning = meaning(relation, &relation.expression);
            found.insert(what, Definition { text: relation_text(relation), meaning });
        }
    }
    for condition in &tree.conditions {
        let (text, meaning) = condition_texts(condition);
        found.insert(Defined::Condition(condition.name.text.clone()), Definition { text, meaning });
    }
    found
}

/// As the language has it; where it cannot say it, as what it means.
fn relation_text(relation: &RelationDefinition) -> String {
    let bare = RelationDefinition {
        restrictions: relation.restrictions.iter().map(without_comments).collect(),
        restrictions_tail: Vec::new(),
        ..relation.clone()
    };
    let name = &relation.name.text;
    definition(&bare).unwrap_or_else(|| format!("define {name}: {}", meaning(relation, &relation.expression)))
}

fn without_comments(restriction: &TypeRestriction) -> TypeRestriction {
    let TypeRestriction { at, subject_type, shape, condition, .. } = restriction.clone();
    TypeRestriction::new(at, subject_type, shape, condition)
}

fn meaning(relation: &RelationDefinition, expression: &Expression) -> String {
    let sorted = |operands: &[Expression], operator: &str| {
        let mut texts: Vec<String> = operands.iter().map(|operand| meaning(relation, operand)).collect();
        texts.sort();
        texts.dedup();
        format!("({})", texts.join(operator))
    };
    match &expression.kind {
        ExpressionKind::Missing => "nobody".to_owned(),
        ExpressionKind::Direct => {
            let mut texts: Vec<String> = relation.restrictions.iter().map(TypeRestriction::text).collect();
            texts.sort();
            format!("[{}]", texts.join(", "))
        }
        ExpressionKind::Computed(name) => name.text.to_string(),
        ExpressionKind::Arrow { target, tupleset } => format!("{} from {}", target.text, tupleset.text),
        ExpressionKind::Union(operands) => sorted(operands, " or "),
        ExpressionKind::Intersection(operands) => sorted(operands, " and "),
        ExpressionKind::Exclusion(base, subtract) => {
            format!("({} but not {})", meaning(relation, base), meaning(relation, subtract))
        }
    }
}

/// A condition as it is shown, and what it means.
fn condition_texts(condition: &ConditionDefinition) -> (String, String) {
    let expression = condition.expression.trim();
    let head = |parameters: Vec<String>| condition_head(&condition.name.text, &parameters);
    let parameters: Vec<String> = condition.parameters.iter().map(super::print::parameter).collect();
    let mut sorted = parameters.clone();
    sorted.sort();
    (format!("{} {{ {expression} }}", head(parameters)), format!("{} {expression}", head(sorted)))
}
