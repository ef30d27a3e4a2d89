//! Which state of a store a question is about.

use std::str::FromStr;

use super::Engine;
use super::error::EngineError;
use crate::storage::{StateReader, StorageError, StoreRecord, TupleReader, step};
use crate::tuple::{Revision, StoreId, Timestamp, Token};

/// Which state, and what is taken as now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum At {
    /// The newest state, now.
    #[default]
    Head,
    /// The newest state, now, which has to be no older than a token's.
    AtLeast(String),
    /// A token: its revision, its time.
    Token(String),
    /// The last state committed at or before a time, seen at that time.
    Time(Timestamp),
}

impl FromStr for At {
    type Err = EngineError;

    /// Reads a time, else takes the text for a token; whether it is one shows when it is used.
    fn from_str(text: &str) -> Result<At, EngineError> {
        if let Ok(time) = text.parse() {
            return Ok(At::Time(time));
        }
        // A token is base64url: what is not cannot be one.
        let is_token =
            text.len() > 20 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if is_token {
            Ok(At::Token(text.to_owned()))
        } else {
            Err(EngineError::NoTokenOrTime(text.to_owned()))
        }
    }
}

impl Engine {
    /// A reader of the state, under a snapshot of its own.
    pub(super) fn state(&self, store: &StoreRecord, at: &At) -> Result<StateReader<'_>, EngineError> {
        let database = self.database();
        step("open_state", || match at {
            At::Head => Ok(database.head(store.number)?),
            At::AtLeast(text) => {
                let token = self.open_token(store, text)?;
                let state = database.head(store.number)?;
                if state.revision() < token.revision {
                    let (asked, head) = (token.revision, state.revision());
                    return Err(StorageError::AboveHead { asked, head }.into());
                }
                Ok(state)
            }
            At::Time(time) => Ok(database.at_time(store.number, *time)?),
            At::Token(text) => {
                let token = self.open_token(store, text)?;
                Ok(database.past(store.number, token.revision, token.time)?)
            }
        })
    }

    /// The same, with the state held: it stays readable by its token as long as the reader lives.
    pub(super) fn held_state(&self, store: &StoreRecord, at: &At) -> Result<StateReader<'_>, EngineError> {
        match at {
            At::Head => step("open_state", || Ok(self.database().head_held(store.number)?)),
            At::AtLeast(_) => {
                let asked = self.state(store, at)?.revision();
                let state = self.database().head_held(store.number)?;
                debug_assert!(state.revision() >= asked, "the head never goes back");
                Ok(state)
            }
            // A reader of the past holds it anyway.
            At::Token(_) | At::Time(_) => self.state(store, at),
        }
    }

    /// The newest state of a store, now.
    pub fn newest(&self, store: StoreId) -> Result<Token, EngineError> {
        let store = self.store(store)?;
        Ok(self.token_of(store.id, &self.state(&store, &At::Head)?))
    }

    /// The revision of a token, which has to be one of this store that has been reached.
    pub fn revision_of_token(&self, store: StoreId, token: &str) -> Result<Revision, EngineError> {
        let store = self.store(store)?;
        Ok(self.state(&store, &At::Token(token.to_owned()))?.revision())
    }

    /// Reads a token and makes sure that it is one of this store.
    pub(super) fn open_token(&self, store: &StoreRecord, text: &str) -> Result<Token, EngineError> {
        let token = Token::open(text, self.database().token_key())?;
        if token.store != store.id {
            return Err(EngineError::ForeignToken { asked: store.id, found: token.store });
        }
        // A store that was deleted and begun again under its id: revision 0, the empty one, is the same in every life.
        if token.revision > Revision::ZERO && token.time < store.created_at {
            return Err(EngineError::EarlierStore(store.id));
        }
        if token.incarnation != self.database().incarnation() {
            return Err(EngineError::OldIncarnation);
        }
        Ok(token)
    }
}
