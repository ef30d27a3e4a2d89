//! Zanzibar text: `voice:7#viewer@user:anne`, one a line.

use super::{BulkTuple, Reason};

/// Whether a line holds nothing: it is blank, or a comment.
pub(super) fn is_blank(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b"#") || line.starts_with(b"//")
}

pub(super) fn parse(line: &str) -> Result<BulkTuple<'_>, Reason> {
    // White space that is not ASCII can be part of a name.
    Ok(BulkTuple::parse(line.trim_ascii())?)
}
