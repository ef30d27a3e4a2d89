//! The map of the rooms: a file may use only what the row of its room allows.
//!
//! The table is the one of `src/ARCHITECTURE.md`; this test reads the sources and holds them against it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may use, besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("tuple", &[]),
    ("condition", &["tuple"]),
    ("schema", &["tuple", "condition"]),
    ("storage", &["tuple", "schema"]),
    ("eval", &["tuple", "condition", "schema", "storage"]),
    ("analysis", &["tuple", "condition", "schema", "storage", "eval"]),
    ("engine", &["tuple", "condition", "schema", "storage", "eval", "analysis"]),
    ("bulk", &["tuple", "engine"]),
    ("api", &["tuple", "engine", "bulk"]),
    ("cli", &["tuple", "condition", "schema", "storage", "eval", "analysis", "engine", "bulk", "api"]),
];

/// Names of libraries and the places that may use them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("rocksdb", &["storage/rocks"]),
    ("bincode", &["storage/codec.rs"]),
    ("petgraph", &["schema"]),
    ("biodivine_lib_bdd", &["analysis"]),
    ("cel", &["condition"]),
    ("chrono", &["condition"]),
    ("clap", &["cli"]),
    ("anyhow", &["cli"]),
    ("indicatif", &["cli"]),
    ("ureq", &["api/outbound.rs", "cli"]),
    ("rustls", &["api/outbound.rs", "api/tls.rs", "cli"]),
    ("tokio_rustls", &["api/tls.rs"]),
    ("jsonwebtoken", &["api/access"]),
    ("prometheus_client", &["api/metrics.rs"]),
    ("opentelemetry", &["api/traces.rs"]),
    ("opentelemetry_http", &["api/traces.rs"]),
    ("opentelemetry_otlp", &["api/traces.rs"]),
    ("opentelemetry_sdk", &["api/traces.rs"]),
    ("async_trait", &["api/traces.rs"]),
    ("secrecy", &["api/access", "cli"]),
    ("toml", &["cli/serve/file.rs"]),
    ("tracing", &["api", "cli"]),
    ("tracing_subscriber", &["cli/serve.rs"]),
    ("flate2", &["bulk"]),
    ("zstd", &["bulk"]),
    ("serde_saphyr", &["bulk", "cli", "schema"]),
    ("tokio", &["api", "cli", "main.rs"]),
    ("axum", &["api", "cli", "main.rs"]),
];

/// What `eval` may take from `storage`: the read trait and what it speaks in, nothing that reads by itself.
const EVAL_MAY_USE: &[&str] = &["Row", "StorageError", "TupleReader"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file below `src`, as its path there and its text without comments.
fn files() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&src, &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code =
            text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
        (path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned(), code)
    };
    found.into_iter().map(read).collect()
}

/// The names that follow `prefix` in a text: `crate::tuple::Object` gives `tuple` for `crate::`.
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    code.match_indices(prefix)
        .filter(|(at, _)| !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
        .map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        })
        .collect()
}

#[test]
fn every_file_uses_only_the_rooms_of_its_row() {
    let files = files();
    assert!(files.len() > 40, "the sources were not found");
    let mut wrong = Vec::new();
    for (path, code) in &files {
        let Some((room, _)) = path.split_once('/') else {
            assert!(["lib.rs", "main.rs"].contains(&path.as_str()), "`{path}` belongs to no room");
            continue;
        };
        let row = ROOMS.iter().find(|(name, _)| *name == room);
        let (_, allowed) = row.unwrap_or_else(|| panic!("room `{room}` is not on the map"));
        for used in names_after(code, "crate::") {
            if used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("src/{path} uses `crate::{used}`"));
            }
        }
        assert!(!code.contains("use crate::{"), "src/{path}: write `use crate::room::…`, one line a room");
    }
    assert!(wrong.is_empty(), "against the map of rooms:\n{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (path, code) in files() {
        for (library, places) in LIBRARIES {
            let is_used = code.contains(&format!("{library}::"))
                && !names_after(&code, &format!("{library}::")).is_empty();
            if is_used && !places.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("src/{path} uses `{library}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the map of rooms:\n{}", wrong.join("\n"));
}

#[test]
fn evaluation_knows_only_the_read_trait() {
    for (path, code) in files().into_iter().filter(|(path, _)| path.starts_with("eval/")) {
        for line in code.lines().filter(|line| line.contains("crate::storage::")) {
            let names = line.split("crate::storage::").nth(1).unwrap_or_default();
            for name in
                names.split([',', ' ', '{', '}', ';', ')', '(', ']', '`']).filter(|name| !name.is_empty())
            {
                assert!(EVAL_MAY_USE.contains(&name), "src/{path} uses `storage::{name}`");
            }
        }
    }
}

#[test]
fn the_map_in_the_architecture_page_is_this_one() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ARCHITECTURE.md")).unwrap();
    for (room, allowed) in ROOMS {
        let may_use = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        let row = page.lines().find(|line| line.starts_with(&format!("| `{room}/` |")));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for `{room}/`"));
        assert!(row.ends_with(&format!("| {may_use} |")), "ARCHITECTURE.md says of `{room}/`: {row}");
    }
}
