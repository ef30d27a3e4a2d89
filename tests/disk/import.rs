use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use rand::RngExt as _;
use tempfile::TempDir;

use super::full::FULL;
use super::place::{Disk, choices, succeed};
use super::written::{SCHEMA, serve};
use crate::support::client::Client;

const TUPLES: u32 = 12_000;

/// The input, and what is known of a data directory that has taken it.
fn input(place: &Path) -> Result<String> {
    let mut text = "object,relation,subject\n".to_owned();
    for n in 0..TUPLES {
        let at = n.wrapping_mul(2_654_435_761) % 1_000_003;
        writeln!(text, "doc:{at:07}-{n},viewer,user:person-{}", at % 977)?;
    }
    let path = place.join("input.csv");
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

fn export(disk: &Disk, data: &Path) -> Result<String> {
    succeed(disk.stonetown(&["export", "--export-format", "csv", "--data"]).arg(data))
}

fn make(disk: &Disk, place: &Path, data: &Path) -> Result<()> {
    let schema = place.join("schema.fga");
    fs::write(&schema, SCHEMA)?;
    succeed(disk.stonetown(&["store", "create", "--name", "import", "--data"]).arg(data))?;
    succeed(disk.stonetown(&["schema", "write"]).arg(schema).arg("--data").arg(data))?;
    succeed(disk.stonetown(&["write", "doc:first#viewer@user:anne", "--data"]).arg(data))?;
    Ok(())
}

#[test]
fn an_import_that_finds_no_room_goes_on_when_there_is() -> Result<()> {
    let mut choices = choices("imports");
    for way in ["files", "live"] {
        let place = tempfile::tempdir()?;
        let input = input(place.path())?;
        let (mut refused, mut whole) = (0, None);
        for round in 0..3 {
            let root = place.path().join(format!("disk-{way}-{round}"));
            fs::create_dir(&root)?;
            let disk = Disk::below(&root)?;
            let data = root.join("data");
            make(&disk, place.path(), &data)?;
            let import = || {
                let mut command = disk.stonetown(&[
                    "import",
                    &input,
                    "--way",
                    way,
                    "--on-duplicate",
                    "ignore",
                    "--memory",
                    "4",
                    "--data",
                ]);
                command.arg(&data);
                command
            };
            // Again and again, as somebody does who makes too little room.
            for _ in 0..2 {
                let most = if round == 0 { 1 } else { 1_500_000 };
                disk.fill(choices.random_range(0..most))?;
                let run = import().output()?;
                if run.status.success() {
                    break;
                }
                refused += 1;
                let text = String::from_utf8_lossy(&run.stderr);
                ensure!(run.status.code() == Some(3) && text.contains(FULL), "{way}: {text}");
                disk.make_room()?;
                let found = export(&disk, &data)?.lines().count() - 1;
                succeed(disk.stonetown(&["validate", "--data"]).arg(&data))?;
                ensure!(
                    way == "live" || found == 1 || found == TUPLES as usize + 1,
                    "half of it is to be seen: {found}"
                );
                if found == TUPLES as usize + 1 {
                    break;
                }
            }
            disk.make_room()?;
            succeed(&mut import())?;
            succeed(disk.stonetown(&["validate", "--data"]).arg(&data))?;
            let exported = export(&disk, &data)?;
            ensure!(exported.lines().count() == TUPLES as usize + 2, "{}", exported.lines().count());
            ensure!(*whole.get_or_insert(exported.clone()) == exported, "{way}: the export is another one");
        }
        println!("{way}: {refused} refused");
        ensure!(refused >= 2, "{way}: {refused} refused");
    }
    Ok(())
}

#[test]
fn an_import_into_a_server_that_finds_no_room_goes_on_after_its_restart() -> Result<()> {
    let mut choices = choices("imports into a server");
    for way in ["files", "live"] {
        let place = tempfile::tempdir()?;
        let input = input(place.path())?;
        let dir: TempDir = tempfile::tempdir()?;
        let disk = Disk::below(dir.path())?;
        let server = serve(dir, &disk, &[]);
        let client = Client::new(&server.url, SCHEMA);
        client.write(&["doc:first viewer user:anne"]);
        disk.fill(choices.random_range(0..500_000))?;
        let import = |url: &str| {
            // The disk is the server's.
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stonetown"));
            command.args(["import", &input, "--way", way, "--url", url, "--store", &client.store]);
            command
        };
        let run = import(&server.url).output()?;
        let text = String::from_utf8_lossy(&run.stderr);
        ensure!(run.status.code() == Some(3) && text.contains(FULL), "{way}: {text}");
        // Reads go on.
        ensure!(client.allows("doc:first reader user:anne"));
        disk.make_room()?;
        let dir = server.stop().1;
        let server = serve(dir, &disk, &[]);
        succeed(&mut import(&server.url))?;
        let dir = server.stop().1;
        succeed(disk.stonetown(&["validate", "--data"]).arg(dir.path()))?;
        let exported = export(&disk, dir.path())?;
        ensure!(exported.lines().count() == TUPLES as usize + 2, "{way}: {}", exported.lines().count());
    }
    Ok(())
}
