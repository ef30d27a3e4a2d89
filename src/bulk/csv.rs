//! CSV with a header line, in our columns or OpenFGA's.

use std::io;
use std::ops::Range;

use super::buffer::LineEnd;
use super::lines::{Found, Lines, is_blank};
use super::reader::utf8;
use super::{BulkTuple, Reason};
use crate::tuple::{ConditionContext, ObjectRef, SubjectRef, TupleCondition, TupleRef, check_relation_name};

/// Reads records one by one.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Once the header has been read.
    columns: Option<Columns>,
    /// The last record.
    record: Record,
    /// Behind a header that tells nothing.
    is_over: bool,
}

/// Where each part stands in a line.
#[derive(Debug)]
struct Columns {
    object: Place,
    relation: usize,
    subject: Place,
    subject_relation: Option<usize>,
    condition: Option<usize>,
    context: Option<usize>,
    expires_at: Option<usize>,
    /// How many columns there are.
    count: usize,
}

/// `type:id` in one column, or the two in one each.
#[derive(Debug, Clone, Copy)]
enum Place {
    Whole(usize),
    Parts(usize, usize),
}

/// The values of one record: ranges of its text.
#[derive(Debug, Default)]
struct Record {
    /// The text of records with quotes, unquoted.
    unquoted: String,
    fields: Vec<Range<usize>>,
    state: State,
    start: usize,
}

/// Where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// At the beginning of a value.
    #[default]
    Begin,
    /// In a value without quotes.
    Bare,
    /// Between quotes.
    Quoted,
    /// Behind a quote in a quoted value: its end, or the first of two that stand for one.
    Quote,
    /// In white space behind a quoted value.
    Closed,
}

/// Why a record cannot be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Torn {
    /// The line ends within quotes: the next one belongs to it.
    Open,
    /// Something follows a closing quote.
    Followed,
}

const HEADER_HELP: &str = "begin the file with `object,relation,subject` (and, if wanted, `condition,context,expires_at`) \
    or with OpenFGA's `user_type,user_id,user_relation,relation,object_type,object_id`";

const KNOWN: [&str; 14] = [
    "object",
    "relation",
    "subject",
    "user",
    "condition",
    "context",
    "expires_at",
    "object_type",
    "object_id",
    "user_type",
    "user_id",
    "user_relation",
    "condition_name",
    "condition_context",
];

/// Columns of which only one can be there.
const SAME: [(&str, &str); 9] = [
    ("object", "object_type"),
    ("object", "object_id"),
    ("subject", "user_type"),
    ("subject", "user_id"),
    ("subject", "user"),
    ("user", "user_type"),
    ("user", "user_id"),
    ("condition", "condition_name"),
    ("context", "condition_context"),
];

impl Records {
    /// Reads the header, unless that has been done; gives what is wrong with it.
    pub(super) fn begin(&mut self, lines: &mut Lines) -> io::Result<Option<Found>> {
        if self.columns.is_some() || self.is_over {
            return Ok(None);
        }
        let Some(found) = lines.next(is_blank)? else {
            self.is_over = true;
            // Behind this line there is nothing, not even this line again.
            lines.count += 1;
            return Ok(Some(Found::bad(1, Columns::empty_file())));
        };
        let content = utf8(lines.buffer.slice(found.content.clone()));
        let columns = found.problem.map_or(content, Err).and_then(|content| {
            self.record.clear();
            self.record.split_quoted(content).map_err(Torn::reason)?;
            Columns::find(&self.record.values(content))
        });
        match columns {
            Ok(columns) => {
                self.columns = Some(columns);
                Ok(None)
            }
            Err(reason) => {
                self.is_over = true;
                Ok(Some(Found { problem: Some(reason), ..found }))
            }
        }
    }

    /// The next record, taken apart.
    pub(super) fn next(&mut self, lines: &mut Lines) -> io::Result<Option<Found>> {
        if let Some(bad) = self.begin(lines)? {
            return Ok(Some(bad));
        }
        let Some(columns) = &self.columns else { return Ok(None) };
        let (content, whole) = match lines.peek(is_blank)? {
            LineEnd::End => return Ok(None),
            LineEnd::TooLong => return lines.skip_too_long().map(Some),
            LineEnd::At { content, whole } => (content, whole),
        };
        let line = lines.count + 1;
        let text = &lines.buffer.unread()[..content];
        let (content, whole, count, problem) = if memchr::memchr(b'"', text).is_some() {
            self.record.assemble(lines, columns.count, content, whole)?
        } else {
            let text = utf8(text);
            let problem = text.map(|text| self.record.split(text)).err();
            (content, whole, 1, problem)
        };
        let at = lines.take(whole, count);
        Ok(Some(Found { content: at.start..at.start + content, problem, ..Found::at(line) }))
    }

