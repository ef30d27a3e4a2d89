//! Expansions as JSON: OpenFGA's tree, in which usersets that were followed carry their own tree as `expanded`.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::engine::{ExpandNode, Expansion, UsersetNode};
use crate::tuple::{Object, Relation, Subject};

/// The JSON form of an expansion, with what was followed.
pub fn expansion_json(userset: &UsersetNode) -> Value {
    match &userset.expansion {
        Expansion::Expanded(node) => node_json(&name(userset), node, Shown::All),
        Expansion::NotFollowed => json!({ "name": name(userset) }),
        Expansion::Cycle => json!({ "name": name(userset), "cycle": true }),
        Expansion::NoRelation => json!({ "name": name(userset), "undefined": true }),
    }
}

/// The tree that OpenFGA answers: what was followed is left out.
pub(super) fn one_level_json(root: &UsersetNode) -> Value {
    let nobody = ExpandNode::Nobody;
    let node = match &root.expansion {
        Expansion::Expanded(node) => node,
        Expansion::NotFollowed | Expansion::Cycle | Expansion::NoRelation => &nobody,
    };
    node_json(&name(root), node, Shown::OneLevel)
}

/// How much of an expansion is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    OneLevel,
    All,
}

/// An expansion from its JSON form; none: it does not have that form.
pub fn read_expansion(json: &Value) -> Option<UsersetNode> {
    let expansion = if json["cycle"] == true {
        Expansion::Cycle
    } else if json["undefined"] == true {
        Expansion::NoRelation
    } else if json.as_object()?.len() == 1 {
        Expansion::NotFollowed
    } else {
        Expansion::Expanded(Box::new(read_node(json)?))
    };
    Some(UsersetNode { expansion, ..not_followed(json["name"].as_str()?)? })
}

fn name(userset: &UsersetNode) -> String {
    format!("{}#{}", userset.object, userset.relation)
}

fn node_json(at: &str, node: &ExpandNode, shown: Shown) -> Value {
    let all = |nodes: &[ExpandNode]| nodes.iter().map(|node| node_json(at, node, shown)).collect::<Vec<_>>();
    match node {
        ExpandNode::Nobody => json!({ "name": at, "leaf": { "users": { "users": [] } } }),
        ExpandNode::Subjects { subjects, usersets } => {
            let mut users: Vec<String> = subjects.iter().map(ToString::to_string).collect();
            users.extend(usersets.iter().map(name));
            users.sort();
            let mut leaf = json!({ "users": { "users": users } });
            add_followed(&mut leaf["users"], usersets, shown);
            json!({ "name": at, "leaf": leaf })
        }
        ExpandNode::Computed(userset) => {
            let mut computed = json!({ "userset": name(userset) });
            add_followed(&mut computed, std::slice::from_ref(userset), shown);
            json!({ "name": at, "leaf": { "computed": computed } })
        }
        ExpandNode::Arrow { tupleset, parents } => {
            let object = at.split_once('#').map_or(at, |(object, _)| object);
            let computed: Vec<_> = parents.iter().map(|parent| json!({ "userset": name(parent) })).collect();
            let mut leaf = json!({ "tupleset": format!("{object}#{tupleset}"), "computed": computed });
            add_followed(&mut leaf, parents, shown);
            json!({ "name": at, "leaf": { "tupleToUserset": leaf } })
        }
        ExpandNode::Union(nodes) => json!({ "name": at, "union": { "nodes": all(nodes) } }),
        ExpandNode::Intersection(nodes) => json!({ "name": at, "intersection": { "nodes": all(nodes) } }),
        ExpandNode::Exclusion(base, subtract) => json!({
            "name": at,
            "difference": { "base": node_json(at, base, shown), "subtract": node_json(at, subtract, shown) },
        }),
    }
}

fn add_followed(json: &mut Value, usersets: &[UsersetNode], shown: Shown) {
    if shown == Shown::OneLevel {
        return;
    }
    let followed: Vec<Value> = usersets
        .iter()
        .filter(|userset| userset.expansion != Expansion::NotFollowed)
        .map(expansion_json)
        .collect();
    if !followed.is_empty() {
        json["expanded"] = Value::Array(followed);
    }
}

fn read_node(json: &Value) -> Option<ExpandNode> {
    let all = |nodes: &Value| nodes["nodes"].as_array()?.iter().map(read_node).collect::<Option<Vec<_>>>();
    if let Some(nodes) = json.get("union") {
        return Some(ExpandNode::Union(all(nodes)?));
    }
    if let Some(nodes) = json.get("intersection") {
        return Some(ExpandNode::Intersection(all(nodes)?));
    }
    if let Some(operands) = json.get("difference") {
        let base = read_node(&operands["base"])?;
        return Some(ExpandNode::Exclusion(Box::new(base), Box::new(read_node(&operands["subtract"])?)));
    }
    let leaf = json.get("leaf")?;
    if let Some(computed) = leaf.get("computed") {
        let mut followed = Followed::read(computed)?;
        return Some(ExpandNode::Computed(followed.userset(computed["userset"].as_str()?)?));
    }
    if let Some(arrow) = leaf.get("tupleToUserset") {
        let (_, tupleset) = arrow["tupleset"].as_str()?.split_once('#')?;
        let mut followed = Followed::read(arrow)?;
        let parents = arrow["computed"].as_array()?.iter();
        let parents =
            parents.map(|parent| followed.userset(parent["userset"].as_str()?)).collect::<Option<_>>()?;
        return Some(ExpandNode::Arrow { tupleset: Relation::new(tupleset).ok()?, parents });
    }
    let users = leaf.get("users")?;
    let mut followed = Followed::read(users)?;
    let (mut subjects, mut usersets) = (Vec::new(), Vec::new());
    for user in users["users"].as_array()? {
        match user.as_str()?.parse().ok()? {
            Subject::Userset(..) => usersets.push(followed.userset(user.as_str()?)?),
            subject => subjects.push(subject),
        }
    }
    Some(ExpandNode::Subjects { subjects, usersets })
}

/// The usersets of a leaf that were followed, by their names.
struct Followed(HashMap<String, UsersetNode>);

impl Followed {
    fn read(leaf: &Value) -> Option<Followed> {
        let followed = leaf["expanded"].as_array().map_or(&[][..], Vec::as_slice);
        let read = |json: &Value| read_expansion(json).map(|userset| (name(&userset), userset));
        Some(Followed(followed.iter().map(read).collect::<Option<_>>()?))
    }

    fn userset(&mut self, name: &str) -> Option<UsersetNode> {
        self.0.remove(name).or_else(|| not_followed(name))
    }
}

fn not_followed(name: &str) -> Option<UsersetNode> {
    let (object, relation) = name.split_once('#')?;
    Some(UsersetNode {
        object: object.parse::<Object>().ok()?,
        relation: Relation::new(relation).ok()?,
        expansion: Expansion::NotFollowed,
    })
}
