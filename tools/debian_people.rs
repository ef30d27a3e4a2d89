//! Turns Debian's Sources index into tuples for `schema/debian.fga`: who is named to look after a package.
//!
//! Reads the index as text (stanzas of `Field: value`, as in Debian policy's chapter on control files), writes
//! one tuple a line, sorted, each once. `tools/debian-people` fetches the index and runs this program on it;
//! `schema/debian.md` says what the tuples mean and what they leave out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;

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
            read_index(BufReader::new(File::open(path).with_context(|| path.display().to_string())?))?
        }
        None => read_index(io::stdin().lock())?,
    };
    if index.packages.is_empty() {
        bail!("the index has no source package: give the decompressed Sources file of a Debian release");
    }
    let tuples = Tuples::of(&index);
    match &settings.output {
        Some(path) => tuples.write(File::create(path).with_context(|| path.display().to_string())?)?,
        None => match tuples.write(io::stdout().lock()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        },
    }
    let messages = &mut io::stderr().lock();
    for bad in &index.bad {
        writeln!(messages, "{bad}")?;
    }
    writeln!(messages, "{}", Summary { index: &index, tuples: &tuples })?;
    Ok(())
}

// --- the index ---------------------------------------------------------------------------------------------

/// The newest stanza of each source package, and what was left out.
#[derive(Default)]
struct Index {
    packages: BTreeMap<String, SourcePackage>,
    stanzas: usize,
    /// Stanzas that the archive keeps only because binaries were built with them.
    kept_for_builds: usize,
    older: usize,
    bad: Vec<BadMailbox>,
}

struct SourcePackage {
    version: String,
    maintainers: Vec<Mailbox>,
    uploaders: Vec<Mailbox>,
}

/// A field with its folded lines joined by line ends, and the line it starts in.
struct Field {
    name: String,
    value: String,
    line: usize,
}

fn read_index(mut input: impl BufRead) -> anyhow::Result<Index> {
    let mut index = Index::default();
    let mut fields: Vec<Field> = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let end = input.read_until(b'\n', &mut bytes).context("the index cannot be read")? == 0;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() {
            index.add(std::mem::take(&mut fields));
            if end {
                break;
            }
        } else if text.starts_with([' ', '\t']) {
            let field = fields.last_mut().with_context(|| format!("line {line} continues no field"))?;
            field.value.push('\n');
            field.value.push_str(text);
        } else if !text.starts_with('#') {
            let (name, value) = text
                .split_once(':')
                .with_context(|| format!("line {line} is no `Field: value`: `{text}`"))?;
            fields.push(Field { name: name.to_ascii_lowercase(), value: value.to_owned(), line });
        }
    }
    Ok(index)
}

impl Index {
    fn add(&mut self, fields: Vec<Field>) {
        let find = |name: &str| fields.iter().find(|field| field.name == name);
        let text = |name| find(name).map_or("", |field| field.value.trim());
        let name = text("package");
        if name.is_empty() {
            return;
        }
        self.stanzas += 1;
        if text("extra-source-only") == "yes" {
            self.kept_for_builds += 1;
            return;
        }
        let version = text("version").to_owned();
        if let Some(known) = self.packages.get(name) {
            self.older += 1;
            if compare_versions(&known.version, &version) != Ordering::Less {
                return;
            }
        }
        let mut read = |name| {
            let Some(field) = find(name) else { return Vec::new() };
            let (mailboxes, bad) = mailboxes(&field.value, field.line);
            self.bad.extend(bad);
            mailboxes
        };
        let package =
            SourcePackage { version, maintainers: read("maintainer"), uploaders: read("uploaders") };
        self.packages.insert(name.to_owned(), package);
    }
}

/// The order of Debian versions, `[epoch:]upstream[-revision]`, as deb-version(7) has it.
fn compare_versions(left: &str, right: &str) -> Ordering {
    fn split(version: &str) -> (u64, &str, &str) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
    let (left, right) = (split(left), split(right));
    left.0
        .cmp(&right.0)
        .then_with(|| compare_version_parts(left.1, right.1))
        .then_with(|| compare_version_parts(left.2, right.2))
}

