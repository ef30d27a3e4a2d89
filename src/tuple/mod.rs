//! The words of the system, and the one parser that every name and id passes before it can become a key.
//!
//! Objects, relations, subjects, tuples, stores, schemas, revisions, tokens: each has one text form, printed by
//! `Display` and read by `FromStr`. Nothing here knows where tuples are kept or how they are evaluated.

mod condition;
mod error;
mod id;
mod name;
mod object;
mod revision;
mod subject;
mod token;
#[allow(clippy::module_inception, reason = "the room is named after its main word")]
mod tuple;

pub use condition::{CONTEXT_BYTES_MAX, ConditionContext, TupleCondition};
pub use error::{Part, TupleError};
pub use id::{IdError, SchemaId, StoreId};
pub use name::{
    OBJECT_CHARS_MAX, RELATION_CHARS_MAX, SUBJECT_BYTES_MAX, TYPE_CHARS_MAX, check_condition_name,
    check_object_id, check_relation_name, check_type_name,
};
pub use object::{Object, ObjectRef};
pub use revision::{Revision, TimeError, Timestamp};
pub use subject::{Subject, SubjectKind, SubjectRef};
pub use token::{Incarnation, Token, TokenError, TokenKey};
pub use tuple::{Relation, Tuple, TupleKey, TupleRef};
