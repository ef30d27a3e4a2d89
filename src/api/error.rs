//! Errors as OpenFGA's API answers them: a code by name, a text, and a status that follows from the code's number.

use std::time::Duration;

use axum::http::StatusCode;

use crate::tuple::SchemaId;

/// OpenFGA's error codes, as far as we answer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    ValidationError,
    AuthorizationModelNotFound,
    ResolutionTooComplex,
    InvalidWriteInput,
    DuplicateTuples,
    InvalidContinuationToken,
    InvalidExpandInput,
    WriteFailed,
    LatestAuthorizationModelNotFound,
    TypeNotFound,
    RelationNotFound,
    InvalidTuple,
    StoreIdInvalidLength,
    AssertionsTooManyItems,
    TupleKeyNotSpecified,
    PageSizeInvalid,
    TypeDefinitionsTooFew,
    TypeInvalidLength,
    TypeInvalidPattern,
    ContinuationTypeMismatch,
    ExceededEntityLimit,
    InvalidStartTime,
    Conflict,
    /// There is no room for the request, or its quota is used up.
    Busy,
    InvalidSubject,
    InvalidAudience,
    InvalidIssuer,
    InvalidClaims,
    InvalidBearerToken,
    BearerTokenMissing,
    Unauthenticated,
    Forbidden,
    Internal,
    DeadlineExceeded,
    ResourceExhausted,
    Unavailable,
    UndefinedEndpoint,
    StoreNotFound,
    Unimplemented,
    /// A schema that is refused, under the name that OpenFGA has for the mistake.
    Schema(&'static str),
}

impl Code {
    /// Why callers are refused.
    pub(super) const OF_CALLERS: [Code; 8] = [
        Code::InvalidSubject,
        Code::InvalidAudience,
        Code::InvalidIssuer,
        Code::InvalidClaims,
        Code::InvalidBearerToken,
        Code::BearerTokenMissing,
        Code::Unauthenticated,
        Code::Forbidden,
    ];

