//! What was measured: as a table, and as JSON.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::load::Outcome;

/// A budget of the design.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// What it is about, in the words of the design.
    pub(crate) what: &'static str,
    /// What is wanted, in the words of the design.
    pub(crate) wanted: &'static str,
    /// Which figure it is about.
    pub(crate) of: Figure,
    /// The bound.
    pub(crate) bound: Bound,
}

/// A figure of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Figure {
    /// What was measured.
    Value,
    /// That against the floor.
    Ratio,
}

/// A bound of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// From this on.
    AtLeast(f64),
    /// Up to this.
    AtMost(f64),
    /// Less than this.
    Under(f64),
}

/// The budgets, in the words of DESIGN.md §8.
pub(crate) mod budgets {
    use super::{Bound, Budget, Figure};

    const CHECK: &str = "check over HTTP/1.1 keep-alive, no pipelining, 32 connections, alternating with the constant handler, median \
                         of 5; 1 M distinct questions, half of them no, objects Zipf(0.99), 5 M tuples, block cache larger than the data";
    const CHECK_WANTED: &str = "at least 0.6 of the handler's rate; with decision cache (64 MiB) and 0.2 % writes to the same relations at \
                                least 0.75";
    const BYTES: &str = "bytes on disk per tuple, all families with `changes` and `revisions`, after full compaction, Debian set";
    const BYTES_WANTED: &str = "at most 40; the two current indexes alone at most 25";
    const WRITE: &str = "synced single-tuple writes, 64 clients";
    const WRITE_WANTED: &str = "at least 25,000/s where a sync takes 100 µs; at least 15,000/s with 1 ms added to each sync; mean writes \
                                per sync printed";

