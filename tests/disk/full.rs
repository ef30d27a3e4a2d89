use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde_json::Value;
use tempfile::TempDir;

use super::place::{Disk, choices, fail, succeed, validate};
use super::written::{SCHEMA, Written, is_refusal, refuses, serve};
use crate::support::client::Client;

pub(super) const FULL: &str = "the disk is full: make room on it";
/// RocksDB looks every five seconds whether there is room again, and then begins a new log by itself.
const RECOVERY: Duration = Duration::from_secs(7);

/// How a server that has met a full disk ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is told to stop, while there is no room.
    StoppedWhileFull,
    /// It is told to stop when there is.
    Stopped,
    /// It is killed when there is,
    Killed,
    /// some time after that.
    KilledLater,
}

/// A server meets a full disk while it is written to, ends, and is started again.
pub(super) fn full_while_written(
    dir: TempDir,
    disk: &Disk,
    choices: &mut SmallRng,
    end: End,
) -> Result<TempDir> {
    let mut server = serve(dir, disk, &[]);
    let mut client = Client::new(&server.url, SCHEMA);
    let mut written = Written::default();
    written.some(&client, choices.random_range(1..20))?;
    if choices.random() {
        // The first write of a process meets it, with nothing in memory.
        let dir = server.stop().1;
        server = serve(dir, disk, &[]);
        client = Client::of(&server.url, &client.store);
    }
    disk.fill(match choices.random_range(0..3) {
        0 => 0,
        1 => choices.random_range(0..4_000),
        _ => choices.random_range(0..200_000),
    })?;
    is_refusal(&written.until_refused(&client)?, FULL)?;
    refuses(&client, FULL)?;
    written.is_there(&client).context("while it is full")?;
    if end != End::StoppedWhileFull {
        disk.make_room()?;
        written.is_there(&client).context("with room again")?;
        // What was refused is known when the directory is opened again; until then the server says so.
        refuses(&client, FULL)?;
    }
    let dir = match end {
        End::StoppedWhileFull | End::Stopped => {
            let (ended_well, dir) = server.stop();
            ensure!(ended_well, "the server did not end well");
            dir
        }
        End::Killed => server.kill(),
        End::KilledLater => {
            std::thread::sleep(RECOVERY);
            refuses(&client, FULL)?;
            server.kill()
        }
    };
    if end == End::StoppedWhileFull {
        disk.make_room()?;
    }
    let server = serve(dir, disk, &[]);
    let client = Client::of(&server.url, &client.store);
    written.is_there(&client).context("after the restart")?;
    written.some(&client, 3).context("after the restart")?;
    written.is_there(&client)?;
    let dir = server.stop().1;
    validate(dir.path())?;
    Ok(dir)
}

