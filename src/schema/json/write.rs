//! Tree to JSON: what OpenFGA's API answers for a stored model, with every default written out.

use serde_json::{Map, Value, json};

use super::super::tree::{
    ConditionDefinition, Expression, ExpressionKind, Metadata, Name, ParameterType, RelationDefinition, Tree,
    TypeDefinition, TypeRestriction, TypeRestrictionShape,
};

impl Tree {
    /// The schema in OpenFGA's JSON form, as its API answers it; the caller adds the `id`.
    pub fn to_json(&self) -> Value {
        let types: Vec<Value> = self.types.iter().map(type_json).collect();
        let conditions = self.conditions.iter().map(|condition| {
            let name = condition.key.as_ref().unwrap_or(&condition.name);
            (key(name), condition_json(condition))
        });
        json!({
            "schema_version": &*self.header.version.text,
            "type_definitions": types,
            "conditions": Value::Object(conditions.collect()),
        })
    }
}

fn type_json(definition: &TypeDefinition) -> Value {
    let relations: Map<String, Value> = definition
        .relations
        .iter()
        .map(|relation| (key(&relation.name), expression_json(&relation.expression)))
        .collect();
    json!({
        "type": &*definition.name.text,
        "relations": relations,
        "metadata": definition.metadata.as_ref().map(|metadata| {
            let mut object = metadata_json(metadata);
            let relations: Map<String, Value> =
                definition.relations.iter().filter_map(relation_metadata_json).collect();
            object.insert("relations".to_string(), Value::Object(relations));
            object
        }),
    })
}

fn relation_metadata_json(relation: &RelationDefinition) -> Option<(String, Value)> {
    let mut object = metadata_json(relation.metadata.as_ref()?);
    let restrictions = relation.restrictions.iter().map(restriction_json).collect();
    object.insert("directly_related_user_types".to_string(), Value::Array(restrictions));
    Some((key(&relation.name), Value::Object(object)))
}

fn metadata_json(metadata: &Metadata) -> Map<String, Value> {
    let source_info = metadata.file.as_ref().map(|file| json!({"file": &**file}));
    let fields = [("module", json!(&*metadata.module)), ("source_info", json!(source_info))];
    fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

fn restriction_json(restriction: &TypeRestriction) -> Value {
    let condition = restriction.condition.as_ref().map_or("", |name| &*name.text);
    let mut object = json!({"type": &*restriction.subject_type.text, "condition": condition});
    match &restriction.shape {
        TypeRestrictionShape::Object => {}
        TypeRestrictionShape::Wildcard => object["wildcard"] = json!({}),
        TypeRestrictionShape::Userset(relation) => object["relation"] = json!(&*relation.text),
    }
    object
}

fn expression_json(expression: &Expression) -> Value {
    let children = |operands: &[Expression]| operands.iter().map(expression_json).collect::<Vec<Value>>();
    match &expression.kind {
        ExpressionKind::Missing => json!({}),
        ExpressionKind::Direct => json!({"this": {}}),
        ExpressionKind::Computed(name) => json!({"computedUserset": object_relation_json(name)}),
        ExpressionKind::Arrow { target, tupleset } => json!({"tupleToUserset": {
            "tupleset": object_relation_json(tupleset),
            "computedUserset": object_relation_json(target),
        }}),
        ExpressionKind::Union(operands) => json!({"union": {"child": children(operands)}}),
        ExpressionKind::Intersection(operands) => json!({"intersection": {"child": children(operands)}}),
        ExpressionKind::Exclusion(base, subtract) => json!({"difference": {
            "base": expression_json(base),
            "subtract": expression_json(subtract),
        }}),
    }
}

fn object_relation_json(name: &Name) -> Value {
    json!({"object": "", "relation": &*name.text})
}

fn condition_json(condition: &ConditionDefinition) -> Value {
    let parameters: Map<String, Value> = condition
        .parameters
        .iter()
        .map(|parameter| (key(&parameter.name), parameter_type_json(&parameter.kind)))
        .collect();
    json!({
        "name": &*condition.name.text,
        "expression": &*condition.expression,
        "parameters": parameters,
        "metadata": condition.metadata.as_ref().map(metadata_json),
    })
}

fn parameter_type_json(kind: &ParameterType) -> Value {
    let generics: Vec<Value> = kind.generics.iter().map(parameter_type_json).collect();
    let name = format!("TYPE_NAME_{}", kind.name.as_str().to_uppercase());
    json!({"type_name": name, "generic_types": generics})
}

fn key(name: &Name) -> String {
    name.text.to_string()
}
