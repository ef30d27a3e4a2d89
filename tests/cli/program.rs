use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The schema of [`Place::demo`].
pub(super) const SCHEMA: &str = "\
model
  schema 1.1

type user

type org
  relations
    define parent: [org]
    define owner: [user]
    define admin: [user] or owner
    define overseer: admin from parent or overseer from parent

type voice
  relations
    define org: [org]
    define granted: [user, user:*, org#admin]
    define can_access: granted or admin from org
";

/// An empty directory where the program is run, with `data` for its data directory.
pub(super) struct Place {
    directory: TempDir,
}

/// What became of a run.
pub(super) struct Run {
    line: String,
    output: Output,
}

impl Place {
    pub(super) fn empty() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    /// With one store, `demo`, that has [`SCHEMA`], and tuples.
    pub(super) fn demo(tuples: &[&str]) -> Place {
        let place = Place::empty();
        place.run("store create --name demo").yes();
        place.run_with("schema write -", SCHEMA).yes();
        if !tuples.is_empty() {
            place.run_with("write --file - --input-format text", tuples.join("\n")).yes();
        }
        place
    }

    /// Writes a file.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// The program with arguments, split at spaces outside single quotes; not run yet.
    pub(super) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
        // Every second piece between the quotes is one word.
        for (at, piece) in line.split('\'').enumerate() {
            match at % 2 {
                0 => command.args(piece.split_whitespace()),
                _ => command.arg(piece),
            };
        }
        command
            .current_dir(self.directory.path())
            .env("STONETOWN_DATA", "data")
            .env_remove("STONETOWN_STORE")
            .env_remove("STONETOWN_URL");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, line: &str) -> Run {
        Run { line: line.to_owned(), output: self.command(line).output().unwrap() }
    }

    /// Runs with a text on standard input.
    pub(super) fn run_with(&self, line: &str, input: impl AsRef<[u8]>) -> Run {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        // Whoever fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        Run { line: line.to_owned(), output: child.wait_with_output().unwrap() }
    }

    /// All stored tuples, as text.
    pub(super) fn tuples(&self) -> Vec<String> {
        self.run("read").yes().lines().map(str::to_owned).collect()
    }

    /// Asserts that a run fails without changing any tuple, and gives its message.
    pub(super) fn refused(&self, line: &str) -> String {
        let before = self.tuples();
        let message = self.run(line).failed();
        assert_eq!(self.tuples(), before, "{line}");
        message
    }
}

impl Run {
    /// Exit code 0, and nothing said: what was printed.
    pub(super) fn yes(self) -> String {
        let (out, err) = self.ended(0);
        assert_eq!(err, "");
        out
    }

    /// Exit code 1: what was printed, and what was said.
    pub(super) fn no(self) -> (String, String) {
        self.ended(1)
    }

    /// Exit code 2 and nothing printed: what was said.
    pub(super) fn misunderstood(self) -> String {
        let (out, err) = self.ended(2);
        assert_eq!(out, "");
        err
    }

    /// Exit code 3 and nothing printed: what was said.
    pub(super) fn failed(self) -> String {
        let (out, err) = self.ended(3);
        assert_eq!(out, "");
        err
    }

    /// What was printed, a JSON value a line.
    pub(super) fn json(self) -> Vec<Value> {
        self.yes().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The exit code, what was printed, and what was said.
    pub(super) fn all(self) -> (Option<i32>, String, String) {
        let out = String::from_utf8(self.output.stdout).unwrap();
        (self.output.status.code(), out, String::from_utf8(self.output.stderr).unwrap())
    }

    pub(super) fn ended(self, code: i32) -> (String, String) {
        let out = String::from_utf8(self.output.stdout).unwrap();
        let err = String::from_utf8(self.output.stderr).unwrap();
        assert_eq!(self.output.status.code(), Some(code), "stonetown {}\n{out}{err}", self.line);
        (out, err)
    }
}

/// Asserts that a message has all of these in it, in this order.
#[track_caller]
pub(super) fn says(message: &str, parts: &[&str]) {
    let mut rest = message;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("`{part}` is not in its place in:\n{message}")
        };
        rest = after;
    }
}

/// The token that an answer ends with.
pub(super) fn token(answer: &str) -> &str {
    answer.trim_end().rsplit_once("token ").unwrap().1
}
