//! CSV with a header line, in our columns or OpenFGA's.

use std::io::Read;

use super::source::{Collected, NOT_UTF8};
use crate::tuple::{ConditionContext, TimeError, Tuple, TupleCondition, TupleError, TupleKey};

/// Where each part stands in a line.
struct Columns {
    object: Vec<usize>,
    relation: usize,
    subject: Vec<usize>,
    subject_relation: Option<usize>,
    condition: Option<usize>,
    context: Option<usize>,
    expires_at: Option<usize>,
}

const HEADER_HELP: &str = "begin the file with `object,relation,subject` (and, if wanted, `condition,context,expires_at`) \
    or with OpenFGA's `user_type,user_id,user_relation,relation,object_type,object_id`";

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Columns, String> {
        let known = [
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
        if let Some(unknown) = header.iter().find(|name| !known.contains(&name.trim())) {
            return Err(format!("column `{unknown}` is unknown: {HEADER_HELP}"));
        }
        if let Some(twice) = header.iter().enumerate().find_map(|(at, name)| {
            header.iter().take(at).any(|before| before.trim() == name.trim()).then_some(name)
        }) {
            return Err(format!("column `{twice}` is there twice: leave one out"));
        }
        for (ours, theirs) in [("object", "object_type"), ("subject", "user_type"), ("user", "user_type")] {
            if header.iter().any(|name| name.trim() == ours)
                && header.iter().any(|name| name.trim() == theirs)
            {
                return Err(format!("columns `{ours}` and `{theirs}` say the same: leave one out"));
            }
        }
        let at = |name: &str| header.iter().position(|found| found.trim() == name);
        let required =
            |name: &str| at(name).ok_or_else(|| format!("column `{name}` is missing: {HEADER_HELP}"));
        let either = |name: &str, other: &str| at(name).or_else(|| at(other));
        let object = match at("object") {
            Some(object) => vec![object],
            None if at("object_type").or(at("object_id")).is_none() => vec![required("object")?],
            None => vec![required("object_type")?, required("object_id")?],
        };
        let subject = match either("subject", "user") {
            Some(subject) => vec![subject],
            None if at("user_type").or(at("user_id")).is_none() => vec![required("subject")?],
            None => vec![required("user_type")?, required("user_id")?],
        };
        Ok(Columns {
            object,
            relation: required("relation")?,
            subject,
            subject_relation: at("user_relation"),
            condition: either("condition", "condition_name"),
            context: either("context", "condition_context"),
            expires_at: at("expires_at"),
        })
    }

    fn tuple(&self, record: &csv::StringRecord) -> Result<Tuple, String> {
        let text = |at: usize| record.get(at).unwrap_or("").trim();
        let optional = |at: Option<usize>| at.map(text).filter(|text| !text.is_empty());
        let joined = |parts: &[usize]| parts.iter().map(|&at| text(at)).collect::<Vec<_>>().join(":");
        let mut subject = joined(&self.subject);
        if let Some(relation) = optional(self.subject_relation) {
            subject = format!("{subject}#{relation}");
        }
        let show = |error: TupleError| error.to_string();
        let key = TupleKey::from_parts(&joined(&self.object), text(self.relation), &subject).map_err(show)?;
        let mut tuple = Tuple::plain(key);
        if let Some(name) = optional(self.condition) {
            let context =
                optional(self.context).map_or(Ok(ConditionContext::empty()), ConditionContext::from_json);
            tuple.condition = Some(TupleCondition::new(name, context.map_err(show)?).map_err(show)?);
        } else if let Some(context) = optional(self.context) {
            return Err(format!("context `{context}` is given without a condition: name the condition too"));
        }
        if let Some(time) = optional(self.expires_at) {
            tuple.expires_at = Some(time.parse().map_err(|error: TimeError| error.to_string())?);
        }
        Ok(tuple)
    }
}

/// What is wrong, without the place: that is told already.
fn problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} columns, the header has {expected_len}: quote a value that holds a comma")
        }
        csv::ErrorKind::Utf8 { .. } => NOT_UTF8.to_owned(),
        _ => error.to_string(),
    }
}

pub(super) fn read(input: impl Read, collected: &mut Collected) -> std::io::Result<()> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(input);
    let columns = match reader.headers() {
        Err(error) if error.is_io_error() => return Err(std::io::Error::other(error)),
        Err(error) => Err(problem(&error)),
        Ok(header) if header.is_empty() => Err(format!("the file is empty: {HEADER_HELP}")),
        Ok(header) => Columns::find(header),
    };
    let columns = match columns {
        Ok(columns) => columns,
        Err(problem) => {
            collected.take(1, Err(problem));
            return Ok(());
        }
    };
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                collected.take(line, columns.tuple(&record));
            }
            Err(error) if error.is_io_error() => return Err(std::io::Error::other(error)),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                collected.take(line, Err(problem(&error)));
            }
        }
    }
}
