//! What OpenFGA's server would answer for a schema: the first mistake in its order of looking, in its words.
//!
//! Our own rules report everything at once. Clients of the HTTP API know OpenFGA's one message, so a refused schema
//! is looked at a second time, as OpenFGA does it: the form of the request, the limits, then type by type and
//! relation by relation in sorted order. Its order shows: a relation is refused for a mistake in another one that
//! its walk meets first.

mod request;
mod walk;

use std::collections::HashSet;

use super::expressions;
use super::index::Index;
use super::limits::Limits;
use super::problem::WireError;
use super::rules::VERSIONS;
use super::tree::{
    Expression, ExpressionKind, RelationDefinition, Tree, TypeRestriction, TypeRestrictionShape,
};
use super::wire_size;
use walk::Walk;

const INVALID_MODEL: &str = "invalid_authorization_model";
const LIMIT: &str = "exceeded_entity_limit";

/// OpenFGA's answer for a schema that we refuse; none when it would not refuse it.
pub(super) fn first_error(tree: &Tree, index: &Index<'_>, limits: &Limits) -> Option<WireError> {
    if let Err(error) = request::check(tree) {
        return Some(error);
    }
    let most = limits.types_max;
    if tree.types.len() > most {
        let message = format!(
            "The number of type definitions in an authorization model exceeds the allowed limit of {most}"
        );
        return Some(WireError { code: LIMIT, message });
    }
    let (bytes, most) = (wire_size::of(tree), limits.model_bytes_max);
    if bytes > most {
        let message = format!("model exceeds size limit: {bytes} bytes vs {most} bytes");
        return Some(WireError { code: LIMIT, message });
    }
    let mut model = Model { tree, index, walk: Walk::new(index), tuplesets: tuplesets(index) };
    model.check().err().map(|message| WireError { code: INVALID_MODEL, message })
}

struct Model<'t, 'i> {
    tree: &'t Tree,
    index: &'i Index<'t>,
    walk: Walk<'t, 'i>,
    /// Relations that another one of their type has after `from`.
    tuplesets: HashSet<usize>,
}

