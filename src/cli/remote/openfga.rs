//! A store on any server that speaks OpenFGA's API: what a migration reads of it.

use std::ops::ControlFlow;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use crate::bulk::TupleJson;
use crate::tuple::{Tuple, TupleKey};

/// Entries of a page: the most that OpenFGA gives.
const PAGE: &str = "100";

/// A store on a server that speaks OpenFGA's API.
pub(in crate::cli) struct Source {
    client: Client,
    store: String,
}

/// An authorization model of the source.
pub(in crate::cli) struct Model {
    pub(in crate::cli) id: String,
    pub(in crate::cli) document: Value,
}

/// A change of the source.
pub(in crate::cli) enum SourceChange {
    Write(Tuple),
    Delete(TupleKey),
}

#[derive(Deserialize)]
struct TuplesPage {
    #[serde(default)]
    tuples: Vec<Found>,
    #[serde(default)]
    continuation_token: String,
}

#[derive(Deserialize)]
struct Found {
    key: TupleJson,
}

#[derive(Deserialize)]
struct ChangesPage {
    #[serde(default)]
    changes: Vec<FoundChange>,
    #[serde(default)]
    continuation_token: String,
}

#[derive(Deserialize)]
struct FoundChange {
    tuple_key: Option<TupleJson>,
    #[serde(default)]
    operation: String,
}

impl Source {
    /// The store of an id, or the only one.
    pub(in crate::cli) fn open(client: Client, store: Option<&str>) -> anyhow::Result<Source> {
        if let Some(store) = store {
            client.get(format!("/stores/{store}")).send().context("the store to be migrated")?;
            return Ok(Source { client, store: store.to_owned() });
        }
        let answer = client.get("/stores").query("page_size", PAGE).send()?.json()?;
        let stores = answer["stores"].as_array().map_or(&[][..], Vec::as_slice);
        match stores {
            [store] => {
                let store = store["id"].as_str().context("a store without an id")?.to_owned();
                Ok(Source { client, store })
            }
            [] => anyhow::bail!("there is no store at {}", client.url()),
            _ => anyhow::bail!("{} has {} stores: say which with `--from-store`", client.url(), stores.len()),
        }
    }

    pub(in crate::cli) fn store(&self) -> &str {
        &self.store
    }

    fn path(&self, rest: &str) -> String {
        format!("/stores/{}/{rest}", self.store)
    }

    /// All models, oldest first.
    pub(in crate::cli) fn models(&self) -> anyhow::Result<Vec<Model>> {
        let mut models = Vec::new();
        let mut place = String::new();
        loop {
            let call = self.client.get(self.path("authorization-models")).query("page_size", "50");
            let page = call.query("continuation_token", &*place).send()?.json()?;
            for model in page["authorization_models"].as_array().into_iter().flatten() {
                let id = model["id"].as_str().context("an authorization model without an id")?.to_owned();
                models.push(Model { id, document: model.clone() });
            }
            place = page["continuation_token"].as_str().unwrap_or("").to_owned();
            if place.is_empty() {
                models.reverse();
                return Ok(models);
            }
        }
    }

    /// The id of the newest model; none: there is none.
    pub(in crate::cli) fn latest_model(&self) -> anyhow::Result<Option<String>> {
        let call = self.client.get(self.path("authorization-models")).query("page_size", "1");
        let page = call.send()?.json()?;
        Ok(page["authorization_models"][0]["id"].as_str().map(str::to_owned))
    }

    /// The assertions of a model.
    pub(in crate::cli) fn assertions(&self, model: &str) -> anyhow::Result<Vec<Value>> {
        let mut answer = self.client.get(self.path(&format!("assertions/{model}"))).send()?.json()?;
        Ok(match answer["assertions"].take() {
            Value::Array(all) => all,
            _ => Vec::new(),
        })
    }

    /// Visits all tuples, a page at a time.
    pub(in crate::cli) fn tuples(
        &self,
        visit: &mut dyn FnMut(Vec<Tuple>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let mut place = String::new();
        loop {
            let body = json!({ "page_size": 100, "continuation_token": place });
            let page: TuplesPage = self.client.post(self.path("read"), &body).send()?.form()?;
            let tuples =
                page.tuples.into_iter().map(|found| read(found.key)).collect::<anyhow::Result<_>>()?;
            place = page.continuation_token;
            if visit(tuples)?.is_break() || place.is_empty() {
                return Ok(());
            }
        }
    }

    /// A page of the change log behind a place; without one, from a time on.
    fn page_of_changes(&self, place: &str, since: &str) -> anyhow::Result<ChangesPage> {
        let call = self.client.get(self.path("changes")).query("page_size", PAGE);
        let call = match place {
            "" => call.query("start_time", since),
            place => call.query("continuation_token", place),
        };
        call.send()?.form()
    }

    /// Where the change log ends now, looked for from a time on.
    pub(in crate::cli) fn end_of_changes(&self, since: &str) -> anyhow::Result<String> {
        let mut place = String::new();
        loop {
            let page = self.page_of_changes(&place, since)?;
            if page.changes.is_empty() {
                return Ok(if page.continuation_token.is_empty() { place } else { page.continuation_token });
            }
            place = page.continuation_token;
        }
    }

    /// The next changes behind a place (where nothing had changed since a time, behind that), and the place behind them.
    pub(in crate::cli) fn changes(
        &self,
        place: &str,
        since: &str,
    ) -> anyhow::Result<(Vec<SourceChange>, String)> {
        let page = self.page_of_changes(place, since)?;
        let mut changes = Vec::with_capacity(page.changes.len());
        for change in page.changes {
            // A purge of ours names nothing.
            let Some(key) = change.tuple_key else { continue };
            changes.push(match &*change.operation {
                "TUPLE_OPERATION_DELETE" => SourceChange::Delete(read(key)?.key),
                _ => SourceChange::Write(read(key)?),
            });
        }
        Ok((changes, page.continuation_token))
    }

    /// The answer to a check under a model; none: an error.
    pub(in crate::cli) fn check(&self, model: &str, tuple: &TupleKey) -> anyhow::Result<Option<bool>> {
        let body = json!({
            "tuple_key": {
                "object": tuple.object.to_string(),
                "relation": tuple.relation.as_str(),
                "user": tuple.subject.to_string(),
            },
            "authorization_model_id": model,
        });
        match self.client.post(self.path("check"), &body).send() {
            Ok(answer) => Ok(answer.json()?["allowed"].as_bool()),
            Err(error) if error.is::<super::answer::Refused>() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn read(key: TupleJson) -> anyhow::Result<Tuple> {
    key.into_tuple().map_err(|problem| anyhow::anyhow!("a tuple of the source: {problem}"))
}