    macro_rules! budgets {
        ($($(#[$doc:meta])* $name:ident: $what:expr, $wanted:expr, $of:ident $bound:ident $limit:literal;)*) => {
            $($(#[$doc])* pub(crate) const $name: Budget =
                Budget { what: $what, wanted: $wanted, of: Figure::$of, bound: Bound::$bound($limit) };)*
        };
    }

    budgets! {
        /// Check.
        HTTP_CHECK: CHECK, CHECK_WANTED, Ratio AtLeast 0.6;
        /// Check, with the decision cache.
        HTTP_CHECK_CACHED: CHECK, CHECK_WANTED, Ratio AtLeast 0.75;
        /// Direct check in process.
        DIRECT: "direct check in process, a yes, uniformly random over 5 M",
            "at most 1.5 × a get with value through a fresh snapshot", Ratio AtMost 1.5;
        /// Three hops in process.
        HOPS: "three-hop check in process", "at most 1.5 × the same RocksDB reads replayed raw in the same run",
            Ratio AtMost 1.5;
        /// Import.
        IMPORT: "file import: tuples/s from opening one unsorted CSV to the revision visible and synced, against writing the same \
                 rows of all families, keys already sorted in memory, same options, threads, ingest and sync",
            "at least 1/3", Ratio AtLeast 0.333_333;
        /// Bytes, all families.
        BYTES_ALL: BYTES, BYTES_WANTED, Value AtMost 40.0;
        /// Bytes, the two current indexes.
        BYTES_CURRENT: BYTES, BYTES_WANTED, Value AtMost 25.0;
        /// Writes.
        WRITES: WRITE, WRITE_WANTED, Value AtLeast 25_000.0;
        /// Writes where a sync takes 1 ms longer.
        WRITES_SLOW: WRITE, WRITE_WANTED, Value AtLeast 15_000.0;
        /// Lists.
        LIST: "list objects over HTTP, one client, 1 M objects, union-only",
            "at least 300,000/s; the first line at once, then when 32 KiB are full or 10 ms passed", Value AtLeast 300_000.0;
        /// Growth.
        GROWTH: "growth of the same question mix from 100 k to 10 M tuples, both compacted", "at most 1.5 ×",
            Ratio AtMost 1.5;
        /// Overload.
        OVERLOAD: "ten times the sustainable rate for 60 s, the load pinned to one core and the server to another",
            "accepted requests keep their 99th percentile within 3 × of the unloaded one", Ratio AtMost 3.0;
        /// Memory.
        MEMORY: "resident memory less block cache in use, after opening the 8.3 M store", "under 60 MB",
            Value Under 60.0;
    }
}

impl Budget {
    fn is_met(&self, value: f64, ratio: Option<f64>) -> Option<bool> {
        let figure = match self.of {
            Figure::Value => value,
            Figure::Ratio => ratio?,
        };
        Some(match self.bound {
            Bound::AtLeast(least) => figure >= least,
            Bound::AtMost(most) => figure <= most,
            Bound::Under(most) => figure < most,
        })
    }

    fn shown(&self) -> String {
        match self.bound {
            Bound::AtLeast(least) => format!("≥ {}", number(least)),
            Bound::AtMost(most) => format!("≤ {}", number(most)),
            Bound::Under(most) => format!("< {}", number(most)),
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The row that it belongs to.
    pub(crate) row: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// How much it is.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// The floor in the same unit, and what it is.
    pub(crate) floor: Option<(String, f64)>,
    /// Measured against floor.
    pub(crate) ratio: Option<f64>,
    /// What is wanted.
    pub(crate) budget: Option<Budget>,
    /// Why the budget says nothing about this figure, such as smaller data.
    pub(crate) not_judged: Option<String>,
    /// The part of questions that a cache answered.
    pub(crate) hit_rate: Option<f64>,
    /// Wrong answers.
    pub(crate) wrong: u64,
    /// Requests without a proper answer.
    pub(crate) failed: u64,
    /// What has to be known about it.
    pub(crate) notes: Vec<String>,
    /// Everything else, for the JSON.
    pub(crate) details: Map<String, Value>,
}

impl Line {
    /// With a value alone.
    pub(crate) fn new(row: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Line {
        Line {
            row,
            what: what.into(),
            value,
            unit,
            floor: None,
            ratio: None,
            budget: None,
            not_judged: None,
            hit_rate: None,
            wrong: 0,
            failed: 0,
            notes: Vec::new(),
            details: Map::new(),
        }
    }

    /// A row that could not be measured.
    pub(crate) fn absent(row: &'static str, what: impl Into<String>, why: impl Into<String>) -> Line {
        Line::new(row, what, f64::NAN, "").note(why)
    }

    /// With a floor, and the ratio to it.
    pub(crate) fn against(mut self, floor: impl Into<String>, value: f64, ratio: f64) -> Line {
        self.floor = Some((floor.into(), value));
        self.ratio = Some(ratio);
        self
    }

    /// With what is wanted.
    pub(crate) fn budget(mut self, budget: Budget) -> Line {
        self.budget = Some(budget);
        self
    }

    /// With a reason for which the budget is not applied, if there is one.
    pub(crate) fn not_judged(mut self, why: Option<String>) -> Line {
        self.not_judged = why;
        self
    }

    /// With a remark.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Line {
        self.notes.push(note.into());
        self
    }

    /// With a figure for the JSON.
    pub(crate) fn detail(mut self, name: &str, value: Value) -> Line {
        self.details.insert(name.to_owned(), value);
        self
    }

    /// With the errors of a load.
    pub(crate) fn errors_of(mut self, outcome: &Outcome) -> Line {
        self.wrong += outcome.wrong;
        self.failed += outcome.failed;
        if let Some(problem) = &outcome.problem {
            self.notes.push(format!("first error: {problem}"));
        }
        self
    }

    fn met(&self) -> Option<bool> {
        if self.not_judged.is_some() || self.value.is_nan() {
            return None;
        }
        self.budget?.is_met(self.value, self.ratio)
    }

    fn json(&self) -> Value {
        json!({
            "row": self.row,
            "what": self.what,
            "value": if self.value.is_nan() { Value::Null } else { json!(self.value) },
            "unit": self.unit,
            "floor": self.floor.as_ref().map(|(what, value)| json!({ "what": what, "value": value })),
            "ratio": self.ratio,
            "budget": self.budget.map(|it| json!({ "what": it.what, "wanted": it.wanted, "bound": it.shown() })),
            "met": self.met(),
            "not_judged": self.not_judged,
            "hit_rate": self.hit_rate,
            "errors": { "wrong": self.wrong, "failed": self.failed },
            "notes": self.notes,
            "details": self.details,
        })
    }
}

/// All lines so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Takes lines, and prints them at once: what comes later may take long.
    pub(crate) fn add(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for line in lines {
            print(&mut out, &line)?;
            self.lines.push(line);
        }
        out.flush()
    }

    /// Whether any answer was wrong.
    pub(crate) fn is_any_wrong(&self) -> bool {
        self.lines.iter().any(|line| line.wrong > 0)
    }

    /// Prints which budgets are met.
    pub(crate) fn print_summary(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let count = |met| self.lines.iter().filter(|line| line.budget.is_some() && line.met() == met).count();
        let wrong: u64 = self.lines.iter().map(|line| line.wrong).sum();
        let failed: u64 = self.lines.iter().map(|line| line.failed).sum();
        writeln!(
            out,
            "\nbudgets: {} met, {} missed, {} not judged; errors: {wrong} wrong answers, {failed} without an answer",
            count(Some(true)),
            count(Some(false)),
            count(None)
        )?;
        for line in self.lines.iter().filter(|line| line.met() == Some(false)) {
            writeln!(out, "  missed: {} — {}", line.row, line.what)?;
        }
        out.flush()
    }

    /// Writes all of it as JSON.
    pub(crate) fn write_json(&self, path: &Path, about: &Value) -> anyhow::Result<()> {
        let lines: Vec<Value> = self.lines.iter().map(Line::json).collect();
        let mut all = about.clone();
        all["rows"] = json!(lines);
        let text = serde_json::to_string_pretty(&all)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Prints the head of the table.
pub(crate) fn print_head() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<13} {:<58} {:>12} {:<10} {:>12} {:>7}  {:<10} met",
        "row", "what", "value", "unit", "floor", "ratio", "budget"
    )?;
    out.flush()
}

fn print(out: &mut dyn Write, line: &Line) -> io::Result<()> {
    let floor = line.floor.as_ref().map(|(_, value)| number(*value)).unwrap_or_default();
    let ratio = line.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
    let budget = line.budget.map(|budget| budget.shown()).unwrap_or_default();
    let met = match (line.budget, line.met()) {
        (None, _) => "",
        (_, Some(true)) => "yes",
        (_, Some(false)) => "NO",
        (_, None) => "–",
    };
    let value = if line.value.is_nan() { "–".to_owned() } else { number(line.value) };
    writeln!(
        out,
        "{:<13} {:<58} {value:>12} {:<10} {floor:>12} {ratio:>7}  {budget:<10} {met}",
        line.row, line.what, line.unit
    )?;
    if let Some((what, _)) = &line.floor {
        writeln!(out, "{:14}floor: {what}", "")?;
    }
    if let Some(hit_rate) = line.hit_rate {
        writeln!(out, "{:14}hit rate: {:.1} %", "", hit_rate * 100.0)?;
    }
    if line.wrong + line.failed > 0 {
        writeln!(out, "{:14}ERRORS: {} wrong answers, {} without an answer", "", line.wrong, line.failed)?;
    }
    for note in line.notes.iter().chain(&line.not_judged) {
        writeln!(out, "{:14}{note}", "")?;
    }
    Ok(())
}

/// A number with as many digits as say something.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
