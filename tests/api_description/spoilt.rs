use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::description::{Answer, Description, Operation};
use super::generate::{Generator, Made, Pool};
use super::server::{BODY_BYTES_MAX, Running, Store};
use super::spoil::{Spoilt, spoil};
use super::wire::Client;

/// The seed when none is given: a run that fails can be had again.
const SEED: u64 = 20_261_122;
const CASES: u64 = 10_000;
const THREADS: u64 = 4;
/// A longer path is not looked at.
const TARGET_BYTES_MAX: usize = 65_000;
/// Of so many requests one is left as it is.
const WHOLE_ONE_OF: u64 = 4;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What came of all requests.
#[derive(Default)]
struct Seen {
    /// By operation, of requests that were left as they were: how many, and how many of them succeeded.
    whole: BTreeMap<String, (u64, u64)>,
    /// By status, and by code of an error.
    answers: BTreeMap<String, u64>,
    failures: Vec<String>,
}

#[test]
fn spoilt_requests_are_refused_and_nothing_breaks() {
    let seed = setting("STONETOWN_SEED").unwrap_or(SEED);
    let cases = setting("STONETOWN_CASES").unwrap_or(CASES);
    println!("STONETOWN_SEED={seed} STONETOWN_CASES={cases}");
    let begun = Instant::now();
    let description = Description::read();
    let server = Running::start();
    let kept = server.store(&description, "kept");
    let pool = pool(&server, &description);
    let generator = Generator { description: &description, pool };
    let operations: Vec<&Operation> = description.operations.iter().filter(|it| !it.is_endless).collect();
    let (next, seen) = (AtomicU64::new(0), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut client = Client::new(server.address);
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= cases {
                        break;
                    }
                    let mut choices =
                        SmallRng::seed_from_u64(seed.wrapping_add(case.wrapping_mul(0x9e37_79b9)));
                    run(case, &generator, &operations, &mut choices, &mut client, &seen);
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    println!("{cases} requests in {:?}: {:?}", begun.elapsed(), seen.answers);
    for (operation, (sent, succeeded)) in &seen.whole {
        println!("{succeeded:>5} of {sent:>5} whole requests succeeded: {operation}");
    }
    let shown: Vec<_> = seen.failures.iter().take(8).cloned().collect();
    assert!(seen.failures.is_empty(), "{} failures:\n{}", seen.failures.len(), shown.join("\n\n"));
    if cases >= CASES {
        for (operation, (sent, succeeded)) in &seen.whole {
            assert!(*succeeded > 0, "none of {sent} whole requests succeeded: {operation}");
        }
    }
    still_answers(&server, &description, &kept);
}

/// Stores, and continuations of all kinds.
fn pool(server: &Running, description: &Description) -> Pool {
    let play = server.store(description, "play");
    let models = server.store(description, "models");
    let victims = (0..20).map(|number| server.store(description, &format!("victim {number}")).id).collect();
    let base = format!("/stores/{}", play.id);
    let mut places = vec![String::new()];
    let read = server.send("post", &format!("{base}/read"), &[], Some(&json!({ "page_size": 1 })));
    let changes = server.send("get", &format!("{base}/changes?page_size=1"), &[], None);
    let stores = server.send("get", "/stores?page_size=1", &[], None);
    for answer in [read, changes, stores] {
        places.push(answer.json()["continuation_token"].as_str().unwrap().to_owned());
    }
    let question = json!({ "type": "doc", "relation": "viewer", "user": "user:anne" });
    let list =
        server.send("post", &format!("{base}/list-objects"), &[("stonetown-limit", "1")], Some(&question));
    places.push(list.header("stonetown-continuation").unwrap().to_owned());
    Pool { play, models, victims, places }
}

fn run(
    case: u64,
    generator: &Generator<'_>,
    operations: &[&Operation],
    choices: &mut SmallRng,
    client: &mut Client,
    seen: &Mutex<Seen>,
) {
    let mut made = generator.request(choices, operations);
    let is_whole = choices.random_ratio(1, WHOLE_ONE_OF as u32);
    let mut spoilt = if is_whole { Spoilt::default() } else { spoil(&mut made, choices) };
    // The stores that requests are about have to stay.
    if made.request.method == "DELETE" && spoilt.is_elsewhere {
        made.request.method = "PATCH".to_owned();
    }
    let is_too_long = made.request.target.len() > TARGET_BYTES_MAX;
    spoilt.is_not_http |= is_too_long;
    let begun = Instant::now();
    let before = client.last.take();
    let answer = client.send(&made.request);
    if spoilt.is_not_http {
        client.hang_up();
    }
    let judged = match &answer {
        Ok(answer) => judge(generator.description, &made, &spoilt, answer),
        Err(_) if spoilt.is_not_http => Ok(()),
        Err(error) => Err(format!("no answer: {error}; before it on the connection: {before:?}")),
    };
    let mut seen = seen.lock().unwrap();
    if let Ok(answer) = &answer {
        let key = format!("{} {}", answer.status, answer.code()).trim_end().to_owned();
        *seen.answers.entry(key).or_default() += 1;
        if is_whole {
            let operation = format!("{} {}", made.operation.method, made.operation.path);
            let (sent, succeeded) = seen.whole.entry(operation).or_default();
            *sent += 1;
            *succeeded += u64::from(answer.status < 300);
        }
    }
    if let Err(problem) = judged {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(700)]).into_owned();
        let request = &made.request;
        seen.failures.push(format!(
            "case {case}, {:?}, {:?}: {problem}\n  {} {}\n  {:?}\n  {}\n  answer: {}",
            spoilt.done,
            begun.elapsed(),
            request.method,
            shown(&request.target),
            request
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", shown(value)))
                .collect::<Vec<_>>(),
            shown(&request.body),
            answer.map_or_else(|_| "-".to_owned(), |answer| format!("{} {}", answer.status, answer.text())),
        ));
    }
}

