//! Tokens: what was not sealed by this data directory is an error, whatever it looks like; what was, opens as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stonetown::engine::At;
use stonetown::tuple::{Incarnation, Revision, StoreId, Timestamp, Token, TokenKey};

fuzz_target!(|bytes: &[u8]| {
    let key = TokenKey::from_bytes([7; 32]);
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(Token::open(text, &key).is_err(), "`{text}` was made up");
        let _ = text.parse::<At>();
    }
    let Some((parts, rest)) = bytes.split_first_chunk::<40>() else { return };
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&parts[at..at + 8]);
        u64::from_be_bytes(eight)
    };
    let mut store = [0; 16];
    store.copy_from_slice(&parts[..16]);
    let token = Token {
        store: StoreId::from_bytes(store),
        incarnation: Incarnation(number(16)),
        revision: Revision(number(24)),
        time: Timestamp::from_micros(number(32) as i64),
    };
    let text = token.seal(&key);
    assert_eq!(Token::open(&text, &key).as_ref(), Ok(&token));
    assert!(Token::open(&text, &TokenKey::from_bytes([8; 32])).is_err(), "a seal of another directory");
    // One character is another one.
    if let [at, by, ..] = *rest {
        let mut spoilt = text.clone().into_bytes();
        let at = usize::from(at) % spoilt.len();
        spoilt[at] = by;
        if let Ok(spoilt) = String::from_utf8(spoilt)
            && spoilt != text
        {
            assert_ne!(Token::open(&spoilt, &key).as_ref().ok(), Some(&token), "`{spoilt}` is `{text}`");
            assert!(Token::open(&spoilt, &key).is_err(), "`{spoilt}` was altered");
        }
    }
});
