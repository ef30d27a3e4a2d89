//! The processes that are measured, and what is left of them when this one ends, in whatever way.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

/// How long a server may take to listen.
const STARTS_MAX: Duration = Duration::from_secs(120);
/// How long a command may take.
const COMMAND_MAX: Duration = Duration::from_secs(3600);
/// Ticks of the kernel's clock for processes, a second. Linux has told programs 100 for as long as there is this figure.
const TICKS: f64 = 100.0;

type Running = Arc<Mutex<Child>>;

/// What has to be ended, and removed, before this process ends.
#[derive(Default)]
struct Leftovers {
    children: Vec<Running>,
    dirs: Vec<PathBuf>,
}

static LEFTOVERS: Mutex<Leftovers> = Mutex::new(Leftovers { children: Vec::new(), dirs: Vec::new() });

fn take<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with it has left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends what was started and removes what was made, on Ctrl-C or a request to end.
pub(crate) fn clean_up_when_interrupted() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            match signal(SignalKind::terminate()) {
                Ok(mut terminate) => {
                    tokio::select! {
                        _ = tokio::signal::ctrl_c() => {}
                        _ = terminate.recv() => {}
                    }
                }
                Err(_) => drop(tokio::signal::ctrl_c().await),
            }
        });
        let leftovers = std::mem::take(&mut *take(&LEFTOVERS));
        for child in leftovers.children {
            let mut child = take(&child);
            drop(child.kill());
            drop(child.wait());
        }
        for dir in leftovers.dirs {
            drop(std::fs::remove_dir_all(dir));
        }
        std::process::exit(130);
    });
    Ok(())
}

/// A directory that is removed in the end.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    /// A fresh one.
    pub(crate) fn new(parent: &Path) -> anyhow::Result<Scratch> {
        let made = tempfile::Builder::new().prefix("stonetown-bench-").tempdir_in(parent);
        let dir = made.with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        take(&LEFTOVERS).dirs.push(dir.path().to_owned());
        Ok(Scratch(dir))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        take(&LEFTOVERS).dirs.retain(|dir| dir != self.0.path());
    }
}

fn start(command: &mut Command) -> anyhow::Result<Running> {
    let child = command.spawn().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let child = Arc::new(Mutex::new(child));
    take(&LEFTOVERS).children.push(Arc::clone(&child));
    Ok(child)
}

fn end(child: &Running) {
    {
        let mut child = take(child);
        drop(child.kill());
        drop(child.wait());
    }
    take(&LEFTOVERS).children.retain(|it| !Arc::ptr_eq(it, child));
}

/// Runs a command to its end; what it prints.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let shown = show(command);
    let child = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (out, err) = {
        let mut child = take(&child);
        (child.stdout.take(), child.stderr.take())
    };
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut pipe) = pipe {
                drop(pipe.read_to_string(&mut text));
            }
            text
        })
    };
    let out = read(out.map(|it| Box::new(it) as Box<dyn Read + Send>));
    let err = read(err.map(|it| Box::new(it) as Box<dyn Read + Send>));
    let begin = Instant::now();
    let status = loop {
        let ended = take(&child).try_wait()?;
        if let Some(status) = ended {
            break status;
        }
        if begin.elapsed() > COMMAND_MAX {
            end(&child);
            bail!("`{shown}` did not end within {COMMAND_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    end(&child);
    let out = out.join().map_err(|_| anyhow!("a reading thread failed"))?;
    let err = err.join().map_err(|_| anyhow!("a reading thread failed"))?;
    if !status.success() {
        let from = err.len().saturating_sub(2000);
        let told = err.get(from..).unwrap_or(&err).trim();
        bail!("`{shown}` failed ({status}): {told}");
    }
    Ok(out)
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// A server in a process of its own, ended when this is dropped.
pub(crate) struct Server {
    child: Running,
    /// Where it answers.
    pub(crate) url: String,
    /// The same.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts one that prints JSON with its `url` as its first line.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Server> {
        let shown = show(command);
        let child = start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let out = take(&child).stdout.take();
        let mut server = Server { child, url: String::new(), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let out = out.context("a process without output")?;
        let (send, first) = std::sync::mpsc::channel();
        // It is read on to its end, so that the server never waits for somebody to read.
        std::thread::spawn(move || {
            let mut lines = BufReader::new(out).lines();
            drop(send.send(lines.next()));
            lines.for_each(drop);
        });
        let line = first.recv_timeout(STARTS_MAX).ok().flatten();
        let line = line.with_context(|| format!("`{shown}` did not say where it listens"))??;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("`{shown}` printed {line}"))?;
        let url = said["url"].as_str().context("the server named no URL")?;
        server.url = url.to_owned();
        server.address = address_of(url)?;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        take(&self.child).id()
    }

    /// Seconds of CPU that it has used.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        // The name, in parentheses, may hold blanks.
        let rest = text.rsplit_once(')')?.1;
        let mut fields = rest.split_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        Some((user + system) / TICKS)
    }

    /// Bytes of its resident memory.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib << 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&self.child);
    }
}

/// The address of an `http://` URL.
pub(crate) fn address_of(url: &str) -> anyhow::Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` is no http:// URL"))?;
    let place = rest.split('/').next().unwrap_or(rest);
    let place = if place.contains(':') { place.to_owned() } else { format!("{place}:80") };
    let mut found = place.to_socket_addrs().with_context(|| format!("cannot find `{place}`"))?;
    found.next().with_context(|| format!("`{place}` has no address"))
}
