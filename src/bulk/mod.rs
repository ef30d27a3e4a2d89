//! Tuples in files: everything between bytes and tuples, in the formats people have.
//!
//! Reading: [`Input::find`] says what is to be read, [`TupleLines`] reads one input line by line, in bounded memory and
//! from any place in it, [`BadLines`] keeps account of the lines that are no tuples. [`read_tuples`] does it all at once
//! for what fits into one write.

// What is read, and how its bytes come.
mod buffer;
mod error;
mod format;
mod input;
mod lines;

// From bytes to tuples.
mod all;
mod csv;
mod document;
mod json;
mod line;
mod reader;
mod reason;
mod spicedb;
mod text;
mod yaml;

mod report;
mod writer;

// From lines to a store, and back.
mod export;
mod import;
mod run;

pub use all::{BadLine, Located, read_tuples};
pub use buffer::LINE_BYTES_MAX;
pub use error::ReadError;
pub use export::{ExportError, export};
pub use format::{Compression, Format};
pub use import::{
    GENTLE_PART_TUPLES, Import, ImportAnswer, ImportOptions, MEMORY_BYTES, PART_TUPLES, Untaken, Way,
};
pub use input::{Input, InputError};
pub use json::TupleJson;
pub use line::{BulkTuple, Line, Position};
pub use reader::TupleLines;
pub use reason::{BadKind, Reason};
pub use report::{BadLines, BadLinesPolicy, Next};
pub use run::{Doing, ImportError, Ran, import_inputs};
pub use writer::{TupleWriter, WriteError, WriterOptions};
