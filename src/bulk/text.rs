//! Zanzibar text: `voice:7#viewer@user:anne`, one a line.

use crate::tuple::{Tuple, TupleError};

pub(super) fn parse_line(line: &str) -> Option<Result<Tuple, String>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
        return None;
    }
    Some(line.parse().map_err(|error: TupleError| error.to_string()))
}
