//! `stonetown check`

use clap::Args;
use serde_json::json;

use super::args::{StateArgs, StoreArgs, parse_context, parse_tuple};
use super::exit::Exit;
use super::output::{Output, form_json};
use crate::api::{MomentForm, PeriodForm};
use crate::engine::{CheckRequest, Context, Given};
use crate::tuple::Tuple;

/// Ask whether a subject holds a relation on an object.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown check 'voice:7#viewer@user:anne' --data ./data
  stonetown check voice:7 viewer user:anne --data ./data --at 2026-11-17T09:00:00Z
  stonetown check 'voice:7#viewer@user:bob' --with 'org:acme#user@user:bob' --data ./data
  stonetown check 'voice:7#viewer@user:anne' --data ./data --at 2026-11-03T12:00:00Z --period
  stonetown check 'voice:7#viewer@user:anne' --context '{\"ip\": \"10.0.0.1\"}' --data ./data
  stonetown check 'voice:7#viewer@user:anne' --url http://127.0.0.1:8080

Prints yes or no; exit code 0 is yes, 1 is no, 3 means there is no answer.")]
pub(super) struct CheckArgs {
    /// OBJECT#RELATION@SUBJECT, or OBJECT RELATION SUBJECT
    #[arg(value_name = "TUPLE", num_args = 1..=3, required = true)]
    tuple: Vec<String>,

    /// A tuple that counts for this question alone; may be repeated
    #[arg(long = "with", value_name = "TUPLE")]
    contextual: Vec<Tuple>,

    /// Values of conditions' parameters, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = parse_context)]
    context: Option<Context>,

    /// Also print since when and until when the answer is the same, and what made it another one
    #[arg(long)]
    period: bool,

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
    let request = CheckRequest {
        store,
        tuple: tuple.as_ref(),
        schema: args.state.schema,
        given: Given { tuples: args.contextual, context: args.context.unwrap_or_default() },
        at,
    };
    let answer = target.check(&request, args.period)?;
    let (token, work) = (answer.token, answer.work);
    out.print(
        || {
            let mut text = if answer.allowed { "yes" } else { "no" }.to_owned();
            if let Some(period) = &answer.period {
                text.push_str(&period_text(period));
            }
            text.push_str(&format!("\ntoken {token}"));
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
            if let Some(period) = &answer.period {
                json["period"] = form_json(period);
            }
            if args.stats {
                json["work"] = json!({ "gets": work.gets, "scans": work.scans, "rows": work.rows });
            }
            json
        },
    )?;
    Ok(if answer.allowed { Exit::Yes } else { Exit::No })
}

/// Since when, with the changes that made it so.
pub(super) fn since_text(period: &PeriodForm) -> String {
    match &*period.since.cause {
        "beginning" => format!("since the store was made, {}", period.since.time),
        "collected" | "purged" => format!("at least {}", moment_text("since", &period.since)),
        _ => moment_text("since", &period.since),
    }
}

/// Two paragraphs: since when, and until when.
fn period_text(period: &PeriodForm) -> String {
    let since = since_text(period);
    let until = match &period.until {
        None => "until now, and nothing is known that will change it".to_owned(),
        Some(until) if until.cause == "purged" => format!("at least {}", moment_text("until", until)),
        Some(until) => moment_text("until", until),
    };
    format!("\n{since}\n{until}")
}

fn moment_text(word: &str, moment: &MomentForm) -> String {
    let MomentForm { time, revision, cause, changes } = moment;
    let why = match (&**cause, revision) {
        ("expiry", _) => "a tuple ends".to_owned(),
        ("schema", Some(revision)) => format!("another schema, revision {revision}"),
        ("collected", Some(revision)) => format!("the oldest that is kept, revision {revision}"),
        ("purged", Some(revision)) => format!("what lies beyond is purged, revision {revision}"),
        (_, Some(revision)) => format!("revision {revision}"),
        (_, None) => String::new(),
    };
    let mut text = format!("{word} {time}, {why}");
    for change in changes {
        let key = &change["tuple_key"];
        let part = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let kind = change["kind"].as_str().unwrap_or_default();
        text.push_str(&format!("\n  {kind} {}#{}@{}", part("object"), part("relation"), part("user")));
    }
    text
}
