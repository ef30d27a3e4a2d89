//! Questions: check and expand.

use anyhow::Context as _;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::Client;
use super::answer::Answer;
use crate::api::read_expansion;
use crate::cli::read::tuple_json;
use crate::cli::target::{Checked, Expanded};
use crate::engine::{CheckRequest, ExpandRequest, Follow};
use crate::eval::Work;

/// How deep JSON may be nested: a hop of an expansion takes six levels or so, and a hundred hops can be asked for.
pub(super) const NESTING_MAX: usize = 4_000;

impl Client {
    pub(in crate::cli) fn check(
        &self,
        request: &CheckRequest<'_>,
        with_period: bool,
    ) -> anyhow::Result<Checked> {
        let tuple = request.tuple;
        let mut body = json!({ "tuple_key": {
            "object": tuple.object.to_string(),
            "relation": tuple.relation,
            "user": tuple.subject.to_string(),
        } });
        if !request.given.tuples.is_empty() {
            let keys: Vec<Value> = request.given.tuples.iter().map(tuple_json).collect();
            body["contextual_tuples"] = json!({ "tuple_keys": keys });
        }
        if let Some(schema) = request.schema {
            body["authorization_model_id"] = json!(schema.to_string());
        }
        if !request.given.context.is_empty() {
            body["context"] = request.given.context.to_json();
        }
        if with_period {
            body["period"] = json!(true);
        }
        let call = self.post(format!("/stores/{}/check", request.store), &body).at(&request.at);
        let answer = call.header("stonetown-work", "yes").send()?;
        let mut body = answer.json()?;
        let allowed = body["allowed"].as_bool();
        let period = match body["period"].take() {
            Value::Null => None,
            period => {
                Some(serde_json::from_value(period).map_err(|_| answer.unlike_ours("no readable `period`"))?)
            }
        };
        Ok(Checked {
            allowed: allowed.ok_or_else(|| answer.unlike_ours("no `allowed`"))?,
            schema: answer.text("openfga-authorization-model-id")?.to_owned(),
            token: answer.text("stonetown-token")?.to_owned(),
            work: work(&answer)?,
            period,
        })
    }

    pub(in crate::cli) fn expand(&self, request: ExpandRequest<'_>) -> anyhow::Result<Expanded> {
        let depth = match request.follow {
            Follow::OneLevel => 0,
            Follow::Hops(hops) => hops,
        };
        let mut body = json!({
            "tuple_key": { "object": request.object.to_string(), "relation": request.relation },
            "depth": depth,
        });
        if let Some(schema) = request.schema {
            body["authorization_model_id"] = json!(schema.to_string());
        }
        let call = self.post(format!("/stores/{}/expand", request.store), &body).at(&request.at);
        let answer = call.send()?;
        let root = read_deep(&answer.body).as_ref().and_then(|body| read_expansion(&body["expansion"]));
        Ok(Expanded {
            root: root.ok_or_else(|| answer.unlike_ours("its `expansion` has another form"))?,
            token: answer.text("stonetown-token")?.to_owned(),
        })
    }
}

fn work(answer: &Answer) -> anyhow::Result<Work> {
    let text = answer.text("stonetown-work")?;
    let numbers: Result<Vec<u64>, _> = text.split(' ').map(str::parse).collect();
    match numbers.context("header `stonetown-work`")?.as_slice() {
        &[gets, scans, rows] => Ok(Work { gets, scans, rows }),
        _ => Err(answer.unlike_ours(format_args!("header `stonetown-work` is `{text}`"))),
    }
}

/// JSON that is nested deeper than is usually read.
fn read_deep(body: &[u8]) -> Option<Value> {
    if nesting(body) > NESTING_MAX {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    reader.disable_recursion_limit();
    Value::deserialize(&mut reader).ok()
}

/// How many brackets outside of texts are open at once, at most.
pub(super) fn nesting(body: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => open += 1,
            b'}' | b']' if !is_text => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}
