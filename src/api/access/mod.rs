//! Who may call, and what. A request shows a key, or a token of an OpenID provider, as `Authorization: Bearer`. It is looked at before
//! anything else of the request is.

mod issuer;
mod keys;
mod rights;
mod settings;
mod tokens;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, header};

use super::error::{ApiError, Code};
use super::verb::{Need, Verb};
use keys::{Keys, Seal};
use tokens::Tokens;

pub use issuer::is_safe_url;
pub use rights::{Grant, Right, Rights, Stores};
pub use settings::{AccessSettings, ClaimGrant, IssuerSettings, KeySettings, Reread};

/// Before issuers that have not answered yet are asked again.
const PREPARE_PAUSE: Duration = Duration::from_secs(2);
/// What is new has to be read twice alike, so far apart, before it counts.
const STILL_FOR: Duration = Duration::from_millis(500);

/// Who calls.
#[derive(Debug, Clone, PartialEq)]
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
    reread: Option<Reread>,
    /// Digests of keys, by which those of before and after a change are told apart.
    seal: Arc<Seal>,
    /// Whether the keys of all issuers that were named at the start have been at hand.
    was_ready: AtomicBool,
}

/// Everybody who may call, for a time.
#[derive(Debug)]
struct Holders {
    keys: Keys,
    tokens: Tokens,
}

impl Holders {
    fn new(settings: &AccessSettings, seal: &Arc<Seal>, before: Option<&Holders>) -> Holders {
        let tokens = Tokens::new(&settings.issuers, before.map(|before| &before.tokens));
        Holders { keys: Keys::new(&settings.keys, seal), tokens }
    }

    fn are_of(&self, settings: &AccessSettings) -> bool {
        self.keys.are(&settings.keys) && self.tokens.are_of(&settings.issuers)
    }
}

impl Access {
    /// None: everybody may everything.
    pub(super) fn of(settings: AccessSettings) -> Option<Access> {
        let seal = Arc::new(Seal::new());
        let holders = (!settings.is_open()).then(|| Holders::new(&settings, &seal, None))?;
        let current = RwLock::new(Arc::new(holders));
        Some(Access { current, reread: settings.reread, seal, was_ready: AtomicBool::new(false) })
    }

    fn current(&self) -> Arc<Holders> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_current(&self, holders: &Arc<Holders>) -> bool {
        Arc::ptr_eq(holders, &self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who a request is from.
    ///
    /// # Errors
    /// It does not say, or what it says is not true, or cannot be found out.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let shown = bearer(headers)?;
        loop {
            let current = self.current();
            if let Some(caller) = current.keys.find(shown) {
                return Ok(caller.clone());
            }
            let found = current.tokens.identify(shown).await;
            // An issuer may have been waited for: what was taken away meanwhile does not hold any more.
            if self.is_current(&current) {
                return found;
            }
        }
    }

    /// Whether the keys of all issuers are at hand; once they have been, an issuer that is named later turns no traffic away.
    pub(super) fn is_ready(&self) -> bool {
        self.was_ready.load(Ordering::Relaxed) || self.current().tokens.is_ready()
    }

    /// Fetches the keys of issuers, so that the first token need not wait for them, and asks those again that do not answer, for ever.
    pub(super) async fn prepare(&self) {
        loop {
            let current = self.current();
            current.tokens.prepare().await;
            if current.tokens.is_ready() {
                self.was_ready.store(true, Ordering::Relaxed);
            }
            drop(current);
            tokio::time::sleep(PREPARE_PAUSE).await;
        }
    }

    /// Reads who may call anew, and puts it in force: whether it is another one. From then on, keys that are not there any more are not taken.
    ///
    /// # Errors
    /// It is wrong: what was in force stays.
    pub(super) fn look(&self) -> Result<bool, String> {
        let Some(reread) = &self.reread else { return Ok(false) };
        let settings = reread.read()?;
        if settings.is_open() {
            let problem = "neither a key nor an issuer is named, and so everybody could do everything: that takes a start of the server";
            return Err(problem.to_owned());
        }
        let current = self.current();
        if current.are_of(&settings) {
            return Ok(false);
        }
        let holders = Holders::new(&settings, &self.seal, Some(&current));
        // A file may have been met half written.
        std::thread::sleep(STILL_FOR);
        if !holders.are_of(&reread.read()?) {
            return Ok(false);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(holders);
        Ok(true)
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
