//! One request: put together, sent, its answer read to the end.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use ureq::http::Method;
use ureq::{BodyReader, RequestBuilder};

use super::Client;
use super::answer::{Answer, NoAnswer};

/// Most bytes of an answer: more is no answer of a server of ours.
const BYTES_MAX: u64 = 1 << 30;

/// A request that is being put together.
pub(super) struct Call<'c> {
    client: &'c Client,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    /// Another time limit than the usual one; the inner none: no limit.
    time_max: Option<Option<Duration>>,
}

impl Client {
    pub(super) fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::GET, path.into(), None)
    }

    pub(super) fn delete(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::DELETE, path.into(), None)
    }

    pub(super) fn post(&self, path: impl Into<String>, body: &Value) -> Call<'_> {
        self.call(Method::POST, path.into(), Some(body.to_string().into_bytes()))
    }

    /// JSON lines.
    pub(super) fn post_lines(&self, path: impl Into<String>, lines: Vec<u8>) -> Call<'_> {
        self.call(Method::POST, path.into(), Some(lines))
    }

    pub(super) fn put(&self, path: impl Into<String>, body: &Value) -> Call<'_> {
        self.call(Method::PUT, path.into(), Some(body.to_string().into_bytes()))
    }

    fn call(&self, method: Method, path: String, body: Option<Vec<u8>>) -> Call<'_> {
        let (query, headers) = (Vec::new(), Vec::new());
        Call { client: self, method, path, query, headers, body, time_max: None }
    }
}

impl Call<'_> {
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn within(mut self, time_max: Duration) -> Self {
        self.time_max = Some(Some(time_max));
        self
    }

    /// However long it takes.
    pub(super) fn patiently(mut self) -> Self {
        self.time_max = Some(None);
        self
    }

    /// Sends it.
    ///
    /// # Errors
    /// There is no answer, or it is not one of success.
    pub(super) fn send(self) -> anyhow::Result<Answer> {
        self.send_for_any()?.successful()
    }

    /// Sends it, and takes an answer of whatever status.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn send_for_any(self) -> anyhow::Result<Answer> {
        let url = &self.client.url;
        Ok(self.exchange().map_err(|cause| NoAnswer::new(url, cause))?)
    }

    /// Sends it, and leaves the body to be read as it comes, however long that takes.
    ///
    /// # Errors
    /// There is no answer, or it is not one of success.
    pub(super) fn stream(self) -> anyhow::Result<(Answer, BodyReader<'static>)> {
        let client = self.client;
        let call = self.patiently();
        let uri = format!("{}{}", client.url, call.path);
        let response = match &call.body {
            Some(body) => call.prepared(client.agent.post(uri)).send(body.as_slice()),
            None => call.prepared(client.agent.get(uri)).call(),
        };
        let response = response.map_err(|cause| NoAnswer::new(&client.url, cause))?;
        let (head, mut body) = response.into_parts();
        let mut answer =
            Answer { url: client.url.clone(), status: head.status, headers: head.headers, body: Vec::new() };
        if !answer.status.is_success() {
            let read = body.with_config().limit(BYTES_MAX).read_to_vec();
            answer.body = read.map_err(|cause| NoAnswer::new(&client.url, cause))?;
        }
        Ok((answer.successful()?, body.into_reader()))
    }

    fn exchange(&self) -> Result<Answer, ureq::Error> {
        let uri = format!("{}{}", self.client.url, self.path);
        let agent = &self.client.agent;
        let mut response = match &self.body {
            Some(body) => {
                let call = if self.method == Method::PUT { agent.put(uri) } else { agent.post(uri) };
                let call = call.header("content-type", "application/json");
                self.prepared(call).send(body.as_slice())?
            }
            None if self.method == Method::DELETE => self.prepared(agent.delete(uri)).call()?,
            None => self.prepared(agent.get(uri)).call()?,
        };
        let body = response.body_mut().with_config().limit(BYTES_MAX).read_to_vec()?;
        let (head, _) = response.into_parts();
        Ok(Answer { url: self.client.url.clone(), status: head.status, headers: head.headers, body })
    }

    fn prepared<B>(&self, mut call: RequestBuilder<B>) -> RequestBuilder<B> {
        for (name, value) in &self.query {
            call = call.query(*name, value);
        }
        if let Some(key) = &self.client.key {
            call = call.header("authorization", format!("Bearer {}", key.expose_secret()));
        }
        for (name, value) in &self.headers {
            call = call.header(*name, value);
        }
        match self.time_max {
            Some(time_max) => call.config().timeout_global(time_max).build(),
            None => call,
        }
    }
}
