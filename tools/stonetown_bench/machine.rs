//! The machine that was measured on.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use serde_json::{Value, json};

use crate::report::median;

/// Syncs that are timed.
const SYNCS: usize = 500;
/// Bytes of each.
const SYNC_BYTES: usize = 200;

/// Cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Everything that a figure depends on.
pub(crate) fn about(repository: &Path, stonetown: &Path) -> Value {
    let said = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let directory = repository.to_string_lossy();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let release = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let lock = std::fs::read_to_string(repository.join("Cargo.lock")).unwrap_or_default();
    let version_of = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        rest.split('"').next().map(str::to_owned)
    };
    json!({
        "at": jiff::Timestamp::now().to_string(),
        "command": std::env::args().collect::<Vec<_>>(),
        "machine": {
            "cpu": model.and_then(|line| line.split_once(": ")).map(|(_, model)| model),
            "cores": cores(),
            "memory": memory.lines().next().and_then(|line| line.split_once(':')).map(|(_, size)| size.trim()),
            "kernel": said("uname", &["-sr"]),
            "system": release.map(|name| name.trim_matches('"')),
            "load_before": std::fs::read_to_string("/proc/loadavg").ok().map(|text| text.trim().to_owned()),
        },
        "versions": {
            "stonetown": said(&stonetown.to_string_lossy(), &["--version"]),
            "rustc": said("rustc", &["--version"]),
            "librocksdb-sys": version_of("librocksdb-sys"),
            "axum": version_of("axum"),
            "hyper": version_of("hyper"),
            "tokio": version_of("tokio"),
        },
        "git": {
            "commit": said("git", &["-C", &directory, "rev-parse", "HEAD"]),
            "changed": said("git", &["-C", &directory, "status", "--porcelain"]).map(|text| !text.is_empty()),
        },
    })
}

/// Microseconds that one sync of a small write takes, in a file that has its bytes already, as a log that is allocated ahead
/// does: the median.
pub(crate) fn sync_micros(dir: &Path) -> anyhow::Result<f64> {
    let path = dir.join("sync-time");
    let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(&vec![0; SYNCS * SYNC_BYTES])?;
    file.sync_all()?;
    file.rewind()?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[1; SYNC_BYTES])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    drop(std::fs::remove_file(&path));
    Ok(median(times))
}
