//! Pages of a search: how many results, and where it goes on, in the same state.

use super::super::app::App;
use super::super::error::ApiError;
use super::super::page::{Pages, invalid_token};
use super::wire::Fields;
use crate::engine::{At, Resume, View};

/// Which part of a search is wanted.
pub(super) struct Part {
    /// The state that an earlier part was of; none: this is the first.
    pub(super) state: Option<At>,
    /// What the earlier parts ended with; none: nothing has been answered yet.
    pub(super) after: Option<Resume>,
    /// Most results; none: all there are.
    pub(super) limit: Option<u64>,
    /// Most bytes of the names that are found.
    pub(super) bytes_max: usize,
    pages: Pages,
}

impl Part {
    /// Reads the `page` of a request.
    ///
    /// # Errors
    /// A token of another request, or another limit than that of the first part.
    pub(super) fn read(fields: &mut Fields, pages: Pages, bytes_max: usize) -> Result<Part, ApiError> {
        let (mut token, mut limit) = (String::new(), None);
        if let Some(mut page) = fields.fields("page")? {
            token = page.text("token")?.unwrap_or_default();
            limit = page.count("limit")?;
        }
        let Some(place) = pages.place(&token)? else {
            return Ok(Part { state: None, after: None, limit, bytes_max, pages });
        };
        let (state, first_limit, after) = read_place(&place).ok_or_else(invalid_token)?;
        if limit.is_some_and(|limit| limit != first_limit) {
            let message =
                format!("`page.limit` has to stay {first_limit}, as on the first page, or be left out");
            return Err(ApiError::validation(message));
        }
        Ok(Part { state: Some(At::Token(state)), after, limit: Some(first_limit), bytes_max, pages })
    }

    /// The token of the next part.
    pub(super) fn token(&self, app: &App, view: &View<'_>, after: Option<&Resume>) -> String {
        let state = app.engine.seal(&view.token());
        let limit = self.limit.unwrap_or_default();
        let place = match after {
            None => "begin ".to_owned(),
            Some(Resume { last, too_deep: true }) => format!("deep {last}"),
            Some(Resume { last, too_deep: false }) => format!("- {last}"),
        };
        self.pages.token(&format!("{state} {limit} {place}"))
    }
}

fn read_place(place: &str) -> Option<(String, u64, Option<Resume>)> {
    let (state, rest) = place.split_once(' ')?;
    let (limit, rest) = rest.split_once(' ')?;
    let after = match rest.split_once(' ')? {
        ("begin", _) => None,
        (depth, last) => Some(Resume { last: last.into(), too_deep: depth == "deep" }),
    };
    Some((state.to_owned(), limit.parse().ok()?, after))
}