    /// The tuple of the record that was found last, whose text is given.
    pub(super) fn tuple<'a>(&'a self, text: &'a [u8]) -> Result<BulkTuple<'a>, Reason> {
        // Checked when it was taken apart.
        let text = utf8(text)?;
        let columns = self.columns.as_ref().ok_or_else(Columns::empty_file)?;
        columns.tuple(&self.record, text)
    }
}

impl Torn {
    fn reason(self) -> Reason {
        let (kind, text) = match self {
            Torn::Open => {
                ("has an open quote", "a quote is not closed: double the quotes within a quoted value")
            }
            Torn::Followed => (
                "has text behind a closing quote",
                "a closing quote is followed by text: double the quotes within a quoted value",
            ),
        };
        Reason::new(kind, text)
    }
}

impl Columns {
    /// Reads a header.
    fn find(header: &[&str]) -> Result<Columns, Reason> {
        let reason = |text| Reason::new("is no header", text);
        if let Some(unknown) = header.iter().find(|name| !KNOWN.contains(name)) {
            return Err(reason(format!("column `{unknown}` is unknown: {HEADER_HELP}")));
        }
        if let Some(twice) = (1..header.len()).find(|&at| header[..at].contains(&header[at])) {
            return Err(reason(format!("column `{}` is there twice: leave one out", header[twice])));
        }
        for (one, other) in SAME {
            if header.contains(&one) && header.contains(&other) {
                return Err(reason(format!("columns `{one}` and `{other}` say the same: leave one out")));
            }
        }
        let at = |name: &str| header.iter().position(|found| *found == name);
        let required =
            |name: &str| at(name).ok_or_else(|| reason(format!("column `{name}` is missing: {HEADER_HELP}")));
        let either = |name: &str, other: &str| at(name).or_else(|| at(other));
        let object = match at("object") {
            Some(object) => Place::Whole(object),
            None if at("object_type").or(at("object_id")).is_none() => Place::Whole(required("object")?),
            None => Place::Parts(required("object_type")?, required("object_id")?),
        };
        let subject = match either("subject", "user") {
            Some(subject) => Place::Whole(subject),
            None if at("user_type").or(at("user_id")).is_none() => Place::Whole(required("subject")?),
            None => Place::Parts(required("user_type")?, required("user_id")?),
        };
        Ok(Columns {
            object,
            relation: required("relation")?,
            subject,
            subject_relation: at("user_relation"),
            condition: either("condition", "condition_name"),
            context: either("context", "condition_context"),
            expires_at: at("expires_at"),
            count: header.len(),
        })
    }

    fn empty_file() -> Reason {
        Reason::new("is no header", format!("the file is empty: {HEADER_HELP}"))
    }

    /// The tuple of a record, whose text is given.
    fn tuple<'a>(&self, record: &'a Record, text: &'a str) -> Result<BulkTuple<'a>, Reason> {
        if record.fields.len() != self.count {
            let (found, expected) = (record.fields.len(), self.count);
            let text =
                format!("has {found} columns, the header has {expected}: quote a value that holds a comma");
            return Err(Reason::new("has another number of columns than the header", text));
        }
        let value = |at: usize| record.value(at, text);
        let optional = |at: Option<usize>| at.map(value).filter(|value| !value.is_empty());
        let object = match self.object {
            Place::Whole(at) => ObjectRef::parse(value(at)),
            // What is wrong is told of the whole `type:id`.
            Place::Parts(first, second) => ObjectRef::new(value(first), value(second)).map_err(|error| {
                let whole = format!("{}:{}", value(first), value(second));
                ObjectRef::parse(&whole).err().unwrap_or(error)
            }),
        }?;
        let relation = value(self.relation);
        check_relation_name(relation)?;
        let subject = self.subject(value, optional(self.subject_relation))?;
        let mut tuple = BulkTuple::plain(TupleRef { object, relation, subject });
        if let Some(name) = optional(self.condition) {
            let context = optional(self.context);
            let context = context.map_or(Ok(ConditionContext::empty()), ConditionContext::from_json)?;
            tuple.condition = Some(TupleCondition::new(name, context)?);
        } else if let Some(context) = optional(self.context) {
            let text = format!("context `{context}` is given without a condition: name the condition too");
            return Err(Reason::new("has a context without a condition", text));
        }
        if let Some(time) = optional(self.expires_at) {
            tuple.expires_at = Some(time.parse()?);
        }
        Ok(tuple)
    }

