//! Tuples: write, read, changes. Lists come page by page; a read sees one state, whatever is written meanwhile.

use std::ops::ControlFlow;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use super::answer::{Answer, Refused};
use super::call::Call;
use crate::bulk::TupleJson;
use crate::cli::read::tuple_json;
use crate::cli::target::{Change, Written};
use crate::engine::{At, ChangesFrom, ChangesRequest, OnDuplicate, OnMissing, ReadRequest, WriteRequest};
use crate::storage::ChangeKind;
use crate::tuple::{Timestamp, Tuple, TupleKey};

/// Entries of a page.
const PAGE: &str = "1000";

#[derive(Deserialize)]
struct TuplesPage {
    tuples: Vec<ReadTuple>,
    continuation_token: String,
}

#[derive(Deserialize)]
struct ReadTuple {
    key: TupleJson,
}

#[derive(Deserialize)]
struct ChangesPage {
    changes: Vec<ReadChange>,
    continuation_token: String,
}

#[derive(Deserialize)]
pub(super) struct ReadChange {
    tuple_key: Option<TupleJson>,
    timestamp: String,
    kind: String,
    revision: u64,
}

impl Call<'_> {
    /// Asked of a state.
    pub(super) fn at(self, at: &At) -> Self {
        match at {
            At::Head => self,
            At::AtLeast(token) => self.header("stonetown-at-least", token),
            At::Token(token) => self.header("stonetown-at", token),
            At::Time(time) => self.header("stonetown-at", time.to_string()),
        }
    }
}

impl Client {
    pub(in crate::cli) fn write(&self, request: WriteRequest, key: Option<&str>) -> anyhow::Result<Written> {
        let total = request.writes.len() + request.deletes.len();
        let path = format!("/stores/{}/write", request.store);
        let mut call = self.post(path, &write_json(&request));
        if let Some(key) = key {
            call = call.header("idempotency-key", key);
        }
        match call.send() {
            Ok(answer) => Ok(Written {
                changed: answer.number("stonetown-changed")?,
                revision: answer.number("stonetown-revision")?,
                token: answer.text("stonetown-token")?.to_owned(),
            }),
            Err(error) => Err(match error.downcast_ref::<Refused>().map(|refused| &*refused.code) {
                Some("exceeded_entity_limit") => error.context(format!(
                    "{total} tuples are more than the server at {} takes in one write: split them, or have it started \
                     with `stonetown serve --write-tuples-max {total}`",
                    self.url
                )),
                Some("resource_exhausted") => error.context(format!(
                    "{total} tuples are more bytes than the server at {} takes in one write: split them, or have it \
                     started with a larger `stonetown serve --body-bytes-max`",
                    self.url
                )),
                _ => error,
            }),
        }
    }

    pub(in crate::cli) fn read(
        &self,
        request: &ReadRequest,
        visit: &mut dyn FnMut(&Tuple) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        let path = format!("/stores/{}/read", request.store);
        let mut at = request.at.clone();
        let mut place = String::new();
        loop {
            let body = json!({ "filter": request.filter.to_string(), "continuation_token": place });
            let answer = self.post(&*path, &body).header("stonetown-limit", PAGE).at(&at).send()?;
            let page: TuplesPage = answer.form()?;
            for found in page.tuples {
                if visit(&tuple(&answer, found.key)?).is_break() {
                    return Ok(());
                }
            }
            if page.continuation_token.is_empty() {
                return Ok(());
            }
            place = page.continuation_token;
            at = At::Token(answer.text("stonetown-token")?.to_owned());
        }
    }

    pub(in crate::cli) fn changes(
        &self,
        request: &ChangesRequest,
        visit: &mut dyn FnMut(&Change) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        let path = format!("/stores/{}/changes", request.store);
        let mut place = String::new();
        loop {
            let mut call =
                self.get(&*path).header("stonetown-limit", PAGE).query("continuation_token", &*place);
            call = call.query("purges", "true");
            if let Some(object_type) = &request.object_type {
                call = call.query("type", object_type);
            }
            if let ChangesFrom::After(token) = &request.from {
                call = call.query("after", token);
            }
            let answer = call.send()?;
            let page: ChangesPage = answer.form()?;
            // The log's own token never ends: its end is where nothing comes.
            if page.changes.is_empty() {
                return Ok(());
            }
            for found in page.changes {
                if visit(&change(&answer, found)?).is_break() {
                    return Ok(());
                }
            }
            place = page.continuation_token;
        }
    }
}

/// `writes` and `deletes`, those of them that there are.
pub(super) fn tuples_json(
    (writes, on_duplicate): (&[Tuple], OnDuplicate),
    (deletes, on_missing): (&[TupleKey], OnMissing),
) -> Value {
    let key_json = |key: &TupleKey| tuple_json(&Tuple::plain(key.clone()));
    let mut body = json!({});
    if !writes.is_empty() {
        let on_duplicate = match on_duplicate {
            OnDuplicate::Error => "error",
            OnDuplicate::Ignore => "ignore",
            OnDuplicate::Replace => "replace",
        };
        let keys: Vec<Value> = writes.iter().map(tuple_json).collect();
        body["writes"] = json!({ "tuple_keys": keys, "on_duplicate": on_duplicate });
    }
    if !deletes.is_empty() {
        let on_missing = match on_missing {
            OnMissing::Error => "error",
            OnMissing::Ignore => "ignore",
        };
        let keys: Vec<Value> = deletes.iter().map(key_json).collect();
        body["deletes"] = json!({ "tuple_keys": keys, "on_missing": on_missing });
    }
    body
}

fn write_json(request: &WriteRequest) -> Value {
    let mut body =
        tuples_json((&request.writes, request.on_duplicate), (&request.deletes, request.on_missing));
    if !request.preconditions.is_empty() {
        let texts: Vec<String> = request.preconditions.iter().map(ToString::to_string).collect();
        body["preconditions"] = json!(texts);
    }
    if let Some(schema) = request.schema {
        body["authorization_model_id"] = json!(schema.to_string());
    }
    body
}

fn tuple(answer: &Answer, json: TupleJson) -> anyhow::Result<Tuple> {
    json.into_tuple().map_err(|problem| answer.unlike_ours(problem))
}

pub(super) fn change(answer: &Answer, found: ReadChange) -> anyhow::Result<Change> {
    let kind = match found.kind.as_str() {
        "written" => ChangeKind::Written,
        "replaced" => ChangeKind::Replaced,
        "deleted" => ChangeKind::Deleted,
        "expired" => ChangeKind::Expired,
        "purged" => ChangeKind::Purged,
        other => return Err(answer.unlike_ours(format_args!("a change is `{other}`"))),
    };
    let time: Timestamp = found.timestamp.parse().context("the time of a change")?;
    let tuple = found.tuple_key.map(|key| tuple(answer, key)).transpose()?;
    Ok(Change { revision: found.revision, time, kind, tuple })
}
