//! What all rows share: how large, how long, where; data sets, and servers on copies of them.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use ureq::Agent;

use crate::load::{Load, Questions};
use crate::process::{Scratch, Server, run};

/// Changes whenever data sets are made in another way, so that old ones are not taken for new ones.
const DATA_VERSION: u32 = 1;
/// Tuples of the quick run, at most.
const QUICK_TUPLES: u64 = 100_000;
/// How long a request of this program's own may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(300);

/// How it is measured.
pub(crate) struct Bench {
    /// The program that is measured.
    pub(crate) stonetown: PathBuf,
    /// Of the sources.
    pub(crate) repository: PathBuf,
    /// Where data sets are.
    pub(crate) data: PathBuf,
    /// A short run with small data.
    pub(crate) is_quick: bool,
    /// Tuples, if not those of the row.
    pub(crate) tuples: Option<u64>,
    /// Seconds of one measurement.
    pub(crate) seconds: f64,
    /// How often floor and server take turns.
    pub(crate) rounds: usize,
    /// Connections of a closed loop.
    pub(crate) connections: usize,
    /// Threads of the load.
    pub(crate) threads: usize,
    /// MiB of block cache.
    pub(crate) cache_mib: usize,
    /// Debian's tree as CSV.
    pub(crate) debian: Option<PathBuf>,
    /// Debian's dependencies as CSV.
    pub(crate) depends: Option<PathBuf>,
    /// Another server to compare with.
    pub(crate) peer: Option<String>,
}

/// A data directory that is imported and compacted. It stays as it is: what is measured is a copy.
pub(crate) struct DataSet {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// Its only store.
    pub(crate) store: String,
    /// How many tuples it has.
    pub(crate) tuples: u64,
}

/// A server on a copy of a data set, or on an empty directory.
pub(crate) struct Serving {
    /// The process.
    pub(crate) server: Server,
    /// The store that is asked.
    pub(crate) store: String,
    _scratch: Scratch,
}

impl Bench {
    /// So many tuples, unless another number was asked for.
    pub(crate) fn tuples(&self, usual: u64) -> u64 {
        self.tuples.unwrap_or(if self.is_quick { usual.min(QUICK_TUPLES) } else { usual })
    }

    /// A number that a quick run makes smaller.
    pub(crate) fn sized(&self, usual: u64, quick: u64) -> u64 {
        if self.is_quick { quick } else { usual }
    }

