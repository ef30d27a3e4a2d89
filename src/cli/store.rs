//! `stonetown store`

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::json;

use super::args::{PlaceArgs, StoreArgs, find_store};
use super::exit::Exit;
use super::output::{Misunderstood, Output, form_json, tell};
use crate::api::parse_retention;
use crate::tuple::{Object, Timestamp};

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
    /// Show or set how long a store's past is kept
    Retention(RetentionArgs),
    /// Drop what has ended, and the past that need not be kept; a server does so by itself
    Collect(CollectArgs),
    /// Take one object out of a store's present, past and change log
    Purge(PurgeArgs),
    /// Merge all table files
    Compact(CompactArgs),
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

/// Show or set how long a store's past is kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store retention --data ./data
  stonetown store retention 90d --data ./data
  stonetown store retention forever --store demo --url http://127.0.0.1:8080

Setting it is a revision of its own. What need not be kept any longer goes with the next collection.")]
pub(super) struct RetentionArgs {
    /// `forever`, or a time such as `90d`, `12h` or `1h 30m`
    #[arg(value_name = "TIME|forever")]
    retention: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Drop what has ended, and the past that need not be kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store collect --data ./data
  stonetown store collect --before 2026-11-01T00:00:00Z --data ./data

Tuples that have ended by their expiry are collected, as revisions of their own. Then the past from before the store's
retention is dropped, or from before the time that is given, even if it would be kept longer. The state at that time stays
readable, and so does whatever a running read or watch holds.")]
pub(super) struct CollectArgs {
    /// Drop the past from before this time, RFC 3339
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Take one object out of a store's present, past and change log.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store purge user:anne --data ./data
  stonetown store purge user:anne --compact --data ./data

Every tuple that names it goes, as object, subject or userset; entries of the change log lose their names. Questions about a past
in which it was needed are refused from then on. This cannot be undone. Watchers see one nameless entry: delete the tuples first
where others have to hear of each. The bytes leave the table files when those are merged, at once with --compact, as far as no
running read needs them; the list of files may name it until the directory is opened the next time. Backups and assertions are
not touched.")]
pub(super) struct PurgeArgs {
    /// The object, such as `user:anne`
    #[arg(value_name = "OBJECT")]
    object: Object,
    /// Merge all table files of the data directory at once, so that the bytes leave them
    #[arg(long)]
    compact: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Merge all table files of a data directory: smaller, and faster to read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown store compact --data ./data
  stonetown store compact --url http://127.0.0.1:8080

Of all stores, which share the files. RocksDB merges by itself what is written; this pays after a large import into a store that
held much before, or a large deletion.")]
pub(super) struct CompactArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(command: StoreCommand, out: &mut Output) -> anyhow::Result<Exit> {
    match command {
        StoreCommand::Create(args) => create(args, out),
        StoreCommand::List(args) => list(&args, out),
        StoreCommand::Delete(args) => delete(&args, out),
        StoreCommand::Stats(args) => stats(&args, out),
        StoreCommand::Compact(args) => compact(&args, out),
        StoreCommand::Retention(args) => retention(&args, out),
        StoreCommand::Collect(args) => collect(&args, out),
        StoreCommand::Purge(args) => purge(&args, out),
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

fn compact(args: &CompactArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let target = args.place.open(false)?;
    let bar = ProgressBar::new_spinner().with_message("merging all table files");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let form = target.compact()?;
    bar.finish_and_clear();
    out.print(|| format!("{} bytes in table files", form.file_bytes), || form_json(&form))?;
    Ok(Exit::Yes)
}

fn retention(args: &RetentionArgs, out: &mut Output) -> anyhow::Result<Exit> {
    if let Some(text) = &args.retention {
        parse_retention(text).map_err(Misunderstood::new)?;
    }
    let (target, store) = args.store.open()?;
    let form = match &args.retention {
        Some(text) => target.set_retention(store, text)?,
        None => target.retention(store)?,
    };
    out.print(
        || {
            format!(
                "kept {}; the oldest kept is revision {} of {}",
                form.retention, form.oldest_revision, form.oldest_time
            )
        },
        || form_json(&form),
    )?;
    Ok(Exit::Yes)
}

fn collect(args: &CollectArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    let bar = ProgressBar::new_spinner();
    let collected = target.collect(store, args.before, &mut |done| {
        bar.set_message(format!("{} ended, {} rows of the past", done.expired, done.history));
        bar.tick();
    });
    bar.finish_and_clear();
    let form = collected?;
    out.print(
        || {
            format!(
                "collected {} ended tuples, {} rows of the past, {} changes; the oldest kept is revision {} of {}",
                form.expired, form.history, form.changes, form.oldest_revision, form.oldest_time
            )
        },
        || form_json(&form),
    )?;
    Ok(Exit::Yes)
}

fn purge(args: &PurgeArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    let form = target.purge(store, &args.object, args.compact)?;
    out.print(
        || {
            format!(
                "purged {}: {} tuples, {} rows of the past, {} changes; revision {}",
                args.object, form.tuples, form.history, form.changes, form.revision
            )
        },
        || form_json(&form),
    )?;
    Ok(Exit::Yes)
}
