//! Cross-origin requests (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>): from which pages a browser may ask.

use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Any, CorsLayer};

use super::error::{ApiError, Code};

/// Of Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

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
            let value = HeaderValue::from_str(text).ok().filter(|_| sent_for(text).as_deref() == Some(text));
            let wrong = || {
                format!(
                    "`{text}` is no origin such as https://console.example.com: write some, with commas between them, `*` or `none`"
                )
            };
            value.ok_or_else(wrong)
        };
        match text {
            "*" => Ok(Origins::All),
            "none" => Ok(Origins::Only(Vec::new())),
            text => Ok(Origins::Only(text.split(',').map(str::trim).map(origin).collect::<Result<_, _>>()?)),
        }
    }
}

/// What a browser sends as the origin of a page at a URL: nothing else is ever equal to it.
fn sent_for(url: &str) -> Option<String> {
    let uri: axum::http::Uri = url.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?, uri.host()?.to_ascii_lowercase());
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let port = uri.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}"));
    host.chars().all(is_name).then(|| format!("{scheme}://{host}{}", port.unwrap_or_default()))
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
        let Origins::Only(origins) = self else { return Ok(()) };
        let mut sent = headers.get_all(header::ORIGIN).iter().peekable();
        let may = match sent.peek() {
            Some(_) => sent.all(|origin| origins.contains(origin)),
            // Pictures, scripts and links have no origin; browsers tell in this way that they are of another page.
            None => headers.get(SEC_FETCH_SITE).is_none_or(|site| site == "none" || site == "same-origin"),
        };
        if may {
            return Ok(());
        }
        let message = "pages of this origin may not ask: `--cors-origins` of the server names those that may";
        Err(ApiError::new(Code::Forbidden, message))
    }

    /// Lets the page of a request see a refusal that no route has made.
    pub(super) fn show(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        match self {
            Origins::All => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Origins::Only(origins) => {
                if origins.contains(origin) {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                }
                headers.insert(header::VARY, HeaderValue::from_static("origin"));
            }
        }
    }
}
