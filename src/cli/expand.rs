//! `stonetown expand`

use clap::Args;
use serde_json::json;

use super::args::{StateArgs, StoreArgs, parse_object_relation};
use super::exit::Exit;
use super::output::Output;
use crate::api::expansion_json;
use crate::engine::ExpandRequest;
use crate::eval::{ExpandNode, Expansion, Follow, UsersetNode};

/// Show who stands behind a relation of an object.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown expand 'voice:7#viewer' --data ./data              one level, as OpenFGA answers
  stonetown expand voice:7 viewer --depth 10 --data ./data     down to people, cycles marked
  stonetown expand 'voice:7#viewer' --url http://127.0.0.1:8080")]
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
    let (target, store) = args.store.open()?;
    let follow = args.depth.map_or(Follow::OneLevel, Follow::Hops);
    let request = ExpandRequest { store, object, relation, follow, schema: args.state.schema, at };
    let answer = target.expand(request)?;
    let token = answer.token;
    out.print(
        || {
            let mut lines = Vec::new();
            draw_userset(&answer.root, "", "", &mut lines);
            lines.push(format!("token {token}"));
            lines.join("\n")
        },
        || json!({ "tree": { "root": expansion_json(&answer.root) }, "token": token }),
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
