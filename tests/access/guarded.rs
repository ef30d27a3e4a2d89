use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Served;
use crate::support::client::Answer;

/// A schema with an owner and a viewer.
pub(super) const SCHEMA: &str = "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define owner: [user]\n    \
                                 define viewer: [user] or owner\n";

/// A server whose settings are in a file.
pub(super) struct Guarded {
    /// None: somebody else runs it.
    served: Option<Served>,
    pub(super) files: TempDir,
    url: String,
    agent: ureq::Agent,
}

/// Writes a file, and says where it is.
pub(super) fn file(dir: &Path, name: &str, content: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

impl Guarded {
    /// `settings` has `DIR` where the directory of its files is named; `keys` are files there, with their contents.
    pub(super) fn start(settings: &str, files: &[(&str, &str)]) -> Guarded {
        Guarded::with(settings, files, TempDir::new().unwrap())
    }

    pub(super) fn with(settings: &str, files: &[(&str, &str)], data: TempDir) -> Guarded {
        let dir = TempDir::new().unwrap();
        for (name, content) in files {
            file(dir.path(), name, content);
        }
        let text = settings.replace("DIR", dir.path().to_str().unwrap());
        let config = file(dir.path(), "stonetown.toml", &text);
        let served = Served::on(data, &["--config", config.to_str().unwrap()]);
        Guarded { files: dir, ..Guarded::of(&served.url.clone()) }.serving(served)
    }

    fn serving(self, served: Served) -> Guarded {
        Guarded { served: Some(served), ..self }
    }

    /// A server that somebody else runs.
    pub(super) fn of(url: &str) -> Guarded {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Guarded { served: None, files: TempDir::new().unwrap(), url: url.to_owned(), agent }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Stops it: its data.
    pub(super) fn stop(&mut self) -> TempDir {
        self.served.take().unwrap().stop().1
    }

    /// Sends a request with a key or token; none: without.
    pub(super) fn send(&self, key: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
        let shown = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<_> = shown.iter().map(|shown| ("authorization", shown.as_str())).collect();
        self.send_with(&headers, method, path, body)
    }

    pub(super) fn send_with(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let uri = format!("{}{path}", self.url);
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = self.agent.run(request.body(text).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// A new store with a schema in force, made by somebody who may: its id.
    pub(super) fn store(&self, admin: &str) -> String {
        let made = self.send(Some(admin), "POST", "/stores", &json!({ "name": "a store" })).granted();
        let store = made.body["id"].as_str().unwrap().to_owned();
        let path = format!("/stores/{store}/authorization-models");
        self.send(Some(admin), "POST", &path, &crate::support::client::schema_json(SCHEMA)).granted();
        let tuple = json!({ "user": "user:anne", "relation": "owner", "object": "doc:plan" });
        let body = json!({ "writes": { "tuple_keys": [tuple] } });
        self.send(Some(admin), "POST", &format!("/stores/{store}/write"), &body).granted();
        store
    }
}

pub(super) fn check() -> Value {
    json!({ "tuple_key": { "user": "user:anne", "relation": "viewer", "object": "doc:plan" } })
}
