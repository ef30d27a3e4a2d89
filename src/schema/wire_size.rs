//! How many bytes a schema takes in OpenFGA's stored form (protobuf): its limit on the size of a model is counted
//! in these.

use super::tree::{
    ConditionDefinition, Expression, ExpressionKind, Metadata, ParameterType, RelationDefinition, Tree,
    TypeDefinition, TypeRestriction, TypeRestrictionShape,
};

/// The length of a model id.
const ID_BYTES: usize = 26;

/// The size of the whole model, its id included.
pub(super) fn of(tree: &Tree) -> usize {
    let types: usize = tree.types.iter().map(|definition| message(type_size(definition))).sum();
    let conditions: usize =
        tree.conditions.iter().map(|condition| entry(&condition.name.text, condition_size(condition))).sum();
    message(ID_BYTES) + string(&tree.header.version.text) + types + conditions
}

/// A field that holds a message, or anything else with a length: one byte for its number, its length, itself.
fn message(size: usize) -> usize {
    1 + varint(size) + size
}

/// A field that holds a text; an empty one is left out.
fn string(text: &str) -> usize {
    if text.is_empty() { 0 } else { message(text.len()) }
}

/// An entry of a map.
fn entry(key: &str, value: usize) -> usize {
    message(message(key.len()) + message(value))
}

fn varint(value: usize) -> usize {
    let bits = (usize::BITS - value.leading_zeros()).max(1) as usize;
    bits.div_ceil(7)
}

fn type_size(definition: &TypeDefinition) -> usize {
    let relations: usize = definition
        .relations
        .iter()
        .map(|relation| entry(&relation.name.text, expression_size(&relation.expression)))
        .sum();
    let metadata = definition.metadata.as_ref().map_or(0, |metadata| {
        let relations: usize = definition.relations.iter().map(relation_metadata_size).sum();
        message(relations + metadata_size(metadata))
    });
    string(&definition.name.text) + relations + metadata
}

fn relation_metadata_size(relation: &RelationDefinition) -> usize {
    relation.metadata.as_ref().map_or(0, |metadata| {
        let restrictions: usize =
            relation.restrictions.iter().map(|restriction| message(restriction_size(restriction))).sum();
        entry(&relation.name.text, restrictions + metadata_size(metadata))
    })
}

fn metadata_size(metadata: &Metadata) -> usize {
    string(&metadata.module) + metadata.file.as_ref().map_or(0, |file| message(string(file)))
}

fn restriction_size(restriction: &TypeRestriction) -> usize {
    let shape = match &restriction.shape {
        TypeRestrictionShape::Object => 0,
        TypeRestrictionShape::Wildcard => message(0),
        TypeRestrictionShape::Userset(relation) => message(relation.text.len()),
    };
    let condition = restriction.condition.as_ref().map_or(0, |name| string(&name.text));
    string(&restriction.subject_type.text) + shape + condition
}

fn expression_size(expression: &Expression) -> usize {
    let operands =
        || expression.operands().into_iter().map(|operand| message(expression_size(operand))).sum();
    match &expression.kind {
        ExpressionKind::Missing => 0,
        ExpressionKind::Direct => message(0),
        ExpressionKind::Computed(name) => message(string(&name.text)),
        ExpressionKind::Arrow { target, tupleset } => {
            message(message(string(&tupleset.text)) + message(string(&target.text)))
        }
        ExpressionKind::Union(_) | ExpressionKind::Intersection(_) | ExpressionKind::Exclusion(..) => {
            message(operands())
        }
    }
}

fn condition_size(condition: &ConditionDefinition) -> usize {
    let parameters: usize = condition
        .parameters
        .iter()
        .map(|parameter| entry(&parameter.name.text, parameter_type_size(&parameter.kind)))
        .sum();
    let metadata = condition.metadata.as_ref().map_or(0, |metadata| message(metadata_size(metadata)));
    string(&condition.name.text) + string(&condition.expression) + parameters + metadata
}

fn parameter_type_size(kind: &ParameterType) -> usize {
    let generics: usize = kind.generics.iter().map(|inner| message(parameter_type_size(inner))).sum();
    // The number of the type is small: one byte for the field, one for it.
    2 + generics
}
