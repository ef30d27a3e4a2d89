//! Which files there are and of which packages: Debian's Contents indexes.
//!
//! A line is a path and, behind white space, its packages: `usr/bin/getfacl   utils/acl,utils/acl-udeb`. An id is the
//! path from the root, `/usr/bin/getfacl`. There are millions, so a file is kept as a few numbers.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::BufRead;
use std::sync::Arc;

use anyhow::Context;
use stonetown::tuple::OBJECT_CHARS_MAX;

/// The folder that is in no other.
pub(crate) const ROOT: u32 = 0;

/// Files, in folders. Packages are numbered in the order in which they are met.
pub(crate) struct Tree {
    folders: Vec<Folder>,
    folder_ids: HashMap<Arc<str>, u32>,
    files: Vec<File>,
    /// The names of all files, one behind the other.
    names: String,
    packages: Vec<String>,
    package_ids: HashMap<String, u32>,
    /// The packages of all files, one behind the other.
    owners: Vec<u32>,
    pub(crate) lines: usize,
    /// Paths that have what an id cannot have.
    pub(crate) escaped: usize,
    /// Paths that are too long to be ids.
    pub(crate) too_long: Vec<String>,
}

/// INVARIANT: the folder that it is in was met before, so its number is lower.
struct Folder {
    /// Its id, but for the root, whose id is `/`: empty.
    path: Arc<str>,
    parent: u32,
}

#[derive(Clone, Copy)]
struct File {
    folder: u32,
    name: Span,
    owners: Span,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    length: u16,
}

/// Of which packages the files in a folder and below are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Owner {
    Nobody,
    One(u32),
    Several,
}

impl Owner {
    fn and(self, other: Owner) -> Owner {
        match (self, other) {
            (Owner::Nobody, one) | (one, Owner::Nobody) => one,
            (one, two) if one == two => one,
            _ => Owner::Several,
        }
    }
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let root: Arc<str> = "".into();
        Tree {
            folders: vec![Folder { path: Arc::clone(&root), parent: ROOT }],
            folder_ids: HashMap::from([(root, ROOT)]),
            files: Vec::new(),
            names: String::new(),
            packages: Vec::new(),
            package_ids: HashMap::new(),
            owners: Vec::new(),
            lines: 0,
            escaped: 0,
            too_long: Vec::new(),
        }
    }

    /// Adds what an index lists.
    pub(crate) fn read(&mut self, mut input: impl BufRead) -> anyhow::Result<()> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if input.read_until(b'\n', &mut line).context("the index cannot be read")? == 0 {
                break;
            }
            let line = line.trim_ascii();
            let bad = || format!("line {number} is no path with packages: `{}`", line.escape_ascii());
            let space = line.iter().rposition(u8::is_ascii_whitespace).with_context(bad)?;
            let packages = std::str::from_utf8(&line[space + 1..]).ok().with_context(bad)?;
            self.add(line[..space].trim_ascii_end(), packages).with_context(bad)?;
        }
        Ok(())
    }

    fn add(&mut self, path: &[u8], packages: &str) -> anyhow::Result<()> {
        self.lines += 1;
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let mut id = String::with_capacity(path.len() + 1);
        id.push('/');
        if push_escaped(&mut id, path) {
            self.escaped += 1;
        }
        // The longer of the two words: a folder's id is shorter than those of the files in it.
        if "file:".len() + id.chars().count() > OBJECT_CHARS_MAX {
            self.too_long.push(id);
            return Ok(());
        }
        let (folder, name) = id.rsplit_once('/').unwrap_or_default();
        let folder = self.folder(folder);
        let start = self.names.len();
        self.names.push_str(name);
        let name = span(start, self.names.len())?;

        let mut owners: Vec<u32> = Vec::new();
        for package in packages.split(',') {
            // With the section before it, and the area before that.
            let name = package.rsplit('/').next().unwrap_or_default();
            owners.push(self.package(name));
        }
        let owners = self.owners(owners)?;
        self.files.push(File { folder, name, owners });
        Ok(())
    }

    fn folder(&mut self, path: &str) -> u32 {
        if let Some(known) = self.folder_ids.get(path) {
            return *known;
        }
        let parent = self.folder(path.rsplit_once('/').unwrap_or_default().0);
        let path: Arc<str> = path.into();
        let id = self.folders.len() as u32;
        self.folders.push(Folder { path: Arc::clone(&path), parent });
        self.folder_ids.insert(path, id);
        id
    }

    fn package(&mut self, name: &str) -> u32 {
        if let Some(known) = self.package_ids.get(name) {
            return *known;
        }
        let id = self.packages.len() as u32;
        self.packages.push(name.to_owned());
        self.package_ids.insert(name.to_owned(), id);
        id
    }

    fn owners(&mut self, mut owners: Vec<u32>) -> anyhow::Result<Span> {
        owners.sort_unstable();
        owners.dedup();
        let start = self.owners.len();
        self.owners.extend(owners);
        span(start, self.owners.len())
    }

    /// Makes one of what several lines say of a path. To be called when everything is read.
    pub(crate) fn merge(&mut self) -> anyhow::Result<()> {
        let names = std::mem::take(&mut self.names);
        let mut files = std::mem::take(&mut self.files);
        // Stable, as the lines are in order nearly everywhere.
        files.sort_by_key(|file| (file.folder, file.name.of(&names)));
        self.files.reserve_exact(files.len());
        for file in files {
            let same =
                |last: &File| last.folder == file.folder && last.name.of(&names) == file.name.of(&names);
            if let Some(last) = self.files.last().copied().filter(same) {
                self.files.pop();
                let owners = [last.owners, file.owners].map(|span| span.of_numbers(&self.owners)).concat();
                let owners = self.owners(owners)?;
                self.files.push(File { owners, ..file });
            } else {
                self.files.push(file);
            }
        }
        self.names = names;
        Ok(())
    }

    pub(crate) fn files(&self) -> std::ops::Range<u32> {
        0..self.files.len() as u32
    }

    /// The folders, but for the root.
    pub(crate) fn folders_below_root(&self) -> std::ops::Range<u32> {
        ROOT + 1..self.folders.len() as u32
    }

    /// The id of a folder; of the root: nothing.
    pub(crate) fn folder_path(&self, folder: u32) -> &str {
        &self.folders[folder as usize].path
    }

    pub(crate) fn folder_parent(&self, folder: u32) -> u32 {
        self.folders[folder as usize].parent
    }

    pub(crate) fn file_folder(&self, file: u32) -> u32 {
        self.files[file as usize].folder
    }

    pub(crate) fn file_name(&self, file: u32) -> &str {
        self.files[file as usize].name.of(&self.names)
    }

    pub(crate) fn file_packages(&self, file: u32) -> &[u32] {
        self.files[file as usize].owners.of_numbers(&self.owners)
    }

    pub(crate) fn packages(&self) -> &[String] {
        &self.packages
    }

    /// Of which packages the files of every folder are, by its number.
    pub(crate) fn owners_of_folders(&self) -> Vec<Owner> {
        let mut owners = vec![Owner::Nobody; self.folders.len()];
        for file in &self.files {
            let of = &mut owners[file.folder as usize];
            *of = match file.owners.of_numbers(&self.owners) {
                [one] => of.and(Owner::One(*one)),
                _ => Owner::Several,
            };
        }
        // What is deeper has a higher number.
        for folder in self.folders_below_root().rev() {
            let parent = self.folder_parent(folder) as usize;
            owners[parent] = owners[parent].and(owners[folder as usize]);
        }
        owners
    }
}

