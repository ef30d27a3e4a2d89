//! Tree to resolved schema: names become numbers, once every rule holds.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::expressions;
use super::graph::RelationGraph;
use super::index::Index;
use super::json;
use super::limits::Limits;
use super::openfga;
use super::parse::{self, Parsed};
use super::problem::{Problem, Problems};
use super::resolved::{
    Arrow, ArrowOver, Condition, ConditionIndex, Relation, RelationIndex, Restriction, RestrictionShape,
    Rewrite, Schema, Type, TypeIndex,
};
use super::rules::{self, Reading};
use super::tree::{Expression, ExpressionKind, RelationDefinition, Tree, TypeRestrictionShape};

impl Schema {
    /// The schema that a tree says, or everything that is wrong with it.
    pub fn resolve(tree: &Tree) -> Result<Schema, Problems> {
        Schema::resolve_within(tree, &Limits::default())
    }

    /// The same under other limits.
    pub fn resolve_within(tree: &Tree, limits: &Limits) -> Result<Schema, Problems> {
        resolve(tree, Vec::new(), Reading::default(), limits)
    }
}

impl Tree {
    /// What looks like a mistake in a schema, and everything that is wrong with it.
    pub fn check(&self) -> Problems {
        let limits = Limits::default();
        let problems = rules::check(self, &Index::of(self), &Reading::default(), &limits);
        Problems::new(self.source.clone(), problems)
    }
}

/// Reads a schema text: its tree and what it says, or everything that is wrong with either.
pub fn read_schema(source_name: &str, text: &str) -> Result<(Tree, Schema), Problems> {
    read_schema_within(source_name, text, &Limits::default())
}

/// The same under other limits.
pub fn read_schema_within(
    source_name: &str,
    text: &str,
    limits: &Limits,
) -> Result<(Tree, Schema), Problems> {
    let Parsed { tree, problems, unread } = parse::parse(source_name, text, limits);
    let reading = Reading { problems: problems.len(), unread };
    let schema = resolve(&tree, problems, reading, limits)?;
    Ok((tree, schema))
}

/// Reads a schema in OpenFGA's JSON form: its tree and what it says, or everything that is wrong with either.
pub fn read_json(source_name: &str, value: &Value) -> Result<(Tree, Schema), Problems> {
    read_json_within(source_name, value, &Limits::default())
}

/// The same under other limits.
pub fn read_json_within(
    source_name: &str,
    value: &Value,
    limits: &Limits,
) -> Result<(Tree, Schema), Problems> {
    let (tree, problems) = json::read(source_name, value, limits);
    let reading = Reading { problems: problems.len(), ..Reading::default() };
    let schema = resolve(&tree, problems, reading, limits)?;
    Ok((tree, schema))
}

/// Resolves a tree, of whose reading there may be problems already.
pub(super) fn resolve(
    tree: &Tree,
    found: Vec<Problem>,
    reading: Reading,
    limits: &Limits,
) -> Result<Schema, Problems> {
    let index = Index::of(tree);
    let mut problems = found;
    problems.extend(rules::check(tree, &index, &reading, limits));
    let problems = Problems::new(tree.source.clone(), problems);
    if problems.has_errors() {
        let wire = match reading.problems {
            0 => openfga::first_error(tree, &index, limits),
            _ => None,
        };
        return Err(problems.with_wire_error(wire));
    }
    Ok(Builder { tree, index: &index }.schema())
}

/// INVARIANT: every rule holds, so every name leads somewhere. A name that led nowhere would be left out.
struct Builder<'t, 'i> {
    tree: &'t Tree,
    index: &'i Index<'t>,
}

