//! Debian's tree and dependencies: a model of who owns what, and the rows about the whole set: import, bytes, memory.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::process::run;
use crate::report::{Line, budgets};

/// Tuples that the budgets are about.
const TUPLES: u64 = 8_300_000;

/// The schema of the tree.
pub(crate) fn tree_schema(bench: &Bench) -> anyhow::Result<String> {
    let path = bench.repository.join("schema/debian-tree.fga");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Visits the lines of a CSV as object, relation, subject.
fn each_line(path: &Path, visit: &mut dyn FnMut(&str, &str, &str)) -> anyhow::Result<()> {
    let mut reader =
        BufReader::with_capacity(1 << 20, File::open(path).with_context(|| path.display().to_string())?);
    let mut line = String::new();
    let mut number = 0_u64;
    while reader.read_line(&mut line)? > 0 {
        number += 1;
        let text = line.trim_end_matches(['\n', '\r']);
        if number > 1 && !text.is_empty() {
            if text.contains('"') {
                // Ids with quotes or commas: the reader of CSV is not needed for a sample without them.
                line.clear();
                continue;
            }
            let mut parts = text.split(',');
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(object), Some(relation), Some(subject), None) => visit(object, relation, subject),
                _ => bail!("{}:{number}: not `object,relation,subject`", path.display()),
            }
        }
        line.clear();
    }
    Ok(())
}

/// Which package depends on which.
pub(crate) struct Depends {
    /// The packages.
    pub(crate) names: Vec<String>,
    /// What each depends on.
    pub(crate) below: Vec<Vec<u32>>,
    /// How many dependencies there are.
    pub(crate) edges: usize,
}

/// Reads `package:A,depends,package:B`.
pub(crate) fn read_depends(path: &Path) -> anyhow::Result<Depends> {
    let mut places: HashMap<String, u32> = HashMap::new();
    let mut graph = Depends { names: Vec::new(), below: Vec::new(), edges: 0 };
    each_line(path, &mut |object, relation, subject| {
        let (Some(from), "depends", Some(to)) =
            (object.strip_prefix("package:"), relation, subject.strip_prefix("package:"))
        else {
            return;
        };
        let mut place = |name: &str| {
            *places.entry(name.to_owned()).or_insert_with(|| {
                graph.names.push(name.to_owned());
                graph.below.push(Vec::new());
                (graph.names.len() - 1) as u32
            })
        };
        let (from, to) = (place(from), place(to));
        graph.below[from as usize].push(to);
        graph.edges += 1;
    })?;
    if graph.edges == 0 {
        bail!("{} has no `package:A,depends,package:B`", path.display());
    }
    Ok(graph)
}

impl Depends {
    /// How many steps each package below one is away from it.
    pub(crate) fn depths(&self, from: usize) -> HashMap<u32, u32> {
        let mut depths = HashMap::from([(from as u32, 0)]);
        let mut queue = VecDeque::from([from as u32]);
        while let Some(at) = queue.pop_front() {
            let depth = depths[&at] + 1;
            for &next in &self.below[at as usize] {
                depths.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    depth
                });
            }
        }
        depths
    }
}

/// Who owns a file, by the names of paths, without the engine.
pub(crate) struct Tree {
    /// Files to ask about.
    pub(crate) files: Vec<String>,
    /// Of a path (`file:…` or `dir:…`).
    packages: HashMap<String, Vec<String>>,
    /// Of a package.
    sources: HashMap<String, Vec<String>>,
    /// Of a source: people and teams.
    uploaders: HashMap<String, Vec<String>>,
    /// Of a team.
    members: HashMap<String, Vec<String>>,
}

