//! `stonetown read`

use std::ops::ControlFlow;

use clap::Args;
use serde_json::{Value, json};

use super::args::StoreArgs;
use super::exit::Exit;
use super::output::{Misunderstood, Output};
use crate::engine::{At, ReadRequest};
use crate::storage::TupleFilter;
use crate::tuple::Tuple;

/// Print stored tuples, without evaluating anything.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown read --data ./data                                everything
  stonetown read 'voice:7' --data ./data                      of one object
  stonetown read 'voice:#viewer@user:anne' --data ./data      of a type, a relation, a subject
  stonetown read '@user:anne' --at 2026-11-17T09:00:00Z --data ./data
  stonetown read 'voice:7' --url http://127.0.0.1:8080        from a server

Text output can be read back with `stonetown write --file -  --input-format text`.")]
pub(super) struct ReadArgs {
    /// Which tuples: [TYPE:[ID]][#RELATION][@SUBJECT]
    #[arg(value_name = "FILTER", default_value = "")]
    filter: TupleFilter,

    /// Print at most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Ask about the past: a token that an answer printed, or an RFC 3339 time
    #[arg(long, value_name = "TOKEN|TIME")]
    at: Option<String>,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: ReadArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let at = args.at.as_deref().map_or(Ok(At::Head), str::parse).map_err(Misunderstood::new)?;
    let (target, store) = args.store.open()?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut result = Ok(());
    target.read(ReadRequest { store, filter: args.filter, after: None, at }, &mut |tuple| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        result = out.print(|| tuple.to_string(), || tuple_json(tuple));
        if result.is_err() || out.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    result.map(|()| Exit::Yes)
}

/// A tuple in the form that `write --file` reads from JSON lines.
pub(super) fn tuple_json(tuple: &Tuple) -> Value {
    let mut json = json!({
        "object": tuple.key.object.to_string(),
        "relation": tuple.key.relation.as_str(),
        "user": tuple.key.subject.to_string(),
    });
    if let Some(condition) = &tuple.condition {
        // The stored context is JSON; it was read as such when it was written.
        let context: Value = serde_json::from_str(condition.context().as_str()).unwrap_or_default();
        json["condition"] = json!({ "name": condition.name(), "context": context });
    }
    if let Some(expires_at) = tuple.expires_at {
        json["expires_at"] = json!(expires_at.to_string());
    }
    json
}
