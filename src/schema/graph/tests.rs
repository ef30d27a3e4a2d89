//! Questions to the graph, on small schemas.

use super::super::read_schema;
use super::super::resolved::{RelationIndex, RestrictionShape, Schema};
use super::{EdgeKind, to_dot};

const SCHEMA: &str = "model
  schema 1.1

type user

type bot

type group
  relations
    define member: [user, user:*, group#member]

type folder
  relations
    define parent: [folder]
    define owner: [user]
    define viewer: owner or viewer from parent

type doc
  relations
    define parent: [folder]
    define banned: [user]
    define signed: [user, bot]
    define editor: [user, group#member]
    define viewer: editor or viewer from parent
    define reader: viewer but not banned
    define signer: signed and editor
    define alias: signed
";

fn schema() -> Schema {
    read_schema("graph.fga", SCHEMA).unwrap().1
}

fn relation(schema: &Schema, text: &str) -> RelationIndex {
    let (object_type, name) = text.split_once('#').unwrap();
    schema.relation_named(schema.type_named(object_type).unwrap(), name).unwrap()
}

fn affected(text: &str) -> Vec<String> {
    let schema = schema();
    let affected = schema.graph().affected_by(relation(&schema, text));
    affected.iter().map(|relation| schema.relation_text(*relation)).collect()
}

/// The entries of a type of subject into a relation, in short: `doc#editor user:*`.
fn entries(subject_type: &str, text: &str) -> Vec<String> {
    let schema = schema();
    let subject = schema.type_named(subject_type).unwrap();
    let entries = schema.graph().entries(subject, relation(&schema, text));
    let shape = |shape| match shape {
        RestrictionShape::Object => subject_type.to_string(),
        RestrictionShape::Wildcard => format!("{subject_type}:*"),
        RestrictionShape::Userset(relation) => schema.relation_text(relation),
    };
    entries
        .iter()
        .map(|entry| format!("{} {}", schema.relation_text(entry.relation), shape(entry.shape)))
        .collect()
}

#[test]
fn a_change_affects_whatever_hangs_on_it() {
    assert_eq!(affected("doc#banned"), ["doc#banned", "doc#reader"]);
    assert_eq!(affected("doc#parent"), ["doc#parent", "doc#viewer", "doc#reader"]);
    assert_eq!(
        affected("group#member"),
        ["group#member", "doc#editor", "doc#viewer", "doc#reader", "doc#signer"]
    );
    assert_eq!(affected("folder#parent"), ["folder#parent", "folder#viewer", "doc#viewer", "doc#reader"]);
    assert_eq!(affected("doc#reader"), ["doc#reader"]);
}

#[test]
fn subjects_enter_through_assignable_relations() {
    assert_eq!(
        entries("user", "doc#viewer"),
        ["group#member user", "group#member user:*", "folder#owner user", "doc#editor user"]
    );
    assert_eq!(entries("user", "doc#reader"), entries("user", "doc#viewer"), "what is banned is no entry");
    assert_eq!(entries("group", "doc#reader"), ["group#member group#member", "doc#editor group#member"]);
    assert_eq!(entries("folder", "doc#viewer"), Vec::<String>::new(), "a parent is no subject");
    assert_eq!(entries("folder", "doc#parent"), ["doc#parent folder"]);
    assert_eq!(entries("bot", "doc#signer"), ["doc#signed bot"]);
    assert_eq!(entries("bot", "doc#editor"), Vec::<String>::new());
}

#[test]
fn what_can_occur_on_the_way() {
    let schema = schema();
    let reach = |text| *schema.graph().reach(relation(&schema, text));
    let viewer = reach("doc#viewer");
    assert!(viewer.wildcard && viewer.userset && viewer.arrow);
    assert!(!viewer.exclusion && !viewer.intersection && !viewer.condition);
    assert!(reach("doc#reader").exclusion && reach("doc#reader").wildcard);
    assert!(reach("doc#signer").intersection && !reach("doc#signer").arrow);
    assert!(reach("folder#viewer").arrow && !reach("folder#viewer").userset);
    assert_eq!(reach("doc#banned"), Default::default());
}

#[test]
fn where_there_are_only_unions() {
    let schema = schema();
    let only_unions = |text| schema.graph().only_unions(relation(&schema, text));
    assert!(only_unions("doc#viewer") && only_unions("doc#editor") && only_unions("group#member"));
    assert!(!only_unions("doc#reader") && !only_unions("doc#signer"));
}

#[test]
fn how_many_hops_a_proof_can_take() {
    let schema = schema();
    let hops = |text| schema.graph().max_hops(relation(&schema, text));
    assert_eq!(hops("doc#banned"), Some(0));
    assert_eq!(hops("doc#alias"), Some(0));
    assert_eq!(hops("group#member"), None);
    assert_eq!(hops("doc#editor"), None);
    assert_eq!(hops("folder#viewer"), None);
    assert_eq!(hops("folder#parent"), Some(0));
    let text = "model\n  schema 1.1\ntype user\ntype team\n  relations\n    define member: [user]\n    define any: member\ntype org\n  relations\n    define member: [team#any]\ntype doc\n  relations\n    define org: [org]\n    define viewer: [user] or member from org\n    define reader: viewer\n";
    let (_, schema) = read_schema("hops.fga", text).unwrap();
    let hops = |text| schema.graph().max_hops(relation(&schema, text));
    assert_eq!(hops("org#member"), Some(1));
    assert_eq!(hops("doc#viewer"), Some(2));
    assert_eq!(hops("doc#reader"), Some(2));
}

#[test]
fn edges_say_how_one_relation_hangs_on_another() {
    let schema = schema();
    let edges = |text: &str| {
        let edges = schema.graph().edges(relation(&schema, text));
        let mut found: Vec<_> =
            edges.map(|(edge, to)| (schema.relation_text(to), edge.kind, edge.subtracted)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    };
    assert_eq!(
        edges("doc#viewer"),
        [
            ("doc#editor".to_string(), EdgeKind::Computed, false),
            ("doc#parent".to_string(), EdgeKind::Tupleset, false),
            ("folder#viewer".to_string(), EdgeKind::Arrow, false),
        ]
    );
    assert_eq!(edges("doc#editor"), [("group#member".to_string(), EdgeKind::Userset, false)]);
    assert_eq!(edges("doc#reader")[0], ("doc#banned".to_string(), EdgeKind::Computed, true));
}

#[test]
fn the_graph_as_a_picture() {
    let text = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define parent: [doc]\n    define banned: [user]\n    define viewer: [user, doc#banned] or viewer from parent\n    define reader: viewer but not banned\n";
    let (_, schema) = read_schema("dot.fga", text).unwrap();
    insta::assert_snapshot!(to_dot(&schema), @r#"
    digraph {
        0 [ label="doc#parent"]
        1 [ label="doc#banned"]
        2 [ label="doc#viewer"]
        3 [ label="doc#reader"]
        2 -> 1 [ label="userset"]
        2 -> 0 [ label="tupleset"]
        2 -> 2 [ label="arrow"]
        3 -> 2 [ label="computed"]
        3 -> 1 [ label="computed" style=dashed]
    }
    "#);
}
