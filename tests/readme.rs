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
            if is_time || is_token { "SOMETHING".to_owned() } else { word.to_owned() }
        });
        normal.push_str(&words.collect::<Vec<_>>().join(" "));
        normal.push('\n');
    }
    normal
}

#[test]
fn the_story_of_a_user_who_left_happens_as_the_readme_tells_it() {
    let blocks = blocks("### Could she hear it on the 3rd?");
    let [(sh, before), (also_sh, then), (text, expected)] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!((&**sh, &**also_sh, &**text), ("sh", "sh", "text"));
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_stonetown"));
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let run = |script: &str| {
        let script = format!("set -e\nstonetown() {{ {} \"$@\"; }}\n{script}", program.display());
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(dir.path())
            .env("STONETOWN_DATA", dir.path().join("data"))
            .output()
            .unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!((output.status.code(), &*err), (Some(0), ""), "{out}");
        out
    };
    std::os::unix::fs::symlink(schema, dir.path().join("schema")).unwrap();
    run("stonetown store create --name demo; stonetown schema write schema/audiostack.fga
         stonetown write --file schema/audiostack.fga.yaml");
    let said = run(&format!("{{ {before} }} > /dev/null\n{then}"));
    assert_eq!(normal(&said), normal(expected));
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
