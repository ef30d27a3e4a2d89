//! Which tuples a schema lets in.

use super::write::WriteRefusal;
use crate::schema::resolved::{RestrictionShape, Schema};
use crate::tuple::{SubjectRef, Tuple, TupleCondition, TupleRef};

/// Why a schema does not let a tuple in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The schema has no such type.
    #[error("type `{name}` is not in the schema{help}")]
    UnknownType {
        /// The type it does not have.
        name: String,
        /// What would be right.
        help: String,
    },
    /// The type has no such relation.
    #[error("relation `{relation}` is not defined on type `{object_type}`{help}")]
    UnknownRelation {
        /// The type.
        object_type: String,
        /// The relation it does not have.
        relation: String,
        /// What would be right.
        help: String,
    },
    /// Nobody can be written on the relation: it is computed from others.
    #[error("relation `{0}` is computed, nobody can be written on it directly")]
    NotAssignable(String),
    /// The relation does not take such a subject.
    #[error("`{subject}` is not allowed on `{relation}`, which takes {allowed}")]
    NotAllowed {
        /// The subject's kind: `user`, `group#member` or `user:*`.
        subject: String,
        /// `type#relation`.
        relation: String,
        /// What it takes.
        allowed: String,
    },
    /// The tuple lacks a condition.
    #[error("`{subject}` is allowed on `{relation}` only with a condition")]
    ConditionMissing {
        /// The subject's kind.
        subject: String,
        /// `type#relation`.
        relation: String,
    },
    /// The tuple has a condition that is not allowed here.
    #[error("condition `{condition}` is not allowed for `{subject}` on `{relation}`")]
    ConditionNotAllowed {
        /// The condition.
        condition: String,
        /// Whether the schema has one of this name.
        is_known: bool,
        /// The subject's kind.
        subject: String,
        /// `type#relation`.
        relation: String,
    },
    /// The values that the tuple gives to its condition do not fit.
    #[error("condition `{condition}`: {problem}")]
    ConditionContext {
        /// The condition.
        condition: String,
        /// What is wrong.
        problem: String,
    },
    /// The userset holds the relation on itself anyway.
    #[error("the tuple says of a userset that it is itself")]
    Implicit,
}

impl Rejection {
    /// The reason by name: the same whatever the tuple.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::UnknownType { .. } => "unknown_type",
            Rejection::UnknownRelation { .. } => "unknown_relation",
            Rejection::NotAssignable(_) => "not_assignable",
            Rejection::NotAllowed { .. } => "not_allowed",
            Rejection::ConditionMissing { .. } => "condition_missing",
            Rejection::ConditionNotAllowed { .. } => "condition_not_allowed",
            Rejection::ConditionContext { .. } => "condition_context",
            Rejection::Implicit => "implicit",
        }
    }

    pub(super) fn refused(tuple: &Tuple, reason: Rejection) -> WriteRefusal {
        WriteRefusal::Rejected { tuple: tuple.to_string(), reason }
    }
}

/// Whether a schema lets a tuple in.
///
/// # Errors
/// Why it does not.
pub fn admit(schema: &Schema, tuple: &Tuple) -> Result<(), Rejection> {
    admit_key(schema, tuple.key.as_ref(), tuple.condition.as_ref())
}

/// The same, of a tuple in parts; its expiry does not matter.
fn admit_key(
    schema: &Schema,
    key: TupleRef<'_>,
    condition: Option<&TupleCondition>,
) -> Result<(), Rejection> {
    let find_type = |name: &str| {
        schema.type_named(name).ok_or_else(|| Rejection::UnknownType {
            name: name.to_owned(),
            help: schema.instead_of_type(name),
        })
    };
    let find_relation = |object_type, name: &str| {
        schema.relation_named(object_type, name).ok_or_else(|| Rejection::UnknownRelation {
            object_type: schema.type_at(object_type).name.to_string(),
            relation: name.to_owned(),
            help: schema.instead_of_relation(object_type, name),
        })
    };
    let object_type = find_type(key.object.object_type())?;
    let relation = find_relation(object_type, key.relation)?;
    let text = || schema.relation_text(relation);
    let restrictions = &schema.relation_at(relation).restrictions;
    if restrictions.is_empty() {
        return Err(Rejection::NotAssignable(text()));
    }
    let subject_type = find_type(key.subject.subject_type())?;
    let shape = match key.subject {
        SubjectRef::Object(_) => RestrictionShape::Object,
        SubjectRef::Wildcard(_) => RestrictionShape::Wildcard,
        SubjectRef::Userset(_, name) => RestrictionShape::Userset(find_relation(subject_type, name)?),
    };
    // Worked out for messages only.
    let kind = || match (key.subject, shape) {
        (_, RestrictionShape::Userset(asked)) => schema.relation_text(asked),
        (SubjectRef::Wildcard(name), _) => format!("{name}:*"),
        (subject, _) => subject.subject_type().to_owned(),
    };
    let mut of_shape =
        restrictions.iter().filter(|it| it.subject_type == subject_type && it.shape == shape).peekable();
    if of_shape.peek().is_none() {
        let allowed: Vec<String> = restrictions.iter().map(|it| show(schema, it)).collect();
        return Err(Rejection::NotAllowed { subject: kind(), relation: text(), allowed: allowed.join(", ") });
    }
    let given = condition.map(TupleCondition::name);
    let fits = of_shape.any(|it| it.condition.map(|at| &*schema.condition_at(at).name) == given);
    match given {
        None if fits => Ok(()),
        Some(name) if fits => {
            let compiled = schema.condition_named(name).map(|at| &schema.condition_at(at).compiled);
            let context = condition.map(TupleCondition::context);
            compiled
                .zip(context)
                .map_or(Ok(()), |(compiled, context)| compiled.admit(context))
                .map_err(|problem| Rejection::ConditionContext { condition: name.to_owned(), problem })
        }
        None => Err(Rejection::ConditionMissing { subject: kind(), relation: text() }),
        Some(condition) => Err(Rejection::ConditionNotAllowed {
            condition: condition.to_owned(),
            is_known: schema.condition_named(condition).is_some(),
            subject: kind(),
            relation: text(),
        }),
    }
}

/// Whether a schema lets a tuple be stored: as [`admit`], and it has to say something.
///
/// # Errors
/// Why it does not.
pub fn admit_stored(schema: &Schema, tuple: &Tuple) -> Result<(), Rejection> {
    admit_stored_key(schema, tuple.key.as_ref(), tuple.condition.as_ref())
}

/// The same, of a tuple in parts; its expiry does not matter.
pub(super) fn admit_stored_key(
    schema: &Schema,
    key: TupleRef<'_>,
    condition: Option<&TupleCondition>,
) -> Result<(), Rejection> {
    admit_key(schema, key, condition)?;
    match key.subject {
        SubjectRef::Userset(object, relation) if object == key.object && relation == key.relation => {
            Err(Rejection::Implicit)
        }
        _ => Ok(()),
    }
}

fn show(schema: &Schema, restriction: &crate::schema::resolved::Restriction) -> String {
    let subject_type = &schema.type_at(restriction.subject_type).name;
    let mut text = match restriction.shape {
        RestrictionShape::Object => format!("`{subject_type}`"),
        RestrictionShape::Wildcard => format!("`{subject_type}:*`"),
        RestrictionShape::Userset(relation) => format!("`{}`", schema.relation_text(relation)),
    };
    if let Some(condition) = restriction.condition {
        text.push_str(&format!(" with `{}`", schema.condition_at(condition).name));
    }
    text
}
