//! Importing into a server: the lines of any files, as JSON lines, request by request; each is kept before the next is sent.

use std::io::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Client;
use crate::api::ImportedForm;
use crate::bulk::{BadLines, Doing, ImportOptions, Input, Next, Position, Reason, TupleLines, Way};
use crate::cli::import::Imported;
use crate::cli::read::tuple_json;
use crate::engine::{OnDuplicate, Place};
use crate::tuple::{SchemaId, StoreId, Tuple};

/// Bytes of a request.
const REQUEST_BYTES: usize = 4 << 20;
/// Bytes of a request by files: each becomes a sorted run.
const REQUEST_BYTES_FILES: usize = 48 << 20;

impl Client {
    /// Imports every line of the inputs.
    pub(in crate::cli) fn import(
        &self,
        options: &ImportOptions,
        inputs: &[Input],
        bad: &mut BadLines,
        doing: &dyn Fn(Doing),
    ) -> anyhow::Result<Imported> {
        let name: String = options.identity.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut upload = Upload {
            client: self,
            options,
            name,
            inputs,
            sent: 0,
            taken: 0,
            body: Vec::new(),
            places: Vec::new(),
        };
        // Of a trial nothing is kept.
        if !options.restart && !options.is_trial {
            upload.taken = upload.ask()?;
        }
        let is_resumed = upload.taken > 0;
        bad.begin(is_resumed).context("the report of bad lines cannot be written")?;
        let mut resumed = None;
        let mut written = Imported::default();
        let (mut bytes, mut is_first) = (0, true);
        let limit = if options.way == Way::Files { REQUEST_BYTES_FILES } else { REQUEST_BYTES };
        for (number, input) in inputs.iter().enumerate() {
            let mut lines = TupleLines::open(input, Position::default())?;
            while let Some(line) = lines.next()? {
                let place = Place { input: number as u32, line: line.line };
                let is_known = upload.sent < upload.taken;
                match line.tuple {
                    Err(_) if is_known => {}
                    Err(reason) => {
                        if bad.take(&input.name(), line.line, &reason, line.text)? == Next::Stop {
                            return Ok(Imported { resumed, ..written.ended() });
                        }
                    }
                    Ok(_) if is_known => {
                        upload.note(place);
                        resumed = Some(place);
                    }
                    Ok(tuple) => {
                        upload.add(place, &tuple_json(&tuple.to_owned()))?;
                        if upload.body.len() >= limit {
                            let is_begin = std::mem::take(&mut is_first) && !is_resumed;
                            if !upload.send(true, is_begin, bad, &mut written)? {
                                return Ok(Imported { resumed, ..written.ended() });
                            }
                            doing(Doing::Reading { bytes: bytes + lines.bytes_read(), tuples: upload.sent });
                        }
                    }
                }
            }
            bytes += lines.bytes_read();
        }
        let is_begin = is_first && !is_resumed;
        let is_whole = upload.send(false, is_begin, bad, &mut written)?;
        bad.flush()?;
        Ok(if is_whole { Imported { resumed, ..written } } else { Imported { resumed, ..written.ended() } })
    }
}

struct Upload<'a> {
    client: &'a Client,
    options: &'a ImportOptions,
    name: String,
    inputs: &'a [Input],
    /// Tuples that the server has, those of the body included.
    sent: u64,
    /// Tuples that it had before.
    taken: u64,
    body: Vec<u8>,
    /// Where tuples stand, of those where lines do not follow each other.
    places: Vec<(u64, Place)>,
}

