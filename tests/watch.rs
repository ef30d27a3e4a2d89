//! Watching: every watcher sees exactly the change log, whatever happens to it meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::io::{BufRead, BufReader};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use support::Served;

const MODEL: &str = r#"{"schema_version":"1.1","type_definitions":[
    {"type":"user"},
    {"type":"doc","relations":{"viewer":{"this":{}}},
     "metadata":{"relations":{"viewer":{"directly_related_user_types":[{"type":"user"}]}}}},
    {"type":"folder","relations":{"viewer":{"this":{}}},
     "metadata":{"relations":{"viewer":{"directly_related_user_types":[{"type":"user"}]}}}}]}"#;

const WRITERS: usize = 4;
const WRITES: usize = 150;
const KILLS: usize = 50;

struct Store {
    /// Of the store, at the server.
    url: String,
}

impl Store {
    fn create(server: &Served) -> Store {
        let post = |url: &str, body: &Value| -> Value {
            ureq::post(url).send_json(body).unwrap().body_mut().read_json().unwrap()
        };
        let store = post(&format!("{}/stores", server.url), &json!({ "name": "watched" }));
        let url = format!("{}/stores/{}", server.url, store["id"].as_str().unwrap());
        post(&format!("{url}/authorization-models"), &serde_json::from_str(MODEL).unwrap());
        Store { url }
    }

    fn write(&self, writes: &[Value], deletes: &[Value]) {
        let mut body = json!({});
        if !writes.is_empty() {
            body["writes"] = json!({ "tuple_keys": writes, "on_duplicate": "replace" });
        }
        if !deletes.is_empty() {
            body["deletes"] = json!({ "tuple_keys": deletes, "on_missing": "ignore" });
        }
        ureq::post(format!("{}/write", self.url)).send_json(&body).unwrap();
    }

    /// The whole change log.
    fn log(&self) -> Vec<Value> {
        let mut changes = Vec::new();
        let mut token = String::new();
        loop {
            let url = format!("{}/changes?page_size=100&continuation_token={token}", self.url);
            let page: Value = ureq::get(url).call().unwrap().body_mut().read_json().unwrap();
            let found = page["changes"].as_array().unwrap();
            if found.is_empty() {
                return changes;
            }
            changes.extend(found.iter().cloned());
            token = page["continuation_token"].as_str().unwrap().to_owned();
        }
    }

    fn watch(&self, query: &str) -> Watch {
        let response = ureq::get(format!("{}/watch?{query}", self.url)).call().unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Watch { lines: Box::new(BufReader::new(response.into_body().into_reader())) }
    }
}

struct Watch {
    lines: Box<dyn BufRead + Send>,
}

/// An event: its kind, its id, its data.
struct Event {
    kind: String,
    id: String,
    data: Value,
}

impl Iterator for Watch {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = Event { kind: String::new(), id: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", kind)) => event.kind = kind.to_owned(),
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                Some(_) => {}
                None => return Some(event),
            }
        }
    }
}

fn tuple(object: &str, user: &str) -> Value {
    json!({ "object": object, "relation": "viewer", "user": user })
}

/// The changes of a watch, up to the one that ends the test.
fn until_the_end(watch: impl Iterator<Item = Event>) -> Vec<Value> {
    let mut seen = Vec::new();
    for event in watch.filter(|event| event.kind == "change") {
        let is_last = event.data["tuple_key"]["object"] == json!("doc:end");
        seen.push(event.data);
        if is_last {
            return seen;
        }
    }
    panic!("the watch ended after {} changes", seen.len());
}

