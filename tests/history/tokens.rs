//! Tokens: sealed, opened, altered.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use stonetown::storage::Database;
use stonetown::tuple::{Incarnation, Revision, StoreId, Timestamp, Token, TokenError, TokenKey};
use tempfile::TempDir;

use crate::settings::properties;
use crate::world::options;

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn token() -> Token {
    Token {
        store: StoreId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
        incarnation: Incarnation(0x1122_3344_5566_7788),
        revision: Revision(258),
        time: Timestamp::from_micros(1_800_000_000_000_000),
    }
}

fn test_key() -> TokenKey {
    TokenKey::from_bytes([7; 32])
}

fn malformed(text: &str) -> Result<Token, TokenError> {
    Err(TokenError::Malformed(text.chars().take(80).collect()))
}

/// Tokens live on in other people's data: their form is fixed.
#[test]
fn golden_token() {
    const GOLDEN: &str = "AQECAwQFBgcICQoLDA0ODxARIjNEVWZ3iAAAAAAAAAECAAZlFyiYgADwVU2gLIVDDg";
    let text = token().seal(&test_key());
    let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
    assert_eq!(bytes.len(), 49);
    let body = [
        &[1][..],
        &token().store.to_bytes(),
        &0x1122_3344_5566_7788_u64.to_be_bytes(),
        &258_u64.to_be_bytes(),
        &1_800_000_000_000_000_i64.to_be_bytes(),
    ]
    .concat();
    assert_eq!(bytes[..41], body);
    assert_eq!(bytes[41..], blake3::keyed_hash(&[7; 32], &body).as_bytes()[..8]);
    assert_eq!(text, GOLDEN);
}

proptest! {
    #![proptest_config(properties("tokens"))]

    #[test]
    fn what_is_sealed_is_opened(
        store: [u8; 16],
        incarnation: u64,
        revision: u64,
        micros: i64,
        key: [u8; 32],
    ) {
        let token = Token {
            store: StoreId::from_bytes(store),
            incarnation: Incarnation(incarnation),
            revision: Revision(revision),
            time: Timestamp::from_micros(micros),
        };
        let key = TokenKey::from_bytes(key);
        let text = token.seal(&key);
        prop_assert_eq!(text.len(), 66);
        prop_assert!(text.chars().all(|c| ALPHABET.contains(c)), "{} is not safe in a URL", text);
        prop_assert_eq!(Token::open(&text, &key), Ok(token));
    }

    #[test]
    fn other_texts_are_refused(text: String, key: [u8; 32]) {
        prop_assert!(Token::open(&text, &TokenKey::from_bytes(key)).is_err());
    }
}

/// Every byte with every other value: the version decides what is said, everything else breaks the seal.
#[test]
fn altered_bytes_are_refused() {
    let bytes = URL_SAFE_NO_PAD.decode(token().seal(&test_key())).unwrap();
    for at in 0..bytes.len() {
        for value in (0..=255).filter(|&value| value != bytes[at]) {
            let mut altered = bytes.clone();
            altered[at] = value;
            let text = URL_SAFE_NO_PAD.encode(altered);
            let expected = match (at, value) {
                (0, 0) => TokenError::Malformed(text.clone()),
                (0, _) => TokenError::TooNew(text.clone()),
                _ => TokenError::Forged(text.clone()),
            };
            assert_eq!(Token::open(&text, &test_key()), Err(expected), "byte {at} is {value}");
        }
    }
}

/// Every character with every other one: no text but the sealed one opens.
#[test]
fn altered_characters_are_refused() {
    let text = token().seal(&test_key());
    for at in 0..text.len() {
        for c in ALPHABET.chars().chain("=+/ .~\n".chars()) {
            let altered = [&text[..at], &c.to_string(), &text[at + 1..]].concat();
            let opened = Token::open(&altered, &test_key());
            if altered != text {
                assert!(opened.is_err(), "`{altered}` opens");
            }
            if !ALPHABET.contains(c) {
                assert_eq!(opened, malformed(&altered));
            }
        }
    }
}

#[test]
fn a_token_of_another_key_is_forged() {
    let text = token().seal(&test_key());
    for bit in 0..256 {
        let mut key = [7; 32];
        key[bit / 8] ^= 1 << (bit % 8);
        let opened = Token::open(&text, &TokenKey::from_bytes(key));
        assert_eq!(opened, Err(TokenError::Forged(text.clone())), "bit {bit}");
    }
}

#[test]
fn a_cut_or_extended_token_is_malformed() {
    let text = token().seal(&test_key());
    let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
    for end in 0..text.len() {
        assert_eq!(Token::open(&text[..end], &test_key()), malformed(&text[..end]), "cut at {end}");
    }
    for end in 0..bytes.len() {
        let cut = URL_SAFE_NO_PAD.encode(&bytes[..end]);
        assert_eq!(Token::open(&cut, &test_key()), malformed(&cut), "{end} bytes");
    }
    for more in [1, 2, 3, 50] {
        let longer = URL_SAFE_NO_PAD.encode([&bytes[..], &vec![0; more]].concat());
        assert_eq!(Token::open(&longer, &test_key()), malformed(&longer), "{more} bytes more");
    }
    let mut others: Vec<String> = ["A", "=", " ", "\n", "é"].map(|end| format!("{text}{end}")).to_vec();
    others.extend([format!(" {text}"), URL_SAFE.encode(&bytes), STANDARD.encode(&bytes), text.repeat(2)]);
    for other in others {
        assert_eq!(Token::open(&other, &test_key()), malformed(&other));
    }
}

/// The key and the incarnation belong to the data directory: they outlive a restart and are nobody else's.
#[test]
fn tokens_outlive_a_restart_and_no_other_directory_takes_them() {
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let database = Database::open(dirs[0].path(), &options()).unwrap();
    let token = Token { incarnation: database.incarnation(), ..token() };
    let text = token.seal(database.token_key());
    assert!(!format!("{:?}", database.token_key()).contains(char::is_numeric), "the secret is not printed");
    drop(database);
    let again = Database::open(dirs[0].path(), &options()).unwrap();
    assert_eq!(Token::open(&text, again.token_key()), Ok(token));
    assert_eq!(again.incarnation(), token.incarnation);
    let other = Database::open(dirs[1].path(), &options()).unwrap();
    assert_eq!(Token::open(&text, other.token_key()), Err(TokenError::Forged(text.clone())));
    assert_ne!(other.incarnation(), token.incarnation);
}
