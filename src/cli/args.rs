//! Arguments that several commands share.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::SecretString;

use super::output::Misunderstood;
use super::remote::{Identity, ServerUrl};
use super::target::{Place, Target};
use crate::engine::{At, Context, Permission, StorageError};
use crate::tuple::{ObjectRef, SchemaId, StoreId, TupleKey, TupleRef};

/// Which data directory, or which server.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// The data directory; while a server has it open, that server is asked [env: STONETOWN_DATA]
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    data: Option<PathBuf>,

    /// The server to ask instead, for example http://127.0.0.1:8080 [env: STONETOWN_URL]
    #[arg(long, value_name = "URL")]
    url: Option<ServerUrl>,

    /// A file with the key to show to the server; the key itself may be in STONETOWN_KEY [env: STONETOWN_KEY_FILE]
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    key_file: Option<PathBuf>,

    /// Authorities, in PEM, that the server's certificate may be of; otherwise the system's [env: STONETOWN_CA_FILE]
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    ca_file: Option<PathBuf>,

    /// The certificate, in PEM, to show to a server that asks for one [env: STONETOWN_CERTIFICATE_FILE]
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    certificate_file: Option<PathBuf>,

    /// Its private key, in PEM [env: STONETOWN_CERTIFICATE_KEY_FILE]
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    certificate_key_file: Option<PathBuf>,
}

const SERVER: &str = "How a server is asked";

/// Which store of which data directory or server.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,

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

    /// Ask the newest state, which has to be no older than that of this token: the one your own write printed
    #[arg(long, value_name = "TOKEN", conflicts_with = "at")]
    pub(super) at_least: Option<String>,

    /// The schema to ask under, by id; otherwise the one in force then
    #[arg(long, value_name = "ID")]
    pub(super) schema: Option<SchemaId>,
}

impl PlaceArgs {
    /// The one place that is named: an option wins over the environment.
    pub(super) fn place(&self) -> Result<Place, Misunderstood> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        match (&self.data, &self.url) {
            (Some(dir), _) => Ok(Place::Data(dir.clone())),
            (None, Some(url)) => Ok(Place::Server(url.clone())),
            (None, None) => match (set("STONETOWN_DATA"), set("STONETOWN_URL")) {
                (Some(dir), None) => Ok(Place::Data(dir.into())),
                (None, Some(url)) => {
                    let url = url.to_string_lossy().parse();
                    url.map(Place::Server).map_err(|problem: String| {
                        Misunderstood::new(format_args!("STONETOWN_URL: {problem}"))
                    })
                }
                (Some(_), Some(_)) => Err(Misunderstood::new(
                    "the environment has both STONETOWN_DATA and STONETOWN_URL: say which with `--data <DIR>` or \
                     `--url <URL>`",
                )),
                (None, None) => Err(Misunderstood::new(
                    "say where: `--data <DIR>` for a data directory (or STONETOWN_DATA), or `--url <URL>` for a \
                     server (or STONETOWN_URL)",
                )),
            },
        }
    }

    pub(super) fn open(&self, create: bool) -> anyhow::Result<Target> {
        Target::open(&self.place()?, &self.identity()?, create)
    }

    /// What is shown to a server, and what it has to show.
    fn identity(&self) -> anyhow::Result<Identity> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let file =
            |given: &Option<PathBuf>, name: &str| given.clone().or_else(|| set(name).map(PathBuf::from));
        let read =
            |path: PathBuf| std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()));
        let key = match file(&self.key_file, "STONETOWN_KEY_FILE") {
            Some(path) => Some(read_key(&path)?),
            None => set("STONETOWN_KEY").map(|key| key.to_string_lossy().into_owned().into()),
        };
        let certificate = file(&self.certificate_file, "STONETOWN_CERTIFICATE_FILE");
        let certificate_key = file(&self.certificate_key_file, "STONETOWN_CERTIFICATE_KEY_FILE");
        let certificate = match (certificate, certificate_key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            (None, None) => None,
            _ => {
                let problem = "a certificate and its private key go together: give both `--certificate-file` and \
                               `--certificate-key-file`";
                return Err(Misunderstood::new(problem).into());
            }
        };
        let authorities = file(&self.ca_file, "STONETOWN_CA_FILE").map(read).transpose()?;
        Ok(Identity { key, authorities, certificate })
    }
}

/// The key in a file.
pub(super) fn read_key(file: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(text.trim().into())
}

impl StoreArgs {
    pub(super) fn open(&self) -> anyhow::Result<(Target, StoreId)> {
        let target = self.place.open(false)?;
        let store = find_store(&target, self.store.as_deref())?;
        Ok((target, store))
    }
}

impl StateArgs {
    pub(super) fn at(&self) -> anyhow::Result<At> {
        match (&self.at, &self.at_least) {
            (Some(text), _) => Ok(text.parse().map_err(Misunderstood::new)?),
            (None, Some(token)) => Ok(At::AtLeast(token.clone())),
            (None, None) => Ok(At::Head),
        }
    }
}

/// A store by id, by name, or because there is no other.
pub(super) fn find_store(target: &Target, wanted: Option<&str>) -> anyhow::Result<StoreId> {
    if let Some(Ok(id)) = wanted.map(str::parse) {
        return if target.has_store(id)? { Ok(id) } else { Err(StorageError::NoStore(id).into()) };
    }
    let stores = target.list_stores()?;
    let Some(wanted) = wanted else {
        return match stores.as_slice() {
            [store] => Ok(store.id.parse()?),
            [] => bail!("the data directory has no store: create one with `stonetown store create`"),
            _ => bail!("the data directory has {} stores: say which with `--store`", stores.len()),
        };
    };
    let named: Vec<_> = stores.iter().filter(|store| store.name.as_deref() == Some(wanted)).collect();
    match named.as_slice() {
        [store] => Ok(store.id.parse()?),
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

/// Values of conditions' parameters.
pub(super) fn parse_context(text: &str) -> Result<Context, String> {
    serde_json::from_str(text).map(Context::new).map_err(|_| {
        "write a JSON object of parameters and their values, such as `{\"ip\": \"10.0.0.1\"}`".to_owned()
    })
}

/// `TYPE#RELATION`.
pub(super) fn parse_permission(text: &str) -> Result<Permission, String> {
    let wrong = || format!("`{text}`: write `TYPE#RELATION`, such as `voice#viewer`");
    let (of, relation) = text.split_once('#').ok_or_else(wrong)?;
    // Any id does: it is the names that have to be right.
    let parsed =
        TupleRef::from_parts("x:x", relation, "x:x").is_ok() && ObjectRef::parse(&format!("{of}:x")).is_ok();
    if parsed { Ok((of.into(), relation.into())) } else { Err(wrong()) }
}
