//! The resolved schema: what the evaluator runs on.
//!
//! Names are gone but for printing: types and relations are dense numbers, every reference points at something
//! that exists, and all rules of the language hold. It can say more than the language does today (`Nil`, arrows
//! over *all* parents, restrictions with expiry), so that another language can be read into it later.

use std::collections::HashMap;
use std::sync::Arc;

use super::suggest::instead;
use crate::condition::Compiled;

/// A type, numbered from 0 in the order of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeIndex(pub u32);

/// A relation of one type (`T#r`), numbered from 0 over the whole schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationIndex(pub u32);

/// A condition, numbered from 0 in the order of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConditionIndex(pub u32);

/// A schema whose every rule has been checked; immutable.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(super) types: Vec<Type>,
    pub(super) relations: Vec<Relation>,
    pub(super) conditions: Vec<Condition>,
    pub(super) type_by_name: HashMap<Box<str>, TypeIndex>,
    pub(super) graph: super::graph::RelationGraph,
}

/// One type and its relations.
#[derive(Debug, Clone)]
pub struct Type {
    /// As written in the schema.
    pub name: Box<str>,
    /// In the order of the schema.
    pub relations: Vec<RelationIndex>,
    pub(super) relation_by_name: HashMap<Box<str>, RelationIndex>,
}

/// One relation of one type.
#[derive(Debug, Clone)]
pub struct Relation {
    /// As written in the schema.
    pub name: Box<str>,
    /// The type that defines it.
    pub object_type: TypeIndex,
    /// How its subjects are computed.
    pub rewrite: Rewrite,
    /// Which subjects may be written on it; empty when nothing is directly assignable. No two are equal.
    pub restrictions: Vec<Restriction>,
}

/// How the subjects of a relation are computed (Zanzibar §2.3.1, "userset rewrite").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Nobody.
    Nil,
    /// The tuples written on this very relation: Zanzibar's `_this`.
    Direct,
    /// The subjects of another relation of the same object.
    Computed(RelationIndex),
    /// The subjects of a relation of the objects found over `tupleset`: `viewer from parent`.
    Arrow(Arrow),
    /// Any of them.
    Union(Vec<Rewrite>),
    /// All of them.
    Intersection(Vec<Rewrite>),
    /// The first, without the second: `but not`.
    Exclusion(Box<Rewrite>, Box<Rewrite>),
}

/// A walk over the tuples of `tupleset` to a relation of the objects found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// The relation, of the same object, whose subjects are walked to.
    pub tupleset: RelationIndex,
    /// The relation asked on them, by its name.
    pub target_name: Box<str>,
    /// That relation for each type of parent that has it; parents of other types contribute nobody.
    pub targets: Vec<(TypeIndex, RelationIndex)>,
    /// Whether one parent is enough.
    pub over: ArrowOver,
}

/// How many of the parents must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrowOver {
    /// One is enough: the language's `from`.
    Any,
    /// There is at least one, and all of them.
    All,
}

/// A form of subject that may be written on a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// The type of the subject.
    pub subject_type: TypeIndex,
    /// Its shape.
    pub shape: RestrictionShape,
    /// The condition that the tuple has to carry; none: it must carry none.
    pub condition: Option<ConditionIndex>,
}

/// The shape of an allowed subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestrictionShape {
    /// `user`: one object of the type.
    Object,
    /// `user:*`: everybody of the type.
    Wildcard,
    /// `group#member`: all who hold a relation of an object.
    Userset(RelationIndex),
}

/// A named condition.
#[derive(Debug, Clone)]
pub struct Condition {
    /// As written in the schema.
    pub name: Box<str>,
    /// Ready to be evaluated.
    pub compiled: Arc<Compiled>,
}

impl Schema {
    /// The one that knows no type: what was in force before there was any.
    pub fn empty() -> Schema {
        Schema {
            types: Vec::new(),
            relations: Vec::new(),
            conditions: Vec::new(),
            type_by_name: HashMap::new(),
            graph: super::graph::RelationGraph::of(&[]),
        }
    }

    /// The type of this name.
    pub fn type_named(&self, name: &str) -> Option<TypeIndex> {
        self.type_by_name.get(name).copied()
    }

    /// The relation of this name on a type.
    pub fn relation_named(&self, object_type: TypeIndex, name: &str) -> Option<RelationIndex> {
        self.type_at(object_type).relation_by_name.get(name).copied()
    }

    /// Whether there are any conditions.
    pub fn has_conditions(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// The condition of this name.
    pub fn condition_named(&self, name: &str) -> Option<ConditionIndex> {
        let at = self.conditions.iter().position(|condition| &*condition.name == name)?;
        Some(ConditionIndex(at as u32))
    }

    /// The type at an index of this schema.
    pub fn type_at(&self, index: TypeIndex) -> &Type {
        &self.types[index.0 as usize]
    }

    /// The relation at an index of this schema.
    pub fn relation_at(&self, index: RelationIndex) -> &Relation {
        &self.relations[index.0 as usize]
    }

    /// The condition at an index of this schema.
    pub fn condition_at(&self, index: ConditionIndex) -> &Condition {
        &self.conditions[index.0 as usize]
    }

    /// All types, in the order of the schema.
    pub fn types(&self) -> impl ExactSizeIterator<Item = (TypeIndex, &Type)> {
        self.types.iter().enumerate().map(|(at, kind)| (TypeIndex(at as u32), kind))
    }

    /// All relations of all types, in the order of the schema.
    pub fn relations(&self) -> impl ExactSizeIterator<Item = (RelationIndex, &Relation)> {
        self.relations.iter().enumerate().map(|(at, relation)| (RelationIndex(at as u32), relation))
    }

    /// `type#relation`, for messages.
    pub fn relation_text(&self, index: RelationIndex) -> String {
        let relation = self.relation_at(index);
        format!("{}#{}", self.type_at(relation.object_type).name, relation.name)
    }

    /// How a message about an unknown type ends: `; did you mean …?`, or which types there are.
    pub fn instead_of_type(&self, name: &str) -> String {
        instead(name, self.types.iter().map(|known| &*known.name))
    }

    /// How a message about an unknown relation of a type ends.
    pub fn instead_of_relation(&self, object_type: TypeIndex, name: &str) -> String {
        let known = self.relations.iter().filter(|relation| relation.object_type == object_type);
        instead(name, known.map(|relation| &*relation.name))
    }

    /// The graph of relations, computed once per schema.
    pub fn graph(&self) -> &super::graph::RelationGraph {
        &self.graph
    }
}
