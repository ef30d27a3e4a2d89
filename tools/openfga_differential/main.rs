//! Puts random questions to OpenFGA and to us, and tells every difference by its class.
//!
//! Each seed is a world: a schema with conditions, tuples, and questions about it. Where the answers differ, the outcome
//! of each condition, the meaning worked out the slow way (`meaning`) and the checks behind a list tell what kind of
//! difference it is (`classify`). One of no class fails the run, with the smallest world that shows it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use generate::Options;
use plain::is_plain;
use report::Report;
use run::one;
use server::NoAnswer;
use shrink::shrink;
use side::Side;

#[path = "../differential/answer.rs"]
mod answer;
#[path = "../differential/class.rs"]
mod class;
mod classify;
#[path = "../differential/generate.rs"]
mod generate;
#[path = "../differential/judge.rs"]
mod judge;
#[path = "../differential/meaning.rs"]
mod meaning;
mod plain;
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../tests/judge/random.rs"]
mod random;
#[path = "../differential/report.rs"]
mod report;
#[path = "../differential/run.rs"]
mod run;
#[path = "../differential/server.rs"]
mod server;
#[path = "../differential/shrink.rs"]
mod shrink;
mod side;
#[path = "../differential/values.rs"]
mod values;
#[path = "../differential/world.rs"]
mod world;

/// What the other side is called.
const PEER: &str = "OpenFGA";

/// Put random questions to OpenFGA and to Stonetown; name every difference.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  openfga run --http-addr 127.0.0.1:18080 --playground-enabled=false --request-timeout=4s \\
    --listObjects-deadline=4s --listUsers-deadline=4s &
  stonetown serve --data DIR --listen 127.0.0.1:8080 &
  openfga-differential --url http://127.0.0.1:8080 --peer http://127.0.0.1:18080 --each 20 --cycles --deep
  openfga-differential --url http://127.0.0.1:8080 --peer http://127.0.0.1:18080 --each 20 --questions 16000 --plain
  openfga-differential --url http://127.0.0.1:8080 --peer fga:/usr/bin/fga --seed 7

The peer is an OpenFGA server, or the official `fga` tool, whose `model test` has the server's engine inside.

With --cycles and --deep OpenFGA works on some checks until its memory is full: have it ended when it takes more than
700 MB, and started again. The rest of such a world is not asked; the report names its seed.

Exit code 1: a difference belongs to no class.")]
struct Cli {
    /// Our server
    #[arg(long)]
    url: String,

    /// OpenFGA: a server's URL, or fga:PATH
    #[arg(long)]
    peer: String,

    /// The first world
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Questions in all
    #[arg(long, default_value_t = 20_000)]
    questions: usize,

    /// Questions of each world
    #[arg(long, default_value_t = 12)]
    each: usize,

    /// Let data have cycles
    #[arg(long)]
    cycles: bool,

    /// Chains about as long as the limit of 25
    #[arg(long)]
    deep: bool,

    /// Leave out what OpenFGA answers in ways of its own: whole numbers beyond 63 bits, and lists of users over a `but not`
    /// that is below another or behind a group or parent, over `T:*` together with `and` or `but not`, and by a filter for
    /// usersets where objects or `T:*` of their type may be written
    #[arg(long)]
    plain: bool,

    /// Also write the report here
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("openfga-differential: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<bool> {
    let (ours, peer) = (Side::new(&cli.url), Side::new(&cli.peer));
    // The tool writes tuples under the schema, so all of them have to count.
    let options = Options {
        cycles: cli.cycles,
        deep: cli.deep,
        stale: !peer.is_tool(),
        contextual: true,
        small: false,
        ends: false,
        simple: false,
        beyond_63_bits: !cli.plain,
        users: if cli.plain { is_plain } else { |_, _, _, _| true },
    };
    let mut report = Report::default();
    let mut seed = cli.seed;
    while report.questions < cli.questions {
        let (world, mut questions) = generate::world(seed, options, cli.each);
        if peer.is_tool() {
            // All tuples are contextual there: a key cannot be there twice.
            for question in &mut questions {
                question.contextual.retain(|it| !world.tuples.iter().any(|stored| stored.same_key(it)));
            }
        }
        match one(&ours, &peer, seed, world, &questions, &mut report) {
            // OpenFGA works on some questions until its memory is full: the rest of that world is not asked.
            Err(error) if error.is::<NoAnswer>() => {
                ours.wait().and_then(|()| peer.wait()).with_context(|| format!("seed {seed}"))?;
                report.unanswered.push(seed);
            }
            done => done.with_context(|| format!("seed {seed}"))?,
        }
        seed += 1;
        if (seed - cli.seed).is_multiple_of(PROGRESS) {
            eprintln!("{} questions, {} differences", report.questions, report.differences());
        }
    }
    eprintln!("{} questions, {} differences; now smaller examples", report.questions, report.differences());
    report.examples(&mut |it| shrink(&ours, &peer, it))?;
    let text = report.to_string();
    print!("seeds {} to {}\n{text}", cli.seed, seed - 1);
    if let Some(path) = &cli.report {
        std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.unclassified() == 0)
}

/// Worlds between two lines of progress.
const PROGRESS: u64 = 50;
