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

const KEY: &str = "key-of-the-clients-0123456789";

/// A server whose callers have to show a key.
fn guarded() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let served = Served::on(tempfile::tempdir().unwrap(), &["--admin-key-file", file.to_str().unwrap()]);
    // It has been read.
    drop(dir);
    served
}

/// Runs a driver, which shows the key; it says itself what does not hold.
fn drive(program: &Path, driver: &str, server: &Served, last: Option<PathBuf>) {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(driver);
    let ran = Command::new(program)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("STONETOWN_KEY", KEY)
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
    drive(&python, "fga_cli.py", &guarded(), Some(clients().join("python/bin/fga")));
}

#[test]
fn python_sdk() {
    drive(&clients().join("python/bin/python"), "sdk.py", &guarded(), None);
}

#[test]
fn javascript_sdk() {
    drive(&clients().join("node/bin/node"), "sdk.mjs", &guarded(), Some(clients().join("node")));
}

/// The first block of the README in this language behind a heading.
fn block(heading: &str, language: &str) -> String {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).unwrap();
    let (_, code) = section.split_once(&format!("\n```{language}\n")).unwrap();
    code.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_first_steps_of_the_readme() {
    const HEADING: &str = "### The first steps from an application";
    let server = Served::start();
    let place = tempfile::tempdir().unwrap();
    let shell = |script: &str| {
        let program = env!("CARGO_BIN_EXE_stonetown");
        let script = format!("set -e\nstonetown() {{ {program} \"$@\"; }}\n{script}");
        let ran = Command::new("bash")
            .args(["-c", &script])
            .current_dir(place.path())
            .env("STONETOWN_URL", &server.url)
            .env_remove("STONETOWN_DATA")
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/audiostack.fga");
    let schema = schema.display();
    // As tools/start does.
    let store = shell("stonetown store create --name audiostack");
    shell(&format!("stonetown schema write {schema}; stonetown write --file {schema}.yaml"));
    let here =
        |code: String| code.replace("http://127.0.0.1:8080", &server.url).replace("STORE", store.trim());
    let python = clients().join("python/bin/python");
    let ran = Command::new(python).args(["-c", &here(block(HEADING, "python"))]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "True\n", "{}", String::from_utf8_lossy(&ran.stderr));
    let printed = shell(&here(block(HEADING, "sh")));
    for line in
        ["1 tuple written", "org:film#can_administer  gained: user:ben", "verb=\"import\",code=\"200\"} 1"]
    {
        assert!(printed.contains(line), "`{line}` is not in {printed}");
    }
}

/// What we export, the official tool writes into a store; from there it is exported the same.
#[test]
fn fga_writes_our_exports() {
    let server = Served::start();
    let fga = clients().join("python/bin/fga");
    let run = |program: &Path, arguments: &[&str]| -> String {
        let ran = Command::new(program).args(arguments).env_remove("STONETOWN_DATA").output().unwrap();
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let stonetown = |store: &str, arguments: &[&str]| -> String {
        let place = ["--url", &server.url, "--store", store];
        run(Path::new(env!("CARGO_BIN_EXE_stonetown")), &[arguments, &place].concat())
    };
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    std::fs::write(file("schema.fga"), EXPORTED_SCHEMA).unwrap();
    std::fs::write(file("in.txt"), EXPORTED).unwrap();
    let mut exports = Vec::new();
    for (at, name) in ["from", "csv", "json", "yaml"].into_iter().enumerate() {
        let store = format!("exports-{name}");
        run(
            Path::new(env!("CARGO_BIN_EXE_stonetown")),
            &["store", "create", "--name", &store, "--url", &server.url],
        );
        stonetown(&store, &["schema", "write", &file("schema.fga")]);
        if at == 0 {
            stonetown(&store, &["import", &file("in.txt")]);
        } else {
            let list =
                run(Path::new(env!("CARGO_BIN_EXE_stonetown")), &["store", "list", "--url", &server.url]);
            let line = list.lines().find(|line| line.contains(&store)).unwrap();
            let id = line.split_whitespace().next().unwrap();
            let export = file(&format!("out.{name}"));
            run(&fga, &["tuple", "write", "--api-url", &server.url, "--store-id", id, "--file", &export]);
        }
        for format in ["csv", "json", "yaml"] {
            let path = file(&format!("out.{format}"));
            if at == 0 {
                stonetown(&store, &["export", "--output", &path]);
            }
        }
        exports.push(stonetown(&store, &["export", "--export-format", "text"]));
    }
    assert_eq!(exports[0].lines().count(), EXPORTED.lines().count());
    for export in &exports[1..] {
        assert_eq!(export, &exports[0]);
    }
}

const EXPORTED_SCHEMA: &str = "\
model
  schema 1.1
type user
type group
  relations
    define member: [user, user:*, group#member]
type doc
  relations
    define parent: [doc]
    define viewer: [user, user with soon, group#member] or viewer from parent
condition soon(level: int, why: string) {
  level < 10
}
";

const EXPORTED: &str = "\
doc:1#viewer@user:anne
doc:1#viewer@user:ben with soon {\"level\":3,\"why\":\"a, \\\"b\\\"\"}
doc:1#viewer@user:cleo with soon
doc:1#viewer@group:eng#member
group:eng#member@user:*
group:eng#member@group:all#member
doc:1#parent@doc:zwei
doc:a,b;'c'#viewer@user:d'e@f
doc:ünïcode/日本#viewer@user:名前
";
