//! From a file to tuples, whatever its format.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_saphyr::Spanned;

use super::{BadLine, Located, csv, json, text};

/// A format of tuple files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One `OBJECT#RELATION@SUBJECT` a line; blank lines and lines that begin with `#` or `//` are passed over.
    Text,
    /// With a header line: `object,relation,subject[,condition,context,expires_at]`, or OpenFGA's columns.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// A list of objects, as in OpenFGA's tuple files; JSON arrays too.
    Yaml,
    /// The tuples of an OpenFGA store test, those that all its tests share.
    StoreTest,
}

/// Why a file could not be read as tuples.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read `{path}`: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Its name does not tell its format.
    #[error(
        "cannot tell the format of `{0}` from its name: say `--input-format text`, `csv`, `jsonl` or `yaml`"
    )]
    UnknownFormat(PathBuf),
    /// Lines that are no tuples.
    #[error("{}", bad_lines(path, lines, *total))]
    BadLines {
        /// The file.
        path: PathBuf,
        /// The first of them.
        lines: Vec<BadLine>,
        /// How many there are.
        total: u64,
    },
}

pub(super) const NOT_UTF8: &str = "is not UTF-8: save the file as UTF-8";

/// Bad lines that are told one by one; the rest is counted.
const BAD_LINES_SHOWN: usize = 20;

fn bad_lines(path: &Path, lines: &[BadLine], total: u64) -> String {
    let shown: Vec<String> = lines.iter().map(|line| format!("{}: {line}", path.display())).collect();
    let more = total - lines.len() as u64;
    let more = if more > 0 { format!("\n… and {more} more lines") } else { String::new() };
    format!("{}{more}", shown.join("\n"))
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "text" => Ok(Format::Text),
            "csv" => Ok(Format::Csv),
            "jsonl" => Ok(Format::JsonLines),
            "yaml" => Ok(Format::Yaml),
            "fga.yaml" => Ok(Format::StoreTest),
            other => Err(format!("`{other}` is no format: use text, csv, jsonl, yaml or fga.yaml")),
        }
    }
}

impl Format {
    /// The format that the name of a file tells.
    pub fn of_path(path: &Path) -> Option<Format> {
        if path.file_name()?.to_str()?.ends_with(".fga.yaml") {
            return Some(Format::StoreTest);
        }
        match path.extension()?.to_str()? {
            "txt" | "tuples" | "zanzibar" => Some(Format::Text),
            "csv" => Some(Format::Csv),
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "yaml" | "yml" | "json" => Some(Format::Yaml),
            _ => None,
        }
    }
}

/// Reads all tuples of a file; `-` is standard input. `progress` is told how many bytes were read.
///
/// # Errors
/// Every bad line of the file, with its number, what is wrong and what would be right: all of them in one run.
pub fn read_tuples(
    path: &Path,
    format: Option<Format>,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Located>, ReadError> {
    let format = format.or_else(|| Format::of_path(path));
    let format = format.ok_or_else(|| ReadError::UnknownFormat(path.to_owned()))?;
    let io = |cause| ReadError::Io { path: path.to_owned(), cause };
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(File::open(path).map_err(io)?),
    };
    let input = BufReader::with_capacity(1 << 20, Counting { input, read: 0, progress });
    let mut collected = Collected::default();
    let result = match format {
        Format::Text => by_line(input, &mut collected, text::parse_line),
        Format::JsonLines => by_line(input, &mut collected, json::parse_line),
        Format::Csv => csv::read(input, &mut collected),
        Format::Yaml => read_list(input, &mut collected, |text| serde_saphyr::from_str(text)),
        Format::StoreTest => read_list(input, &mut collected, |text| {
            serde_saphyr::from_str(text).map(|json::SharedTuples { tuples }| tuples)
        }),
    };
    result.map_err(io)?;
    if collected.bad_total > 0 {
        return Err(ReadError::BadLines {
            path: path.to_owned(),
            lines: collected.bad,
            total: collected.bad_total,
        });
    }
    Ok(collected.tuples)
}

/// What has been read of a file so far.
#[derive(Default)]
pub(super) struct Collected {
    tuples: Vec<Located>,
    bad: Vec<BadLine>,
    bad_total: u64,
}

impl Collected {
    pub(super) fn take(&mut self, line: u64, parsed: Result<crate::tuple::Tuple, String>) {
        match parsed {
            Ok(tuple) => self.tuples.push(Located { line, tuple }),
            Err(problem) => {
                self.bad_total += 1;
                if self.bad.len() < BAD_LINES_SHOWN {
                    self.bad.push(BadLine { line, problem });
                }
            }
        }
    }
}

/// A line with nothing on it gives none.
type ParseLine = fn(&str) -> Option<Result<crate::tuple::Tuple, String>>;

fn by_line(mut input: impl BufRead, collected: &mut Collected, parse: ParseLine) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        // Some editors put a mark before the text.
        let bytes = if line == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes) } else { &bytes };
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                if let Some(parsed) = parse(text.trim_end_matches(['\n', '\r'])) {
                    collected.take(line, parsed);
                }
            }
            Err(_) => collected.take(line, Err(NOT_UTF8.to_owned())),
        }
    }
    Ok(())
}

fn read_list(
    mut input: impl BufRead,
    collected: &mut Collected,
    parse: impl FnOnce(&str) -> Result<Vec<Spanned<json::TupleJson>>, serde_saphyr::Error>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64;
            collected.take(line, Err(NOT_UTF8.to_owned()));
            return Ok(());
        }
    };
    match parse(text) {
        Ok(list) => {
            for entry in list {
                collected.take(entry.referenced.line(), entry.value.into_tuple());
            }
        }
        Err(error) => {
            // Its text begins with the place, and draws it: the line is told already.
            let line = error.location().map_or(1, |at| at.line());
            let problem = error.without_snippet().to_string();
            collected.take(line, Err(problem));
        }
    }
    Ok(())
}

/// Tells how many bytes went through.
struct Counting<'p> {
    input: Box<dyn Read>,
    read: u64,
    progress: &'p mut dyn FnMut(u64),
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        self.read += bytes as u64;
        (self.progress)(self.read);
        Ok(bytes)
    }
}
