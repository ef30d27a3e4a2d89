//! What can be wrong with a name, an object, a subject or a tuple.

use std::fmt;

/// Which part of a tuple (or of a question) an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole `object#relation@subject`.
    Tuple,
    /// `type:id`.
    Object,
    /// The type before the colon of an object.
    ObjectType,
    /// The id after the colon of an object.
    ObjectId,
    /// The relation.
    Relation,
    /// `type:id`, `type:id#relation` or `type:*`.
    Subject,
    /// The type of the subject.
    SubjectType,
    /// The id of the subject.
    SubjectId,
    /// The relation after the `#` of a userset.
    SubjectRelation,
    /// The name of a condition.
    Condition,
    /// The context stored with a condition.
    Context,
    /// The time at which the tuple ends.
    Expiry,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Tuple => "tuple",
            Part::Object => "object",
            Part::ObjectType => "object type",
            Part::ObjectId => "object id",
            Part::Relation => "relation",
            Part::Subject => "subject",
            Part::SubjectType => "subject type",
            Part::SubjectId => "subject id",
            Part::SubjectRelation => "subject relation",
            Part::Condition => "condition",
            Part::Context => "condition context",
            Part::Expiry => "expiry",
        })
    }
}

/// A part of a tuple that cannot be accepted: which, what is wrong, what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} {problem} in `{text}`: {help}")]
pub struct TupleError {
    /// The part at fault.
    pub part: Part,
    /// What is wrong with it, as the rest of a sentence that begins with the part.
    pub problem: &'static str,
    /// The text as given, cut when it is very long.
    pub text: String,
    /// What would be right.
    pub help: &'static str,
}

impl TupleError {
    pub(super) fn new(part: Part, problem: &'static str, text: &str, help: &'static str) -> TupleError {
        const TEXT_CHARS_MAX: usize = 80;
        let mut shown: String = text.chars().take(TEXT_CHARS_MAX).map(visible).collect();
        if text.chars().nth(TEXT_CHARS_MAX).is_some() {
            shown.push('…');
        }
        TupleError { part, problem, text: shown, help }
    }

    /// The same error about the larger text that the part stands in.
    pub(super) fn within(mut self, text: &str) -> TupleError {
        self.text = TupleError::new(self.part, self.problem, text, self.help).text;
        self
    }
}

/// Control characters would garble a terminal: show their picture instead.
fn visible(c: char) -> char {
    match c {
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}
