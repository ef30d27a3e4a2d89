//! Writing tuples to a file, so that reading it gives exactly the same ones back.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use super::{Compression, Format, spicedb};
use crate::tuple::{SubjectRef, Timestamp, Tuple, TupleCondition, TupleRef};

/// How many bytes are gathered before they are packed and written.
const CHUNK_BYTES: usize = 64 << 10;

/// What a file is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// Its format: any but [`Format::StoreTest`].
    pub format: Format,
    /// How it is packed.
    pub compression: Compression,
    /// Whether some tuple has an end. Only CSV has to know beforehand: it gets a column `expires_at`, and with that column
    /// OpenFGA's tools do not take it.
    pub has_expiry: bool,
}

/// Writes tuples in one format.
pub struct TupleWriter<W: Write> {
    options: WriterOptions,
    out: Packer<W>,
    /// What has not been packed yet.
    text: Vec<u8>,
    /// How many have been written.
    tuples: u64,
}

/// Why a tuple could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a format for reading.
    #[error("`{0}` is a format that is only read: use text, csv, jsonl, json, yaml or spicedb")]
    OnlyRead(Format),
    /// The format cannot say it.
    #[error("tuple `{tuple}` cannot be written as {format}: {problem}")]
    Unspeakable {
        /// The tuple, in our text form.
        tuple: String,
        /// The format.
        format: Format,
        /// What it has no words for.
        problem: String,
    },
}

enum Packer<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> TupleWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// The format is one that is only read.
    pub fn new(out: W, options: WriterOptions) -> Result<TupleWriter<W>, WriteError> {
        let out = match options.compression {
            Compression::None => Packer::None(out),
            Compression::Gzip => Packer::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Compression::Zstd => Packer::Zstd(zstd::stream::write::Encoder::new(out, 0)?),
        };
        let mut text = Vec::with_capacity(2 * CHUNK_BYTES);
        match options.format {
            Format::StoreTest => return Err(WriteError::OnlyRead(options.format)),
            Format::Csv => {
                text.extend_from_slice(b"user_type,user_id,user_relation,relation,object_type,object_id,");
                text.extend_from_slice(b"condition_name,condition_context");
                text.extend_from_slice(if options.has_expiry { b",expires_at\n" } else { b"\n" });
            }
            _ => {}
        }
        Ok(TupleWriter { options, out, text, tuples: 0 })
    }

    /// Writes a tuple.
    ///
    /// # Errors
    /// The format has no words for it, or the file cannot be written.
    pub fn write(&mut self, tuple: &Tuple) -> Result<(), WriteError> {
        self.write_parts(&tuple.key.as_ref(), tuple.condition.as_ref(), tuple.expires_at)
    }

    /// Writes a tuple that is given in parts.
    ///
    /// # Errors
    /// The format has no words for it, or the file cannot be written.
    pub fn write_parts(
        &mut self,
        key: &TupleRef<'_>,
        condition: Option<&TupleCondition>,
        expires_at: Option<Timestamp>,
    ) -> Result<(), WriteError> {
        if let Some(problem) = self.unspeakable(key, condition, expires_at) {
            let (condition, format) = (condition.cloned(), self.options.format);
            let tuple = Tuple { key: key.to_owned(), condition, expires_at }.to_string();
            return Err(WriteError::Unspeakable { tuple, format, problem });
        }
        let is_first = self.tuples == 0;
        let out = &mut self.text;
        match self.options.format {
            Format::Text => {
                if is_first && key.object.object_type().starts_with('\u{feff}') {
                    // A reader takes away one mark.
                    out.extend_from_slice("\u{feff}".as_bytes());
                }
                text(out, key, condition, expires_at);
            }
            Format::Spicedb => relationship(out, key, condition, expires_at),
            Format::Csv => record(out, key, condition, expires_at, self.options.has_expiry),
            Format::Json => {
                out.extend_from_slice(if is_first { b"[\n" } else { b",\n" });
                json(out, key, condition, expires_at);
            }
            Format::Yaml => {
                out.extend_from_slice(b"- ");
                json(out, key, condition, expires_at);
                out.push(b'\n');
            }
            Format::JsonLines | Format::StoreTest => {
                json(out, key, condition, expires_at);
                out.push(b'\n');
            }
        }
        self.tuples += 1;
        if self.text.len() >= CHUNK_BYTES {
            self.out.write_all(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }

    /// Ends the file and gives back what it was written to.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<W, WriteError> {
        match (self.options.format, self.tuples) {
            (Format::Json, 0) => self.text.extend_from_slice(b"[]\n"),
            (Format::Json, _) => self.text.extend_from_slice(b"\n]\n"),
            (Format::Yaml, 0) => self.text.extend_from_slice(b"[]\n"),
            _ => {}
        }
        self.out.write_all(&self.text)?;
        let mut out = match self.out {
            Packer::None(out) => out,
            Packer::Gzip(packer) => packer.finish()?,
            Packer::Zstd(packer) => packer.finish()?,
        };
        out.flush()?;
        Ok(out)
    }

    /// How many tuples have been written.
    pub fn tuples(&self) -> u64 {
        self.tuples
    }

    /// What the format has no words for.
    fn unspeakable(
        &self,
        key: &TupleRef<'_>,
        condition: Option<&TupleCondition>,
        expires_at: Option<Timestamp>,
    ) -> Option<String> {
        // Beyond the years that can be named, a time prints as something else.
        if expires_at.is_some_and(|time| time.to_string().parse() != Ok(time)) {
            return Some("its end is no time that RFC 3339 can name: give it another".to_owned());
        }
        match self.options.format {
            Format::Text if key.object.object_type().starts_with("//") => {
                Some("a line that begins with `//` is a comment: use jsonl or csv".to_owned())
            }
            Format::Csv if expires_at.is_some() && !self.options.has_expiry => Some(
                "the file was begun without a column `expires_at`: begin it with `has_expiry`".to_owned(),
            ),
            Format::Spicedb => spicedb::unspeakable(key, condition, expires_at),
            _ => None,
        }
    }
}

