//! Continuation tokens: where a list goes on. Opaque to clients, and stable: across writes, restarts and upgrades.
//!
//! ```text
//! base64url( version 1 | kind 1 | digest of store and filter 8 | the place )
//! ```
//!
//! A token is good for the list that it was made by: another store or filter has another digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{ApiError, Code};
use crate::engine;

const VERSION: u8 = 1;
const DIGEST_BYTES: usize = 8;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Stores = 1,
    Schemas = 2,
    Tuples = 3,
    Changes = 4,
    Objects = 5,
    Subjects = 6,
    Watch = 7,
    SubjectSearch = 8,
    ResourceSearch = 9,
    ActionSearch = 10,
}

/// Continuation tokens of one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages {
    kind: Kind,
    digest: [u8; DIGEST_BYTES],
}

impl Pages {
    /// Of a list; `filter` is everything that the list depends on, its parts in a fixed order.
    pub(super) fn of(kind: Kind, filter: &[&str]) -> Pages {
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&engine::digest(filter)[..DIGEST_BYTES]);
        Pages { kind, digest }
    }

    /// The token of a place.
    pub(super) fn token(&self, place: &str) -> String {
        let mut bytes = vec![VERSION, self.kind as u8];
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(place.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a token; none: the list begins.
    ///
    /// # Errors
    /// It is no token of this list.
    pub(super) fn place(&self, token: &str) -> Result<Option<String>, ApiError> {
        if token.is_empty() {
            return Ok(None);
        }
        self.read(token).map(Some).ok_or_else(invalid_token)
    }

    /// Whether a token is one of the same kind of list, of whatever store and filter.
    pub(super) fn is_of_kind(&self, token: &str) -> bool {
        decode(token).is_some_and(|bytes| bytes.starts_with(&[VERSION, self.kind as u8]))
    }

    fn read(&self, token: &str) -> Option<String> {
        let bytes = decode(token)?;
        let rest = bytes.strip_prefix(&[VERSION, self.kind as u8])?;
        String::from_utf8(rest.strip_prefix(&self.digest)?.to_vec()).ok()
    }
}

fn decode(token: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok()?;
    (bytes.len() >= 2 + DIGEST_BYTES).then_some(bytes)
}

pub(super) fn invalid_token() -> ApiError {
    ApiError::new(Code::InvalidContinuationToken, "Invalid continuation token")
}
