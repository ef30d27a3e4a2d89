//! Ids of stores and schemas: ULIDs, 26 characters that sort by time.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use ulid::{Generator, Ulid};

/// The public id of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(Ulid);

/// The id of a schema (wire name: authorization model id).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(Ulid);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a {what} id: write the 26 characters of a ULID, for example `01KAMZ3S8T4N2Q6V9XB7CDEFGH`"
)]
pub struct IdError {
    what: &'static str,
    text: String,
}

/// One generator per process, so that ids of one millisecond still sort in the order they were made.
static GENERATOR: Mutex<Option<Generator>> = Mutex::new(None);

fn generate() -> Ulid {
    let mut guard = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let generator = guard.get_or_insert_with(Generator::new);
    // Only 2^80 ids within one millisecond overflow; a fresh random id is right then too.
    generator.generate().unwrap_or_else(|_| Ulid::generate())
}

macro_rules! ulid_id {
    ($name:ident, $what:literal) => {
        impl $name {
            /// A new id, later than every one made before in this process.
            pub fn generate() -> $name {
                $name(generate())
            }

            /// From the 16 bytes of a key, big-endian.
            pub fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(Ulid::from_bytes(bytes))
            }

            /// The 16 bytes for a key, big-endian, so that they sort as the text does.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$name, IdError> {
                let error = || IdError { what: $what, text: text.chars().take(40).collect() };
                if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
                    return Err(error());
                }
                Ulid::from_string(text).map($name).map_err(|_| error())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

ulid_id!(StoreId, "store");
ulid_id!(SchemaId, "schema");
