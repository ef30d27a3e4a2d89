//! Tokens of OpenID providers: JSON web tokens (RFC 7519), signed by one of the keys that their issuer publishes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, Header, Validation, dangerous, decode, decode_header};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::super::error::{ApiError, Code};
use super::Caller;
use super::issuer::Issuer;
use super::keys::Seal;
use super::settings::{ClaimGrant, IssuerSettings};

/// A longer token is none.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far the clocks of issuers may be off, in seconds.
const LEEWAY: u64 = 30;
/// Tokens that are known; a signature takes some 30 µs to be looked at.
const KNOWN_MAX: usize = 10_000;
/// By what tokens may be signed: keys that only the issuer has.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

pub(super) struct Tokens {
    issuers: Vec<Arc<Issuer>>,
    seal: Seal,
    known: Cache<[u8; 32], Known>,
}

/// A token that has been looked at.
#[derive(Clone)]
struct Known {
    caller: Caller,
    /// Seconds since 1970.
    ends: u64,
    /// By which keys of its issuer: others may lack the one that it is signed by.
    issuer: usize,
    generation: u64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

impl Tokens {
    /// `before`: what was in force until now; the keys of issuers that are still named are at hand.
    pub(super) fn new(issuers: &[IssuerSettings], before: Option<&Tokens>) -> Tokens {
        let known = |settings: &IssuerSettings| {
            before?.issuers.iter().find(|issuer| issuer.settings.is_of_same(settings))
        };
        let issuer = |settings: &IssuerSettings| {
            Arc::new(Issuer::new(settings.clone(), known(settings).map(Arc::as_ref)))
        };
        let issuers = issuers.iter().map(issuer).collect();
        Tokens { issuers, seal: Seal::new(), known: Cache::new(KNOWN_MAX) }
    }

    /// Whether these are the tokens of issuers.
    pub(super) fn are_of(&self, issuers: &[IssuerSettings]) -> bool {
        self.issuers.iter().map(|issuer| &issuer.settings).eq(issuers)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.keys().is_some())
    }

    /// Asks the issuers for their keys that have not told them yet.
    pub(super) async fn prepare(&self) {
        for issuer in self.issuers.iter().filter(|issuer| issuer.keys().is_none()) {
            drop(issuer.fetch().await);
        }
    }

    pub(super) async fn identify(&self, token: &str) -> Result<Caller, ApiError> {
        let wrong = |code, message: &str| Err(ApiError::new(code, message));
        if self.issuers.is_empty() {
            return wrong(Code::Unauthenticated, "the key is not known");
        }
        let digest = self.seal.digest(token);
        if let Some(known) = self.known.get(&digest)
            && known.ends > now()
            && self.issuers[known.issuer].generation() == known.generation
        {
            self.issuers[known.issuer].fetch_sometimes();
            return Ok(known.caller);
        }
        let parts = (token.len() <= TOKEN_BYTES_MAX).then(|| unverified(token)).flatten();
        let Some((header, claims)) = parts else {
            return wrong(Code::InvalidBearerToken, "it is no key that is known, and no token");
        };
        if !ALGORITHMS.contains(&header.alg) {
            return wrong(Code::InvalidBearerToken, "the token is signed in a way that is not taken");
        }
        // What has to be understood to take it (RFC 7515 §4.1.11): nothing is.
        if header.crit.is_some() {
            return wrong(
                Code::InvalidBearerToken,
                "the token has a header `crit`, of which nothing is understood",
            );
        }
        let named = claims.get("iss").and_then(Value::as_str);
        let of = self.issuers.iter().position(|issuer| Some(&*issuer.settings.issuer) == named);
        let Some(of) = of else {
            return wrong(Code::InvalidIssuer, "the issuer of the token is not known");
        };
        let issuer = &self.issuers[of];
        let (key, generation) = issuer.key(header.kid.as_deref(), header.alg).await?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&issuer.settings.audiences);
        validation.set_issuer(&[&issuer.settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let verified = decode::<Map<String, Value>>(token, &key, &validation).map_err(refusal)?;
        let claims = verified.claims;
        let Some(subject) = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty())
        else {
            return wrong(Code::InvalidSubject, "the token has no `sub`");
        };
        let granted = issuer.settings.grants.iter().filter(|grant| holds(grant, &claims));
        let caller = Caller {
            name: format!("{} {subject}", issuer.settings.issuer).into(),
            grants: granted.map(|grant| grant.grant.clone()).collect(),
        };
        let ends = claims.get("exp").and_then(Value::as_f64).map_or(0, |seconds| seconds as u64);
        self.known.insert(digest, Known { caller: caller.clone(), ends, issuer: of, generation });
        Ok(caller)
    }
}

