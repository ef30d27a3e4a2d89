//! The two that are asked: a server by URL, or the official tool with the engine that it has inside.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use stonetown::tuple::StoreId;
use ureq::Agent;

use crate::world::{Ask, Question, Tuple, World};

/// Tuples of one write.
const WRITE_TUPLES: usize = 40;

/// How long an answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(12);

/// Seconds that a server may take to start again.
const STARTS_MAX: u32 = 120;

/// What was answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Of a check.
    Allowed(bool),
    /// Of a list, without its order.
    List(BTreeSet<String>),
    /// The code of an error, and its text.
    Error(String, String),
}

impl Answer {
    /// Whether it is an error.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Answer::Error(..))
    }

    /// The text of an error.
    pub(crate) fn message(&self) -> &str {
        if let Answer::Error(_, message) = self { message } else { "" }
    }
}

impl PartialEq for Answer {
    /// Of errors, the code counts alone.
    fn eq(&self, other: &Answer) -> bool {
        match (self, other) {
            (Answer::Allowed(one), Answer::Allowed(two)) => one == two,
            (Answer::List(one), Answer::List(two)) => one == two,
            (Answer::Error(one, _), Answer::Error(two, _)) => one == two,
            _ => false,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Allowed(true) => f.write_str("yes"),
            Answer::Allowed(false) => f.write_str("no"),
            Answer::List(all) => write!(f, "[{}]", all.iter().cloned().collect::<Vec<_>>().join(", ")),
            Answer::Error(code, message) => write!(f, "error {code}: {message}"),
        }
    }
}

/// A server that did not answer: it works for too long, or is gone.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {0}")]
pub(crate) struct NoAnswer(String);

/// A world as one of the two has it.
pub(crate) struct Prepared {
    store: String,
    model: String,
}

/// Why a world could not be made.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// Its schema.
    Schema(String),
    /// One of its tuples, by number.
    Tuple(usize, String),
}

/// One of the two.
pub(crate) enum Side {
    /// A server.
    Server {
        /// Where.
        url: String,
        /// How it is reached.
        agent: Agent,
    },
    /// The official tool.
    Tool(PathBuf),
}

impl Side {
    /// From `http://…` or `fga:PATH`.
    pub(crate) fn new(place: &str) -> Side {
        if let Some(path) = place.strip_prefix("fga:") {
            return Side::Tool(path.into());
        }
        let timeout = Some(ANSWER_TIME_MAX);
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(timeout).build().into();
        Side::Server { url: place.trim_end_matches('/').to_owned(), agent }
    }

    /// Whether it is the official tool.
    pub(crate) fn is_tool(&self) -> bool {
        matches!(self, Side::Tool(_))
    }

