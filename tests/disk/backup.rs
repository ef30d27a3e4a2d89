use anyhow::{Result, ensure};
use rand::RngExt as _;
use serde_json::{Value, json};

use super::full::FULL;
use super::place::{Disk, choices, fail, succeed, validate};
use super::written::{SCHEMA, Written, serve};
use crate::support::Served;
use crate::support::client::{Answer, Client};

#[test]
fn a_backup_that_finds_no_room_leaves_the_earlier_ones_as_they_were() -> Result<()> {
    let mut choices = choices("backups");
    let place = tempfile::tempdir()?;
    let backups = place.path().join("backups");
    std::fs::create_dir(&backups)?;
    // Only where the backups are there is no room.
    let disk = Disk::below(&backups)?;
    let at = backups.display().to_string();
    let server = serve(tempfile::tempdir()?, &disk, &["--backup-dir", &at]);
    let client = Client::new(&server.url, SCHEMA);
    let mut written = Written::default();
    written.some(&client, 20)?;
    let back_up = || client.send("POST", "/backup", &json!({ "directory": "nightly" }), &[]);
    back_up().granted();
    let nightly = backups.join("nightly").display().to_string();
    let list = |disk: &Disk| succeed(&mut disk.stonetown(&["backup", "list", &nightly, "--format", "json"]));
    let first = list(&disk)?;
    let mut refused = 0;
    for round in 0..8 {
        written.some(&client, 10)?;
        disk.fill(if round == 0 { 0 } else { choices.random_range(0..60_000) })?;
        let answer = back_up();
        if answer.status == 200 {
            continue;
        }
        refused += 1;
        ensure!(message(&answer).contains(FULL), "{answer:?}");
        // Writes have nothing to do with it.
        written.some(&client, 1)?;
        disk.make_room()?;
        succeed(&mut disk.stonetown(&["backup", "verify", &nightly]))?;
        if refused == 1 {
            ensure!(list(&disk)? == first);
        }
    }
    ensure!(refused > 0, "it was never refused");
    let at_first = place.path().join("first");
    succeed(disk.stonetown(&["restore", &nightly, "--backup", "1", "--data"]).arg(&at_first))?;
    validate(&at_first)?;
    back_up().granted();
    succeed(&mut disk.stonetown(&["backup", "verify", &nightly]))?;
    let latest = tempfile::tempdir()?;
    succeed(disk.stonetown(&["restore", &nightly, "--data"]).arg(latest.path()))?;
    let restored = Served::on(latest, &[]);
    written.is_there(&Client::of(&restored.url, &client.store))?;
    written.is_there(&client)
}

#[test]
fn a_restore_that_finds_no_room_is_begun_anew() -> Result<()> {
    let mut choices = choices("restores");
    let server = Served::start();
    let client = Client::new(&server.url, SCHEMA);
    let mut written = Written::default();
    written.some(&client, 20)?;
    let store = client.store.clone();
    let dir = server.stop().1;
    let place = tempfile::tempdir()?;
    let backups = place.path().join("backups").display().to_string();
    let target = place.path().join("disk");
    std::fs::create_dir(&target)?;
    let disk = Disk::below(&target)?;
    succeed(disk.stonetown(&["backup", &backups, "--data"]).arg(dir.path()))?;
    let data = target.join("data");
    let mut refused = 0;
    for round in 0..6 {
        disk.fill(if round == 0 { 0 } else { choices.random_range(0..50_000) })?;
        let mut restore = disk.stonetown(&["restore", &backups, "--data"]);
        if restore.arg(&data).output()?.status.success() {
            std::fs::remove_dir_all(&data)?;
            continue;
        }
        refused += 1;
        let text = fail(&mut restore)?;
        ensure!(text.contains(FULL), "{text}");
        // Half of one is never taken for data.
        fail(disk.stonetown(&["validate", "--data"]).arg(&data))?;
    }
    ensure!(refused > 0);
    disk.make_room()?;
    succeed(disk.stonetown(&["restore", &backups, "--data"]).arg(&data))?;
    validate(&data)?;
    let text =
        succeed(disk.stonetown(&["read", "--format", "json", "--store", &store, "--data"]).arg(&data))?;
    let first: Value = serde_json::from_str(text.lines().next().unwrap_or_default())?;
    ensure!(!first.is_null());
    Ok(())
}

fn message(answer: &Answer) -> &str {
    answer.body["message"].as_str().unwrap_or_default()
}
