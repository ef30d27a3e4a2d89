//! `stonetown import --from-openfga`: a live store of a server that speaks OpenFGA's API, copied and followed.
//!
//! First it is noted where the source's change log ends. Then schemas, oldest first, tuples and assertions are copied; then the
//! changes behind the note are made here too. Changes that the copy had already are made once more, in their order: that ends in
//! the same state. A migration that is begun again passes over the schemas that are there already, and replaces tuples.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::exit::Exit;
use super::output::{Output, tell};
use super::remote::{Client, Source, SourceChange};
use super::target::Target;
use crate::engine::{
    At, CheckRequest, Given, ImportPart, OnDuplicate, OnMissing, Place, ReadRequest, UntakenReason,
    WriteRequest,
};
use crate::schema::read_json;
use crate::storage::TupleFilter;
use crate::tuple::{SchemaId, StoreId, Timestamp, Tuple, TupleKey};

/// Tuples written together.
const PART: usize = 2_000;
/// Tuples that cannot be taken which are told one by one.
const TOLD_MAX: usize = 20;
/// Between two looks at the source's change log.
const PAUSE: Duration = Duration::from_millis(500);
/// So much earlier than now the end of the change log is looked for: clocks differ, and OpenFGA can hold the newest back.
const MARGIN_MICROS: i64 = 600_000_000;

pub(super) struct Migration<'a> {
    pub(super) client: Client,
    pub(super) from_store: Option<&'a str>,
    /// Go on until told to stop.
    pub(super) follow: bool,
    /// Questions asked on both sides.
    pub(super) sample: usize,
}