impl Tree {
    /// Reads the CSV, and takes about so many of its files.
    pub(crate) fn read(path: &Path, files: usize) -> anyhow::Result<Tree> {
        let mut tree = Tree {
            files: Vec::with_capacity(files),
            packages: HashMap::new(),
            sources: HashMap::new(),
            uploaders: HashMap::new(),
            members: HashMap::new(),
        };
        let mut seen = 0_u64;
        each_line(path, &mut |object, relation, subject| {
            let add = |of: &mut HashMap<String, Vec<String>>, from: &str, to: &str| {
                of.entry(from.to_owned()).or_default().push(to.to_owned());
            };
            match (relation, subject.split_once(':')) {
                ("package", Some((_, package))) => add(&mut tree.packages, object, package),
                ("source", Some((_, source))) => {
                    add(&mut tree.sources, object.trim_start_matches("package:"), source);
                }
                ("maintainer" | "uploader", _) => {
                    add(&mut tree.uploaders, object.trim_start_matches("source:"), subject);
                }
                ("member", Some((_, person))) => {
                    add(&mut tree.members, object.trim_start_matches("team:"), person);
                }
                ("parent", _) => {
                    // The file is shuffled: any of its lines are a sample.
                    seen += 1;
                    if let Some(file) = object.strip_prefix("file:")
                        && seen.is_multiple_of(7)
                        && tree.files.len() < files
                    {
                        tree.files.push(file.to_owned());
                    }
                }
                _ => {}
            }
        })?;
        Ok(tree)
    }

    /// Everybody who owns a file: who can upload a package of the file, or of a folder above it.
    pub(crate) fn owners(&self, file: &str) -> Vec<String> {
        let mut owners = BTreeSet::new();
        let mut add = |place: &str| {
            for package in self.packages.get(place).into_iter().flatten() {
                for source in self.sources.get(package).into_iter().flatten() {
                    for uploader in self.uploaders.get(source).into_iter().flatten() {
                        if let Some(person) = uploader.strip_prefix("person:") {
                            owners.insert(person.to_owned());
                        } else if let Some(team) = uploader.strip_prefix("team:") {
                            let team = team.trim_end_matches("#member");
                            owners.extend(self.members.get(team).into_iter().flatten().cloned());
                        }
                    }
                }
            }
        };
        add(&format!("file:{file}"));
        let mut path = file;
        while let Some((above, _)) = path.rsplit_once('/') {
            if above.is_empty() {
                break;
            }
            add(&format!("dir:{above}"));
            path = above;
        }
        add("dir:/");
        owners.into_iter().collect()
    }

    /// Everybody, in a fixed order.
    pub(crate) fn people(&self) -> Vec<String> {
        let direct = self.uploaders.values().flatten().filter_map(|it| it.strip_prefix("person:"));
        let all: BTreeSet<&str> = direct.chain(self.members.values().flatten().map(String::as_str)).collect();
        all.into_iter().map(str::to_owned).collect()
    }
}

fn needs_debian(row: &'static str) -> Vec<Line> {
    vec![Line::absent(row, "Debian's tree", "needs --debian FILE (or tools/bench --fetch-debian)")]
}

/// The row `import`: the bench of that name.
pub(crate) fn import(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "import";
    let mut command = Command::new(bench.repository.join("tools/cargo"));
    command.current_dir(&bench.repository).args(["bench", "--quiet", "--bench", "import", "--"]);
    let (what, is_real) = match (&bench.debian, bench.is_quick) {
        (Some(path), false) => {
            command.arg(std::path::absolute(path)?).args(["--schema", "schema/debian-tree.fga"]);
            ("Debian's tree", true)
        }
        _ => {
            command.args(["--tuples", &bench.tuples(1_000_000).to_string()]);
            ("a generated tree", false)
        }
    };
    command.args(["--rounds", &bench.rounds.min(3).to_string(), "--directory"]);
    command.arg(std::path::absolute(&bench.data)?);
    let text = run(&mut command)?;
    let found = text.lines().find_map(|line| line.strip_prefix("RATIO import by files: "));
    let ratio = found.and_then(|rest| rest.split(' ').next()).and_then(|text| text.parse::<f64>().ok());
    let ratio = ratio.with_context(|| format!("benches/import.rs printed no ratio: {text}"))?;
    // `round 1: N tuples; import S s, RATE/s; raw writer S s, RATE/s; ratio R`, the median of them.
    let rates = |name: &str| -> Vec<f64> {
        let of_line =
            |line: &str| line.split_once(name)?.1.split_once("/s")?.0.rsplit(' ').next()?.parse().ok();
        text.lines().filter(|line| line.starts_with("round ")).filter_map(of_line).collect()
    };
    let middle = |name: &str| crate::report::median(rates(name));
    let mut line = Line::new(ROW, format!("import by files, {what}"), middle("; import "), "tuples/s")
        .against("the same rows written by RocksDB's file writer", middle("; raw writer "), ratio)
        .budget(budgets::IMPORT)
        .not_judged((!is_real).then(|| "not judged: not Debian's tree".to_owned()));
    for round in text.lines().filter(|line| line.starts_with("round ")) {
        line = line.note(round);
    }
    Ok(vec![line])
}

