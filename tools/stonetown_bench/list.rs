//! Lists of objects over HTTP: one client, somebody who has a million.

use std::io::{BufRead, BufReader};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::bench::{Bench, Serving, agent};
use crate::report::{Line, budgets, median};
use crate::world::SCHEMA;

const ROW: &str = "list";
const OBJECTS: u64 = 1_000_000;
/// A line of the stream is shorter.
const LINE_BYTES: usize = 256;

/// What one list came to.
struct Listed {
    seconds: f64,
    first_line_seconds: f64,
    wrong: u64,
}

/// The row.
pub(crate) fn list(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let objects = bench.tuples(OBJECTS);
    // Each voice is of one who is its viewer, and of an organisation that another one is the admin of.
    let set = bench.data_set(&format!("list-{objects}"), SCHEMA, |out| {
        writeln!(out, "object,relation,subject")?;
        writeln!(out, "org:all,admin,user:admin")?;
        for voice in 0..objects {
            writeln!(out, "voice:{voice},viewer,user:direct")?;
            writeln!(out, "voice:{voice},org,org:all")?;
        }
        Ok(())
    })?;
    let serving = bench.serve(&set, &[])?;
    let mut lines = Vec::new();
    for (user, what) in [("direct", "a direct viewer of them"), ("admin", "an admin of their organisation")] {
        for streamed in [true, false] {
            // The first one is the warm-up.
            let warm = ask(&serving, user, objects, streamed)?;
            let all = (0..bench.rounds)
                .map(|_| ask(&serving, user, objects, streamed))
                .collect::<anyhow::Result<Vec<Listed>>>()?;
            let rates: Vec<f64> = all.iter().map(|it| objects as f64 / it.seconds).collect();
            let first = median(all.iter().map(|it| it.first_line_seconds * 1e3).collect());
            let how = if streamed { "streamed" } else { "as a whole" };
            let what = format!("list {objects} objects {how}, {what}");
            let mut line =
                Line::new(ROW, what, median(rates.clone()), "objects/s").detail("rates", json!(rates));
            line.wrong = warm.wrong + all.iter().map(|it| it.wrong).sum::<u64>();
            line = line
                .note(format!("{} after {first:.2} ms", if streamed { "first line" } else { "first byte" }))
                .detail("first_ms", json!(first));
            if streamed {
                let smaller = (objects < OBJECTS).then(|| format!("not judged: {objects} objects"));
                line = line.budget(budgets::LIST).not_judged(smaller);
            }
            lines.push(line);
        }
    }
    Ok(lines)
}

fn ask(serving: &Serving, user: &str, objects: u64, streamed: bool) -> anyhow::Result<Listed> {
    let verb = if streamed { "streamed-list-objects" } else { "list-objects" };
    let url = format!("{}{}", serving.server.url, serving.path(verb));
    let body = json!({ "type": "voice", "relation": "viewer", "user": format!("user:{user}") });
    let agent = agent();
    let begin = Instant::now();
    let mut answer = agent.post(&url).send_json(&body)?;
    if !answer.status().is_success() {
        bail!("{url}: {}", answer.body_mut().read_to_string()?);
    }
    let mut seen = Seen { is: vec![false; objects as usize], wrong: 0, count: 0 };
    let mut reader =
        BufReader::with_capacity(64 << 10, answer.body_mut().with_config().limit(1 << 32).reader());
    let mut first_line_seconds = None;
    if streamed {
        let mut line = Vec::with_capacity(LINE_BYTES);
        while reader.read_until(b'\n', &mut line)? > 0 {
            first_line_seconds.get_or_insert_with(|| begin.elapsed().as_secs_f64());
            seen.add(number_of(&line, b"{\"result\":{\"object\":\"voice:"));
            line.clear();
        }
    } else {
        reader.fill_buf()?;
        first_line_seconds = Some(begin.elapsed().as_secs_f64());
        let list: Value = serde_json::from_reader(reader)?;
        for object in list["objects"].as_array().context("the answer has no `objects`")? {
            seen.add(object.as_str().and_then(|text| number_of(text.as_bytes(), b"voice:")));
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let wrong = seen.wrong + (objects - seen.count);
    Ok(Listed { seconds, first_line_seconds: first_line_seconds.unwrap_or(seconds), wrong })
}

/// Which objects were listed.
struct Seen {
    is: Vec<bool>,
    wrong: u64,
    count: u64,
}

impl Seen {
    /// One more; it has to be one that exists and was not listed before.
    fn add(&mut self, number: Option<usize>) {
        match number.and_then(|number| self.is.get_mut(number)) {
            Some(is) if !*is => {
                *is = true;
                self.count += 1;
            }
            _ => self.wrong += 1,
        }
    }
}

/// The digits behind a prefix.
fn number_of(text: &[u8], prefix: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(prefix)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
