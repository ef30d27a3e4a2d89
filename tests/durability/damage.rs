use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::directory;
use super::sample::{Rows, Sample, read, records};
use super::seed::choices;

/// Opening takes milliseconds. One that takes this long will never end.
const OPENING_ENDS: Duration = Duration::from_secs(4);

/// What is done to a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip { at: usize, mask: u8 },
    Cut { to: usize },
    Zero { from: usize, to: usize },
    Missing,
    Exchanged(PathBuf),
}

/// One damaged directory.
#[derive(Debug, Clone)]
struct Case {
    /// From the data directory on.
    file: PathBuf,
    damage: Damage,
    /// The log's end cannot be told from a write that was torn: it has to open, and to hold exactly what so many writes
    /// to the log made.
    torn_after: Option<usize>,
    /// What a refusal may name instead of the file.
    instead: Option<&'static str>,
}

/// How a directory behaved.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    exact: usize,
    torn: usize,
    wrong: Vec<String>,
}

impl Case {
    fn new(file: impl Into<PathBuf>, damage: Damage) -> Case {
        Case { file: file.into(), damage, torn_after: None, instead: None }
    }

    fn apply(&self, dir: &Path) -> Result<()> {
        let path = dir.join(&self.file);
        let mut bytes = fs::read(&path)?;
        match &self.damage {
            Damage::Flip { at, mask } => bytes[*at] ^= mask,
            Damage::Cut { to } => bytes.truncate(*to),
            Damage::Zero { from, to } => bytes[*from..*to].fill(0),
            Damage::Missing => return Ok(fs::remove_file(path)?),
            Damage::Exchanged(other) => {
                fs::rename(dir.join(other), dir.join("between"))?;
                fs::rename(&path, dir.join(other))?;
                return Ok(fs::rename(dir.join("between"), path)?);
            }
        }
        Ok(fs::write(path, bytes)?)
    }

    fn names(&self) -> Vec<String> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<String> =
            name(&self.file).into_iter().chain(self.instead.map(str::to_owned)).collect();
        if let Damage::Exchanged(other) = &self.damage {
            names.extend(name(other));
        }
        names
    }

    /// Opens a damaged copy. Thoroughly: once more, and then with the file mended.
    fn check(&self, sample: &Sample, of: &Path, dir: &Path, thorough: bool, tally: &mut Tally) -> Result<()> {
        directory::copy(of, dir)?;
        self.apply(dir)?;
        match self.open(sample, dir) {
            Ok(Outcome::Exact) => tally.exact += 1,
            Ok(Outcome::Torn) => tally.torn += 1,
            Ok(Outcome::Refused) => {
                tally.refused += 1;
                if thorough {
                    self.check_refusal(sample, of, dir, tally)?;
                }
            }
            Err(problem) => tally.wrong.push(format!("{self:?}: {problem:#}")),
        }
        Ok(fs::remove_dir_all(dir)?)
    }

    /// A refusal is a refusal the second time, and harms nothing: with the file as it was, all is well.
    fn check_refusal(&self, sample: &Sample, of: &Path, dir: &Path, tally: &mut Tally) -> Result<()> {
        match self.open(sample, dir) {
            Ok(Outcome::Refused) => {}
            other => tally.wrong.push(format!("{self:?}: refused at first, the second time: {other:?}")),
        }
        fs::copy(of.join(&self.file), dir.join(&self.file))?;
        if let Damage::Exchanged(other) = &self.damage {
            fs::copy(of.join(other), dir.join(other))?;
        }
        match read(dir) {
            Ok(Ok(found)) if found == sample.expected => {}
            Ok(Ok(_)) => tally.wrong.push(format!("{self:?}: mended after a refusal, data was lost")),
            Ok(Err(error)) | Err(error) => {
                tally.wrong.push(format!("{self:?}: mended after a refusal: {error:#}"));
            }
        }
        Ok(())
    }

    fn open(&self, sample: &Sample, dir: &Path) -> Result<Outcome> {
        let (answer, opened) = mpsc::channel();
        let of_thread = dir.to_owned();
        std::thread::spawn(move || answer.send(read(&of_thread)));
        // Its thread cannot be ended and would disturb whatever comes after it.
        let answer =
            opened.recv_timeout(OPENING_ENDS).unwrap_or_else(|_| panic!("{self:?}: opening never ends"));
        match answer {
            Err(error) => {
                let text = format!("{error:#}");
                ensure!(self.torn_after.is_none(), "a torn write is refused: {text}");
                ensure!(self.names().iter().any(|name| text.contains(name)), "the file is not named: {text}");
                Ok(Outcome::Refused)
            }
            Ok(Err(error)) => bail!("opened, and then: {error:#}"),
            Ok(Ok(found)) if found == sample.expected => Ok(Outcome::Exact),
            Ok(Ok(found)) => match self.torn_after {
                Some(writes) if sample.is_prefix(&found, writes) => Ok(Outcome::Torn),
                _ => bail!("wrong data"),
            },
        }
    }
}

