use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::world::{DOCS, Fact, USERS, facts};

/// An acknowledged write.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) revision: u64,
    /// What was written (true) and deleted.
    pub(super) changes: Vec<(Fact, bool)>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Check { doc: usize, user: usize },
    Batch { doc: usize },
    List { user: usize },
}

/// What a question said about the state that it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Newest,
    AtLeast(u64),
    At(u64),
}

/// An answered question: what it says of each document and user.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) question: Question,
    pub(super) wanted: Wanted,
    pub(super) says: Vec<(usize, usize, bool)>,
    pub(super) token: String,
}

/// All that was recorded.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) writes: Vec<Written>,
    pub(super) answers: Vec<Answered>,
}

/// What one client does.
pub(super) struct Client {
    agent: ureq::Agent,
    store: String,
    random: SmallRng,
}

/// A revision with its token, for questions that carry one.
pub(super) type Known = Mutex<Vec<(u64, String)>>;

impl Client {
    pub(super) fn new(store: &str, seed: u64) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Client { agent: config.into(), store: store.to_owned(), random: SmallRng::seed_from_u64(seed) }
    }

    pub(super) fn post(
        &self,
        path: &str,
        body: &Value,
        header: Option<(&str, &str)>,
    ) -> (ureq::http::HeaderMap, Value) {
        let send = || {
            let mut request = self.agent.post(format!("{}{path}", self.store));
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            request.send_json(body).unwrap()
        };
        let mut answer = send();
        // As SDKs do, where there was no room.
        while answer.status() == 429 {
            std::thread::sleep(Duration::from_millis(20));
            answer = send();
        }
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{path} {body}: {} {text}", answer.status());
        (answer.headers().clone(), serde_json::from_str(&text).unwrap_or_default())
    }

    /// Writes what is its own to write, one or several facts at a time: what is there is deleted, what is not is written.
    pub(super) fn write(mut self, share: usize, shares: usize, count: usize, known: &Known) -> Vec<Written> {
        let mine: Vec<Fact> = facts().into_iter().skip(share).step_by(shares).collect();
        let mut is_there = vec![false; mine.len()];
        (0..count)
            .map(|_| {
                let mut chosen: Vec<usize> =
                    (0..self.random.random_range(1..4)).map(|_| self.random.random_range(0..mine.len())).collect();
                chosen.sort_unstable();
                chosen.dedup();
                let changes: Vec<(Fact, bool)> = chosen.iter().map(|&at| (mine[at].clone(), !is_there[at])).collect();
                let keys = |wanted: bool| -> Vec<Value> {
                    let of = changes.iter().filter(|(_, is_write)| *is_write == wanted);
                    of.map(|((object, relation, user), _)| json!({ "object": object, "relation": relation, "user": user })).collect()
                };
                let mut body = json!({});
                for (name, keys) in [("writes", keys(true)), ("deletes", keys(false))] {
                    if !keys.is_empty() {
                        body[name] = json!({ "tuple_keys": keys });
                    }
                }
                let begun = Instant::now();
                let (headers, _) = self.post("/write", &body, None);
                let ended = Instant::now();
                chosen.iter().for_each(|&at| is_there[at] = !is_there[at]);
                let revision = headers["stonetown-revision"].to_str().unwrap().parse().unwrap();
                let token = headers["stonetown-token"].to_str().unwrap().to_owned();
                known.lock().unwrap().push((revision, token));
                Written { begun, ended, revision, changes }
            })
            .collect()
    }

    /// Asks until it is told to stop.
    pub(super) fn ask(mut self, known: &Known, stop: &AtomicBool) -> Vec<Answered> {
        let mut answers = Vec::new();
        while !stop.load(Ordering::Acquire) {
            let question = match self.random.random_range(0..8) {
                0 => Question::Batch { doc: self.random.random_range(0..DOCS) },
                1 => Question::List { user: self.random.random_range(0..USERS) },
                _ => Question::Check {
                    doc: self.random.random_range(0..DOCS),
                    user: self.random.random_range(0..USERS),
                },
            };
            let choice = self.random.random_range(0..8);
            let carried = {
                let known = known.lock().unwrap();
                match (choice, known.last()) {
                    (0..2, Some((revision, token))) => Some((Wanted::AtLeast(*revision), token.clone())),
                    (2, Some(_)) => {
                        // One of the last few: what is long past is easy.
                        let back = self.random.random_range(0..known.len().min(20));
                        let (revision, token) = &known[known.len() - 1 - back];
                        Some((Wanted::At(*revision), token.clone()))
                    }
                    _ => None,
                }
            };
            answers.push(self.ask_one(question, carried));
        }
        answers
    }

    pub(super) fn ask_one(&self, question: Question, carried: Option<(Wanted, String)>) -> Answered {
        let header = carried.as_ref().map(|(wanted, token)| match wanted {
            Wanted::At(_) => ("stonetown-at", token.as_str()),
            _ => ("stonetown-at-least", token.as_str()),
        });
        let key = |doc: usize, user: usize| json!({ "object": format!("doc:{doc}"), "relation": "can_read", "user": format!("user:{user}") });
        let (path, body) = match question {
            Question::Check { doc, user } => ("/check", json!({ "tuple_key": key(doc, user) })),
            Question::Batch { doc } => {
                let checks = (0..USERS)
                    .map(|user| json!({ "tuple_key": key(doc, user), "correlation_id": user.to_string() }));
                ("/batch-check", json!({ "checks": checks.collect::<Vec<_>>() }))
            }
            Question::List { user } => {
                let user = format!("user:{user}");
                ("/list-objects", json!({ "type": "doc", "relation": "can_read", "user": user }))
            }
        };
        let begun = Instant::now();
        let (headers, answer) = self.post(path, &body, header);
        let ended = Instant::now();
        let says = match question {
            Question::Check { doc, user } => vec![(doc, user, answer["allowed"].as_bool().unwrap())],
            Question::Batch { doc } => {
                let allowed = |user: usize| answer["result"][user.to_string()]["allowed"].as_bool().unwrap();
                (0..USERS).map(|user| (doc, user, allowed(user))).collect()
            }
            Question::List { user } => {
                let objects = answer["objects"].as_array().unwrap();
                let holds =
                    |doc: usize| objects.iter().any(|object| object.as_str() == Some(&format!("doc:{doc}")));
                (0..DOCS).map(|doc| (doc, user, holds(doc))).collect()
            }
        };
        let wanted = carried.map_or(Wanted::Newest, |(wanted, _)| wanted);
        let token = headers["stonetown-token"].to_str().unwrap().to_owned();
        Answered { begun, ended, question, wanted, says, token }
    }
}
