//! `stonetown import`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::args::{StoreArgs, read_key};
use super::exit::Exit;
use super::migrate::{self, Migration};
use super::output::{Misunderstood, Output, tell};
use super::remote::{Client, Identity, ServerUrl};
use super::target::Target;
use super::write::Duplicate;
use crate::bulk::{
    BadLines, BadLinesPolicy, Doing, Format, ImportAnswer, ImportOptions, Input, MEMORY_BYTES, PART_TUPLES,
    Ran, Way, import_inputs,
};
use crate::engine::{Engine, Place, Prepared, Progress, digest};
use crate::tuple::{SchemaId, StoreId};

/// Load any number of tuples from files, directories or standard input.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown import tuples.csv.gz --data ./data
  stonetown import exports/ --on-duplicate ignore --on-error report bad-lines.jsonl --data ./data
  zstd -dc tuples.jsonl.zst | stonetown import - --input-format jsonl --data ./data
  stonetown import tuples.csv --dry-run --data ./data
  stonetown import tuples.csv --url http://127.0.0.1:8080
  stonetown import --from-openfga http://openfga:8080 --follow --data ./data

Formats, told by the name or by --input-format: csv (object,relation,subject or OpenFGA's columns), jsonl, json, yaml, text,
spicedb, fga.yaml; plain, gzip or zstd.

Two ways:
  files  sorted outside of the database, then taken in as one revision; while that happens at the end, writes to the store are
         refused; nobody ever sees half of it. The usual way into a data directory, from 16 MiB on.
  live   part by part, each a revision, beside other writes. The usual way for less, and into a server.

An import that was interrupted goes on where it was when the same command is given again.

Exit code 1: a bad line ended it; nothing was changed by files, and live nothing of the last part.")]
pub(super) struct ImportArgs {
    /// Files, or directories of files; `-` is standard input
    #[arg(value_name = "PATH", required_unless_present = "from_openfga")]
    paths: Vec<PathBuf>,

    /// Copy a live store of a server that speaks OpenFGA's API: schemas, tuples, assertions, and what changes meanwhile
    #[arg(long, value_name = "URL", conflicts_with_all = ["paths", "input_format", "way", "on_duplicate", "on_error", "dry_run", "restart", "schema"])]
    from_openfga: Option<ServerUrl>,

    /// Which store of that server, by id; not needed when there is only one
    #[arg(long, value_name = "ID", requires = "from_openfga")]
    from_store: Option<String>,

    /// A file with the key of that server, sent as a bearer token
    #[arg(long, value_name = "FILE", requires = "from_openfga")]
    from_key_file: Option<PathBuf>,

    /// Go on following the changes of that store until interrupted (Ctrl-C), then verify
    #[arg(long, requires = "from_openfga")]
    follow: bool,

    /// Questions asked on both sides at the end
    #[arg(long, value_name = "N", default_value_t = 300, requires = "from_openfga")]
    sample: usize,

    /// The format of the files, when their names do not tell
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<Format>,

    /// Which way
    #[arg(long, value_enum)]
    way: Option<WayArg>,

    /// What to do with a tuple that is stored, or in the input, already
    #[arg(long, value_enum, default_value_t = Duplicate::Error)]
    on_duplicate: Duplicate,

    /// What to do with a line that cannot be taken: stop, skip (told and counted), or report FILE (the same, each written to
    /// FILE as a JSON line)
    #[arg(long, value_names = ["POLICY", "FILE"], num_args = 1..=2, default_value = "stop")]
    on_error: Vec<String>,

    /// Find out what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Throw away what an interrupted import into this store left, and begin anew
    #[arg(long)]
    restart: bool,

    /// Memory for sorting, in MiB
    #[arg(long, value_name = "MIB", default_value_t = MEMORY_BYTES >> 20, value_parser = memory)]
    memory: usize,

    /// Tuples of a part, live
    #[arg(long, value_name = "N", default_value_t = PART_TUPLES, value_parser = part)]
    part: usize,

    /// The schema that lets the tuples in, by id; otherwise the one in force
    #[arg(long, value_name = "ID")]
    schema: Option<SchemaId>,

    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WayArg {
    Files,
    Live,
}

fn memory(text: &str) -> Result<usize, String> {
    bounded(text, 4, 1 << 20, "MiB")
}

fn part(text: &str) -> Result<usize, String> {
    bounded(text, 1, 100_000, "tuples")
}

fn bounded(text: &str, least: usize, most: usize, unit: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("give a whole number of {unit} from {least} to {most}")),
    }
}

