//! Cross-origin requests (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>): from which pages a browser may ask.

use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Any, CorsLayer};

use super::error::{ApiError, Code};

/// The pages that a browser may ask from, by where they come from. What no browser sends has no origin, and is none of this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origins {
    /// From every page.
    #[default]
    All,
    /// From pages of these, such as `https://console.example.com`.
    Only(Vec<HeaderValue>),
}

impl FromStr for Origins {
    type Err = String;

    /// `*`, `none`, or origins with commas between them.
    fn from_str(text: &str) -> Result<Origins, String> {
        let origin = |text: &str| {
            let uri = text.parse::<axum::http::Uri>().ok().filter(|uri| {
                let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
                // Browsers send a scheme, a host in small letters, and a port where it is an unusual one: nothing else is ever equal.
                is_web && uri.path_and_query().is_none_or(|rest| rest == "/") && !text.ends_with('/')
            });
            let is_sent_so = uri.is_some() && !text.contains('@') && text.to_ascii_lowercase() == text;
            let value = HeaderValue::from_str(text).ok().filter(|_| is_sent_so);
            value.ok_or_else(|| {
                format!("`{text}` is no origin such as https://console.example.com: write some, with commas between them, `*` or `none`")
            })
        };
        match text {
            "*" => Ok(Origins::All),
            "none" => Ok(Origins::Only(Vec::new())),
            text => Ok(Origins::Only(text.split(',').map(str::trim).map(origin).collect::<Result<_, _>>()?)),
        }
    }
}

impl Origins {
    /// What answers browsers that ask whether they may ask, and lets pages see answers.
    pub(super) fn layer(&self) -> CorsLayer {
        let origins = match self {
            Origins::All => AllowOrigin::any(),
            Origins::Only(origins) => AllowOrigin::list(origins.clone()),
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(Any)
    }

    /// # Errors
    /// The request is of a page that may not ask. A browser that would not show it the answer may send it all the same.
    pub(super) fn permit(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        match (self, headers.get(header::ORIGIN)) {
            (Origins::Only(origins), Some(origin)) if !origins.contains(origin) => {
                let message =
                    "pages of this origin may not ask: `--cors-origins` of the server names those that may";
                Err(ApiError::new(Code::Forbidden, message))
            }
            _ => Ok(()),
        }
    }

    /// Lets the page of a request see a refusal that no route has made.
    pub(super) fn show(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        match self {
            Origins::All => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Origins::Only(origins) => {
                if let Some(origin) = origin.filter(|origin| origins.contains(origin)) {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                }
                headers.insert(header::VARY, HeaderValue::from_static("origin"));
            }
        }
    }
}
