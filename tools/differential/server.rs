//! A server that speaks OpenFGA's HTTP API.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use stonetown::tuple::StoreId;
use ureq::Agent;

use crate::answer::{Answer, Refusal};
use crate::world::{Ask, Question, Tuple, World};

/// Tuples of one write.
const WRITE_TUPLES: usize = 40;

/// How long an answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(12);

/// Seconds that a server may take to start again.
const STARTS_MAX: u32 = 120;

/// One that did not answer: it works for too long, or is gone.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {0}")]
pub(crate) struct NoAnswer(pub(crate) String);

/// A world as a server has it.
pub(crate) struct Stored {
    store: String,
    model: String,
}

/// A server.
pub(crate) struct Server {
    url: String,
    agent: Agent,
}

impl Server {
    /// By its URL.
    pub(crate) fn new(url: &str) -> Server {
        let timeout = Some(ANSWER_TIME_MAX);
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(timeout).build().into();
        Server { url: url.trim_end_matches('/').to_owned(), agent }
    }

    /// Waits for a server that is being started again.
    pub(crate) fn wait(&self) -> anyhow::Result<()> {
        let Server { url, agent } = self;
        for _ in 0..STARTS_MAX {
            if agent.get(format!("{url}/healthz")).call().is_ok_and(|it| it.status() == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        bail!("{url} is gone")
    }

    /// Makes a store of a world.
    pub(crate) fn prepare(&self, world: &World) -> anyhow::Result<Result<Stored, Refusal>> {
        let store = StoreId::generate().to_string();
        let model = |schema: &Value| -> anyhow::Result<Result<String, Refusal>> {
            let (status, answer) = self.post(&store, "authorization-models", schema)?;
            if status < 300 {
                return Ok(Ok(answer["authorization_model_id"].as_str().unwrap_or_default().to_owned()));
            }
            Ok(Err(Refusal::Schema(answer["message"].as_str().unwrap_or_default().to_owned())))
        };
        if let Err(refusal) = model(&world.schema())? {
            return Ok(Err(refusal));
        }
        // Under the schema itself, some of them could not be written.
        let permissive = match model(&world.permissive())? {
            Ok(permissive) => permissive,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let write = |tuples: &[Tuple]| -> anyhow::Result<Option<String>> {
            let tuples: Vec<Value> = tuples.iter().map(Tuple::to_json).collect();
            let body = json!({ "writes": { "tuple_keys": tuples }, "authorization_model_id": permissive });
            let (status, answer) = self.post(&store, "write", &body)?;
            Ok((status >= 300).then(|| answer["message"].as_str().unwrap_or_default().to_owned()))
        };
        for (chunk, tuples) in world.tuples.chunks(WRITE_TUPLES).enumerate() {
            if write(tuples)?.is_none() {
                continue;
            }
            for (at, tuple) in tuples.iter().enumerate() {
                if let Some(message) = write(std::slice::from_ref(tuple))? {
                    return Ok(Err(Refusal::Tuple(chunk * WRITE_TUPLES + at, message)));
                }
            }
        }
        Ok(model(&world.schema())?.map(|model| Stored { store, model }))
    }

    /// The answer to a question.
    pub(crate) fn ask(&self, stored: &Stored, question: &Question) -> anyhow::Result<Answer> {
        let contextual: Vec<Value> = question.contextual.iter().map(Tuple::to_json).collect();
        let mut body = json!({ "authorization_model_id": stored.model });
        if let Some(context) = &question.context {
            body["context"] = Value::Object(context.clone());
        }
        body["contextual_tuples"] = json!({ "tuple_keys": contextual });
        let verb = match &question.ask {
            Ask::Check { object, relation, user } => {
                body["tuple_key"] = json!({ "object": object, "relation": relation, "user": user });
                "check"
            }
            Ask::Objects { of, relation, user } => {
                body["type"] = json!(of);
                body["relation"] = json!(relation);
                body["user"] = json!(user);
                "list-objects"
            }
            Ask::Users { object, relation, filter } => {
                let (of, id) = object.split_once(':').unwrap_or((object, ""));
                body["object"] = json!({ "type": of, "id": id });
                body["relation"] = json!(relation);
                body["user_filters"] = json!([filter_json(filter)]);
                body["contextual_tuples"] = json!(contextual);
                "list-users"
            }
        };
        let (status, answer) = self.post(&stored.store, verb, &body)?;
        if status >= 300 {
            let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            return Ok(Answer::Error(text("code"), text("message")));
        }
        Ok(match &question.ask {
            Ask::Check { .. } => Answer::Allowed(answer["allowed"] == json!(true)),
            Ask::Objects { .. } => {
                let all = answer["objects"].as_array().cloned().unwrap_or_default();
                Answer::List(all.iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect())
            }
            Ask::Users { .. } => {
                let all = answer["users"].as_array().cloned().unwrap_or_default();
                Answer::List(all.iter().map(user_text).collect())
            }
        })
    }

    fn post(&self, store: &str, verb: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}/stores/{store}/{verb}", self.url);
        let mut response = self.agent.post(&url).send_json(body).map_err(|_| NoAnswer(url.clone()))?;
        let status = response.status().as_u16();
        let answer = response.body_mut().read_json().with_context(|| format!("answer of {url}"))?;
        Ok((status, answer))
    }
}

/// A filter of list-users.
pub(crate) fn filter_json(filter: &str) -> Value {
    match filter.split_once('#') {
        Some((of, relation)) => json!({ "type": of, "relation": relation }),
        None => json!({ "type": filter }),
    }
}

fn user_text(user: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    if let Some(object) = user.get("object") {
        return format!("{}:{}", text(&object["type"]), text(&object["id"]));
    }
    if let Some(userset) = user.get("userset") {
        return format!("{}:{}#{}", text(&userset["type"]), text(&userset["id"]), text(&userset["relation"]));
    }
    format!("{}:*", text(&user["wildcard"]["type"]))
}
