use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::{Value, json};
use stonetown::api::{ApiLimits, ApiSettings, Server};
use stonetown::engine::{Engine, Settings};
use stonetown::storage::DatabaseOptions;
use tokio::sync::oneshot;

use super::description::{Answer, Description};

/// Small, so that a body that is too large is made quickly.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;

/// A server of a new data directory, until it is dropped.
pub(super) struct Running {
    pub(super) engine: Arc<Engine>,
    pub(super) address: SocketAddr,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _directories: [tempfile::TempDir; 2],
}

impl Running {
    pub(super) fn start() -> Running {
        let directory = tempfile::tempdir().unwrap();
        let database = DatabaseOptions { create: true, ..DatabaseOptions::default() };
        let settings = Settings { database, ..Settings::default() };
        let engine = Arc::new(Engine::open(directory.path(), settings).unwrap());
        let backups = tempfile::tempdir().unwrap();
        let backup_dir = backups.path().to_owned();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let served = Arc::clone(&engine);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let limits = ApiLimits {
                    body_bytes_max: BODY_BYTES_MAX,
                    backup_dir: Some(backup_dir),
                    ..ApiLimits::default()
                };
                let settings = ApiSettings { limits, ..ApiSettings::default() };
                let server = Server::bind(served, settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
                tell.send(server.address()).unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(std::time::Duration::from_secs(10)))
            .build();
        Running {
            engine,
            address: told.recv().unwrap(),
            agent: config.into(),
            stop: Some(stop),
            thread: Some(thread),
            _directories: [directory, backups],
        }
    }

    /// Sends a request as an ordinary client does.
    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method.to_uppercase().as_str())
            .uri(format!("http://{}{path}", self.address));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.body(body.to_string()).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        Answer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body: response.body_mut().read_to_vec().unwrap(),
        }
    }

    /// The same; the answer has to be of this status, and as it is described.
    pub(super) fn ask(
        &self,
        description: &Description,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: Option<&Value>,
        status: u16,
    ) -> Answer {
        let answer = self.send(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path} {body:?}: {}", answer.text());
        let bare = path.split('?').next().unwrap();
        let operation = description.find(method, bare).unwrap_or_else(|| panic!("{method} {path}"));
        if let Err(problem) = operation.check_answer(&answer) {
            panic!("{method} {path} {body:?}: {problem}\n{answer:?}");
        }
        answer
    }

    /// A store with a model and tuples.
    pub(super) fn store(&self, description: &Description, name: &str) -> Store {
        let ask =
            |path: &str, body: &Value, status| self.ask(description, ("post", path), &[], Some(body), status);
        let created = ask("/stores", &json!({ "name": name }), 201);
        let id = created.json()["id"].as_str().unwrap().to_owned();
        let written = ask(&format!("/stores/{id}/authorization-models"), &model(), 201);
        let model = written.json()["authorization_model_id"].as_str().unwrap().to_owned();
        let tuples: Vec<Value> = TUPLES.iter().map(tuple_json).collect();
        let written =
            ask(&format!("/stores/{id}/write"), &json!({ "writes": { "tuple_keys": tuples } }), 200);
        Store { id, model, token: written.header("stonetown-token").unwrap().to_owned() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// A store to ask about.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) id: String,
    pub(super) model: String,
    /// Of the state after its tuples were written.
    pub(super) token: String,
}

/// User, relation, object.
pub(super) const TUPLES: [[&str; 3]; 8] = [
    ["user:anne", "viewer", "doc:plan"],
    ["user:*", "viewer", "doc:news"],
    ["user:bob", "blocked", "doc:news"],
    ["group:fga#member", "viewer", "doc:plan"],
    ["user:carl", "member", "group:fga"],
    ["group:core#member", "member", "group:fga"],
    ["folder:root", "parent", "doc:plan"],
    ["user:dora", "viewer", "folder:root"],
];

fn tuple_json([user, relation, object]: &[&str; 3]) -> Value {
    json!({ "user": user, "relation": relation, "object": object })
}

/// Every kind of rewrite.
pub(super) fn model() -> Value {
    let relation = |name: &str| json!({ "computedUserset": { "relation": name } });
    let only = |types: Value| json!({ "directly_related_user_types": types });
    let user = json!({ "type": "user" });
    let arrow = json!({
        "tupleToUserset": { "tupleset": { "relation": "parent" }, "computedUserset": { "relation": "viewer" } }
    });
    json!({
        "schema_version": "1.1",
        "type_definitions": [
            { "type": "user" },
            {
                "type": "group",
                "relations": { "member": { "this": {} } },
                "metadata": { "relations": { "member": only(json!([user, { "type": "group", "relation": "member" }])) } },
            },
            {
                "type": "folder",
                "relations": { "viewer": { "this": {} } },
                "metadata": { "relations": { "viewer": only(json!([user])) } },
            },
            {
                "type": "doc",
                "relations": {
                    "parent": { "this": {} },
                    "editor": { "this": {} },
                    "blocked": { "this": {} },
                    "viewer": { "union": { "child": [{ "this": {} }, relation("editor"), arrow] } },
                    "allowed": { "difference": { "base": relation("viewer"), "subtract": relation("blocked") } },
                    "both": { "intersection": { "child": [relation("editor"), relation("viewer")] } },
                },
                "metadata": {
                    "relations": {
                        "parent": only(json!([{ "type": "folder" }])),
                        "editor": only(json!([user])),
                        "blocked": only(json!([user])),
                        "viewer": only(json!([
                            user, { "type": "user", "wildcard": {} }, { "type": "group", "relation": "member" }
                        ])),
                    },
                },
            },
        ],
    })
}
