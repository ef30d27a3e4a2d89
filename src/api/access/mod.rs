//! Who may call, and what. A request shows a key, or a token of an OpenID provider, as `Authorization: Bearer`. It is looked at before
//! anything else of the request is.

mod issuer;
mod keys;
mod rights;
mod settings;
mod tokens;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::http::{HeaderMap, header};

use super::error::{ApiError, Code};
use super::files::Stamps;
use super::verb::{Need, Verb};
use keys::Keys;
use tokens::Tokens;

pub use issuer::is_safe_url;
pub use rights::{Grant, Right, Rights, Stores};
pub use settings::{AccessSettings, ClaimGrant, IssuerSettings, KeySettings, Reread};

/// Who calls.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// In logs: the name of a key, or issuer and subject of a token.
    pub(super) name: Arc<str>,
    grants: Arc<[Grant]>,
}

impl Caller {
    /// Whether all that a request needs is granted.
    ///
    /// # Errors
    /// It is not; it says what is missing.
    pub(super) fn permit(&self, verb: &Verb<'_>) -> Result<(), ApiError> {
        let store = verb.store.unwrap_or_default();
        let missing = match verb.need {
            Need::Nothing | Need::Anybody => None,
            Need::Any => (!self.sees(store)).then(|| "any right of this store".to_owned()),
            Need::Rights(rights) => {
                let missing = rights.iter().find(|right| !self.may(**right, store));
                missing.map(|right| format!("the right `{}` of this store", right.name()))
            }
            Need::Server(right) => {
                let is_granted = self.grants.iter().any(|grant| grant.gives_of_server(right));
                (!is_granted).then(|| format!("the right `{}` of the whole server", right.name()))
            }
        };
        match missing {
            None => Ok(()),
            Some(missing) => {
                Err(ApiError::new(Code::Forbidden, format!("`{}` has not {missing}", self.name)))
            }
        }
    }

    /// Whether somebody has a right of a store.
    pub(super) fn may(&self, right: Right, store: &str) -> bool {
        self.grants.iter().any(|grant| grant.gives(Some(right), store))
    }

    /// Whether somebody has any right of a store.
    pub(super) fn sees(&self, store: &str) -> bool {
        self.grants.iter().any(|grant| !grant.rights.is_empty() && grant.gives(None, store))
    }
}

/// Everybody who may call.
#[derive(Debug)]
pub(super) struct Access {
    current: RwLock<Arc<Holders>>,
    /// What `current` was made of.
    source: Mutex<Source>,
    /// Whether the keys of all issuers that were named at the start have been at hand.
    was_ready: AtomicBool,
}

/// Everybody who may call, for a time.
#[derive(Debug)]
struct Holders {
    keys: Keys,
    tokens: Tokens,
}

#[derive(Debug)]
struct Source {
    settings: AccessSettings,
    files: Stamps,
}

impl Access {
    /// None: everybody may everything.
    pub(super) fn of(settings: AccessSettings) -> Option<Access> {
        if settings.is_open() {
            return None;
        }
        let tokens = Tokens::new(&settings.issuers, None);
        let holders = Holders { keys: Keys::new(&settings.keys), tokens };
        Some(Access {
            current: RwLock::new(Arc::new(holders)),
            source: Mutex::new(Source { files: Stamps::of(&settings.files), settings }),
            was_ready: AtomicBool::new(false),
        })
    }

    fn current(&self) -> Arc<Holders> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who a request is from.
    ///
    /// # Errors
    /// It does not say, or what it says is not true, or cannot be found out.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let shown = bearer(headers)?;
        let current = self.current();
        if let Some(caller) = current.keys.find(shown) {
            return Ok(caller.clone());
        }
        current.tokens.identify(shown).await
    }

    /// Whether the keys of all issuers are at hand; once they have been, an issuer that is named anew turns no traffic away.
    pub(super) fn is_ready(&self) -> bool {
        let is_ready = self.was_ready.load(Ordering::Relaxed) || self.current().tokens.is_ready();
        if is_ready {
            self.was_ready.store(true, Ordering::Relaxed);
        }
        is_ready
    }

    /// Fetches the keys of all issuers, so that the first token need not wait for them; done when they are there.
    pub(super) async fn prepare(&self) {
        self.current().tokens.prepare().await;
    }

    /// Reads who may call anew if that has changed: from then on, keys that are not there any more are not taken. Where it is wrong, what was
    /// in force stays.
    pub(super) fn look(&self) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reread) = source.settings.reread.clone() else { return };
        let files = Stamps::of(&source.settings.files);
        if files == source.files {
            return;
        }
        source.files = files;
        let read = reread.read().and_then(|settings| match settings.is_open() {
            true => Err(
                "neither a key nor an issuer is named, and so everybody could do everything: that takes a \
                         start of the server"
                    .to_owned(),
            ),
            false => Ok(settings),
        });
        match read {
            Ok(settings) => {
                let tokens = Tokens::new(&settings.issuers, Some(&self.current().tokens));
                let holders = Arc::new(Holders { keys: Keys::new(&settings.keys), tokens });
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = holders;
                let (keys, issuers) = (settings.keys.len(), settings.issuers.len());
                tracing::info!(keys, issuers, "who may call was read anew");
                if settings.files != source.settings.files {
                    // Others may have changed since they were read: they are read once more.
                    source.files = Stamps::default();
                }
                source.settings = settings;
            }
            Err(error) => tracing::error!(error, "who may call stays as it was"),
        }
    }
}

/// What is shown, without the word before it.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let missing = || ApiError::new(Code::BearerTokenMissing, "missing bearer token");
    let first = shown.next().ok_or_else(missing)?;
    if shown.next().is_some() {
        return Err(ApiError::new(Code::Unauthenticated, "there is more than one header Authorization"));
    }
    let (scheme, secret) = first.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    let secret = secret.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || secret.is_empty() {
        return Err(missing());
    }
    Ok(secret)
}
