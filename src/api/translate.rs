//! From the errors of verbs to those of the API, in OpenFGA's words.

use super::error::{ApiError, Code};
use crate::engine::{
    ApplyRefusal, Bound, ConditionError, EngineError, EvalError, Rejection, StorageError, WriteRefusal,
};
use crate::tuple::{ObjectRef, Subject, SubjectRef, Tuple, TupleKey, TupleRef, check_relation_name};

const TOO_COMPLEX: &str = "Authorization Model resolution required too many rewrite rules to be resolved. Check your \
                           authorization model for infinite recursion or too much nesting";
const ALREADY: &str = "tuple to be written already existed or the tuple to be deleted did not exist";
const NO_TYPE: &str = "the 'user' field must be an object (e.g. document:1) or an 'object#relation' or a typed \
                       wildcard (e.g. group:*)";

impl From<EngineError> for ApiError {
    /// What is not particular to a route.
    fn from(error: EngineError) -> ApiError {
        let reason = error.to_string();
        let error = match error {
            EngineError::Eval(error) => ApiError::from(error),
            EngineError::Storage(error) => storage_error(&error),
            EngineError::Refused(refusal) => refusal_error(&refusal),
            EngineError::NotApplied(refusal) => apply_error(&refusal),
            EngineError::NoSchema(store) => no_schema(&store.to_string()),
            EngineError::UnknownSchema { schema, .. } => unknown_schema(&schema.to_string()),
            EngineError::Schema(problems) => match problems.openfga_error() {
                Some(wire) => ApiError::new(Code::Schema(wire.code), &wire.message),
                None => ApiError::new(Code::Schema("invalid_authorization_model"), problems.plain()),
            },
            EngineError::Bound(Bound::Storage(error)) => storage_error(&error),
            EngineError::Bound(bound) => ApiError::new(Code::ResourceExhausted, bound.to_string()),
            other => ApiError::validation(other.to_string()),
        };
        error.because(reason)
    }
}

impl From<EvalError> for ApiError {
    fn from(error: EvalError) -> ApiError {
        match error {
            EvalError::UnknownType { name, .. } => ApiError::validation(unknown_type(&name)),
            EvalError::UnknownRelation { object_type, relation, .. } => {
                ApiError::validation(unknown_relation(&object_type, &relation))
            }
            EvalError::TooDeep(_) => ApiError::new(Code::ResolutionTooComplex, TOO_COMPLEX),
            EvalError::TooManyReads(_) | EvalError::TooManyNodes(_) | EvalError::TooNested(_) => {
                ApiError::new(Code::ResolutionTooComplex, error.to_string())
            }
            EvalError::Condition { condition, tuple, cause } => {
                let problem = match cause {
                    ConditionError::Missing(names) => {
                        let names = names.join(" ");
                        format!("tuple '{tuple}' is missing context parameters '[{names}]'")
                    }
                    cause => cause.to_string(),
                };
                let message = "failed to evaluate relationship condition";
                ApiError::validation(format!("{message}: '{condition}' - {problem}"))
            }
            EvalError::TimedOut(_) => timed_out(),
            EvalError::Storage(error) => storage_error(&error),
        }
    }
}

pub(super) fn unknown_type(name: &str) -> String {
    format!("type '{name}' not found")
}

pub(super) fn unknown_relation(object_type: &str, relation: &str) -> String {
    format!("relation '{object_type}#{relation}' not found")
}

/// There is no schema in the store, or no such store: OpenFGA does not tell the two apart.
pub(super) fn no_schema(store: &str) -> ApiError {
    let message = format!("No authorization models found for store '{store}'");
    ApiError::new(Code::LatestAuthorizationModelNotFound, message)
}

pub(super) fn unknown_schema(schema: &str) -> ApiError {
    ApiError::new(Code::AuthorizationModelNotFound, format!("Authorization Model '{schema}' not found"))
}

pub(super) fn no_store() -> ApiError {
    ApiError::new(Code::StoreNotFound, "Store ID not found")
}

fn timed_out() -> ApiError {
    ApiError::new(Code::DeadlineExceeded, "Request Deadline Exceeded")
}

fn storage_error(error: &StorageError) -> ApiError {
    match error {
        StorageError::TimedOut(_) => timed_out(),
        StorageError::NoStore(_) => no_store(),
        StorageError::BelowHorizon { .. }
        | StorageError::AboveHead { .. }
        | StorageError::LogCollected { .. }
        | StorageError::Purged { .. }
        | StorageError::PurgeTooLarge { .. }
        | StorageError::TooManyReplaced(_)
        | StorageError::FutureTime { .. } => ApiError::validation(error.to_string()),
        StorageError::ForeignBackups(_) | StorageError::NoBackupPlace(_) | StorageError::BackupInside(_) => {
            ApiError::validation(error.to_string())
        }
        StorageError::KeyReused
        | StorageError::BackupsLocked(_)
        | StorageError::ImportInProgress(_)
        | StorageError::ImportPrepared
        | StorageError::UnfinishedImport(_)
        | StorageError::SchemaChanged => ApiError::new(Code::Conflict, error.to_string()),
        StorageError::WritesRefused(_) => ApiError::new(Code::Unavailable, error.to_string()),
        _ => ApiError::new(Code::Internal, error.to_string()),
    }
}