/// Compares by turns a stretch without digits and a number. `~` sorts before the end, letters come next.
fn compare_version_parts(mut left: &str, mut right: &str) -> Ordering {
    fn weight(byte: Option<&u8>) -> u16 {
        match byte {
            Some(b'~') => 0,
            None => 1,
            Some(byte) if byte.is_ascii_alphabetic() => 1 + u16::from(*byte),
            Some(byte) => 0x100 + u16::from(*byte),
        }
    }
    fn take<'a>(text: &mut &'a str, part: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = text.split_at(text.find(|c| !part(c)).unwrap_or(text.len()));
        *text = rest;
        taken
    }
    while !left.is_empty() || !right.is_empty() {
        let words = (take(&mut left, |c| !c.is_ascii_digit()), take(&mut right, |c| !c.is_ascii_digit()));
        let words = (words.0.as_bytes(), words.1.as_bytes());
        for at in 0..words.0.len().max(words.1.len()) {
            let order = weight(words.0.get(at)).cmp(&weight(words.1.get(at)));
            if order != Ordering::Equal {
                return order;
            }
        }
        let numbers = (take(&mut left, |c| c.is_ascii_digit()), take(&mut right, |c| c.is_ascii_digit()));
        let numbers = (numbers.0.trim_start_matches('0'), numbers.1.trim_start_matches('0'));
        let order = numbers.0.len().cmp(&numbers.1.len()).then_with(|| numbers.0.cmp(numbers.1));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

// --- mailboxes ---------------------------------------------------------------------------------------------

/// `Name <address>`; the address is lower-case and can be an id.
#[derive(Debug, PartialEq)]
struct Mailbox {
    name: String,
    address: String,
}

#[derive(Debug, PartialEq)]
struct BadMailbox {
    line: usize,
    text: String,
    problem: &'static str,
}

impl fmt::Display for BadMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: skipped `{}`: {}", self.line, self.text, self.problem)
    }
}

/// Reads a list of mailboxes as maintainers write them: `>` ends a mailbox whether or not a comma follows, a
/// name may hold commas, quoted or not (`Adam Powell, IV <…>`), a bare address is one by itself, and empty
/// entries mean nothing.
fn mailboxes(list: &str, first_line: usize) -> (Vec<Mailbox>, Vec<BadMailbox>) {
    // A mark that is left open is taken as a letter.
    let quotes = list.matches('"').count().is_multiple_of(2);
    let comments = list.matches('(').count() == list.matches(')').count();
    let (mut quoted, mut depth) = (false, 0_usize);
    let (mut start, mut opened) = (0, None);
    let mut found = Vec::new();
    for (at, c) in list.char_indices() {
        match c {
            '"' if quotes && depth == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' if comments => depth += 1,
            ')' if comments => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '<' if opened.is_none() => opened = Some(at),
            '>' => {
                found.push((start, at + 1));
                (start, opened) = (at + 1, None);
            }
            // A comma ends an address that was not closed, or a bare one; else it belongs to a name.
            ',' if opened.is_some() || is_bare(&list[start..at]) => {
                found.push((start, at));
                (start, opened) = (at + 1, None);
            }
            _ => {}
        }
    }
    found.push((start, list.len()));

    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (start, end) in found {
        let text = list[start..end].trim_matches(|c: char| c == ',' || c.is_whitespace());
        if text.is_empty() {
            continue;
        }
        match mailbox(text) {
            Ok(mailbox) => good.push(mailbox),
            Err(problem) => {
                let line = first_line + list[..end].trim_end().matches('\n').count();
                bad.push(BadMailbox { line, text: one_line(text), problem });
            }
        }
    }
    (good, bad)
}

/// Whether the text before a comma is an address without a name, or nothing.
fn is_bare(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c == ',' || c.is_whitespace());
    text.is_empty() || (text.contains('@') && !text.contains(char::is_whitespace))
}

fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    let (name, address) = match text.rsplit_once('<') {
        Some((name, address)) => (name, address.strip_suffix('>').ok_or("the address has no `>`")?),
        None => ("", text),
    };
    let address = address.trim().to_lowercase();
    check_address(&address)?;
    let name = one_line(name);
    Ok(Mailbox { name: name.trim_matches('"').to_owned(), address })
}

/// What an address needs so as to be one, and so as to be an id.
fn check_address(address: &str) -> Result<(), &'static str> {
    const CHARS_MAX: usize = 200;
    let (local, domain) = address.split_once('@').ok_or("there is no address")?;
    if address.contains(|c: char| c.is_whitespace() || c.is_control() || "<>(),:;#\"".contains(c)) {
        return Err("the address has a character that it may not have");
    }
    if local.is_empty() || domain.contains('@') || domain.split('.').any(str::is_empty) {
        return Err("the address is not NAME@DOMAIN");
    }
    if address.chars().count() > CHARS_MAX {
        return Err("the address is too long");
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

// --- tuples ------------------------------------------------------------------------------------------------

struct Tuples<'a> {
    lines: BTreeSet<String>,
    /// The addresses, each on one side.
    people: BTreeSet<&'a str>,
    teams: BTreeSet<&'a str>,
    members: BTreeSet<(&'a str, &'a str)>,
    maintainers: usize,
    uploaders: usize,
}

impl<'a> Tuples<'a> {
    fn of(index: &'a Index) -> Tuples<'a> {
        let (teams, people) = teams_and_people(index);
        let mut tuples = Tuples {
            lines: BTreeSet::new(),
            people,
            teams,
            members: BTreeSet::new(),
            maintainers: 0,
            uploaders: 0,
        };
        for (name, package) in &index.packages {
            for maintainer in &package.maintainers {
                tuples.maintainers += tuples.add(name, "maintainer", &maintainer.address);
            }
            for uploader in &package.uploaders {
                tuples.uploaders += tuples.add(name, "uploader", &uploader.address);
            }
            tuples.add_members(package);
        }
        for (team, person) in &tuples.members {
            tuples.lines.insert(format!("team:{team}#member@person:{person}"));
        }
        tuples
    }

    /// Adds an edge and tells how many are new.
    fn add(&mut self, package: &str, relation: &str, address: &str) -> usize {
        let subject = if self.teams.contains(address) {
            format!("team:{address}#member")
        } else {
            format!("person:{address}")
        };
        usize::from(self.lines.insert(format!("package:{package}#{relation}@{subject}")))
    }

    /// Uploaders of a team's package are members of the team: the index has no other list of them.
    fn add_members(&mut self, package: &'a SourcePackage) {
        let is_team = |mailbox: &&Mailbox| self.teams.contains(mailbox.address.as_str());
        for team in package.maintainers.iter().filter(is_team) {
            let people = package.uploaders.iter().filter(|uploader| !is_team(uploader));
            self.members.extend(people.map(|person| (team.address.as_str(), person.address.as_str())));
        }
    }

    fn write(&self, output: impl Write) -> io::Result<()> {
        let mut output = BufWriter::new(output);
        for line in &self.lines {
            writeln!(output, "{line}")?;
        }
        output.flush()
    }
}

/// Divides the addresses. One that is a team's in any stanza is a team's in all of them.
fn teams_and_people(index: &Index) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let mailboxes =
        || index.packages.values().flat_map(|package| package.maintainers.iter().chain(&package.uploaders));
    let teams: BTreeSet<&str> =
        mailboxes().filter(|mailbox| is_team(mailbox)).map(|mailbox| &*mailbox.address).collect();
    let people =
        mailboxes().map(|mailbox| &*mailbox.address).filter(|address| !teams.contains(address)).collect();
    (teams, people)
}

