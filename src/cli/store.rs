//! `stonetown store`

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::args::{DataArgs, StoreArgs, find_store};
use super::exit::Exit;
use super::output::{Output, tell};
use crate::storage::StoreRecord;

/// Create, list, delete stores, or show what one holds.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Make a store; the data directory is made when it is not there
    Create(CreateArgs),
    /// List the stores of a data directory
    List(ListArgs),
    /// Delete a store with everything in it
    Delete(DeleteArgs),
    /// Count a store's tuples by type and relation, and show what the data directory takes on disk
    Stats(StatsArgs),
}

/// Make a store.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stonetown store create --name demo --data ./data")]
pub(super) struct CreateArgs {
    /// A name to find it by
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// List the stores of a data directory.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Delete a store.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stonetown store delete demo --data ./data")]
pub(super) struct DeleteArgs {
    /// The store, by id or by name
    #[arg(value_name = "ID|NAME")]
    store: String,
    #[command(flatten)]
    data: DataArgs,
}

/// Show what a store holds.
#[derive(Debug, Args)]
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
    let engine = args.data.open(true)?;
    let store = engine.create_store(args.name)?;
    out.print(|| store.id.to_string(), || store_json(&store))?;
    Ok(Exit::Yes)
}

fn list(args: &ListArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let stores = args.data.open(false)?.list_stores();
    if stores.is_empty() {
        tell("no stores: create one with `stonetown store create`");
    }
    for store in stores {
        let name = store.name.clone().unwrap_or_default();
        out.print(|| format!("{}  {}  {name}", store.id, store.created_at), || store_json(&store))?;
    }
    Ok(Exit::Yes)
}

fn delete(args: &DeleteArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let engine = args.data.open(false)?;
    let id = find_store(&engine, Some(&args.store))?;
    let was_there = engine.delete_store(id)?;
    anyhow::ensure!(was_there, "there is no store `{id}`");
    out.print(|| format!("deleted {id}"), || json!({ "deleted": id.to_string() }))?;
    Ok(Exit::Yes)
}

fn stats(args: &StatsArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (engine, store) = args.store.open()?;
    let stats = engine.store_stats(store)?;
    let schema = stats.schema.map(|id| id.to_string());
    out.print(
        || {
            let mut text = format!("store {}", stats.store.id);
            if let Some(name) = &stats.store.name {
                text.push_str(&format!(" `{name}`"));
            }
            text.push_str(&format!("\nrevision {} of {}", stats.revision, stats.committed_at));
            text.push_str(&format!(
                "\nschema {} of {}\n",
                schema.as_deref().unwrap_or("none"),
                stats.schemas
            ));
            for (relation, count) in &stats.tuples {
                text.push_str(&format!("\n{count:>12}  {relation}"));
            }
            text.push_str(&format!("\n{:>12}  tuples\n", stats.tuples.values().sum::<u64>()));
            text.push_str("\n  file bytes  in memory  family (all stores)");
            for size in &stats.families {
                text.push_str(&format!(
                    "\n{:>12} {:>10}  {}",
                    size.file_bytes, size.memory_bytes, size.family
                ));
            }
            text
        },
        || {
            let families: BTreeMap<_, _> = stats
                .families
                .iter()
                .map(|size| {
                    let bytes = json!({ "file_bytes": size.file_bytes, "memory_bytes": size.memory_bytes });
                    (size.family, bytes)
                })
                .collect();
            json!({
                "store": store_json(&stats.store),
                "revision": stats.revision.0,
                "committed_at": stats.committed_at.to_string(),
                "schema": schema,
                "schemas": stats.schemas,
                "tuples": stats.tuples,
                "families": families,
            })
        },
    )?;
    Ok(Exit::Yes)
}

fn store_json(store: &StoreRecord) -> serde_json::Value {
    json!({
        "id": store.id.to_string(),
        "name": store.name,
        "created_at": store.created_at.to_string(),
        "updated_at": store.updated_at.to_string(),
    })
}
