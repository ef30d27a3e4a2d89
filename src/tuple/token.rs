//! Tokens: opaque positions in a store's history (Zanzibar §2.2, zookie).
//!
//! ```text
//! base64url( version 1 | store 16 | incarnation 8 | revision 8 | evaluation time 8 | mac 8 )     49 bytes, 66 characters
//! ```
//!
//! The last 8 bytes are a keyed BLAKE3 of the others, so that a made-up token is refused before it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::id::StoreId;
use super::revision::{Revision, Timestamp};

const VERSION: u8 = 1;
const MAC_BYTES: usize = 8;
const TOKEN_BYTES: usize = 1 + 16 + 8 + 8 + 8 + MAC_BYTES;

/// Which life of a data directory: renewed when one is restored, so that revisions of another life are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u64);

/// The secret of a data directory that its tokens are sealed with.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

/// A position in one store's history, with the time that evaluation takes as now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// The store it is about.
    pub store: StoreId,
    /// The life of the data directory it was made in.
    pub incarnation: Incarnation,
    /// The state it names.
    pub revision: Revision,
    /// What evaluation takes as now, so that an answer can be asked again.
    pub time: Timestamp,
}

/// Why a text is no token of this place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not have the form of a token.
    #[error("`{0}` is not a token: pass one as a write or a question answered it")]
    Malformed(String),
    /// Its seal does not fit: made up, altered, or of another data directory.
    #[error("token `{0}` was not made by this data directory")]
    Forged(String),
    /// Made by a version whose tokens this one cannot read.
    #[error("token `{0}` is of a newer kind than this version of Stonetown reads")]
    TooNew(String),
}

impl TokenKey {
    /// The key from its stored bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> TokenKey {
        TokenKey(bytes)
    }

    /// A digest that nobody without the key can work out from a guess; `purpose` tells one use from another.
    pub fn digest(&self, purpose: &str, content: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&(purpose.len() as u64).to_be_bytes());
        hasher.update(purpose.as_bytes());
        hasher.update(content);
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        digest
    }

    fn mac(&self, body: &[u8]) -> [u8; MAC_BYTES] {
        let hash = blake3::keyed_hash(&self.0, body);
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&hash.as_bytes()[..MAC_BYTES]);
        mac
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

impl Token {
    /// The text form, sealed.
    pub fn seal(&self, key: &TokenKey) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.store.to_bytes());
        bytes.extend_from_slice(&self.incarnation.0.to_be_bytes());
        bytes.extend_from_slice(&self.revision.0.to_be_bytes());
        bytes.extend_from_slice(&self.time.as_micros().to_be_bytes());
        bytes.extend_from_slice(&key.mac(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text form and verifies its seal. Whether store, incarnation and revision fit is the caller's to say.
    pub fn open(text: &str, key: &TokenKey) -> Result<Token, TokenError> {
        let shown = || text.chars().take(80).collect::<String>();
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed(shown()))?;
        match bytes.first() {
            Some(&VERSION) => {}
            // Words of a few letters decode too: only what is as long as a token can be one.
            Some(&version) if version > VERSION && bytes.len() >= TOKEN_BYTES => {
                return Err(TokenError::TooNew(shown()));
            }
            _ => return Err(TokenError::Malformed(shown())),
        }
        let bytes: [u8; TOKEN_BYTES] = bytes.try_into().map_err(|_| TokenError::Malformed(shown()))?;
        let (body, mac) = bytes.split_at(TOKEN_BYTES - MAC_BYTES);
        // Constant time: every byte is looked at.
        let differs = key.mac(body).iter().zip(mac).fold(0, |differs, (a, b)| differs | (a ^ b));
        if differs != 0 {
            return Err(TokenError::Forged(shown()));
        }
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&body[at..at + 8]);
            u64::from_be_bytes(eight)
        };
        let mut store = [0; 16];
        store.copy_from_slice(&body[1..17]);
        Ok(Token {
            store: StoreId::from_bytes(store),
            incarnation: Incarnation(number(17)),
            revision: Revision(number(25)),
            time: Timestamp::from_micros(number(33) as i64),
        })
    }
}