/// Whether an answer is one that such a request may have.
fn judge(description: &Description, made: &Made<'_>, spoilt: &Spoilt, answer: &Answer) -> Result<(), String> {
    if answer.status >= 500 {
        let is_too_large = made.request.body.len() > BODY_BYTES_MAX;
        let (code, number) = (answer.code(), answer.json()["error"]["code"].as_u64());
        let is_documented = match is_too_large {
            true => code == "resource_exhausted" || number == Some(8),
            false => code == "deadline_exceeded" || number == Some(4),
        };
        if !is_documented {
            return Err("a failure of the server".to_owned());
        }
    }
    if spoilt.is_not_http {
        return Ok(());
    }
    if spoilt.is_elsewhere {
        return judge_elsewhere(description, made, answer);
    }
    made.operation.check_answer(answer)?;
    let json = answer.json();
    if json["result"].as_object().is_some_and(|result| result.values().any(|one| one["error"].is_object())) {
        // One question of several was refused, as it should be.
        return Ok(());
    }
    if answer.status < 300 && !spoilt.is_beyond_schema {
        refutes(made).map_or(Ok(()), |problem| Err(format!("taken, though {problem}")))?;
    }
    Ok(())
}

/// What imports, exports and metrics answer in, beside JSON.
const OTHER_KINDS: [&str; 7] = [
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "application/x-ndjson",
    "text/csv; charset=utf-8",
    "text/plain; charset=utf-8",
    "application/yaml",
    "application/gzip",
    "application/zstd",
];

/// Of a request whose path or method is another one.
fn judge_elsewhere(description: &Description, made: &Made<'_>, answer: &Answer) -> Result<(), String> {
    if ["HEAD", "OPTIONS"].contains(&made.request.method.as_str()) || answer.status == 204 {
        return if answer.body.is_empty() { Ok(()) } else { Err("there is a body".to_owned()) };
    }
    let kind = answer.header("content-type");
    let is_stream = kind.is_some_and(|kind| OTHER_KINDS.contains(&kind)) && answer.status == 200;
    if is_stream {
        return Ok(());
    }
    if kind != Some("application/json") {
        return Err(format!("content type {:?}", answer.header("content-type")));
    }
    let json = answer.json();
    match answer.status {
        200..300 => Ok(()),
        400 | 404 if json.is_string() => description.check("AuthzenError", &json),
        400 | 404 if json["error"].is_object() => description.check("StreamError", &json),
        400 => description.check("BadRequestError", &json),
        404 => description.check("NotFoundError", &json),
        409 => description.check("ConflictError", &json),
        500 if json["error"].is_object() => description.check("StreamError", &json),
        500 => description.check("ServerError", &json),
        status => Err(format!("status {status} is not described")),
    }
}

/// Why a request does not fit the description.
fn refutes(made: &Made<'_>) -> Option<String> {
    for (name, text) in &made.query {
        let parameter = made.operation.parameters.iter().find(|it| it.name == *name);
        if let Some(Err(problem)) = parameter.map(|it| it.check(text)) {
            return Some(format!("parameter {name}: {problem}"));
        }
    }
    // A model may say things of relations that it does not have: nobody looks at them.
    let has_model = ["/authorization-models", "/apply", "/orphans"];
    if made.body.is_none() || has_model.iter().any(|path| made.operation.path.ends_with(path)) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_slice(&made.request.body).into_iter::<Value>();
    let Some(Ok(body)) = values.next() else { return None };
    made.operation.check_body(&body).err()
}

/// After everything: the store that no request was about answers as before, and the data holds together.
fn still_answers(server: &Running, description: &Description, kept: &Store) {
    for (user, allowed) in
        [("user:anne", true), ("user:carl", true), ("user:dora", true), ("user:bob", false)]
    {
        let question = json!({ "tuple_key": { "user": user, "relation": "viewer", "object": "doc:plan" } });
        let path = format!("/stores/{}/check", kept.id);
        let answer = server.ask(description, ("post", &path), &[], Some(&question), 200);
        assert_eq!(answer.json()["allowed"], allowed, "{user}");
    }
    let validation = server.engine.validate(&mut |_| {}).unwrap();
    assert!(validation.findings.is_empty(), "{:?}", validation.findings);
    assert!(validation.tuples >= 8, "{}", validation.tuples);
}
