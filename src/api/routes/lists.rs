//! What the lists share: how much a client wants, and where a list that is not complete goes on.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::super::app::{App, CONTINUATION, DEADLINE, INCOMPLETE, LIMIT, at, number};
use super::super::error::ApiError;
use super::super::page::{Pages, invalid_token};
use super::super::wire::{self, OrEmpty};
use crate::engine::{At, ListEnd, Listed, Resume, View};

/// What to send for a list in parts.
pub(super) const FOR_PARTS: &str = "send `Stonetown-Limit` for parts of it";

/// How much of a list a client wants, and from where on.
pub(super) struct Part {
    pub(super) at: At,
    pub(super) after: Option<Resume>,
    pub(super) limit: u64,
    pub(super) time_max: Option<Duration>,
}

impl Part {
    /// What the headers ask for: all of it, unless they say otherwise.
    pub(super) fn of(headers: &HeaderMap, pages: &Pages) -> Result<Part, ApiError> {
        let limit = number(headers, LIMIT)?.unwrap_or(u64::MAX);
        let time_max = number(headers, DEADLINE)?.map(Duration::from_millis);
        let Some(token) = headers.get(CONTINUATION) else {
            return Ok(Part { at: at(headers)?, after: None, limit, time_max });
        };
        let place = pages.place(token.to_str().unwrap_or("?"))?.ok_or_else(invalid_token)?;
        let read = || {
            let (state, rest) = place.split_once(' ')?;
            let (too_deep, last) = rest.split_once(' ')?;
            let after = Resume { last: last.into(), too_deep: too_deep == "deep" };
            Some(Part { at: At::Token(state.to_owned()), after: Some(after), limit, time_max })
        };
        read().ok_or_else(invalid_token)
    }
}

/// The headers of a list that is not complete: why, and where it goes on.
pub(super) fn rest(app: &App, view: &View<'_>, pages: &Pages, listed: &Listed) -> Vec<(HeaderName, String)> {
    let reason = match listed.end {
        ListEnd::Complete => return Vec::new(),
        ListEnd::Stopped => "limit",
        ListEnd::TimedOut => "deadline",
    };
    let mut headers = vec![(INCOMPLETE, reason.to_owned())];
    if let Some(Resume { last, too_deep }) = &listed.resume {
        let depth = if *too_deep { "deep" } else { "-" };
        let state = app.engine.seal(&view.token());
        headers.push((CONTINUATION, pages.token(&format!("{state} {depth} {last}"))));
    }
    headers
}

/// Contextual tuples as a part of what a list depends on.
pub(super) fn digest_of(contextual: Option<&[wire::TupleKey]>) -> String {
    let parts = contextual.unwrap_or_default().iter().map(|key| {
        let (condition, context) = match &key.condition {
            Some(condition) => (condition.name.text(), condition.context.clone()),
            None => ("", None),
        };
        json!([key.object, key.relation, key.user, condition, context, key.expires_at])
    });
    Value::from_iter(parts).to_string()
}
