//! Circles and ways in graphs of relations.

use petgraph::Direction;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::super::resolved::RelationIndex;
use super::{Edge, node};

/// The circles of a graph with nodes from 0: groups of more than one node that all lead to each other. Each is in
/// the order of its numbers, and so are the groups.
pub(in super::super) fn cycles(count: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> =
        components(&graph(count, edges)).into_iter().filter(|group| group.len() > 1).collect();
    found.sort();
    found
}

/// The groups of nodes, all leading to each other, from which nothing else can be reached.
pub(in super::super) fn sinks(count: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let graph = graph(count, edges);
    let groups = components(&graph);
    let mut group_of = vec![0; count];
    for (number, group) in groups.iter().enumerate() {
        for member in group {
            group_of[*member] = number;
        }
    }
    let stays = |group: &Vec<usize>| {
        let mut targets = group.iter().flat_map(|from| graph.neighbors(NodeIndex::new(*from)));
        targets.all(|to| group_of[to.index()] == group_of[group[0]])
    };
    let mut found: Vec<Vec<usize>> = groups.iter().filter(|group| stays(group)).cloned().collect();
    found.sort();
    found
}

fn graph(count: usize, edges: &[(usize, usize)]) -> DiGraph<(), ()> {
    let mut graph = DiGraph::with_capacity(count, edges.len());
    for _ in 0..count {
        graph.add_node(());
    }
    for (from, to) in edges {
        graph.add_edge(NodeIndex::new(*from), NodeIndex::new(*to), ());
    }
    graph
}

fn components(graph: &DiGraph<(), ()>) -> Vec<Vec<usize>> {
    let groups = kosaraju_scc(graph).into_iter();
    groups
        .map(|group| {
            let mut members: Vec<usize> = group.into_iter().map(NodeIndex::index).collect();
            members.sort_unstable();
            members
        })
        .collect()
}

/// The relations that can be reached from one, itself included, in the order of their numbers.
pub(super) fn reachable(
    graph: &DiGraph<RelationIndex, Edge>,
    from: RelationIndex,
    direction: Direction,
    follow: impl Fn(&Edge) -> bool,
) -> Vec<RelationIndex> {
    let mut seen = vec![false; graph.node_count()];
    seen[from.0 as usize] = true;
    let mut waiting = vec![node(from)];
    while let Some(at) = waiting.pop() {
        for edge in graph.edges_directed(at, direction) {
            let next = match direction {
                Direction::Outgoing => edge.target(),
                Direction::Incoming => edge.source(),
            };
            if follow(edge.weight()) && !seen[next.index()] {
                seen[next.index()] = true;
                waiting.push(next);
            }
        }
    }
    let numbers = seen.iter().enumerate().filter(|(_, seen)| **seen);
    numbers.map(|(number, _)| RelationIndex(number as u32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_and_ends() {
        let edges = [(0, 1), (1, 2), (2, 1), (3, 0), (4, 4), (5, 4)];
        assert_eq!(cycles(6, &edges), [vec![1, 2]]);
        assert_eq!(sinks(6, &edges), [vec![1, 2], vec![4]]);
        assert_eq!(sinks(2, &[]), [vec![0], vec![1]]);
        let long: Vec<(usize, usize)> = (0..100_000).map(|at| (at, at + 1)).collect();
        assert!(cycles(100_001, &long).is_empty());
    }
}
