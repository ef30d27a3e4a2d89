//! Files that are read anew when they have changed.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How often they are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What tells that files have changed: when they were written, and their lengths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stamps(Vec<Option<(SystemTime, u64)>>);

impl Stamps {
    pub(super) fn of<'f>(files: impl IntoIterator<Item = &'f PathBuf>) -> Stamps {
        let stamp = |file: &PathBuf| {
            let known = std::fs::metadata(file).ok()?;
            Some((known.modified().ok()?, known.len()))
        };
        Stamps(files.into_iter().map(stamp).collect())
    }
}
