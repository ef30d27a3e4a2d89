//! Turns Debian's indexes into tuples for `schema/debian-tree.fga`: every file in its folder, of which package it is,
//! from which source that is built, and who looks after it.
//!
//! `tools/debian-tree` fetches the indexes and runs this program on them; `schema/debian-tree.md` says what the tuples
//! mean. There are about nine million, so a tuple is a few numbers until it is written.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom as _;

#[path = "debian/contents.rs"]
mod contents;
#[path = "debian/control.rs"]
mod control;
#[path = "debian/mailbox.rs"]
mod mailbox;
#[path = "debian/packages.rs"]
mod packages;
#[path = "debian/people.rs"]
mod people;

use contents::{Owner, ROOT, Tree};
use people::{Index, People, Row};

const AFTER_HELP: &str = "\
Example:
  debian-tree --contents Contents-amd64 Contents-all --packages Packages --sources Sources --output tree.csv";

/// The shuffled order is the same in every run.
const SEED: u64 = 7;
const BUFFER_BYTES: usize = 1 << 20;

/// Writes Debian's files, packages and people as tuples
#[derive(Parser)]
#[command(name = "debian-tree", after_help = AFTER_HELP)]
struct Settings {
    /// The Contents indexes, decompressed
    #[arg(long, required = true, num_args = 1..)]
    contents: Vec<PathBuf>,
    /// The Packages index, decompressed
    #[arg(long)]
    packages: PathBuf,
    /// The Sources index, decompressed
    #[arg(long)]
    sources: PathBuf,
    /// Where the tuples go; standard output without it
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// CSV with a header, or one tuple a line
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// By object, relation and subject; otherwise shuffled, the same way each time
    #[arg(long)]
    sorted: bool,
    /// Also which package depends on which
    #[arg(long)]
    depends: bool,
    /// The package of every file, also where its folder says it already
    #[arg(long)]
    every_link: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Csv,
    Text,
}

fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let mut tree = Tree::new();
    for path in &settings.contents {
        tree.read(open(path)?).with_context(|| path.display().to_string())?;
    }
    tree.merge()?;
    let packages = packages::read_packages(open(&settings.packages)?)
        .with_context(|| settings.packages.display().to_string())?;
    let index =
        Index::read(open(&settings.sources)?).with_context(|| settings.sources.display().to_string())?;

    let mut graph = Graph { tree: &tree, other: people_rows(&index), virtual_packages: BTreeSet::new() };
    for (name, package) in &packages {
        graph.other.push(row("package", name, "source", format!("source:{}", package.source)));
        for needed in package.depends.iter().filter(|_| settings.depends) {
            if packages.contains_key(needed) {
                graph.other.push(row("package", name, "depends", format!("package:{needed}")));
            } else {
                graph.virtual_packages.insert(needed);
            }
        }
    }

    let mut tuples = graph.tuples(settings.every_link);
    if settings.sorted {
        tuples.sort_by(|one, two| graph.compare(*one, *two));
    } else {
        tuples.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(SEED));
    }
    let written = match &settings.output {
        Some(path) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            graph.write(&tuples, settings.format, file).with_context(|| path.display().to_string())
        }
        None => match graph.write(&tuples, settings.format, io::stdout().lock()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => Ok(written?),
        },
    };
    written?;

    let messages = &mut io::stderr().lock();
    for bad in &index.bad {
        writeln!(messages, "{}: {bad}", settings.sources.display())?;
    }
    let unknown = tree.packages().iter().filter(|name| !packages.contains_key(*name));
    let unknown = unknown.map(String::as_str).collect();
    writeln!(messages, "{}", Summary { graph: &graph, tuples: &tuples, unknown })?;
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<impl BufRead> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(BufReader::with_capacity(BUFFER_BYTES, file))
}

fn row(object_type: &str, id: &str, relation: &'static str, subject: String) -> Row {
    Row { object: format!("{object_type}:{id}"), relation, subject }
}

/// Sources, those who look after them, and the developers among these.
fn people_rows(index: &Index) -> Vec<Row> {
    const DEVELOPERS: &str = "@debian.org";
    let people = People::of(index);
    let mut rows = Vec::from_iter(people.rows("source"));
    rows.extend(
        index.packages.keys().map(|name| row("source", name, "archive", "archive:debian".to_owned())),
    );
    let developers = people.people.iter().filter(|address| address.ends_with(DEVELOPERS));
    rows.extend(developers.map(|address| row("archive", "debian", "developer", format!("person:{address}"))));
    rows
}

