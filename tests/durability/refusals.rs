use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use stonetown::storage::{Database, DatabaseOptions, StorageError};

const DIR: &str = "STONETOWN_DURABILITY_OPEN_DIR";
/// `nobody`, on every Linux.
const NOBODY: u32 = 65_534;

fn open(dir: &Path, create: bool) -> Result<Database, StorageError> {
    Database::open(dir, &DatabaseOptions { create, ..DatabaseOptions::default() })
}

/// The error of opening a directory, which has to name it (or a file in it).
fn refusal(dir: &Path, create: bool) -> Result<(StorageError, String)> {
    let error = open(dir, create).err().context("it was opened")?;
    let text = error.to_string();
    ensure!(text.contains(&dir.display().to_string()), "the directory is not named: {text}");
    Ok((error, text))
}

/// Not a test of its own: another process that opens a directory.
#[test]
fn opens_in_another_process() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    match open(&dir, true) {
        Ok(_) => println!("\n@opened"),
        Err(error) => println!("\n@{error}"),
    }
}

fn open_elsewhere(mut program: Command, dir: &Path) -> Result<String> {
    let run = program
        .args(["--exact", "durability::refusals::opens_in_another_process", "--nocapture"])
        .env(DIR, dir)
        .output()?;
    let text = String::from_utf8(run.stdout)?;
    let line = text.lines().find_map(|line| line.strip_prefix('@'));
    Ok(line.with_context(|| format!("no answer in `{text}`"))?.to_owned())
}

#[test]
fn a_locked_directory_says_so() -> Result<()> {
    let place = tempfile::tempdir()?;
    let dir = place.path().join("data");
    let database = open(&dir, true)?;
    let expected = StorageError::Locked(dir.clone());
    ensure!(refusal(&dir, true)?.0 == expected, "by the same process");
    let elsewhere = open_elsewhere(Command::new(std::env::current_exe()?), &dir)?;
    ensure!(elsewhere == expected.to_string(), "by another process: {elsewhere}");
    drop(database);
    let elsewhere = open_elsewhere(Command::new(std::env::current_exe()?), &dir)?;
    ensure!(elsewhere == "opened", "after it was closed: {elsewhere}");
    Ok(())
}

#[test]
fn a_newer_format_says_so() -> Result<()> {
    let place = tempfile::tempdir()?;
    let dir = place.path().join("data");
    drop(open(&dir, true)?);
    let file = dir.join("stonetown.format");
    let format = fs::read(&file)?;
    fs::write(&file, "7\n")?;
    let expected = StorageError::TooNew { path: dir.clone(), found: 7, supported: 1 };
    ensure!(refusal(&dir, true)?.0 == expected, "by the file");
    fs::write(&file, format)?;
    drop(open(&dir, false)?);
    // A newer version would have left no seal of ours.
    fs::remove_file(dir.join("stonetown.seal")).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let options = rocksdb::Options::default();
    let files = dir.join("rocksdb");
    let families = rocksdb::DB::list_cf(&options, &files)?;
    let raw = rocksdb::DB::open_cf(&options, &files, families)?;
    // Version 1 of a value, and the number 7.
    raw.put_cf(raw.cf_handle("meta").context("meta")?, "format", [1, 7])?;
    drop(raw);
    ensure!(refusal(&dir, true)?.0 == expected, "by the row");
    Ok(())
}

#[test]
fn a_directory_that_is_none_of_ours_says_so() -> Result<()> {
    let place = tempfile::tempdir()?;
    let missing = place.path().join("missing");
    ensure!(refusal(&missing, false)?.0 == StorageError::NoDirectory(missing.clone()));
    ensure!(!missing.exists(), "asking made it");

    let empty = place.path().join("empty");
    fs::create_dir(&empty)?;
    ensure!(refusal(&empty, false)?.0 == StorageError::NoDirectory(empty.clone()));
    ensure!(fs::read_dir(&empty)?.next().is_none(), "asking left something");
    drop(open(&empty, true)?);
    drop(open(&empty, false)?);

    let foreign = place.path().join("foreign");
    fs::create_dir(&foreign)?;
    fs::write(foreign.join("letter.txt"), "dear all")?;
    for create in [false, true] {
        ensure!(refusal(&foreign, create)?.0 == StorageError::ForeignDirectory(foreign.clone()));
    }
    ensure!(fs::read_dir(&foreign)?.count() == 1, "asking left something");

    let file = place.path().join("file");
    fs::write(&file, "not a directory")?;
    for create in [false, true] {
        let (_, text) = refusal(&file, create)?;
        ensure!(text.contains("Not a directory"), "{text}");
    }

    // Nothing can be made there, not even by root.
    let (_, text) = refusal(Path::new("/proc/stonetown"), true)?;
    ensure!(text.starts_with("storage: `/proc/stonetown"), "{text}");
    Ok(())
}

#[test]
fn a_directory_that_cannot_be_written_says_so() -> Result<()> {
    let place = tempfile::tempdir()?;
    let dir = place.path().join("data");
    drop(open(&dir, true)?);
    let set_modes = |file_mode: u32, dir_mode: u32| -> Result<()> {
        for dir in [&dir, &dir.join("rocksdb")] {
            for entry in fs::read_dir(dir)? {
                let path = entry?.path();
                let mode = if path.is_dir() { dir_mode } else { file_mode };
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            }
            fs::set_permissions(dir, fs::Permissions::from_mode(dir_mode))?;
        }
        Ok(())
    };
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
    set_modes(0o444, 0o555)?;
    let me = std::env::current_exe()?;
    let text = if fs::metadata("/proc/self")?.uid() == 0 {
        // Modes do not stop root, so somebody else has to try, with a copy of the program that he can reach.
        let copy = place.path().join("program");
        fs::copy(me, &copy)?;
        let mut program = Command::new(copy);
        program.uid(NOBODY).gid(NOBODY).current_dir("/");
        open_elsewhere(program, &dir)?
    } else {
        open_elsewhere(Command::new(me), &dir)?
    };
    ensure!(text.contains(&format!("{}/", dir.display())) && text.contains("Permission denied"), "{text}");
    set_modes(0o644, 0o755)?;
    drop(open(&dir, false)?);
    Ok(())
}
