//! Changes of the schema with their tuples, and the tuples that a schema does not let in.

use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Client;
use super::answer::{Answer, unsure};
use super::tuples::tuples_json;
use crate::api::{ApplyForm, RemovedForm};
use crate::cli::target::OrphanPart;
use crate::engine::{ApplyRequest, OrphansUnder, Rename};
use crate::tuple::StoreId;

impl Client {
    pub(in crate::cli) fn apply(&self, request: &ApplyRequest) -> anyhow::Result<ApplyForm> {
        let path = format!("/stores/{}/apply", request.store);
        let answer = self.post(path, &apply_json(request)).patiently().send_for_any().map_err(unsure)?;
        // A conflict with a report: the schema would silence tuples.
        let report = answer.json().ok().map(|mut body| body["report"].take()).filter(|it| !it.is_null());
        if let Some(report) = report {
            return serde_json::from_value(report).map_err(|error| answer.unlike_ours(error));
        }
        answer.successful().map_err(unsure)?.form()
    }

    pub(in crate::cli) fn orphans(
        &self,
        store: StoreId,
        under: &OrphansUnder,
        limit: u64,
        visit: &mut dyn FnMut(OrphanPart) -> ControlFlow<()>,
    ) -> anyhow::Result<()> {
        let mut body = json!({ "limit": limit });
        match under {
            OrphansUnder::InForce => {}
            OrphansUnder::Stored(id) => body["schema_id"] = json!(id.to_string()),
            OrphansUnder::Given(schema) => body["schema"] = schema.to_json(),
        }
        let (answer, body) = self.post(format!("/stores/{store}/orphans"), &body).stream()?;
        let mut is_first = true;
        for line in BufReader::new(body).lines() {
            let line = line.with_context(|| {
                format!("the server at {} broke the list off: what came is not complete", self.url())
            })?;
            let part = match is_first {
                true => OrphanPart::Groups(read(&answer, &line)?),
                false => OrphanPart::Orphan(read(&answer, &line)?),
            };
            is_first = false;
            if visit(part).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(in crate::cli) fn remove_orphans(&self, store: StoreId) -> anyhow::Result<(RemovedForm, String)> {
        let call = self.post(format!("/stores/{store}/orphans/remove"), &json!({})).patiently();
        let answer = call.send().map_err(unsure)?;
        Ok((answer.form()?, answer.text("stonetown-token")?.to_owned()))
    }
}

fn read<T: DeserializeOwned>(answer: &Answer, line: &str) -> anyhow::Result<T> {
    serde_json::from_str(line).map_err(|error| answer.unlike_ours(error))
}

fn apply_json(request: &ApplyRequest) -> Value {
    let mut body =
        tuples_json((&request.writes, request.on_duplicate), (&request.deletes, request.on_missing));
    if let Some(schema) = &request.schema {
        body["schema"] = schema.to_json();
    }
    let renames = request.renames.iter().map(|rename| match rename {
        Rename::Type { old, new } => json!({ "type": old, "to": new }),
        Rename::Relation { object_type, old, new } => {
            json!({ "relation": format!("{object_type}#{old}"), "to": new })
        }
    });
    body["renames"] = renames.collect();
    let texts: Vec<String> = request.preconditions.iter().map(ToString::to_string).collect();
    body["preconditions"] = json!(texts);
    body["dry_run"] = json!(request.is_trial);
    body["allow_silenced"] = json!(request.allow_silenced);
    body
}
