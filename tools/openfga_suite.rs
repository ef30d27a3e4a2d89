//! Runs query suites in the form of OpenFGA's `consolidated_1_1_tests.yaml` against a server.
//!
//! Each test gets a store of its own, under an id that nobody created. Its stages write their schema and their tuples,
//! one after the other, and ask: check, list-objects, the same as a stream, list-users. What a list answers is
//! checked entry by entry. Tests of one stage are asked once more with all their tuples as contextual ones.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use serde::Deserialize;
use serde_json::{Value, json};
use stonetown::schema::Tree;
use stonetown::tuple::StoreId;
use ureq::Agent;

/// Run query suites (YAML, as OpenFGA publishes them) against a server.
#[derive(Debug, Parser)]
#[command(after_help = "\
Example:
  openfga-suite consolidated_1_1_tests.yaml tests/suite/*.yaml --url http://127.0.0.1:8080

Exit code 1: an assertion failed; each one is printed with its file, test and stage.")]
struct Cli {
    /// The suites
    #[arg(required = true)]
    files: Vec<PathBuf>,

    /// The server
    #[arg(long)]
    url: String,

    /// Only tests with this in their name
    #[arg(long, value_name = "TEXT")]
    test: Option<String>,
}

/// Contextual tuples that a request may have.
const CONTEXTUAL_MAX: usize = 100;
/// gRPC's numbers for the classes of errors.
const INVALID_ARGUMENT: u16 = 3;
const INTERNAL: u16 = 13;
/// Tuples of one write.
const WRITE_TUPLES: usize = 40;

#[derive(Debug, Deserialize)]
struct Suite {
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct Test {
    name: String,
    stages: Vec<Stage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Stage {
    model: String,
    tuples: Option<Vec<Value>>,
    check_assertions: Option<Vec<CheckAssertion>>,
    list_objects_assertions: Option<Vec<ListAssertion>>,
    list_users_assertions: Option<Vec<ListAssertion>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckAssertion {
    tuple: Value,
    contextual_tuples: Option<Vec<Value>>,
    context: Option<Value>,
    #[serde(default)]
    expectation: bool,
    error_code: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListAssertion {
    request: Request,
    contextual_tuples: Option<Vec<Value>>,
    context: Option<Value>,
    expectation: Option<Vec<String>>,
    error_code: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    user: String,
    #[serde(default, rename = "type")]
    object_type: String,
    relation: String,
    #[serde(default)]
    filters: Vec<String>,
    #[serde(default)]
    object: String,
}

/// What came back: the answer, or the code of an error.
type Answer = Result<Value, u16>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("openfga-suite: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<bool> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let mut runner =
        Runner { url: cli.url.trim_end_matches('/').to_owned(), agent, counts: Counts::default() };
    for file in &cli.files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        // JSON has no number beyond those of 64 bits: it is sent as a text, which is no better.
        let options = serde_saphyr::options! {
            non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        };
        let suite: Suite = serde_saphyr::from_str_with_options(&text, options)
            .with_context(|| format!("{} is no suite", file.display()))?;
        let before = runner.counts.clone();
        for test in &suite.tests {
            if cli.test.as_ref().is_some_and(|wanted| !test.name.contains(wanted.as_str())) {
                continue;
            }
            let place = format!("{}: {}", file.display(), test.name);
            runner.test(test, &place).with_context(|| place.clone())?;
        }
        println!("{}: {}", file.display(), runner.counts.since(&before));
    }
    let Counts { failures, .. } = runner.counts;
    println!("{}", if failures == 0 { "all passed".to_owned() } else { format!("{failures} failed") });
    Ok(failures == 0)
}

/// What was asserted so far.
#[derive(Debug, Clone, Default)]
struct Counts {
    tests: usize,
    stages: usize,
    checks: usize,
    objects: usize,
    streamed: usize,
    users: usize,
    entries: usize,
    contextual: usize,
    failures: usize,
}

impl Counts {
    fn since(&self, before: &Counts) -> String {
        format!(
            "{} tests, {} stages; {} checks, {} list-objects, {} streamed, {} list-users ({} of all these with \
             every tuple contextual), {} entries of lists checked; {} failed",
            self.tests - before.tests,
            self.stages - before.stages,
            self.checks - before.checks,
            self.objects - before.objects,
            self.streamed - before.streamed,
            self.users - before.users,
            self.contextual - before.contextual,
            self.entries - before.entries,
            self.failures - before.failures,
        )
    }
}

struct Runner {
    url: String,
    agent: Agent,
    counts: Counts,
}

/// A stage that is being asked: where, and what counts for every question of it.
struct Asked<'a> {
    place: &'a str,
    store: &'a str,
    model: &'a str,
    all_contextual: &'a [Value],
}

impl Runner {
    fn test(&mut self, test: &Test, place: &str) -> anyhow::Result<()> {
        self.counts.tests += 1;
        let store = StoreId::generate().to_string();
        for (number, stage) in test.stages.iter().enumerate() {
            self.counts.stages += 1;
            let place = format!("{place}, stage {}", number + 1);
            let model = self.write_model(&store, &stage.model).with_context(|| place.clone())?;
            for tuples in stage.tuples.as_deref().unwrap_or_default().chunks(WRITE_TUPLES) {
                let body = json!({
                    "writes": { "tuple_keys": tuples }, "authorization_model_id": model
                });
                if let Err(code) = self.post(&store, "write", &body)? {
                    bail!("{place}: the tuples were refused with code {code}");
                }
            }
            self.stage(stage, &Asked { place: &place, store: &store, model: &model, all_contextual: &[] })?;
        }
        let [stage] = test.stages.as_slice() else { return Ok(()) };
        let tuples = stage.tuples.as_deref().unwrap_or_default();
        if tuples.is_empty() || tuples.len() > CONTEXTUAL_MAX {
            return Ok(());
        }
        let store = StoreId::generate().to_string();
        let model = self.write_model(&store, &stage.model)?;
        let place = format!("{place}, all tuples contextual");
        let before = self.asked();
        let asked = Asked { place: &place, store: &store, model: &model, all_contextual: tuples };
        self.stage(stage, &asked)?;
        self.counts.contextual += self.asked() - before;
        Ok(())
    }

    fn asked(&self) -> usize {
        let Counts { checks, objects, streamed, users, .. } = &self.counts;
        checks + objects + streamed + users
    }

    fn write_model(&self, store: &str, text: &str) -> anyhow::Result<String> {
        let tree = Tree::parse("model", text)?;
        let mut model = tree.to_json();
        model["schema_version"] = json!("1.1");
        match self.post(store, "authorization-models", &model)? {
            Ok(answer) => Ok(answer["authorization_model_id"].as_str().unwrap_or_default().to_owned()),
            Err(code) => bail!("the model was refused with code {code}"),
        }
    }

    fn stage(&mut self, stage: &Stage, asked: &Asked<'_>) -> anyhow::Result<()> {
        for assertion in stage.check_assertions.iter().flatten() {
            let Some(contextual) = together(asked, &assertion.contextual_tuples) else { continue };
            self.counts.checks += 1;
            let answer = self.check(asked, &assertion.tuple, &contextual, &assertion.context)?;
            let expected = match assertion.error_code {
                Some(code) => Err(code),
                None => Ok(assertion.expectation),
            };
            if answer != expected {
                let tuple = &assertion.tuple;
                self.fail(asked, &format!("check {tuple}: expected {expected:?}, answered {answer:?}"));
            }
        }
        for assertion in stage.list_objects_assertions.iter().flatten() {
            let Some(contextual) = together(asked, &assertion.contextual_tuples) else { continue };
            self.objects(asked, assertion, &contextual)?;
        }
        for assertion in stage.list_users_assertions.iter().flatten() {
            let Some(contextual) = together(asked, &assertion.contextual_tuples) else { continue };
            self.users(asked, assertion, &contextual)?;
        }
        Ok(())
    }

    fn objects(
        &mut self,
        asked: &Asked<'_>,
        assertion: &ListAssertion,
        contextual: &[Value],
    ) -> anyhow::Result<()> {
        let Request { user, object_type, relation, .. } = &assertion.request;
        let body = json!({
            "type": object_type, "relation": relation, "user": user,
            "authorization_model_id": asked.model,
            "contextual_tuples": { "tuple_keys": contextual }, "context": assertion.context,
        });
        let what = format!("{object_type} {relation} {user}");
        let expected = assertion.expected();
        self.counts.objects += 1;
        let found = self.post(asked.store, "list-objects", &body)?.map(|answer| texts(&answer["objects"]));
        self.compare(asked, &format!("list-objects {what}"), &expected, &found);
        self.counts.streamed += 1;
        let streamed = self.stream(asked.store, &body)?;
        // A streamed error has the number of its class, gRPC's.
        let of_class = expected.map_err(|code| if code < 3500 { INVALID_ARGUMENT } else { INTERNAL });
        self.compare(asked, &format!("streamed-list-objects {what}"), &of_class, &streamed);
        for object in found.into_iter().flatten() {
            self.entry(asked, &object, relation, user, contextual, &assertion.context)?;
        }
        Ok(())
    }

    fn users(
        &mut self,
        asked: &Asked<'_>,
        assertion: &ListAssertion,
        contextual: &[Value],
    ) -> anyhow::Result<()> {
        let Request { object, relation, filters, .. } = &assertion.request;
        let (object_type, id) = object.split_once(':').unwrap_or((object, ""));
        let filters: Vec<Value> = filters
            .iter()
            .map(|filter| match filter.split_once('#') {
                Some((user_type, relation)) => json!({ "type": user_type, "relation": relation }),
                None => json!({ "type": filter }),
            })
            .collect();
        let body = json!({
            "object": { "type": object_type, "id": id }, "relation": relation, "user_filters": filters,
            "authorization_model_id": asked.model, "contextual_tuples": contextual,
            "context": assertion.context,
        });
        self.counts.users += 1;
        let found = self.post(asked.store, "list-users", &body)?.map(|answer| {
            let users = answer["users"].as_array().cloned().unwrap_or_default();
            users.iter().map(user_text).collect::<BTreeSet<String>>()
        });
        let what = format!("list-users {object} {relation} {filters:?}");
        self.compare(asked, &what, &assertion.expected(), &found);
        for user in found.into_iter().flatten() {
            self.entry(asked, object, relation, &user, contextual, &assertion.context)?;
        }
        Ok(())
    }

    /// An entry of a list has to check yes.
    fn entry(
        &mut self,
        asked: &Asked<'_>,
        object: &str,
        relation: &str,
        user: &str,
        contextual: &[Value],
        context: &Option<Value>,
    ) -> anyhow::Result<()> {
        self.counts.entries += 1;
        let tuple = json!({ "object": object, "relation": relation, "user": user });
        let answer = self.check(asked, &tuple, contextual, context)?;
        if answer != Ok(true) {
            self.fail(asked, &format!("{tuple} is listed, but its check is {answer:?}"));
        }
        Ok(())
    }

    fn check(
        &self,
        asked: &Asked<'_>,
        tuple: &Value,
        contextual: &[Value],
        context: &Option<Value>,
    ) -> anyhow::Result<Result<bool, u16>> {
        let body = json!({
            "tuple_key": tuple, "authorization_model_id": asked.model,
            "contextual_tuples": { "tuple_keys": contextual }, "context": context,
        });
        Ok(self.post(asked.store, "check", &body)?.map(|answer| answer["allowed"] == json!(true)))
    }

    fn compare(
        &mut self,
        asked: &Asked<'_>,
        what: &str,
        expected: &Result<BTreeSet<String>, u16>,
        found: &Result<BTreeSet<String>, u16>,
    ) {
        if expected != found {
            self.fail(asked, &format!("{what}: expected {expected:?}, answered {found:?}"));
        }
    }

    fn fail(&mut self, asked: &Asked<'_>, what: &str) {
        self.counts.failures += 1;
        println!("FAILED {}: {what}", asked.place);
    }

    fn post(&self, store: &str, verb: &str, body: &Value) -> anyhow::Result<Answer> {
        let url = format!("{}/stores/{store}/{verb}", self.url);
        let mut response = self.agent.post(&url).send_json(body).with_context(|| format!("POST {url}"))?;
        let status = response.status().as_u16();
        let answer: Value = response.body_mut().read_json().with_context(|| format!("answer of {url}"))?;
        if status < 300 {
            return Ok(Ok(answer));
        }
        let code = answer["code"].as_str().unwrap_or_default();
        Ok(Err(number_of(code).with_context(|| format!("POST {url}: unknown error {answer}"))?))
    }

    fn stream(&self, store: &str, body: &Value) -> anyhow::Result<Result<BTreeSet<String>, u16>> {
        let url = format!("{}/stores/{store}/streamed-list-objects", self.url);
        let mut response = self.agent.post(&url).send_json(body).with_context(|| format!("POST {url}"))?;
        let is_error = response.status().as_u16() >= 300;
        let text = response.body_mut().read_to_string()?;
        let mut found = BTreeSet::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| format!("streamed line {line}"))?;
            match line["result"]["object"].as_str() {
                Some(object) => drop(found.insert(object.to_owned())),
                None => {
                    let code = line["error"]["code"].as_u64().and_then(|code| u16::try_from(code).ok());
                    return Ok(Err(code.with_context(|| format!("streamed line {line}"))?));
                }
            }
        }
        if is_error {
            bail!("POST {url}: an error without a line that says which");
        }
        Ok(Ok(found))
    }
}

impl ListAssertion {
    fn expected(&self) -> Result<BTreeSet<String>, u16> {
        match self.error_code {
            Some(code) => Err(code),
            None => Ok(self.expectation.iter().flatten().cloned().collect()),
        }
    }
}

/// The contextual tuples of a question; none: there are too many.
fn together(asked: &Asked<'_>, contextual: &Option<Vec<Value>>) -> Option<Vec<Value>> {
    let all: Vec<Value> = asked.all_contextual.iter().chain(contextual.iter().flatten()).cloned().collect();
    (all.len() <= CONTEXTUAL_MAX).then_some(all)
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
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

/// OpenFGA's numbers for the codes that suites name.
fn number_of(code: &str) -> Option<u16> {
    Some(match code {
        "validation_error" => 2000,
        "authorization_model_not_found" => 2001,
        "authorization_model_resolution_too_complex" => 2002,
        "latest_authorization_model_not_found" => 2020,
        "type_not_found" => 2021,
        "relation_not_found" => 2022,
        "invalid_tuple" => 2027,
        "write_failed_due_to_invalid_input" => 2017,
        "invalid_authorization_model" => 2056,
        "internal_error" => 4000,
        "deadline_exceeded" => 4004,
        _ => return None,
    })
}
