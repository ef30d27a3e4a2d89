use std::sync::atomic::{AtomicBool, Ordering};

use super::super::support::Served;
use super::clients::{Client, History, Known, Wanted};
use super::verify::verify;
use super::world::MODEL;

const WRITERS: usize = 3;
const READERS: usize = 5;

fn writes() -> usize {
    std::env::var("STONETOWN_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

fn run(arguments: &[&str]) {
    let server = Served::on(tempfile::tempdir().unwrap(), arguments);
    let made = Client::new(&server.url, 0).post("/stores", &serde_json::json!({ "name": "a store" }), None).1;
    let store = format!("{}/stores/{}", server.url, made["id"].as_str().unwrap());
    Client::new(&store, 0).post("/authorization-models", &serde_json::from_str(MODEL).unwrap(), None);
    let (known, stop) = (Known::default(), AtomicBool::new(false));
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut history = History::default();
    std::thread::scope(|scope| {
        let (known, stop, store) = (&known, &stop, &store);
        let client = |number: usize| Client::new(store, seed ^ number as u64);
        let readers: Vec<_> = (0..READERS)
            .map(|number| {
                let client = client(1_000 + number);
                scope.spawn(move || client.ask(known, stop))
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let client = client(number);
                scope.spawn(move || client.write(number, WRITERS, writes(), known))
            })
            .collect();
        writers.into_iter().for_each(|writer| history.writes.extend(writer.join().unwrap()));
        stop.store(true, Ordering::Release);
        readers.into_iter().for_each(|reader| history.answers.extend(reader.join().unwrap()));
    });
    verify(&mut history).unwrap_or_else(|problem| panic!("{problem}"));
    // What an answer says of its state is so: asked again there, it is the same.
    let again = Client::new(&store, 0);
    let step = (history.answers.len() / 500).max(1);
    for answer in history.answers.iter().step_by(step) {
        let asked = again.ask_one(answer.question.clone(), Some((Wanted::At(0), answer.token.clone())));
        assert_eq!(asked.says, answer.says, "asked again at its own token: {answer:?}");
    }
    let carried = history.answers.iter().filter(|answer| answer.wanted != Wanted::Newest).count();
    let (writes, answers) = (history.writes.len(), history.answers.len());
    println!("{writes} writes, {answers} answers explained, {carried} of them to questions with a token");
    assert!(answers > writes / 4, "too few questions to prove anything: {answers}");
}

#[test]
fn every_answer_is_explained_by_one_history() {
    run(&[]);
}

#[test]
fn every_answer_is_explained_by_one_history_also_when_decisions_are_kept() {
    run(&["--decision-cache-mib", "16"]);
}
