//! Change safety asked of a server: access diffs, explanations, audits.

use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Client;
use super::tuples::tuples_json;
use crate::api::{AuditForm, DiffDetail, DiffEvent, DiffSummaryForm, ExplanationForm};
use crate::cli::read::tuple_json;
use crate::engine::{
    AccessDiffRequest, At, AuditQuestion, AuditTime, Context, DiffOf, ExplainRequest, Given, OnDuplicate,
    OnMissing, Permission,
};
use crate::tuple::{SchemaId, StoreId};

impl Client {
    pub(in crate::cli) fn access_diff(
        &self,
        request: &AccessDiffRequest,
        detail: DiffDetail,
        visit: &mut dyn FnMut(&DiffEvent) -> ControlFlow<()>,
    ) -> anyhow::Result<DiffSummaryForm> {
        let detail = match detail {
            DiffDetail::Lines => "lines",
            DiffDetail::Counts => "counts",
            DiffDetail::Summary => "summary",
        };
        let mut at = &At::Head;
        let mut body = match &request.of {
            DiffOf::Change { at: state, change } => {
                at = state;
                let mut body =
                    tuples_json((&change.writes, OnDuplicate::Replace), (&change.deletes, OnMissing::Error));
                if let Some(schema) = &change.schema {
                    body["schema"] = schema.to_json();
                }
                body
            }
            DiffOf::Times { from, to, now } => {
                let mut body = json!({ "from": state_text(from)?, "to": state_text(to)? });
                if let Some(now) = now {
                    body["now"] = json!(now.to_string());
                }
                body
            }
        };
        body["detail"] = json!(detail);
        body["only"] = only_json(&request.only);
        add_context(&mut body, &request.context);
        let path = format!("/stores/{}/access-diff", request.store);
        let (answer, lines) = self.post(path, &body).at(at).stream()?;
        for line in BufReader::new(lines).lines() {
            let line = line.with_context(|| {
                format!("the server at {} broke the diff off: what came is not complete", self.url())
            })?;
            let mut json: Value = serde_json::from_str(&line).map_err(|error| answer.unlike_ours(error))?;
            let unlike = |error: serde_json::Error| answer.unlike_ours(error);
            if json.get("summary").is_some() {
                return serde_json::from_value(json["summary"].take()).map_err(unlike);
            }
            if visit(&serde_json::from_value(json).map_err(unlike)?).is_break() {
                break;
            }
        }
        Err(answer.unlike_ours("the diff has no summary"))
    }

    pub(in crate::cli) fn explain(
        &self,
        store: StoreId,
        schema: Option<SchemaId>,
        at: &At,
        request: &ExplainRequest<'_>,
        given: &Given,
    ) -> anyhow::Result<(ExplanationForm, String)> {
        let tuple = request.tuple;
        let mut body = json!({
            "tuple_key": {
                "object": tuple.object.to_string(),
                "relation": tuple.relation,
                "user": tuple.subject.to_string(),
            },
            "proofs": request.proofs_max,
            "near_misses": request.misses_max,
        });
        if let Some(schema) = schema {
            body["authorization_model_id"] = json!(schema.to_string());
        }
        if !given.tuples.is_empty() {
            let keys: Vec<Value> = given.tuples.iter().map(tuple_json).collect();
            body["contextual_tuples"] = json!({ "tuple_keys": keys });
        }
        add_context(&mut body, &given.context);
        let answer = self.post(format!("/stores/{store}/explain"), &body).at(at).send()?;
        Ok((answer.form()?, answer.text("stonetown-token")?.to_owned()))
    }

    pub(in crate::cli) fn audit(
        &self,
        store: StoreId,
        question: &AuditQuestion,
        time: &AuditTime,
        context: &Context,
    ) -> anyhow::Result<AuditForm> {
        let mut body = match question {
            AuditQuestion::Who { object, relation } => {
                json!({ "object": object.to_string(), "relation": relation })
            }
            AuditQuestion::What { subject, only } => {
                json!({ "subject": subject.to_string(), "only": only_json(only) })
            }
        };
        let mut at = &At::Head;
        match time {
            AuditTime::At(state) => at = state,
            AuditTime::Between(from, to) => {
                body["from"] = json!(from.to_string());
                body["to"] = json!(to.to_string());
            }
        }
        add_context(&mut body, context);
        self.post(format!("/stores/{store}/audit"), &body).at(at).patiently().send()?.form()
    }
}

fn add_context(body: &mut Value, context: &Context) {
    if !context.is_empty() {
        body["context"] = context.to_json();
    }
}

fn only_json(only: &[Permission]) -> Value {
    only.iter().map(|(of, relation)| Value::String(format!("{of}#{relation}"))).collect()
}

/// A state as a text; the newest one: none.
fn state_text(at: &At) -> anyhow::Result<String> {
    match at {
        At::Head => Ok(String::new()),
        At::Token(token) | At::AtLeast(token) => Ok(token.clone()),
        At::Time(time) => Ok(time.to_string()),
    }
}
