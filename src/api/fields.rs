//! The rules for single fields of a request, which are looked at before anything else, and OpenFGA's words for them.

use super::error::{ApiError, Code};
use super::wire::Consistency;

/// A form that a field must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The id of a store or a schema.
    Id,
    /// The same, or nothing.
    IdOrEmpty,
    StoreName,
    StoreNameOrEmpty,
    /// A user or an object that is asked about: so many characters, none of them a space.
    Word(usize),
    WordOrEmpty(usize),
    TypeName,
    /// A type to filter changes by.
    ChangesType,
    RelationName,
    RelationNameOrEmpty,
    ReadUser,
    ObjectId,
    CorrelationId,
    ContinuationToken,
}

impl Form {
    /// The regular expression that OpenFGA has for it, quoted as it prints it.
    fn pattern(self) -> String {
        match self {
            Form::Id | Form::IdOrEmpty => "^[ABCDEFGHJKMNPQRSTVWXYZ0-9]{26}$".to_owned(),
            Form::StoreName | Form::StoreNameOrEmpty => r"^[a-zA-Z0-9\\s\\.\\-\\/^_&@]{3,64}$".to_owned(),
            Form::Word(max) | Form::WordOrEmpty(max) => format!(r"^[^\\s]{{2,{max}}}$"),
            Form::TypeName => r"^[^:#@\\s]{1,254}$".to_owned(),
            Form::ChangesType => r"^[^:#\\s]{1,254}$".to_owned(),
            Form::RelationName | Form::RelationNameOrEmpty => r"^[^:#@\\s]{1,50}$".to_owned(),
            Form::ReadUser => r"^[^\\s]{1,511}:[^\\s]{1,511}$".to_owned(),
            Form::ObjectId => r"[^#:\\s]+$".to_owned(),
            Form::CorrelationId => r"^[\\w\\d-]{1,36}$".to_owned(),
            Form::ContinuationToken => "^$|^[A-Za-z0-9-_]+={0,2}$".to_owned(),
        }
    }