/// What a token says, before anything of it is believed.
fn unverified(token: &str) -> Option<(Header, Map<String, Value>)> {
    let header = decode_header(token).ok()?;
    Some((header, dangerous::insecure_decode_claims(token).ok()?))
}

fn refusal(error: jsonwebtoken::errors::Error) -> ApiError {
    use jsonwebtoken::errors::ErrorKind;
    let (code, message) = match error.kind() {
        ErrorKind::ExpiredSignature => (Code::InvalidClaims, "the token has ended"),
        ErrorKind::ImmatureSignature => (Code::InvalidClaims, "the token has not begun yet"),
        ErrorKind::InvalidAudience => (Code::InvalidAudience, "the token is for somebody else"),
        ErrorKind::InvalidIssuer => (Code::InvalidIssuer, "the issuer of the token is not known"),
        ErrorKind::MissingRequiredClaim(claim) => {
            return ApiError::new(Code::InvalidClaims, format!("the token has no `{claim}`"));
        }
        _ => (Code::InvalidBearerToken, "the token is not signed by its issuer"),
    };
    ApiError::new(code, message)
}

/// Whether a token has the claim that a grant asks for.
fn holds(grant: &ClaimGrant, claims: &Map<String, Value>) -> bool {
    let Some(path) = &grant.claim else { return true };
    // A name may have dots itself, as those that are URLs do.
    let found = claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    });
    let is_it = |value: &Value| match value {
        Value::String(text) => *text == grant.value,
        Value::Bool(is) => grant.value == if *is { "true" } else { "false" },
        Value::Number(number) => number.to_string() == grant.value,
        _ => false,
    };
    match found {
        Some(Value::Array(entries)) => entries.iter().any(is_it),
        Some(Value::String(text)) => {
            *text == grant.value || text.split_ascii_whitespace().any(|word| word == grant.value)
        }
        Some(value) => is_it(value),
        None => false,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rights::Grant;
    use super::*;

    #[test]
    fn claims_are_found_by_path_name_entry_and_word() {
        let claims = json!({
            "scope": "openid voices.check", "roles": ["editor", "auditor"], "realm": { "roles": ["ops"] },
            "https://example.com/team": "sound", "staff": true,
        });
        let has = |claim: Option<&str>, value: &str| {
            let grant = ClaimGrant {
                claim: claim.map(str::to_owned),
                value: value.to_owned(),
                grant: Grant::everything(),
            };
            holds(&grant, claims.as_object().unwrap())
        };
        for (claim, value) in [
            ("scope", "voices.check"),
            ("scope", "openid voices.check"),
            ("roles", "auditor"),
            ("realm.roles", "ops"),
            ("https://example.com/team", "sound"),
            ("staff", "true"),
        ] {
            assert!(has(Some(claim), value), "{claim} {value}");
        }
        for (claim, value) in [
            ("scope", "voices"),
            ("scope", ""),
            ("roles", "edit"),
            ("realm", "ops"),
            ("realm.roles.0", "ops"),
            ("none", ""),
            ("staff", "false"),
        ] {
            assert!(!has(Some(claim), value), "{claim} {value}");
        }
        assert!(has(None, ""));
    }
}
