//! Turns Debian's Sources index into tuples for `schema/debian.fga`: who is named to look after a package.
//!
//! Writes one tuple a line, sorted, each once. `tools/debian-people` fetches the index and runs this program on it;
//! `schema/debian.md` says what the tuples mean and what they leave out.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

#[path = "debian/control.rs"]
mod control;
#[path = "debian/mailbox.rs"]
mod mailbox;
#[path = "debian/people.rs"]
mod people;

use people::{Index, People, Row};

const AFTER_HELP: &str = "\
Example:
  /usr/lib/apt/apt-helper cat-file /var/lib/apt/lists/*_Sources.lz4 | debian-people --output people.txt";

/// Writes the maintainers and uploaders of Debian's source packages as tuples
#[derive(Parser)]
#[command(name = "debian-people", after_help = AFTER_HELP)]
struct Settings {
    /// The Sources index, decompressed; standard input without it
    sources: Option<PathBuf>,
    /// Where the tuples go; standard output without it
    #[arg(long, short)]
    output: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let index = match &settings.sources {
        Some(path) => {
            Index::read(BufReader::new(File::open(path).with_context(|| path.display().to_string())?))?
        }
        None => Index::read(io::stdin().lock())?,
    };
    let people = People::of(&index);
    let rows = people.rows("package");
    match &settings.output {
        Some(path) => write(&rows, File::create(path).with_context(|| path.display().to_string())?)?,
        None => match write(&rows, io::stdout().lock()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        },
    }
    let messages = &mut io::stderr().lock();
    for bad in &index.bad {
        writeln!(messages, "{bad}")?;
    }
    writeln!(messages, "{}", Summary { index: &index, people: &people })?;
    Ok(())
}

fn write(rows: &BTreeSet<Row>, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    for Row { object, relation, subject } in rows {
        writeln!(output, "{object}#{relation}@{subject}")?;
    }
    output.flush()
}

struct Summary<'a> {
    index: &'a Index,
    people: &'a People<'a>,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { index, people } = self;
        let with_members = people.members.iter().map(|(team, _)| team).collect::<BTreeSet<_>>().len();
        let (maintainers, uploaders, members) =
            (people.maintainers.len(), people.uploaders.len(), people.members.len());
        writeln!(
            f,
            "{} stanzas: {} packages; left out {} kept for builds only, {} of older versions",
            index.stanzas,
            index.packages.len(),
            index.kept_for_builds,
            index.older
        )?;
        writeln!(
            f,
            "{} tuples: {maintainers} maintainers, {uploaders} uploaders, {members} team members",
            maintainers + uploaders + members,
        )?;
        write!(
            f,
            "{} people, {} teams ({with_members} of them with members), {} bad addresses skipped",
            people.people.len(),
            people.teams.len(),
            index.bad.len()
        )
    }
}