#[derive(Debug)]
enum Outcome {
    Refused,
    Exact,
    Torn,
}

#[test]
fn a_damaged_file_refuses_to_open_and_is_named() -> Result<()> {
    let mut choices = choices("damage");
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let in_log = Sample::new(Rows::InLog)?;
    let in_tables = Sample::new(Rows::InTables)?;
    let plans: [(&str, &Sample, PathBuf, Vec<Case>); 10] = [
        ("flipped in the log", &in_log, in_log.crashed(), flips_in_log(&in_log, &mut choices)?),
        ("zeroed in the log", &in_log, in_log.crashed(), zeros_in_log(&in_log, &mut choices)?),
        ("log cut after a crash", &in_log, in_log.crashed(), cuts_of_log(&in_log, &in_log.crashed())?),
        ("log cut after closing", &in_log, in_log.closed(), cuts_of_log(&in_log, &in_log.closed())?),
        ("flipped elsewhere", &in_tables, in_tables.closed(), flips_elsewhere(&in_tables, &mut choices)?),
        ("cut elsewhere", &in_tables, in_tables.closed(), cuts_elsewhere(&in_tables)?),
        ("missing or exchanged", &in_tables, in_tables.closed(), missing(&in_tables.closed())?),
        ("missing, rows in the log", &in_log, in_log.closed(), missing(&in_log.closed())?),
        (
            "missing or exchanged after a crash",
            &in_tables,
            in_tables.crashed(),
            missing(&in_tables.crashed())?,
        ),
        ("missing after a crash, rows in the log", &in_log, in_log.crashed(), missing(&in_log.crashed())?),
    ];
    for (name, sample, of, cases) in plans {
        let tally = tallies.entry(name).or_default();
        for (number, case) in cases.iter().enumerate() {
            let thorough = number % 3 == 0 || !matches!(case.damage, Damage::Flip { .. });
            case.check(sample, &of, &sample.place().join(format!("damaged-{number}")), thorough, tally)?;
        }
    }
    let mut wrong = 0;
    for (name, tally) in &tallies {
        let Tally { refused, exact, torn, .. } = tally;
        println!("{name}: {refused} refused, {exact} without effect, {torn} taken for torn writes");
        for problem in &tally.wrong {
            println!("  WRONG {problem}");
        }
        wrong += tally.wrong.len();
    }
    ensure!(wrong == 0, "{wrong} cases went wrong");
    Ok(())
}

const MASKS: [u8; 4] = [0x01, 0x04, 0x80, 0xff];

fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir.join("rocksdb"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(extension) || name.starts_with(extension) {
            files.push(Path::new("rocksdb").join(name));
        }
    }
    files.sort();
    Ok(files)
}

fn the_log(dir: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let logs = files(dir, ".log")?;
    ensure!(logs.len() == 1, "one log: {logs:?}");
    let bytes = fs::read(dir.join(&logs[0]))?;
    Ok((logs[0].clone(), bytes))
}