#[test]
fn every_watcher_sees_exactly_the_change_log() {
    let server = Served::start();
    let store = Store::create(&server);
    store.write(&[tuple("doc:begin", "user:anne")], &[]);
    let (quick, slow, killed, typed) = std::thread::scope(|scope| {
        let store = &store;
        let quick = scope.spawn(move || until_the_end(store.watch("after=oldest")));
        let slow = scope.spawn(move || {
            let pause = |event| {
                std::thread::sleep(Duration::from_millis(1));
                event
            };
            until_the_end(store.watch("after=oldest").map(pause))
        });
        let killed = scope.spawn(move || {
            let mut random = SmallRng::seed_from_u64(1);
            let mut seen = Vec::new();
            let mut last = "oldest".to_owned();
            for _ in 0..KILLS {
                let few = random.random_range(0..30);
                for event in store.watch(&format!("after={last}&heartbeat_ms=50")).take(few) {
                    last = event.id;
                    seen.extend((event.kind == "change").then_some(event.data));
                }
            }
            let ended = seen.last().is_some_and(|change| change["tuple_key"]["object"] == json!("doc:end"));
            if !ended {
                seen.extend(until_the_end(store.watch(&format!("after={last}"))));
            }
            seen
        });
        let typed = scope.spawn(move || {
            // Of its type, the last change is the one before the end.
            let mut seen = Vec::new();
            for event in store.watch("after=oldest&type=folder") {
                seen.extend((event.kind == "change").then_some(event.data));
                if seen.last().is_some_and(|change| change["tuple_key"]["object"] == json!("folder:end")) {
                    break;
                }
            }
            seen
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let mut random = SmallRng::seed_from_u64(writer as u64);
                    for _ in 0..WRITES {
                        let mut some = |count: usize| -> Vec<Value> {
                            let mut objects: Vec<usize> = (0..random.random_range(0..=count))
                                .map(|_| random.random_range(0..40))
                                .collect();
                            objects.sort_unstable();
                            objects.dedup();
                            let kind =
                                |object: usize| if object.is_multiple_of(3) { "folder" } else { "doc" };
                            let user = format!("user:{writer}");
                            objects.iter().map(|&it| tuple(&format!("{}:{it}", kind(it)), &user)).collect()
                        };
                        let writes = some(4);
                        let mut deletes = some(2);
                        deletes.retain(|tuple| !writes.contains(tuple));
                        if writes.len() + deletes.len() > 0 {
                            store.write(&writes, &deletes);
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        store.write(&[tuple("folder:end", "user:anne"), tuple("doc:end", "user:anne")], &[]);
        (quick.join().unwrap(), slow.join().unwrap(), killed.join().unwrap(), typed.join().unwrap())
    });
    let mut log = store.log();
    println!("{} changes", log.len());
    assert!(log.len() > WRITERS * WRITES);
    // Both ends of the test stand in one revision, in either order.
    let end = log.iter().position(|change| change["tuple_key"]["object"] == json!("doc:end")).unwrap();
    let of_type: Vec<Value> = log
        .iter()
        .filter(|it| it["tuple_key"]["object"].as_str().unwrap().starts_with("folder:"))
        .cloned()
        .collect();
    log.truncate(end + 1);
    assert_eq!(quick, log, "the quick one");
    assert_eq!(slow, log, "the slow one");
    assert_eq!(killed, log, "the killed one");
    assert_eq!(typed, of_type, "the one that wants folders only");
}

#[test]
fn a_watch_begins_now_or_at_a_state_and_ends_with_the_server() {
    let server = Served::start();
    let store = Store::create(&server);
    let written = ureq::post(format!("{}/write", store.url))
        .send_json(json!({ "writes": { "tuple_keys": [tuple("doc:1", "user:anne")] } }))
        .unwrap();
    let state = written.headers()["stonetown-token"].to_str().unwrap().to_owned();
    store.write(&[tuple("doc:2", "user:anne")], &[]);
    let mut now = store.watch("heartbeat_ms=20");
    let mut since = store.watch(&format!("after={state}"));
    assert_eq!(now.next().unwrap().kind, "heartbeat");
    assert_eq!(now.next().unwrap().kind, "heartbeat", "again and again");
    store.write(&[tuple("doc:3", "user:anne")], &[]);
    let next = |watch: &mut Watch| watch.find(|event| event.kind == "change").unwrap().data;
    assert_eq!(next(&mut now)["tuple_key"]["object"], json!("doc:3"));
    assert_eq!(next(&mut since)["tuple_key"]["object"], json!("doc:2"));
    assert_eq!(next(&mut since)["tuple_key"]["object"], json!("doc:3"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for wrong in ["after=nonsense", "after=AAAA", "type=a%20b", "heartbeat_ms=1"] {
        let refused = agent.get(format!("{}/watch?{wrong}", store.url)).call().unwrap();
        assert_eq!(refused.status().as_u16(), 400, "{wrong}");
    }
    let (ended_well, _dir) = server.stop();
    assert!(ended_well);
    assert!(now.all(|event| event.kind == "heartbeat"), "and then the watch ends");
}

/// Each write to the store began the wait for the next heartbeat anew, so that a watch of a quiet type in a busy store had none.
#[test]
fn a_watch_of_a_quiet_type_has_heartbeats_in_a_busy_store() {
    let server = Served::start();
    let store = Store::create(&server);
    let has_ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..10_000 {
                if has_ended.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                store.write(&[tuple(&format!("doc:{number}"), "user:anne")], &[]);
            }
            panic!("there was no heartbeat beside 10,000 writes");
        });
        let ids: Vec<String> =
            store.watch("type=folder&heartbeat_ms=500").map(|event| event.id).take(4).collect();
        has_ended.store(true, std::sync::atomic::Ordering::Relaxed);
        // Each leads behind what was passed over.
        assert!(ids.len() == 4 && ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
    });
}

#[test]
fn the_command_prints_what_changes_prints_as_it_is_made() {
    let server = Served::start();
    let store = Store::create(&server);
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.args(arguments).args(["--url", &server.url]).env_remove("STONETOWN_DATA");
        command
    };
    store.write(&[tuple("doc:1", "user:anne")], &[]);
    let watching = run(&["watch", "--after", "oldest", "--limit", "4"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    for number in 2..5 {
        store.write(&[tuple(&format!("folder:{number}"), "user:anne")], &[]);
    }
    let watched = watching.wait_with_output().unwrap();
    let log = run(&["changes", "--limit", "4"]).output().unwrap();
    assert_eq!(watched.status.code(), Some(0));
    assert_eq!(String::from_utf8(watched.stdout).unwrap(), String::from_utf8(log.stdout).unwrap());
    let typed = run(&["watch", "--after", "oldest", "--type", "folder", "--limit", "3", "--format", "json"]);
    let typed = String::from_utf8({ typed }.output().unwrap().stdout).unwrap();
    assert_eq!(typed.lines().count(), 3);
    assert!(typed.lines().all(|line| line.contains("\"object\":\"folder:")), "{typed}");
    // Not of a directory that the command has to itself: nothing would ever come.
    let dir = tempfile::tempdir().unwrap();
    let local = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.args(arguments).arg("--data").arg(dir.path()).env_remove("STONETOWN_URL").output().unwrap()
    };
    assert!(local(&["store", "create", "--name", "alone"]).status.success());
    let refused = local(&["watch"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("watch a server"));
}

/// What a slow watcher has not been sent is not collected; what one comes back to too late is an error, not a gap.
#[test]
fn collection_waits_for_watchers_and_tells_those_who_come_too_late() {
    let server = Served::start();
    let store = Store::create(&server);
    let slow = store.watch("after=oldest");
    let mut first = store.watch("after=oldest");
    // More than the buffers between the server and a client hold.
    let many: Vec<Value> =
        (0..100).map(|n| tuple(&format!("doc:{n}"), &format!("user:{}", "x".repeat(400)))).collect();
    for _ in 0..100 {
        store.write(&many, &[]);
        store.write(&[], &many);
    }
    let early = first.find(|event| event.kind == "change").unwrap().id;
    drop(first);
    store.write(&[tuple("doc:end", "user:anne")], &[]);
    let post = |verb: &str, body: Value| -> Value {
        ureq::post(format!("{}/{verb}", store.url)).send_json(body).unwrap().body_mut().read_json().unwrap()
    };
    let put = ureq::put(format!("{}/retention", store.url));
    put.send_json(json!({ "retention": "0s" })).unwrap();
    let collected = post("collect", json!({}));
    let head = 100 * 2 + 3;
    assert!(collected["oldest_revision"].as_u64().unwrap() < head, "held: {collected}");
    assert_eq!(until_the_end(slow).len(), 100 * 100 * 2 + 1);
    // Nobody holds anything any longer, once the server has seen that.
    let collected = || post("collect", json!({}))["oldest_revision"].as_u64().unwrap();
    while collected() < head {
        std::thread::sleep(Duration::from_millis(5));
    }
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut refused = agent.get(format!("{}/watch?after={early}", store.url)).call().unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    let told = refused.body_mut().read_to_string().unwrap();
    assert!(told.contains(&format!("kept behind revision {head} of")), "{told}");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stonetown"));
    command.args(["watch", "--after", &early, "--url", &server.url]).env_remove("STONETOWN_DATA");
    let ended = command.output().unwrap();
    assert_eq!(ended.status.code(), Some(3));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("kept behind revision"));
    // A purge is told to everybody, whatever type they want to hear of.
    let mut watch = store.watch("type=folder&heartbeat_ms=60000");
    assert_eq!(watch.next().unwrap().kind, "heartbeat");
    post("purge", json!({ "object": "user:anne" }));
    let event = watch.next().unwrap();
    assert_eq!(
        (&*event.kind, &event.data["kind"], event.data.get("tuple_key")),
        ("purge", &json!("purged"), None)
    );
}

/// A store that is begun again under its id has another log: whoever watched the former one was led on in the new one, behind
/// its first changes.
#[test]
fn a_watch_ends_with_its_store() {
    let server = Served::start();
    let store = Store::create(&server);
    for number in 0..5 {
        store.write(&[tuple(&format!("doc:{number}"), "user:anne")], &[]);
    }
    let mut watch = store.watch("after=oldest&heartbeat_ms=50");
    assert_eq!(watch.by_ref().filter(|event| event.kind == "change").take(5).count(), 5);
    ureq::delete(&store.url).call().unwrap();
    ureq::post(format!("{}/authorization-models", store.url))
        .send_json(serde_json::from_str::<Value>(MODEL).unwrap())
        .unwrap();
    for number in 0..8 {
        store.write(&[tuple(&format!("doc:new{number}"), "user:anne")], &[]);
    }
    let last = watch.find(|event| event.kind != "heartbeat").unwrap();
    assert_eq!(last.kind, "error", "{}", last.data);
    assert!(watch.next().is_none());
}
