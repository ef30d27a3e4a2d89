//! `stonetown watch`

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use super::args::StoreArgs;
use super::changes::print_change;
use super::exit::Exit;
use super::output::{Output, tell};
use super::remote::may_come_back;
use super::target::Target;

/// Before a connection that has ended is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Print every change as it is made, until interrupted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stonetown watch --url http://127.0.0.1:8080
  stonetown watch --after TOKEN --type voice --format json --url http://127.0.0.1:8080
  stonetown watch --after oldest --limit 10 --data ./data      # of a directory that is served

When the connection ends, it is made again, and goes on where it ended: nothing is missed, nothing printed twice.")]
pub(super) struct WatchArgs {
    /// Begin behind this token, or with the `oldest` change that is kept; otherwise now
    #[arg(long, value_name = "TOKEN|oldest")]
    after: Option<String>,

    /// Only changes of objects of this type
    #[arg(long = "type", value_name = "TYPE")]
    object_type: Option<String>,

    /// Stop after so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(args: WatchArgs, out: &mut Output) -> anyhow::Result<Exit> {
    let (target, store) = args.store.open()?;
    let Target::Remote(client) = target else {
        bail!(
            "nobody else can change a data directory that this command has open: watch a server (`--url`, or a \
             directory that is served), or print what there is with `stonetown changes`"
        );
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut last = args.after.unwrap_or_default();
    let mut is_first = true;
    let mut printed = Ok(());
    while left > 0 {
        let watched = client.watch(store, args.object_type.as_deref(), &mut last, &mut |change| {
            left -= 1;
            printed = print_change(change, out).and_then(|()| out.flush());
            let has_enough = left == 0 || printed.is_err() || out.is_closed();
            if has_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match watched {
            Ok(ControlFlow::Break(())) => break,
            // What cannot be had at first is told; later a server may come back.
            Err(error) if is_first || !may_come_back(&error) => return Err(error),
            Err(error) => tell(format_args!("stonetown: {error:#}")),
            Ok(ControlFlow::Continue(())) => {
                tell(format_args!("stonetown: the server at {} ended the watch: asking again", client.url()));
            }
        }
        is_first = false;
        std::thread::sleep(PAUSE);
    }
    printed.map(|()| Exit::Yes)
}
