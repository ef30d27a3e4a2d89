//! URLs of servers.

use std::fmt;
use std::str::FromStr;

/// `http://HOST[:PORT][/PATH]` or `https://…`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct ServerUrl(String);

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<ServerUrl, String> {
        let text = text.trim_end_matches('/');
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let is_right = rest.is_some_and(|rest| !rest.is_empty())
            && text.parse::<ureq::http::Uri>().is_ok_and(|uri| uri.host().is_some() && uri.query().is_none())
            && !text.contains('#');
        if is_right {
            return Ok(ServerUrl(text.to_owned()));
        }
        Err(format!(
            "`{text}` is not the URL of a server: write `http://HOST:PORT`, for example http://127.0.0.1:8080"
        ))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
