//! The formats of tuple files and how a name tells them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A format of tuple files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One `OBJECT#RELATION@SUBJECT` a line; blank lines and lines that begin with `#` or `//` are passed over.
    Text,
    /// With a header line: `object,relation,subject[,condition,context,expires_at]`, or OpenFGA's columns.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// A JSON array of objects, or what OpenFGA answers to a read: `{"tuples": […]}`.
    Json,
    /// A list of objects, as in OpenFGA's tuple files, or a mapping that holds one under `tuples`, or SpiceDB's
    /// relationships under `relationships`.
    Yaml,
    /// An OpenFGA store test: the tuples that all its tests share.
    StoreTest,
    /// SpiceDB's relationships, `document:readme#viewer@user:anne[caveat:{…}][expiration:TIME]`, one a line; lines that
    /// begin with `//` are passed over.
    Spicedb,
}

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `.gz`
    Gzip,
    /// `.zst`
    Zstd,
}

impl Format {
    /// Each format with the name that options know it by.
    pub const NAMES: [(Format, &'static str); 7] = [
        (Format::Text, "text"),
        (Format::Csv, "csv"),
        (Format::JsonLines, "jsonl"),
        (Format::Json, "json"),
        (Format::Yaml, "yaml"),
        (Format::Spicedb, "spicedb"),
        (Format::StoreTest, "fga.yaml"),
    ];

    /// The format that the name of a file tells, packed or not.
    pub fn of_path(path: &Path) -> Option<Format> {
        let name = Compression::split(path.file_name()?.to_str()?).0;
        if name.ends_with(".fga.yaml") || name.ends_with(".fga.yml") {
            return Some(Format::StoreTest);
        }
        match name.rsplit_once('.')?.1 {
            "txt" | "tuples" | "zanzibar" => Some(Format::Text),
            "csv" => Some(Format::Csv),
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "json" => Some(Format::Json),
            "yaml" | "yml" => Some(Format::Yaml),
            "spicedb" | "relationships" | "rels" => Some(Format::Spicedb),
            _ => None,
        }
    }

    /// Whether a file is one document instead of lines: a place in it is a count of its entries.
    pub(super) fn is_document(self) -> bool {
        matches!(self, Format::Json | Format::Yaml | Format::StoreTest)
    }
}

impl Compression {
    /// The compression that the name of a file tells.
    pub fn of_path(path: &Path) -> Compression {
        path.file_name().and_then(|name| name.to_str()).map_or(Compression::None, |name| Self::split(name).1)
    }

    /// A name without the ending of its compression.
    fn split(name: &str) -> (&str, Compression) {
        let endings = [
            (".gz", Compression::Gzip),
            (".gzip", Compression::Gzip),
            (".zst", Compression::Zstd),
            (".zstd", Compression::Zstd),
        ];
        let found = endings.iter().find_map(|(ending, packed)| Some((name.strip_suffix(ending)?, *packed)));
        found.unwrap_or((name, Compression::None))
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        let found = Format::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(format, _)| *format).ok_or_else(|| {
            format!("`{text}` is no format: use text, csv, jsonl, json, yaml, spicedb or fga.yaml")
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Format::NAMES.iter().find(|(format, _)| format == self);
        f.pad(found.map_or("", |(_, name)| name))
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Compression, String> {
        match text {
            "none" => Ok(Compression::None),
            "gzip" => Ok(Compression::Gzip),
            "zstd" => Ok(Compression::Zstd),
            other => Err(format!("`{other}` is no compression: use none, gzip or zstd")),
        }
    }
}
