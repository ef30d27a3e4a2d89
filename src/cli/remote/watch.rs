//! Watching a server: server-sent events, read as they come.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;

use anyhow::Context as _;

use super::Client;
use super::tuples::{ReadChange, change};
use crate::cli::target::Change;
use crate::tuple::StoreId;

impl Client {
    /// Visits the changes of a store as they are made, until the visitor has enough or the server ends. `last` is where
    /// to begin, and then the place behind what was visited: to go on there.
    pub(in crate::cli) fn watch(
        &self,
        store: StoreId,
        object_type: Option<&str>,
        last: &mut String,
        visit: &mut dyn FnMut(&Change) -> ControlFlow<()>,
    ) -> anyhow::Result<ControlFlow<()>> {
        let mut call = self.get(format!("/stores/{store}/watch")).query("after", &**last);
        if let Some(object_type) = object_type {
            call = call.query("type", object_type);
        }
        let (answer, body) = call.stream()?;
        let (mut id, mut data, mut kind) = (String::new(), String::new(), String::new());
        for line in BufReader::new(body).lines() {
            // A connection that breaks is one that ends: whoever watches begins again.
            let Ok(line) = line else { break };
            match line.split_once(": ") {
                Some(("id", text)) => text.clone_into(&mut id),
                Some(("event", text)) => text.clone_into(&mut kind),
                Some(("data", text)) => text.clone_into(&mut data),
                Some(_) => {}
                None => {
                    match kind.as_str() {
                        "change" | "purge" => {
                            let found: ReadChange = serde_json::from_str(&data)
                                .with_context(|| format!("an event of {} is `{data}`", self.url()))?;
                            if visit(&change(&answer, found)?).is_break() {
                                return Ok(ControlFlow::Break(()));
                            }
                        }
                        "error" => anyhow::bail!("the server at {} stopped: {data}", self.url()),
                        _ => {}
                    }
                    if !id.is_empty() {
                        std::mem::take(&mut id).clone_into(last);
                    }
                    kind.clear();
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
