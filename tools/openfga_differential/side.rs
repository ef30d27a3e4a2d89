//! The two that are asked: a server by URL, or the official tool with the engine that it has inside.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::server::{Server, Stored, filter_json};
use crate::world::{Ask, Question, Tuple, World};

/// A world as one of the two has it.
pub(crate) enum Prepared {
    /// A server.
    Stored(Stored),
    /// The tool, which makes its own for every run.
    Nowhere,
}

/// One of the two.
pub(crate) enum Side {
    /// A server.
    Server(Server),
    /// The official tool.
    Tool(PathBuf),
}

impl Side {
    /// From `http://…` or `fga:PATH`.
    pub(crate) fn new(place: &str) -> Side {
        match place.strip_prefix("fga:") {
            Some(path) => Side::Tool(path.into()),
            None => Side::Server(Server::new(place)),
        }
    }

    /// Whether it is the official tool: it does not tell a schema from tuples, and does not look at conditions that
    /// nothing carries.
    pub(crate) fn is_tool(&self) -> bool {
        matches!(self, Side::Tool(_))
    }

    /// Waits for a server that is being started again.
    pub(crate) fn wait(&self) -> anyhow::Result<()> {
        match self {
            Side::Server(server) => server.wait(),
            Side::Tool(_) => Ok(()),
        }
    }

    /// Makes a store of a world.
    pub(crate) fn prepare(&self, world: &World) -> anyhow::Result<Result<Prepared, Refusal>> {
        match self {
            Side::Server(server) => Ok(server.prepare(world)?.map(Prepared::Stored)),
            // An empty run tells whether the schema is taken.
            Side::Tool(_) => {
                let refusal = self.run(world, &[])?.err().map(Refusal::Schema);
                Ok(refusal.map_or(Ok(Prepared::Nowhere), Err))
            }
        }
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
        match (self, prepared) {
            (Side::Server(server), Prepared::Stored(stored)) => {
                questions.iter().map(|it| server.ask(stored, it)).collect()
            }
            _ => bail!("not prepared"),
        }
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
