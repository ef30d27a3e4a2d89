use std::io::{BufRead as _, BufReader, Read as _};

use stonetown::engine::{Engine, Settings};

use super::program::{Place, says};

/// More text than any pipe holds.
fn many() -> Place {
    let place = Place::demo(&[]);
    let tuples: String = (0..5_000).map(|n| format!("org:{n:06}#owner@user:{n:06}\n")).collect();
    place.run_with("write --file - --input-format text", tuples).yes();
    place
}

#[test]
fn who_closes_the_pipe_had_enough() {
    let place = many();
    for line in ["read", "read --format json", "changes"] {
        let mut child = place.command(line).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("000000"), "{first}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((said.as_str(), child.wait().unwrap().code()), ("", Some(0)), "{line}");
    }
}

/// Runs with a standard output that nobody reads, and gives the exit code.
pub(super) fn unread(place: &Place, line: &str) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    place.command(line).stdout(writer).status().unwrap().code()
}

#[test]
fn a_closed_pipe_changes_no_success() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    for line in ["check org:a#owner@user:x", "read", "store list", "store stats", "validate", "--help"] {
        assert_eq!(unread(&place, line), Some(0), "{line}");
    }
    assert_eq!(unread(&place, "write org:a#owner@user:y"), Some(0));
    assert_eq!(place.tuples().len(), 2);
}

#[test]
fn a_data_directory_in_use_is_left_alone() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    let engine = Engine::open(&place.path("data"), Settings::default()).unwrap();
    for line in ["check org:a#owner@user:x", "write org:a#owner@user:y", "store create", "validate"] {
        says(&place.run(line).failed(), &["`data`", "in use by another process", "stop it"]);
    }
    drop(engine);
    assert_eq!(place.tuples(), ["org:a#owner@user:x"]);
}
