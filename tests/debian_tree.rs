//! `debian-tree` on small indexes made by hand (`tests/debian_tree`): which tuples it writes, in which forms, and what
//! follows from them under `schema/debian-tree.fga`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/debian_tree").join(name)
}

fn generate(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_debian-tree"))
        .arg("--contents")
        .args([fixture("contents-amd64"), fixture("contents-all")])
        .arg("--packages")
        .arg(fixture("packages"))
        .arg("--sources")
        .arg(fixture("sources"))
        .args(options)
        .output()
        .unwrap()
}

fn lines(options: &[&str]) -> Vec<String> {
    let output = generate(options);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn expected() -> Vec<String> {
    std::fs::read_to_string(fixture("sorted.txt")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_tuples_of_small_indexes() {
    assert_eq!(lines(&["--format", "text", "--sorted", "--depends"]), expected());
    let without: Vec<String> = expected().into_iter().filter(|line| !line.contains("#depends@")).collect();
    assert_eq!(lines(&["--format", "text", "--sorted"]), without);
    // What a folder says of its files is said of each of them too.
    let mut every = lines(&["--format", "text", "--sorted", "--depends", "--every-link"]);
    every.retain(|line| !expected().contains(line));
    assert_eq!(
        every,
        [
            "file:/bin/one#package@package:one",
            "file:/usr/share/doc/one/copyright#package@package:one",
            "file:/usr/share/doc/one/why%20100%25%20is%20%231%3A%20notes.txt#package@package:one",
            "file:/usr/share/doc/two/a,b.txt#package@package:libtwo",
            "file:/usr/share/doc/two/deep/\"quoted\".txt#package@package:libtwo",
        ]
    );
}

#[test]
fn without_an_order_they_are_shuffled_the_same_way_each_time() {
    let shuffled = lines(&["--format", "text", "--depends"]);
    assert_ne!(shuffled, expected());
    assert_eq!(shuffled, lines(&["--format", "text", "--depends"]));
    let sorted = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<String>>();
    assert_eq!(sorted(&shuffled), sorted(&expected()));
}

#[test]
fn what_was_left_out_is_counted() {
    let said = String::from_utf8(generate(&["--depends"]).stderr).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(
        said[0],
        "8 lines: 6 files in 9 folders; 1 paths have characters that no id has, written as %XX"
    );
    assert!(
        said[1].starts_with("1 paths left out, too long for an id; the first: /usr/share/long/name-name"),
        "{said:?}"
    );
    assert_eq!(said[2], "1 packages have files but are in no index of packages: three");
    assert_eq!(said[3], "2 names that packages depend on left out: no package has them");
    assert_eq!(said[4], "34 tuples");
    assert!(said.contains(&"          6 file#parent"), "{said:?}");
}

#[test]
fn who_looks_after_a_package_owns_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_stonetown"))
            .args(arguments)
            .current_dir(dir.path())
            .env("STONETOWN_DATA", dir.path().join("data"))
            .output()
            .unwrap()
    };
    let csv = dir.path().join("tree.csv");
    assert_eq!(lines(&["--depends", "--output", csv.to_str().unwrap()]), [""; 0]);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/debian-tree.fga");
    for arguments in [
        &["store", "create", "--name", "debian"][..],
        &["schema", "write", schema.to_str().unwrap()],
        &["write", "--file", "tree.csv"],
        &["write", "dir:/usr/share/doc#viewer@person:*", "dir:/bin#owner@person:dee@example.org"],
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    let (ann, bob, cy, dee) = ("ann@debian.org", "bob@example.org", "cy@debian.org", "dee@example.org");
    for (object, relation, person, expected) in [
        // By the folder, two levels up; by the file itself; not at all.
        ("file:/usr/share/doc/two/deep/\"quoted\".txt", "owner", bob, true),
        ("file:/usr/share/doc/two/deep/\"quoted\".txt", "owner", ann, false),
        ("file:/usr/share/doc/both/copyright", "owner", ann, true),
        ("file:/usr/share/doc/both/copyright", "owner", cy, true),
        ("dir:/usr/share/doc/both", "owner", ann, false),
        ("file:/bin/one", "owner", dee, true),
        ("file:/bin/one", "viewer", ann, true),
        ("file:/bin/one", "viewer", bob, false),
        ("file:/usr/share/doc/one/why%20100%25%20is%20%231%3A%20notes.txt", "viewer", bob, true),
        ("source:two", "can_upload", bob, true),
        ("source:two", "can_upload_alone", bob, false),
        ("source:two", "needs_sponsor", bob, true),
        ("source:two", "needs_sponsor", cy, false),
        ("package:libtwo", "can_upload_alone", cy, true),
        // Each of the two packages needs the other.
        ("package:one", "can_break", bob, true),
        ("package:libtwo", "can_break", ann, true),
        ("package:one", "can_upload", bob, false),
    ] {
        let tuple = format!("{object}#{relation}@person:{person}");
        let output = run(&["check", &tuple]);
        assert_eq!(output.status.code(), Some(i32::from(!expected)), "{tuple}: {output:?}");
    }
}
