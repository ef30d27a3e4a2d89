//! Arguments that several commands share.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::output::Misunderstood;
use crate::engine::{At, Engine, Settings};
use crate::tuple::{ObjectRef, SchemaId, StoreId, TupleKey};

/// Which data directory.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// The data directory
    #[arg(long, value_name = "DIR", env = "STONETOWN_DATA")]
    pub(super) data: PathBuf,
}

/// Which store of which data directory.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,

    /// The store, by id or by name; not needed when there is only one
    #[arg(long, value_name = "ID|NAME", env = "STONETOWN_STORE")]
    pub(super) store: Option<String>,
}

/// Which state of the store, and under which schema.
#[derive(Debug, Args)]
pub(super) struct StateArgs {
    /// Ask about the past: a token that an answer printed, or an RFC 3339 time
    #[arg(long, value_name = "TOKEN|TIME")]
    pub(super) at: Option<String>,

    /// The schema to ask under, by id; otherwise the one in force then
    #[arg(long, value_name = "ID")]
    pub(super) schema: Option<SchemaId>,
}

impl DataArgs {
    pub(super) fn open(&self, create: bool) -> anyhow::Result<Engine> {
        let mut settings = Settings::default();
        settings.database.create = create;
        Ok(Engine::open(&self.data, settings)?)
    }
}

impl StoreArgs {
    pub(super) fn open(&self) -> anyhow::Result<(Engine, StoreId)> {
        let engine = self.data.open(false)?;
        let store = find_store(&engine, self.store.as_deref())?;
        Ok((engine, store))
    }
}

impl StateArgs {
    pub(super) fn at(&self) -> anyhow::Result<At> {
        match &self.at {
            Some(text) => Ok(text.parse().map_err(Misunderstood::new)?),
            None => Ok(At::Head),
        }
    }
}

/// A store by id, by name, or because there is no other.
pub(super) fn find_store(engine: &Engine, wanted: Option<&str>) -> anyhow::Result<StoreId> {
    let stores = engine.list_stores();
    let Some(wanted) = wanted else {
        return match stores.as_slice() {
            [store] => Ok(store.id),
            [] => bail!("the data directory has no store: create one with `stonetown store create`"),
            _ => bail!("the data directory has {} stores: say which with `--store`", stores.len()),
        };
    };
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    let named: Vec<_> = stores.iter().filter(|store| store.name.as_deref() == Some(wanted)).collect();
    match named.as_slice() {
        [store] => Ok(store.id),
        [] => {
            bail!("there is no store with id or name `{wanted}`: `stonetown store list` shows what there is")
        }
        _ => bail!("{} stores are named `{wanted}`: give the id of one", named.len()),
    }
}

/// A tuple in one argument or in three.
pub(super) fn parse_tuple(words: &[String]) -> Result<TupleKey, Misunderstood> {
    let help = "give a tuple as `OBJECT#RELATION@SUBJECT`, or as three arguments OBJECT RELATION SUBJECT";
    match words {
        [text] => text.parse().map_err(Misunderstood::new),
        [object, relation, subject] => {
            TupleKey::from_parts(object, relation, subject).map_err(Misunderstood::new)
        }
        _ => Err(Misunderstood::new(help)),
    }
}

/// An object and a relation in one argument or in two.
pub(super) fn parse_object_relation(words: &[String]) -> Result<(ObjectRef<'_>, &str), Misunderstood> {
    let (object, relation) = match words {
        [text] => text.split_once('#').ok_or_else(|| {
            Misunderstood::new(format_args!("`{text}` has no `#`: write `OBJECT#RELATION`"))
        })?,
        [object, relation] => (object.as_str(), relation.as_str()),
        _ => return Err(Misunderstood::new("give `OBJECT#RELATION`, or two arguments OBJECT RELATION")),
    };
    Ok((ObjectRef::parse(object).map_err(Misunderstood::new)?, relation))
}
