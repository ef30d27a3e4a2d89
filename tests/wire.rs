//! What a real OpenFGA answered (built from da9354f7, memory store, 2026-11-22), exchange by exchange, and we answer too.
//!
//! `tests/wire/exchanges.jsonl`: one exchange a line, in the order in which they were made, on one server: the request,
//! the status, and what has to be equal of the answer: `code` and `message` of an error, or the whole `answer`. Where a
//! text is ours, only the code is given. `{store1}` and its like stand for ids that earlier exchanges made (`save`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use support::Served;

#[derive(Debug, Deserialize)]
struct Exchange {
    name: String,
    method: String,
    path: String,
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    status: u16,
    code: Option<String>,
    message: Option<String>,
    answer: Option<Value>,
    /// A field of the answer, and the name that stands for it from now on.
    save: Option<(String, String)>,
}

/// Exchanges that there are at least.
const EXCHANGES_MIN: usize = 350;

fn fill(text: &str, ids: &BTreeMap<String, String>) -> String {
    ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
}

#[test]
fn every_exchange_is_answered_as_openfga_answers_it() {
    let server = Served::start();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .build()
        .into();
    let mut ids = BTreeMap::new();
    let another = agent.post(format!("{}/stores", server.url)).send(r#"{"name":"another"}"#);
    let another: Value = another.unwrap().body_mut().read_json().unwrap();
    ids.insert("another".to_owned(), another["id"].as_str().unwrap().to_owned());
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("wire/exchanges.jsonl").lines() {
        let exchange: Exchange = serde_json::from_str(line).unwrap();
        count += 1;
        let mut request = ureq::http::Request::builder().method(exchange.method.as_str()).uri(format!(
            "{}{}",
            server.url,
            fill(&exchange.path, &ids)
        ));
        for (name, value) in &exchange.headers {
            request = request.header(name, value);
        }
        let mut response = agent.run(request.body(fill(&exchange.body, &ids)).unwrap()).unwrap();
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if let Some((field, name)) = exchange.save {
            ids.insert(name, answer[&field].as_str().unwrap().to_owned());
        }
        let filled = |value: Value| serde_json::from_str::<Value>(&fill(&value.to_string(), &ids)).unwrap();
        let is_right = status == exchange.status
            && exchange.code.as_deref().is_none_or(|code| answer["code"] == code)
            && exchange.message.is_none_or(|message| answer["message"] == fill(&message, &ids).as_str())
            && exchange.answer.is_none_or(|expected| filled(expected) == answer);
        if !is_right {
            wrong.push(format!("{}: {status} {text}", exchange.name));
        }
    }
    println!("{count} exchanges");
    assert!(wrong.is_empty(), "{} of {count} are answered otherwise:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= EXCHANGES_MIN);
}

/// One asked for changes from a time that was to come, and failed when it had come.
#[test]
fn no_time_that_is_asked_for_passes_while_the_project_lives() {
    let exchanges = include_str!("wire/exchanges.jsonl").lines();
    let asked = exchanges.flat_map(|line| line.split("start_time=").skip(1));
    let years: Vec<u16> = asked.filter_map(|time| time.get(..4)?.parse().ok()).collect();
    assert!(years.len() >= 4 && years.iter().all(|year| !(2021..3000).contains(year)), "{years:?}");
}
