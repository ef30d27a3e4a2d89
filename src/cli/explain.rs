//! `stonetown explain`

use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::{StateArgs, StoreArgs, parse_context, parse_tuple};
use super::check::since_text;
use super::exit::Exit;
use super::output::{Output, form_json};
use crate::api::{ExplanationForm, ProofForm, WhyForm, WrittenForm};
use crate::engine::{Context, ExplainRequest, Given};
use crate::tuple::Tuple;

/// Say why an answer is yes, or what is missing when it is no.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown explain 'voice:7#viewer@user:anne' --data ./data
  stonetown explain 'voice:7#viewer@user:anne' --data ./data --at 2026-11-03T12:00:00Z
  stonetown explain 'voice:7#viewer@user:anne' --proofs 3 --data ./data
  stonetown explain 'voice:7#viewer@user:anne' --as dot --data ./data | dot -Tsvg > why.svg
  stonetown explain 'voice:7#viewer@user:anne' --url http://127.0.0.1:8080 --format json

A yes: the proof, which is tuples over which alone the answer is yes, how it follows from them, and which tuples must stay
absent. A no: what stands in the way, and the nearest sets of changes that would make it yes, none with a part to spare.

Exit code 0: the answer is yes; 1: it is no, or hangs on a condition that cannot be told; 3: there is no answer.")]
pub(super) struct ExplainArgs {
    /// OBJECT#RELATION@SUBJECT, or OBJECT RELATION SUBJECT
    #[arg(value_name = "TUPLE", num_args = 1..=3, required = true)]
    tuple: Vec<String>,

    /// A tuple that counts for this question alone; may be repeated
    #[arg(long = "with", value_name = "TUPLE")]
    contextual: Vec<Tuple>,

    /// Values of conditions' parameters, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse_context)]
    context: Option<Context>,

    /// Most proofs of a yes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=100))]
    proofs: u64,

    /// Most near misses of a no
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=100))]
    misses: u64,

    /// How it is drawn
    #[arg(long = "as", value_enum, default_value_t = Drawn::Tree)]
    drawn: Drawn,

    #[command(flatten)]
    state: StateArgs,

    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Drawn {
    /// Text, indented
    Tree,
    /// Graphviz
    Dot,
}

pub(super) fn run(args: ExplainArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let tuple = parse_tuple(&args.tuple)?;
    let at = args.state.at()?;
    let (target, store) = args.store.open()?;
    let request = ExplainRequest {
        tuple: tuple.as_ref(),
        proofs_max: args.proofs as usize,
        misses_max: args.misses as usize,
    };
    let given = Given { tuples: args.contextual, context: args.context.unwrap_or_default() };
    let (form, token) = target.explain(store, args.state.schema, &at, &request, &given)?;
    out.print(
        || match args.drawn {
            Drawn::Tree => format!("{}\ntoken {token}", text(&form)),
            Drawn::Dot => dot(&form, &tuple.to_string()),
        },
        || {
            let mut json = form_json(&form);
            json["token"] = json!(token);
            json
        },
    )?;
    Ok(if form.answer == "yes" { Exit::Yes } else { Exit::No })
}

fn text(form: &ExplanationForm) -> String {
    let mut lines = vec![form.answer.clone()];
    if let Some(period) = &form.period {
        // What else changed in that revision does not matter here.
        lines.push(since_text(period).lines().next().unwrap_or_default().to_owned());
    }
    for (number, proof) in form.proofs.iter().enumerate() {
        lines.push(match form.proofs.len() {
            1 => "because".to_owned(),
            _ => format!("because, {}", number + 1),
        });
        proof_text(proof, &mut lines);
    }
    if form.more_proofs && !form.proofs.is_empty() {
        lines.push("there may be more proofs: `--proofs N` shows up to N".to_owned());
    }
    for block in &form.blocks {
        lines.push(format!("in the way: {}", block.text));
        lines.extend(block.tuples.iter().map(|it| format!("  {}", written_text(it))));
    }
    for (number, miss) in form.near_misses.iter().enumerate() {
        let trivial = if miss.trivial { " (the answer itself)" } else { "" };
        lines.push(format!("it would be yes, {}{trivial}", number + 1));
        lines.extend(miss.writes.iter().map(|it| format!("  with    {it}")));
        lines.extend(miss.deletes.iter().map(|it| format!("  without {it}")));
    }
    if form.answer != "yes" && form.near_misses.is_empty() {
        lines.push("no small set of changes was found that would make it yes".to_owned());
    }
    if form.more_near_misses && !form.near_misses.is_empty() {
        lines.push("there may be other ways: `--misses N` shows up to N".to_owned());
    }
    lines.join("\n")
}

