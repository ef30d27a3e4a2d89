//! `stonetown serve`

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::output::{Output, tell};
use crate::api::{ApiLimits, Server};
use crate::engine::{Engine, EngineError, Settings, StorageError};

/// Serve a data directory over HTTP: OpenFGA's API, so that its SDKs and its `fga` work.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown serve --data ./data
  stonetown serve --data ./data --listen 0.0.0.0:8080 --write-tuples-max 1000
  fga --api-url http://127.0.0.1:8080 store list

The other commands ask it while it runs: by --url, or by --data with its data directory.

Runs until it is told to stop (SIGINT or SIGTERM); requests that were begun are answered first. The API is described
at /openapi.json. There is no authentication yet: listen where only those you trust can reach.")]
pub(super) struct ServeArgs {
    /// The data directory; made when it is not there
    #[arg(long, value_name = "DIR", env = "STONETOWN_DATA")]
    data: PathBuf,

    /// Where to listen; port 0: any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", env = "STONETOWN_LISTEN")]
    listen: SocketAddr,

    /// MiB of blocks of table files kept in memory
    #[arg(long, value_name = "N", default_value_t = Settings::default().database.block_cache_bytes >> 20)]
    cache_mib: usize,

    /// MiB of decisions kept between checks; 0: none. They are never stale
    #[arg(long, value_name = "N", default_value_t = Settings::default().decision_cache_bytes >> 20)]
    decision_cache_mib: usize,

    /// Most tuples in one write, deletions included
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().write_tuples_max)]
    write_tuples_max: usize,

    /// Most checks in one batch
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().batch_checks_max)]
    batch_checks_max: usize,

    /// Most contextual tuples of one question
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().contextual_tuples_max)]
    contextual_tuples_max: usize,

    /// Most bytes of a request
    #[arg(long, value_name = "N", default_value_t = ApiLimits::default().body_bytes_max)]
    body_bytes_max: usize,

    /// Let clients have backups made in this directory and below (`stonetown backup`); without it, nobody can
    #[arg(long, value_name = "DIR")]
    backup_dir: Option<PathBuf>,

    /// How often ended tuples and the past that need not be kept are collected, such as `60s`; `never`
    #[arg(long, value_name = "TIME|never", default_value = "60s", value_parser = parse_pause)]
    collect_every: Pause,
}

/// Between two collections; none: there are none.
#[derive(Debug, Clone, Copy)]
struct Pause(Option<Duration>);

fn parse_pause(text: &str) -> Result<Pause, String> {
    match humantime::parse_duration(text) {
        _ if text == "never" => Ok(Pause(None)),
        Ok(pause) if !pause.is_zero() => Ok(Pause(Some(pause))),
        _ => Err("write `never`, or a time such as `60s` or `1h`".to_owned()),
    }
}

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
                    Err(error) => tell(format_args!("stonetown: collecting store {}: {error}", store.id)),
                }
            }
        });
        // A panic has been printed.
        drop(collected.await);
    }
}

pub(super) fn run(args: ServeArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let mut settings = Settings::default();
    settings.database.create = true;
    settings.database.block_cache_bytes = args.cache_mib << 20;
    settings.decision_cache_bytes = args.decision_cache_mib << 20;
    let engine = Arc::new(Engine::open(&args.data, settings)?);
    let limits = ApiLimits {
        body_bytes_max: args.body_bytes_max,
        write_tuples_max: args.write_tuples_max,
        batch_checks_max: args.batch_checks_max,
        contextual_tuples_max: args.contextual_tuples_max,
        backup_dir: args.backup_dir,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind(Arc::clone(&engine), limits, args.listen).await?;
        let url = format!("http://{}", server.address());
        let dir = engine.dir().display().to_string();
        out.print(
            || format!("listening at {url}, data directory {dir}"),
            || json!({ "url": url, "data": dir }),
        )?;
        out.flush()?;
        let stop = Arc::new(AtomicBool::new(false));
        let collecting = args
            .collect_every
            .0
            .map(|pause| tokio::spawn(collect_regularly(Arc::clone(&engine), pause, Arc::clone(&stop))));
        let served = server.run(told_to_stop()).await;
        stop.store(true, Ordering::Release);
        collecting.inspect(tokio::task::JoinHandle::abort);
        anyhow::Ok(served?)
    })?;
    out.print(|| "stopped".to_owned(), || json!({ "stopped": true }))?;
    Ok(Exit::Yes)
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminate.recv() => {}
            }
        }
        // Without that signal there still is the other one.
        Err(_) => drop(interrupted.await),
    }
}
