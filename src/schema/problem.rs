//! What is wrong with a schema: which mistake, where, and what would be right.

use std::collections::HashSet;
use std::sync::Arc;

use super::code::ProblemCode;
use super::source::{At, Place, Source, Span};

/// Whether a problem refuses the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The schema is refused.
    Error,
    /// The schema is accepted; something in it looks like a mistake.
    Warning,
}

/// One mistake, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which mistake.
    pub code: ProblemCode,
    /// Whether it refuses the schema.
    pub severity: Severity,
    /// What is wrong: lowercase, the user's own words in backticks, no stop at the end.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to write under the place, when it adds to the message.
    pub label: Option<String>,
    /// Other places that matter.
    pub others: Vec<Label>,
    /// What would be right.
    pub help: Option<String>,
}

/// A second place that matters for a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What is there.
    pub text: String,
}

/// Everything that is wrong with one schema, in the order of its text; of a JSON document, in the order found.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    source: Arc<Source>,
    list: Vec<Problem>,
    wire: Option<WireError>,
}

/// The answer that OpenFGA's HTTP API gives for a schema: its first mistake, in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// OpenFGA's error code: `invalid_authorization_model`, `exceeded_entity_limit`, …
    pub code: &'static str,
    /// OpenFGA's message.
    pub message: String,
}

impl Problem {
    pub(super) fn new(code: ProblemCode, at: &At, message: impl Into<String>) -> Problem {
        Problem {
            code,
            severity: code.severity(),
            message: message.into(),
            place: at.0.clone(),
            label: None,
            others: Vec::new(),
            help: None,
        }
    }

    pub(super) fn spanned(code: ProblemCode, span: Span, message: impl Into<String>) -> Problem {
        Problem::new(code, &At::from(span), message)
    }

    /// What stands for this problem and all after it, when there are too many.
    pub(super) fn too_many(self, most: usize) -> Problem {
        let message = format!("more than {most} problems; the rest is not shown");
        Problem::new(ProblemCode::TooManyProblems, &At(self.place), message)
    }

    pub(super) fn label(mut self, text: impl Into<String>) -> Problem {
        self.label = Some(text.into());
        self
    }

    pub(super) fn also(mut self, at: &At, text: impl Into<String>) -> Problem {
        self.others.push(Label { place: at.0.clone(), text: text.into() });
        self
    }

    pub(super) fn help(mut self, text: impl Into<String>) -> Problem {
        self.help = Some(text.into());
        self
    }

    pub(super) fn help_if_any(mut self, text: Option<String>) -> Problem {
        self.help = text.or(self.help);
        self
    }
}

impl Problems {
    /// Puts the problems into the order of the text. The same mistake at the same place counts once; where JSON is
    /// of the wrong type, nothing else counts.
    pub(super) fn new(source: Arc<Source>, mut list: Vec<Problem>) -> Problems {
        let mut seen = HashSet::new();
        let mut untyped = HashSet::new();
        list.retain(|problem| match &problem.place {
            Place::Span(span) => seen.insert((problem.code, *span)),
            Place::Path(path) if problem.code == ProblemCode::JsonType => untyped.insert(path.clone()),
            Place::Path(path) => !untyped.contains(path),
        });
        list.sort_by_key(|problem| problem.place.span().map(|span| (span.start, span.end)));
        Problems { source, list, wire: None }
    }

    pub(super) fn with_wire_error(mut self, wire: Option<WireError>) -> Problems {
        self.wire = wire;
        self
    }

    /// The problems, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them refuses the schema.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The source that the places are in.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What OpenFGA would answer for this schema: the first mistake in its order of looking. None when it would
    /// not refuse the schema, or only for its text.
    pub fn openfga_error(&self) -> Option<&WireError> {
        self.wire.as_ref()
    }

    /// The message of [`openfga_error`](Problems::openfga_error).
    pub fn openfga_message(&self) -> Option<&str> {
        self.wire.as_ref().map(|wire| wire.message.as_str())
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}
