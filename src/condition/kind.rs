//! The types of parameters and expressions.

use std::fmt;

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Anything: what it is shows when it is evaluated.
    Any,
    /// What an empty list holds: of no parameter.
    Nothing,
    /// `null`.
    Null,
    /// True or false.
    Bool,
    /// 64 bits, signed.
    Int,
    /// 64 bits, unsigned.
    Uint,
    /// 64 bits, floating.
    Double,
    /// Unicode text.
    String,
    /// Bytes: of no parameter.
    Bytes,
    /// A length of time.
    Duration,
    /// A point in time.
    Timestamp,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A list.
    List(Box<Kind>),
    /// A map, by the types of its keys and values.
    Map(Box<Kind>, Box<Kind>),
    /// A type, as a value: of no parameter.
    Type,
}

impl Kind {
    pub(super) fn list(of: Kind) -> Kind {
        Kind::List(Box::new(of))
    }

    pub(super) fn map(key: Kind, value: Kind) -> Kind {
        Kind::Map(Box::new(key), Box::new(value))
    }

    /// The type that values of both have; none: there is none.
    pub(super) fn join(&self, other: &Kind) -> Option<Kind> {
        match (self, other) {
            (Kind::Nothing, other) | (other, Kind::Nothing) => Some(other.clone()),
            (Kind::Any, _) | (_, Kind::Any) => Some(Kind::Any),
            // A message may be null, and these are messages to CEL.
            (Kind::Null, it @ (Kind::Duration | Kind::Timestamp | Kind::Ip))
            | (it @ (Kind::Duration | Kind::Timestamp | Kind::Ip), Kind::Null) => Some(it.clone()),
            (Kind::List(one), Kind::List(two)) => one.join(two).map(Kind::list),
            (Kind::Map(key, value), Kind::Map(other_key, other_value)) => {
                Some(Kind::map(key.join(other_key)?, value.join(other_value)?))
            }
            (one, two) => (one == two).then(|| one.clone()),
        }
    }

    /// Whether a value of this type can be used where the other is wanted.
    pub(super) fn fits(&self, wanted: &Kind) -> bool {
        self.join(wanted).is_some()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Any => f.write_str("any"),
            Kind::Nothing => f.write_str("nothing"),
            Kind::Null => f.write_str("null"),
            Kind::Bool => f.write_str("bool"),
            Kind::Int => f.write_str("int"),
            Kind::Uint => f.write_str("uint"),
            Kind::Double => f.write_str("double"),
            Kind::String => f.write_str("string"),
            Kind::Bytes => f.write_str("bytes"),
            Kind::Duration => f.write_str("duration"),
            Kind::Timestamp => f.write_str("timestamp"),
            Kind::Ip => f.write_str("ipaddress"),
            Kind::List(of) => write!(f, "list<{of}>"),
            Kind::Map(key, value) if **key == Kind::String => write!(f, "map<{value}>"),
            Kind::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Kind::Type => f.write_str("type"),
        }
    }
}
