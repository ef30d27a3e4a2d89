//! From files to a store: every line of every input, from where an interrupted import was.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::{BadLines, Import, ImportAnswer, ImportOptions, Input, Next, Position, ReadError, TupleLines};
use crate::engine::{Engine, EngineError, Place, Progress};

/// Why an import failed. What it took before that is kept for the next attempt.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An input cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// By the engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The report of bad lines cannot be written.
    #[error("the report of bad lines cannot be written: {0}")]
    Report(std::io::Error),
    /// What was kept of an interrupted import does not fit its input.
    #[error("what was kept of the interrupted import cannot be read: begin anew with `--restart`")]
    Position,
}

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Reading.
    Reading {
        /// Bytes of all inputs so far, packed as they are.
        bytes: u64,
        /// Tuples so far.
        tuples: u64,
    },
    /// Making table files, and taking them in.
    Finishing(Progress),
}

/// How an import ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What it did; none: it was ended by a bad line.
    pub answer: Option<ImportAnswer>,
    /// Where it was ended: what was written live before.
    pub so_far: Option<ImportAnswer>,
    /// Lines that were taken before this run, by an interrupted one.
    pub resumed: Option<Place>,
}

/// Where an import goes on.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Whereabouts {
    input: usize,
    bytes: u64,
    line: u64,
}

/// Lines between two reports of progress.
const PROGRESS: u64 = 4_096;

/// Imports every line of the inputs. Bad lines go into the account, whose policy says whether they end it: then nothing is
/// changed by an import by files; what a live one has written before stays.
pub fn import_inputs(
    engine: &Engine,
    options: ImportOptions,
    inputs: &[Input],
    bad: &mut BadLines,
    doing: &(dyn Fn(Doing) + Sync),
) -> Result<Ran, ImportError> {
    let mut import = Import::begin(engine, options)?;
    let mut from = Whereabouts::default();
    let mut resumed = None;
    if let Some(position) = import.resumed() {
        from = serde_json::from_str(position).map_err(|_| ImportError::Position)?;
        resumed = Some(Place { input: from.input as u32, line: from.line });
    }
    bad.begin(resumed.is_some()).map_err(ImportError::Report)?;
    let mut report = Report { inputs, bad, failed: None };
    let before: u64 = inputs.iter().take(from.input).filter_map(|input| input.bytes).sum();
    let (mut bytes, mut tuples) = (before, 0);
    for (number, input) in inputs.iter().enumerate().skip(from.input) {
        let position = if number == from.input {
            Position { bytes: from.bytes, line: from.line }
        } else {
            Position::default()
        };
        let mut lines = TupleLines::open(input, position)?;
        let mut since = 0;
        while let Some(line) = lines.next()? {
            let place = Place { input: number as u32, line: line.line };
            let behind = Whereabouts { input: number, bytes: line.after.bytes, line: line.after.line };
            let flow = match &line.tuple {
                Ok(tuple) => {
                    tuples += 1;
                    let mut untaken = |at: Place, reason| {
                        report.take(at, &reason, if at == place { line.text } else { b"" })
                    };
                    import.take(place, tuple, &|| text_of(behind), &mut untaken)?
                }
                Err(reason) => report.take(place, reason, line.text),
            };
            if flow.is_break() {
                report.finish()?;
                let so_far = import.so_far().map(|(token, counts)| ImportAnswer { token, counts });
                import.end()?;
                return Ok(Ran { answer: None, so_far, resumed });
            }
            since += 1;
            if since == PROGRESS {
                since = 0;
                doing(Doing::Reading { bytes: bytes + lines.bytes_read(), tuples });
            }
        }
        bytes += lines.bytes_read();
        doing(Doing::Reading { bytes, tuples });
    }
    let end = text_of(Whereabouts { input: inputs.len(), ..Whereabouts::default() });
    let finishing = |progress| doing(Doing::Finishing(progress));
    let answer = import.finish(&end, &mut |place, reason| report.take(place, &reason, b""), &finishing)?;
    report.finish()?;
    Ok(Ran { answer, so_far: None, resumed })
}

fn text_of(place: Whereabouts) -> String {
    serde_json::to_string(&place).unwrap_or_default()
}

/// Bad lines on their way into the account.
struct Report<'a> {
    inputs: &'a [Input],
    bad: &'a mut BadLines,
    failed: Option<std::io::Error>,
}

impl Report<'_> {
    fn take(&mut self, place: Place, reason: &super::Reason, text: &[u8]) -> ControlFlow<()> {
        let file = self.inputs.get(place.input as usize).map(Input::name).unwrap_or_default();
        match self.bad.take(&file, place.line, reason, text) {
            Ok(Next::GoOn) => ControlFlow::Continue(()),
            Ok(Next::Stop) => ControlFlow::Break(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn finish(&mut self) -> Result<(), ImportError> {
        self.failed.take().map_or(Ok(()), Err).and_then(|()| self.bad.flush()).map_err(ImportError::Report)
    }
}
