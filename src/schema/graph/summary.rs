//! What can occur anywhere on the way of answering for a relation, summed up for each of them in one pass.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::super::resolved::{ArrowOver, Relation, RelationIndex, RestrictionShape, Rewrite};
use super::{Edge, EdgeKind};

/// What can occur on the way of answering for a relation, itself included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// A tuple for everybody of a type.
    pub wildcard: bool,
    /// A tuple with a userset.
    pub userset: bool,
    /// A walk to parents.
    pub arrow: bool,
    /// A tuple with a condition, on parents too.
    pub condition: bool,
    /// A `but not`.
    pub exclusion: bool,
    /// An `and`.
    pub intersection: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    pub(super) reach: Reach,
    pub(super) only_unions: bool,
    pub(super) max_hops: Option<u32>,
}

/// Sums up from the ends: relations that lead to each other share what can occur, and their hops have no end.
pub(super) fn summarise(graph: &DiGraph<RelationIndex, Edge>, relations: &[Relation]) -> Vec<Summary> {
    let mut summaries: Vec<Summary> = relations.iter().map(own).collect();
    // Each group comes after all that it leads to.
    for group in kosaraju_scc(graph) {
        let recursive = group.len() > 1 || graph.contains_edge(group[0], group[0]);
        let joined = join(graph, &summaries, &group, recursive);
        for member in group {
            summaries[member.index()] = joined;
        }
    }
    summaries
}

fn join(
    graph: &DiGraph<RelationIndex, Edge>,
    summaries: &[Summary],
    group: &[NodeIndex],
    recursive: bool,
) -> Summary {
    let mut joined =
        Summary { reach: Reach::default(), only_unions: true, max_hops: (!recursive).then_some(0) };
    for member in group {
        let own = &summaries[member.index()];
        joined.reach = joined.reach.or(own.reach);
        joined.only_unions &= own.only_unions;
        for edge in graph.edges(*member) {
            let to = &summaries[edge.target().index()];
            joined.reach = joined.reach.or(to.reach);
            let hop = match edge.weight().kind {
                EdgeKind::Tupleset => continue,
                EdgeKind::Computed => 0,
                EdgeKind::Userset | EdgeKind::Arrow => 1,
            };
            joined.only_unions &= to.only_unions;
            joined.max_hops = match (joined.max_hops, to.max_hops) {
                (Some(most), Some(further)) => Some(most.max(further + hop)),
                _ => None,
            };
        }
    }
    joined
}

impl Reach {
    fn or(self, other: Reach) -> Reach {
        Reach {
            wildcard: self.wildcard || other.wildcard,
            userset: self.userset || other.userset,
            arrow: self.arrow || other.arrow,
            condition: self.condition || other.condition,
            exclusion: self.exclusion || other.exclusion,
            intersection: self.intersection || other.intersection,
        }
    }
}

/// What occurs in the definition of one relation.
fn own(relation: &Relation) -> Summary {
    let mut own = Summary { reach: Reach::default(), only_unions: true, max_hops: Some(0) };
    occurs(relation, &relation.rewrite, &mut own);
    own
}

fn occurs(relation: &Relation, rewrite: &Rewrite, own: &mut Summary) {
    match rewrite {
        Rewrite::Nil | Rewrite::Computed(_) => {}
        Rewrite::Direct => {
            for restriction in &relation.restrictions {
                own.reach.condition |= restriction.condition.is_some();
                own.reach.wildcard |= restriction.shape == RestrictionShape::Wildcard;
                own.reach.userset |= matches!(restriction.shape, RestrictionShape::Userset(_));
            }
        }
        Rewrite::Arrow(arrow) => {
            own.reach.arrow = true;
            own.only_unions &= arrow.over == ArrowOver::Any;
        }
        Rewrite::Union(operands) => {
            for operand in operands {
                occurs(relation, operand, own);
            }
        }
        Rewrite::Intersection(operands) => {
            own.reach.intersection = true;
            own.only_unions = false;
            for operand in operands {
                occurs(relation, operand, own);
            }
        }
        Rewrite::Exclusion(base, subtract) => {
            own.reach.exclusion = true;
            own.only_unions = false;
            occurs(relation, base, own);
            occurs(relation, subtract, own);
        }
    }
}
