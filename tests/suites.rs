//! Our own query suites, asked of a running server: `tests/suite/*.yaml`, in the form of OpenFGA's published suite.
//!
//! The published one is asked the same way; it is not committed:
//!
//! ```sh
//! tools/cargo run --bin openfga-suite -- consolidated_1_1_tests.yaml --url http://127.0.0.1:8080
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::Served;

/// Assertions that the suites have at least; fewer were asked: something was passed over.
const ASKED_MIN: usize = 7_000;

fn suites() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    found.sort();
    found
}

#[test]
fn every_assertion_of_our_suites_holds_on_a_running_server() {
    let server = Served::start();
    let ran = Command::new(env!("CARGO_BIN_EXE_openfga-suite"))
        .args(suites())
        .args(["--url", &server.url])
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    println!("{said}");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let number = |before: &str| before.rsplit([' ', ';']).next().and_then(|word| word.parse::<usize>().ok());
    let asked: usize = ["checks,", "list-objects,", "streamed,", "list-users"]
        .iter()
        .flat_map(|what| said.lines().filter_map(move |line| number(line.split_once(what)?.0.trim_end())))
        .sum();
    assert!(asked >= ASKED_MIN, "only {asked} assertions were asked");
}

#[test]
fn a_wrong_expectation_is_reported() {
    let server = Served::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wrong.yaml");
    let suite = "
tests:
  - name: everything is wrong
    stages:
      - model: |
          model
            schema 1.1
          type user
          type doc
            relations
              define viewer: [user]
        tuples: [{object: doc:1, relation: viewer, user: user:anne}]
        checkAssertions:
          - {tuple: {object: doc:1, relation: viewer, user: user:anne}, expectation: false}
          - {tuple: {object: doc:1, relation: viewer, user: user:anne}, errorCode: 2002}
        listObjectsAssertions:
          - {request: {user: user:anne, type: doc, relation: viewer}, expectation: []}
        listUsersAssertions:
          - {request: {filters: [user], object: doc:1, relation: viewer}, expectation: [user:bob]}
";
    std::fs::write(&file, suite).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_openfga-suite"))
        .arg(&file)
        .args(["--url", &server.url])
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    // Two checks, a list, a stream and a list of users; and all once more with contextual tuples.
    assert!(said.contains("10 failed"), "{said}");
}