    fn fits(self, text: &str) -> bool {
        let is_name = |max: usize, forbidden: &[char]| {
            let allowed = |c: char| !is_space(c) && !forbidden.contains(&c);
            !text.is_empty() && text.chars().count() <= max && text.chars().all(allowed)
        };
        match self {
            Form::IdOrEmpty | Form::StoreNameOrEmpty | Form::WordOrEmpty(_) if text.is_empty() => true,
            Form::RelationNameOrEmpty | Form::ChangesType | Form::ReadUser if text.is_empty() => true,
            Form::Id | Form::IdOrEmpty => {
                let is_letter = |b: u8| b.is_ascii_uppercase() && !b"ILOU".contains(&b);
                text.len() == 26 && text.bytes().all(|b| b.is_ascii_digit() || is_letter(b))
            }
            Form::StoreName | Form::StoreNameOrEmpty => {
                let allowed = |c: char| c.is_ascii_alphanumeric() || is_space(c) || ".-/^_&@".contains(c);
                (3..=64).contains(&text.len()) && text.chars().all(allowed)
            }
            Form::Word(max) | Form::WordOrEmpty(max) => is_name(max, &[]) && text.chars().nth(1).is_some(),
            Form::TypeName => is_name(254, &[':', '#', '@']),
            Form::ChangesType => is_name(254, &[':', '#']),
            Form::RelationName | Form::RelationNameOrEmpty => is_name(50, &[':', '#', '@']),
            Form::ReadUser => {
                is_name(512, &[])
                    && text.split_once(':').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty())
            }
            Form::ObjectId => text.chars().last().is_some_and(|c| !is_space(c) && c != ':' && c != '#'),
            Form::CorrelationId => {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                (1..=36).contains(&text.len()) && text.bytes().all(allowed)
            }
            Form::ContinuationToken => {
                let body = text.trim_end_matches('=');
                text.len() - body.len() <= 2
                    && (text.is_empty() || !body.is_empty())
                    && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            }
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// Collects what is wrong with the fields of a request.
#[derive(Debug)]
pub(super) struct Fields {
    request: &'static str,
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    message: &'static str,
    field: String,
    reason: String,
    /// Of a message within the request: then nothing else is told.
    is_nested: bool,
}

impl Fields {
    /// Of a request of this name.
    pub(super) fn of(request: &'static str) -> Fields {
        Fields { request, problems: Vec::new() }
    }

    pub(super) fn form(&mut self, field: &str, value: &str, form: Form) {
        self.form_in(None, field, value, form);
    }

    /// The same, of a message within the request.
    pub(super) fn form_in(&mut self, message: Option<&'static str>, field: &str, value: &str, form: Form) {
        if !form.fits(value) {
            let reason = format!("value does not match regex pattern \"{}\"", form.pattern());
            self.wrong_in(message, field, reason);
        }
    }

    pub(super) fn wrong(&mut self, field: &str, reason: impl Into<String>) {
        self.wrong_in(None, field, reason);
    }

    pub(super) fn wrong_in(&mut self, message: Option<&'static str>, field: &str, reason: impl Into<String>) {
        self.problems.push(Problem {
            message: message.unwrap_or(self.request),
            field: field.to_owned(),
            reason: reason.into(),
            is_nested: message.is_some(),
        });
    }

    pub(super) fn at_most(&mut self, message: Option<&'static str>, field: &str, count: usize, max: usize) {
        if count > max {
            self.wrong_in(message, field, format!("value must contain no more than {max} item(s)"));
        }
    }

    /// A page size, or the default.
    pub(super) fn page_size(&mut self, size: Option<i64>) -> usize {
        match size {
            None => 50,
            Some(size @ 1..=100) => size as usize,
            Some(_) => {
                self.wrong("PageSize", "value must be inside range [1, 100]");
                0
            }
        }
    }

    pub(super) fn consistency(&mut self, consistency: &Consistency) {
        if !consistency.is_known() {
            self.wrong("Consistency", "value must be one of the defined enum values");
        }
    }

    pub(super) fn continuation_token(&mut self, token: &str) {
        if token.len() > 5120 {
            self.wrong("ContinuationToken", "value length must be at most 5120 bytes");
        } else {
            self.form("ContinuationToken", token, Form::ContinuationToken);
        }
    }

    /// Everything that is wrong, or that nothing is.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let only_nested = self.problems.iter().any(|problem| problem.is_nested);
        let told: Vec<&Problem> =
            self.problems.iter().filter(|problem| problem.is_nested == only_nested).collect();
        let Some(first) = told.first() else { return Ok(()) };
        let texts: Vec<String> = told
            .iter()
            .map(|problem| format!("invalid {}.{}: {}", problem.message, problem.field, problem.reason))
            .collect();
        Err(ApiError::new(code_of(&first.field, &first.reason), texts.join("; ")))
    }
}

/// OpenFGA chooses the code by the field and the beginning of what is wrong with it.
fn code_of(field: &str, reason: &str) -> Code {
    match field {
        "Assertions" if reason.starts_with("value must contain no more than") => Code::AssertionsTooManyItems,
        "TupleKey" if reason.starts_with("value is required") => Code::TupleKeyNotSpecified,
        "PageSize" if reason.starts_with("value must be inside range") => Code::PageSizeInvalid,
        "StoreId" if reason.starts_with("value length must be") => Code::StoreIdInvalidLength,
        "TypeDefinitions" if reason.starts_with("value must contain at least") => Code::TypeDefinitionsTooFew,
        "Type" if reason.starts_with("value length must be at") => Code::TypeInvalidLength,
        "Type" if reason.starts_with("value does not match regex pattern") => Code::TypeInvalidPattern,
        _ => Code::ValidationError,
    }
}