// --- tuples ------------------------------------------------------------------------------------------------

/// All that tuples are made of.
struct Graph<'a> {
    tree: &'a Tree,
    other: Vec<Row>,
    /// Names that packages depend on and that no package has.
    virtual_packages: BTreeSet<&'a str>,
}

/// A tuple, by the numbers of what it is about.
#[derive(Debug, Clone, Copy)]
enum Tuple {
    FolderParent { folder: u32 },
    FileParent { file: u32 },
    FolderPackage { folder: u32, package: u32 },
    FilePackage { file: u32, package: u32 },
    Other { row: u32 },
}

/// A text in pieces: what is used together stands in different places.
type Pieces<'a> = [&'a str; 4];

impl Graph<'_> {
    fn tuples(&self, every_link: bool) -> Vec<Tuple> {
        let tree = self.tree;
        let owners = tree.owners_of_folders();
        let owner = |folder: u32| owners[folder as usize];
        let mut tuples = Vec::new();
        tuples.extend(tree.folders_below_root().map(|folder| Tuple::FolderParent { folder }));
        // The topmost folder says it for all in it.
        for folder in std::iter::once(ROOT).chain(tree.folders_below_root()) {
            let is_topmost = folder == ROOT || owner(tree.folder_parent(folder)) == Owner::Several;
            if let (Owner::One(package), true) = (owner(folder), is_topmost) {
                tuples.push(Tuple::FolderPackage { folder, package });
            }
        }
        for file in tree.files() {
            tuples.push(Tuple::FileParent { file });
            if every_link || owner(tree.file_folder(file)) == Owner::Several {
                let packages = tree.file_packages(file);
                tuples.extend(packages.iter().map(|&package| Tuple::FilePackage { file, package }));
            }
        }
        tuples.extend((0..self.other.len() as u32).map(|row| Tuple::Other { row }));
        tuples
    }

    fn object(&self, tuple: Tuple) -> Pieces<'_> {
        match tuple {
            Tuple::FolderParent { folder } | Tuple::FolderPackage { folder, .. } => self.folder(folder),
            Tuple::FileParent { file } | Tuple::FilePackage { file, .. } => {
                let folder = self.tree.folder_path(self.tree.file_folder(file));
                ["file:", folder, "/", self.tree.file_name(file)]
            }
            Tuple::Other { row } => [&self.other[row as usize].object, "", "", ""],
        }
    }

    fn relation(&self, tuple: Tuple) -> &'static str {
        match tuple {
            Tuple::FolderParent { .. } | Tuple::FileParent { .. } => "parent",
            Tuple::FolderPackage { .. } | Tuple::FilePackage { .. } => "package",
            Tuple::Other { row } => self.other[row as usize].relation,
        }
    }

    fn subject(&self, tuple: Tuple) -> Pieces<'_> {
        match tuple {
            Tuple::FolderParent { folder } => self.folder(self.tree.folder_parent(folder)),
            Tuple::FileParent { file } => self.folder(self.tree.file_folder(file)),
            Tuple::FolderPackage { package, .. } | Tuple::FilePackage { package, .. } => {
                ["package:", &self.tree.packages()[package as usize], "", ""]
            }
            Tuple::Other { row } => [&self.other[row as usize].subject, "", "", ""],
        }
    }

    fn folder(&self, folder: u32) -> Pieces<'_> {
        ["dir:", self.tree.folder_path(folder), if folder == ROOT { "/" } else { "" }, ""]
    }

    fn compare(&self, one: Tuple, two: Tuple) -> Ordering {
        compare(self.object(one), self.object(two))
            .then_with(|| self.relation(one).cmp(self.relation(two)))
            .then_with(|| compare(self.subject(one), self.subject(two)))
    }

    fn write(&self, tuples: &[Tuple], format: Format, output: impl Write) -> io::Result<()> {
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, output);
        if format == Format::Csv {
            writeln!(output, "object,relation,subject")?;
        }
        for tuple in tuples {
            let (object, relation, subject) =
                (self.object(*tuple), self.relation(*tuple), self.subject(*tuple));
            match format {
                Format::Csv => {
                    write_field(&mut output, object)?;
                    write!(output, ",{relation},")?;
                    write_field(&mut output, subject)?;
                }
                Format::Text => {
                    write_pieces(&mut output, object)?;
                    write!(output, "#{relation}@")?;
                    write_pieces(&mut output, subject)?;
                }
            }
            output.write_all(b"\n")?;
        }
        output.flush()
    }
}

