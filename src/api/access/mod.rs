//! Who may call, and what. A request shows a key, or a token of an OpenID provider, as `Authorization: Bearer`. It is looked at before
//! anything else of the request is.

mod issuer;
mod keys;
mod rights;
mod settings;
mod tokens;

use std::sync::Arc;

use axum::http::{HeaderMap, header};

use super::error::{ApiError, Code};
use super::verb::{Need, Verb};
use keys::Keys;
use tokens::Tokens;

pub use issuer::is_safe_url;
pub use rights::{Grant, Right, Rights, Stores};
pub use settings::{AccessSettings, ClaimGrant, IssuerSettings, KeySettings};

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
    keys: Keys,
    tokens: Tokens,
}

impl Access {
    /// None: everybody may everything.
    pub(super) fn of(settings: &AccessSettings) -> Option<Access> {
        let is_open = settings.keys.is_empty() && settings.issuers.is_empty();
        (!is_open).then(|| Access { keys: Keys::new(&settings.keys), tokens: Tokens::new(&settings.issuers) })
    }

    /// Who a request is from.
    ///
    /// # Errors
    /// It does not say, or what it says is not true, or cannot be found out.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let shown = bearer(headers)?;
        if let Some(caller) = self.keys.find(shown) {
            return Ok(caller.clone());
        }
        self.tokens.identify(shown).await
    }

    /// Whether the keys of all issuers are at hand.
    pub(super) fn is_ready(&self) -> bool {
        self.tokens.is_ready()
    }

    /// Fetches the keys of all issuers, so that the first token need not wait for them; done when they are there.
    pub(super) async fn prepare(&self) {
        self.tokens.prepare().await;
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
