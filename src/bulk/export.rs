//! Export: the tuples of a held state, written in a format.

use std::io::Write;
use std::ops::ControlFlow;

use super::writer::{TupleWriter, WriteError, WriterOptions};
use super::{Compression, Format};
use crate::engine::{EngineError, Export};

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A tuple could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// By the engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Tuples between two reports of progress.
const PROGRESS: u64 = 8_192;

/// Writes all tuples of a state; `progress` is told how many so far. The answer is how many there are, and what they were written to.
pub fn export<W: Write>(
    state: &Export<'_>,
    out: W,
    format: Format,
    compression: Compression,
    progress: &mut dyn FnMut(u64),
) -> Result<(u64, W), ExportError> {
    // Only a header has to know beforehand.
    let has_expiry = format == Format::Csv && state.has_ends()?;
    let mut writer = TupleWriter::new(out, WriterOptions { format, compression, has_expiry })?;
    let mut failed = None;
    state.visit(&mut |key, row| match writer.write_parts(&key, row.condition.as_ref(), row.expires_at) {
        Ok(()) => {
            if writer.tuples().is_multiple_of(PROGRESS) {
                progress(writer.tuples());
            }
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let tuples = writer.tuples();
    Ok((tuples, writer.finish()?))
}