fn span(start: usize, end: usize) -> anyhow::Result<Span> {
    let too_much = "there is more in these indexes than this program can hold";
    Ok(Span {
        start: start.try_into().context(too_much)?,
        length: (end - start).try_into().context(too_much)?,
    })
}

impl Span {
    fn of(self, names: &str) -> &str {
        &names[self.start as usize..][..usize::from(self.length)]
    }

    fn of_numbers(self, numbers: &[u32]) -> &[u32] {
        &numbers[self.start as usize..][..usize::from(self.length)]
    }
}

/// Adds a path with `%`, and everything that an id cannot have, written as in a URL. Says whether there was any.
fn push_escaped(id: &mut String, path: &[u8]) -> bool {
    let mut any = false;
    let mut escape = |id: &mut String, bytes: &[u8]| {
        any |= !bytes.is_empty();
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(id, "%{byte:02X}");
        }
    };
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_whitespace() || c.is_control() || matches!(c, ':' | '#' | '%') {
                escape(id, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                id.push(c);
            }
        }
        escape(id, chunk.invalid());
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(lines: &str) -> Tree {
        let mut tree = Tree::new();
        tree.read(lines.as_bytes()).unwrap();
        tree.merge().unwrap();
        tree
    }

    #[test]
    fn what_an_id_cannot_have_is_written_as_in_a_url() {
        for (path, id) in [
            (&b"usr/bin/["[..], "usr/bin/["),
            (b"a b\tc", "a%20b%09c"),
            (b"a:b#c%d@e", "a%3Ab%23c%25d@e"),
            ("é/\u{a0}/\u{85}".as_bytes(), "é/%C2%A0/%C2%85"),
            (b"caf\xe9", "caf%E9"),
        ] {
            let mut escaped = String::new();
            assert_eq!(push_escaped(&mut escaped, path), path != id.as_bytes());
            assert_eq!(escaped, id);
            stonetown::tuple::check_object_id(&escaped).unwrap();
        }
    }

    #[test]
    fn a_path_may_hold_spaces_and_several_lines_may_say_of_which_packages_it_is() {
        let tree = tree("a/b c   x/one,two\na/b   x/one\na/b c\tnon-free/x/three,x/one\n");
        let files: Vec<_> =
            tree.files().map(|file| (tree.file_name(file), tree.file_packages(file))).collect();
        assert_eq!(files, [("b", &[0][..]), ("b%20c", &[0, 1, 2])]);
        assert_eq!(tree.packages(), ["one", "two", "three"]);
        assert_eq!((tree.lines, tree.escaped), (3, 2));
    }

    #[test]
    fn a_line_without_packages_is_named() {
        let error = Tree::new().read(&b"usr/a  x/a\nusr/b\n"[..]).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is no path with packages: `usr/b`");
    }

    #[test]
    fn a_path_that_is_too_long_is_left_out() {
        let longest = "x".repeat(OBJECT_CHARS_MAX - "file:/".len());
        let tree = tree(&format!("{longest} x/a\n{longest}y x/a\n"));
        assert_eq!((tree.files(), tree.too_long), (0..1, vec![format!("/{longest}y")]));
    }

    #[test]
    fn folders_are_of_those_packages_of_which_everything_in_them_is() {
        let tree = tree("a/b/c/1 x/one\na/b/2 x/one\na/d/3 x/two\na/e/4 x/two,x/one\n");
        let owners = tree.owners_of_folders();
        let of = |path| owners[tree.folder_ids[path] as usize];
        assert!(of("/a/b/c") == Owner::One(0) && of("/a/b") == Owner::One(0) && of("/a/d") == Owner::One(1));
        assert!(of("/a/e") == Owner::Several && of("/a") == Owner::Several && of("") == Owner::Several);
    }
}
