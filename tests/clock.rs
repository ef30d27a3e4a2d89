//! A wall clock that is set back, or ahead and back, under a running server: times of commits only grow, now never goes
//! backwards, what was answered is answered again, and nothing is dropped because of a clock that was wrong for a while.
//!
//! The clock is made wrong by a library in C (`clock/shim.c`) that is preloaded into the server; the wall clock of the
//! machine is left alone, and so are clocks that nobody can set.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod support;

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use stonetown::tuple::Timestamp;
use support::Served;
use support::client::{Answer, Client, key};
use support::preload::compile;
use tempfile::TempDir;

const SCHEMA: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user]
    define reader: viewer
";
const HOUR: i64 = 3_600;
const YEARS: i64 = 10 * 365 * 24 * HOUR;

/// A server whose clock can be set.
struct Clocked {
    server: Option<Served>,
    client: Client,
    beside: TempDir,
}

impl Clocked {
    fn start() -> Result<Clocked> {
        let beside = tempfile::tempdir()?;
        compile("clock/shim.c", &beside.path().join("shim.so"))?;
        set(&beside, 0)?;
        let server = serve(tempfile::tempdir()?, &beside);
        let client = Client::new(&server.url, SCHEMA);
        Ok(Clocked { server: Some(server), client, beside })
    }

    /// Sets the clock so many seconds ahead of the machine's, or behind.
    fn set(&self, seconds: i64) -> Result<()> {
        set(&self.beside, seconds)
    }

    fn restart(&mut self) -> Result<()> {
        let (ended_well, dir) = self.server.take().context("a server")?.stop();
        ensure!(ended_well);
        let server = serve(dir, &self.beside);
        self.client = Client::of(&server.url, &self.client.store);
        self.server = Some(server);
        Ok(())
    }

    /// Now, as the server has it: it says so to who asks about the future.
    fn now(&self) -> Result<Timestamp> {
        let question = json!({ "tuple_key": key("doc:0 reader user:nobody") });
        let answer = self.client.post_with("check", &question, &[("stonetown-at", "9990-01-01T00:00:00Z")]);
        let text = answer.body["message"].as_str().unwrap_or_default();
        let (_, now) = text.split_once("it is ").with_context(|| format!("{answer:?}"))?;
        Ok(now.trim().parse()?)
    }

    fn allows_at(&self, tuple: &str, at: &str) -> Result<bool> {
        let answer = self.check_at(tuple, at);
        answer.body["allowed"].as_bool().with_context(|| format!("{answer:?}"))
    }

    fn check_at(&self, tuple: &str, at: &str) -> Answer {
        self.client.post_with("check", &json!({ "tuple_key": key(tuple) }), &[("stonetown-at", at)])
    }

    /// Writes a tuple: its token.
    fn write(&self, tuple: &str) -> String {
        token(&self.client.write(&[tuple]))
    }

    fn write_until(&self, tuple: &str, end: Timestamp) {
        let mut key = key(tuple);
        key["expires_at"] = json!(end.to_string());
        self.client.write_keys(vec![key]).granted();
    }

    fn collect(&self) -> Value {
        self.client.post("collect", &json!({})).granted().body
    }

    /// The times of all changes, in the order of the log.
    fn times(&self) -> Result<Vec<Timestamp>> {
        let (mut times, mut token) = (Vec::new(), String::new());
        loop {
            let page =
                self.client.get(&format!("changes?page_size=100&continuation_token={token}")).granted();
            let changes = page.body["changes"].as_array().unwrap().clone();
            if changes.is_empty() {
                return Ok(times);
            }
            for change in changes {
                times.push(change["timestamp"].as_str().unwrap().parse()?);
            }
            token = page.body["continuation_token"].as_str().unwrap().to_owned();
        }
    }

    fn validate(&self) -> Result<()> {
        let seen = self.client.send("POST", "/validate", &Value::Null, &[]).granted();
        ensure!(seen.body["findings_total"] == 0, "{}", seen.body);
        Ok(())
    }
}

fn set(beside: &TempDir, seconds: i64) -> Result<()> {
    // In place, since it is mapped.
    let file = File::options().create(true).write(true).truncate(false).open(beside.path().join("clock"))?;
    Ok(file.write_all_at(&seconds.to_ne_bytes(), 0)?)
}

fn serve(dir: TempDir, beside: &TempDir) -> Served {
    let environment: [(&str, OsString); 2] = [
        ("LD_PRELOAD", beside.path().join("shim.so").into()),
        ("SHIM_CLOCK", beside.path().join("clock").into()),
    ];
    let environment = environment.iter().map(|(name, value)| (*name, value.as_os_str()));
    // Collected when a test says so.
    Served::within(dir, &["--collect-every", "never"], environment)
}

fn token(answer: &Answer) -> String {
    answer.header("stonetown-token").unwrap().to_owned()
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_micros(time.as_micros() + seconds * 1_000_000)
}

