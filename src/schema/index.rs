//! The names of a tree, numbered: what the rules and the resolved schema look up.

use std::collections::HashMap;

use super::tree::{RelationDefinition, Tree, TypeDefinition};

/// The types and relations of a tree, in its order. Of two with the same name the first counts.
pub(super) struct Index<'t> {
    pub(super) types: Vec<TypeEntry<'t>>,
    pub(super) relations: Vec<RelationEntry<'t>>,
    type_by_name: HashMap<&'t str, usize>,
    condition_by_name: HashMap<&'t str, usize>,
}

pub(super) struct TypeEntry<'t> {
    pub(super) definition: &'t TypeDefinition,
    relation_by_name: HashMap<&'t str, usize>,
}

pub(super) struct RelationEntry<'t> {
    pub(super) object_type: usize,
    pub(super) definition: &'t RelationDefinition,
}

impl<'t> Index<'t> {
    pub(super) fn of(tree: &'t Tree) -> Index<'t> {
        let mut index = Index {
            types: Vec::new(),
            relations: Vec::new(),
            type_by_name: HashMap::new(),
            condition_by_name: HashMap::new(),
        };
        for definition in &tree.types {
            let types = &mut index.types;
            let object_type = *index.type_by_name.entry(&definition.name.text).or_insert_with(|| {
                types.push(TypeEntry { definition, relation_by_name: HashMap::new() });
                types.len() - 1
            });
            for relation in &definition.relations {
                let relations = &mut index.relations;
                types[object_type].relation_by_name.entry(&relation.name.text).or_insert_with(|| {
                    relations.push(RelationEntry { object_type, definition: relation });
                    relations.len() - 1
                });
            }
        }
        for (number, condition) in tree.conditions.iter().enumerate() {
            let name = condition.key.as_ref().unwrap_or(&condition.name);
            index.condition_by_name.entry(&name.text).or_insert(number);
        }
        index
    }

    pub(super) fn type_named(&self, name: &str) -> Option<usize> {
        self.type_by_name.get(name).copied()
    }

    pub(super) fn relation_named(&self, object_type: usize, name: &str) -> Option<usize> {
        self.types[object_type].relation_by_name.get(name).copied()
    }

    pub(super) fn condition_named(&self, name: &str) -> Option<usize> {
        self.condition_by_name.get(name).copied()
    }

    pub(super) fn type_name(&self, object_type: usize) -> &'t str {
        &self.types[object_type].definition.name.text
    }

    pub(super) fn type_names(&self) -> impl Iterator<Item = &'t str> {
        self.types.iter().map(|entry| &*entry.definition.name.text)
    }

    /// The names of a type's relations, in the order written.
    pub(super) fn relation_names(&self, object_type: usize) -> impl Iterator<Item = &'t str> {
        self.types[object_type].definition.relations.iter().map(|relation| &*relation.name.text)
    }

    /// `type#relation`.
    pub(super) fn relation_text(&self, relation: usize) -> String {
        let entry = &self.relations[relation];
        format!("{}#{}", self.type_name(entry.object_type), entry.definition.name.text)
    }

    /// The types of subjects that may be written on a relation, each once, as far as they exist.
    pub(super) fn subject_types(&self, relation: &RelationDefinition) -> Vec<usize> {
        let mut types = Vec::new();
        for restriction in &relation.restrictions {
            if let Some(found) = self.type_named(&restriction.subject_type.text)
                && !types.contains(&found)
            {
                types.push(found);
            }
        }
        types
    }
}
