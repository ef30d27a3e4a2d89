//! `stonetown serve`

mod access;
mod args;
mod file;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::exit::Exit;
use super::output::Output;
use crate::api::Server;
use crate::engine::{Engine, EngineError, StorageError};

pub(super) use args::{Effective, ServeArgs};
pub(super) use file::{Given, Source, merge};

/// Collects every store again and again, until the server is told to stop.
async fn collect_regularly(engine: Arc<Engine>, pause: Duration, stop: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(pause).await;
        let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
        let collected = tokio::task::spawn_blocking(move || {
            let flow = || {
                if stop.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            for store in engine.list_stores() {
                if flow().is_break() {
                    return;
                }
                match engine.collect(store.id, None, &mut |_| flow()) {
                    // Deleted meanwhile, or to be asked again later.
                    Ok(_)
                    | Err(EngineError::Storage(
                        StorageError::NoStore(_) | StorageError::ImportInProgress(_),
                    )) => {}
                    Err(error) => {
                        tracing::error!(store = %store.id, %error, "what has ended could not be collected")
                    }
                }
            }
        });
        // A panic has been printed.
        drop(collected.await);
    }
}

/// How long work that cannot be broken off may still take when the server is told to stop.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Everything that is logged goes to standard error.
fn begin_logging(settings: &Effective) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::new(format!("{0},hyper=warn,rustls=warn,ureq=warn,h2=warn", settings.log_level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // There is one already where this runs a second time in one process, as in tests.
    drop(match settings.log_format {
        args::LogFormat::Text => lines.with_ansi(false).try_init(),
        args::LogFormat::Json => lines.json().flatten_event(true).try_init(),
    });
}

pub(super) fn run(args: &ServeArgs, given: &Given, out: &mut Output) -> anyhow::Result<Exit> {
    let settings = args.effective(given)?;
    begin_logging(&settings);
    let connections_max = settings.api.limits.connections.open_max;
    let engine = Arc::new(Engine::open(&settings.data, settings.engine)?);
    raise_open_files(connections_max);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind(Arc::clone(&engine), settings.api, settings.listen).await?;
        let told_to_stop = told_to_stop()?;
        let url = server.url().to_owned();
        let dir = engine.dir().display().to_string();
        out.print(
            || format!("listening at {url}, data directory {dir}"),
            || json!({ "url": url, "data": dir }),
        )?;
        out.flush()?;
        let stop = Arc::new(AtomicBool::new(false));
        let collecting = settings
            .collect_every
            .map(|pause| tokio::spawn(collect_regularly(Arc::clone(&engine), pause, Arc::clone(&stop))));
        server.run(told_to_stop).await;
        stop.store(true, Ordering::Release);
        collecting.inspect(tokio::task::JoinHandle::abort);
        anyhow::Ok(())
    })?;
    // What cannot be broken off, such as a merge of files or a backup, ends with the process; nothing acknowledged hangs on it.
    runtime.shutdown_timeout(STOP_TIME);
    out.print(|| "stopped".to_owned(), || json!({ "stopped": true }))?;
    Ok(Exit::Yes)
}

/// Files that are open besides connections: tables, logs, backups.
#[cfg(target_os = "linux")]
const OTHER_FILES: u64 = 4_096;

/// Every connection takes a descriptor, and what a shell gives a program by default (1,024) is less than the system allows it.
#[cfg(target_os = "linux")]
fn raise_open_files(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = connections as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < wanted) {
        let allowed = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum });
        if raised.is_err() || allowed < wanted {
            let found = if raised.is_ok() { allowed } else { current.unwrap_or(0) };
            tracing::warn!(
                "{found} files may be open, {connections} connections want {wanted}: raise `ulimit -n`"
            );
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn raise_open_files(_connections: usize) {}

/// Done when the server is told to stop. It listens from now on: whoever reads that it serves may stop it at once.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}
