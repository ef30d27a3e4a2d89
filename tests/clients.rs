//! The clients that people have: the `fga` CLI, and the SDKs for Python and JavaScript, against a running server.
//!
//! `tools/clients` installs them by name into the cache; the drivers in `tests/clients` use every method they have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::Served;

/// Where the clients are.
fn clients() -> &'static Path {
    static CLIENTS: OnceLock<PathBuf> = OnceLock::new();
    CLIENTS.get_or_init(|| {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/clients");
        let ran = Command::new(tool).output().unwrap();
        assert!(ran.status.success(), "tools/clients: {}", String::from_utf8_lossy(&ran.stderr));
        PathBuf::from(String::from_utf8(ran.stdout).unwrap().trim())
    })
}

/// Runs a driver; it says itself what does not hold.
fn drive(program: &Path, driver: &str, server: &Served, last: Option<PathBuf>) {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(driver);
    let ran = Command::new(program)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(&driver)
        .arg(&server.url)
        .args(last)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn fga_cli() {
    let python = clients().join("python/bin/python");
    drive(&python, "fga_cli.py", &Served::start(), Some(clients().join("python/bin/fga")));
}

#[test]
fn python_sdk() {
    drive(&clients().join("python/bin/python"), "sdk.py", &Served::start(), None);
}

#[test]
fn javascript_sdk() {
    drive(&clients().join("node/bin/node"), "sdk.mjs", &Served::start(), Some(clients().join("node")));
}