fn proof_text(proof: &ProofForm, lines: &mut Vec<String>) {
    why_text(&proof.why, 1, lines);
    if !proof.absent.is_empty() {
        lines.push("  as long as these are absent".to_owned());
        lines.extend(proof.absent.iter().map(|it| format!("    {it}")));
    }
    if !proof.despite.is_empty() {
        lines.push("  despite these, which others make up for".to_owned());
        lines.extend(proof.despite.iter().map(|it| format!("    {it}")));
    }
}

fn written_text(written: &WrittenForm) -> String {
    match &written.time {
        Some(time) => format!("{}   revision {}, {time}", written.tuple, written.revision),
        None => format!("{}   revision {}", written.tuple, written.revision),
    }
}

fn why_text(why: &WhyForm, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match why {
        WhyForm::Holds { relation, rule, by } => {
            lines.push(match rule.is_empty() {
                true => format!("{indent}{relation}"),
                false => format!("{indent}{relation}: {rule}"),
            });
            by.iter().for_each(|why| why_text(why, depth + 1, lines));
        }
        WhyForm::Named(written) => lines.push(format!("{indent}{}", written_text(written))),
        WhyForm::Over { tuple, then } => {
            lines.push(format!("{indent}{}", written_text(tuple)));
            why_text(then, depth + 1, lines);
        }
        WhyForm::Again(relation) => lines.push(format!("{indent}{relation}: as above")),
        WhyForm::Itself => lines.push(format!("{indent}it is this very userset")),
        WhyForm::NotTaken { object, taken } => lines.push(format!("{indent}not {taken} of {object}")),
    }
}

/// The proofs, or the near misses, as a graph.
fn dot(form: &ExplanationForm, question: &str) -> String {
    let mut graph = Graph { lines: vec!["digraph why {".to_owned(), "  rankdir=LR".to_owned()], nodes: 0 };
    let root = graph.node(&format!("{question}\n{}", form.answer), "box");
    for proof in &form.proofs {
        graph.why(&proof.why, root);
        for absent in &proof.absent {
            let node = graph.node(&format!("absent\n{absent}"), "note");
            graph.edge(root, node, " [style=dashed]");
        }
    }
    for block in &form.blocks {
        let node = graph.node(&block.text, "octagon");
        graph.edge(root, node, "");
    }
    for miss in &form.near_misses {
        let writes = miss.writes.iter().map(|it| format!("with {it}"));
        let deletes = miss.deletes.iter().map(|it| format!("without {it}"));
        let text = writes.chain(deletes).collect::<Vec<_>>().join("\n");
        let node = graph.node(&text, "note");
        graph.edge(root, node, " [style=dashed]");
    }
    graph.lines.push("}".to_owned());
    graph.lines.join("\n")
}

struct Graph {
    lines: Vec<String>,
    nodes: usize,
}

impl Graph {
    fn node(&mut self, text: &str, shape: &str) -> usize {
        let number = self.nodes;
        self.nodes += 1;
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        self.lines.push(format!("  n{number} [shape={shape}, label=\"{text}\"]"));
        number
    }

    fn edge(&mut self, from: usize, to: usize, style: &str) {
        self.lines.push(format!("  n{from} -> n{to}{style}"));
    }

    fn why(&mut self, why: &WhyForm, from: usize) {
        let node = match why {
            WhyForm::Holds { relation, rule, by } => {
                let node = self.node(&format!("{relation}\n{rule}"), "ellipse");
                by.iter().for_each(|why| self.why(why, node));
                node
            }
            WhyForm::Over { tuple, then } => {
                let node = self.node(&tuple.tuple, "plaintext");
                self.why(then, node);
                node
            }
            WhyForm::Named(written) => self.node(&written.tuple, "plaintext"),
            WhyForm::Again(relation) => self.node(&format!("{relation}\nas above"), "ellipse"),
            WhyForm::Itself => self.node("this very userset", "plaintext"),
            WhyForm::NotTaken { object, taken } => {
                self.node(&format!("not {taken}\nof {object}"), "plaintext")
            }
        };
        self.edge(from, node, "");
    }
}
