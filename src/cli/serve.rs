//! `stonetown serve`

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::output::{Output, tell};
use crate::api::{ApiLimits, AtOnce, ConnectionLimits, QuotaRates, Server};
use crate::engine::{Engine, EngineError, Settings, StorageError};
use crate::eval::Limits as EvalLimits;

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

    /// Most usersets and parents that a check follows one after the other
    #[arg(long, value_name = "N", default_value_t = EvalLimits::default().depth_max, help_heading = LIMITS)]
    depth_max: u32,

    /// Most look-ups and rows that a check reads
    #[arg(long, value_name = "N", default_value_t = EvalLimits::default().reads_max, help_heading = LIMITS)]
    reads_max: u64,

    /// How long a check, or a batch of checks, may take
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_time, help_heading = LIMITS)]
    time_max: Duration,

    /// How long a list, a read or an expansion may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time, help_heading = LIMITS)]
    list_time_max: Duration,

    /// How long a streamed list, a diff, an explanation, an audit or a matrix may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_time, help_heading = LIMITS)]
    long_time_max: Duration,

    /// Checks that are worked on at once, but for short ones, which are answered as they come; 0: as many as there are cores
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = LOAD)]
    checks_at_once: usize,

    /// Lists, reads, expansions and searches that are worked on at once; 0: as many as there are cores
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = LOAD)]
    lists_at_once: usize,

    /// Writes that are worked on at once; they share what the disk does
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().writes, help_heading = LOAD)]
    writes_at_once: usize,

    /// Diffs, explanations, audits and matrices that are worked on at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().analyses, help_heading = LOAD)]
    analyses_at_once: usize,

    /// Streamed lists that are sent at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().streams, help_heading = LOAD)]
    streams_at_once: usize,

    /// Imports, exports, backups and upkeep that are worked on at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().bulk, help_heading = LOAD)]
    bulk_at_once: usize,

    /// Watches that are open at once
    #[arg(long, value_name = "N", default_value_t = AtOnce::default().watches, help_heading = LOAD)]
    watches_max: usize,

    /// What may be read of one store a second, by all requests together: each costs one, and one for every look-up and row;
    /// two seconds' worth may be saved up
    #[arg(long, value_name = "N", help_heading = LOAD)]
    store_quota: Option<NonZeroU64>,

    /// The same for all requests from one address
    #[arg(long, value_name = "N", help_heading = LOAD)]
    caller_quota: Option<NonZeroU64>,

    /// Connections that are open at once
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().open_max, help_heading = CONNECTIONS)]
    connections_max: usize,

    /// Most bytes of the head of a request
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().head_bytes_max, help_heading = CONNECTIONS)]
    head_bytes_max: usize,

    /// How long a connection may be without a whole head of a request
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = parse_time, help_heading = CONNECTIONS)]
    idle_max: Duration,

    /// How long the body of a request may take to come
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time, help_heading = CONNECTIONS)]
    body_time_max: Duration,

    /// MiB of bodies above 64 KiB that are held in memory at once
    #[arg(long, value_name = "N", default_value_t = ConnectionLimits::default().bodies_bytes_max >> 20, help_heading = CONNECTIONS)]
    bodies_mib_max: usize,

    /// Let clients have backups made in this directory and below (`stonetown backup`); without it, nobody can
    #[arg(long, value_name = "DIR")]
    backup_dir: Option<PathBuf>,

    /// How often ended tuples and the past that need not be kept are collected, such as `60s`; `never`
    #[arg(long, value_name = "TIME|never", default_value = "60s", value_parser = parse_pause)]
    collect_every: Pause,
}

const LIMITS: &str = "Limits of a request";
const LOAD: &str = "Load: who finds no room is answered 429";
const CONNECTIONS: &str = "Connections";

fn parse_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("write a time such as `500ms`, `3s` or `10m`".to_owned()),
    }
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
    settings.limits.depth_max = args.depth_max;
    settings.limits.reads_max = args.reads_max;
    settings.limits.time_max = args.time_max;
    let engine = Arc::new(Engine::open(&args.data, settings)?);
    raise_open_files(args.connections_max);
    let usual = AtOnce::default();
    let limits = ApiLimits {
        body_bytes_max: args.body_bytes_max,
        write_tuples_max: args.write_tuples_max,
        batch_checks_max: args.batch_checks_max,
        contextual_tuples_max: args.contextual_tuples_max,
        list_time_max: args.list_time_max,
        long_time_max: args.long_time_max,
        at_once: AtOnce {
            checks: if args.checks_at_once == 0 { usual.checks } else { args.checks_at_once },
            lists: if args.lists_at_once == 0 { usual.lists } else { args.lists_at_once },
            writes: args.writes_at_once,
            analyses: args.analyses_at_once,
            streams: args.streams_at_once,
            bulk: args.bulk_at_once,
            watches: args.watches_max,
        },
        quotas: QuotaRates {
            store: args.store_quota.map(NonZeroU64::get),
            caller: args.caller_quota.map(NonZeroU64::get),
        },
        connections: ConnectionLimits {
            open_max: args.connections_max,
            head_bytes_max: args.head_bytes_max,
            idle_max: args.idle_max,
            body_time_max: args.body_time_max,
            bodies_bytes_max: args.bodies_mib_max << 20,
        },
        backup_dir: args.backup_dir,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::bind(Arc::clone(&engine), limits, args.listen).await?;
        let told_to_stop = told_to_stop()?;
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
        server.run(told_to_stop).await;
        stop.store(true, Ordering::Release);
        collecting.inspect(tokio::task::JoinHandle::abort);
        anyhow::Ok(())
    })?;
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
            tell(format_args!(
                "stonetown: {found} files may be open, {connections} connections want {wanted}: raise `ulimit -n`"
            ));
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
