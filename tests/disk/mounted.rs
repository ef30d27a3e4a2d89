use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::full::{End, full_while_written};
use super::place::{Disk, choices, fail, succeed};
use super::read_only::READ_ONLY;

const ROOT: &str = "STONETOWN_DISK_ROOT";

/// Runs a test of this module in a mount namespace of its own, with 24 MiB of file system.
fn run_mounted(test: &str) -> Result<()> {
    let can = Command::new("unshare").args(["-m", "true"]).output();
    if !can.is_ok_and(|run| run.status.success()) {
        println!("no mount namespaces here (`unshare -m`): nothing is tested");
        return Ok(());
    }
    let place = tempfile::tempdir()?;
    let script = "mount -t tmpfs -o size=24m stonetown \"$STONETOWN_DISK_ROOT\" && exec \"$@\"";
    let run = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe()?)
        .args(["--exact", &format!("disk::mounted::{test}"), "--nocapture", "--test-threads=1"])
        .env(ROOT, place.path())
        .output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    println!("{text}");
    ensure!(run.status.success(), "in the namespace");
    ensure!(text.contains("1 passed"), "nothing was tested: {text}");
    Ok(())
}

fn root() -> Option<PathBuf> {
    std::env::var_os(ROOT).map(PathBuf::from)
}

#[test]
fn a_real_file_system_that_is_full_is_met_as_a_simulated_one() -> Result<()> {
    run_mounted("within_is_written_until_full")
}

/// Not a test of its own: what runs where the file system is mounted.
#[test]
fn within_is_written_until_full() -> Result<()> {
    let Some(root) = root() else { return Ok(()) };
    let mut choices = choices("a real disk");
    for end in [End::Stopped, End::StoppedWhileFull, End::Killed] {
        let disk = Disk::Mounted { root: root.clone() };
        let dir = tempfile::Builder::new().tempdir_in(&root)?;
        full_while_written(dir, &disk, &mut choices, end).with_context(|| format!("{end:?}"))?;
    }
    Ok(())
}

#[test]
fn a_real_file_system_that_is_read_only_says_so() -> Result<()> {
    run_mounted("within_is_opened_read_only")
}

/// Not a test of its own: what runs where the file system is mounted.
#[test]
fn within_is_opened_read_only() -> Result<()> {
    let Some(root) = root() else { return Ok(()) };
    let data = root.join("data");
    let stonetown = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.args(arguments).arg("--data").arg(&data);
        command
    };
    succeed(&mut stonetown(&["store", "create", "--name", "demo"]))?;
    remount(&root, "ro")?;
    for verb in [&["serve", "--listen", "127.0.0.1:0"][..], &["store", "list"], &["validate"]] {
        let text = fail(&mut stonetown(verb))?;
        ensure!(text.contains(READ_ONLY) && text.contains(&data.display().to_string()), "{text}");
    }
    remount(&root, "rw")?;
    ensure!(succeed(&mut stonetown(&["store", "list"]))?.contains("demo"));
    succeed(&mut stonetown(&["validate"]))?;
    Ok(())
}

fn remount(root: &Path, mode: &str) -> Result<()> {
    succeed(Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(root))?;
    Ok(())
}
