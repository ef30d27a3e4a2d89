//! What somebody may do: rights, in which stores.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::tuple::StoreId;

/// A right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To ask: checks, batches, lists of objects and users, AuthZEN's evaluations and searches.
    Check,
    /// To see tuples and schemas: read, changes, watch, export, orphans, statistics.
    Read,
    /// To change tuples: write, delete, import.
    Write,
    /// To put schemas in force, and to set assertions.
    Schema,
    /// To see how answers come about, which shows the graph: expand, explain, diffs, audits, matrices, periods of answers.
    Explain,
    /// To make and delete stores, drop their past, validate, compact, back up.
    Admin,
    /// To see the metrics of the server.
    Metrics,
}

impl Right {
    /// All of them.
    pub const ALL: [Right; 7] = [
        Right::Check,
        Right::Read,
        Right::Write,
        Right::Schema,
        Right::Explain,
        Right::Admin,
        Right::Metrics,
    ];

    /// Its name in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Right::Check => "check",
            Right::Read => "read",
            Right::Write => "write",
            Right::Schema => "schema",
            Right::Explain => "explain",
            Right::Admin => "admin",
            Right::Metrics => "metrics",
        }
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    /// Every right.
    pub fn all() -> Rights {
        Right::ALL.into_iter().collect()
    }

    /// Whether a right is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & 1 << right as u8 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Rights {
        Rights(rights.into_iter().fold(0, |set, right| set | 1 << right as u8))
    }
}

impl FromStr for Rights {
    type Err = String;

    /// Of one name: that of a right, or `all`.
    fn from_str(name: &str) -> Result<Rights, String> {
        match Right::ALL.into_iter().find(|right| right.name() == name) {
            Some(right) => Ok([right].into_iter().collect()),
            None if name == "all" => Ok(Rights::all()),
            None => {
                let names = Right::ALL.map(Right::name).join("`, `");
                Err(format!("`{name}` is no right: there are `{names}`, and `all`"))
            }
        }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Right::ALL.into_iter().filter(|right| self.has(*right))).finish()
    }
}

/// Which stores a grant is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stores {
    /// All of them, those to come too.
    All,
    /// These.
    Only(BTreeSet<StoreId>),
}

/// Rights in stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub stores: Stores,
    /// What.
    pub rights: Rights,
}

impl Grant {
    /// Everything everywhere.
    pub fn everything() -> Grant {
        Grant { stores: Stores::All, rights: Rights::all() }
    }

    /// A right of a store; of a text that is no id: of no store, so only who may all may it.
    pub(super) fn gives(&self, right: Option<Right>, store: &str) -> bool {
        let is_there = match &self.stores {
            Stores::All => true,
            Stores::Only(stores) => store.parse().is_ok_and(|id| stores.contains(&id)),
        };
        is_there && right.is_none_or(|right| self.rights.has(right))
    }

    /// A right of the server as a whole.
    pub(super) fn gives_of_server(&self, right: Right) -> bool {
        // What is counted says nothing of any store.
        (self.stores == Stores::All || right == Right::Metrics) && self.rights.has(right)
    }
}