fn refusal_error(refusal: &WriteRefusal) -> ApiError {
    match refusal {
        WriteRefusal::Empty => ApiError::new(
            Code::InvalidWriteInput,
            "Invalid input. Make sure you provide at least one write, or at least one delete",
        ),
        WriteRefusal::TooManyTuples { limit, .. } => too_many_tuples(*limit),
        WriteRefusal::Repeated(key) => {
            ApiError::new(Code::DuplicateTuples, format!("duplicate tuple in write: {}", parts(key)))
        }
        WriteRefusal::Rejected { tuple, reason } => {
            let message = format!("Invalid tuple '{tuple}'. Reason: {}", reason_text(tuple, reason));
            ApiError::new(Code::InvalidTuple, message)
        }
        WriteRefusal::Exists(key) => {
            let message = format!("cannot write a tuple which already exists: {}: {ALREADY}", parts(key));
            ApiError::new(Code::WriteFailed, message)
        }
        WriteRefusal::Missing(key) => missing_tuple(&parts(key)),
        WriteRefusal::ExistsOtherwise(key) => ApiError::new(
            Code::Conflict,
            format!(
                "transactional write failed due to conflict: attempted to write a tuple which already exists with a \
                 different condition: {}",
                parts(key)
            ),
        ),
        WriteRefusal::TooManyPreconditions { .. }
        | WriteRefusal::PreconditionsTooWide(_)
        | WriteRefusal::TooMuchSince(_)
        | WriteRefusal::TooManyDeleted(_) => ApiError::new(Code::ExceededEntityLimit, refusal.to_string()),
        WriteRefusal::Precondition { .. } => ApiError::new(Code::Conflict, refusal.to_string()),
    }
}

fn apply_error(refusal: &ApplyRefusal) -> ApiError {
    let code = match refusal {
        ApplyRefusal::Empty => Code::InvalidWriteInput,
        ApplyRefusal::RenameWithoutSchema(_)
        | ApplyRefusal::UnknownOld(_)
        | ApplyRefusal::UnknownNew(_)
        | ApplyRefusal::RenamedTwice(_)
        | ApplyRefusal::Unnameable { .. } => Code::ValidationError,
        ApplyRefusal::TooManyMoved(_) => Code::ExceededEntityLimit,
        ApplyRefusal::Lands { .. }
        | ApplyRefusal::TooMuchMeanwhile(_)
        | ApplyRefusal::PurgedMeanwhile
        | ApplyRefusal::SchemaMeanwhile
        | ApplyRefusal::Silences(_) => Code::Conflict,
    };
    ApiError::new(code, refusal.to_string())
}

pub(super) fn too_many_tuples(limit: usize) -> ApiError {
    let message = format!("The number of write operations exceeds the allowed limit of {limit}");
    ApiError::new(Code::ExceededEntityLimit, message)
}

/// `parts` as [`parts_of`] writes them.
pub(super) fn missing_tuple(parts: &str) -> ApiError {
    ApiError::new(
        Code::WriteFailed,
        format!("cannot delete a tuple which does not exist: {parts}: {ALREADY}"),
    )
}

pub(super) fn parts_of(user: &str, relation: &str, object: &str) -> String {
    format!("user: '{user}', relation: '{relation}', object: '{object}'")
}

fn parts(key: &str) -> String {
    match TupleRef::parse(key) {
        Ok(key) => parts_of(&key.subject.to_string(), key.relation, &key.object.to_string()),
        Err(_) => key.to_owned(),
    }
}

fn reason_text(tuple: &str, reason: &Rejection) -> String {
    match reason {
        Rejection::UnknownType { name, .. } => unknown_type(name),
        Rejection::UnknownRelation { object_type, relation, .. } => unknown_relation(object_type, relation),
        Rejection::NotAssignable(relation) | Rejection::NotAllowed { relation, .. } => {
            let subject = match tuple.parse::<Tuple>().map(|tuple| tuple.key.subject) {
                Ok(Subject::Object(object)) => format!("type '{}'", object.object_type()),
                Ok(Subject::Wildcard(name)) => format!("the typed wildcard '{name}:*'"),
                Ok(Subject::Userset(object, name)) => format!("'{}#{name}'", object.object_type()),
                Err(_) => "the user".to_owned(),
            };
            format!("{subject} is not an allowed type restriction for '{relation}'")
        }
        Rejection::ConditionMissing { .. } => "condition is missing".to_owned(),
        Rejection::ConditionNotAllowed { is_known: false, .. } => "undefined condition".to_owned(),
        Rejection::ConditionNotAllowed { .. } => "invalid condition for type restriction".to_owned(),
        Rejection::ConditionContext { problem, .. } => problem.clone(),
        Rejection::Implicit => "cannot write a tuple that is implicit".to_owned(),
    }
}

/// An object, or what OpenFGA says of a text that is none.
pub(super) fn object(text: &str) -> Result<ObjectRef<'_>, &'static str> {
    ObjectRef::parse(text).map_err(|_| {
        let is_wildcard = text.strip_suffix(":*").is_some_and(|name| !name.is_empty() && !name.contains(':'));
        if is_wildcard {
            "the 'object' field cannot reference a typed wildcard"
        } else {
            "invalid 'object' field format"
        }
    })
}

/// A subject, or what OpenFGA says of a text that is none.
pub(super) fn subject(text: &str) -> Result<SubjectRef<'_>, &'static str> {
    SubjectRef::parse(text).map_err(|_| {
        if text.is_empty() || text.contains(':') { "the 'user' field is malformed" } else { NO_TYPE }
    })
}

/// A tuple from its three texts, or what OpenFGA says of them.
pub(super) fn tuple_key(user: &str, relation: &str, at: &str) -> Result<TupleKey, &'static str> {
    let subject = subject(user)?;
    let object = object(at)?;
    check_relation_name(relation).map_err(|_| "the 'relation' field is malformed")?;
    Ok(TupleRef { object, relation, subject }.to_owned())
}
