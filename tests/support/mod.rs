//! A running server, as users run it: the program, in a process of its own, on a free port.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod preload;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A `stonetown serve` that is killed when this is dropped. The directory goes last.
pub(crate) struct Served {
    process: Child,
    pub(crate) url: String,
    /// None: it was handed on.
    dir: Option<TempDir>,
}

impl Served {
    /// Starts a server on a new data directory.
    pub(crate) fn start() -> Served {
        Served::on(TempDir::new().unwrap(), &[])
    }

    /// Starts a server on a data directory, with further arguments.
    pub(crate) fn on(dir: TempDir, arguments: &[&str]) -> Served {
        Served::within(dir, arguments, [])
    }

    /// The same, with more in its environment.
    pub(crate) fn within<'e>(
        dir: TempDir,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&'e str, &'e OsStr)>,
    ) -> Served {
        let mut process = Command::new(env!("CARGO_BIN_EXE_stonetown"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path())
            .args(arguments)
            .envs(environment)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split([' ', ',']).find(|word| word.starts_with("http"));
        let url = url.unwrap_or_else(|| panic!("the server said: {line}")).to_owned();
        Served { process, url, dir: Some(dir) }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.as_ref().unwrap().path()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Tells the server to stop, and waits until it has: whether it ended well, and its directory.
    pub(crate) fn stop(mut self) -> (bool, TempDir) {
        // The shell's own: a small system has no program of that name.
        let kill = format!("kill -TERM {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let status = self.process.wait().unwrap();
        (status.success(), self.dir.take().unwrap())
    }

    /// `kill -9`: the directory that it leaves.
    pub(crate) fn kill(mut self) -> TempDir {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.dir.take().unwrap()
    }

    /// The same data, served by a new process.
    pub(crate) fn restart(self) -> Served {
        let (ended_well, dir) = self.stop();
        assert!(ended_well);
        Served::on(dir, &[])
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