/// Every byte of the headers of the first records, of the last, and of those where a block begins or ends; and bytes
/// anywhere.
fn flips_in_log(sample: &Sample, choices: &mut SmallRng) -> Result<Vec<Case>> {
    let (log, bytes) = the_log(&sample.crashed())?;
    let records = records(&bytes)?;
    ensure!(records.iter().any(|record| !record.is_last), "no write is larger than a block");
    let split = records.iter().position(|record| !record.is_last).unwrap_or(0);
    let chosen = [0, 1, 2, split, split + 1, records.len() - 2, records.len() - 1];
    let mut cases = Vec::new();
    for record in chosen.map(|chosen| records[chosen]) {
        for at in record.begin..record.begin + 7 {
            cases.extend(MASKS.map(|mask| Case::new(&log, Damage::Flip { at, mask })));
        }
        let at = choices.random_range(record.begin + 7..record.end);
        cases.push(Case::new(&log, Damage::Flip { at, mask: choices.random_range(1..=255) }));
    }
    for _ in 0..40 {
        let at = choices.random_range(0..bytes.len());
        cases.push(Case::new(&log, Damage::Flip { at, mask: choices.random_range(1..=255) }));
    }
    Ok(cases)
}

/// Sectors that read as zeros. At the very end of the log they are what a torn write leaves.
fn zeros_in_log(sample: &Sample, choices: &mut SmallRng) -> Result<Vec<Case>> {
    let (log, bytes) = the_log(&sample.crashed())?;
    let records = records(&bytes)?;
    let ends: Vec<usize> = records.iter().filter(|record| record.is_last).map(|record| record.end).collect();
    let last_begins = ends[ends.len() - 2];
    let mut cases = Vec::new();
    for from in [0, 512, 4096, 32 << 10, choices.random_range(0..last_begins / 512) * 512] {
        cases.push(Case::new(&log, Damage::Zero { from, to: from + 512 }));
    }
    // The whole of the last write, and all but its first sector.
    for from in [last_begins, (last_begins / 512 + 1) * 512] {
        if from < bytes.len() {
            let damage = Damage::Zero { from, to: bytes.len() };
            cases.push(Case { torn_after: Some(ends.len() - 1), ..Case::new(&log, damage) });
        }
    }
    Ok(cases)
}

/// At the ends of records, within headers and within contents.
fn cuts_of_log(sample: &Sample, of: &Path) -> Result<Vec<Case>> {
    let (log, bytes) = the_log(&sample.crashed())?;
    let is_sealed = of.join("stonetown.seal").exists();
    let records = records(&bytes)?;
    let mut cuts = vec![0, 1, 32 << 10];
    for chosen in [0, 1, records.len() / 2, records.len() - 2, records.len() - 1] {
        let record = records[chosen];
        cuts.extend([
            record.begin + 3,
            record.begin + 7,
            (record.begin + record.end) / 2,
            record.end - 1,
            record.end,
        ]);
    }
    cuts.retain(|&cut| cut < bytes.len());
    let case = |to: usize| {
        let kept = records.iter().filter(|record| record.is_last && record.end <= to).count();
        // A directory without its first write is none that was ever served from.
        let torn_after = Some(kept).filter(|&kept| !is_sealed && kept > 0);
        Case { torn_after, ..Case::new(&log, Damage::Cut { to }) }
    };
    Ok(cuts.into_iter().map(case).collect())
}

