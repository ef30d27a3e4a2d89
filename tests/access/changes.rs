//! Who may call changes while the server runs.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::{Value, json};

use super::guarded::{Guarded, check, file};
use super::issuer::{Provider, SigningKey, now};

const BOSS: &str = "boss-0123456789abcdef";
const FIRST: &str = "first-0123456789abcdef";
const SECOND: &str = "second-0123456789abcdef";

/// Tables of keys, each in a file of its own name.
fn keys(of: &[(&str, &str)]) -> String {
    let key = |(name, right): &(&str, &str)| {
        format!(
            "[[keys]]\nname = \"{name}\"\nsecret_file = \"DIR/{name}\"\nstores = [\"*\"]\nrights = [\"{right}\"]\n"
        )
    };
    of.iter().map(key).collect()
}

const BOTH: [(&str, &str); 2] = [("boss", "all"), ("first", "check")];

struct World {
    guarded: Guarded,
    store: String,
}

impl World {
    fn start(settings: &str) -> World {
        let files = [("boss", BOSS), ("first", FIRST), ("second", SECOND)];
        let guarded = Guarded::start(settings, &files);
        let store = format!("/stores/{}", guarded.store(BOSS));
        World { guarded, store }
    }

    fn set(&self, settings: &str) {
        let dir = self.guarded.files.path();
        file(dir, "stonetown.toml", &settings.replace("DIR", dir.to_str().unwrap()));
    }

    fn status(&self, key: &str) -> u16 {
        self.guarded.send(Some(key), "POST", &format!("{}/check", self.store), &check()).status
    }