    /// OpenFGA's name and number; `Aborted` and `rate_limit_exceeded` have none of their own, only a status.
    fn parts(self) -> (&'static str, u16) {
        match self {
            Code::ValidationError => ("validation_error", 2000),
            Code::AuthorizationModelNotFound => ("authorization_model_not_found", 2001),
            Code::ResolutionTooComplex => ("authorization_model_resolution_too_complex", 2002),
            Code::InvalidWriteInput => ("invalid_write_input", 2003),
            Code::DuplicateTuples => ("cannot_allow_duplicate_tuples_in_one_request", 2004),
            Code::InvalidContinuationToken => ("invalid_continuation_token", 2007),
            Code::InvalidExpandInput => ("invalid_expand_input", 2010),
            Code::WriteFailed => ("write_failed_due_to_invalid_input", 2017),
            Code::LatestAuthorizationModelNotFound => ("latest_authorization_model_not_found", 2020),
            Code::TypeNotFound => ("type_not_found", 2021),
            Code::RelationNotFound => ("relation_not_found", 2022),
            Code::InvalidTuple => ("invalid_tuple", 2027),
            Code::StoreIdInvalidLength => ("store_id_invalid_length", 2030),
            Code::AssertionsTooManyItems => ("assertions_too_many_items", 2033),
            Code::TupleKeyNotSpecified => ("tuple_key_value_not_specified", 2037),
            Code::PageSizeInvalid => ("page_size_invalid", 2039),
            Code::TypeDefinitionsTooFew => ("type_definitions_too_few_items", 2045),
            Code::TypeInvalidLength => ("type_invalid_length", 2046),
            Code::TypeInvalidPattern => ("type_invalid_pattern", 2047),
            Code::ContinuationTypeMismatch => ("query_string_type_continuation_token_mismatch", 2052),
            Code::ExceededEntityLimit => ("exceeded_entity_limit", 2053),
            Code::InvalidStartTime => ("invalid_start_time", 2059),
            Code::Conflict => ("Aborted", 0),
            Code::Busy => ("rate_limit_exceeded", 1),
            Code::InvalidSubject => ("auth_failed_invalid_subject", 1001),
            Code::InvalidAudience => ("auth_failed_invalid_audience", 1002),
            Code::InvalidIssuer => ("auth_failed_invalid_issuer", 1003),
            Code::InvalidClaims => ("invalid_claims", 1004),
            Code::InvalidBearerToken => ("auth_failed_invalid_bearer_token", 1005),
            Code::BearerTokenMissing => ("bearer_token_missing", 1010),
            Code::Unauthenticated => ("unauthenticated", 1500),
            Code::Forbidden => ("forbidden", 1600),
            Code::Internal => ("internal_error", 4000),
            Code::DeadlineExceeded => ("deadline_exceeded", 4004),
            Code::ResourceExhausted => ("resource_exhausted", 4006),
            Code::Unavailable => ("unavailable", 4010),
            Code::UndefinedEndpoint => ("undefined_endpoint", 5000),
            Code::StoreNotFound => ("store_id_not_found", 5002),
            Code::Unimplemented => ("unimplemented", 5004),
            Code::Schema(name) => (name, 2056),
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.parts().0
    }

    pub(super) fn status(self) -> StatusCode {
        match self.parts().1 {
            0 => StatusCode::CONFLICT,
            1 => StatusCode::TOO_MANY_REQUESTS,
            1000..1600 => StatusCode::UNAUTHORIZED,
            1600..2000 => StatusCode::FORBIDDEN,
            2000..3500 => StatusCode::BAD_REQUEST,
            5000.. => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The number that a streamed error carries: gRPC's.
    pub(super) fn grpc(self) -> u8 {
        match self {
            Code::Conflict => 10,
            Code::DeadlineExceeded => 4,
            Code::ResourceExhausted | Code::Busy => 8,
            Code::Unavailable => 14,
            Code::Forbidden => 7,
            _ => match self.parts().1 {
                1000..1600 => 16,
                2000..3500 => 3,
                5000.. => 5,
                _ => 13,
            },
        }
    }

    /// Whether a batch reports it as the server's failure rather than the client's.
    pub(super) fn is_internal(self) -> bool {
        self.status() == StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) code: Code,
    pub(super) message: String,
    /// The schema that the request was about, when that was known.
    pub(super) schema: Option<SchemaId>,
    /// What happened in the words of the command line; none: the message says it.
    pub(super) reason: Option<Box<str>>,
    /// After which time the same request may be answered.
    pub(super) retry_after: Option<Duration>,
}

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> ApiError {
        ApiError { code, message: message.into(), schema: None, reason: None, retry_after: None }
    }

    /// Of what should not have happened: there is nothing to tell about it.
    pub(super) fn internal() -> ApiError {
        ApiError::new(Code::Internal, "Internal Server Error")
    }

    pub(super) fn validation(message: impl Into<String>) -> ApiError {
        ApiError::new(Code::ValidationError, message)
    }

    /// With the reason in the words of the command line.
    pub(super) fn because(mut self, reason: String) -> ApiError {
        self.reason = Some(reason.into());
        self
    }

    /// For the header of that name.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0))
    }

    pub(super) fn retry_after(mut self, time: Duration) -> ApiError {
        self.retry_after = Some(time);
        self
    }

    pub(super) fn under(mut self, schema: SchemaId) -> ApiError {
        self.schema = Some(schema);
        self
    }

    /// The body: `{"code":…,"message":…}`, and our own words as `reason` where there are some.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = serde_json::json!({ "code": self.code.name(), "message": self.message });
        if let Some(reason) = &self.reason {
            body["reason"] = serde_json::Value::from(&**reason);
        }
        format!("{body}\n").into_bytes()
    }

    /// The body of an error in a stream.
    pub(super) fn streamed(&self) -> Vec<u8> {
        let error = serde_json::json!({
            "error": { "code": self.code.grpc(), "message": self.message, "details": [] }
        });
        format!("{error}\n").into_bytes()
    }
}