/// From so many bytes on, sorting pays.
const FILES_FROM_BYTES: u64 = 16 << 20;

pub(super) fn run(args: ImportArgs, out: &mut Output) -> anyhow::Result<Exit> {
    args.store.place.place()?;
    if let Some(url) = &args.from_openfga {
        let key = args.from_key_file.as_deref().map(read_key).transpose()?;
        let client = Client::new(url.clone(), &Identity { key, ..Identity::default() })?;
        let (target, store) = args.store.open()?;
        let from_store = args.from_store.as_deref();
        let migration = Migration { client, from_store, follow: args.follow, sample: args.sample };
        return migrate::run(migration, &target, store, out);
    }
    let policy = policy(&args.on_error)?;
    let inputs = Input::find(&args.paths, args.input_format)?;
    if let BadLinesPolicy::Report(file) = &policy {
        let report = std::fs::canonicalize(file).ok();
        let is_report =
            |input: &&Input| report.is_some() && std::fs::canonicalize(&input.path).ok() == report;
        if let Some(input) = inputs.iter().find(is_report) {
            let problem =
                format!("the report of bad lines would overwrite `{}`: name another file", input.name());
            return Err(Misunderstood::new(problem).into());
        }
    }
    let (target, store) = args.store.open()?;
    let bytes = inputs.iter().map(|input| input.bytes).sum::<Option<u64>>();
    let way = match (args.way, &target) {
        (Some(WayArg::Files), _) => Way::Files,
        (Some(WayArg::Live), _) | (None, Target::Remote(_)) => Way::Live,
        (None, Target::Local(_)) if bytes.is_none_or(|bytes| bytes >= FILES_FROM_BYTES) => Way::Files,
        (None, Target::Local(_)) => Way::Live,
    };
    let options = ImportOptions {
        store,
        schema: args.schema,
        way,
        on_duplicate: args.on_duplicate.into(),
        is_strict: policy == BadLinesPolicy::Stop,
        is_trial: args.dry_run,
        identity: identity(&args, store, way, &inputs)?,
        about: inputs.iter().map(Input::name).collect::<Vec<_>>().join(", "),
        restart: args.restart,
        memory_bytes: args.memory << 20,
        part_tuples: args.part,
        is_gentle: false,
    };
    let mut bad = BadLines::new(policy);
    let bar = Bar::new(bytes);
    let imported = match &target {
        Target::Local(engine) => local(engine, options, &inputs, &mut bad, &bar),
        Target::Remote(client) => client.import(&options, &inputs, &mut bad, &|doing| bar.show(doing)),
    };
    bar.clear();
    tell_bad(&bad);
    let imported = imported?;
    if let Some(Place { input, line }) = imported.resumed {
        match inputs.get(input as usize).map(Input::name) {
            Some(file) => tell(format_args!(
                "stonetown: went on behind line {line} of {file}: what an interrupted import had read behind its last \
                 checkpoint was read again"
            )),
            None => {
                tell("stonetown: went on behind the last line: the interrupted import had read everything")
            }
        }
    }
    if imported.is_ended {
        let left = match way {
            Way::Files => "nothing was changed".to_owned(),
            Way::Live if imported.written > 0 => {
                format!("the {} tuples of the parts before it stay written", imported.written)
            }
            Way::Live => "nothing of its part was written".to_owned(),
        };
        tell(format_args!("stonetown: a bad line ended the import: {left}"));
        return Ok(Exit::No);
    }
    print(&imported, bad.total(), args.dry_run, out)?;
    Ok(Exit::Yes)
}

/// What an import did, here or on a server.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) written: u64,
    pub(super) replaced: u64,
    pub(super) unchanged: u64,
    pub(super) token: Option<String>,
    /// Where an interrupted import went on.
    pub(super) resumed: Option<Place>,
    /// A bad line ended it.
    pub(super) is_ended: bool,
}

fn local(
    engine: &Engine,
    options: ImportOptions,
    inputs: &[Input],
    bad: &mut BadLines,
    bar: &Bar,
) -> anyhow::Result<Imported> {
    let Ran { resumed, answer, so_far } =
        import_inputs(engine, options, inputs, bad, &|doing| bar.show(doing))?;
    let is_ended = answer.is_none();
    let Some(ImportAnswer { token, counts }) = answer.or(so_far) else {
        return Ok(Imported { resumed, is_ended, ..Imported::default() });
    };
    let Prepared { written, replaced, unchanged } = counts;
    Ok(Imported { written, replaced, unchanged, token: Some(engine.seal(&token)), resumed, is_ended })
}

