//! What further facts are called, seen from the object asked about.

use super::rows::{Row, join};
use crate::schema::{RelationIndex, Restriction, RestrictionShape, Schema};
use crate::tuple::{Object, ObjectRef, Subject, Tuple};

/// An object that only the matrix knows. Ids that begin so are hardly anybody's.
pub(super) fn fresh(type_name: &str, id: &str) -> Object {
    ObjectRef::from_checked(type_name, id).to_owned()
}

/// Whether given tuples say something of objects of a type.
pub(super) fn is_given(given: &[Tuple], type_name: &str) -> bool {
    given.iter().any(|tuple| tuple.key.object.object_type() == type_name)
}

/// What tells the subjects of a relation apart: nothing where it can be but one.
pub(super) fn suffix(schema: &Schema, relation: RelationIndex, restriction: &Restriction) -> String {
    let type_name = &schema.type_at(restriction.subject_type).name;
    let of_shape = |it: &&Restriction| it.shape == restriction.shape;
    let others = schema.relation_at(relation).restrictions.iter().filter(of_shape);
    let is_only = others.clone().all(|it| it.subject_type == restriction.subject_type);
    let mut text = match restriction.shape {
        RestrictionShape::Object if is_only => String::new(),
        RestrictionShape::Object => format!("({type_name})"),
        RestrictionShape::Wildcard if is_only => ":*".to_owned(),
        RestrictionShape::Wildcard => format!("({type_name}:*)"),
        RestrictionShape::Userset(asked) => format!("({type_name}#{})", schema.relation_at(asked).name),
    };
    if let Some(condition) = restriction.condition {
        text.push_str(&format!(" with {}", schema.condition_at(condition).name));
    }
    text
}

/// The names of objects in a row and a set of further facts.
pub(super) struct Names<'n> {
    schema: &'n Schema,
    subject: &'n Object,
    known: Vec<(Object, String)>,
}

impl<'n> Names<'n> {
    /// Those of a row, and of the objects that the facts lead to.
    pub(super) fn new(schema: &'n Schema, row: &'n Row, facts: &[Tuple]) -> Names<'n> {
        let places = row.places.iter().chain(&row.group);
        let mut known: Vec<_> = places.map(|place| (place.object.clone(), place.name.clone())).collect();
        if row.is_link {
            known.push((row.subject.clone(), row.leaf_name.clone()));
        }
        let mut names = Names { schema, subject: &row.subject, known };
        // A fact may come before the link that leads to its object.
        for _ in facts {
            facts.iter().for_each(|fact| names.follow(fact));
        }
        names
    }

    fn follow(&mut self, fact: &Tuple) {
        let Some(to) = linked(fact).filter(|to| is_further(to)) else { return };
        if self.name(to).is_some() {
            return;
        }
        let Some(from) = self.name(&fact.key.object) else { return };
        let step = match &fact.key.subject {
            Subject::Userset(_, asked) => format!("{}({}#{asked})", fact.key.relation, to.object_type()),
            Subject::Object(_) | Subject::Wildcard(_) => fact.key.relation.to_string(),
        };
        let mut name = join(from, &step);
        let plain = name.clone();
        for number in 2.. {
            if self.known.iter().all(|(_, known)| *known != name) {
                break;
            }
            name = format!("{plain}({number})");
        }
        self.known.push((to.clone(), name));
    }

    fn name(&self, object: &Object) -> Option<&str> {
        self.known.iter().find(|(known, _)| known == object).map(|(_, name)| &**name)
    }

    /// All facts of a set; a link that another fact's name goes through is not said by itself.
    pub(super) fn all(&self, facts: &[Tuple]) -> String {
        let is_implied = |fact: &Tuple| {
            linked(fact)
                .filter(|to| is_further(to))
                .is_some_and(|to| facts.iter().any(|other| other != fact && other.key.object == *to))
        };
        let said = facts.iter().filter(|fact| !is_implied(fact));
        said.map(|fact| self.one(fact)).collect::<Vec<_>>().join(", ")
    }

    /// One fact.
    pub(super) fn one(&self, fact: &Tuple) -> String {
        let key = &fact.key;
        let path = self.name(&key.object).map_or_else(|| key.object.to_string(), ToOwned::to_owned);
        let fact_name = join(&path, key.relation.as_str());
        let called = |object: &Object| match self.name(object) {
            Some("") => object.object_type().to_owned(),
            Some(name) if !is_further(object) => name.to_owned(),
            _ if is_further(object) => object.object_type().to_owned(),
            _ => object.to_string(),
        };
        match &key.subject {
            Subject::Object(object) if object == self.subject => fact_name,
            Subject::Object(object) if is_further(object) => fact_name,
            Subject::Object(object) => format!("{fact_name}={}", called(object)),
            Subject::Wildcard(_) if self.is_only_for_everybody(fact) => fact_name,
            Subject::Wildcard(_) => format!("{fact_name}:*"),
            Subject::Userset(object, asked) => format!("{fact_name}({}#{asked})", called(object)),
        }
    }

    /// Whether nobody can be named where everybody is: then the fact is a flag.
    fn is_only_for_everybody(&self, fact: &Tuple) -> bool {
        let schema = self.schema;
        let relation = schema
            .type_named(fact.key.object.object_type())
            .and_then(|of| schema.relation_named(of, fact.key.relation.as_str()));
        relation.is_some_and(|relation| {
            let mut restrictions = schema.relation_at(relation).restrictions.iter();
            restrictions.all(|it| it.shape == RestrictionShape::Wildcard)
        })
    }
}

/// The object that a fact leads to, if it does not name a person.
fn linked(fact: &Tuple) -> Option<&Object> {
    match &fact.key.subject {
        Subject::Object(object) | Subject::Userset(object, _) => Some(object),
        Subject::Wildcard(_) => None,
    }
}

/// Whether an object came in with further facts.
pub(super) fn is_further(object: &Object) -> bool {
    object.id().starts_with("_f")
}
