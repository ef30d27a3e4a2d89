//! Measures every budget of the design, beside its floor, in one run on one machine.
//!
//! It starts what it measures: servers, on copies of data sets that `stonetown import` and `stonetown store compact` made,
//! and a constant handler as the floor of what a check over HTTP can cost (`floor`). The load (`load`) holds every
//! answer against what is known beforehand (`world` and the rows' own models), and counts those that differ.

#![allow(clippy::print_stderr, reason = "a command line tool tells how far it is")]

mod bench;
mod check;
mod debian;
mod floor;
mod http;
mod inside;
mod list;
mod load;
mod machine;
mod mixed;
mod overload;
mod peer;
mod process;
mod report;
mod shapes;
mod timer;
mod world;
mod write;

/// The server's own: what is measured in process is to cost what it costs there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

use bench::Bench;
use http::Response;
use load::{Load, Questions, Verdict};
use peer::Pair;
use process::Scratch;
use report::{Line, Report};

/// Measure Stonetown against the budgets of its design, each beside its floor.
#[derive(Debug, Parser)]
#[command(
    name = "tools/bench",
    max_term_width = 110,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tools/bench --quick                                  # every row, small data, to see that all works
  tools/bench check write --json today.json
  tools/bench growth --data /var/tmp/stonetown-bench   # data sets are kept there and used again
  tools/bench tree bytes memory import --debian tree.csv
  tools/bench check batch list --peer http://127.0.0.1:8081 --tuples 108000
  tools/bench soak --seconds 1800 --data /var/tmp/stonetown-bench
  tools/bench load http://127.0.0.1:8080/stores/ID/check --body '{\"tuple_key\":{}}'

The load runs on the cores of the server, as the budgets have it. All of it is on the loopback interface, and everything that is
started is ended again. Without a quiet machine compare ratios, not rates.