/// The row `bytes`.
pub(crate) fn bytes(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "bytes";
    let Some(path) = &bench.debian else { return Ok(needs_debian(ROW)) };
    let set = bench.data_set_of_file("debian-tree", &tree_schema(bench)?, path)?;
    let copy = bench.copy(&set)?;
    let data = copy.path().join("data");
    let stats = bench.stonetown(&["store", "stats", "--data", &data.to_string_lossy()])?;
    let bytes_of = |family: &str| stats["families"][family]["file_bytes"].as_u64().unwrap_or(0);
    let families = stats["families"].as_object().context("`store stats` printed no families")?;
    let all: u64 = families.values().filter_map(|family| family["file_bytes"].as_u64()).sum();
    let tuples: u64 =
        stats["tuples"].as_object().into_iter().flatten().filter_map(|(_, it)| it.as_u64()).sum();
    let each = |bytes: u64| bytes as f64 / tuples.max(1) as f64;
    let smaller = || bench.smaller(tuples, TUPLES);
    let current = bytes_of("tuples") + bytes_of("by_subject");
    let shown: Vec<String> = families
        .iter()
        .filter_map(|(name, family)| Some((name, family["file_bytes"].as_u64()?)))
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(name, bytes)| format!("{name} {:.2}", each(bytes)))
        .collect();
    Ok(vec![
        Line::new(ROW, format!("all families, {tuples} tuples, compacted"), each(all), "bytes")
            .budget(budgets::BYTES_ALL)
            .not_judged(smaller())
            .note(format!("a tuple: {}", shown.join(", ")))
            .detail("families", stats["families"].clone()),
        Line::new(ROW, "the two current indexes alone", each(current), "bytes")
            .budget(budgets::BYTES_CURRENT)
            .not_judged(smaller()),
    ])
}

/// The row `memory`.
pub(crate) fn memory(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "memory";
    let Some(path) = &bench.debian else { return Ok(needs_debian(ROW)) };
    let set = bench.data_set_of_file("debian-tree", &tree_schema(bench)?, path)?;
    // The shipped default.
    let default_mib = stonetown::engine::Settings::default().database.block_cache_bytes >> 20;
    let serving = bench.serve_with(Some(&set), &["--cache-mib", &default_mib.to_string()], &[])?;
    let before = serving.server.resident_bytes().context("the memory of a process cannot be read here")?;
    let smallest = bench.serve_with(Some(&set), &["--cache-mib", "1"], &[])?;
    let without = smallest.server.resident_bytes().context("the memory of a process cannot be read here")?;
    drop(smallest);
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let url = format!("{}{}", serving.server.url, serving.path("check"));
    let key = json!({ "user": "person:nobody", "relation": "owner", "object": "file:/bin/getfacl" });
    let _: Value = crate::bench::post(&url, &json!({ "tuple_key": key }))?;
    let after = serving.server.resident_bytes().unwrap_or(0);
    Ok(vec![
        Line::new(
            ROW,
            format!("resident memory after opening {} tuples", set.tuples),
            megabytes(before),
            "MB",
        )
        .budget(budgets::MEMORY)
        .not_judged(bench.smaller(set.tuples, TUPLES))
        .note("the block cache in use is not told by the server, and not subtracted: an upper bound")
        .note(format!("with a block cache of 1 MiB: {:.1} MB", megabytes(without)))
        .note(format!("after the first check: {:.1} MB", megabytes(after))),
    ])
}
