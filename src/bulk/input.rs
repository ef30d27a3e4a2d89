//! From what is named on a command line to the files that are read.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Format;

/// One file of tuples, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its path; `-` is standard input.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// How many bytes it has, packed as it is; unknown of standard input and pipes.
    pub bytes: Option<u64>,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The operating system refused.
    #[error("cannot read `{}`: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A name does not tell its format.
    #[error(
        "cannot tell the format of `{}` from its name: say `--input-format text`, `csv`, `jsonl`, `json`, `yaml` or \
         `spicedb`", .0.display()
    )]
    UnknownFormat(PathBuf),
    /// Names in directories that do not tell their formats.
    #[error("{}", unknown(files, *total))]
    UnknownFormats {
        /// The first of them.
        files: Vec<PathBuf>,
        /// How many there are.
        total: usize,
    },
    /// A directory without files.
    #[error("`{}` holds no files", .0.display())]
    EmptyDirectory(PathBuf),
    /// A directory that leads to itself.
    #[error("`{}` leads back to a directory that it is in: name the directories one by one", .0.display())]
    Circle(PathBuf),
    /// The same file twice.
    #[error("`{}` is named twice: leave one out", .0.display())]
    Twice(PathBuf),
}

/// Files of unknown format that are told one by one; the rest is counted.
const UNKNOWN_SHOWN: usize = 20;

fn unknown(files: &[PathBuf], total: usize) -> String {
    let names: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
    let more = total - files.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "cannot tell the format of {}{more} from the name: take the file out of the directory, or say \
         `--input-format` if all files are of one format",
        names.join(", ")
    )
}

impl Input {
    /// One file, `-` for standard input, in the format given or else told by its name.
    ///
    /// # Errors
    /// The name does not tell the format.
    pub fn new(path: &Path, format: Option<Format>) -> Result<Input, InputError> {
        let format = format.or_else(|| Format::of_path(path));
        let format = format.ok_or_else(|| InputError::UnknownFormat(path.to_owned()))?;
        let metadata = if is_stdin(path) { None } else { fs::metadata(path).ok() };
        let bytes = metadata.filter(fs::Metadata::is_file).map(|metadata| metadata.len());
        Ok(Input { path: path.to_owned(), format, bytes })
    }

    /// The files that are named: each file itself, `-` for standard input, of a directory everything below it, sorted by
    /// name. Names that begin with a dot are passed over in directories.
    ///
    /// # Errors
    /// What is not there, cannot be read, does not tell its format, or is named twice.
    pub fn find(paths: &[PathBuf], format: Option<Format>) -> Result<Vec<Input>, InputError> {
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        for path in paths {
            if !is_stdin(path) && metadata(path)?.is_dir() {
                let before = found.len() + unknown.len();
                walk(path, format, &mut Vec::new(), &mut found, &mut unknown)?;
                if found.len() + unknown.len() == before {
                    return Err(InputError::EmptyDirectory(path.clone()));
                }
            } else {
                found.push(Input::new(path, format)?);
            }
        }
        if !unknown.is_empty() {
            let total = unknown.len();
            unknown.truncate(UNKNOWN_SHOWN);
            return Err(InputError::UnknownFormats { files: unknown, total });
        }
        let mut seen = HashSet::new();
        for input in &found {
            // The same file under two names is found too; a name that cannot be resolved stands for itself.
            let identity = fs::canonicalize(&input.path).unwrap_or_else(|_| input.path.clone());
            if !seen.insert(identity) {
                return Err(InputError::Twice(input.path.clone()));
            }
        }
        Ok(found)
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        if self.is_stdin() { "standard input".to_owned() } else { self.path.display().to_string() }
    }

    /// Whether it is standard input, which can be read once.
    pub fn is_stdin(&self) -> bool {
        is_stdin(&self.path)
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn metadata(path: &Path) -> Result<fs::Metadata, InputError> {
    fs::metadata(path).map_err(|cause| InputError::Io { path: path.to_owned(), cause })
}

/// Everything below a directory. `above` are the real paths of the directories it is in.
fn walk(
    directory: &Path,
    format: Option<Format>,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<Input>,
    unknown: &mut Vec<PathBuf>,
) -> Result<(), InputError> {
    let io = |cause| InputError::Io { path: directory.to_owned(), cause };
    let real = fs::canonicalize(directory).map_err(io)?;
    if above.contains(&real) {
        return Err(InputError::Circle(directory.to_owned()));
    }
    above.push(real);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        names.push(entry.map_err(io)?.file_name());
    }
    names.sort();
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
        let path = directory.join(name);
        let metadata = metadata(&path)?;
        if metadata.is_dir() {
            walk(&path, format, above, found, unknown)?;
            continue;
        }
        match format.or_else(|| Format::of_path(&path)) {
            Some(format) if metadata.is_file() => {
                found.push(Input { path, format, bytes: Some(metadata.len()) });
            }
            // A pipe or a device in a directory is none of its data, whatever its name.
            _ => unknown.push(path),
        }
    }
    above.pop();
    Ok(())
}