#[test]
fn the_clock_of_the_server_is_the_one_that_is_set() -> Result<()> {
    let clocked = Clocked::start()?;
    let real = Timestamp::wall_clock();
    ensure!(clocked.now()? < later(real, HOUR));
    clocked.set(YEARS)?;
    ensure!(clocked.now()? > later(real, YEARS - HOUR), "the library is not loaded");
    Ok(())
}

#[test]
fn times_of_commits_grow_and_now_never_goes_backwards() -> Result<()> {
    let mut clocked = Clocked::start()?;
    let mut last = clocked.now()?;
    let steps = [0, -HOUR, HOUR, -YEARS, 2 * HOUR, 1, -1, YEARS, 0, -YEARS, YEARS + HOUR, -HOUR];
    for (number, &seconds) in steps.iter().enumerate() {
        clocked.set(seconds)?;
        for part in 0..3 {
            clocked.write(&format!("doc:{number}-{part} viewer user:anne"));
            let now = clocked.now()?;
            ensure!(now >= last, "now was {last}, and is {now} with the clock at {seconds}");
            last = now;
        }
        // A server that is started with that clock: no commit is behind the ones before it.
        if number % 4 == 3 {
            clocked.restart()?;
            let newest = clocked.times()?.pop().context("a change")?;
            last = clocked.now()?;
            ensure!(last >= newest, "now is {last}, and the last commit was at {newest}");
        }
    }
    let times = clocked.times()?;
    ensure!(times.len() == 3 * steps.len() && times.is_sorted_by(|one, next| one < next), "{times:?}");
    ensure!(clocked.client.objects("doc", "reader", "user:anne").len() == times.len());
    clocked.validate()
}

#[test]
fn an_end_is_decided_by_a_now_that_never_goes_backwards() -> Result<()> {
    let mut clocked = Clocked::start()?;
    let begun = clocked.now()?;
    clocked.write_until("doc:soon viewer user:anne", later(begun, HOUR / 2));
    clocked.write_until("doc:late viewer user:anne", later(begun, 3 * HOUR));
    let allows = |clocked: &Clocked| {
        ["soon", "late"].map(|doc| clocked.client.allows(&format!("doc:{doc} reader user:anne")))
    };
    ensure!(allows(&clocked) == [true, true]);
    // Set back, it ends no earlier, and is no less there.
    clocked.set(-HOUR)?;
    ensure!(allows(&clocked) == [true, true]);
    clocked.set(HOUR)?;
    ensure!(allows(&clocked) == [false, true]);
    // What has ended does not begin again.
    for seconds in [0, -HOUR, -YEARS] {
        clocked.set(seconds)?;
        ensure!(allows(&clocked) == [false, true], "at {seconds}");
        ensure!(clocked.client.objects("doc", "reader", "user:anne") == ["doc:late"]);
    }
    // Nothing was committed in the wrong hour: a server that begins with the right clock knows nothing of it.
    clocked.set(0)?;
    clocked.restart()?;
    ensure!(allows(&clocked) == [true, true]);
    // But a commit in it has a time, and no later server goes back behind that.
    clocked.set(HOUR)?;
    clocked.write("doc:other viewer user:anne");
    clocked.set(0)?;
    clocked.restart()?;
    ensure!(allows(&clocked) == [false, true]);
    Ok(())
}

#[test]
fn the_past_is_what_it_was() -> Result<()> {
    let mut clocked = Clocked::start()?;
    let first = clocked.write("doc:1 viewer user:anne");
    let between = clocked.now()?.to_string();
    clocked.client.delete(&["doc:1 viewer user:anne"]);
    let after = clocked.now()?.to_string();
    let last = clocked.write("doc:2 viewer user:anne");
    let look = |clocked: &Clocked, doing: &str| -> Result<()> {
        for (tuple, at, expected) in [
            ("doc:1 reader user:anne", &between, true),
            ("doc:1 reader user:anne", &first, true),
            ("doc:1 reader user:anne", &after, false),
            ("doc:2 reader user:anne", &after, false),
            ("doc:2 reader user:anne", &last, true),
        ] {
            let found = clocked.allows_at(tuple, at).with_context(|| format!("{tuple} at {at}, {doing}"))?;
            ensure!(found == expected, "{tuple} at {at}: {found}, {doing}");
        }
        // Tokens of one's own writes stay what they are.
        let fresh = clocked.client.post_with(
            "check",
            &json!({ "tuple_key": key("doc:2 reader user:anne") }),
            &[("stonetown-at-least", &last)],
        );
        ensure!(fresh.granted().body["allowed"] == true, "{doing}");
        Ok(())
    };
    for seconds in [0, -HOUR, -YEARS, YEARS, HOUR, -YEARS] {
        clocked.set(seconds)?;
        look(&clocked, &format!("at {seconds}"))?;
    }
    for seconds in [-YEARS, -HOUR, 0] {
        clocked.set(seconds)?;
        clocked.restart()?;
        look(&clocked, &format!("restarted at {seconds}"))?;
    }
    // The future is none, whatever the clock said; what it has said has been.
    clocked.set(HOUR)?;
    let reached = clocked.now()?;
    clocked.set(0)?;
    ensure!(clocked.allows_at("doc:2 reader user:anne", &reached.to_string())?);
    ensure!(clocked.check_at("doc:2 reader user:anne", &later(reached, HOUR).to_string()).status == 400);
    Ok(())
}

