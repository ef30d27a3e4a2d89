//! The account of the lines that are no tuples: the first are told, all are counted by kind, and where that is wanted each
//! is written to a file. Memory is bounded, however many there are.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::Reason;

/// Bad lines that are told one by one; the rest is counted.
pub(super) const SHOWN: usize = 20;

/// Longest line that is put into the report file as it is.
const TEXT_BYTES_MAX: usize = 65_536;

/// What to do about lines that are no tuples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BadLinesPolicy {
    /// The first one ends the reading.
    #[default]
    Stop,
    /// They are passed over, told and counted.
    Skip,
    /// The same, and each is written to a file: JSON lines `{"file","line","reason","text"}`, `text` only of lines of at
    /// most 65,536 bytes of UTF-8.
    Report(PathBuf),
}

/// Whether reading goes on behind a bad line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// It does.
    GoOn,
    /// It does not: the policy is [`BadLinesPolicy::Stop`].
    Stop,
}

/// The bad lines of an import.
#[derive(Debug)]
pub struct BadLines {
    policy: BadLinesPolicy,
    shown: Vec<String>,
    total: u64,
    kinds: BTreeMap<String, u64>,
    file: Option<BufWriter<File>>,
}

impl BadLines {
    /// An account of nothing yet.
    pub fn new(policy: BadLinesPolicy) -> BadLines {
        BadLines { policy, shown: Vec::new(), total: 0, kinds: BTreeMap::new(), file: None }
    }

    /// Opens the file of a report: it begins anew, or goes on behind what it holds. Before the first bad line.
    ///
    /// # Errors
    /// The file of the report cannot be written.
    pub fn begin(&mut self, go_on: bool) -> io::Result<()> {
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.create(true).write(true).append(go_on).truncate(!go_on).open(path).map(BufWriter::new)
        };
        if let BadLinesPolicy::Report(path) = &self.policy {
            self.file = Some(open(path)?);
        }
        Ok(())
    }

    /// Takes a bad line of a file into account.
    ///
    /// # Errors
    /// The file of the report cannot be written.
    pub fn take(&mut self, file: &str, line: u64, reason: &Reason, text: &[u8]) -> io::Result<Next> {
        self.total += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{file}: line {line}: {reason}"));
        }
        // There are as many kinds as the parsers know mistakes.
        *self.kinds.entry(reason.kind().to_string()).or_default() += 1;
        if let Some(report) = &mut self.file {
            let mut entry = serde_json::json!({ "file": file, "line": line, "reason": reason.as_str() });
            let text = Some(text).filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES_MAX);
            if let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) {
                entry["text"] = text.into();
            }
            writeln!(report, "{entry}")?;
        }
        Ok(if self.policy == BadLinesPolicy::Stop { Next::Stop } else { Next::GoOn })
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The first of them, each as `FILE: line NUMBER: REASON`.
    pub fn shown(&self) -> &[String] {
        &self.shown
    }

    /// How many there are of each kind, the most frequent first.
    pub fn kinds(&self) -> Vec<(&str, u64)> {
        let mut kinds: Vec<(&str, u64)> = self.kinds.iter().map(|(kind, count)| (&**kind, *count)).collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kinds
    }

    /// Writes out what of the report is still in memory.
    ///
    /// # Errors
    /// The file of the report cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}
