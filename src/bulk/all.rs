//! All tuples of a file at once, for what fits into one write.

use std::path::Path;

use super::report::SHOWN;
use super::{Format, Input, Position, ReadError, TupleLines};
use crate::tuple::Tuple;

/// A tuple and the line of the file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its line.
    pub line: u64,
    /// The tuple.
    pub tuple: Tuple,
}

/// A line that is no tuple.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    /// Its line.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
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
    const LINES_BETWEEN_TELLING: usize = 4_096;
    let mut lines = TupleLines::open(&Input::new(path, format)?, Position::default())?;
    let mut tuples = Vec::new();
    let mut bad = Vec::new();
    let mut bad_total = 0;
    while let Some(line) = lines.next()? {
        match line.tuple {
            Ok(tuple) => tuples.push(Located { line: line.line, tuple: tuple.into_owned() }),
            Err(reason) => {
                bad_total += 1;
                if bad.len() < SHOWN {
                    bad.push(BadLine { line: line.line, problem: reason.to_string() });
                }
            }
        }
        if tuples.len() % LINES_BETWEEN_TELLING == 0 {
            progress(lines.bytes_read());
        }
    }
    if bad_total > 0 {
        return Err(ReadError::BadLines { path: path.to_owned(), lines: bad, total: bad_total });
    }
    Ok(tuples)
}
