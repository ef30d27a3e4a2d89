//! The form of the request: what OpenFGA's generated validator refuses before its server looks at the model.

use super::super::problem::WireError;
use super::super::tree::{Expression, ExpressionKind, Tree, TypeDefinition, TypeRestrictionShape};
use crate::tuple::{RELATION_CHARS_MAX, TYPE_CHARS_MAX};

const VALIDATION: &str = "validation_error";
const TYPE_PATTERN: &str = r"^[^:#@\\s]{1,254}$";
const NAME_PATTERN: &str = r"^[^:#@\\s]{1,50}$";

/// Longest relation within a rewrite, in bytes.
const REWRITE_RELATION_BYTES_MAX: usize = 50;

pub(super) fn check(tree: &Tree) -> Result<(), WireError> {
    if tree.types.is_empty() {
        let message =
            "invalid WriteAuthorizationModelRequest.TypeDefinitions: value must contain at least 1 item(s)";
        return Err(WireError { code: "type_definitions_too_few_items", message: message.to_string() });
    }
    tree.types.iter().try_for_each(type_definition)?;
    if !["1.0", "1.1", "1.2"].contains(&&*tree.header.version.text) {
        let message =
            "invalid WriteAuthorizationModelRequest.SchemaVersion: value must be in list [1.0 1.1 1.2]";
        return Err(WireError { code: VALIDATION, message: message.to_string() });
    }
    Ok(())
}

fn type_definition(definition: &TypeDefinition) -> Result<(), WireError> {
    if !matches(&definition.name.text, TYPE_CHARS_MAX) {
        return Err(pattern("type_invalid_pattern", "TypeDefinition.Type", TYPE_PATTERN));
    }
    let mut relations: Vec<_> = definition.relations.iter().collect();
    relations.sort_by_key(|relation| &relation.name.text);
    for relation in &relations {
        let name = &relation.name.text;
        if !matches(name, RELATION_CHARS_MAX) {
            let field = format!("TypeDefinition.Relations[{name}]");
            return Err(pattern("relations_invalid_pattern", &field, NAME_PATTERN));
        }
        rewrite(&relation.expression)?;
    }
    for restriction in relations.iter().flat_map(|relation| &relation.restrictions) {
        if !matches(&restriction.subject_type.text, TYPE_CHARS_MAX) {
            return Err(pattern("type_invalid_pattern", "RelationReference.Type", TYPE_PATTERN));
        }
        if let TypeRestrictionShape::Userset(relation) = &restriction.shape
            && !matches(&relation.text, RELATION_CHARS_MAX)
        {
            return Err(pattern(VALIDATION, "RelationReference.Relation", NAME_PATTERN));
        }
        if let Some(condition) = &restriction.condition
            && !matches(&condition.text, RELATION_CHARS_MAX)
        {
            return Err(pattern(VALIDATION, "RelationReference.Condition", NAME_PATTERN));
        }
    }
    Ok(())
}

fn rewrite(expression: &Expression) -> Result<(), WireError> {
    match &expression.kind {
        ExpressionKind::Computed(name) => relation(&name.text),
        ExpressionKind::Arrow { target, tupleset } => {
            relation(&tupleset.text).and_then(|()| relation(&target.text))
        }
        _ => expression.operands().into_iter().try_for_each(rewrite),
    }
}

fn relation(name: &str) -> Result<(), WireError> {
    if name.len() <= REWRITE_RELATION_BYTES_MAX {
        return Ok(());
    }
    let message = "invalid ObjectRelation.Relation: value length must be at most 50 bytes".to_string();
    Err(WireError { code: "relation_too_long", message })
}

fn pattern(code: &'static str, field: &str, pattern: &str) -> WireError {
    WireError { code, message: format!("invalid {field}: value does not match regex pattern \"{pattern}\"") }
}

/// The two patterns differ only in length.
fn matches(name: &str, chars_max: usize) -> bool {
    let forbidden = |c: char| matches!(c, ':' | '#' | '@') || c.is_ascii_whitespace();
    !name.is_empty() && !name.contains(forbidden) && name.chars().count() <= chars_max
}
