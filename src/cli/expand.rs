//! `stonetown expand`

use clap::Args;
use serde_json::{Value, json};

use super::args::{StateArgs, StoreArgs, parse_object_relation};
use super::exit::Exit;
use super::output::Output;
use crate::engine::ExpandRequest;
use crate::eval::{ExpandNode, Expansion, Follow, UsersetNode};

/// Show who stands behind a relation of an object.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown expand 'voice:7#viewer' --data ./data              one level, as OpenFGA answers
  stonetown expand voice:7 viewer --depth 10 --data ./data     down to people, cycles marked")]
pub(super) struct ExpandArgs {
    /// OBJECT#RELATION, or OBJECT RELATION
    #[arg(value_name = "USERSET", num_args = 1..=2, required = true)]
    userset: Vec<String>,

    /// Follow usersets and parents over at most N hops
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    depth: Option<u32>,

    #[command(flatten)]
    state: StateArgs,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: ExpandArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (object, relation) = parse_object_relation(&args.userset)?;
    let at = args.state.at()?;
    let (engine, store) = args.store.open()?;
    let follow = args.depth.map_or(Follow::OneLevel, Follow::Hops);
    let request = ExpandRequest { store, object, relation, follow, schema: args.state.schema, at };
    let answer = engine.expand(request)?;
    let token = engine.seal(&answer.token);
    out.print(
        || {
            let mut lines = Vec::new();
            draw_userset(&answer.root, "", "", &mut lines);
            lines.push(format!("token {token}"));
            lines.join("\n")
        },
        || json!({ "tree": { "root": root_json(&answer.root) }, "token": token }),
    )?;
    Ok(Exit::Yes)
}

/// A node and what hangs below it; `here` leads to the node, `below` to its children.
fn draw(node: &ExpandNode, here: &str, below: &str, lines: &mut Vec<String>) {
    match node {
        ExpandNode::Nobody => lines.push(format!("{here}nobody")),
        ExpandNode::Subjects { subjects, usersets } if subjects.is_empty() && usersets.is_empty() => {
            lines.push(format!("{here}nobody"));
        }
        ExpandNode::Subjects { subjects, usersets } => {
            lines.push(format!("{here}written"));
            let last = subjects.len() + usersets.len() - 1;
            for (at, subject) in subjects.iter().enumerate() {
                lines.push(format!("{below}{}{subject}", if at == last { "└─ " } else { "├─ " }));
            }
            draw_usersets(usersets, below, lines);
        }
        ExpandNode::Computed(userset) => draw_userset(userset, &format!("{here}also "), below, lines),
        ExpandNode::Arrow { tupleset, parents } if parents.is_empty() => {
            lines.push(format!("{here}from {tupleset}: nobody"));
        }
        ExpandNode::Arrow { tupleset, parents } => {
            lines.push(format!("{here}from {tupleset}"));
            draw_usersets(parents, below, lines);
        }
        ExpandNode::Union(nodes) => draw_operator("any of", nodes.iter(), here, below, lines),
        ExpandNode::Intersection(nodes) => draw_operator("all of", nodes.iter(), here, below, lines),
        ExpandNode::Exclusion(base, subtract) => {
            draw_operator(
                "the first but not the second",
                [&**base, &**subtract].into_iter(),
                here,
                below,
                lines,
            );
        }
    }
}

fn draw_userset(userset: &UsersetNode, here: &str, below: &str, lines: &mut Vec<String>) {
    let name = format!("{}#{}", userset.object, userset.relation);
    match &userset.expansion {
        Expansion::Expanded(node) => {
            lines.push(format!("{here}{name}"));
            draw(node, &format!("{below}└─ "), &format!("{below}   "), lines);
        }
        Expansion::NotFollowed => lines.push(format!("{here}{name} …")),
        Expansion::Cycle => lines.push(format!("{here}{name} (cycle)")),
        Expansion::NoRelation => lines.push(format!("{here}{name} (its type has no such relation)")),
    }
}

fn draw_usersets(usersets: &[UsersetNode], below: &str, lines: &mut Vec<String>) {
    for (at, userset) in usersets.iter().enumerate() {
        let (tick, rest) = ticks(at + 1 == usersets.len());
        draw_userset(userset, &format!("{below}{tick}"), &format!("{below}{rest}"), lines);
    }
}

fn draw_operator<'n>(
    name: &str,
    nodes: impl ExactSizeIterator<Item = &'n ExpandNode>,
    here: &str,
    below: &str,
    lines: &mut Vec<String>,
) {
    lines.push(format!("{here}{name}"));
    let count = nodes.len();
    for (at, node) in nodes.enumerate() {
        let (tick, rest) = ticks(at + 1 == count);
        draw(node, &format!("{below}{tick}"), &format!("{below}{rest}"), lines);
    }
}

fn ticks(is_last: bool) -> (&'static str, &'static str) {
    if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") }
}

fn name(userset: &UsersetNode) -> String {
    format!("{}#{}", userset.object, userset.relation)
}

/// The tree in OpenFGA's form; usersets that were followed carry their own tree as `expanded`.
fn root_json(userset: &UsersetNode) -> Value {
    match &userset.expansion {
        Expansion::Expanded(node) => node_json(&name(userset), node),
        _ => json!({ "name": name(userset) }),
    }
}

fn node_json(at: &str, node: &ExpandNode) -> Value {
    let all = |nodes: &[ExpandNode]| nodes.iter().map(|node| node_json(at, node)).collect::<Vec<_>>();
    match node {
        ExpandNode::Nobody => json!({ "name": at, "leaf": { "users": { "users": [] } } }),
        ExpandNode::Subjects { subjects, usersets } => {
            let mut users: Vec<String> = subjects.iter().map(ToString::to_string).collect();
            users.extend(usersets.iter().map(name));
            users.sort();
            let mut leaf = json!({ "users": { "users": users } });
            add_followed(&mut leaf["users"], usersets);
            json!({ "name": at, "leaf": leaf })
        }
        ExpandNode::Computed(userset) => {
            let mut computed = json!({ "userset": name(userset) });
            add_followed(&mut computed, std::slice::from_ref(userset));
            json!({ "name": at, "leaf": { "computed": computed } })
        }
        ExpandNode::Arrow { tupleset, parents } => {
            let object = at.split_once('#').map_or(at, |(object, _)| object);
            let computed: Vec<_> = parents.iter().map(|parent| json!({ "userset": name(parent) })).collect();
            let mut leaf = json!({ "tupleset": format!("{object}#{tupleset}"), "computed": computed });
            add_followed(&mut leaf, parents);
            json!({ "name": at, "leaf": { "tupleToUserset": leaf } })
        }
        ExpandNode::Union(nodes) => json!({ "name": at, "union": { "nodes": all(nodes) } }),
        ExpandNode::Intersection(nodes) => json!({ "name": at, "intersection": { "nodes": all(nodes) } }),
        ExpandNode::Exclusion(base, subtract) => json!({
            "name": at,
            "difference": { "base": node_json(at, base), "subtract": node_json(at, subtract) },
        }),
    }
}

fn add_followed(json: &mut Value, usersets: &[UsersetNode]) {
    let followed: Vec<Value> = usersets
        .iter()
        .filter_map(|userset| match &userset.expansion {
            Expansion::Expanded(_) => Some(root_json(userset)),
            Expansion::Cycle => Some(json!({ "name": name(userset), "cycle": true })),
            Expansion::NotFollowed | Expansion::NoRelation => None,
        })
        .collect();
    if !followed.is_empty() {
        json["expanded"] = Value::Array(followed);
    }
}
