//! Who may call, as it is set.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::rights::Grant;

/// Who may call; nobody is named: everybody may everything.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// Holders of keys.
    pub keys: Vec<KeySettings>,
    /// Issuers of tokens.
    pub issuers: Vec<IssuerSettings>,
    /// How this is read anew while the server runs; none: what holds at the start holds to the end.
    pub reread: Option<Reread>,
}

/// Reads anew who may call.
#[derive(Clone)]
pub struct Reread(Arc<dyn Fn() -> Result<AccessSettings, String> + Send + Sync>);

impl Reread {
    /// `read` says what is wrong where it cannot.
    pub fn new(read: impl Fn() -> Result<AccessSettings, String> + Send + Sync + 'static) -> Reread {
        Reread(Arc::new(read))
    }

    pub(super) fn read(&self) -> Result<AccessSettings, String> {
        (self.0)()
    }
}

impl std::fmt::Debug for Reread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reread")
    }
}

impl AccessSettings {
    /// Whether nobody is named: everybody may everything.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && self.issuers.is_empty()
    }
}

/// A preshared key.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// By which its holder goes in logs.
    pub name: String,
    /// The key.
    pub secret: SecretString,
    /// What its holder may.
    pub grant: Grant,
}

/// An OpenID provider.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerSettings {
    /// Its issuer identifier: what its tokens have as `iss`, and below which its configuration is.
    pub issuer: String,
    /// Tokens have to be for one of these.
    pub audiences: Vec<String>,
    /// What the holders of tokens may, by their claims.
    pub grants: Vec<ClaimGrant>,
    /// How often its keys are fetched again.
    pub refresh_every: Duration,
    /// How often, at most, they are fetched for tokens with a key that is not among them.
    pub refresh_pause: Duration,
    /// Certificates, as PEM, of the authorities that its certificate has to be of; none: those of the system.
    pub authorities: Option<Vec<u8>>,
}

impl IssuerSettings {
    /// Whether another one's keys are this one's.
    pub(super) fn is_of_same(&self, other: &IssuerSettings) -> bool {
        self.issuer == other.issuer && self.authorities == other.authorities
    }
}

/// What the holder of a token may who has a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimGrant {
    /// The claim, as a path of names joined by dots; none: every token of the issuer.
    pub claim: Option<String>,
    /// What it has to be, or to hold: an entry of a list, or a word of a text (as of `scope`).
    pub value: String,
    /// What is granted.
    pub grant: Grant,
}