/// The order of the texts that the pieces make.
fn compare(one: Pieces<'_>, two: Pieces<'_>) -> Ordering {
    let (mut ones, mut twos) = (one.iter(), two.iter());
    let (mut left, mut right) = ("".as_bytes(), "".as_bytes());
    loop {
        while left.is_empty() {
            match ones.next() {
                Some(next) => left = next.as_bytes(),
                None if right.is_empty() && twos.all(|rest| rest.is_empty()) => return Ordering::Equal,
                None => return Ordering::Less,
            }
        }
        while right.is_empty() {
            match twos.next() {
                Some(next) => right = next.as_bytes(),
                None => return Ordering::Greater,
            }
        }
        let both = left.len().min(right.len());
        let order = left[..both].cmp(&right[..both]);
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (&left[both..], &right[both..]);
    }
}

fn write_pieces(output: &mut impl Write, pieces: Pieces<'_>) -> io::Result<()> {
    pieces.iter().try_for_each(|piece| output.write_all(piece.as_bytes()))
}

/// A field of CSV, in quotes where it needs them. It has no line end: no id has.
fn write_field(output: &mut impl Write, pieces: Pieces<'_>) -> io::Result<()> {
    if !pieces.iter().any(|piece| piece.contains([',', '"'])) {
        return write_pieces(output, pieces);
    }
    output.write_all(b"\"")?;
    for piece in pieces {
        output.write_all(piece.replace('"', "\"\"").as_bytes())?;
    }
    output.write_all(b"\"")
}

// --- what was made -----------------------------------------------------------------------------------------

struct Summary<'a> {
    graph: &'a Graph<'a>,
    tuples: &'a [Tuple],
    /// Packages of the Contents indexes that the Packages index does not have.
    unknown: Vec<&'a str>,
}

impl Summary<'_> {
    /// How many tuples there are of each kind.
    fn kinds(&self) -> Vec<(&str, &'static str, usize)> {
        let mut kinds: Vec<(&str, &'static str, usize)> = Vec::new();
        for tuple in self.tuples {
            let object_type = self.graph.object(*tuple)[0].split(':').next().unwrap_or_default();
            let relation = self.graph.relation(*tuple);
            match kinds.iter_mut().find(|(its_type, its, _)| (*its_type, *its) == (object_type, relation)) {
                Some((_, _, count)) => *count += 1,
                None => kinds.push((object_type, relation, 1)),
            }
        }
        kinds.sort_unstable();
        kinds
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = self.graph.tree;
        writeln!(
            f,
            "{} lines: {} files in {} folders; {} paths have characters that no id has, written as %XX",
            tree.lines,
            tree.files().len(),
            tree.folders_below_root().len() + 1,
            tree.escaped
        )?;
        if let Some(first) = tree.too_long.first() {
            writeln!(f, "{} paths left out, too long for an id; the first: {first}", tree.too_long.len())?;
        }
        if !self.unknown.is_empty() {
            let names = self.unknown.join(", ");
            writeln!(
                f,
                "{} packages have files but are in no index of packages: {names}",
                self.unknown.len()
            )?;
        }
        if !self.graph.virtual_packages.is_empty() {
            let count = self.graph.virtual_packages.len();
            writeln!(f, "{count} names that packages depend on left out: no package has them")?;
        }
        write!(f, "{} tuples", self.tuples.len())?;
        for (object_type, relation, count) in self.kinds() {
            write!(f, "\n  {count:>9} {object_type}#{relation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_compared_as_the_texts_that_they_make() {
        let texts = [["a", "", "b", ""], ["ab", "", "", ""], ["", "a", "", "c"], ["a", "", "", ""], [""; 4]];
        for one in texts {
            for two in texts {
                assert_eq!(compare(one, two), one.concat().cmp(&two.concat()), "{one:?} {two:?}");
            }
        }
    }
}
