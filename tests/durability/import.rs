use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::directory;
use super::disk::{Disk, Fate};
use super::seed::{any_magnitude, choices};

/// Tuples of the input: with the least memory some six runs in each direction.
const TUPLES: u32 = 40_000;
const KILLS: usize = 10;
const POWER_LOSSES: usize = 10;
/// The latest call to the disk at which power is lost.
const CALLS_MAX: u64 = 1_500;

const SCHEMA: &str = "\
model
  schema 1.1
type user
type folder
  relations
    define parent: [folder]
    define viewer: [user, folder#viewer] or viewer from parent
";

/// A place with an input, and a data directory that has some of it already.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Place> {
        let place = Place { dir: tempfile::tempdir()? };
        fs::write(place.at("schema.fga"), SCHEMA)?;
        let mut input = std::io::BufWriter::new(fs::File::create(place.at("input.csv"))?);
        writeln!(input, "object,relation,subject,expires_at")?;
        for n in 0..TUPLES {
            // No order, some twice, some with an end.
            let at = n.wrapping_mul(2_654_435_761) % (TUPLES - TUPLES / 50);
            let end = if at.is_multiple_of(17) { "2100-01-01T00:00:00Z" } else { "" };
            match at % 3 {
                0 => writeln!(input, "folder:{at:07},parent,folder:{:07},{end}", at / 10)?,
                _ => writeln!(input, "folder:{at:07},viewer,user:person-{},{end}", at % 977)?,
            }
        }
        input.flush()?;
        Ok(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a data directory with a store, a schema and a few tuples.
    fn make(&self, data: &Path) -> Result<()> {
        for arguments in [
            &["store", "create", "--name", "import"][..],
            &["schema", "write", &self.at("schema.fga").to_string_lossy()],
            &["write", "folder:0000007#viewer@user:person-7", "folder:zz#viewer@user:zoe"],
        ] {
            succeed(&mut stonetown(data, arguments))?;
        }
        Ok(())
    }

    fn import(&self, data: &Path, way: &str) -> Command {
        let mut command = stonetown(data, &["import"]);
        command.arg(self.at("input.csv")).args(["--way", way, "--on-duplicate", "replace", "--memory", "4"]);
        command
    }

    /// What an import that nothing interrupts leaves.
    fn expected(&self, way: &str) -> Result<Vec<u8>> {
        let data = self.at("whole");
        self.make(&data)?;
        succeed(&mut self.import(&data, way))?;
        export(&data)
    }
}

fn stonetown(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
    command.args(arguments).arg("--data").arg(data).env_remove("STONETOWN_URL").env_remove("STONETOWN_DATA");
    command
}

fn succeed(command: &mut Command) -> Result<Output> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

fn export(data: &Path) -> Result<Vec<u8>> {
    Ok(succeed(&mut stonetown(data, &["export", "--export-format", "csv"]))?.stdout)
}

/// How many tuples there are, and whether the files agree.
fn count(data: &Path) -> Result<usize> {
    succeed(&mut stonetown(data, &["validate"]))?;
    Ok(export(data)?.iter().filter(|&&byte| byte == b'\n').count() - 1)
}

/// Kills the process when the time has come; true: it had ended by then.
fn run_and_kill(mut command: Command, after: Duration) -> Result<bool> {
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    loop {
        if let Some(status) = process.try_wait()? {
            let mut told = String::new();
            process.stderr.take().context("standard error")?.read_to_string(&mut told)?;
            ensure!(status.success(), "{command:?} ended with {status}: {told}");
            return Ok(true);
        }
        if begun.elapsed() >= after {
            process.kill()?;
            process.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_import_goes_on_and_leaves_what_one_that_was_not_leaves() -> Result<()> {
    let mut choices = choices("killed imports");
    for way in ["files", "live"] {
        let place = Place::new()?;
        let begun = Instant::now();
        let expected = place.expected(way)?;
        let usual = begun.elapsed();
        let mut kills = 0;
        let mut number = 0;
        while kills < KILLS {
            number += 1;
            let data = place.at(&format!("killed-{number}"));
            place.make(&data)?;
            let before = count(&data)?;
            loop {
                let after = usual.mul_f64(choices.random_range(0.0..0.8));
                if run_and_kill(place.import(&data, way), after)? {
                    break;
                }
                kills += 1;
                let found = count(&data)?;
                if way == "files" {
                    let whole = expected.iter().filter(|&&byte| byte == b'\n').count() - 1;
                    ensure!(found == before || found == whole, "{found} of {whole} tuples are to be seen");
                }
                if kills % 4 == 3 {
                    succeed(&mut place.import(&data, way))?;
                    break;
                }
            }
            ensure!(export(&data)? == expected, "{way}: the export is another one");
            fs::remove_dir_all(&data)?;
        }
        println!("{way}: {kills} kills of {number} imports");
    }
    Ok(())
}

#[test]
fn an_import_that_loses_power_goes_on_and_leaves_what_one_that_did_not_leaves() -> Result<()> {
    let mut choices = choices("imports without power");
    let place = Place::new()?;
    let expected = place.expected("files")?;
    let (mut losses, mut cut, mut undone, mut number) = (0, 0, 0, 0);
    // Which of the two a loss costs hangs on the moment: until there was one of each.
    while losses < POWER_LOSSES || ((cut == 0 || undone == 0) && losses < 5 * POWER_LOSSES) {
        number += 1;
        let disk = Disk::new()?;
        place.make(&disk.data())?;
        loop {
            let Some(loss) = lose_power(&place, &disk, &mut choices)? else { break };
            losses += 1;
            cut += loss.bytes_cut;
            undone += loss.entries_undone;
            // On a copy, so that the next attempt finds the disk as the loss left it.
            let copy = disk.at("copy");
            directory::copy(&disk.data(), &copy)?;
            let found = count(&copy)?;
            let whole = expected.iter().filter(|&&byte| byte == b'\n').count() - 1;
            ensure!(found == 2 || found == whole, "{found} of {whole} tuples are to be seen");
            fs::remove_dir_all(copy)?;
            if losses % 5 == 4 {
                succeed(&mut place.import(&disk.data(), "files"))?;
                break;
            }
        }
        ensure!(export(&disk.data())? == expected, "the export is another one");
    }
    println!("{losses} power losses of {number} imports: {cut} bytes cut, {undone} entries undone");
    ensure!(cut > 0 && undone > 0, "the losses cost nothing: does the shim work?");
    Ok(())
}

/// Imports until the disk loses its power; none: it was done before.
fn lose_power(place: &Place, disk: &Disk, choices: &mut SmallRng) -> Result<Option<super::disk::Loss>> {
    let fate = Fate {
        seed: choices.random(),
        loss_at: any_magnitude(choices, CALLS_MAX),
        tail: choices.random_range(0..4),
        ..Fate::default()
    };
    let mut command = place.import(&disk.data(), "files");
    let environment: Vec<(&str, OsString)> = disk.environment(fate);
    let output = command.envs(environment).output()?;
    match output.status.code() {
        Some(0) => Ok(None),
        Some(137) => disk.loss().map(Some),
        code => Err(anyhow::anyhow!("{fate:?}: code {code:?}: {}", String::from_utf8_lossy(&output.stderr)))
            .context("the import failed by itself"),
    }
}
