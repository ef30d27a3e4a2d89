//! The graph of relations: which relation's answer hangs on which other, and how.
//!
//! It is computed once per schema and answers what the evaluator and the analyses ask before they look at any
//! tuple. It knows nothing of tuples: its nodes are the relations of the schema.

mod components;
mod dot;
mod entries;
mod summary;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

pub(super) use components::{cycles, sinks};
pub use dot::to_dot;
pub use entries::Entry;
pub use summary::Reach;

use super::resolved::{Relation, RelationIndex, RestrictionShape, Rewrite, TypeIndex};
use entries::EntryTable;
use summary::Summary;

/// Which relations hang on which others.
#[derive(Debug, Clone)]
pub struct RelationGraph {
    graph: DiGraph<RelationIndex, Edge>,
    /// The restrictions of each relation, when it is directly assignable other than to be taken away.
    assignable: Vec<Box<[(TypeIndex, RestrictionShape)]>>,
    summaries: Vec<Summary>,
    affected: Vec<OnceLock<Box<[RelationIndex]>>>,
    entries: Vec<OnceLock<EntryTable>>,
}

/// How one relation hangs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge {
    /// By which part of the language.
    pub kind: EdgeKind,
    /// Whether it stands behind a `but not`: it can only take away.
    pub subtracted: bool,
}

/// By which part of the language one relation hangs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EdgeKind {
    /// `define viewer: editor`: on the same object.
    Computed,
    /// `define viewer: [group#member]`: over a tuple with a userset.
    Userset,
    /// `define viewer: viewer from parent`: from it to the `viewer` of the parents.
    Arrow,
    /// `define viewer: viewer from parent`: from it to `parent`.
    Tupleset,
}

impl RelationGraph {
    /// The graph of the relations of a schema, given in the order of their numbers.
    pub(super) fn of(relations: &[Relation]) -> RelationGraph {
        let mut graph = DiGraph::with_capacity(relations.len(), relations.len());
        for number in 0..relations.len() {
            graph.add_node(RelationIndex(number as u32));
        }
        let mut assignable = Vec::with_capacity(relations.len());
        for (number, relation) in relations.iter().enumerate() {
            let mut builder =
                Builder { graph: &mut graph, relation, from: NodeIndex::new(number), direct: false };
            builder.rewrite(&relation.rewrite, false);
            let direct = builder.direct;
            assignable.push(if direct { assignable_of(relation) } else { Box::default() });
        }
        let summaries = summary::summarise(&graph, relations);
        let affected = vec![OnceLock::new(); relations.len()];
        let entries = vec![OnceLock::new(); relations.len()];
        RelationGraph { graph, assignable, summaries, affected, entries }
    }

    /// The relations whose answers can change when tuples of this relation do, itself included; by number.
    pub fn affected_by(&self, relation: RelationIndex) -> &[RelationIndex] {
        self.affected[relation.0 as usize].get_or_init(|| {
            components::reachable(&self.graph, relation, Direction::Incoming, |_| true).into_boxed_slice()
        })
    }

    /// Through which directly assignable relations, and by which shape, subjects of a type can come to hold a
    /// relation. What only takes away is no entry.
    pub fn entries(&self, subject_type: TypeIndex, relation: RelationIndex) -> &[Entry] {
        let table = self.entries[relation.0 as usize].get_or_init(|| {
            let ways = components::reachable(&self.graph, relation, Direction::Outgoing, |edge| {
                !edge.subtracted && edge.kind != EdgeKind::Tupleset
            });
            EntryTable::of(ways.iter().map(|way| (*way, &*self.assignable[way.0 as usize])))
        });
        table.of_type(subject_type)
    }

    /// What can occur anywhere on the way of answering for a relation.
    pub fn reach(&self, relation: RelationIndex) -> &Reach {
        &self.summaries[relation.0 as usize].reach
    }

    /// Whether only unions can occur on the way: no exclusion, no intersection, no arrow over all parents.
    pub fn only_unions(&self, relation: RelationIndex) -> bool {
        self.summaries[relation.0 as usize].only_unions
    }

    /// The greatest number of hops over usersets and parents that a proof can take; none when there is no greatest.
    pub fn max_hops(&self, relation: RelationIndex) -> Option<u32> {
        self.summaries[relation.0 as usize].max_hops
    }

    /// The relations that a relation hangs on directly, and how.
    pub fn edges(&self, relation: RelationIndex) -> impl Iterator<Item = (Edge, RelationIndex)> + '_ {
        self.graph.edges(node(relation)).map(|edge| (*edge.weight(), self.graph[edge.target()]))
    }
}

fn node(relation: RelationIndex) -> NodeIndex {
    NodeIndex::new(relation.0 as usize)
}

fn assignable_of(relation: &Relation) -> Box<[(TypeIndex, RestrictionShape)]> {
    relation.restrictions.iter().map(|restriction| (restriction.subject_type, restriction.shape)).collect()
}

/// Adds the edges of one relation.
struct Builder<'a> {
    graph: &'a mut DiGraph<RelationIndex, Edge>,
    relation: &'a Relation,
    from: NodeIndex,
    /// Whether it is directly assignable, other than to be taken away.
    direct: bool,
}

impl Builder<'_> {
    fn rewrite(&mut self, rewrite: &Rewrite, subtracted: bool) {
        match rewrite {
            Rewrite::Nil => {}
            Rewrite::Direct => {
                self.direct |= !subtracted;
                for restriction in &self.relation.restrictions {
                    if let RestrictionShape::Userset(target) = restriction.shape {
                        self.edge(EdgeKind::Userset, target, subtracted);
                    }
                }
            }
            Rewrite::Computed(target) => self.edge(EdgeKind::Computed, *target, subtracted),
            Rewrite::Arrow(arrow) => {
                self.edge(EdgeKind::Tupleset, arrow.tupleset, subtracted);
                for (_, target) in &arrow.targets {
                    self.edge(EdgeKind::Arrow, *target, subtracted);
                }
            }
            Rewrite::Union(operands) | Rewrite::Intersection(operands) => {
                for operand in operands {
                    self.rewrite(operand, subtracted);
                }
            }
            Rewrite::Exclusion(base, subtract) => {
                self.rewrite(base, subtracted);
                self.rewrite(subtract, true);
            }
        }
    }

    fn edge(&mut self, kind: EdgeKind, to: RelationIndex, subtracted: bool) {
        let edge = Edge { kind, subtracted };
        let to = node(to);
        if !self.graph.edges_connecting(self.from, to).any(|known| *known.weight() == edge) {
            self.graph.add_edge(self.from, to, edge);
        }
    }
}
