//! Keys and issuers of tokens, as they stand in the file of settings. Secrets are not: they are in files of their own, or in the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::super::args::read_key;
use super::super::output::Misunderstood;
use super::file::AccessStated;
use crate::api::{
    AccessSettings, ClaimGrant, Grant, IssuerSettings, KeySettings, Reread, Rights, Stores, is_safe_url,
};

/// A shorter key could be guessed.
const SECRET_BYTES_MIN: usize = 16;
const REFRESH_EVERY: Duration = Duration::from_secs(600);
const REFRESH_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyForm {
    name: String,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    stores: Vec<String>,
    rights: Vec<String>,
}

/// Rights in stores, as they are written.
#[derive(Debug)]
struct GrantForm<'f> {
    stores: &'f [String],
    rights: &'f [String],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerForm {
    issuer: String,
    audience: Vec<String>,
    grants: Vec<ClaimGrantForm>,
    refresh_every: Option<String>,
    refresh_pause: Option<String>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimGrantForm {
    claim: Option<String>,
    value: Option<String>,
    stores: Vec<String>,
    rights: Vec<String>,
}

impl GrantForm<'_> {
    fn read(&self) -> anyhow::Result<Grant> {
        let stores = match self.stores {
            [] => bail!("`stores` names none: write their ids, or [\"*\"] for all"),
            [all] if all == "*" => Stores::All,
            ids => {
                let id = |id: &String| {
                    id.parse().map_err(|_| {
                        anyhow::anyhow!("`stores`: `{id}` is no id of a store, nor [\"*\"] for all")
                    })
                };
                Stores::Only(ids.iter().map(id).collect::<Result<_, _>>()?)
            }
        };
        if self.rights.is_empty() {
            bail!("`rights` names none");
        }
        let mut rights = Vec::new();
        for name in self.rights {
            let named: Rights = name.parse().map_err(|problem| anyhow::anyhow!("`rights`: {problem}"))?;
            rights.extend(crate::api::Right::ALL.into_iter().filter(|right| named.has(*right)));
        }
        Ok(Grant { stores, rights: rights.into_iter().collect() })
    }
}

impl KeyForm {
    pub(super) fn file(&self) -> Option<&PathBuf> {
        self.secret_file.as_ref()
    }

    fn read(&self) -> anyhow::Result<KeySettings> {
        let secret = match (&self.secret_file, &self.secret_env) {
            (Some(file), None) => read_key(file)?,
            (None, Some(name)) => {
                // Why it is no text would show it.
                let secret = std::env::var(name).ok();
                let missing = || format!("`secret_env`: {name} is not in the environment, or no text");
                SecretString::from(secret.with_context(missing)?)
            }
            _ => bail!("one of `secret_file` and `secret_env` says where its secret is"),
        };
        Ok(KeySettings { name: self.name.clone(), secret, grant: self.grant().read()? })
    }

    fn grant(&self) -> GrantForm<'_> {
        GrantForm { stores: &self.stores, rights: &self.rights }
    }

    /// Where its secret is, for people.
    pub(super) fn describe(&self) -> String {
        let secret = match (&self.secret_file, &self.secret_env) {
            (Some(file), _) => format!("secret_file = {:?}", file.display().to_string()),
            (_, Some(name)) => format!("secret_env = {name:?}"),
            _ => String::new(),
        };
        format!("name = {:?}\n{secret}\n{}", self.name, self.grant().describe())
    }
}

impl GrantForm<'_> {
    fn describe(&self) -> String {
        format!("stores = {:?}\nrights = {:?}", self.stores, self.rights)
    }
}

impl ClaimGrantForm {
    fn grant(&self) -> GrantForm<'_> {
        GrantForm { stores: &self.stores, rights: &self.rights }
    }
}

impl IssuerForm {
    pub(super) fn file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }

    pub(super) fn describe(&self) -> String {
        let mut text = format!("issuer = {:?}\naudience = {:?}", self.issuer, self.audience);
        let ca_file = self.ca_file.as_ref().map(|file| file.display().to_string());
        for (name, value) in [
            ("refresh_every", &self.refresh_every),
            ("refresh_pause", &self.refresh_pause),
            ("ca_file", &ca_file),
        ] {
            if let Some(value) = value {
                text.push_str(&format!("\n{name} = {value:?}"));
            }
        }
        for grant in &self.grants {
            text.push_str("\n[[issuers.grants]]\n");
            if let (Some(claim), Some(value)) = (&grant.claim, &grant.value) {
                text.push_str(&format!("claim = {claim:?}\nvalue = {value:?}\n"));
            }
            text.push_str(&grant.grant().describe());
        }
        text
    }

    fn read(&self) -> anyhow::Result<IssuerSettings> {
        if !is_safe_url(&self.issuer) {
            bail!("`issuer`: `{}` is no https URL", self.issuer);
        }
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            bail!(
                "`audience` has to name for whom its tokens are: any other server's would be taken otherwise"
            );
        }
        if self.grants.is_empty() {
            bail!("it has no [[issuers.grants]]: whoever has a token of it could do nothing");
        }
        let grant = |form: &ClaimGrantForm| {
            if form.claim.is_some() != form.value.is_some() {
                bail!("a grant has `claim` and `value`, or none of them");
            }
            let (claim, value) = (form.claim.clone(), form.value.clone().unwrap_or_default());
            Ok(ClaimGrant { claim, value, grant: form.grant().read()? })
        };
        let time = |name: &str, text: &Option<String>, usual: Duration| match text {
            None => Ok(usual),
            Some(text) => match humantime::parse_duration(text) {
                Ok(time) if !time.is_zero() => Ok(time),
                _ => bail!("`{name}`: `{text}` is no time such as `10m`"),
            },
        };
        let authorities = self.ca_file.as_ref().map(|file| {
            let pem = std::fs::read(file);
            let pem = pem.with_context(|| format!("`ca_file`: cannot read `{}`", file.display()))?;
            match CertificateDer::pem_slice_iter(&pem).next() {
                Some(Ok(_)) => Ok(pem),
                _ => bail!("`ca_file`: `{}` holds no certificate in PEM", file.display()),
            }
        });
        Ok(IssuerSettings {
            issuer: self.issuer.clone(),
            audiences: self.audience.clone(),
            grants: self.grants.iter().map(grant).collect::<Result<_, _>>()?,
            refresh_every: time("refresh_every", &self.refresh_every, REFRESH_EVERY)?,
            refresh_pause: time("refresh_pause", &self.refresh_pause, REFRESH_PAUSE)?,
            authorities: authorities.transpose()?,
        })
    }
}

