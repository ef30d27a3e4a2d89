//! `stonetown serve`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::output::Output;
use crate::api::{ApiLimits, Server};
use crate::engine::{Engine, Settings};

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
}

pub(super) fn run(args: ServeArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let mut settings = Settings::default();
    settings.database.create = true;
    settings.database.block_cache_bytes = args.cache_mib << 20;
    let engine = Arc::new(Engine::open(&args.data, settings)?);
    let limits = ApiLimits {
        body_bytes_max: args.body_bytes_max,
        write_tuples_max: args.write_tuples_max,
        batch_checks_max: args.batch_checks_max,
        contextual_tuples_max: args.contextual_tuples_max,
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
        server.run(told_to_stop()).await?;
        anyhow::Ok(())
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