/// A team's address is that of a mailing list, a tracker team or a package; or its name says so.
fn is_team(mailbox: &Mailbox) -> bool {
    const SHARED_DOMAINS: [&str; 7] = [
        "tracker.debian.org",
        "packages.debian.org",
        "qa.debian.org",
        "release.debian.org",
        "teams.debian.net",
        "googlegroups.com",
        "groups.io",
    ];
    const TEAM_WORDS: [&str; 9] = [
        "team",
        "teams",
        "group",
        "project",
        "force",
        "maintainers",
        "developers",
        "packagers",
        "collective",
    ];
    let (local, domain) = mailbox.address.split_once('@').unwrap_or_default();
    let host = domain.split('.').next().unwrap_or_default();
    let list_host = host == "lists" || host.starts_with("lists-") || host.ends_with("-lists");
    let name = mailbox.name.to_lowercase();
    let before_comment = name.split('(').next().unwrap_or_default();
    let mut words = before_comment.split(|c: char| !c.is_alphanumeric());
    list_host
        || SHARED_DOMAINS.contains(&domain)
        || local.starts_with("team+")
        || words.any(|word| TEAM_WORDS.contains(&word))
}

struct Summary<'a> {
    index: &'a Index,
    tuples: &'a Tuples<'a>,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { index, tuples } = self;
        let with_members = tuples.members.iter().map(|(team, _)| team).collect::<BTreeSet<_>>().len();
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
            "{} tuples: {} maintainers, {} uploaders, {} team members",
            tuples.lines.len(),
            tuples.maintainers,
            tuples.uploaders,
            tuples.members.len()
        )?;
        write!(
            f,
            "{} people, {} teams ({} of them with members), {} bad addresses skipped",
            tuples.people.len(),
            tuples.teams.len(),
            with_members,
            index.bad.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &str) -> Vec<String> {
        let (good, bad) = mailboxes(list, 1);
        assert_eq!(bad, []);
        good.into_iter().map(|mailbox| mailbox.address).collect()
    }

    fn lines(index: &str) -> Vec<String> {
        Tuples::of(&read_index(index.as_bytes()).unwrap()).lines.into_iter().collect()
    }

    #[test]
    fn mailbox_lists_as_people_write_them() {
        for (list, expected) in [
            ("Ann A <Ann@Example.org>", vec!["ann@example.org"]),
            (" A <a@x.org>, B <b@x.org>,", vec!["a@x.org", "b@x.org"]),
            (" A <a@x.org>,\n B <b@x.org>\n , C <c@x.org>", vec!["a@x.org", "b@x.org", "c@x.org"]),
            // No comma between two.
            (" A <a@x.org> B <b@x.org>\n C <c@x.org>", vec!["a@x.org", "b@x.org", "c@x.org"]),
            // Commas inside names.
            ("\"Doe, Ann\" <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("Adam C. Powell, IV <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("A (x, <y@z.org>) <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            // Marks left open.
            ("A \"the A <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("A (the A <a@x.org>, B <b@x.org>", vec!["a@x.org", "b@x.org"]),
            ("a@x.org, b@x.org, C <c@x.org>", vec!["a@x.org", "b@x.org", "c@x.org"]),
            ("", vec![]),
            (" , ,", vec![]),
        ] {
            assert_eq!(addresses(list), expected, "{list:?}");
        }
    }

    #[test]
    fn a_bad_address_is_reported_with_its_line_and_the_others_are_kept() {
        let (good, bad) =
            mailboxes(" A <a@x.org>,\n Bob <bob at x.org>,\n C <c@x.org, D <d@x.org>,\n Eve", 7);
        assert_eq!(good.iter().map(|mailbox| &*mailbox.address).collect::<Vec<_>>(), ["a@x.org", "d@x.org"]);
        assert_eq!(
            bad.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "line 8: skipped `Bob <bob at x.org>`: there is no address",
                "line 9: skipped `C <c@x.org`: the address has no `>`",
                "line 10: skipped `Eve`: there is no address",
            ]
        );
    }

    #[test]
    fn an_address_has_to_be_able_to_be_an_id() {
        for address in ["a", "@x.org", "a@", "a@x..org", "a@b@c.org", "a:b@x.org", "a#b@x.org", "a b@x.org"] {
            assert!(check_address(address).is_err(), "{address}");
        }
        for address in ["a@x.org", "team+python@tracker.debian.org", "o'neil@x.org", "root@localhost"] {
            assert_eq!(check_address(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn teams_are_told_by_address_or_by_name() {
        let team =
            |name: &str, address: &str| is_team(&Mailbox { name: name.into(), address: address.into() });
        assert!(team("Debian Perl Group", "pkg-perl-maintainers@lists.alioth.debian.org"));
        assert!(team("pkg-lxc", "pkg-lxc-devel@lists.alioth.debian.org"));
        assert!(team("Debian OpenStack", "team+openstack@tracker.debian.org"));
        assert!(team("Debian Rust", "pkg-rust@alioth-lists.debian.net"));
        assert!(team("LMDB", "lmdb@packages.debian.org"));
        assert!(team("Jool Team", "jool@nic.mx"));
        assert!(team("Debian GNUstep maintainers", "gnustep@example.org"));
        assert!(!team("Sam Hocevar (Debian packages team)", "sam+deb@zoy.org"));
        assert!(!team("Ann Teamer", "ann@listserv.org"));
        assert!(!team("Thorsten Alteholz", "debian@alteholz.de"));
    }

    #[test]
    fn uploaders_of_a_teams_package_are_members_of_the_team() {
        let index = "\
Package: acl
Version: 2.3.1-3
Maintainer: Guillem Jover <guillem@debian.org>

Package: perl-a
Version: 1-1
Maintainer: Debian Perl Group <perl@lists.debian.org>
Uploaders: Ann <ann@debian.org>, Ann <ANN@debian.org>,
 Java Team <java@lists.debian.org>,
 \"Doe, Bob\" <bob@debian.org>
Files:
 0123 2565 perl-a.dsc
";
        assert_eq!(
            lines(index),
            [
                "package:acl#maintainer@person:guillem@debian.org",
                "package:perl-a#maintainer@team:perl@lists.debian.org#member",
                "package:perl-a#uploader@person:ann@debian.org",
                "package:perl-a#uploader@person:bob@debian.org",
                "package:perl-a#uploader@team:java@lists.debian.org#member",
                "team:perl@lists.debian.org#member@person:ann@debian.org",
                "team:perl@lists.debian.org#member@person:bob@debian.org",
            ]
        );
    }

    #[test]
    fn the_newest_version_counts_and_sources_kept_for_builds_do_not() {
        let index = "\
Package: a
Version: 1:1.10-1
Maintainer: New <new@x.org>

Package: a
Version: 1:1.9-1
Maintainer: Old <old@x.org>

Package: a
Version: 2:0-1
Extra-Source-Only: yes
Maintainer: Kept <kept@x.org>
";
        assert_eq!(lines(index), ["package:a#maintainer@person:new@x.org"]);
    }

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        for (less, more) in [
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0a"),
            ("1.0a", "1.0+b"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("9.9", "1:0.1"),
            ("115.16.0esr-1~deb12u1", "140.12.0esr-1~deb12u1"),
            ("6.1.170-3", "6.1.176-1"),
        ] {
            assert_eq!(compare_versions(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare_versions(more, less), Ordering::Greater, "{more} {less}");
        }
        assert_eq!(compare_versions("1.00-1", "1.0-1"), Ordering::Equal);
    }

    #[test]
    fn a_line_that_is_no_field_is_named() {
        let error = read_index(&b"Package: a\nnonsense\n"[..]).err().unwrap();
        assert_eq!(error.to_string(), "line 2 is no `Field: value`: `nonsense`");
        let error = read_index(&b" folded\n"[..]).err().unwrap();
        assert_eq!(error.to_string(), "line 1 continues no field");
    }
}
