//! `stonetown restore`

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::backup::{describe, spinner, store_line};
use super::exit::Exit;
use super::output::{Misunderstood, Output, form_json};
use crate::api::RestoreForm;
use crate::engine::{At, BackedUpStore, Engine, RestoreRequest, RestoreTo, Settings, list_backups};
use crate::tuple::{Revision, StoreId};

/// Make a new data directory of a backup, as it was or as it had been before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown restore /backups/demo --data ./restored
  stonetown restore /backups/demo --backup 3 --data ./restored
  stonetown restore /backups/demo --at 2026-11-22T14:30:00Z --data ./restored
  stonetown restore /backups/demo --revision 41 --store demo --data ./restored

The backup is verified before, the new directory validated afterwards. Tokens from before are told apart: questions with them
are refused. With --at every store is taken back to the last revision at or before that time, as if nothing had been written
since, and stores that were made later are left out; with --store, that one alone is taken back. How long the past is kept is a
setting, and stays what it was in the backup.

Exit code 0: done; 1: restored, but validation found damage, which is printed.")]
pub(super) struct RestoreArgs {
    /// Where the backups are
    #[arg(value_name = "DIR")]
    place: PathBuf,

    /// The new data directory: not there yet, or empty
    #[arg(long, value_name = "DIR", env = "STONETOWN_DATA")]
    data: PathBuf,

    /// Which backup; otherwise the newest
    #[arg(long, value_name = "ID")]
    backup: Option<u32>,

    /// As it was then: a token that an answer printed, or an RFC 3339 time
    #[arg(long, value_name = "TOKEN|TIME", conflicts_with = "revision")]
    at: Option<String>,

    /// As the store was at this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,

    /// Take only this store back, by id or by name
    #[arg(long, value_name = "ID|NAME")]
    store: Option<String>,

    /// Do not hold the new directory's families against each other
    #[arg(long)]
    no_validate: bool,
}

pub(super) fn run(args: RestoreArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let request =
        RestoreRequest { to: restore_to(&args)?, place: args.place, backup: args.backup, dir: args.data };
    let bar = spinner();
    let work = || -> anyhow::Result<RestoreForm> {
        let restored =
            Engine::restore(&request, Settings::default(), &mut |step| bar.set_message(describe(step)));
        let (engine, answer) = restored?;
        let validation = match args.no_validate {
            true => None,
            false => Some(engine.validate(&mut |family| bar.set_message(format!("reading {family}")))?),
        };
        Ok(RestoreForm::of(&engine, &answer, validation.as_ref()))
    };
    let restored = work();
    bar.finish_and_clear();
    let form = restored?;
    out.print(|| text(&form), || form_json(&form))?;
    let holds = form.validation.as_ref().is_none_or(|seen| seen.findings_total == 0);
    Ok(if holds { Exit::Yes } else { Exit::No })
}

fn text(form: &RestoreForm) -> String {
    let mut text = format!("restored backup {} of {}", form.backup, form.made_at);
    for store in &form.stores {
        text.push_str(&format!(
            "\n{}",
            store_line(&store.id, store.name.as_deref(), store.revision, &store.committed_at)
        ));
        if store.undone > 0 {
            text.push_str(&format!(", {} changes undone", store.undone));
        }
        text.push_str(&format!("\n  token {}", store.token));
    }
    for store in &form.left_out {
        text.push_str(&format!("\nstore {store}: made later, left out"));
    }
    let Some(seen) = &form.validation else { return text + "\nnot validated" };
    for finding in &seen.findings {
        text.push_str(&format!("\n{}: {}", finding.place, finding.problem));
    }
    match seen.findings_total {
        0 => text + "\nvalidated: everything holds",
        total => text + &format!("\nvalidated: {total} findings"),
    }
}

fn restore_to(args: &RestoreArgs) -> anyhow::Result<RestoreTo> {
    if args.store.is_some() && args.at.is_none() && args.revision.is_none() {
        bail!(Misunderstood::new(
            "`--store` needs `--at` or `--revision`: a backup is restored with all of its stores"
        ));
    }
    let at = args.at.as_deref().map(str::parse).transpose().map_err(Misunderstood::new)?;
    let named = args.store.is_some().then(|| find_store(args)).transpose()?;
    Ok(match (at, args.revision) {
        (Some(At::Time(time)), _) => RestoreTo::Time(time, named),
        (Some(At::Token(token)), _) => RestoreTo::Token(token, named),
        (_, Some(revision)) => RestoreTo::Revision(Revision(revision), find_store(args)?),
        (_, None) => RestoreTo::Newest,
    })
}

/// A store of the backup by id, by name, or because there is no other.
fn find_store(args: &RestoreArgs) -> anyhow::Result<StoreId> {
    if let Some(Ok(id)) = args.store.as_deref().map(str::parse) {
        return Ok(id);
    }
    let backups = list_backups(&args.place)?.into_iter();
    let found = backups.rev().find(|backup| {
        args.backup.is_none() || backup.as_ref().is_ok_and(|backup| Some(backup.id) == args.backup)
    });
    let stores = found.context("the backup is not there, or its record is damaged")??.stores;
    let of_name = |store: &&BackedUpStore| args.store.is_none() || store.name == args.store;
    let named: Vec<_> = stores.iter().filter(of_name).collect();
    match (named.as_slice(), &args.store) {
        ([store], _) => Ok(store.id),
        ([], Some(wanted)) => bail!("the backup has no store with id or name `{wanted}`"),
        (_, Some(wanted)) => bail!("{} stores are named `{wanted}`: give the id of one", named.len()),
        (_, None) => bail!("the backup has {} stores: say which with `--store`", named.len()),
    }
}
