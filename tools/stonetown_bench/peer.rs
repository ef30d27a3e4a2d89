//! Another server that speaks OpenFGA's API, beside ours: the same store made through HTTP on both, the same questions,
//! their answers compared one by one, then the rates of both in turns.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::bench::{Bench, Serving, agent, create_store};
use crate::check::{Batches, Bodies, Checks, alternate};
use crate::http::{self, Response};
use crate::load::{Load, Questions, Verdict};
use crate::process::address_of;
use crate::report::Line;
use crate::world::{Question, Subject, World, schema_json};

/// Tuples, when no other number is asked for: what a write of a hundred at a time has there in a minute or two.
const TUPLES: u64 = 108_000;
/// Tuples of a write: as many as every server takes.
const WRITE_TUPLES: usize = 100;
/// Different questions.
const DISTINCT: u64 = 100_000;
/// Questions whose answers are compared one by one.
const COMPARED: u64 = 20_000;
/// Lists that are compared, and then asked for again and again.
const LISTS: u64 = 200;

/// Both servers with the same data.
pub(crate) struct Pair {
    ours: Serving,
    peer: Side,
    world: World,
    bodies: Arc<Bodies>,
}

/// Where one of the two is asked.
struct Side {
    url: String,
    store: String,
}

impl Side {
    fn path(&self, verb: &str) -> String {
        format!("/stores/{}/{verb}", self.store)
    }

