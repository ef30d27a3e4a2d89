//! `stonetown check`

use clap::Args;
use serde_json::json;

use super::args::{StateArgs, StoreArgs, parse_tuple};
use super::exit::Exit;
use super::output::Output;
use crate::engine::CheckRequest;
use crate::tuple::Tuple;

/// Ask whether a subject holds a relation on an object.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown check 'voice:7#viewer@user:anne' --data ./data
  stonetown check voice:7 viewer user:anne --data ./data --at 2026-11-17T09:00:00Z
  stonetown check 'voice:7#viewer@user:bob' --with 'org:acme#user@user:bob' --data ./data
  stonetown check 'voice:7#viewer@user:anne' --url http://127.0.0.1:8080

Prints yes or no; exit code 0 is yes, 1 is no, 3 means there is no answer.")]
pub(super) struct CheckArgs {
    /// OBJECT#RELATION@SUBJECT, or OBJECT RELATION SUBJECT
    #[arg(value_name = "TUPLE", num_args = 1..=3, required = true)]
    tuple: Vec<String>,

    /// A tuple that counts for this question alone; may be repeated
    #[arg(long = "with", value_name = "TUPLE")]
    contextual: Vec<Tuple>,

    /// Also print how many look-ups, scans and rows the answer took
    #[arg(long)]
    stats: bool,

    #[command(flatten)]
    state: StateArgs,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: CheckArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let tuple = parse_tuple(&args.tuple)?;
    let at = args.state.at()?;
    let (target, store) = args.store.open()?;
    let answer = target.check(CheckRequest {
        store,
        tuple: tuple.as_ref(),
        schema: args.state.schema,
        contextual: args.contextual,
        at,
    })?;
    let (token, work) = (answer.token, answer.work);
    out.print(
        || {
            let mut text = format!("{}\ntoken {token}", if answer.allowed { "yes" } else { "no" });
            if args.stats {
                text.push_str(&format!("\ngets {} scans {} rows {}", work.gets, work.scans, work.rows));
            }
            text
        },
        || {
            let mut json = json!({
                "allowed": answer.allowed,
                "token": token,
                "schema": answer.schema,
            });
            if args.stats {
                json["work"] = json!({ "gets": work.gets, "scans": work.scans, "rows": work.rows });
            }
            json
        },
    )?;
    Ok(if answer.allowed { Exit::Yes } else { Exit::No })
}