fn policy(words: &[String]) -> Result<BadLinesPolicy, Misunderstood> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["stop"] => Ok(BadLinesPolicy::Stop),
        ["skip"] => Ok(BadLinesPolicy::Skip),
        ["report", file] => Ok(BadLinesPolicy::Report(file.into())),
        ["report"] => {
            Err(Misunderstood::new("`--on-error report` needs a file: `--on-error report bad-lines.jsonl`"))
        }
        _ => Err(Misunderstood::new(format_args!(
            "`--on-error {}` is not understood: say `stop`, `skip` or `report FILE`",
            words.join(" ")
        ))),
    }
}

/// The same for the same command on the same files.
fn identity(args: &ImportArgs, store: StoreId, way: Way, inputs: &[Input]) -> anyhow::Result<[u8; 16]> {
    let ImportArgs { on_duplicate, on_error, schema, dry_run, .. } = args;
    let mut parts =
        vec![store.to_string(), format!("{way:?} {on_duplicate:?} {on_error:?} {schema:?} {dry_run}")];
    for input in inputs {
        let mut part = format!("{} {}", input.name(), input.format);
        if !input.is_stdin() {
            let path = std::fs::canonicalize(&input.path)?;
            let metadata = std::fs::metadata(&path)?;
            let changed = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            part = format!("{} {} {} {}", path.display(), input.format, metadata.len(), changed.as_nanos());
        }
        parts.push(part);
    }
    Ok(digest(&parts))
}

/// The first bad lines, and how many there are of each kind.
fn tell_bad(bad: &BadLines) {
    bad.shown().iter().for_each(tell);
    let more = bad.total() - bad.shown().len() as u64;
    if more > 0 {
        tell(format_args!("… and {more} more"));
        for (kind, count) in bad.kinds() {
            tell(format_args!("{count:>10}  {kind}"));
        }
    }
}

fn print(imported: &Imported, bad: u64, is_trial: bool, out: &mut Output) -> anyhow::Result<()> {
    let Imported { written, replaced, unchanged, token, .. } = imported;
    out.print(
        || {
            let would = if is_trial { "would be written" } else { "written" };
            let tuples = if *written == 1 { "tuple" } else { "tuples" };
            let mut text = format!("{written} {tuples} {would}");
            for (count, what) in [(*replaced, "replaced"), (*unchanged, "there already"), (bad, "bad lines")]
            {
                if count > 0 {
                    text.push_str(&format!(", {count} {what}"));
                }
            }
            if let Some(token) = token {
                text.push_str(&format!("\ntoken {token}"));
            }
            text
        },
        || {
            json!({
                "written": written, "replaced": replaced, "unchanged": unchanged, "bad": bad, "token": token,
                "dry_run": is_trial
            })
        },
    )
}

/// Progress on the terminal.
struct Bar {
    bar: ProgressBar,
    bytes: Option<u64>,
}

const TICK: Duration = Duration::from_millis(200);

impl Bar {
    fn new(bytes: Option<u64>) -> Bar {
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes)
                .with_style(style("reading {bar:30} {bytes}/{total_bytes}, {msg} tuples, {eta} left")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} reading {msg} tuples")),
        };
        bar.enable_steady_tick(TICK);
        Bar { bar, bytes }
    }

    fn show(&self, doing: Doing) {
        match doing {
            Doing::Reading { bytes, tuples } => {
                if self.bytes.is_some() {
                    self.bar.set_position(bytes);
                }
                let rate = tuples as f64 / self.bar.elapsed().as_secs_f64().max(0.001);
                self.bar.set_message(format!("{tuples} ({rate:.0}/s)"));
            }
            Doing::Finishing(Progress::Merged { done, all }) => {
                if self.bar.length() != Some(all) {
                    self.bar.set_length(all);
                    self.bar.reset();
                    self.bar.set_style(style("writing table files {bar:30} {percent} %, {eta} left"));
                }
                self.bar.set_position(done);
            }
            Doing::Finishing(Progress::Ingesting) => {
                self.bar.set_style(style("{spinner} taking the table files in"));
            }
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
