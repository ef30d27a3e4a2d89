//! Why a verb did not do what was asked.

use super::apply::ApplyRefusal;
use super::precondition::PreconditionError;
use super::write::WriteRefusal;
use crate::analysis::Bound;
use crate::eval::EvalError;
use crate::schema::Problems;
use crate::storage::{StorageError, WriteError};
use crate::tuple::{SchemaId, StoreId, TokenError};

/// Why a verb did not do what was asked. Nothing was changed when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// By storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The question has no answer.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// An analysis was not finished.
    #[error("{0}: ask about less, or raise the limit")]
    Bound(Bound),
    /// The schema breaks rules of the language.
    #[error("the schema has problems:\n{0}")]
    Schema(Box<Problems>),
    /// The store has no schema yet, or had none then.
    #[error("store `{0}` has no schema, or had none then: write one with `stonetown schema write`")]
    NoSchema(StoreId),
    /// The store has no schema of this id.
    #[error("store `{store}` has no schema `{schema}`")]
    UnknownSchema {
        /// The store.
        store: StoreId,
        /// The schema it does not have.
        schema: SchemaId,
    },
    /// A text that is no token of this data directory.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A token of another store.
    #[error("the token is of store `{found}`, the question is about store `{asked}`")]
    ForeignToken {
        /// The store asked about.
        asked: StoreId,
        /// The token's.
        found: StoreId,
    },
    /// A token of a store that was deleted.
    #[error("the token is of an earlier store of id `{0}`, which was deleted: ask again without it")]
    EarlierStore(StoreId),
    /// A token from before the data directory was restored.
    #[error("the token was made before this data directory was restored from a backup: ask again without it")]
    OldIncarnation,
    /// A token of another life of the data directory than a backup is of.
    #[error(
        "the token is not of the data directory that the backup was made of, or from before it was restored itself"
    )]
    OtherIncarnation,
    /// A text after `--at` that is neither.
    #[error(
        "`{0}` is neither a token nor a time: pass a token as an answer printed it, or RFC 3339 such as `2026-11-22T14:30:00Z`"
    )]
    NoTokenOrTime(String),
    /// The write was refused.
    #[error(transparent)]
    Refused(#[from] WriteRefusal),
    /// A change of the schema was refused.
    #[error(transparent)]
    NotApplied(#[from] ApplyRefusal),
    /// A text that is no precondition.
    #[error(transparent)]
    Precondition(#[from] PreconditionError),
}

impl From<Bound> for EngineError {
    fn from(bound: Bound) -> EngineError {
        match bound {
            Bound::Storage(error) => error.into(),
            bound => EngineError::Bound(bound),
        }
    }
}

impl From<Problems> for EngineError {
    fn from(problems: Problems) -> EngineError {
        EngineError::Schema(Box::new(problems))
    }
}

impl<E: Into<EngineError>> From<WriteError<E>> for EngineError {
    fn from(error: WriteError<E>) -> EngineError {
        match error {
            WriteError::Storage(error) => error.into(),
            WriteError::Refused(error) => error.into(),
        }
    }
}