impl Builder<'_, '_> {
    fn schema(&self) -> Schema {
        let mut types: Vec<Type> = self
            .index
            .type_names()
            .map(|name| Type { name: name.into(), relations: Vec::new(), relation_by_name: HashMap::new() })
            .collect();
        let mut relations = Vec::with_capacity(self.index.relations.len());
        for (number, entry) in self.index.relations.iter().enumerate() {
            let relation = RelationIndex(number as u32);
            let object_type = &mut types[entry.object_type];
            object_type.relations.push(relation);
            object_type.relation_by_name.insert(entry.definition.name.text.clone(), relation);
            relations.push(self.relation(entry.object_type, entry.definition));
        }
        let type_by_name =
            types.iter().enumerate().map(|(at, kind)| (kind.name.clone(), TypeIndex(at as u32))).collect();
        let conditions = self
            .tree
            .conditions
            .iter()
            .filter_map(|condition| {
                let compiled = Arc::new(expressions::compile(condition).ok()?);
                Some(Condition { name: condition.name.text.clone(), compiled })
            })
            .collect();
        let graph = RelationGraph::of(&relations);
        Schema { types, relations, conditions, type_by_name, graph }
    }

    fn relation(&self, object_type: usize, definition: &RelationDefinition) -> Relation {
        Relation {
            name: definition.name.text.clone(),
            object_type: TypeIndex(object_type as u32),
            rewrite: self.rewrite(object_type, &definition.expression),
            restrictions: self.restrictions(definition),
        }
    }

    /// The restrictions of a relation, each once.
    fn restrictions(&self, definition: &RelationDefinition) -> Vec<Restriction> {
        let mut list: Vec<Restriction> = Vec::new();
        for restriction in &definition.restrictions {
            let Some(subject_type) = self.index.type_named(&restriction.subject_type.text) else { continue };
            let shape = match &restriction.shape {
                TypeRestrictionShape::Object => RestrictionShape::Object,
                TypeRestrictionShape::Wildcard => RestrictionShape::Wildcard,
                TypeRestrictionShape::Userset(name) => {
                    let Some(relation) = self.relation_index(subject_type, &name.text) else { continue };
                    RestrictionShape::Userset(relation)
                }
            };
            let condition =
                restriction.condition.as_ref().and_then(|name| self.index.condition_named(&name.text));
            let condition = condition.map(|number| ConditionIndex(number as u32));
            let restriction = Restriction { subject_type: TypeIndex(subject_type as u32), shape, condition };
            if !list.contains(&restriction) {
                list.push(restriction);
            }
        }
        list
    }

    fn rewrite(&self, object_type: usize, expression: &Expression) -> Rewrite {
        let operands = |operands: &[Expression]| {
            operands.iter().map(|operand| self.rewrite(object_type, operand)).collect::<Vec<Rewrite>>()
        };
        match &expression.kind {
            ExpressionKind::Missing => Rewrite::Nil,
            ExpressionKind::Direct => Rewrite::Direct,
            ExpressionKind::Computed(name) => {
                self.relation_index(object_type, &name.text).map_or(Rewrite::Nil, Rewrite::Computed)
            }
            ExpressionKind::Arrow { target, tupleset } => {
                self.arrow(object_type, &target.text, &tupleset.text).map_or(Rewrite::Nil, Rewrite::Arrow)
            }
            ExpressionKind::Union(list) => Rewrite::Union(operands(list)),
            ExpressionKind::Intersection(list) => Rewrite::Intersection(operands(list)),
            ExpressionKind::Exclusion(base, subtract) => Rewrite::Exclusion(
                self.rewrite(object_type, base).into(),
                self.rewrite(object_type, subtract).into(),
            ),
        }
    }

    fn arrow(&self, object_type: usize, target_name: &str, tupleset: &str) -> Option<Arrow> {
        let tupleset = self.index.relation_named(object_type, tupleset)?;
        let parents = self.index.subject_types(self.index.relations[tupleset].definition);
        let target =
            |parent: &usize| Some((TypeIndex(*parent as u32), self.relation_index(*parent, target_name)?));
        Some(Arrow {
            tupleset: RelationIndex(tupleset as u32),
            target_name: target_name.into(),
            targets: parents.iter().filter_map(target).collect(),
            over: ArrowOver::Any,
        })
    }

    fn relation_index(&self, object_type: usize, name: &str) -> Option<RelationIndex> {
        self.index.relation_named(object_type, name).map(|number| RelationIndex(number as u32))
    }
}