impl<'t> Model<'t, '_> {
    fn check(&mut self) -> Result<(), String> {
        if !VERSIONS.contains(&&*self.tree.header.version.text) {
            return Err("invalid schema version".to_string());
        }
        if self.index.types.len() < self.tree.types.len() {
            return Err("an authorization model cannot contain duplicate types".to_string());
        }
        let mut sorted: Vec<usize> = (0..self.index.relations.len()).collect();
        let key = |relation: &usize| {
            let entry = &self.index.relations[*relation];
            (self.index.type_name(entry.object_type), &*entry.definition.name.text)
        };
        sorted.sort_by_key(key);
        self.names(&sorted)?;
        for relation in sorted {
            self.relation(relation)?;
        }
        self.conditions()
    }

    fn names(&self, sorted: &[usize]) -> Result<(), String> {
        let mut types: Vec<&str> = self.index.type_names().collect();
        types.sort_unstable();
        for name in types {
            match name {
                "" => return Err("the type name of a type definition cannot be an empty string".to_string()),
                "self" | "this" => {
                    return Err(format!("the definition of type '{name}' is invalid: {RESERVED}"));
                }
                _ => {}
            }
        }
        for relation in sorted {
            let (object_type, name) = self.names_of(*relation);
            match name {
                "" => {
                    return Err(format!(
                        "type '{object_type}' defines a relation with an empty string for a name"
                    ));
                }
                "self" | "this" => return Err(self.invalid(*relation, RESERVED)),
                _ => {}
            }
        }
        Ok(())
    }

    /// All rules of one relation.
    fn relation(&mut self, relation: usize) -> Result<(), String> {
        let definition = self.index.relations[relation].definition;
        self.rewrite(relation, &definition.expression)?;
        self.restrictions(relation, definition)?;
        match self.walk.entry_point(relation)? {
            walk::EntryPoint::Found => {}
            walk::EntryPoint::None => return Err(self.invalid(relation, "no entrypoints defined")),
            walk::EntryPoint::Loop => return Err(self.invalid(relation, "potential loop")),
        }
        if self.walk.meets_cycle(relation)? {
            return Err(self.invalid(relation, "an authorization model cannot contain a cycle"));
        }
        Ok(())
    }

    fn rewrite(&self, relation: usize, expression: &'t Expression) -> Result<(), String> {
        let (object_type, name) = self.names_of(relation);
        let type_index = self.index.relations[relation].object_type;
        match &expression.kind {
            ExpressionKind::Missing => Err(self.invalid(relation, INVALID_REWRITE)),
            ExpressionKind::Direct => Ok(()),
            ExpressionKind::Computed(target) if *target.text == *name => {
                Err(self.invalid(relation, INVALID_REWRITE))
            }
            ExpressionKind::Computed(target) => match self.index.relation_named(type_index, &target.text) {
                Some(_) => Ok(()),
                None => Err(format!("'{object_type}#{}' relation is undefined", target.text)),
            },
            ExpressionKind::Arrow { target, tupleset } => {
                let Some(found) = self.index.relation_named(type_index, &tupleset.text) else {
                    return Err(format!("'{object_type}#{}' relation is undefined", tupleset.text));
                };
                self.arrow(self.index.relations[found].definition, object_type, &target.text)
            }
            _ => expression.operands().into_iter().try_for_each(|operand| self.rewrite(relation, operand)),
        }
    }

    fn arrow(&self, tupleset: &RelationDefinition, object_type: &str, target: &str) -> Result<(), String> {
        if tupleset.expression.kind != ExpressionKind::Direct {
            let tupleset = &tupleset.name.text;
            return Err(format!(
                "the '{object_type}#{tupleset}' relation is referenced in at least one tupleset and thus must be a direct relation"
            ));
        }
        let mut types = self.index.subject_types(tupleset).into_iter();
        if types.any(|parent| self.index.relation_named(parent, target).is_some()) {
            return Ok(());
        }
        let listed: Vec<String> = tupleset.restrictions.iter().map(restriction_text).collect();
        Err(format!(
            "undefined relation: {target} does not appear as a relation in any of the directly related user types [{}]",
            listed.join(" ")
        ))
    }

    fn restrictions(&self, relation: usize, definition: &RelationDefinition) -> Result<(), String> {
        let (object_type, name) = self.names_of(relation);
        let assignable = definition.expression.has_direct();
        if assignable && definition.restrictions.is_empty() {
            return Err(format!(
                "the assignable relation '{name}' in object type '{object_type}' must contain at least one relation type"
            ));
        }
        if !assignable && !definition.restrictions.is_empty() {
            return Err(format!(
                "the non-assignable relation '{name}' in object type '{object_type}' should not contain a relation type"
            ));
        }
        for restriction in &definition.restrictions {
            if !self.restriction_holds(relation, restriction) {
                let mut shown = restriction.subject_type.text.to_string();
                if let TypeRestrictionShape::Userset(related) = &restriction.shape {
                    shown.push('#');
                    shown.push_str(&related.text);
                }
                return Err(format!(
                    "the relation type '{shown}' on '{name}' in object type '{object_type}' is not valid"
                ));
            }
            if let Some(condition) = &restriction.condition
                && self.index.condition_named(&condition.text).is_none()
            {
                return Err(format!("condition {} is undefined for relation {name}", condition.text));
            }
        }
        Ok(())
    }

    fn restriction_holds(&self, relation: usize, restriction: &TypeRestriction) -> bool {
        let Some(subject_type) = self.index.type_named(&restriction.subject_type.text) else { return false };
        match &restriction.shape {
            TypeRestrictionShape::Object => true,
            TypeRestrictionShape::Wildcard => !self.tuplesets.contains(&relation),
            TypeRestrictionShape::Userset(related) => {
                !self.tuplesets.contains(&relation)
                    && self.index.relation_named(subject_type, &related.text).is_some()
            }
        }
    }

    fn conditions(&self) -> Result<(), String> {
        match self
            .tree
            .conditions
            .iter()
            .find_map(|condition| Some((condition.key.as_ref()?, &condition.name)))
        {
            None => self.expressions(),
            Some((key, name)) => {
                Err(format!("condition key '{}' does not match condition name '{}'", key.text, name.text))
            }
        }
    }

    fn expressions(&self) -> Result<(), String> {
        for condition in &self.tree.conditions {
            let name = &condition.name.text;
            if let Some(mistake) =
                expressions::compile(condition).err().and_then(|all| all.into_iter().next())
            {
                let problem = mistake.message;
                return Err(format!("failed to compile expression on condition '{name}' - {problem}"));
            }
        }
        Ok(())
    }

    fn invalid(&self, relation: usize, cause: &str) -> String {
        let (object_type, name) = self.names_of(relation);
        format!("the definition of relation '{name}' in object type '{object_type}' is invalid: {cause}")
    }

    fn names_of(&self, relation: usize) -> (&'t str, &'t str) {
        let entry = &self.index.relations[relation];
        (self.index.type_name(entry.object_type), &entry.definition.name.text)
    }
}

fn tuplesets(index: &Index<'_>) -> HashSet<usize> {
    let mut found = HashSet::new();
    for entry in &index.relations {
        entry.definition.expression.walk(&mut |expression| {
            if let ExpressionKind::Arrow { tupleset, .. } = &expression.kind {
                found.extend(index.relation_named(entry.object_type, &tupleset.text));
            }
        });
    }
    found
}

const RESERVED: &str = "self and this are reserved keywords";
const INVALID_REWRITE: &str = "invalid userset rewrite definition";

/// A restriction as OpenFGA prints its message.
fn restriction_text(restriction: &TypeRestriction) -> String {
    let mut text = format!("type:{:?}", &*restriction.subject_type.text);
    match &restriction.shape {
        TypeRestrictionShape::Object => {}
        TypeRestrictionShape::Wildcard => text.push_str(" wildcard:{}"),
        TypeRestrictionShape::Userset(relation) => text.push_str(&format!(" relation:{:?}", &*relation.text)),
    }
    if let Some(condition) = &restriction.condition {
        text.push_str(&format!(" condition:{:?}", &*condition.text));
    }
    text
}
