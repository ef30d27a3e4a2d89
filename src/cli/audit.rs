//! `stonetown who` and `stonetown what`: the questions of an audit.

use clap::{Args, ValueEnum};

use super::args::{StoreArgs, parse_context, parse_object_relation, parse_permission};
use super::exit::Exit;
use super::output::{Misunderstood, Output, form_json};
use crate::api::{AccessForm, AuditForm};
use crate::engine::{At, AuditQuestion, AuditTime, Context, Permission};
use crate::tuple::{Object, Timestamp};

/// List who can do something on an object: in a state, or at any moment between two times.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown who 'voice:7#viewer' --data ./data
  stonetown who voice:7 viewer --at 2026-11-03T12:00:00Z --data ./data
  stonetown who 'voice:7#viewer' --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z --as csv --data ./data > q1.csv

`user:*` stands for everybody of the type who is not named. Usersets are resolved to people, at any depth. Between two
times there is a line for each stretch of time: since when, within the two times, and until when.")]
pub(super) struct WhoArgs {
    /// OBJECT#RELATION, or OBJECT RELATION
    #[arg(value_name = "OBJECT#RELATION", num_args = 1..=2, required = true)]
    what: Vec<String>,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    store: StoreArgs,
}

/// List what a subject can do: in a state, or at any moment between two times.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown what user:anne --data ./data
  stonetown what user:anne --only voice#viewer --at 2026-11-03T12:00:00Z --data ./data
  stonetown what user:anne --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z --as csv --data ./data")]
pub(super) struct WhatArgs {
    /// The subject
    #[arg(value_name = "SUBJECT")]
    subject: Object,

    /// Only this permission; may be repeated
    #[arg(long, value_name = "TYPE#RELATION", value_parser = parse_permission)]
    only: Vec<Permission>,

    #[command(flatten)]
    time: TimeArgs,

    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
struct TimeArgs {
    /// Ask about the past: a token that an answer printed, or an RFC 3339 time
    #[arg(long, value_name = "TOKEN|TIME", conflicts_with_all = ["from", "to"])]
    at: Option<String>,

    /// At any moment from this time on, RFC 3339
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Timestamp>,

    /// Up to this time
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Timestamp>,

    /// Values of conditions' parameters, as a JSON object; others are unknown
    #[arg(long, value_name = "JSON", value_parser = parse_context)]
    context: Option<Context>,

    /// How it is printed (`--format json` prints the whole answer as JSON)
    #[arg(long = "as", value_enum, default_value_t = Table::Text)]
    table: Table,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// One line each
    Text,
    /// With a head, for spreadsheets
    Csv,
}

pub(super) fn who(args: WhoArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (object, relation) = parse_object_relation(&args.what)?;
    let question = AuditQuestion::Who { object: object.to_owned(), relation: relation.into() };
    ask(&question, args.time, &args.store, out)
}

pub(super) fn what(args: WhatArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let question = AuditQuestion::What { subject: args.subject, only: args.only };
    ask(&question, args.time, &args.store, out)
}

fn ask(
    question: &AuditQuestion,
    args: TimeArgs,
    store: &StoreArgs,
    out: &mut Output,
) -> anyhow::Result<Exit> {
    let time = match (args.at, args.from, args.to) {
        (_, Some(from), Some(to)) if from > to => {
            return Err(Misunderstood::new("`--from` has to be before `--to`").into());
        }
        (_, Some(from), Some(to)) => AuditTime::Between(from, to),
        (Some(at), ..) => AuditTime::At(at.parse().map_err(Misunderstood::new)?),
        _ => AuditTime::At(At::Head),
    };
    let (target, store) = store.open()?;
    let form = target.audit(store, question, &time, &args.context.unwrap_or_default())?;
    if out.is_json() {
        out.line(form_json(&form))?;
        return Ok(Exit::Yes);
    }
    if args.table == Table::Csv {
        print_csv(question, &form, out)?;
        return Ok(Exit::Yes);
    }
    for line in &form.lines {
        out.line(text(line))?;
    }
    out.line(format_args!("{} in all\ntoken {}", form.lines.len(), form.token))?;
    Ok(Exit::Yes)
}

fn text(line: &AccessForm) -> String {
    let mut text = match (&line.subject, &line.object, &line.permission) {
        (Some(subject), ..) => subject.clone(),
        (_, Some(object), Some(permission)) => format!("{object}#{permission}"),
        _ => String::new(),
    };
    if line.answer != "yes" {
        text.push_str(&format!("   {}", line.answer));
    }
    if let Some(since) = &line.since {
        let until = line.until.as_deref().unwrap_or("the end");
        text.push_str(&format!("   from {since} to {until}"));
    }
    text
}

fn print_csv(question: &AuditQuestion, form: &AuditForm, out: &mut Output) -> anyhow::Result<()> {
    out.line("object,permission,subject,answer,since,until")?;
    for line in &form.lines {
        let (object, permission, subject) = match question {
            AuditQuestion::Who { object, relation } => {
                (object.to_string(), relation.to_string(), line.subject.clone().unwrap_or_default())
            }
            AuditQuestion::What { subject, .. } => (
                line.object.clone().unwrap_or_default(),
                line.permission.clone().unwrap_or_default(),
                subject.to_string(),
            ),
        };
        let since = line.since.clone().unwrap_or_default();
        let until = line.until.clone().unwrap_or_default();
        let fields = [object, permission, subject, line.answer.clone(), since, until];
        out.line(fields.map(|field| csv_field(&field)).join(","))?;
    }
    Ok(())
}

/// RFC 4180: in quotes where it has to be.
fn csv_field(field: &str) -> String {
    match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