impl Upload<'_> {
    /// How many lines of this import the server has taken before.
    fn ask(&self) -> anyhow::Result<u64> {
        let answer = self.call_query(self.client.get(self.path())).send()?;
        answer.json()?["line"].as_u64().context("the server does not say how far the import has come")
    }

    fn path(&self) -> String {
        format!("/stores/{}/import", self.options.store)
    }

    fn call_query<'c>(&self, call: super::call::Call<'c>) -> super::call::Call<'c> {
        let way = if self.options.way == Way::Files { "files" } else { "live" };
        let on_duplicate = match self.options.on_duplicate {
            OnDuplicate::Error => "error",
            OnDuplicate::Ignore => "ignore",
            OnDuplicate::Replace => "replace",
        };
        let on_error = if self.options.is_strict { "stop" } else { "skip" };
        let call = call
            .query("import", &self.name)
            .query("way", way)
            .query("on_duplicate", on_duplicate)
            .query("on_error", on_error);
        match self.options.schema {
            Some(schema) => call.query("schema", schema.to_string()),
            None => call,
        }
    }

    fn add(&mut self, place: Place, tuple: &Value) -> anyhow::Result<()> {
        self.note(place);
        writeln!(self.body, "{tuple}")?;
        Ok(())
    }

    /// Remembers where a tuple stands: by files, clashes are told at the very end.
    fn note(&mut self, place: Place) {
        self.sent += 1;
        let follows = self.places.last().is_some_and(|&(sent, last)| {
            last.input == place.input && place.line - last.line == self.sent - sent
        });
        if !follows {
            self.places.push((self.sent, place));
        }
    }

    /// Where the tuple stands that was sent as this line.
    fn place(&self, line: u64) -> Place {
        let at = self.places.partition_point(|&(sent, _)| sent <= line);
        let before = at.checked_sub(1).and_then(|at| self.places.get(at));
        before.map_or(Place { input: 0, line }, |&(sent, place)| Place {
            line: place.line + (line - sent),
            ..place
        })
    }

    /// Sends what has come together. False: a bad line ended the import.
    fn send(
        &mut self,
        has_more: bool,
        is_begin: bool,
        bad: &mut BadLines,
        written: &mut Imported,
    ) -> anyhow::Result<bool> {
        let body = std::mem::take(&mut self.body);
        let lines = body.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let mut call = self
            .call_query(self.client.post_lines(self.path(), body))
            .query("from", (self.sent - lines).to_string())
            .query("more", has_more.to_string())
            .query("dry_run", self.options.is_trial.to_string());
        if is_begin && self.options.restart {
            call = call.query("restart", "true");
        }
        let answer = call.patiently().send()?;
        let mut last = Value::Null;
        for event in events(&answer.body) {
            let event = event?;
            if let Some(told) = event.get("bad") {
                let Place { input, line } = self.place(told["line"].as_u64().unwrap_or(0));
                let file = self.inputs.get(input as usize).map(Input::name).unwrap_or_default();
                let reason =
                    Reason::told(told["kind"].as_str().unwrap_or(""), told["reason"].as_str().unwrap_or(""));
                let _ = bad.take(&file, line, &reason, b"")?;
            } else {
                last = event;
            }
        }
        if let Some(error) = last.get("error") {
            anyhow::bail!(
                "the server at {} says: {}",
                self.client.url(),
                error["message"].as_str().unwrap_or("")
            );
        }
        for (event, field) in [("done", "did"), ("more", "so_far"), ("ended", "so_far")] {
            let Some(found) = last.get(event) else { continue };
            if let Ok(form) = serde_json::from_value::<ImportedForm>(found[field].clone()) {
                written.add(form);
            }
            return Ok(event != "ended");
        }
        anyhow::bail!(
            "the server at {} did not say how the import ended: run the same command again to go on",
            self.client.url()
        )
    }
}

impl Imported {
    fn add(&mut self, form: ImportedForm) {
        self.written += form.written;
        self.replaced += form.replaced;
        self.unchanged += form.unchanged;
        self.token = Some(form.token);
    }

    fn ended(self) -> Imported {
        Imported { is_ended: true, ..self }
    }
}

impl Client {
    /// Writes tuples, in place of what is there; answers those that cannot be taken.
    pub(in crate::cli) fn import_part(
        &self,
        store: StoreId,
        schema: SchemaId,
        tuples: Vec<Tuple>,
    ) -> anyhow::Result<Vec<Tuple>> {
        let mut body = Vec::new();
        for tuple in &tuples {
            writeln!(body, "{}", tuple_json(tuple))?;
        }
        let call = self
            .post_lines(format!("/stores/{store}/import"), body)
            .query("way", "live")
            .query("on_duplicate", "replace")
            .query("on_error", "skip")
            .query("schema", schema.to_string());
        let answer = call.patiently().send()?;
        let mut untaken = Vec::new();
        for event in events(&answer.body) {
            let event = event?;
            if let Some(line) = event["bad"]["line"].as_u64() {
                untaken.extend(tuples.get((line as usize).wrapping_sub(1)).cloned());
            }
            if let Some(error) = event.get("error") {
                anyhow::bail!(
                    "the server at {} says: {}",
                    self.url(),
                    error["message"].as_str().unwrap_or("")
                );
            }
        }
        Ok(untaken)
    }

    pub(in crate::cli) fn write_assertions(
        &self,
        store: StoreId,
        schema: SchemaId,
        assertions: &[Value],
    ) -> anyhow::Result<()> {
        let body = json!({ "assertions": assertions });
        self.put(format!("/stores/{store}/assertions/{schema}"), &body).send()?;
        Ok(())
    }
}

/// The events of an answer.
fn events(body: &[u8]) -> impl Iterator<Item = anyhow::Result<Value>> + '_ {
    body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        serde_json::from_slice(line)
            .with_context(|| format!("the server says `{}`", String::from_utf8_lossy(line)))
    })
}
