//! How large an answer may be that is held in memory until it is whole.

use std::ops::ControlFlow;

use super::error::{ApiError, Code};

/// What an answer still may take.
#[derive(Debug)]
pub(super) struct Held {
    bytes_max: usize,
    /// None: it has become too large.
    left: Option<usize>,
}

impl Held {
    pub(super) fn new(bytes_max: usize) -> Held {
        Held { bytes_max, left: Some(bytes_max) }
    }

    /// Takes room for a part of the answer; it is broken off where there is none.
    pub(super) fn take(&mut self, bytes: usize) -> ControlFlow<()> {
        self.left = self.left.and_then(|left| left.checked_sub(bytes));
        if self.left.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// # Errors
    /// There was too little room; `instead` says what to ask.
    pub(super) fn finish(&self, instead: &str) -> Result<(), ApiError> {
        let message =
            || format!("the answer is larger than the {} bytes that it may have: {instead}", self.bytes_max);
        self.left.map(drop).ok_or_else(|| ApiError::new(Code::ResourceExhausted, message()))
    }
}
