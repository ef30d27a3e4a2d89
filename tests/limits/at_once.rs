use super::connection::{CHECK, Connection, fill, get, post, serve};

const STREAM: &str = "{\"type\":\"folder\",\"relation\":\"viewer\",\"user\":\"user:anne\"}";

/// As many as fill what waits between server and client.
const FOLDERS: usize = 150_000;

/// A client takes the beginning of an answer and no more, which leaves the server with the rest. Further requests of the class are turned
/// away; all others, and those after it has gone, are answered.
fn a_slow_client_takes_the_room(
    option: &str,
    slow: &dyn Fn(&str) -> String,
    further: &dyn Fn(&str) -> String,
) {
    let (server, path) = serve(&[option, "1"]);
    fill(&server, &path, FOLDERS);
    let mut slow_one = Connection::open(&server);
    slow_one.send(&slow(&path));
    assert!(slow_one.begin().starts_with("HTTP/1.1 200"));
    let mut other = Connection::open(&server);
    let answer = other.ask(&further(&path));
    assert!(answer.is_turned_away(), "{answer:?}");
    assert_eq!(other.ask(&post(&format!("{path}/check"), "", CHECK)).json()["allowed"], true);
    let write = "{\"writes\":{\"tuple_keys\":[{\"user\":\"user:bob\",\"relation\":\"viewer\",\"object\":\"folder:x\"}]}}";
    assert_eq!(other.ask(&post(&format!("{path}/write"), "", write)).status, 200);
    let list = "{\"type\":\"folder\",\"relation\":\"viewer\",\"user\":\"user:bob\"}";
    assert_eq!(other.ask(&post(&format!("{path}/list-objects"), "", list)).json()["objects"][0], "folder:x");
    drop(slow_one);
    // The server finds out when it sends on.
    let mut again = Connection::open(&server);
    again.send(&further(&path));
    while again.begin().starts_with("HTTP/1.1 429") {
        again = Connection::open(&server);
        again.send(&further(&path));
    }
}

#[test]
fn streamed_lists_have_room_of_their_own() {
    let stream = |path: &str| post(&format!("{path}/streamed-list-objects"), "", STREAM);
    let (server, path) = serve(&["--streams-at-once", "1"]);
    fill(&server, &path, FOLDERS);
    let mut slow = Connection::open(&server);
    slow.send(&stream(&path));
    assert!(slow.begin().starts_with("HTTP/1.1 200"));
    let mut other = Connection::open(&server);
    other.send(&stream(&path));
    let told = other.begin();
    assert!(told.starts_with("HTTP/1.1 429"), "{told}");
    let check = Connection::open(&server).ask(&post(&format!("{path}/check"), "", CHECK));
    assert_eq!(check.json()["allowed"], true);
}

#[test]
fn exports_have_room_of_their_own() {
    let export = |path: &str| post(&format!("{path}/export"), "", "");
    a_slow_client_takes_the_room("--bulk-at-once", &export, &export);
}

#[test]
fn analyses_have_room_of_their_own() {
    let diff = |path: &str| {
        let body = "{\"deletes\":{\"tuple_keys\":[{\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"folder:root\"}]}}";
        post(&format!("{path}/access-diff"), "", body)
    };
    let explain = |path: &str| post(&format!("{path}/explain"), "", CHECK);
    a_slow_client_takes_the_room("--analyses-at-once", &diff, &explain);
}

#[test]
fn watches_have_room_of_their_own() {
    let (server, path) = serve(&["--watches-max", "1"]);
    let watch = get(&format!("{path}/watch"));
    let mut first = Connection::open(&server);
    first.send(&watch);
    assert!(first.begin().starts_with("HTTP/1.1 200"));
    let mut other = Connection::open(&server);
    assert!(other.ask(&watch).is_turned_away());
    assert_eq!(other.ask(&post(&format!("{path}/check"), "", CHECK)).json()["allowed"], false);
    drop(first);
    let mut again = Connection::open(&server);
    again.send(&watch);
    while again.begin().starts_with("HTTP/1.1 429") {
        again = Connection::open(&server);
        again.send(&watch);
    }
}