    fn subject<'a>(
        &self,
        value: impl Fn(usize) -> &'a str,
        relation: Option<&'a str>,
    ) -> Result<SubjectRef<'a>, Reason> {
        let (subject_type, id) = match self.subject {
            Place::Parts(first, second) => (value(first), value(second)),
            Place::Whole(at) => match (value(at).split_once(':'), relation) {
                (Some(parts), Some(_)) => parts,
                _ => return Ok(SubjectRef::parse(value(at))?),
            },
        };
        // OpenFGA's own export leaves the relation of a userset behind its id.
        let (id, relation) = match (relation, id.split_once('#')) {
            (None, Some((id, relation))) => (id, Some(relation)),
            _ => (id, relation),
        };
        Ok(SubjectRef::new(subject_type, id, relation).map_err(|error| {
            let relation = relation.map_or(String::new(), |relation| format!("#{relation}"));
            SubjectRef::parse(&format!("{subject_type}:{id}{relation}")).err().unwrap_or(error)
        })?)
    }
}

impl Record {
    /// Forgets the last record.
    fn clear(&mut self) {
        self.unquoted.clear();
        self.fields.clear();
        self.state = State::Begin;
        self.start = 0;
    }

    /// Takes apart a line without quotes.
    fn split(&mut self, line: &str) {
        self.clear();
        let mut from = 0;
        for comma in memchr::memchr_iter(b',', line.as_bytes()) {
            self.fields.push(from..comma);
            from = comma + 1;
        }
        self.fields.push(from..line.len());
    }

    /// Takes apart a line with quotes, or what follows an [`Open`](Torn::Open) one.
    fn split_quoted(&mut self, line: &str) -> Result<(), Torn> {
        if self.state == State::Quoted {
            self.unquoted.push('\n');
        }
        for c in line.chars() {
            match (self.state, c) {
                (State::Begin | State::Bare | State::Quote | State::Closed, ',') => self.end_field(),
                (State::Begin, '"') => self.state = State::Quoted,
                (State::Begin, ' ' | '\t') => {}
                (State::Quote | State::Closed, ' ' | '\t') => self.state = State::Closed,
                // A quote within a bare value is part of it: names may hold quotes.
                (State::Begin | State::Bare, c) => {
                    self.unquoted.push(c);
                    self.state = State::Bare;
                }
                (State::Quoted, '"') => self.state = State::Quote,
                (State::Quoted, c) => self.unquoted.push(c),
                (State::Quote, '"') => {
                    self.unquoted.push('"');
                    self.state = State::Quoted;
                }
                (State::Quote | State::Closed, _) => return Err(Torn::Followed),
            }
        }
        if self.state == State::Quoted {
            return Err(Torn::Open);
        }
        self.end_field();
        Ok(())
    }

    /// Takes apart a record with quotes, which may go on over several lines. Gives how many bytes its text has, how many
    /// bytes and lines belong to it, and what is wrong. Of a record that is torn only the first line counts: a quote that
    /// nobody closes must not swallow what follows.
    fn assemble(
        &mut self,
        lines: &mut Lines,
        columns: usize,
        content: usize,
        whole: usize,
    ) -> io::Result<(usize, usize, u64, Option<Reason>)> {
        self.clear();
        let first = (content, whole);
        let (mut content, mut whole, mut count) = (content, whole, 1);
        let mut from = 0;
        let problem = loop {
            let split = match utf8(&lines.buffer.unread()[from..content]) {
                Ok(text) => self.split_quoted(text),
                Err(reason) if count == 1 => break Some(reason),
                Err(_) => Err(Torn::Open),
            };
            match split {
                Ok(()) if count == 1 || self.fields.len() == columns => break None,
                Err(Torn::Open) => {}
                Err(torn) if count == 1 => break Some(torn.reason()),
                // What a later line shows to be wrong is that the quote was never meant to be open so long.
                _ => break Some(Torn::Open.reason()),
            }
            from = whole;
            match lines.buffer.line_end(from)? {
                LineEnd::At { content: next_content, whole: next_whole } => {
                    (content, whole, count) = (next_content, next_whole, count + 1);
                }
                LineEnd::TooLong | LineEnd::End => break Some(Torn::Open.reason()),
            }
        };
        Ok(match problem {
            None => (content, whole, count, None),
            problem => (first.0, first.1, 1, problem),
        })
    }

    fn end_field(&mut self) {
        self.fields.push(self.start..self.unquoted.len());
        self.start = self.unquoted.len();
        self.state = State::Begin;
    }

    /// All values; `line` is the text of a record without quotes.
    fn values<'a>(&'a self, line: &'a str) -> Vec<&'a str> {
        (0..self.fields.len()).map(|at| self.value(at, line)).collect()
    }

    /// A value by its column. White space that is not ASCII can be part of a name.
    fn value<'a>(&'a self, at: usize, line: &'a str) -> &'a str {
        let text = if self.unquoted.is_empty() { line } else { &self.unquoted };
        self.fields.get(at).and_then(|range| text.get(range.clone())).unwrap_or("").trim_ascii()
    }
}
