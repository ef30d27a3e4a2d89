//! Stores, and the data directory as a whole.

use std::num::NonZero;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use ureq::http::StatusCode;

use super::Client;
use super::answer::{Answer, Refused, unsure};
use crate::api::{
    BackupDoneForm, CollectForm, CompactedForm, DeletedForm, PurgeForm, RetentionForm, StatsForm, StoreForm,
    ValidationForm,
};
use crate::engine::{DeleteRequest, DeleteWhat, StorageError, TupleFilter};
use crate::tuple::{Object, StoreId, Timestamp};

const NAME_HELP: &str =
    "a store on a server needs a name: 3 to 64 letters, digits, spaces or any of . - / ^ _ & @";

impl Client {
    pub(in crate::cli) fn create_store(&self, name: Option<String>) -> anyhow::Result<StoreForm> {
        let name = name.with_context(|| format!("{NAME_HELP}: pass `--name`"))?;
        let answer = match self.post("/stores", &json!({ "name": name })).send() {
            Err(error) if error.is::<Refused>() => return Err(error.context(NAME_HELP)),
            answer => answer.map_err(unsure)?,
        };
        store_form(&answer, &answer.json()?)
    }

    pub(in crate::cli) fn list_stores(&self) -> anyhow::Result<Vec<StoreForm>> {
        let mut stores = Vec::new();
        let mut place = String::new();
        loop {
            let answer = self.get("/stores").query("page_size", "100").query("continuation_token", place);
            let answer = answer.send()?;
            let page = answer.json()?;
            for store in page["stores"].as_array().into_iter().flatten() {
                stores.push(store_form(&answer, store)?);
            }
            match page["continuation_token"].as_str() {
                None | Some("") => return Ok(stores),
                Some(next) => place = next.to_owned(),
            }
        }
    }

    pub(in crate::cli) fn has_store(&self, store: StoreId) -> anyhow::Result<bool> {
        match self.get(format!("/stores/{store}")).send() {
            Ok(_) => Ok(true),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) if refused.status == StatusCode::NOT_FOUND => Ok(false),
                _ => Err(error),
            },
        }
    }

    pub(in crate::cli) fn delete_store(&self, store: StoreId) -> anyhow::Result<()> {
        // The server does not tell whether it was there.
        anyhow::ensure!(self.has_store(store)?, StorageError::NoStore(store));
        self.delete(format!("/stores/{store}")).send().map(drop).map_err(unsure)
    }

    pub(in crate::cli) fn store_stats(&self, store: StoreId) -> anyhow::Result<StatsForm> {
        self.get(format!("/stores/{store}/stats")).send()?.form()
    }

    pub(in crate::cli) fn retention(&self, store: StoreId) -> anyhow::Result<RetentionForm> {
        self.get(format!("/stores/{store}/retention")).send()?.form()
    }

    pub(in crate::cli) fn set_retention(
        &self,
        store: StoreId,
        retention: &str,
    ) -> anyhow::Result<RetentionForm> {
        let body = json!({ "retention": retention });
        self.put(format!("/stores/{store}/retention"), &body).send().map_err(unsure)?.form()
    }

    pub(in crate::cli) fn collect(
        &self,
        store: StoreId,
        before: Option<Timestamp>,
    ) -> anyhow::Result<CollectForm> {
        let body = json!({ "before": before.map(|time| time.to_string()) });
        self.post(format!("/stores/{store}/collect"), &body).patiently().send().map_err(unsure)?.form()
    }

    pub(in crate::cli) fn purge(
        &self,
        store: StoreId,
        object: &Object,
        compact: bool,
    ) -> anyhow::Result<PurgeForm> {
        let body = json!({ "object": object.to_string(), "compact": compact });
        self.post(format!("/stores/{store}/purge"), &body).patiently().send().map_err(unsure)?.form()
    }

    pub(in crate::cli) fn delete_tuples(
        &self,
        request: &DeleteRequest,
    ) -> anyhow::Result<(DeletedForm, String)> {
        let mut body = json!({ "step": request.step, "dry_run": request.is_trial });
        match &request.what {
            // The text of a filter that matches all is empty, which nobody means by chance.
            DeleteWhat::Matching(filter) if *filter == TupleFilter::default() => body["filter"] = json!("@*"),
            DeleteWhat::Matching(filter) => body["filter"] = json!(filter.to_string()),
            DeleteWhat::Naming(object) => body["object"] = json!(object.to_string()),
        }
        let path = format!("/stores/{}/delete", request.store);
        let answer = self.post(path, &body).patiently().send().map_err(unsure)?;
        let token = answer.text("stonetown-token")?.to_owned();
        Ok((answer.form()?, token))
    }

    pub(in crate::cli) fn compact(&self) -> anyhow::Result<CompactedForm> {
        self.post("/compact", &json!({})).patiently().send().map_err(unsure)?.form()
    }

    pub(in crate::cli) fn backup(
        &self,
        place: &Path,
        keep: Option<NonZero<usize>>,
    ) -> anyhow::Result<BackupDoneForm> {
        let place = place.to_str().with_context(|| format!("`{}` is not UTF-8", place.display()))?;
        let body = json!({ "directory": place, "keep": keep.map(NonZero::get) });
        self.post("/backup", &body).patiently().send().map_err(unsure)?.form()
    }

    pub(in crate::cli) fn validate(&self) -> anyhow::Result<ValidationForm> {
        self.post("/validate", &json!({})).patiently().send()?.form()
    }
}

/// A store from OpenFGA's form of it, which has no store without a name, and pads times.
fn store_form(answer: &Answer, store: &serde_json::Value) -> anyhow::Result<StoreForm> {
    let text =
        |field: &str| store[field].as_str().ok_or_else(|| answer.unlike_ours(format_args!("no `{field}`")));
    let time = |field: &str| anyhow::Ok(text(field)?.parse::<Timestamp>()?.to_string());
    Ok(StoreForm {
        id: text("id")?.to_owned(),
        name: Some(text("name")?.to_owned()).filter(|name| !name.is_empty()),
        created_at: time("created_at")?,
        updated_at: time("updated_at")?,
    })
}
