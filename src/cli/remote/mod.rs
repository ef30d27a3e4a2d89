//! The verbs asked of a server over HTTP: OpenFGA's routes, and ours where those say too little.

mod analysis;
mod answer;
mod apply;
mod call;
mod export;
mod import;
mod openfga;
mod questions;
mod schemas;
mod stores;
mod tuples;
mod url;
mod watch;

use std::path::Path;
use std::time::Duration;

use ureq::Agent;

pub(super) use answer::{may_be_done, may_come_back};
pub(super) use openfga::{Source, SourceChange};
pub(super) use url::ServerUrl;

use crate::api::URL_FILE;

const CONNECT_TIME: Duration = Duration::from_secs(5);
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// A server.
pub(super) struct Client {
    url: ServerUrl,
    agent: Agent,
    /// Sent as a bearer token.
    key: Option<String>,
}

impl Client {
    pub(super) fn new(url: ServerUrl) -> Client {
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_global(Some(REQUEST_TIME))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A server is asked directly: nothing on the way has to see who may do what.
            .proxy(None)
            .build();
        Client { url, agent: config.new_agent(), key: None }
    }

    /// The same server, asked with a key.
    pub(super) fn with_key(mut self, key: String) -> Client {
        self.key = Some(key);
        self
    }

    /// The server that has a data directory open, by its own word; none: there is none, or it does not answer.
    pub(super) fn of_directory(dir: &Path) -> Option<Client> {
        let url = std::fs::read_to_string(dir.join(URL_FILE)).ok()?;
        let client = Client::new(url.trim().parse().ok()?);
        let health = client.get("/healthz").within(CONNECT_TIME).send().ok()?;
        (health.json().ok()?["status"] == "SERVING").then_some(client)
    }

    pub(super) fn url(&self) -> &ServerUrl {
        &self.url
    }
}