pub(super) fn run(
    migration: Migration<'_>,
    target: &Target,
    store: StoreId,
    out: &mut Output,
) -> anyhow::Result<Exit> {
    let source = Source::open(migration.client, migration.from_store)?;
    let stop = stop_when_told()?;
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let since = Timestamp::from_micros(Timestamp::wall_clock().as_micros() - MARGIN_MICROS);
    let since = since.to_string();
    let place = source.end_of_changes(&since)?;
    let schemas = copy_schemas(&source, target, store)?;
    if schemas.is_empty() {
        bail!(
            "store `{}` of the source has no authorization model: there is nothing to migrate",
            source.store()
        );
    }
    let mut copy = Copying { target, store, schemas, untaken: Vec::new(), untaken_total: 0 };
    let mut tuples = 0;
    let mut part: Vec<Tuple> = Vec::new();
    source.tuples(&mut |page| {
        tuples += page.len();
        part.extend(page);
        bar.set_message(format!("{tuples} tuples copied"));
        if part.len() >= PART {
            copy.write(std::mem::take(&mut part))?;
        }
        Ok(if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    copy.write(part)?;
    if stop.load(Ordering::Relaxed) {
        bail!("stopped before everything was copied: run the same command again");
    }
    let changes = follow(&source, &mut copy, (place, &since), migration.follow, &stop, &bar)?;
    let assertions = copy_assertions(&source, target, store, &copy.schemas)?;
    let (latest, latest_here) = copy.schemas.last().context("there is no schema")?;
    bar.set_message("counting and asking on both sides");
    let here = count(target, store)?;
    let mut there = 0;
    source.tuples(&mut |page| {
        there += page.len();
        Ok(ControlFlow::Continue(()))
    })?;
    let asked = compare(&source, latest, target, store, *latest_here, migration.sample)?;
    bar.finish_and_clear();
    copy.tell();
    asked.differences.iter().for_each(tell);
    let is_same = here + copy.untaken_total == there && asked.differences.is_empty();
    out.print(
        || {
            format!(
                "{} schemas, {tuples} tuples, {assertions} assertions copied, {changes} changes followed\ntuples: {there} there, {here} here, {} \
                 that no schema here lets in\nchecks: {} asked on both sides, {} the same",
                copy.schemas.len(),
                copy.untaken_total,
                asked.asked,
                asked.asked - asked.differences.len(),
            )
        },
        || {
            json!({
                "schemas": copy.schemas.len(), "tuples": tuples, "assertions": assertions, "changes": changes,
                "verified": { "there": there, "here": here, "untaken": copy.untaken_total, "asked": asked.asked,
                              "differences": asked.differences },
            })
        },
    )?;
    Ok(if is_same { Exit::Yes } else { Exit::No })
}

/// The schemas in the order of the source, each with its id there and here. Those that an earlier attempt copied are known again.
fn copy_schemas(source: &Source, target: &Target, store: StoreId) -> anyhow::Result<Vec<(String, SchemaId)>> {
    let mut known: HashMap<String, SchemaId> = HashMap::new();
    for info in target.list_schemas(store)? {
        let id: SchemaId = info.schema.parse()?;
        known.insert(comparable(&target.read_schema(store, Some(id), &At::Head)?.document), id);
    }
    let mut copied = Vec::new();
    let models = source.models()?;
    let last = models.len().saturating_sub(1);
    for (number, model) in models.into_iter().enumerate() {
        let name = format!("authorization model {}", model.id);
        let tree = match read_json(&name, &model.document) {
            Ok((tree, _)) => tree,
            Err(problems) if number < last => {
                tell(format_args!("stonetown: {name} is left out: {}", problems.plain()));
                continue;
            }
            Err(problems) => bail!("{name}, the latest, cannot be taken:\n{}", problems.plain()),
        };
        let text = comparable(&tree.to_json());
        let id = match known.get(&text) {
            // The latest has to be in force.
            Some(&id) if number < last || in_force(target, store)? == Some(id) => id,
            _ => target.write_schema(store, &tree)?.schema.parse()?,
        };
        known.insert(text, id);
        copied.push((model.id, id));
    }
    Ok(copied)
}

/// A schema without what tells two copies apart.
fn comparable(document: &Value) -> String {
    let mut document = document.clone();
    if let Some(fields) = document.as_object_mut() {
        fields.remove("id");
    }
    document.to_string()
}

fn in_force(target: &Target, store: StoreId) -> anyhow::Result<Option<SchemaId>> {
    match target.read_schema(store, None, &At::Head) {
        Ok(form) => Ok(Some(form.schema.parse()?)),
        Err(_) => Ok(None),
    }
}

fn copy_assertions(
    source: &Source,
    target: &Target,
    store: StoreId,
    schemas: &[(String, SchemaId)],
) -> anyhow::Result<usize> {
    let mut copied = 0;
    for (there, here) in schemas {
        let assertions = source.assertions(there)?;
        if !assertions.is_empty() {
            copied += assertions.len();
            target.write_assertions(store, *here, &assertions)?;
        }
    }
    Ok(copied)
}

/// Tuples on their way here.
struct Copying<'a> {
    target: &'a Target,
    store: StoreId,
    schemas: Vec<(String, SchemaId)>,
    untaken: Vec<String>,
    untaken_total: usize,
}

impl Copying<'_> {
    /// Copies the models that were written at the source meanwhile: what follows may need them.
    fn renew_schemas(&mut self, source: &Source) -> anyhow::Result<()> {
        let latest = source.latest_model()?;
        if self.schemas.last().map(|(there, _)| there) != latest.as_ref() {
            self.schemas = copy_schemas(source, self.target, self.store)?;
        }
        Ok(())
    }

    /// A tuple that the latest schema does not let in was written under an earlier one.
    fn write(&mut self, mut tuples: Vec<Tuple>) -> anyhow::Result<()> {
        for (_, schema) in self.schemas.iter().rev() {
            if tuples.is_empty() {
                return Ok(());
            }
            tuples = self.target.import_part(self.store, *schema, tuples)?;
        }
        self.untaken_total += tuples.len();
        for tuple in tuples.into_iter().take(TOLD_MAX.saturating_sub(self.untaken.len())) {
            self.untaken.push(tuple.to_string());
        }
        Ok(())
    }

    /// The last change of each tuple is the one that counts.
    fn apply(&mut self, changes: Vec<SourceChange>) -> anyhow::Result<()> {
        let mut last: BTreeMap<TupleKey, Option<Tuple>> = BTreeMap::new();
        for change in changes {
            match change {
                SourceChange::Write(tuple) => last.insert(tuple.key.clone(), Some(tuple)),
                SourceChange::Delete(key) => last.insert(key, None),
            };
        }
        let (mut writes, mut deletes) = (Vec::new(), Vec::new());
        for (key, tuple) in last {
            match tuple {
                Some(tuple) => writes.push(tuple),
                None => deletes.push(key),
            }
        }
        if !deletes.is_empty() {
            self.target.write(
                WriteRequest {
                    store: self.store,
                    writes: Vec::new(),
                    deletes,
                    preconditions: Vec::new(),
                    on_duplicate: OnDuplicate::Replace,
                    on_missing: OnMissing::Ignore,
                    schema: None,
                },
                None,
            )?;
        }
        self.write(writes)
    }

    fn tell(&self) {
        for tuple in &self.untaken {
            tell(format_args!("stonetown: no schema here lets `{tuple}` in"));
        }
        let more = self.untaken_total - self.untaken.len();
        if more > 0 {
            tell(format_args!("… and {more} more"));
        }
    }
}

/// Makes the source's changes here too, to the end of its log, or until told to stop. How many there were.
fn follow(
    source: &Source,
    copy: &mut Copying<'_>,
    (mut place, since): (String, &str),
    for_ever: bool,
    stop: &AtomicBool,
    bar: &ProgressBar,
) -> anyhow::Result<usize> {
    let mut followed = 0;
    loop {
        let (changes, next) = source.changes(&place, since)?;
        let is_end = changes.is_empty();
        followed += changes.len();
        copy.renew_schemas(source)?;
        copy.apply(changes)?;
        if !next.is_empty() {
            place = next;
        }
        bar.set_message(format!("{followed} changes followed"));
        if is_end && (!for_ever || stop.load(Ordering::Relaxed)) {
            return Ok(followed);
        }
        if is_end {
            std::thread::sleep(PAUSE);
        }
    }
}

fn count(target: &Target, store: StoreId) -> anyhow::Result<usize> {
    Ok(target.store_stats(store)?.tuples.values().sum::<u64>() as usize)
}

struct Compared {
    asked: usize,
    differences: Vec<String>,
}

/// Asks the same questions on both sides: of tuples that are there, the same with another subject, the same of another relation.
fn compare(
    source: &Source,
    model: &str,
    target: &Target,
    store: StoreId,
    schema: SchemaId,
    sample: usize,
) -> anyhow::Result<Compared> {
    let keys = some_tuples(target, store, sample)?;
    let mut compared = Compared { asked: 0, differences: Vec::new() };
    for (at, key) in keys.iter().enumerate() {
        let mut question = key.clone();
        let other = &keys[(at * 7 + 3) % keys.len()];
        match at % 3 {
            0 => {}
            1 => question.subject = other.subject.clone(),
            _ => question.object = other.object.clone(),
        }
        let there = source.check(model, &question)?;
        let request = CheckRequest {
            store,
            tuple: question.as_ref(),
            schema: Some(schema),
            at: At::Head,
            given: Given::default(),
        };
        // Whichever way it is refused.
        let here = target.check(&request, false).ok().map(|checked| checked.allowed);
        compared.asked += 1;
        if here != there {
            let show = |answer| match answer {
                Some(true) => "yes",
                Some(false) => "no",
                None => "an error",
            };
            compared.differences.push(format!("`{question}`: {} there, {} here", show(there), show(here)));
        }
    }
    Ok(compared)
}

/// So many tuples, spread over the store.
fn some_tuples(target: &Target, store: StoreId, sample: usize) -> anyhow::Result<Vec<TupleKey>> {
    let every = (count(target, store)? / sample.max(1)).max(1);
    let mut keys = Vec::new();
    let mut number = 0;
    let request = ReadRequest { store, filter: TupleFilter::default(), after: None, at: At::Head };
    target.read(request, &mut |tuple| {
        if number % every == 0 && keys.len() < sample {
            keys.push(tuple.key.clone());
        }
        number += 1;
        if keys.len() < sample { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(keys)
}

/// Turns true on an interrupt: then the migration catches up, verifies and ends.
fn stop_when_told() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                told.store(true, Ordering::Relaxed);
                tell("stonetown: catching up, then verifying; interrupt again to end at once");
                if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
                    std::process::exit(130);
                }
            }
        })
        .context("cannot wait for an interrupt")?;
    Ok(stop)
}

