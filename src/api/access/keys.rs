//! Preshared keys.
//!
//! Keys are found by their digest under a key of this process's own, so neither how long it takes nor where it is looked says anything
//! about a secret; digests are compared in constant time.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::Caller;
use super::settings::KeySettings;

#[derive(Debug)]
pub(super) struct Keys {
    seal: Arc<Seal>,
    callers: HashMap<[u8; 32], Caller>,
}

/// Makes digests of secrets that say nothing outside of this process.
pub(super) struct Seal([u8; 32]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    pub(super) fn new() -> Seal {
        Seal(rand::random())
    }

    pub(super) fn digest(&self, secret: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, secret.as_bytes()).as_bytes()
    }
}

impl Keys {
    pub(super) fn new(keys: &[KeySettings], seal: &Arc<Seal>) -> Keys {
        let caller = |key: &KeySettings| {
            let caller = Caller { name: key.name.as_str().into(), grants: Arc::new([key.grant.clone()]) };
            (seal.digest(key.secret.expose_secret()), caller)
        };
        Keys { callers: keys.iter().map(caller).collect(), seal: Arc::clone(seal) }
    }

    /// Whether these are the keys of settings.
    pub(super) fn are(&self, keys: &[KeySettings]) -> bool {
        self.callers == Keys::new(keys, &self.seal).callers
    }

    pub(super) fn find(&self, secret: &str) -> Option<&Caller> {
        self.callers.get(&self.seal.digest(secret))
    }
}
