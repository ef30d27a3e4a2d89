//! Requests: the first byte says of which route, the second with which headers, the rest is the body; or all of it is what a connection
//! brings. Whatever comes, the server answers and lives: an answer is HTTP, an error is in our form, and none is the server's
//! own fault.

#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use stonetown::api::{Api, ApiLimits, ApiSettings};
use stonetown::engine::{Engine, Settings};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const STORE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Method and path; `S` is the store's.
const ROUTES: [&str; 40] = [
    "POST S/check",
    "POST S/batch-check",
    "POST S/expand",
    "POST S/list-objects",
    "POST S/streamed-list-objects",
    "POST S/list-users",
    "POST S/read",
    "POST S/write",
    "POST S/authorization-models",
    "GET S/authorization-models",
    "GET S/changes",
    "PUT S/assertions/01ARZ3NDEKTSV4RRFFQ69G5FAW",
    "GET S/assertions/01ARZ3NDEKTSV4RRFFQ69G5FAW",
    "POST /stores",
    "GET /stores",
    "GET S",
    "POST S/apply",
    "POST S/access-diff",
    "POST S/explain",
    "POST S/audit",
    "GET S/matrix",
    "GET S/orphans",
    "POST S/orphans",
    "POST S/orphans/remove",
    "GET S/retention",
    "PUT S/retention",
    "POST S/collect",
    "POST S/purge",
    "POST S/delete",
    "POST S/export",
    "POST S/import",
    "POST S/import?way=live&format=csv",
    "POST S/access/v1/evaluation",
    "POST S/access/v1/evaluations",
    "POST S/access/v1/search/subject",
    "POST S/access/v1/search/resource",
    "POST S/access/v1/search/action",
    "GET S/stats",
    "GET S/schema",
    "POST S/import?format=yaml",
];

const HEADERS: [&str; 8] = [
    "",
    "stonetown-at: 2026-01-01T00:00:00Z\r\n",
    "stonetown-at-least: AQAA\r\n",
    "stonetown-limit: 3\r\nstonetown-work: 1\r\n",
    "stonetown-deadline-ms: 5\r\n",
    "stonetown-continuation: AQUxMjM0NTY3OGFiYw\r\n",
    "idempotency-key: k\r\ncontent-type: application/json\r\n",
    "origin: http://example.com\r\n",
];

const SCHEMA: &str = r#"{"schema_version":"1.1","type_definitions":[{"type":"user"},{"type":"org","relations":{"admin":{"this":{}},"parent":{"this":{}},"member":{"union":{"child":[{"this":{}},{"computedUserset":{"relation":"admin"}},{"tupleToUserset":{"tupleset":{"relation":"parent"},"computedUserset":{"relation":"member"}}}]}}},"metadata":{"relations":{"admin":{"directly_related_user_types":[{"type":"user"}]},"parent":{"directly_related_user_types":[{"type":"org"}]},"member":{"directly_related_user_types":[{"type":"user"},{"type":"user","wildcard":{}},{"type":"org","relation":"member"}]}}}},{"type":"doc","relations":{"org":{"this":{}},"blocked":{"this":{}},"viewer":{"this":{}},"can_read":{"difference":{"base":{"union":{"child":[{"computedUserset":{"relation":"viewer"}},{"tupleToUserset":{"tupleset":{"relation":"org"},"computedUserset":{"relation":"member"}}}]}},"subtract":{"computedUserset":{"relation":"blocked"}}}}},"metadata":{"relations":{"org":{"directly_related_user_types":[{"type":"org"}]},"blocked":{"directly_related_user_types":[{"type":"user"},{"type":"user","wildcard":{}}]},"viewer":{"directly_related_user_types":[{"type":"user"},{"type":"user","condition":"cc"},{"type":"org","relation":"member"}]}}}}],"conditions":{"cc":{"name":"cc","expression":"x > 1","parameters":{"x":{"type_name":"TYPE_NAME_INT"}}}}}"#;

const TUPLES: &str = r#"{"writes":{"tuple_keys":[{"user":"user:anne","relation":"admin","object":"org:a"},{"user":"org:a","relation":"parent","object":"org:b"},{"user":"org:b","relation":"parent","object":"org:a"},{"user":"org:b","relation":"org","object":"doc:1"},{"user":"org:a#member","relation":"viewer","object":"doc:2"},{"user":"user:bob","relation":"viewer","object":"doc:1","condition":{"name":"cc","context":{}}},{"user":"user:*","relation":"blocked","object":"doc:3"}]}}"#;

struct Server {
    runtime: Runtime,
    api: Api,
    stopping: watch::Sender<bool>,
    _dir: TempDir,
}

fn request(method_and_path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let (method, path) = method_and_path.split_once(' ').expect("a method and a path");
    let path = match path.strip_prefix('S') {
        Some(rest) => format!("/stores/{STORE}{rest}"),
        None => path.to_owned(),
    };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

impl Server {
    fn get() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            let dir = TempDir::new().expect("a directory");
            let mut settings = Settings::default();
            settings.database.create = true;
            settings.decision_cache_bytes = 1 << 20;
            settings.limits.time_max = Duration::from_millis(500);
            let engine = Arc::new(Engine::open(dir.path(), settings).expect("a new directory opens"));
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.expect("a runtime");
            let limits = ApiLimits {
                list_time_max: Duration::from_secs(2),
                long_time_max: Duration::from_secs(2),
                ..ApiLimits::default()
            };
            let settings = ApiSettings { limits, ..ApiSettings::default() };
            let api = runtime.block_on(async { Api::new(engine, settings) }).expect("there is no audit log");
            let server = Server { runtime, api, stopping: watch::Sender::new(false), _dir: dir };
            for (route, body) in [("POST S/authorization-models", SCHEMA), ("POST S/write", TUPLES)] {
                let answer = server.ask(&request(route, "", body.as_bytes()), false);
                assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&answer));
            }
            server
        })
    }

    /// All that is answered to what a connection brings, until the server closes it, or the client has said that no more comes.
    fn ask(&self, bytes: &[u8], is_all: bool) -> Vec<u8> {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let (api, stopping) = (self.api.clone(), self.stopping.subscribe());
        self.runtime.block_on(async move {
            let caller = "127.0.0.1".into();
            let served = tokio::spawn(async move { api.serve_connection(server, caller, stopping).await });
            client.write_all(bytes).await.expect("it takes what comes");
            if is_all {
                client.shutdown().await.expect("and that no more comes");
            }
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("an answer, or none");
            served.await.expect("it does not panic");
            answer
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [route, headers, body @ ..] = bytes else { return };
    let is_raw = usize::from(*route) >= ROUTES.len();
    let server = Server::get();
    let answer = match ROUTES.get(usize::from(*route)) {
        Some(of) => server.ask(&request(of, HEADERS[usize::from(*headers) % HEADERS.len()], body), false),
        // Whatever a connection may bring.
        None => server.ask(bytes, true),
    };
    let text = String::from_utf8_lossy(&answer);
    if !is_raw {
        assert!(answer.starts_with(b"HTTP/1.1 "), "no answer: {text}");
    }
    if answer.starts_with(b"HTTP/1.1 5") {
        // What OpenFGA's clients expect of a question that takes too long, or a body that is too large.
        let known = ["deadline_exceeded", "resource_exhausted"];
        assert!(known.iter().any(|code| text.contains(code)), "the server's own fault: {text}");
    }
});
