use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::Disk;
use crate::support::Served;
use crate::support::client::{Answer, Client, key};

pub(super) const SCHEMA: &str = "model
  schema 1.1

type user

type doc
  relations
    define viewer: [user]
    define reader: viewer
";

/// Tuples of one write.
const PART: usize = 50;

/// The parts that were written to a store, and those that nobody knows of.
#[derive(Default)]
pub(super) struct Written {
    parts: usize,
    unknown: Vec<usize>,
}

pub(super) fn serve(dir: tempfile::TempDir, disk: &Disk, arguments: &[&str]) -> Served {
    let environment = disk.environment();
    let environment = environment.iter().map(|(name, value)| (*name, value.as_os_str()));
    Served::within(dir, arguments, environment)
}

/// The document of a tuple: long, so that a disk is full soon.
fn doc(part: usize, number: usize) -> String {
    format!("doc:{part:05}-{number:02}-{}", "x".repeat(60))
}

impl Written {
    /// Writes parts until one is refused, which it answers with.
    pub(super) fn until_refused(&mut self, client: &Client) -> Result<Answer> {
        for _ in 0..20_000 {
            if let Some(refusal) = self.one(client) {
                return Ok(refusal);
            }
        }
        anyhow::bail!("the disk is never full: does the shim work?")
    }

    /// Writes some parts, which have to be taken.
    pub(super) fn some(&mut self, client: &Client, parts: usize) -> Result<()> {
        for _ in 0..parts {
            if let Some(refusal) = self.one(client) {
                anyhow::bail!("{refusal:?}");
            }
        }
        Ok(())
    }

    fn one(&mut self, client: &Client) -> Option<Answer> {
        let part = self.parts + self.unknown.len();
        let keys: Vec<Value> =
            (0..PART).map(|number| key(&format!("{} viewer user:anne", doc(part, number)))).collect();
        let answer = client.write_keys(keys);
        if answer.status == 200 {
            self.parts += 1;
            return None;
        }
        self.unknown.push(part);
        Some(answer)
    }

    /// Whether everything that was acknowledged is there, by a list, checks and pages, and of everything else nothing, or
    /// all of a part.
    pub(super) fn is_there(&mut self, client: &Client) -> Result<()> {
        let objects: BTreeSet<String> = client.objects("doc", "reader", "user:anne").into_iter().collect();
        let mut expected = BTreeSet::new();
        let unknown = std::mem::take(&mut self.unknown);
        let all = self.parts + unknown.len();
        for part in 0..all {
            let docs: Vec<String> = (0..PART).map(|number| doc(part, number)).collect();
            let found = docs.iter().filter(|doc| objects.contains(*doc)).count();
            match (unknown.contains(&part), found) {
                (false, PART) => {}
                (true, 0) => continue,
                (true, PART) => println!("part {part} was not acknowledged, and is there"),
                (is_unknown, found) => {
                    anyhow::bail!("{found} of part {part} of {all}, unknown: {is_unknown}")
                }
            }
            expected.extend(docs);
        }
        ensure!(objects == expected, "{} objects, expected {}", objects.len(), expected.len());
        // From now on they are known, by numbers that are not used again.
        self.unknown = unknown;
        for doc in [expected.first(), expected.last()].into_iter().flatten() {
            ensure!(client.allows(&format!("{doc} reader user:anne")), "{doc}");
            ensure!(!client.allows(&format!("{doc} reader user:bob")), "{doc}");
        }
        let (mut seen, mut token) = (0, String::new());
        loop {
            let page =
                client.post("read", &json!({ "page_size": 100, "continuation_token": token })).granted();
            seen += page.body["tuples"].as_array().unwrap().len();
            token = page.body["continuation_token"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        ensure!(seen == expected.len(), "{seen} tuples are read, {} expected", expected.len());
        Ok(())
    }
}

/// Everything that changes something is refused, in words that say what to do.
pub(super) fn refuses(client: &Client, remedy: &str) -> Result<()> {
    let store = client.send("POST", "/stores", &json!({ "name": "another" }), &[]);
    let tree = stonetown::schema::read_schema("test.fga", SCHEMA)?.0.to_json();
    let schema = client.post("authorization-models", &tree);
    let write = client.write_keys(vec![key("doc:late viewer user:anne")]);
    for answer in [store, schema, write] {
        is_refusal(&answer, remedy)?;
    }
    Ok(())
}

pub(super) fn is_refusal(answer: &Answer, remedy: &str) -> Result<()> {
    let text = answer.body["message"].as_str().unwrap_or_default();
    ensure!(answer.status >= 500 && answer.body["code"] == "unavailable", "{answer:?}");
    ensure!(text.contains(remedy) && text.contains("restart the server"), "{text}");
    Ok(())
}