    /// Waits until a key is answered so; what is read anew is so within some seconds.
    #[track_caller]
    fn comes_to(&self, key: &str, status: u16) {
        for _ in 0..80 {
            if self.status(key) == status {
                return;
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        panic!("{key} is answered {} and not {status}", self.status(key));
    }

    /// What the metric of settings that could not be read anew is.
    fn is_stale(&self) -> String {
        let text = self.guarded.send(Some(BOSS), "GET", "/metrics", &Value::Null).granted().body;
        let name = "stonetown_settings_stale{of=\"access\"} ";
        let line = text.as_str().unwrap().lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().to_owned()
    }

    fn write(&self, user: &str) {
        let tuple = json!({ "user": user, "relation": "owner", "object": "doc:plan" });
        let body = json!({ "writes": { "tuple_keys": [tuple] } });
        self.guarded.send(Some(BOSS), "POST", &format!("{}/write", self.store), &body).granted();
    }

    /// The lines of a watch; so many that a watch that does not end fails a test, and does not hang it.
    fn watch(&self, shown: &str) -> impl Iterator<Item = String> + use<> {
        let url = format!("{}{}/watch?heartbeat_ms=200", self.guarded.url(), self.store);
        let watch = ureq::get(url).header("authorization", format!("Bearer {shown}")).call().unwrap();
        BufReader::new(watch.into_body().into_reader()).lines().map_while(Result::ok).take(400)
    }
}

#[test]
fn keys_are_added_changed_and_taken_away_without_a_restart() {
    let world = World::start(&keys(&BOTH));
    assert_eq!((world.status(FIRST), world.status(SECOND)), (200, 401));
    world.set(&keys(&[BOTH[0], ("second", "check")]));
    world.comes_to(SECOND, 200);
    assert_eq!(world.status(FIRST), 401, "a key that is taken away");
    world.set(&keys(&[BOTH[0], ("second", "read")]));
    world.comes_to(SECOND, 403);
    // A secret is changed in its own file.
    file(world.guarded.files.path(), "second", FIRST);
    world.comes_to(FIRST, 403);
    assert_eq!(world.status(SECOND), 401);
}

#[test]
fn what_is_wrong_or_lets_everybody_in_changes_nothing() {
    let world = World::start(&keys(&BOTH));
    assert_eq!(world.is_stale(), "0");
    for wrong in [
        "",
        "keys = 7\n",
        &keys(&[BOTH[0], ("second", "check")]).replace("[[keys]]", "[[key]]"),
        &keys(&[BOTH[0], ("second", "chek")]),
        &keys(&[BOTH[0], ("nowhere", "check")]),
        &keys(&[BOTH[0], BOTH[0]]),
    ] {
        world.set(wrong);
        std::thread::sleep(Duration::from_secs(6));
        assert_eq!((world.status(FIRST), world.status(SECOND), world.status("")), (200, 401, 401), "{wrong}");
        assert_eq!(world.is_stale(), "1", "{wrong}");
    }
    // And it goes on being looked at.
    world.set(&keys(&[BOTH[0], ("second", "check")]));
    world.comes_to(SECOND, 200);
    assert_eq!(world.is_stale(), "0");
}

#[test]
fn what_could_not_be_read_is_tried_again_although_nothing_names_it_anew() {
    let world = World::start(&keys(&BOTH));
    // A key is taken away, and another one added whose file comes later.
    world.set(&keys(&[BOTH[0], ("later", "check")]));
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!((world.status(FIRST), world.is_stale()), (200, "1".to_owned()));
    file(world.guarded.files.path(), "later", SECOND);
    world.comes_to(FIRST, 401);
    assert_eq!((world.status(SECOND), world.is_stale()), (200, "0".to_owned()));
}

#[test]
fn the_admin_of_the_file_of_settings_is_taken_away_with_their_line() {
    let world = World::start(&format!("admin_key_file = \"DIR/second\"\n{}", keys(&BOTH)));
    assert_eq!(world.status(SECOND), 200);
    world.set(&keys(&BOTH));
    world.comes_to(SECOND, 401);
    world.set(&format!("admin_key_file = \"DIR/second\"\n{}", keys(&BOTH[..1])));
    world.comes_to(SECOND, 200);
    assert_eq!(world.status(FIRST), 401);
}

/// A server that was started while an issuer did not answer was never ready again, once anything had been read anew.
#[test]
fn an_issuer_is_asked_again_also_when_something_was_read_anew_meanwhile() {
    let key = SigningKey::elliptic("one");
    let provider = Provider::start(&[&key]);
    provider.set_broken(true);
    let issuer = provider.settings("check");
    let world = World::start(&format!("{}{issuer}", keys(&BOTH)));
    let ready = || world.guarded.send(None, "GET", "/readyz", &Value::Null).status;
    world.set(&format!("{}{issuer}", keys(&[BOTH[0], ("second", "check")])));
    world.comes_to(SECOND, 200);
    assert_eq!(ready(), 503);
    provider.set_broken(false);
    for _ in 0..80 {
        if ready() == 200 {
            return;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    panic!("it is not ready, although its issuer answers");
}

#[test]
fn issuers_come_and_go_and_keep_their_keys() {
    let key = SigningKey::elliptic("one");
    let provider = Provider::start(&[&key]);
    let issuer = |right| provider.settings(right);
    let boss = keys(&BOTH[..1]);
    let world = World::start(&boss);
    let token = key.sign(&provider.claims("anne"));
    assert_eq!(world.status(&token), 401);
    world.set(&format!("{boss}{}", issuer("check")));
    world.comes_to(&token, 200);
    // Under other grants it is the same issuer: it need not be asked again.
    provider.set_broken(true);
    world.set(&format!("{boss}{}", issuer("read")));
    world.comes_to(&token, 403);
    assert_eq!(world.guarded.send(None, "GET", "/readyz", &Value::Null).status, 200);
    world.set(&boss);
    world.comes_to(&token, 401);
}

#[test]
fn a_watch_ends_when_its_key_is_taken_away() {
    let world = World::start(&keys(&[BOTH[0], ("first", "read"), ("second", "check")]));
    let mut lines = world.watch(FIRST);
    world.write("user:ben");
    assert!(lines.any(|line| line.contains("user:ben")));
    world.set(&keys(&[BOTH[0], ("second", "check")]));
    world.comes_to(FIRST, 401);
    world.write("user:eve");
    let rest: Vec<String> = lines.collect();
    assert!(!rest.iter().any(|line| line.contains("user:eve")), "{rest:?}");
    let end = rest.iter().position(|line| line == "event: error").unwrap();
    assert!(rest[end + 1].starts_with("data: "), "{rest:?}");
}

#[test]
fn a_watch_ends_with_its_token() {
    let key = SigningKey::elliptic("one");
    let provider = Provider::start(&[&key]);
    let world = World::start(&format!("{}{}", keys(&BOTH[..1]), provider.settings("read")));
    let mut claims = provider.claims("anne");
    // Within what clocks may be off by, it goes on holding for 30 seconds.
    claims["exp"] = json!(now() - 26);
    let lines: Vec<String> = world.watch(&key.sign(&claims)).collect();
    assert!(lines.iter().any(|line| line == "event: heartbeat"), "{lines:?}");
    let end = lines.iter().position(|line| line == "event: error").unwrap();
    assert_eq!(lines[end + 1], "data: \"the token has ended\"");
}
