//! Who may call, as it is set.

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
#[derive(Debug, Clone)]
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

/// What the holder of a token may who has a claim.
#[derive(Debug, Clone)]
pub struct ClaimGrant {
    /// The claim, as a path of names joined by dots; none: every token of the issuer.
    pub claim: Option<String>,
    /// What it has to be, or to hold: an entry of a list, or a word of a text (as of `scope`).
    pub value: String,
    /// What is granted.
    pub grant: Grant,
}
