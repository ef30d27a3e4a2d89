//! An OpenID provider and the keys that it publishes (OpenID Connect Discovery 1.0 §4, RFC 7517). They are fetched when a token comes
//! that needs them, again from time to time, and when a token names one that is not among them.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::super::error::{ApiError, Code};
use super::super::outbound::Outbound;
use super::settings::IssuerSettings;

/// How long an issuer may take to answer.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// After a failure it is tried again after this time.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Issuer {
    pub(super) settings: IssuerSettings,
    keys: RwLock<Option<Arc<Keys>>>,
    /// When it was asked last, and whether it answered.
    asked: Mutex<Option<(Instant, bool)>>,
    /// One asks, the others wait for it.
    asking: tokio::sync::Mutex<()>,
    http: Outbound,
}

pub(super) struct Keys {
    keys: JwkSet,
    generation: u64,
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.settings.issuer)
    }
}

impl Issuer {
    /// `before`: the same one, under other settings.
    pub(super) fn new(settings: IssuerSettings, before: Option<&Issuer>) -> Issuer {
        let http = Outbound::new(settings.authorities.as_deref(), FETCH_TIME);
        Issuer {
            settings,
            keys: RwLock::new(before.and_then(Issuer::keys)),
            asked: Mutex::new(before.and_then(|it| *it.asked.lock().unwrap_or_else(PoisonError::into_inner))),
            asking: tokio::sync::Mutex::new(()),
            http,
        }
    }

    pub(super) fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes when the keys do.
    pub(super) fn generation(&self) -> u64 {
        self.keys().map_or(0, |keys| keys.generation)
    }

    /// The key that a token says to be signed by, and the generation of the keys.
    ///
    /// # Errors
    /// There is none, or the issuer cannot be asked.
    pub(super) async fn key(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(DecodingKey, u64), ApiError> {
        if let Some(keys) = self.keys() {
            self.fetch_sometimes();
            if let Some(found) = keys.find(id, algorithm) {
                return Ok((found, keys.generation));
            }
        }
        if self.may_ask() {
            // Where it fails, those that are at hand are still right.
            drop(self.fetch().await);
        }
        let keys = self.keys().ok_or_else(unavailable)?;
        let unknown =
            || ApiError::new(Code::InvalidBearerToken, "the token is signed by no key of its issuer");
        keys.find(id, algorithm).map(|key| (key, keys.generation)).ok_or_else(unknown)
    }

    /// Whether it is not too soon to ask for a key that is not at hand.
    fn may_ask(&self) -> bool {
        match *self.asked.lock().unwrap_or_else(PoisonError::into_inner) {
            None => true,
            Some((when, true)) => when.elapsed() >= self.settings.refresh_pause,
            Some((when, false)) => when.elapsed() >= FAILED_PAUSE.min(self.settings.refresh_pause),
        }
    }

    /// Fetches the keys anew beside the request, when they have become old.
    pub(super) fn fetch_sometimes(self: &Arc<Self>) {
        let is_due = self
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none_or(|(when, _)| when.elapsed() >= self.settings.refresh_every);
        // Not by each request that comes meanwhile.
        if is_due && self.asking.try_lock().is_ok() {
            let issuer = Arc::clone(self);
            tokio::spawn(async move { drop(issuer.fetch().await) });
        }
    }

    /// Fetches the keys, unless somebody has just done so.
    ///
    /// # Errors
    /// They cannot be had. Those that are at hand stay.
    pub(super) async fn fetch(self: &Arc<Self>) -> Result<(), ApiError> {
        let waiting_since = Instant::now();
        let _asking = self.asking.lock().await;
        let last = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, has_answered)) = last
            && when >= waiting_since
        {
            return if has_answered { Ok(()) } else { Err(unavailable()) };
        }
        let issuer = Arc::clone(self);
        let fetched = tokio::task::spawn_blocking(move || issuer.ask()).await;
        let fetched = fetched.unwrap_or_else(|_| Err("broken off".to_owned()));
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), fetched.is_ok()));
        match fetched {
            Ok(keys) => {
                let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
                let generation = match &*held {
                    Some(before) if before.keys == keys => return Ok(()),
                    Some(before) => before.generation + 1,
                    None => 1,
                };
                *held = Some(Arc::new(Keys { keys, generation }));
                Ok(())
            }
            Err(why) => {
                tracing::warn!(issuer = self.settings.issuer, why, "the keys of an issuer cannot be fetched");
                Err(unavailable())
            }
        }
    }

    /// Asks the issuer for its keys.
    fn ask(&self) -> Result<JwkSet, String> {
        let issuer = self.settings.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let configuration: Configuration = self.get(&url)?;
        if configuration.issuer != self.settings.issuer {
            return Err(format!("{url} is of the issuer {:?}", configuration.issuer));
        }
        if !is_safe_url(&configuration.jwks_uri) {
            return Err(format!("{url} has keys at {:?}, which is no https URL", configuration.jwks_uri));
        }
        self.get(&configuration.jwks_uri)
    }

    fn get<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        serde_json::from_slice(&self.http.get(url)?).map_err(|error| format!("{url}: {error}"))
    }
}

impl Keys {
    /// A key by its id; of a token that names none, the only one of its kind.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let usable = |key: &&Jwk| {
            let common = &key.common;
            let is_for_it = common
                .key_algorithm
                .is_none_or(|of| of.to_string().parse::<Algorithm>().is_ok_and(|of| of == algorithm));
            is_for_it && !matches!(&common.public_key_use, Some(use_) if *use_ != PublicKeyUse::Signature)
        };
        let of_family = |key: &Jwk| {
            DecodingKey::from_jwk(key).ok().filter(|decoding| decoding.family() == algorithm.family())
        };
        match id {
            Some(id) => self
                .keys
                .keys
                .iter()
                .filter(usable)
                .find(|key| key.common.key_id.as_deref() == Some(id))
                .and_then(of_family),
            None => {
                let mut keys = self.keys.keys.iter().filter(usable).filter_map(of_family);
                keys.next().filter(|_| keys.next().is_none())
            }
        }
    }
}

fn unavailable() -> ApiError {
    ApiError::new(Code::Unavailable, "the issuer of the token cannot be asked for its keys: try again later")
        .retry_after(FAILED_PAUSE)
}

/// Whether what comes from a URL comes from whom it names: over TLS, or from this machine.
pub fn is_safe_url(url: &str) -> bool {
    if url.starts_with("https://") {
        return true;
    }
    let host = url.parse::<axum::http::Uri>().ok().filter(|url| url.scheme_str() == Some("http"));
    let host = host.as_ref().and_then(axum::http::Uri::host).unwrap_or_default();
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