impl Target {
    /// Writes tuples, in place of what is there; answers those that the schema does not let in.
    fn import_part(
        &self,
        store: StoreId,
        schema: SchemaId,
        tuples: Vec<Tuple>,
    ) -> anyhow::Result<Vec<Tuple>> {
        match self {
            Target::Local(engine) => {
                let kept = tuples.clone();
                let places = (0..).map(|line| Place { input: 0, line });
                let answer = engine.import_part(ImportPart {
                    store,
                    schema: Some(schema),
                    on_duplicate: OnDuplicate::Replace,
                    tuples: places.zip(tuples).collect(),
                    import: ([0; 16], None),
                    is_strict: false,
                    is_trial: false,
                });
                let answer = answer?;
                let untaken = answer.untaken.iter().filter_map(|it| match it.reason {
                    UntakenReason::Rejected(_) => kept.get(it.place.line as usize).cloned(),
                    UntakenReason::Clash(_) => None,
                });
                Ok(untaken.collect())
            }
            Target::Remote(client) => client.import_part(store, schema, tuples),
        }
    }

    fn write_assertions(&self, store: StoreId, schema: SchemaId, assertions: &[Value]) -> anyhow::Result<()> {
        match self {
            Target::Local(engine) => {
                let text = Value::from(assertions).to_string();
                Ok(engine.write_assertions(store, schema, text)?)
            }
            Target::Remote(client) => client.write_assertions(store, schema, assertions),
        }
    }
}