fn flips_elsewhere(sample: &Sample, choices: &mut SmallRng) -> Result<Vec<Case>> {
    let dir = sample.closed();
    let mut cases = Vec::new();
    let mut flip = |file: &Path, at: usize, mask: u8| {
        // A digit that became another one is a later format, as far as anybody can tell.
        let instead = (file == Path::new("stonetown.format")).then_some("has format");
        cases.push(Case { instead, ..Case::new(file, Damage::Flip { at, mask }) });
    };
    let tables = files(&dir, ".sst")?;
    ensure!(tables.len() >= 18, "two tables of every family that has rows: {tables:?}");
    for table in &tables {
        let bytes = fs::metadata(dir.join(table))?.len() as usize;
        // The footer, what lies before it (filter, index, properties and the index of these), and the rows.
        for range in [bytes - 53..bytes, bytes.saturating_sub(1500)..bytes - 53, 0..bytes] {
            for _ in 0..4 {
                flip(table, choices.random_range(range.clone()), choices.random_range(1..=255));
            }
        }
    }
    for manifest in files(&dir, "MANIFEST-")? {
        let bytes = fs::read(dir.join(&manifest))?;
        let records = records(&bytes)?;
        for record in [records[0], records[1], records[records.len() / 2], records[records.len() - 1]] {
            (record.begin..record.begin + 7)
                .for_each(|at| MASKS.iter().for_each(|&mask| flip(&manifest, at, mask)));
        }
        for _ in 0..30 {
            flip(&manifest, choices.random_range(0..bytes.len()), choices.random_range(1..=255));
        }
    }
    for (file, masks) in
        [("rocksdb/CURRENT", &MASKS[..]), ("stonetown.format", &[1, 2, 4, 8, 16, 32, 64, 128])]
    {
        let bytes = fs::metadata(dir.join(file))?.len() as usize;
        (0..bytes).for_each(|at| masks.iter().for_each(|&mask| flip(Path::new(file), at, mask)));
    }
    let mut others = files(&dir, "OPTIONS-")?;
    others.extend(files(&dir, "IDENTITY")?);
    others.extend(files(&dir, ".log")?);
    others.push("stonetown.seal".into());
    for file in others {
        let bytes = fs::metadata(dir.join(&file)).map_or(0, |file| file.len() as usize);
        for _ in 0..bytes.min(8) {
            flip(&file, choices.random_range(0..bytes), choices.random_range(1..=255));
        }
    }
    Ok(cases)
}

fn cuts_elsewhere(sample: &Sample) -> Result<Vec<Case>> {
    let dir = sample.closed();
    let mut cases = Vec::new();
    for table in files(&dir, ".sst")? {
        let bytes = fs::metadata(dir.join(&table))?.len() as usize;
        cases
            .extend([0, 1, bytes / 2, bytes - 48, bytes - 1].map(|to| Case::new(&table, Damage::Cut { to })));
    }
    for manifest in files(&dir, "MANIFEST-")? {
        let records = records(&fs::read(dir.join(&manifest))?)?;
        for record in records {
            let inside = [record.begin, (record.begin + record.end) / 2];
            cases.extend(inside.map(|to| Case::new(&manifest, Damage::Cut { to })));
        }
    }
    for (file, cuts) in
        [("rocksdb/CURRENT", &[0, 5, 15][..]), ("stonetown.format", &[0, 1]), ("stonetown.seal", &[0, 9])]
    {
        if dir.join(file).exists() {
            cases.extend(cuts.iter().map(|&to| Case::new(file, Damage::Cut { to })));
        }
    }
    Ok(cases)
}

/// Every file is missed once, and tables are exchanged with each other.
fn missing(dir: &Path) -> Result<Vec<Case>> {
    let mut names = files(dir, "")?;
    names.push("stonetown.format".into());
    let is_sealed = dir.join("stonetown.seal").exists();
    let case = |file: &PathBuf| {
        // After a crash nobody knows what the log was called.
        let is_log = file.extension().is_some_and(|extension| extension == "log");
        let instead = (is_log && !is_sealed).then_some("the write-ahead log is missing");
        Case { instead, ..Case::new(file, Damage::Missing) }
    };
    let mut cases: Vec<Case> = names.iter().map(case).collect();
    let tables = files(dir, ".sst")?;
    for (number, table) in tables.iter().enumerate() {
        for other in tables.iter().skip(number + 1).take(3) {
            cases.push(Case::new(table, Damage::Exchanged(other.clone())));
        }
    }
    Ok(cases)
}
