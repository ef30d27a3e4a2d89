//! A disk that can lose its power: a directory below which `shim.c`, preloaded into the writing process, keeps account
//! of what is durable.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// The disk, with the shim beside it.
pub(super) struct Disk {
    place: TempDir,
}

/// How power is lost, and which syncs fail.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    pub(super) seed: u32,
    /// At which call; never when 0.
    pub(super) loss_at: u64,
    /// What becomes of bytes that were not synced: a mode of the shim.
    pub(super) tail: u8,
    /// Every how many syncs one fails; none when 0.
    pub(super) fail_at: u64,
    /// What is in the paths of the files whose syncs are counted for that.
    pub(super) fail_name: &'static str,
    /// Whether syncs do nothing.
    pub(super) lies: bool,
}

/// The shim's figures of one loss.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Loss {
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) bytes_cut: u64,
    pub(super) entries_undone: u64,
}

impl Disk {
    /// A new disk, empty.
    pub(super) fn new() -> Result<Disk> {
        let place = tempfile::tempdir()?;
        let disk = Disk { place };
        fs::create_dir(disk.root())?;
        fs::create_dir(disk.at("shadow"))?;
        compile(&disk.at("shim.so"))?;
        Ok(disk)
    }

    /// The data directory on it, which nobody has made yet.
    pub(super) fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    /// A place beside it, with power.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.at("disk")
    }

    /// What a process needs in its environment to write to it.
    pub(super) fn environment(&self, fate: Fate) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.at("shim.so").into()),
            ("SHIM_ROOT", self.root().into()),
            ("SHIM_SHADOW", self.at("shadow").into()),
            ("SHIM_REPORT", self.at("report").into()),
            ("SHIM_SEED", fate.seed.to_string().into()),
            ("SHIM_LOSS_AT", fate.loss_at.to_string().into()),
            ("SHIM_TAIL", fate.tail.to_string().into()),
            ("SHIM_FAIL_AT", fate.fail_at.to_string().into()),
            ("SHIM_FAIL_NAME", fate.fail_name.into()),
            ("SHIM_LIE", u8::from(fate.lies).to_string().into()),
        ]
    }

    /// The figures of the loss that just ended a process.
    pub(super) fn loss(&self) -> Result<Loss> {
        let report =
            fs::read_to_string(self.at("report")).context("the shim reports nothing: was it loaded?")?;
        fs::remove_file(self.at("report"))?;
        let figure = |name: &str| -> Result<u64> {
            let words = report.split_whitespace().filter_map(|word| word.split_once('='));
            let found = words.into_iter().find(|(word, _)| *word == name);
            Ok(found.with_context(|| format!("no `{name}` in `{report}`"))?.1.parse()?)
        };
        ensure!(
            figure("overwrites")? == 0,
            "durable bytes were overwritten, which the shim does not model: {report}"
        );
        Ok(Loss {
            calls: figure("calls")?,
            failed: figure("failed")?,
            bytes_cut: figure("bytes_cut")?,
            entries_undone: figure("entries_undone")?,
        })
    }
}

fn compile(output: &Path) -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durability/shim.c");
    for compiler in ["cc", "clang", "gcc"] {
        let run = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([output, &source])
            .args(["-ldl", "-lpthread"])
            .output();
        match run {
            Ok(run) => {
                ensure!(run.status.success(), "{compiler}: {}", String::from_utf8_lossy(&run.stderr));
                return Ok(());
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(compiler),
        }
    }
    bail!("power losses are simulated by a library in C: install a C compiler (`cc`, `clang` or `gcc`)")
}
