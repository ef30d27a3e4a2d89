//! Answers of a server, and what it means that there is none.

use super::questions::{NESTING_MAX, nesting};
use serde_json::Value;
use ureq::http::{HeaderMap, StatusCode};

use super::url::ServerUrl;

/// The server did not answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum NoAnswer {
    /// It was not even asked.
    #[error("cannot reach the server at {url}: {cause}")]
    Unreachable { url: ServerUrl, cause: String },
    /// It may or may not have done what it was asked.
    #[error("no answer from the server at {url}: {cause}")]
    Broken { url: ServerUrl, cause: String },
    /// Another program answered, or another version.
    #[error("the server at {url} does not answer as Stonetown does ({what}): is it the right URL?")]
    Unlike { url: ServerUrl, what: String },
}

impl NoAnswer {
    pub(super) fn new(url: &ServerUrl, cause: ureq::Error) -> NoAnswer {
        use std::io::ErrorKind;
        let was_reached = match &cause {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => false,
            ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => false,
            ureq::Error::Io(error) => !matches!(
                error.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::AddrNotAvailable
            ),
            _ => true,
        };
        let (url, cause) = (url.clone(), cause.to_string());
        if was_reached { NoAnswer::Broken { url, cause } } else { NoAnswer::Unreachable { url, cause } }
    }
}

/// The server refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", own.as_ref().unwrap_or(message))]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// OpenFGA's name for the mistake.
    pub(super) code: String,
    /// What is wrong, in OpenFGA's words.
    message: String,
    /// The same in ours; none: the server has none for it.
    own: Option<String>,
}

/// Whether a server may have done what it was asked, all the same.
pub(in crate::cli) fn may_be_done(error: &anyhow::Error) -> bool {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(NoAnswer::Broken { .. } | NoAnswer::Unlike { .. }), _) => true,
        // It failed in a way of which it has nothing to say.
        (_, Some(Refused { code, own, .. })) => code == "internal_error" && own.is_none(),
        _ => false,
    }
}

/// Says of a change that it may have been made, when that is so.
pub(super) fn unsure(error: anyhow::Error) -> anyhow::Error {
    if may_be_done(&error) { error.context("it is not known whether it was done") } else { error }
}

/// Whether asking again later may help: the server was not there, or went away.
pub(in crate::cli) fn may_come_back(error: &anyhow::Error) -> bool {
    error.is::<NoAnswer>() || error.downcast_ref::<Refused>().is_some_and(|it| it.status.is_server_error())
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) url: ServerUrl,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The answer, if it is one of success.
    pub(super) fn successful(self) -> anyhow::Result<Answer> {
        if self.status.is_success() {
            return Ok(self);
        }
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let (Some(code), Some(message)) = (body["code"].as_str(), body["message"].as_str()) else {
            return Err(self.unlike_ours(format_args!("status {}", self.status)));
        };
        let own = body["reason"].as_str().map(str::to_owned);
        let (status, code, message) = (self.status, code.to_owned(), message.to_owned());
        Err(Refused { status, code, message, own }.into())
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        self.form()
    }

    /// The body in a form of ours.
    pub(super) fn form<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<T> {
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        // An explanation nests with the hops of its proof, which are limited themselves.
        if nesting(&self.body) <= NESTING_MAX {
            reader.disable_recursion_limit();
        }
        T::deserialize(&mut reader).map_err(|error| self.unlike_ours(error))
    }

    /// The text of a header that a server of ours sends.
    pub(super) fn text(&self, name: &str) -> anyhow::Result<&str> {
        self.header(name).ok_or_else(|| self.unlike_ours(format_args!("there is no header `{name}`")))
    }

    /// The number in a header that a server of ours sends.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> anyhow::Result<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| self.unlike_ours(format_args!("header `{name}` is `{text}`")))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer lacks something.
    pub(super) fn unlike_ours(&self, what: impl std::fmt::Display) -> anyhow::Error {
        NoAnswer::Unlike { url: self.url.clone(), what: what.to_string() }.into()
    }
}
