use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tempfile::TempDir;

use crate::support::preload::compile;

/// A disk below a directory.
pub(super) enum Disk {
    /// What the preloaded library makes of it.
    Shim {
        /// The library, and what tells it how full the disk is.
        beside: TempDir,
        /// What the disk is.
        root: PathBuf,
    },
    /// A small file system, and the file that fills it.
    Mounted {
        /// Where it is mounted.
        root: PathBuf,
    },
}

impl Disk {
    /// One that the library simulates below a directory.
    pub(super) fn below(root: &Path) -> Result<Disk> {
        let beside = tempfile::tempdir()?;
        compile("disk/shim.c", &beside.path().join("shim.so"))?;
        let disk = Disk::Shim { beside, root: root.canonicalize()? };
        disk.control(0, 0)?;
        Ok(disk)
    }

    /// What a process needs in its environment to see it as it is.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        match self {
            Disk::Shim { beside, root } => vec![
                ("LD_PRELOAD", beside.path().join("shim.so").into()),
                ("SHIM_ROOT", root.into()),
                ("SHIM_CONTROL", beside.path().join("control").into()),
            ],
            Disk::Mounted { .. } => vec![],
        }
    }

    /// Leaves room for so many bytes.
    pub(super) fn fill(&self, leaving: i64) -> Result<()> {
        match self {
            Disk::Shim { .. } => self.control(1, leaving),
            Disk::Mounted { root } => {
                let mut ballast = File::create(root.join("ballast"))?;
                let full = std::io::copy(&mut std::io::repeat(1), &mut ballast);
                ensure!(full.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull));
                ballast.set_len(ballast.metadata()?.len().saturating_sub(leaving as u64))?;
                Ok(())
            }
        }
    }

    /// There is room.
    pub(super) fn make_room(&self) -> Result<()> {
        match self {
            Disk::Shim { .. } => self.control(0, 0),
            Disk::Mounted { root } => Ok(fs::remove_file(root.join("ballast"))?),
        }
    }

    /// Nothing on it can be changed: only of one that is simulated.
    pub(super) fn make_read_only(&self) -> Result<()> {
        self.control(2, 0)
    }

    fn control(&self, mode: i64, left: i64) -> Result<()> {
        let Disk::Shim { beside, .. } = self else { anyhow::bail!("a real file system") };
        // In place, since it is mapped. What is left first, so that no mode meets another one's number.
        let file =
            File::options().create(true).write(true).truncate(false).open(beside.path().join("control"))?;
        file.write_all_at(&left.to_ne_bytes(), 8)?;
        file.write_all_at(&mode.to_ne_bytes(), 0)?;
        Ok(())
    }

    /// The program, on this disk.
    pub(super) fn stonetown(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.args(arguments).envs(self.environment());
        command.env_remove("STONETOWN_URL").env_remove("STONETOWN_DATA");
        command
    }
}

/// What a program that succeeds prints.
pub(super) fn succeed(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// What a program that fails says; it must have failed in its own words.
pub(super) fn fail(command: &mut Command) -> Result<String> {
    let Output { status, stderr, .. } = command.output()?;
    let text = String::from_utf8(stderr)?;
    ensure!(status.code() == Some(3), "{command:?}: {status}: {text}");
    Ok(text)
}

pub(super) fn validate(data: &Path) -> Result<()> {
    succeed(Command::new(env!("CARGO_BIN_EXE_stonetown")).args(["validate", "--data"]).arg(data))?;
    Ok(())
}

/// Where the random choices of a test come from.
pub(super) fn choices(test: &str) -> SmallRng {
    let seed = std::env::var("STONETOWN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("{test}: STONETOWN_SEED={seed}");
    SmallRng::seed_from_u64(seed)
}
