//! What the README shows is what happens: its commands are run, and print what stands there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

/// The blocks of code under a heading of the README, with their languages.
fn blocks(heading: &str) -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    let mut found = Vec::new();
    let mut lines = section.lines();
    while let Some(line) = lines.next().filter(|line| !line.starts_with('#')) {
        if let Some(language) = line.strip_prefix("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((language.to_owned(), code.join("\n") + "\n"));
        }
    }
    found
}

/// Without what differs from run to run: times, tokens, ids, figures that count from elsewhere.
fn normal(text: &str) -> String {
    let mut normal = String::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let bare = word.trim_end_matches(|c: char| ",:…".contains(c));
            let is_time = bare.len() >= 20 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
            let is_token = bare.len() >= 4 && bare.starts_with("AQ");
            let is_id =
                bare.len() == 26 && bare.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            if is_time || is_token || is_id { "SOMETHING".to_owned() } else { word.to_owned() }
        });
        normal.push_str(&words.collect::<Vec<_>>().join(" "));
        normal.push('\n');
    }
    normal
}

/// A directory with the schemas and a store of the demo, where blocks of the README are run.
struct Place(tempfile::TempDir);

impl Place {
    fn demo() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
        std::os::unix::fs::symlink(schema, place.0.path().join("schema")).unwrap();
        place.run(
            "stonetown store create --name demo; stonetown schema write schema/audiostack.fga
             stonetown write --file schema/audiostack.fga.yaml",
        );
        place
    }

    /// What a script prints that ends well.
    fn run(&self, script: &str) -> String {
        let (code, out) = self.end(&format!("set -e\n{script}"));
        assert_eq!(code, Some(0), "{out}");
        out
    }

    /// How a script ends that says nothing beside what it prints.
    fn end(&self, script: &str) -> (Option<i32>, String) {
        let program = Path::new(env!("CARGO_BIN_EXE_stonetown"));
        let script = format!("stonetown() {{ {} \"$@\"; }}\n{script}", program.display());
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(self.0.path())
            .env("STONETOWN_DATA", self.0.path().join("data"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

#[test]
fn a_schema_is_changed_as_the_readme_shows_it() {
    let blocks = blocks("### Changing a schema safely");
    let place = Place::demo();
    let mut codes = Vec::new();
    for pair in blocks.chunks(2) {
        let [(sh, script), (text, expected)] = pair else { panic!("{blocks:?}") };
        assert_eq!((&**sh, &**text), ("sh", "text"));
        let (code, said) = place.end(script);
        assert_eq!(normal(&said), normal(expected));
        codes.push(code);
    }
    // Different, refused, done.
    assert_eq!(codes, [Some(1), Some(1), Some(0)]);
}

#[test]
fn the_story_of_a_user_who_left_happens_as_the_readme_tells_it() {
    let blocks = blocks("### Could she hear it on the 3rd?");
    let [(sh, before), (also_sh, then), (text, expected)] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!((&**sh, &**also_sh, &**text), ("sh", "sh", "text"));
    let place = Place::demo();
    let said = place.run(&format!("{{ {before} }} > /dev/null\n{then}"));
    assert_eq!(normal(&said), normal(expected));
}

#[test]
fn a_diff_is_what_the_readme_shows() {
    let blocks = blocks("### What a change would do");
    let [(sh, script), (markdown, expected), (yaml, _)] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!((&**sh, &**markdown, &**yaml), ("sh", "markdown", "yaml"));
    assert_eq!(Place::demo().run(script), *expected);
}

#[test]
fn explanations_are_what_the_readme_shows() {
    let blocks = blocks("### Why, and why not");
    assert_eq!(blocks.len(), 4);
    let place = Place::demo();
    for pair in blocks.chunks(2) {
        assert_eq!((&*pair[0].0, &*pair[1].0), ("sh", "text"));
        assert_eq!(normal(&place.run(&pair[0].1)), normal(&pair[1].1));
    }
}

#[test]
fn the_matrix_is_printed_and_checked_as_the_readme_shows_it() {
    let blocks = blocks("### The matrix");
    let [(_, make), (text, table), (_, turn), (_, change)] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!(&**text, "text");
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_stonetown"));
    let run = |script: &str| {
        let script = format!("stonetown() {{ {} \"$@\"; }}\n{script}", program.display());
        let output = Command::new("bash").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(run(make), (Some(0), table.clone()));
    assert_eq!(run(turn), (Some(1), change.clone()));
}

#[test]
fn the_crate_is_used_as_a_library_as_the_readme_shows_it() {
    let blocks = blocks("### As a library");
    let [(_, command), (_, prints)] = &blocks[..] else { panic!("{blocks:?}") };
    assert_eq!(command, "tools/cargo run --example embedded\n");
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--example", "embedded"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(&String::from_utf8(output.stdout).unwrap(), prints);
}
