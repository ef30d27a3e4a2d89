//! The limits of questions; only the one on depth can be reached.

use std::time::Duration;

use stonetown::eval::Limits;

/// For questions to worlds of this depth.
pub(crate) fn limits(depth_max: u32) -> Limits {
    Limits { depth_max, reads_max: u64::MAX, time_max: Duration::from_secs(3600), ..Limits::default() }
}
