use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::directory;
use super::disk::{Disk, Fate, Loss};
use super::ledger::Ledger;
use super::process::{Process, SWITCH, Upkeep};
use super::seed::{any_magnitude, choices, rounds};

/// Disks, each beginning empty,
const DISKS: usize = 5;
/// and how often each loses its power.
const LOSSES: usize = 5;
/// Calls to the disk that making a data directory takes, about.
const CALLS_OF_CREATION: u64 = 200;
/// The latest call at which power is lost.
const CALLS_MAX: u64 = 1_200;

#[test]
fn power_losses_lose_nothing_acknowledged() -> Result<()> {
    let mut choices = choices("power losses");
    let (mut losses, mut acknowledged, mut bytes_cut, mut entries_undone) = (0, 0, 0, 0);
    for number in 0..rounds(DISKS * LOSSES).div_ceil(LOSSES) {
        let disk = Disk::new()?;
        let mut ledger = Ledger::default();
        for round in 0..LOSSES {
            let loss_at = match round {
                0 => any_magnitude(&mut choices, CALLS_OF_CREATION),
                // While it opens what the loss before left,
                1 => any_magnitude(&mut choices, CALLS_MAX),
                // and in the midst of writing.
                _ => choices.random_range(1..=CALLS_MAX),
            };
            let fate =
                Fate { seed: choices.random(), loss_at, tail: choices.random_range(0..4), ..Fate::default() };
            let loss = write_until_dark(&disk, &mut ledger, fate, upkeep(&mut choices))
                .and_then(|loss| check(&disk, &mut ledger, round).map(|()| loss))
                .with_context(|| format!("disk {number}, loss {round}: {fate:?}"))?;
            losses += 1;
            bytes_cut += loss.bytes_cut;
            entries_undone += loss.entries_undone;
        }
        ensure!(ledger.refused == 0, "a write was refused although nothing failed");
        acknowledged += ledger.acknowledged;
    }
    println!(
        "power losses: {losses}, {acknowledged} acknowledged writes, {bytes_cut} bytes and {entries_undone} directory \
         entries lost that were not synced"
    );
    ensure!(bytes_cut > 0 && entries_undone > 0, "the losses cost nothing: does the shim work?");
    ensure!(acknowledged > losses * 5, "too few writes to prove anything: {acknowledged}");
    Ok(())
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_ends_writing() -> Result<()> {
    let mut choices = choices("failed syncs");
    let (mut acknowledged, mut failed, mut readers) = (0, 0, 0);
    // Logs only, tables only, the manifest only, and whatever comes.
    for fail_name in [".log", ".sst", "MANIFEST", ""] {
        let disk = Disk::new()?;
        let mut ledger = Ledger::default();
        for round in 0..4 {
            let fate = Fate {
                seed: choices.random(),
                // The process turns power off by itself after a refusal; some never see one.
                loss_at: 800,
                tail: choices.random_range(0..4),
                fail_at: any_magnitude(&mut choices, if fail_name.is_empty() { 20 } else { 60 }),
                fail_name,
                ..Fate::default()
            };
            let loss = write_until_dark(&disk, &mut ledger, fate, upkeep(&mut choices))
                .and_then(|loss| check(&disk, &mut ledger, round).map(|()| loss))
                .with_context(|| format!("round {round}: {fate:?}"))?;
            failed += loss.failed;
        }
        acknowledged += ledger.acknowledged;
        readers += ledger.readers;
    }
    println!(
        "failed syncs: {failed}, {acknowledged} acknowledged writes, reads went on after {readers} refusals"
    );
    ensure!(failed > 0 && readers > 0, "no sync failed, or none was noticed");
    Ok(())
}

fn upkeep(choices: &mut SmallRng) -> Upkeep {
    [Upkeep::None, Upkeep::Flush, Upkeep::Compact][choices.random_range(0..3)]
}

/// Runs a process until its disk loses power.
fn write_until_dark(disk: &Disk, ledger: &mut Ledger, fate: Fate, upkeep: Upkeep) -> Result<Loss> {
    // With the small one RocksDB changes logs and writes tables by itself all the time.
    let buffer_bytes = if fate.seed.is_multiple_of(2) { 64 << 20 } else { 128 << 10 };
    let environment = disk.environment(fate);
    let environment = environment.iter().map(|(name, value)| (*name, OsStr::new(value)));
    let mut process = Process::start(&disk.data(), upkeep, buffer_bytes, environment)?;
    while let Some(said) = process.hear()? {
        ledger.note(said)?;
    }
    let code = process.end()?;
    ensure!(code == Some(137), "the process ended by itself, with {code:?}");
    let loss = disk.loss()?;
    ensure!(loss.calls > 0, "no call was seen");
    Ok(loss)
}

/// Mostly on a copy, so that the next process finds the disk as the loss left it.
fn check(disk: &Disk, ledger: &mut Ledger, round: usize) -> Result<()> {
    if round % 3 == 2 || !disk.data().exists() {
        return ledger.check(&disk.data());
    }
    let copy = disk.at("copy");
    directory::copy(&disk.data(), &copy)?;
    ledger.check(&copy)?;
    fs::remove_dir_all(copy)?;
    Ok(())
}

const PLAIN_DIR: &str = "STONETOWN_DURABILITY_PLAIN_DIR";

/// Not a test of its own: a process of `the_shim_takes_what_was_not_synced`.
#[test]
fn writes_plain_files() -> Result<()> {
    let Some(dir) = std::env::var_os(PLAIN_DIR).map(PathBuf::from) else { return Ok(()) };
    let make = |name: &str, synced: &str, more: &str| -> Result<()> {
        let mut file = fs::File::create(dir.join(name))?;
        file.write_all(synced.as_bytes())?;
        file.sync_data()?;
        file.write_all(more.as_bytes())?;
        Ok(())
    };
    make("whole", "synced", "")?;
    make("cut", "synced", "not synced")?;
    make("removed", "synced", "")?;
    make("replaced", "old", "")?;
    fs::File::open(&dir)?.sync_all()?;
    make("lost", "synced, but its name is not", "")?;
    make("new", "new", "")?;
    fs::rename(dir.join("new"), dir.join("replaced"))?;
    fs::remove_file(dir.join("removed"))?;
    drop(fs::File::create(dir.join(SWITCH)));
    Ok(())
}

#[test]
fn the_shim_takes_what_was_not_synced() -> Result<()> {
    // Which entries are undone is random: some seed has to undo all, and some none.
    let (mut all, mut none) = (false, false);
    for seed in 0..40 {
        let disk = Disk::new()?;
        let root = disk.data();
        let root = root.parent().context("a disk")?;
        let code = Command::new(std::env::current_exe()?)
            .args(["--exact", "durability::power::writes_plain_files"])
            .envs(disk.environment(Fate { seed, ..Fate::default() }))
            .env(PLAIN_DIR, root)
            .output()?
            .status
            .code();
        ensure!(code == Some(137), "ended with {code:?}");
        let loss = disk.loss()?;
        ensure!(loss.calls > 20 && loss.bytes_cut == 10, "{loss:?}");
        let read = |name: &str| fs::read_to_string(root.join(name)).ok();
        ensure!(read("whole").as_deref() == Some("synced"));
        ensure!(read("cut").as_deref() == Some("synced"));
        all |= loss.entries_undone == 4
            && read("replaced").as_deref() == Some("old")
            && read("lost").is_none()
            && read("new").is_none()
            && read("removed").as_deref() == Some("synced");
        none |= loss.entries_undone == 0
            && read("replaced").as_deref() == Some("new")
            && read("lost").is_some()
            && read("removed").is_none();
        if all && none {
            return Ok(());
        }
    }
    anyhow::bail!("all entries undone: {all}; none: {none}")
}

#[test]
fn a_disk_that_lies_is_found_out() -> Result<()> {
    let disk = Disk::new()?;
    let mut ledger = Ledger::default();
    let honest = Fate { seed: 2, loss_at: 600, ..Fate::default() };
    write_until_dark(&disk, &mut ledger, honest, Upkeep::None)?;
    check(&disk, &mut ledger, 0)?;
    let before = ledger.acknowledged;
    let lying = Fate { seed: 4, loss_at: 600, lies: true, ..Fate::default() };
    let loss = write_until_dark(&disk, &mut ledger, lying, Upkeep::None)?;
    ensure!(loss.bytes_cut > 0 && ledger.acknowledged > before, "{loss:?}, {ledger:?}");
    let found = check(&disk, &mut ledger, 0);
    ensure!(found.is_err(), "acknowledged writes were lost, and it was not noticed");
    Ok(())
}
