//! The graph as a picture: Graphviz text.

use petgraph::dot::{Config, Dot};

use super::super::resolved::Schema;
use super::EdgeKind;

/// The graph of a schema's relations in Graphviz' language: a node for each relation, an edge to each relation that
/// it hangs on. What can only take away is dashed.
pub fn to_dot(schema: &Schema) -> String {
    let graph = &schema.graph().graph;
    let edge_attributes = |_, edge: petgraph::graph::EdgeReference<'_, super::Edge>| {
        let label = match edge.weight().kind {
            EdgeKind::Computed => "computed",
            EdgeKind::Userset => "userset",
            EdgeKind::Arrow => "arrow",
            EdgeKind::Tupleset => "tupleset",
        };
        let style = if edge.weight().subtracted { " style=dashed" } else { "" };
        format!("label=\"{label}\"{style}")
    };
    let node_attributes = |_, (_, relation): (_, &super::RelationIndex)| {
        let text = schema.relation_text(*relation).replace('\\', "\\\\").replace('"', "\\\"");
        format!("label=\"{text}\"")
    };
    let config = [Config::NodeNoLabel, Config::EdgeNoLabel];
    let dot = Dot::with_attr_getters(graph, &config, &edge_attributes, &node_attributes);
    format!("{dot:?}")
}