Exit codes:
  0  measured, whether budgets are met or not
  1  an answer was wrong
  2  the command line cannot be understood
  3  failed: a row could not be measured to its end"
)]
struct Cli {
    #[command(subcommand)]
    other: Option<Other>,

    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// The constant handler that checks are measured against, until it is ended
    Floor {
        /// Where to listen; port 0: any that is free
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Write in process, and print what came of it as JSON: a part of row `write`
    #[command(hide = true)]
    Writes {
        /// The data directory to make
        data: PathBuf,
        /// Clients
        #[arg(long)]
        clients: usize,
        /// Rounds
        #[arg(long)]
        rounds: usize,
        /// Seconds of each
        #[arg(long)]
        seconds: f64,
    },
    /// Send one request again and again in a closed loop, to compare this load with another program's
    Load {
        /// Where to, with the path
        url: String,
        /// The body of the POST
        #[arg(long)]
        body: String,
        /// Connections
        #[arg(long, default_value_t = 32)]
        connections: usize,
        /// Threads of the load
        #[arg(long, default_value_t = machine::cores())]
        threads: usize,
        /// How long
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Which rows; all of them when none is named
    #[arg(value_name = "ROW", value_enum)]
    rows: Vec<RowName>,

    /// Small data and short runs: whether all works, not how fast it is
    #[arg(long)]
    quick: bool,

    /// Tuples of generated data, instead of each row's own number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    tuples: Option<u64>,

    /// Seconds of each measurement [default: 5; with --quick 1]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,

    /// How often floor and server take turns [default: 5; with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=101))]
    rounds: Option<u16>,

    /// Connections of closed loops
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,

    /// Threads of the load [default: the cores of this machine]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// MiB of the server's block cache, to be more than the data
    #[arg(long, value_name = "N", default_value_t = 4096)]
    cache_mib: usize,

    /// Where data sets are made, and kept for the next run; otherwise in a temporary directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Debian's tree as CSV (tools/debian-tree); rows about it are left out without it
    #[arg(long, value_name = "FILE")]
    debian: Option<PathBuf>,

    /// A CSV that has `package:A,depends,package:B` (tools/debian-tree --depends)
    #[arg(long, value_name = "FILE")]
    depends: Option<PathBuf>,

    /// Compare with this server, which speaks OpenFGA's API: rows check, batch and list. It gets a store of its own
    #[arg(long, value_name = "URL")]
    peer: Option<String>,

    /// Also write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// The program that is measured [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    stonetown: Option<PathBuf>,

    /// Where the sources are
    #[arg(long, value_name = "DIR", default_value = ".")]
    repository: PathBuf,
}

/// A row of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RowName {
    /// A check over HTTP against the constant handler
    Check,
    /// The same with decision cache and some writes
    CheckCached,
    /// Fifty checks a request
    Batch,
    /// Lists of a million objects
    List,
    /// Synced writes of 64 clients
    Write,
    /// Zanzibar's mix of requests
    Mix,
    /// A direct check in process against a get
    Direct,
    /// A check of three hops in process against the same reads
    Hops,
    /// The same questions of 100 times as many tuples
    Growth,
    /// Nested groups with cycles: the dependencies of Debian's packages
    Groups,
    /// An object with many subjects, a subject with many groups
    Wide,
    /// Deep folders
    Folders,
    /// Checks on Debian's tree
    Tree,
    /// Import by files against RocksDB's file writer
    Import,
    /// Bytes on disk of a tuple
    Bytes,
    /// Resident memory after opening
    Memory,
    /// Ten times what is sustainable, for a minute
    Overload,
    /// A mixed load for as long as --seconds says: memory and handles
    Soak,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0.1 to 3600".to_owned()),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.other {
        Some(Other::Floor { listen }) => floor::serve(listen).map(|()| true),
        Some(Other::Writes { data, clients, rounds, seconds }) => {
            let written = inside::writes(&data, clients, rounds, Duration::from_secs_f64(seconds));
            written.and_then(|it| Ok(serde_json::to_writer(std::io::stdout(), &it)?)).map(|()| true)
        }
        Some(Other::Load { url, body, connections, threads, seconds }) => {
            constant(&url, body, connections, threads, seconds)
        }
        None => measure(cli.run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("tools/bench: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Measures; whether all answers were right.
fn measure(run: Run) -> anyhow::Result<bool> {
    process::clean_up_when_interrupted()?;
    let beside = [RowName::Check, RowName::Batch, RowName::List];
    let rows = match (run.rows.is_empty(), run.peer.is_some()) {
        (true, true) => beside.to_vec(),
        (true, false) => RowName::value_variants().to_vec(),
        (false, _) => run.rows.clone(),
    };
    if run.peer.is_some() && rows.iter().any(|row| !beside.contains(row)) {
        bail!("--peer is for the rows check, batch and list");
    }
    let json = run.json.clone();
    let (bench, _scratch) = prepare(run)?;
    let about = machine::about(&bench.repository, &bench.stonetown);
    let mut report = Report::default();
    let pair = bench.peer.as_ref().map(|url| Pair::make(&bench, url)).transpose()?;
    report::print_head()?;
    let mut failures = Vec::new();
    for row in rows {
        let name = row.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default();
        let measured = match &pair {
            Some(pair) => measure_beside(&bench, pair, row).map(|line| vec![line]),
            None => measure_row(&bench, row),
        };
        match measured {
            Ok(lines) => report.add(lines)?,
            Err(error) => {
                eprintln!("tools/bench: row {name}: {error:#}");
                failures.push(name);
            }
        }
        if let Some(path) = &json {
            // After each row: a run that is broken off leaves what it has.
            report.write_json(path, &about)?;
        }
    }
    report.print_summary()?;
    if !failures.is_empty() && !report.is_any_wrong() {
        bail!("not measured: {}", failures.join(", "));
    }
    Ok(!report.is_any_wrong())
}

fn measure_beside(bench: &Bench, pair: &Pair, row: RowName) -> anyhow::Result<Line> {
    match row {
        RowName::Check => pair.check(bench),
        RowName::Batch => pair.batch(bench),
        RowName::List => pair.list(bench),
        _ => bail!("it is not compared with a peer"),
    }
}

fn measure_row(bench: &Bench, row: RowName) -> anyhow::Result<Vec<Line>> {
    match row {
        RowName::Check => check::check(bench, false),
        RowName::CheckCached => check::check(bench, true),
        RowName::Batch => check::batch(bench),
        RowName::List => list::list(bench),
        RowName::Write => write::write(bench),
        RowName::Mix => mixed::mix(bench),
        RowName::Direct => inside::direct(bench),
        RowName::Hops => inside::hops(bench),
        RowName::Growth => inside::growth(bench),
        RowName::Groups => shapes::groups(bench),
        RowName::Wide => shapes::wide(bench),
        RowName::Folders => shapes::folders(bench),
        RowName::Tree => shapes::tree(bench),
        RowName::Import => debian::import(bench),
        RowName::Bytes => debian::bytes(bench),
        RowName::Memory => debian::memory(bench),
        RowName::Overload => overload::overload(bench),
        RowName::Soak => overload::soak(bench),
    }
}

fn prepare(run: Run) -> anyhow::Result<(Bench, Option<Scratch>)> {
    let stonetown = match run.stonetown {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("stonetown"),
    };
    if !stonetown.is_file() {
        bail!("there is no `{}`: build it, or name it with --stonetown FILE", stonetown.display());
    }
    let (data, scratch) = match &run.data {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            (dir.clone(), None)
        }
        None => {
            let scratch = Scratch::new(&std::env::temp_dir())?;
            (scratch.path().to_owned(), Some(scratch))
        }
    };
    for file in [&run.debian, &run.depends].into_iter().flatten() {
        if !Path::new(file).is_file() {
            bail!("there is no `{}`", file.display());
        }
    }
    let bench = Bench {
        stonetown,
        repository: run.repository,
        data,
        is_quick: run.quick,
        tuples: run.tuples,
        seconds: run.seconds.unwrap_or(if run.quick { 1.0 } else { 5.0 }),
        rounds: usize::from(run.rounds.unwrap_or(if run.quick { 3 } else { 5 })),
        connections: usize::from(run.connections),
        threads: run.threads.map_or_else(machine::cores, usize::from),
        cache_mib: run.cache_mib,
        debian: run.debian,
        depends: run.depends,
        peer: run.peer,
    };
    Ok((bench, scratch))
}

/// One request again and again.
struct Constant {
    path: String,
    body: String,
}

impl Questions for Constant {
    fn write(&self, _: u64, request: &mut Vec<u8>) {
        http::post(request, &self.path, self.body.as_bytes());
    }

    fn judge(&self, _: u64, response: &Response<'_>) -> Verdict {
        if response.is_success() { Verdict::Right } else { Verdict::Failed }
    }
}

fn constant(
    url: &str,
    body: String,
    connections: usize,
    threads: usize,
    seconds: f64,
) -> anyhow::Result<bool> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let path = rest.find('/').map_or("/", |at| &rest[at..]).to_owned();
    let load = Load {
        address: process::address_of(url)?,
        connections: connections.clamp(1, 4096),
        threads,
        questions: Arc::new(Constant { path, body }),
        next: Arc::default(),
    };
    let outcome = load.closed(Duration::from_secs_f64(seconds))?;
    let line = Line::new("load", format!("{connections} connections"), outcome.rate(), "requests/s")
        .note(outcome.percentiles_shown(0))
        .errors_of(&outcome);
    let mut report = Report::default();
    report.add(vec![line])?;
    Ok(outcome.wrong == 0)
}