    /// Waits for a server that is being started again.
    pub(crate) fn wait(&self) -> anyhow::Result<()> {
        let Side::Server { url, agent } = self else { return Ok(()) };
        for _ in 0..STARTS_MAX {
            if agent.get(format!("{url}/healthz")).call().is_ok_and(|it| it.status() == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        bail!("{url} is gone")
    }

    /// Makes a store of a world.
    pub(crate) fn prepare(&self, world: &World) -> anyhow::Result<Result<Prepared, Refusal>> {
        let store = StoreId::generate().to_string();
        if self.is_tool() {
            // It makes its own for every run; an empty one tells whether the schema is taken.
            let refusal = self.run(world, &[])?.err().map(Refusal::Schema);
            return Ok(refusal.map_or(Ok(Prepared { store, model: String::new() }), Err));
        }
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
        Ok(model(&world.schema())?.map(|model| Prepared { store, model }))
    }

    /// The answers, one for each question.
    pub(crate) fn ask(
        &self,
        world: &World,
        prepared: &Prepared,
        questions: &[Question],
    ) -> anyhow::Result<Vec<Answer>> {
        if self.is_tool() {
            return match (self.run(world, questions)?, questions) {
                (Ok(answers), _) => Ok(answers),
                (Err(message), [_]) => Ok(vec![answer_of(&format!("error={message}"))]),
                // A contextual tuple that is not taken fails the whole run.
                (Err(_), many) => {
                    let alone = many.iter().map(|it| self.ask(world, prepared, std::slice::from_ref(it)));
                    alone.collect::<anyhow::Result<Vec<_>>>().map(|it| it.concat())
                }
            };
        }
        questions.iter().map(|it| self.ask_server(prepared, it)).collect()
    }

    fn ask_server(&self, prepared: &Prepared, question: &Question) -> anyhow::Result<Answer> {
        let contextual: Vec<Value> = question.contextual.iter().map(Tuple::to_json).collect();
        let mut body = json!({ "authorization_model_id": prepared.model });
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
        let (status, answer) = self.post(&prepared.store, verb, &body)?;
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
        let Side::Server { url, agent } = self else { bail!("the tool has no address") };
        let url = format!("{url}/stores/{store}/{verb}");
        let mut response = agent.post(&url).send_json(body).map_err(|_| NoAnswer(url.clone()))?;
        let status = response.status().as_u16();
        let answer = response.body_mut().read_json().with_context(|| format!("answer of {url}"))?;
        Ok((status, answer))
    }

    /// Runs the official tool's tests: each expects what cannot be, so that it tells what it found.
    fn run(&self, world: &World, questions: &[Question]) -> anyhow::Result<Result<Vec<Answer>, String>> {
        let Side::Tool(path) = self else { bail!("a server is not run") };
        let directory = std::env::temp_dir().join(format!("openfga-differential-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("model.json"), world.schema().to_string())?;
        let mut tests: Vec<Value> = questions.iter().enumerate().map(|(at, it)| test(at, it)).collect();
        if tests.is_empty() {
            tests.push(json!({ "name": "q0", "check": [] }));
        }
        let tuples: Vec<Value> = world.tuples.iter().map(Tuple::to_json).collect();
        let mut file = json!({ "model_file": "model.json", "tests": tests });
        if !tuples.is_empty() {
            file["tuples"] = json!(tuples);
        }
        // JSON is YAML.
        let tests = directory.join("world.fga.yaml");
        std::fs::write(&tests, file.to_string())?;
        let output = Command::new(path).args(["model", "test", "--tests"]).arg(&tests).output()?;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        if let Some(error) = out.lines().chain(err.lines()).find(|it| it.starts_with("Error:")) {
            return Ok(Err(error.to_owned()));
        }
        let mut answers: Vec<Answer> = questions
            .iter()
            .map(|it| match it.ask {
                Ask::Check { .. } => Answer::Allowed(false),
                _ => Answer::Error("unread".to_owned(), "the tool's report does not have it".to_owned()),
            })
            .collect();
        let text = format!("{out}{err}");
        let mut at = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("(FAILING) q") {
                at = rest.split_once(':').and_then(|(number, _)| number.parse::<usize>().ok());
            } else if let (Some(number), Some((_, got))) = (at, line.split_once(", got="))
                && let Some(answer) = answers.get_mut(number)
            {
                *answer = answer_of(got);
            }
        }
        Ok(Ok(answers))
    }
}

fn filter_json(filter: &str) -> Value {
    match filter.split_once('#') {
        Some((of, relation)) => json!({ "type": of, "relation": relation }),
        None => json!({ "type": filter }),
    }
}

fn test(at: usize, question: &Question) -> Value {
    let mut test = json!({ "name": format!("q{at}") });
    if !question.contextual.is_empty() {
        test["tuples"] = question.contextual.iter().map(Tuple::to_json).collect();
    }
    let context = &question.context;
    let with_context = |mut assertion: Value| {
        if let Some(context) = context {
            assertion["context"] = Value::Object(context.clone());
        }
        json!([assertion])
    };
    match &question.ask {
        Ask::Check { object, relation, user } => {
            let asked = json!({ "user": user, "object": object, "assertions": { (relation): false } });
            test["check"] = with_context(asked);
        }
        Ask::Objects { of, relation, user } => {
            let never = json!([format!("{of}:what no world has")]);
            let asked = json!({ "user": user, "type": of, "assertions": { (relation): never } });
            test["list_objects"] = with_context(asked);
        }
        Ask::Users { object, relation, filter } => {
            let never = json!({ "users": ["user:what no world has"] });
            let asked = json!({
                "object": object, "user_filter": [filter_json(filter)], "assertions": { (relation): never }
            });
            test["list_users"] = with_context(asked);
        }
    }
    test
}

/// `true`, `[doc:1 doc:2]`, `{Users:[user:1]}` or `N/A, error=rpc error: code = Code(2000) desc = …`
fn answer_of(got: &str) -> Answer {
    if let Some((_, error)) = got.split_once("error=") {
        let code = error.split_once("code = ").and_then(|(_, rest)| rest.split_once(" desc"));
        let code = match code.map_or("", |(code, _)| code) {
            "Code(2000)" => "validation_error",
            "Code(2002)" => "authorization_model_resolution_too_complex",
            "Code(2021)" => "type_not_found",
            "Code(2022)" => "relation_not_found",
            "Code(2027)" => "invalid_tuple",
            "Code(4000)" => "internal_error",
            other => other,
        };
        return Answer::Error(code.to_owned(), error.to_owned());
    }
    match got {
        "true" => Answer::Allowed(true),
        "false" => Answer::Allowed(false),
        list => {
            let list = list.trim_start_matches("{Users:").trim_end_matches('}');
            let list = list.trim_start_matches('[').trim_end_matches(']');
            Answer::List(list.split_whitespace().map(str::to_owned).collect())
        }
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
