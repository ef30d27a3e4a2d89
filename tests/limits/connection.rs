use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::Served;

/// So long is waited for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Connection(TcpStream);

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// It was turned away, in the form that clients know, and told when to come again.
    pub(super) fn is_turned_away(&self) -> bool {
        let is_it = self.status == 429;
        if is_it {
            assert_eq!(self.json()["code"], "rate_limit_exceeded", "{self:?}");
            assert!(self.head.to_ascii_lowercase().contains("\r\nretry-after: "), "{self:?}");
        }
        is_it
    }
}

pub(super) fn post(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

impl Connection {
    pub(super) fn open(server: &Served) -> Connection {
        let stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Connection(stream)
    }

    pub(super) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Sends what may find the connection closed.
    pub(super) fn try_send(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes());
    }

    /// Everything until the server closes the connection.
    pub(super) fn rest(&mut self) -> String {
        let mut text = Vec::new();
        // A reset ends it as well.
        let _ = self.0.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The beginning of what comes: the server is at work.
    pub(super) fn begin(&mut self) -> String {
        let mut some = [0; 256];
        let read = self.0.read(&mut some).unwrap();
        String::from_utf8_lossy(&some[..read]).into_owned()
    }

    /// A response with its length in its head.
    pub(super) fn answer(&mut self) -> Answer {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\r\n\r\n") {
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "it ends: {}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        let head = String::from_utf8(text).unwrap();
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }

    pub(super) fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer()
    }
}

/// A server with a store in it, its path first.
pub(super) fn serve(arguments: &[&str]) -> (Served, String) {
    let server = Served::on(tempfile::tempdir().unwrap(), arguments);
    let path = store(&server);
    (server, path)
}

/// A store with folders in folders, each user a viewer of the first, and a group that everybody is a member of.
pub(super) fn store(server: &Served) -> String {
    let mut connection = Connection::open(server);
    let made = connection.ask(&post("/stores", "", "{\"name\":\"a store\"}"));
    let path = format!("/stores/{}", made.json()["id"].as_str().unwrap());
    let model = json!({ "schema_version": "1.1", "type_definitions": [
        { "type": "user" },
        { "type": "folder", "relations": {
            "parent": { "this": {} },
            "banned": { "this": {} },
            "viewer": { "union": { "child": [{ "this": {} },
                { "tupleToUserset": { "tupleset": { "relation": "parent" }, "computedUserset": { "relation": "viewer" } } }] } },
            "reader": { "difference": { "base": { "computedUserset": { "relation": "viewer" } },
                "subtract": { "computedUserset": { "relation": "banned" } } } } },
          "metadata": { "relations": {
            "parent": { "directly_related_user_types": [{ "type": "folder" }] },
            "banned": { "directly_related_user_types": [{ "type": "user" }] },
            "viewer": { "directly_related_user_types": [{ "type": "user" }] } } } } ] });
    assert_eq!(
        connection.ask(&post(&format!("{path}/authorization-models"), "", &model.to_string())).status,
        201
    );
    path
}

/// A line of an import.
pub(super) fn line(object: &str, relation: &str, user: &str) -> String {
    json!({ "object": object, "relation": relation, "user": user }).to_string() + "\n"
}

pub(super) fn import(server: &Served, path: &str, lines: &str) {
    let mut connection = Connection::open(server);
    connection.send(&post(&format!("{path}/import"), "connection: close\r\n", lines));
    let told = connection.rest();
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("\"done\""), "{told}");
}

/// Writes many folders below one that a user is a viewer of.
pub(super) fn fill(server: &Served, path: &str, folders: usize) {
    let mut lines = line("folder:root", "viewer", "user:anne");
    (0..folders).for_each(|folder| lines += &line(&format!("folder:{folder:0>40}"), "parent", "folder:root"));
    import(server, path, &lines);
}

pub(super) const CHECK: &str =
    "{\"tuple_key\":{\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"folder:root\"}}";