    fn ask(&self, verb: &str, body: &[u8]) -> anyhow::Result<Value> {
        let url = format!("{}{}", self.url, self.path(verb));
        let request = agent().post(&url).header("content-type", "application/json");
        let mut answer = request.send(body).with_context(|| url.clone())?;
        let text = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
        // An error is compared as what it is.
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

impl Pair {
    /// Makes both: ours on a fresh directory, the peer's in a store of its own.
    pub(crate) fn make(bench: &Bench, peer: &str) -> anyhow::Result<Pair> {
        let world = World::of_tuples(bench.tuples(TUPLES));
        let mut ours = bench.serve_with(None, &[], &[])?;
        ours.store = create_store(&ours.server.url, &schema_json())?;
        let url = peer.trim_end_matches('/').to_owned();
        let peer = Side { store: create_store(&url, &schema_json())?, url };
        for side in [&Side { url: ours.server.url.clone(), store: ours.store.clone() }, &peer] {
            fill(side, world)?;
        }
        let stream = world.stream(bench.sized(DISTINCT, 10_000).min(world.voices * 4) as usize, 13)?;
        Ok(Pair { ours, peer, world, bodies: Arc::new(Bodies::new(stream)) })
    }

    fn ours(&self) -> Side {
        Side { url: self.ours.server.url.clone(), store: self.ours.store.clone() }
    }

    fn load(&self, bench: &Bench, of_peer: bool, questions: Arc<dyn Questions>) -> anyhow::Result<Load> {
        let mut load = bench.load(&self.ours.server, questions);
        if of_peer {
            load.address = address_of(&self.peer.url)?;
        }
        Ok(load)
    }

    fn line(
        &self,
        bench: &Bench,
        row: &'static str,
        what: &str,
        loads: (Arc<dyn Questions>, Arc<dyn Questions>),
        compared: Compared,
    ) -> anyhow::Result<Line> {
        let (ours, peer) = (self.load(bench, false, loads.0)?, self.load(bench, true, loads.1)?);
        let turns = alternate(bench, (&peer, None), (&ours, Some(&self.ours.server)))?;
        let mut line = turns.line(row, format!("{what}, beside {}", self.peer.url), "requests/s", "the peer");
        // What the peer answers in other ways is its own; it is told, and no error of ours.
        line.wrong = turns.all.iter().map(|it| it.wrong).sum::<u64>() + compared.ours_wrong;
        line.failed = turns.all.iter().map(|it| it.failed).sum();
        let of_peer =
            |count: fn(&crate::load::Outcome) -> u64| turns.all_floor.iter().map(count).sum::<u64>();
        let (wrong, failed) = (of_peer(|it| it.wrong), of_peer(|it| it.failed));
        line = line
            .note(format!(
                "{} answers compared one by one: {} differ; {} of ours and {} of the peer's are not the expected ones",
                compared.count, compared.differ, compared.ours_wrong, compared.peer_wrong
            ))
            .note(format!("under load the peer gave {wrong} wrong answers and {failed} times none"))
            .note(format!("{} tuples, written over HTTP at both; {}", self.world.tuples, self.bodies.stream.shown()))
            .detail("compared", json!({ "count": compared.count, "differ": compared.differ }))
            .detail("peer_errors", json!({ "wrong": wrong, "failed": failed }));
        if let Some(first) = compared.first {
            line = line.note(format!("first difference: {first}"));
        }
        Ok(line)
    }

    /// The row `check`.
    pub(crate) fn check(&self, bench: &Bench) -> anyhow::Result<Line> {
        let mut compared = Compared::default();
        for place in 0..self.bodies.stream.questions.len().min(bench.sized(COMPARED, 1_000) as usize) {
            let body = self.bodies.body(place);
            let expected = self.bodies.stream.questions[place].1;
            compared.take(
                &String::from_utf8_lossy(body),
                &json!(expected),
                &allowed(&self.ours().ask("check", body)?),
                &allowed(&self.peer.ask("check", body)?),
            );
        }
        let asked = |path: String| -> Arc<dyn Questions> {
            Arc::new(Checks { bodies: Arc::clone(&self.bodies), path, write_path: None, is_floor: false })
        };
        let loads = (asked(self.ours.path("check")), asked(self.peer.path("check")));
        self.line(bench, "check", "check", loads, compared)
    }

    /// The row `batch`.
    pub(crate) fn batch(&self, bench: &Bench) -> anyhow::Result<Line> {
        let batches = |path| Batches { bodies: Arc::clone(&self.bodies), path };
        let (ours, peer) = (batches(self.ours.path("batch-check")), batches(self.peer.path("batch-check")));
        let mut compared = Compared::default();
        for number in 0..bench.sized(COMPARED / 50, 20) {
            let body = ours.body(number);
            let answers = (self.ours().ask("batch-check", &body)?, self.peer.ask("batch-check", &body)?);
            for (id, _, expected) in ours.each(number) {
                let id = id.to_string();
                let of = |answer: &Value| allowed(&answer["result"][&id]);
                let about = format!("check {id} of batch {number}");
                compared.take(&about, &json!(expected), &of(&answers.0), &of(&answers.1));
            }
        }
        self.line(
            bench,
            "batch",
            "batch-check, 50 checks a request",
            (Arc::new(ours), Arc::new(peer)),
            compared,
        )
    }

    /// The row `list`.
    pub(crate) fn list(&self, bench: &Bench) -> anyhow::Result<Line> {
        let mut random = StdRng::seed_from_u64(14);
        let mut asked = Vec::new();
        let mut compared = Compared::default();
        for _ in 0..bench.sized(LISTS, 20) {
            let voice = random.random_range(0..self.world.voices);
            // An admin has some ten voices, an admin one step above some hundred.
            let subject = match random.random_range(0..3) {
                0 => self.world.grant(voice, 0),
                steps => Subject::Admin(self.world.org_above(voice, steps - 1)),
            };
            let expected: BTreeSet<String> = (0..self.world.voices)
                .filter(|&voice| self.world.is_viewer(Question { voice, subject }))
                .map(|voice| format!("voice:{voice}"))
                .collect();
            let body = json!({ "type": "voice", "relation": "viewer", "user": subject.text() }).to_string();
            let of = |side: &Side| -> anyhow::Result<Value> {
                let answer = side.ask("list-objects", body.as_bytes())?;
                let Some(list) = answer["objects"].as_array() else { return Ok(answer) };
                let all: BTreeSet<&str> = list.iter().filter_map(Value::as_str).collect();
                Ok(json!(all))
            };
            compared.take(&body, &json!(expected), &of(&self.ours())?, &of(&self.peer)?);
            asked.push((body, expected.len()));
        }
        ensure!(!asked.is_empty(), "no lists");
        let count = asked.iter().map(|(_, count)| count).sum::<usize>() as f64 / asked.len() as f64;
        let asked = Arc::new(asked);
        let lists = |path| -> Arc<dyn Questions> { Arc::new(Lists { asked: Arc::clone(&asked), path }) };
        let loads = (lists(self.ours.path("list-objects")), lists(self.peer.path("list-objects")));
        self.line(bench, "list", &format!("list objects, {count:.0} on average"), loads, compared)
    }
}

/// Writes all tuples of a world.
fn fill(side: &Side, world: World) -> anyhow::Result<()> {
    let mut waiting: Vec<Value> = Vec::with_capacity(WRITE_TUPLES);
    let agent = agent();
    let url = format!("{}{}", side.url, side.path("write"));
    let send = |tuples: &mut Vec<Value>| -> std::io::Result<()> {
        if tuples.is_empty() {
            return Ok(());
        }
        let body = json!({ "writes": { "tuple_keys": std::mem::take(tuples) } });
        let mut answer = agent.post(&url).send_json(&body).map_err(std::io::Error::other)?;
        let text = answer.body_mut().read_to_string().map_err(std::io::Error::other)?;
        if !answer.status().is_success() {
            return Err(std::io::Error::other(format!("{url}: {}: {text}", answer.status())));
        }
        Ok(())
    };
    world.each_tuple(&mut |object, relation, subject| {
        waiting.push(json!({ "object": object, "relation": relation, "user": subject }));
        if waiting.len() == WRITE_TUPLES { send(&mut waiting) } else { Ok(()) }
    })?;
    send(&mut waiting)?;
    Ok(())
}

/// The answer to a check; an error stays one.
fn allowed(answer: &Value) -> Value {
    let is_error = !answer.is_object() || !answer["code"].is_null() || !answer["error"].is_null();
    // Some leave out what is false.
    if is_error { answer.clone() } else { json!(answer["allowed"].as_bool().unwrap_or(false)) }
}

/// Answers that were compared.
#[derive(Default)]
struct Compared {
    count: u64,
    differ: u64,
    ours_wrong: u64,
    peer_wrong: u64,
    first: Option<String>,
}

impl Compared {
    fn take(&mut self, about: &str, expected: &Value, ours: &Value, peer: &Value) {
        self.count += 1;
        self.ours_wrong += u64::from(ours != expected);
        self.peer_wrong += u64::from(peer != expected);
        if ours != peer {
            self.differ += 1;
            let short = |value: &Value| value.to_string().chars().take(200).collect::<String>();
            self.first
                .get_or_insert_with(|| format!("{about}: ours {}, the peer's {}", short(ours), short(peer)));
        }
    }
}

/// Lists, judged by how many objects they have: which ones was compared before.
struct Lists {
    asked: Arc<Vec<(String, usize)>>,
    path: String,
}

impl Lists {
    fn get(&self, number: u64) -> &(String, usize) {
        &self.asked[number as usize % self.asked.len()]
    }
}

impl Questions for Lists {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        http::post(request, &self.path, self.get(number).0.as_bytes());
    }

    fn judge(&self, number: u64, response: &Response<'_>) -> Verdict {
        if !response.is_success() {
            return Verdict::Failed;
        }
        let count = memchr::memmem::find_iter(response.body, b"\"voice:").count();
        if count == self.get(number).1 { Verdict::Right } else { Verdict::Wrong }
    }
}
