//! The matrix of roles and permissions: the committed ones agree with their schemas and with the documents' own tables, and every
//! cell is held against the judge.
//!
//! ```text
//! STONETOWN_CASES=5000 STONETOWN_SEED=1 tools/cargo test --release --test matrix -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, dead_code, reason = "a test")]

#[path = "judge/generator.rs"]
mod generator;
#[path = "judge/model.rs"]
mod model;
#[path = "judge/random.rs"]
mod random;
#[path = "judge/schemas.rs"]
mod schemas;
#[path = "judge/sketch.rs"]
mod sketch;
#[path = "judge/tuples.rs"]
mod tuples;

#[path = "matrix/documents.rs"]
mod documents;
#[path = "matrix/forms.rs"]
mod forms;
#[path = "matrix/judged.rs"]
mod judged;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The five systems, each with what its matrix is made with.
pub(crate) const SYSTEMS: [(&str, Option<&str>); 5] = [
    ("artstash", None),
    ("audiostack", None),
    ("fastpix", None),
    ("live-studio", None),
    ("studio", Some("studio.roles.yaml")),
];

pub(crate) fn schema(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name)
}

/// Runs `schema matrix`: exit code, standard output, standard error.
pub(crate) fn run(file: &Path, given: Option<&Path>, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
    command.args(["schema", "matrix"]).arg(file).args(words);
    if let Some(given) = given {
        command.arg("--given").arg(given);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The same for one of the five systems.
pub(crate) fn run_system(name: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let (_, given) = SYSTEMS.into_iter().find(|(known, _)| *known == name).unwrap();
    run(&schema(&format!("{name}.fga")), given.map(schema).as_deref(), words)
}
