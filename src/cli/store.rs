//! `stonetown store`

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::{PlaceArgs, StoreArgs, find_store};
use super::exit::Exit;
use super::output::{Output, form_json, tell};

/// Create, list, delete stores, or show what one holds.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Make a store; the data directory is made when it is not there
    Create(CreateArgs),
    /// List the stores of a data directory or a server
    List(ListArgs),
    /// Delete a store with everything in it
    Delete(DeleteArgs),
    /// Count a store's tuples by type and relation, and show what the data directory takes on disk
    Stats(StatsArgs),
}

/// Make a store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store create --name demo --data ./data
  stonetown store create --name demo --url http://127.0.0.1:8080")]
pub(super) struct CreateArgs {
    /// A name to find it by
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// List the stores of a data directory or a server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store list --data ./data
  stonetown store list --url http://127.0.0.1:8080")]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Delete a store.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store delete demo --data ./data
  stonetown store delete demo --url http://127.0.0.1:8080")]
pub(super) struct DeleteArgs {
    /// The store, by id or by name
    #[arg(value_name = "ID|NAME")]
    store: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show what a store holds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store stats --data ./data
  stonetown store stats --store demo --url http://127.0.0.1:8080")]
pub(super) struct StatsArgs {
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(command: StoreCommand, out: &mut Output) -> anyhow::Result<Exit> {
    match command {
        StoreCommand::Create(args) => create(args, out),
        StoreCommand::List(args) => list(&args, out),
        StoreCommand::Delete(args) => delete(&args, out),
        StoreCommand::Stats(args) => stats(&args, out),
    }
}

fn create(args: CreateArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let store = args.place.open(true)?.create_store(args.name)?;
    out.print(|| store.id.clone(), || form_json(&store))?;
    Ok(Exit::Yes)
}

fn list(args: &ListArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let stores = args.place.open(false)?.list_stores()?;
    if stores.is_empty() {
        tell("no stores: create one with `stonetown store create`");
    }
    for store in stores {
        let name = store.name.clone().unwrap_or_default();
        out.print(|| format!("{}  {}  {name}", store.id, store.created_at), || form_json(&store))?;
    }
    Ok(Exit::Yes)
}

fn delete(args: &DeleteArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let target = args.place.open(false)?;
    let id = find_store(&target, Some(&args.store))?;
    target.delete_store(id)?;
    out.print(|| format!("deleted {id}"), || json!({ "deleted": id.to_string() }))?;
    Ok(Exit::Yes)
}

fn stats(args: &StatsArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    let stats = target.store_stats(store)?;
    out.print(
        || {
            let mut text = format!("store {}", stats.store.id);
            if let Some(name) = &stats.store.name {
                text.push_str(&format!(" `{name}`"));
            }
            text.push_str(&format!("\nrevision {} of {}", stats.revision, stats.committed_at));
            text.push_str(&format!(
                "\nschema {} of {}\n",
                stats.schema.as_deref().unwrap_or("none"),
                stats.schemas
            ));
            for (relation, count) in &stats.tuples {
                text.push_str(&format!("\n{count:>12}  {relation}"));
            }
            text.push_str(&format!("\n{:>12}  tuples\n", stats.tuples.values().sum::<u64>()));
            text.push_str("\n  file bytes  in memory  family (all stores)");
            for (family, size) in &stats.families {
                text.push_str(&format!("\n{:>12} {:>10}  {}", size.file_bytes, size.memory_bytes, family));
            }
            text
        },
        || form_json(&stats),
    )?;
    Ok(Exit::Yes)
}
