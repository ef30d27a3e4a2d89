use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, ensure};

use super::place::{Disk, fail, succeed, validate};
use super::written::{SCHEMA, Written, is_refusal, refuses, serve};
use crate::support::client::Client;

pub(super) const READ_ONLY: &str = "the file system is read-only: make it writable";
const FORBIDDEN: &str = "let the user that runs Stonetown read and write there";
/// `nobody`, on every Linux.
const NOBODY: u32 = 65_534;

#[test]
fn a_disk_that_becomes_read_only_refuses_writes_and_is_read_on() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let disk = Disk::below(dir.path())?;
    let server = serve(dir, &disk, &[]);
    let client = Client::new(&server.url, SCHEMA);
    let mut written = Written::default();
    written.some(&client, 10)?;
    disk.make_read_only()?;
    is_refusal(&written.until_refused(&client)?, READ_ONLY)?;
    refuses(&client, READ_ONLY)?;
    written.is_there(&client)?;
    let (ended_well, dir) = server.stop();
    ensure!(ended_well);
    // Opened while it is so.
    for verb in [&["serve", "--listen", "127.0.0.1:0"][..], &["validate"], &["store", "list"]] {
        let text = fail(disk.stonetown(verb).arg("--data").arg(dir.path()))?;
        ensure!(text.contains(READ_ONLY), "{verb:?}: {text}");
        ensure!(text.contains(&dir.path().display().to_string()), "the directory is not named: {text}");
    }
    disk.make_room()?;
    let server = serve(dir, &disk, &[]);
    let client = Client::of(&server.url, &client.store);
    written.is_there(&client)?;
    written.some(&client, 3)?;
    written.is_there(&client)?;
    validate(server.stop().1.path())
}

#[test]
fn a_directory_of_somebody_else_says_so() -> Result<()> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        println!("not root: nobody else's directory can be made");
        return Ok(());
    }
    let place = tempfile::tempdir()?;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
    let program = place.path().join("stonetown");
    fs::copy(env!("CARGO_BIN_EXE_stonetown"), &program)?;
    let data = place.path().join("data");
    succeed(Command::new(&program).args(["store", "create", "--name", "mine", "--data"]).arg(&data))?;
    // Readable by everybody, as a data directory that a user made is; then by its owner alone.
    for mode in [0o755, 0o700] {
        fs::set_permissions(&data, fs::Permissions::from_mode(mode))?;
        for verb in [&["serve", "--listen", "127.0.0.1:0"][..], &["store", "list"], &["validate"]] {
            let mut command = Command::new(&program);
            command.args(verb).arg("--data").arg(&data).uid(NOBODY).gid(NOBODY).current_dir("/");
            let text = fail(&mut command)?;
            ensure!(text.contains(FORBIDDEN), "{mode:o} {verb:?}: {text}");
            ensure!(text.contains(&data.display().to_string()), "the directory is not named: {text}");
        }
    }
    // Nor can it be made where nothing may be made.
    let mut command = Command::new(&program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(place.path().join("new"));
    let text = fail(command.uid(NOBODY).gid(NOBODY).current_dir("/"))?;
    ensure!(text.contains(FORBIDDEN) && text.contains("/new"), "{text}");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755))?;
    validate(&data)
}
