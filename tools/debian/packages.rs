//! From which source a package is built, and what it needs: Debian's Packages index.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use anyhow::bail;

use crate::control::{compare_versions, read_stanzas};

/// What is said of a package.
pub(crate) struct Package {
    version: String,
    pub(crate) source: String,
    /// Everything that it names in `Depends` and `Pre-Depends`, alternatives too; it may be provided by others only.
    pub(crate) depends: BTreeSet<String>,
}

/// Reads an index. Of several versions of a package the newest counts.
pub(crate) fn read_packages(input: impl BufRead) -> anyhow::Result<BTreeMap<String, Package>> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    read_stanzas(input, |stanza| {
        let (name, version) = (stanza.text("package"), stanza.text("version"));
        let is_newer = |known: &Package| compare_versions(&known.version, version).is_lt();
        if name.is_empty() || !packages.get(name).is_none_or(is_newer) {
            return;
        }
        // The version of the source is told where it is another one.
        let source = stanza.text("source").split_whitespace().next().unwrap_or(name).to_owned();
        let depends = ["depends", "pre-depends"].into_iter().flat_map(|field| names(stanza.text(field)));
        let package = Package { version: version.to_owned(), source, depends: depends.collect() };
        packages.insert(name.to_owned(), package);
    })?;
    if packages.is_empty() {
        bail!("the index has no package: give the decompressed Packages file of a Debian release");
    }
    Ok(packages)
}

/// The names in a list of packages such as `libc6 (>= 2.36), python3:any, mawk | gawk`.
fn names(list: &str) -> impl Iterator<Item = String> {
    list.split([',', '|'])
        .filter_map(|one| {
            one.split(|c: char| c.is_whitespace() || "(:[<".contains(c)).find(|word| !word.is_empty())
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_dependencies() {
        let index = "\
Package: acl
Version: 2.3.1-3

Package: libacl1
Source: acl (2.3.1-2)
Version: 2.3.1-3
Pre-Depends: libc6 (>= 2.33)
Depends: debconf (>= 0.5) | debconf-2.0, python3:any,
 libc6(>= 2.34)

Package: libacl1
Version: 2.3.1-1
";
        let packages = read_packages(index.as_bytes()).unwrap();
        let said = |name: &str| {
            let package = &packages[name];
            (&*package.source, package.depends.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(said("acl"), ("acl", vec![]));
        assert_eq!(said("libacl1"), ("acl", vec!["debconf", "debconf-2.0", "libc6", "python3"]));
        assert!(read_packages(&b"\n"[..]).is_err());
    }
}