impl<W: Write> Packer<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Packer::None(out) => out.write_all(bytes),
            Packer::Gzip(packer) => packer.write_all(bytes),
            Packer::Zstd(packer) => packer.write_all(bytes),
        }
    }
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn time(out: &mut Vec<u8>, time: Timestamp) {
    push(out, &[&time.to_string()]);
}

/// `object#relation@subject`
fn key_text(out: &mut Vec<u8>, key: &TupleRef<'_>) {
    push(out, &[key.object.object_type(), ":", key.object.id(), "#", key.relation, "@"]);
    subject_text(out, |out, part| push(out, &[part]), &key.subject);
}

/// `type:id`, `type:id#relation` or `type:*`, each part put down by `part`.
fn subject_text(out: &mut Vec<u8>, part: fn(&mut Vec<u8>, &str), subject: &SubjectRef<'_>) {
    part(out, subject.subject_type());
    push(out, &[":"]);
    match subject {
        SubjectRef::Wildcard(_) => push(out, &["*"]),
        SubjectRef::Object(object) => part(out, object.id()),
        SubjectRef::Userset(object, relation) => {
            part(out, object.id());
            push(out, &["#"]);
            part(out, relation);
        }
    }
}

fn text(
    out: &mut Vec<u8>,
    key: &TupleRef<'_>,
    condition: Option<&TupleCondition>,
    expires_at: Option<Timestamp>,
) {
    key_text(out, key);
    if let Some(condition) = condition {
        push(out, &[" with ", condition.name()]);
        if !condition.context().is_empty() {
            push(out, &[" ", condition.context().as_str()]);
        }
    }
    if let Some(expires_at) = expires_at {
        push(out, &[" until "]);
        time(out, expires_at);
    }
    out.push(b'\n');
}

fn relationship(
    out: &mut Vec<u8>,
    key: &TupleRef<'_>,
    condition: Option<&TupleCondition>,
    expires_at: Option<Timestamp>,
) {
    key_text(out, key);
    if let Some(condition) = condition {
        push(out, &["[", condition.name()]);
        if !condition.context().is_empty() {
            push(out, &[":", condition.context().as_str()]);
        }
        push(out, &["]"]);
    }
    if let Some(expires_at) = expires_at {
        push(out, &["[expiration:"]);
        time(out, expires_at);
        push(out, &["]"]);
    }
    out.push(b'\n');
}

fn record(
    out: &mut Vec<u8>,
    key: &TupleRef<'_>,
    condition: Option<&TupleCondition>,
    expires_at: Option<Timestamp>,
    has_expiry: bool,
) {
    let (id, relation) = match &key.subject {
        SubjectRef::Wildcard(_) => ("*", ""),
        SubjectRef::Object(object) => (object.id(), ""),
        SubjectRef::Userset(object, relation) => (object.id(), *relation),
    };
    let context = condition.map(|condition| condition.context()).filter(|context| !context.is_empty());
    let values = [
        key.subject.subject_type(),
        id,
        relation,
        key.relation,
        key.object.object_type(),
        key.object.id(),
        condition.map_or("", |condition| condition.name()),
        context.map_or("", |context| context.as_str()),
    ];
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        quoted(out, value);
    }
    if has_expiry {
        out.push(b',');
        if let Some(expires_at) = expires_at {
            time(out, expires_at);
        }
    }
    out.push(b'\n');
}

/// A value of a record, in quotes where it needs them.
fn quoted(out: &mut Vec<u8>, value: &str) {
    if memchr::memchr3(b',', b'"', b'\n', value.as_bytes()).is_none() {
        return push(out, &[value]);
    }
    out.push(b'"');
    for (at, part) in value.split('"').enumerate() {
        push(out, &[if at > 0 { "\"\"" } else { "" }, part]);
    }
    out.push(b'"');
}

fn json(
    out: &mut Vec<u8>,
    key: &TupleRef<'_>,
    condition: Option<&TupleCondition>,
    expires_at: Option<Timestamp>,
) {
    push(out, &["{\"user\":\""]);
    subject_text(out, escaped, &key.subject);
    push(out, &["\",\"relation\":\""]);
    escaped(out, key.relation);
    push(out, &["\",\"object\":\""]);
    escaped(out, key.object.object_type());
    push(out, &[":"]);
    escaped(out, key.object.id());
    push(out, &["\""]);
    if let Some(condition) = condition {
        push(out, &[",\"condition\":{\"name\":\""]);
        escaped(out, condition.name());
        push(out, &["\",\"context\":"]);
        // It is JSON already; what YAML does not take as it is stands in its texts alone.
        for c in condition.context().as_str().chars() {
            character(out, c);
        }
        push(out, &["}"]);
    }
    if let Some(expires_at) = expires_at {
        push(out, &[",\"expires_at\":\""]);
        time(out, expires_at);
        push(out, &["\""]);
    }
    out.push(b'}');
}

/// What stands between the quotes of a JSON text.
fn escaped(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        return push(out, &[text]);
    }
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push(b'\\');
        }
        character(out, c);
    }
}

/// A character as both JSON and YAML take it.
fn character(out: &mut Vec<u8>, c: char) {
    let is_special = matches!(
        c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    );
    match is_special {
        true => push(out, &[&format!("\\u{:04x}", u32::from(c))]),
        false => push(out, &[c.encode_utf8(&mut [0; 4])]),
    }
}
