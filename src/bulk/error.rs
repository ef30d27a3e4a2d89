//! What reading a file can end with.

use std::path::{Path, PathBuf};

use super::{BadLine, InputError};

/// Why a file could not be read as tuples.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read `{}`: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It cannot be unpacked.
    #[error("cannot unpack `{}` behind line {line}: {cause}: the file is damaged or cut off", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
        /// Why.
        cause: std::io::Error,
    },
    /// It ends before the place where reading was to go on.
    #[error("cannot go on in `{}` at byte {bytes}: it is shorter now, so it is not the file that was begun", path.display())]
    Shorter {
        /// The file.
        path: PathBuf,
        /// The place.
        bytes: u64,
    },
    /// Only what is read piece by piece may be of any size.
    #[error(
        "`{}` has more than {bytes_max} bytes and is no plain list of entries, so it would have to be read at once: make \
         it a list with an entry for each tuple, JSON, JSON lines or CSV", path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How many bytes are read at once.
        bytes_max: usize,
    },
    /// It is not known what to read.
    #[error(transparent)]
    Input(#[from] InputError),
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

fn bad_lines(path: &Path, lines: &[BadLine], total: u64) -> String {
    let shown: Vec<String> = lines.iter().map(|line| format!("{}: {line}", path.display())).collect();
    let more = total - lines.len() as u64;
    let more = if more > 0 { format!("\n… and {more} more lines") } else { String::new() };
    format!("{}{more}", shown.join("\n"))
}
