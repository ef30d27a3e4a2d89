use std::io::Write as _;
use std::path::Path;

use stonetown::bulk::{
    Compression, Format, Input, Position, ReadError, TupleLines, TupleWriter, WriteError, WriterOptions,
};
use stonetown::tuple::Tuple;
use tempfile::NamedTempFile;

pub(crate) const FORMATS: [Format; 6] =
    [Format::Text, Format::Csv, Format::JsonLines, Format::Json, Format::Yaml, Format::Spicedb];

/// A line as a test looks at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Read {
    pub(crate) line: u64,
    pub(crate) after: Position,
    pub(crate) text: Vec<u8>,
    pub(crate) tuple: Result<Tuple, String>,
}

impl Read {
    /// `LINE TUPLE`, or `LINE ! REASON`.
    pub(crate) fn shown(&self) -> String {
        match &self.tuple {
            Ok(tuple) => format!("{} {tuple}", self.line),
            Err(reason) => format!("{} ! {reason}", self.line),
        }
    }
}

pub(crate) fn tuple(text: &str) -> Tuple {
    text.parse().unwrap()
}

pub(crate) fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_ref()).unwrap();
    file
}

/// Reads a file from a place in it.
pub(crate) fn try_read(path: &Path, format: Format, from: Position) -> Result<Vec<Read>, ReadError> {
    let input = Input::new(path, Some(format)).unwrap();
    let mut lines = TupleLines::open(&input, from)?;
    let mut all = Vec::new();
    while let Some(line) = lines.next()? {
        let tuple = line.tuple.map(|tuple| tuple.into_owned()).map_err(|reason| reason.to_string());
        all.push(Read { line: line.line, after: line.after, text: line.text.to_vec(), tuple });
    }
    // Nothing comes behind the end.
    assert!(lines.next()?.is_none());
    Ok(all)
}

pub(crate) fn read(format: Format, content: impl AsRef<[u8]>) -> Vec<Read> {
    try_read(file(content).path(), format, Position::default()).unwrap()
}

/// Each line as [`Read::shown`].
pub(crate) fn shown(format: Format, content: impl AsRef<[u8]>) -> Vec<String> {
    read(format, content).iter().map(Read::shown).collect()
}

/// Holds what a content is read as against what begins so.
#[track_caller]
pub(crate) fn reads(format: Format, content: impl AsRef<[u8]>, expected: &[&str]) {
    let found = shown(format, content);
    let is_so = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
    assert!(is_so, "{format}: found\n{}\nexpected\n{}", found.join("\n"), expected.join("\n"));
}

pub(crate) fn try_write(
    format: Format,
    compression: Compression,
    tuples: &[Tuple],
) -> Result<Vec<u8>, WriteError> {
    let has_expiry = tuples.iter().any(|tuple| tuple.expires_at.is_some());
    let mut writer = TupleWriter::new(Vec::new(), WriterOptions { format, compression, has_expiry })?;
    for tuple in tuples {
        writer.write(tuple)?;
    }
    assert_eq!(writer.tuples(), tuples.len() as u64);
    writer.finish()
}

pub(crate) fn written(format: Format, tuples: &[&str]) -> String {
    let tuples: Vec<Tuple> = tuples.iter().map(|text| tuple(text)).collect();
    String::from_utf8(try_write(format, Compression::None, &tuples).unwrap()).unwrap()
}
