//! The five systems of the folder `schema`: their tests pass, here and under OpenFGA's own program, and they are laid
//! out in the standard form.
//!
//! `STONETOWN_FGA=/path/to/fga` names OpenFGA's program; without it that half is passed over, and says so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const SYSTEMS: [&str; 5] = ["artstash", "audiostack", "fastpix", "live-studio", "studio"];

fn schema(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name)
}

fn tests(system: &str) -> PathBuf {
    schema(&format!("{system}.fga.yaml"))
}

/// Runs a program; gives its exit code and what it printed.
fn run(program: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = program.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stderr), "");
    (status.code(), String::from_utf8(stdout).unwrap())
}

fn stonetown(words: &[&str], files: &[PathBuf]) -> (Option<i32>, String) {
    run(Command::new(env!("CARGO_BIN_EXE_stonetown")).args(words).args(files))
}

/// Tests and assertions that hold, of each file; fails when there are others.
fn passed(files: &[PathBuf]) -> Vec<(u64, u64)> {
    let (code, out) = stonetown(&["schema", "test", "--format", "json"], files);
    let answers: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for answer in &answers {
        assert_eq!(answer["failures"], json!([]));
    }
    assert_eq!((code, answers.len()), (Some(0), files.len()));
    answers
        .iter()
        .map(|answer| (answer["tests"].as_u64().unwrap(), answer["passed"].as_u64().unwrap()))
        .collect()
}

#[test]
fn all_assertions_hold() {
    for ((tests, assertions), system) in passed(&SYSTEMS.map(tests)).into_iter().zip(SYSTEMS) {
        assert!(tests >= 15 && assertions >= 150, "{system}: only {tests} tests and {assertions} assertions");
    }
}

#[test]
fn openfga_agrees_with_every_assertion() {
    let Some(fga) = std::env::var_os("STONETOWN_FGA") else {
        println!("passed over: name OpenFGA's program by STONETOWN_FGA");
        return;
    };
    for ((tests_here, passed_here), system) in passed(&SYSTEMS.map(tests)).into_iter().zip(SYSTEMS) {
        let file = tests(system);
        // `Checks 151/151 passing` and the like, one line for each kind.
        let output = Command::new(&fga).args(["model", "test", "--tests"]).arg(&file).output().unwrap();
        let report = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{system}\n{report}");
        let count = |kind: &str| {
            let line = report.lines().find_map(|line| line.strip_prefix(kind));
            let (passed, all) = line.unwrap_or(" 0/0 ").trim_start().split_once('/').unwrap();
            assert_eq!(Some(passed), all.split(' ').next(), "{system}\n{report}");
            passed.parse::<u64>().unwrap()
        };
        let passed_there = ["Checks", "ListObjects", "ListUsers"].map(count).iter().sum::<u64>();
        assert_eq!((count("Tests"), passed_there), (tests_here, passed_here), "{system}\n{report}");
    }
}

#[test]
fn schemas_are_valid_and_in_the_standard_form() {
    let files = SYSTEMS.map(|system| schema(&format!("{system}.fga")));
    let (code, out) = stonetown(&["schema", "validate", "--format", "json"], &files);
    for line in out.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&answer["valid"], &answer["problems"]), (&json!(true), &json!([])), "{line}");
    }
    assert_eq!((code, out.lines().count()), (Some(0), files.len()));
    assert_eq!(stonetown(&["schema", "fmt", "--check"], &files), (Some(0), String::new()));
}

/// A copy of a system's files with one assertion turned round fails, and says which.
#[test]
fn a_flipped_assertion_is_found_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("flipped.fga.yaml");
    fs::copy(schema("fastpix.fga"), directory.path().join("fastpix.fga")).unwrap();
    let text = fs::read_to_string(tests("fastpix")).unwrap();
    let (right, wrong) =
        ("{ admin: true, member: false, can_view: true", "{ admin: true, member: true, can_view: true");
    assert_eq!(text.matches(right).count(), 1);
    fs::write(&file, text.replace(right, wrong)).unwrap();

    let (code, out) = stonetown(&["schema", "test"], std::slice::from_ref(&file));
    assert_eq!(code, Some(1));
    let failed = "FAILED `team members have controlled access to the organization`: \
        check organization:acme#member@user:admin: expected true, got false\n";
    assert!(out.starts_with(failed), "{out}");
    let [(tests, assertions)] = passed(&[tests("fastpix")])[..] else { panic!("one file, one answer") };
    assert!(
        out.ends_with(&format!("{tests} tests, {} assertions hold, 1 do not\n", assertions - 1)),
        "{out}"
    );
}

/// `NAME.md` says for each test which sentence it stands for.
#[test]
fn every_test_stands_for_a_sentence() {
    for system in SYSTEMS {
        let page = fs::read_to_string(schema(&format!("{system}.md"))).unwrap();
        let tests = fs::read_to_string(tests(system)).unwrap();
        let names: Vec<&str> = tests.lines().filter_map(|line| line.strip_prefix("  - name: ")).collect();
        assert!(names.len() >= 15, "{system}: {names:?}");
        for name in names {
            assert!(page.contains(&format!("\"{name}\"")), "{system}.md does not name the test `{name}`");
        }
    }
}
