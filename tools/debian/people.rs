//! Who looks after which source package: Debian's Sources index.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use anyhow::bail;

use crate::control::{Stanza, compare_versions, read_stanzas};
use crate::mailbox::{BadMailbox, Mailbox, mailboxes};

/// The newest stanza of each source package, and what was left out.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) packages: BTreeMap<String, SourcePackage>,
    pub(crate) stanzas: usize,
    /// Stanzas that the archive keeps only because binaries were built with them.
    pub(crate) kept_for_builds: usize,
    pub(crate) older: usize,
    pub(crate) bad: Vec<BadMailbox>,
}

pub(crate) struct SourcePackage {
    version: String,
    maintainers: Vec<Mailbox>,
    uploaders: Vec<Mailbox>,
}

impl Index {
    pub(crate) fn read(input: impl BufRead) -> anyhow::Result<Index> {
        let mut index = Index::default();
        read_stanzas(input, |stanza| index.add(stanza))?;
        if index.packages.is_empty() {
            bail!("the index has no source package: give the decompressed Sources file of a Debian release");
        }
        Ok(index)
    }

    fn add(&mut self, stanza: &Stanza) {
        let name = stanza.text("package");
        if name.is_empty() {
            return;
        }
        self.stanzas += 1;
        if stanza.text("extra-source-only") == "yes" {
            self.kept_for_builds += 1;
            return;
        }
        let version = stanza.text("version").to_owned();
        if let Some(known) = self.packages.get(name) {
            self.older += 1;
            if compare_versions(&known.version, &version) != Ordering::Less {
                return;
            }
        }
        let mut read = |name| {
            let Some(field) = stanza.field(name) else { return Vec::new() };
            let (mailboxes, bad) = mailboxes(&field.value, field.line);
            self.bad.extend(bad);
            mailboxes
        };
        let package =
            SourcePackage { version, maintainers: read("maintainer"), uploaders: read("uploaders") };
        self.packages.insert(name.to_owned(), package);
    }
}

/// A tuple in the making.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) object: String,
    pub(crate) relation: &'static str,
    pub(crate) subject: String,
}

/// The index by who is in it. People and teams are their addresses, each on one side.
pub(crate) struct People<'a> {
    pub(crate) people: BTreeSet<&'a str>,
    pub(crate) teams: BTreeSet<&'a str>,
    /// Packages with addresses.
    pub(crate) maintainers: BTreeSet<(&'a str, &'a str)>,
    pub(crate) uploaders: BTreeSet<(&'a str, &'a str)>,
    /// Teams with people.
    pub(crate) members: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> People<'a> {
    pub(crate) fn of(index: &'a Index) -> People<'a> {
        let (teams, people) = teams_and_people(index);
        let mut maintainers = BTreeSet::new();
        let mut uploaders = BTreeSet::new();
        let mut members = BTreeSet::new();
        for (name, package) in &index.packages {
            let named = |mailboxes: &'a [Mailbox]| mailboxes.iter().map(|mailbox| mailbox.address.as_str());
            maintainers.extend(named(&package.maintainers).map(|address| (name.as_str(), address)));
            uploaders.extend(named(&package.uploaders).map(|address| (name.as_str(), address)));
            // Uploaders of a team's package are members of the team: the index has no other list of them.
            for team in named(&package.maintainers).filter(|address| teams.contains(address)) {
                let people = named(&package.uploaders).filter(|address| !teams.contains(address));
                members.extend(people.map(|person| (team, person)));
            }
        }
        People { people, teams, maintainers, uploaders, members }
    }

    /// Tuples about source packages, which are of the given type, and about teams.
    pub(crate) fn rows(&self, package_type: &str) -> BTreeSet<Row> {
        let of_package = |relation| {
            move |(package, address): &(&str, &str)| {
                let object = format!("{package_type}:{package}");
                Row { object, relation, subject: self.subject(address) }
            }
        };
        let members = self.members.iter().map(|(team, person)| Row {
            object: format!("team:{team}"),
            relation: "member",
            subject: format!("person:{person}"),
        });
        self.maintainers
            .iter()
            .map(of_package("maintainer"))
            .chain(self.uploaders.iter().map(of_package("uploader")))
            .chain(members)
            .collect()
    }

    fn subject(&self, address: &str) -> String {
        if self.teams.contains(address) {
            format!("team:{address}#member")
        } else {
            format!("person:{address}")
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(index: &str) -> Vec<String> {
        let index = Index::read(index.as_bytes()).unwrap();
        let rows = People::of(&index).rows("package").into_iter();
        rows.map(|row| format!("{}#{}@{}", row.object, row.relation, row.subject)).collect()
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
}