#[test]
fn a_key_of_a_write_is_known_as_long_as_the_server_sees_an_hour() -> Result<()> {
    let clocked = Clocked::start()?;
    let write = |tuple: &str, name: &str| {
        let body = json!({ "writes": { "tuple_keys": [key(tuple)] } });
        clocked.client.post_with("write", &body, &[("idempotency-key", name)])
    };
    let first = token(&write("doc:1 viewer user:anne", "one").granted());
    // Set back, it is not forgotten, nor taken for one of the future.
    for seconds in [-HOUR, -YEARS, 0] {
        clocked.set(seconds)?;
        ensure!(token(&write("doc:1 viewer user:anne", "one").granted()) == first, "at {seconds}");
    }
    // Ahead by more than its hour it is: the write is another one, which the tuple that is there refuses.
    clocked.set(2 * HOUR)?;
    ensure!(write("doc:1 viewer user:anne", "one").refused() == "write_failed_due_to_invalid_input");
    let second = token(&write("doc:2 viewer user:anne", "one").granted());
    clocked.set(0)?;
    ensure!(token(&write("doc:2 viewer user:anne", "one").granted()) == second);
    Ok(())
}

#[test]
fn a_clock_that_is_ahead_for_a_while_costs_no_past() -> Result<()> {
    let mut clocked = Clocked::start()?;
    let first = clocked.write("doc:1 viewer user:anne");
    clocked.client.delete(&["doc:1 viewer user:anne"]);
    clocked.write_until("doc:soon viewer user:anne", later(clocked.now()?, HOUR));
    clocked.write("doc:2 viewer user:anne");
    let before = clocked.times()?;
    // Thirty days are kept, so by that clock all of the past could go, and what ends in an hour has ended.
    clocked.set(YEARS)?;
    ensure!(!clocked.client.allows("doc:soon reader user:anne"));
    let collected = clocked.collect();
    ensure!(
        collected["history"] == 0 && collected["changes"] == 0 && collected["expired"] == 0,
        "{collected}"
    );
    ensure!(clocked.allows_at("doc:1 reader user:anne", &first)?);
    clocked.set(0)?;
    let collected = clocked.collect();
    ensure!(collected["history"] == 0 && collected["expired"] == 0, "{collected}");
    ensure!(clocked.times()? == before);
    clocked.restart()?;
    // Nothing was written meanwhile, so all is as it was.
    ensure!(clocked.client.allows("doc:soon reader user:anne"));
    ensure!(clocked.allows_at("doc:1 reader user:anne", &first)?);
    clocked.set(-YEARS)?;
    ensure!(clocked.collect()["history"] == 0);
    ensure!(clocked.client.allows("doc:soon reader user:anne"));
    clocked.validate()
}

#[test]
fn who_asks_for_it_has_the_past_collected_whatever_the_clock() -> Result<()> {
    let clocked = Clocked::start()?;
    let first = clocked.write("doc:1 viewer user:anne");
    clocked.client.delete(&["doc:1 viewer user:anne"]);
    clocked.write("doc:2 viewer user:anne");
    clocked.set(YEARS)?;
    let collected =
        clocked.client.post("collect", &json!({ "before": clocked.now()?.to_string() })).granted().body;
    ensure!(collected["history"].as_u64() > Some(0), "{collected}");
    clocked.set(0)?;
    ensure!(clocked.check_at("doc:1 reader user:anne", &first).status == 400);
    ensure!(clocked.client.allows("doc:2 reader user:anne"));
    clocked.validate()
}

#[test]
fn a_server_that_begins_with_a_clock_far_ahead_drops_what_that_clock_lets_it() -> Result<()> {
    // There is nothing to tell it by: documented, not hoped for.
    let mut clocked = Clocked::start()?;
    let first = clocked.write("doc:1 viewer user:anne");
    clocked.client.delete(&["doc:1 viewer user:anne"]);
    let last = clocked.write("doc:2 viewer user:anne");
    clocked.set(YEARS)?;
    clocked.restart()?;
    let collected = clocked.collect();
    ensure!(collected["history"].as_u64() > Some(0), "{collected}");
    clocked.set(0)?;
    clocked.restart()?;
    // The present is untouched, the past is a typed error, and the state of the last write is still the present one.
    ensure!(
        clocked.client.allows("doc:2 reader user:anne") && !clocked.client.allows("doc:1 reader user:anne")
    );
    let gone = clocked.check_at("doc:1 reader user:anne", &first);
    ensure!(
        gone.status == 400
            && gone.body["message"].as_str().is_some_and(|text| text.contains("no longer kept")),
        "{gone:?}"
    );
    ensure!(clocked.allows_at("doc:2 reader user:anne", &last)?);
    clocked.write("doc:3 viewer user:anne");
    clocked.validate()
}