    /// Of one measurement.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Before the first measurement of each.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs_f64((self.seconds / 2.0).max(0.5))
    }

    /// Why a budget does not apply to a run of this size; none: it does.
    pub(crate) fn smaller(&self, tuples: u64, wanted: u64) -> Option<String> {
        let is_close = tuples as f64 >= wanted as f64 * 0.99;
        (!is_close).then(|| format!("not judged: {tuples} instead of {wanted} tuples"))
    }

    /// A directory for one measurement.
    pub(crate) fn scratch(&self) -> anyhow::Result<Scratch> {
        Scratch::new(&self.data)
    }

    /// Runs `stonetown`; what it prints, as JSON.
    pub(crate) fn stonetown(&self, words: &[&str]) -> anyhow::Result<Value> {
        let mut command = self.command();
        command.args(["--format", "json"]).args(words);
        let text = run(&mut command)?;
        let last = text.lines().last().unwrap_or("null");
        serde_json::from_str(&text).or_else(|_| serde_json::from_str(last)).with_context(|| {
            let shown = text.get(..text.len().min(200)).unwrap_or_default();
            format!("`stonetown {}` printed {shown}", words.join(" "))
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.stonetown);
        // What the caller's environment says is about other directories.
        for name in ["STONETOWN_DATA", "STONETOWN_URL", "STONETOWN_STORE", "STONETOWN_LISTEN"] {
            command.env_remove(name);
        }
        command
    }

    /// Whether `stonetown serve` has an option.
    pub(crate) fn can_serve_with(&self, option: &str) -> bool {
        let output = self.command().args(["serve", "--help"]).output();
        output.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains(option))
    }

    /// The data set of this name: made now, imported from CSV and compacted, unless there is one.
    pub(crate) fn data_set(
        &self,
        name: &str,
        schema: &str,
        write_csv: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<DataSet> {
        self.data_set_of(name, schema, |csv| {
            let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(csv)?);
            write_csv(&mut out)?;
            out.flush()?;
            Ok(None)
        })
    }

    /// The same, of a file that is there.
    pub(crate) fn data_set_of_file(&self, name: &str, schema: &str, csv: &Path) -> anyhow::Result<DataSet> {
        let csv = csv.to_owned();
        self.data_set_of(name, schema, |_| Ok(Some(csv)))
    }

    fn data_set_of(
        &self,
        name: &str,
        schema: &str,
        csv: impl FnOnce(&Path) -> io::Result<Option<PathBuf>>,
    ) -> anyhow::Result<DataSet> {
        let place = self.data.join(format!("{name}-{DATA_VERSION}"));
        let (dir, ready) = (place.join("data"), place.join("ready.json"));
        if let Ok(text) = std::fs::read_to_string(&ready) {
            let about: Value = serde_json::from_str(&text)?;
            if about["schema"].as_str() == Some(schema) {
                let store = about["store"].as_str().context("ready.json names no store")?.to_owned();
                return Ok(DataSet { dir, store, tuples: about["tuples"].as_u64().unwrap_or(0) });
            }
        }
        drop(std::fs::remove_dir_all(&place));
        std::fs::create_dir_all(&place)?;
        eprintln!("stonetown-bench: making the data set {name}");
        let (own, schema_file) = (place.join("tuples.csv"), place.join("schema.fga"));
        std::fs::write(&schema_file, schema)?;
        let given = csv(&own)?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let data = text(&dir);
        let made = self.stonetown(&["store", "create", "--name", "bench", "--data", &data])?;
        let store = made["id"].as_str().context("`store create` printed no id")?.to_owned();
        self.stonetown(&["schema", "write", &text(&schema_file), "--data", &data])?;
        let begin = Instant::now();
        let input = text(given.as_deref().unwrap_or(&own));
        let imported = self.stonetown(&["import", &input, "--way", "files", "--data", &data])?;
        let import_seconds = begin.elapsed().as_secs_f64();
        self.stonetown(&["store", "compact", "--data", &data])?;
        drop(std::fs::remove_file(&own));
        let tuples = imported["written"].as_u64().or_else(|| imported["counts"]["written"].as_u64());
        let tuples = match tuples {
            Some(tuples) => tuples,
            None => self.count(&data)?,
        };
        eprintln!(
            "stonetown-bench: {name}: {tuples} tuples, imported in {import_seconds:.1} s, then compacted"
        );
        let about =
            json!({ "schema": schema, "store": store, "tuples": tuples, "import_seconds": import_seconds });
        std::fs::write(&ready, about.to_string())?;
        Ok(DataSet { dir, store, tuples })
    }

    fn count(&self, data: &str) -> anyhow::Result<u64> {
        let stats = self.stonetown(&["store", "stats", "--data", data])?;
        let tuples = stats["tuples"].as_object().context("`store stats` printed no tuples")?;
        Ok(tuples.values().filter_map(Value::as_u64).sum())
    }

    /// A copy of a data set, to be opened and written to.
    pub(crate) fn copy(&self, set: &DataSet) -> anyhow::Result<Scratch> {
        let scratch = self.scratch()?;
        copy_dir(&set.dir, &scratch.path().join("data"))?;
        Ok(scratch)
    }

    /// A server on a copy of a data set, its block cache larger than the data and filled.
    pub(crate) fn serve(&self, set: &DataSet, options: &[&str]) -> anyhow::Result<Serving> {
        let serving = self.serve_with(Some(set), options, &[])?;
        // A walk over all tuples brings them into the block cache.
        serving.stats()?;
        Ok(serving)
    }

    /// The same without filling the cache; on an empty directory when there is no data set.
    pub(crate) fn serve_with(
        &self,
        set: Option<&DataSet>,
        options: &[&str],
        environment: &[(&str, String)],
    ) -> anyhow::Result<Serving> {
        let scratch = match set {
            Some(set) => self.copy(set)?,
            None => self.scratch()?,
        };
        let mut command = self.command();
        command.args(["--format", "json", "serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(scratch.path().join("data")).args(options).stderr(Stdio::inherit());
        if !options.contains(&"--cache-mib") {
            command.args(["--cache-mib", &self.cache_mib.to_string()]);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let server = Server::start(&mut command)?;
        let store = set.map(|set| set.store.clone()).unwrap_or_default();
        Ok(Serving { server, store, _scratch: scratch })
    }

    /// The constant handler.
    pub(crate) fn serve_floor(&self) -> anyhow::Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", "--listen", "127.0.0.1:0"]).stderr(Stdio::inherit());
        Server::start(&mut command)
    }

    /// A load on a server, over as many connections as usual.
    pub(crate) fn load(&self, server: &Server, questions: Arc<dyn Questions>) -> Load {
        Load {
            address: server.address,
            connections: self.connections,
            threads: self.threads,
            questions,
            next: Arc::new(AtomicU64::new(0)),
        }
    }
}

impl Serving {
    /// The path of a verb of its store.
    pub(crate) fn path(&self, verb: &str) -> String {
        format!("/stores/{}/{verb}", self.store)
    }

    /// Statistics of its store.
    pub(crate) fn stats(&self) -> anyhow::Result<Value> {
        let url = format!("{}{}", self.server.url, self.path("stats"));
        let mut answer = agent().get(&url).call()?;
        let text = answer.body_mut().read_to_string()?;
        if !answer.status().is_success() {
            bail!("{url}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }
}

/// For requests that are not measured.
pub(crate) fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIME_MAX));
    config.build().into()
}

/// Posts JSON; the answer has to be a success.
pub(crate) fn post(url: &str, body: &Value) -> anyhow::Result<Value> {
    let mut answer = agent().post(url).send_json(body).with_context(|| url.to_owned())?;
    let text = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
    if !answer.status().is_success() {
        bail!("{url}: {}: {text}", answer.status());
    }
    Ok(serde_json::from_str(if text.is_empty() { "{}" } else { &text })?)
}

/// Creates a store and a schema over HTTP; the store's id.
pub(crate) fn create_store(url: &str, schema: &Value) -> anyhow::Result<String> {
    let url = url.trim_end_matches('/');
    let store = post(&format!("{url}/stores"), &json!({ "name": "stonetown-bench" }))?;
    let id = store["id"].as_str().with_context(|| format!("{url} created a store without an id"))?.to_owned();
    post(&format!("{url}/stores/{id}/authorization-models"), schema)?;
    Ok(id)
}

fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