fn on_a_simulated_disk(test: &str, end: End, rounds: usize) -> Result<()> {
    let mut choices = choices(test);
    for round in 0..rounds {
        let dir = tempfile::tempdir()?;
        let disk = Disk::below(dir.path())?;
        full_while_written(dir, &disk, &mut choices, end).with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room_and_a_restart() -> Result<()> {
    on_a_simulated_disk("full, stopped", End::Stopped, 4)
}

#[test]
fn a_server_on_a_full_disk_stops_and_starts_again_when_there_is_room() -> Result<()> {
    on_a_simulated_disk("full, stopped while full", End::StoppedWhileFull, 4)
}

#[test]
fn a_server_killed_after_a_full_disk_has_lost_nothing() -> Result<()> {
    on_a_simulated_disk("full, killed", End::Killed, 4)
}

#[test]
fn a_server_killed_after_rocksdb_found_room_has_lost_nothing() -> Result<()> {
    on_a_simulated_disk("full, killed later", End::KilledLater, 2)
}

#[test]
fn a_full_disk_met_while_table_files_are_written_is_told() -> Result<()> {
    let mut choices = choices("full, table files");
    let (mut is_refused, mut is_done) = (0, 0);
    for round in 0..6 {
        let dir = tempfile::tempdir()?;
        let disk = Disk::below(dir.path())?;
        let server = serve(dir, &disk, &[]);
        let client = Client::new(&server.url, SCHEMA);
        let mut written = Written::default();
        written.some(&client, 30)?;
        // With table files to merge, and more in memory.
        client.send("POST", "/compact", &Value::Null, &[]).granted();
        written.some(&client, 30)?;
        let leaving = if round == 0 { 1_000 } else { choices.random_range(0..150_000) };
        disk.fill(leaving)?;
        let compacted = client.send("POST", "/compact", &Value::Null, &[]);
        match compacted.status {
            200 => is_done += 1,
            _ => {
                is_refused += 1;
                let text = compacted.body["message"].as_str().unwrap_or_default();
                ensure!(text.contains(FULL) || text.contains("could not be merged"), "{compacted:?}");
            }
        }
        println!("round {round}: {leaving} bytes left: {}", compacted.status);
        written.is_there(&client)?;
        // Whether the log has room, or RocksDB refuses it because of the table files, is RocksDB's.
        is_refusal(&written.until_refused(&client)?, FULL)?;
        refuses(&client, FULL)?;
        written.is_there(&client)?;
        disk.make_room()?;
        let dir = match round % 2 {
            0 => server.stop().1,
            _ => server.kill(),
        };
        let server = serve(dir, &disk, &[]);
        let client = Client::of(&server.url, &client.store);
        written.is_there(&client)?;
        written.some(&client, 3)?;
        client.send("POST", "/compact", &Value::Null, &[]).granted();
        written.is_there(&client)?;
        validate(server.stop().1.path())?;
    }
    println!("{is_refused} refused, {is_done} done");
    ensure!(is_refused > 0);
    Ok(())
}

#[test]
fn merging_table_files_without_room_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let disk = Disk::below(dir.path())?;
    let server = serve(dir, &disk, &[]);
    let client = Client::new(&server.url, SCHEMA);
    let mut written = Written::default();
    written.some(&client, 60)?;
    let compact = || client.send("POST", "/compact", &Value::Null, &[]);
    compact().granted();
    // With nothing in memory that would have to be written out first.
    disk.fill(3_000)?;
    let refused = compact();
    let text = refused.body["message"].as_str().unwrap_or_default();
    ensure!(refused.status >= 500 && text.contains("could not be merged"), "{refused:?}");
    written.is_there(&client)?;
    disk.make_room()?;
    // Nothing was lost by it, and writes go on where RocksDB took it for no reason to stop.
    let dir = server.stop().1;
    let server = serve(dir, &disk, &[]);
    let client = Client::of(&server.url, &client.store);
    written.is_there(&client)?;
    written.some(&client, 3)?;
    client.send("POST", "/compact", &Value::Null, &[]).granted();
    written.is_there(&client)?;
    validate(server.stop().1.path())
}

#[test]
fn opening_on_a_full_disk_says_so_and_loses_nothing() -> Result<()> {
    let mut choices = choices("opened when full");
    let dir = tempfile::tempdir()?;
    let disk = Disk::below(dir.path())?;
    let server = serve(dir, &disk, &[]);
    let client = Client::new(&server.url, SCHEMA);
    let mut written = Written::default();
    written.some(&client, 40)?;
    // What was written is in the log alone: opening makes table files of it.
    let dir = server.kill();
    let mut refused = 0;
    for round in 0..12 {
        disk.fill(if round == 0 { 0 } else { choices.random_range(0..40_000) })?;
        let mut command = disk.stonetown(&["read", "--data"]);
        command.arg(dir.path()).args(["--store", &client.store]);
        if command.output()?.status.success() {
            continue;
        }
        refused += 1;
        let text = fail(disk.stonetown(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(dir.path()))?;
        ensure!(text.contains(FULL), "{text}");
        ensure!(text.contains(&dir.path().display().to_string()), "the directory is not named: {text}");
    }
    println!("{refused} of 12 times it was not opened");
    ensure!(refused > 0);
    disk.make_room()?;
    succeed(disk.stonetown(&["validate", "--data"]).arg(dir.path()))?;
    let server = serve(dir, &disk, &[]);
    let client = Client::of(&server.url, &client.store);
    written.is_there(&client)?;
    written.some(&client, 3)?;
    validate(server.stop().1.path())
}

#[test]
fn a_new_directory_on_a_full_disk_is_made_when_there_is_room() -> Result<()> {
    let mut choices = choices("made when full");
    let place = tempfile::tempdir()?;
    let disk = Disk::below(place.path())?;
    let data = place.path().join("data");
    let mut refused = 0;
    for round in 0..8 {
        disk.fill(if round == 0 { 0 } else { choices.random_range(0..12_000) })?;
        let mut command = disk.stonetown(&["store", "create", "--name", "demo", "--data"]);
        if command.arg(&data).output()?.status.success() {
            continue;
        }
        refused += 1;
        let text = fail(&mut command)?;
        ensure!(text.contains(FULL) && text.contains(&data.display().to_string()), "{text}");
    }
    ensure!(refused > 0);
    disk.make_room()?;
    succeed(disk.stonetown(&["store", "create", "--name", "last", "--data"]).arg(&data))?;
    let stores = succeed(disk.stonetown(&["store", "list", "--data"]).arg(&data))?;
    ensure!(stores.contains("last"), "{stores}");
    validate(&data)
}