/// Reads what the forms say, and the secrets that they name.
pub(super) fn read(keys: &[KeyForm], issuers: &[IssuerForm]) -> anyhow::Result<AccessSettings> {
    let key = |key: &KeyForm| key.read().with_context(|| format!("key `{}`", key.name));
    let issuer = |issuer: &IssuerForm| issuer.read().with_context(|| format!("issuer `{}`", issuer.issuer));
    let access = AccessSettings {
        keys: keys.iter().map(key).collect::<Result<_, _>>()?,
        issuers: issuers.iter().map(issuer).collect::<Result<_, _>>()?,
        reread: None,
    };
    look_at_keys(&access)?;
    for (at, issuer) in access.issuers.iter().enumerate() {
        if access.issuers[..at].iter().any(|other| other.issuer == issuer.issuer) {
            bail!("issuer `{}`: it is there twice: put all its grants into one", issuer.issuer);
        }
    }
    Ok(access)
}

/// What the file of settings says, and a key in a file of its own whose holder may do everything.
pub(super) fn with_admin(
    mut access: AccessSettings,
    admin_key_file: Option<&Path>,
) -> anyhow::Result<AccessSettings> {
    if let Some(file) = admin_key_file {
        let secret = read_key(file).context("--admin-key-file")?;
        access.keys.push(KeySettings { name: "admin".to_owned(), secret, grant: Grant::everything() });
    }
    look_at_keys(&access)?;
    Ok(access)
}

/// Where it stands who may call.
#[derive(Debug, Clone)]
pub(super) struct AccessFiles {
    /// The file of settings, and the settings that there are.
    pub(super) config: Option<(PathBuf, Vec<String>)>,
    /// The file of the admin's key, where the file of settings has no say in it.
    pub(super) admin_key: Option<PathBuf>,
}

impl AccessFiles {
    /// How it is read anew; none: a part of it comes out of a pipe, and that can be read once.
    pub(super) fn reread(self) -> Option<Reread> {
        self.stated().ok()?;
        Some(Reread::new(move || self.read().map_err(|error| format!("{error:#}"))))
    }

    fn read(&self) -> anyhow::Result<AccessSettings> {
        let (stated, admin_key) = self.stated()?;
        let access = stated.as_ref().map(AccessStated::access).transpose()?;
        with_admin(access.unwrap_or_default(), admin_key.as_deref())
    }

    /// What the file of settings says, and the file of the admin's key.
    ///
    /// # Errors
    /// A file that would have to be read is none: whoever reads a pipe waits until somebody writes it.
    fn stated(&self) -> anyhow::Result<(Option<AccessStated>, Option<PathBuf>)> {
        let look_at = |file: &PathBuf| match file.exists() && !file.is_file() {
            true => bail!("`{}` is no file", file.display()),
            false => Ok(()),
        };
        let read = |(file, names): &(PathBuf, Vec<String>)| {
            look_at(file)?;
            AccessStated::read(file, names)
        };
        let stated = self.config.as_ref().map(read).transpose()?;
        let named = stated.as_ref().and_then(|stated| stated.admin_key.clone());
        let admin_key = self.admin_key.clone().or(named);
        stated.iter().flat_map(AccessStated::files).chain(&admin_key).try_for_each(look_at)?;
        Ok((stated, admin_key))
    }
}

/// Whether keys can be told from each other, and not be guessed.
fn look_at_keys(access: &AccessSettings) -> Result<(), Misunderstood> {
    let wrong = |key: &KeySettings, problem: &str| {
        Err(Misunderstood::new(format_args!("key `{}`: {problem}", key.name)))
    };
    for (at, key) in access.keys.iter().enumerate() {
        let secret = key.secret.expose_secret();
        let before = &access.keys[..at];
        if key.name.is_empty() || key.name.contains(char::is_control) {
            return wrong(key, "its name has to be a text, for the logs");
        }
        if before.iter().any(|other| other.name == key.name) {
            return wrong(key, "there are two of this name");
        }
        if secret.len() < SECRET_BYTES_MIN {
            return wrong(
                key,
                &format!("its secret has {} bytes: it needs at least {SECRET_BYTES_MIN}", secret.len()),
            );
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return wrong(key, "its secret has to be visible ASCII characters, without blanks");
        }
        if let Some(other) = before.iter().find(|other| other.secret.expose_secret() == secret) {
            return wrong(key, &format!("it has the same secret as `{}`", other.name));
        }
    }
    Ok(())
}
