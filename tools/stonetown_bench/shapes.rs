//! Shapes of data that are hard: nested groups with cycles, wide relations, deep folders, Debian's tree.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::bench::{Bench, Serving, agent};
use crate::check::judge_allowed;
use crate::debian::{Tree, read_depends, tree_schema};
use crate::http::{self, Response};
use crate::load::{Questions, Verdict};
use crate::report::Line;

/// Connections that ask such questions: enough to keep two cores busy, and no queue.
const CONNECTIONS: usize = 8;
/// Questions of one sort.
const SAMPLE: usize = 2_000;
/// Questions whose work is asked for.
const WORK_SAMPLE: usize = 200;

/// Checks in texts: object, relation, subject, and the answer.
pub(crate) struct Sort {
    /// What they have in common.
    pub(crate) what: String,
    /// The questions.
    pub(crate) checks: Vec<(String, &'static str, String, bool)>,
}

struct Checks {
    path: String,
    bodies: Vec<(Vec<u8>, bool)>,
}

impl Questions for Checks {
    fn write(&self, number: u64, request: &mut Vec<u8>) {
        http::post(request, &self.path, &self.bodies[number as usize % self.bodies.len()].0);
    }

    fn judge(&self, number: u64, response: &Response<'_>) -> Verdict {
        if !response.is_success() {
            return Verdict::Failed;
        }
        judge_allowed(response.body, self.bodies[number as usize % self.bodies.len()].1)
    }
}

/// Measures one sort of questions: how many a second, and the work that they take.
pub(crate) fn measure(
    bench: &Bench,
    row: &'static str,
    serving: &Serving,
    sort: &Sort,
) -> anyhow::Result<Line> {
    if sort.checks.is_empty() {
        return Ok(Line::absent(row, sort.what.clone(), "the data have no such questions"));
    }
    let body = |(object, relation, subject, _): &(String, &str, String, bool)| json!({ "tuple_key": { "user": subject, "relation": relation, "object": object } });
    let bodies = sort.checks.iter().map(|check| (body(check).to_string().into_bytes(), check.3)).collect();
    let checks = Checks { path: serving.path("check"), bodies };
    let mut load = bench.load(&serving.server, Arc::new(checks));
    load.connections = CONNECTIONS;
    let work = work_of(serving, sort.checks.iter().take(WORK_SAMPLE).map(body))?;
    let warm = load.closed(bench.warm_up())?;
    let outcome = load.closed(bench.time())?;
    Ok(Line::new(row, sort.what.clone(), outcome.rate(), "checks/s")
        .errors_of(&warm)
        .errors_of(&outcome)
        .note(format!(
            "{CONNECTIONS} connections, {} questions; {}; a check: {}",
            sort.checks.len(),
            outcome.percentiles_shown(0),
            work.shown()
        ))
        .detail("latency", outcome.percentiles())
        .detail("work", json!({ "gets": work.gets, "scans": work.scans, "rows": work.rows })))
}

/// What a check takes, on average.
pub(crate) struct Work {
    gets: f64,
    scans: f64,
    rows: f64,
    is_told: bool,
}

impl Work {
    /// In words.
    pub(crate) fn shown(&self) -> String {
        if !self.is_told {
            return "its work is not told".to_owned();
        }
        format!("{:.1} gets, {:.1} scans, {:.1} rows", self.gets, self.scans, self.rows)
    }
}

/// Asks the bodies of checks one by one for their work.
pub(crate) fn work_of(serving: &Serving, bodies: impl Iterator<Item = Value>) -> anyhow::Result<Work> {
    let url = format!("{}{}", serving.server.url, serving.path("check"));
    let agent = agent();
    let (mut sums, mut count) = ([0_u64; 3], 0_u64);
    for body in bodies {
        let answer = agent.post(&url).header("Stonetown-Work", "1").send_json(body)?;
        let told = answer.headers().get("stonetown-work").and_then(|it| it.to_str().ok()).unwrap_or("");
        let numbers: Vec<u64> = told.split(' ').filter_map(|it| it.parse().ok()).collect();
        if let Ok(numbers) = <[u64; 3]>::try_from(numbers) {
            count += 1;
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
        }
    }
    let mean = |at: usize| sums[at] as f64 / count.max(1) as f64;
    Ok(Work { gets: mean(0), scans: mean(1), rows: mean(2), is_told: count > 0 })
}

fn measure_all(
    bench: &Bench,
    row: &'static str,
    serving: &Serving,
    sorts: &[Sort],
) -> anyhow::Result<Vec<Line>> {
    sorts.iter().map(|sort| measure(bench, row, serving, sort)).collect()
}

const GROUPS: &str = "model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member]
";

/// The row `groups`: a package is a group, whose members are those of all packages that it depends on.
pub(crate) fn groups(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "groups";
    let Some(path) = &bench.depends else {
        return Ok(vec![Line::absent(
            ROW,
            "nested groups",
            "needs --depends FILE (or tools/bench --fetch-debian)",
        )]);
    };
    let graph = read_depends(path)?;
    let set = bench.data_set(&format!("groups-{}", graph.edges), GROUPS, |out| {
        writeln!(out, "object,relation,subject")?;
        for (name, below) in graph.names.iter().zip(&graph.below) {
            writeln!(out, "group:{name},member,user:of-{name}")?;
            for &other in below {
                writeln!(out, "group:{name},member,group:{}#member", graph.names[other as usize])?;
            }
        }
        Ok(())
    })?;
    let mut random = StdRng::seed_from_u64(8);
    let question = |from: usize, to: usize, allowed| {
        (format!("group:{}", graph.names[from]), "member", format!("user:of-{}", graph.names[to]), allowed)
    };
    let mut sorts: Vec<Sort> = Vec::new();
    let mut by_depth: HashMap<u32, Vec<_>> = HashMap::new();
    let (mut no, mut sizes) = (Vec::new(), Vec::new());
    let (mut tries, mut deepest) = (0, 0);
    let wanted = bench.sized(SAMPLE as u64, 200) as usize;
    while tries < 60_000 && (no.len() < wanted || by_depth.get(&10).is_none_or(|it| it.len() < wanted)) {
        tries += 1;
        let from = random.random_range(0..graph.names.len());
        let depths = graph.depths(from);
        if depths.len() < 2 {
            continue;
        }
        for (&to, &depth) in &depths {
            deepest = deepest.max(depth);
            let of_depth = by_depth.entry(depth).or_default();
            // A few of each group, so that they are many groups.
            if (depth >= 10 || to % 61 == 0) && of_depth.len() < wanted {
                of_depth.push(question(from, to as usize, true));
            }
        }
        let other = random.random_range(0..graph.names.len());
        if !depths.contains_key(&(other as u32)) && no.len() < wanted {
            sizes.push(depths.len());
            no.push(question(from, other, false));
        }
    }
    let mut depths = vec![1, 5, 10];
    if !depths.contains(&deepest) {
        depths.push(deepest.min(20));
    }
    for depth in depths {
        let checks = by_depth.remove(&depth).unwrap_or_default();
        sorts.push(Sort {
            what: format!("nested groups, Debian's dependencies: yes at depth {depth}"),
            checks,
        });
    }
    let mean = sizes.iter().sum::<usize>() as f64 / sizes.len().max(1) as f64;
    sorts.push(Sort { what: format!("nested groups: no, {mean:.0} groups below on average"), checks: no });
    let serving = bench.serve(&set, &[])?;
    let mut lines = measure_all(bench, ROW, &serving, &sorts)?;
    if let Some(first) = lines.first_mut() {
        first.notes.push(format!(
            "{} groups, {} nestings, cycles as they are; the deepest that was found is {deepest} (the graph has no depth 20)",
            graph.names.len(),
            graph.edges
        ));
    }
    // The real graph is not as deep as 20; chains of groups with side branches are.
    lines.extend(chains(bench)?);
    Ok(lines)
}

/// Groups in chains of 21, each with ten more members and five empty groups beside the next.
fn chains(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const DEPTH: usize = 20;
    let chains = bench.sized(1_000, 100);
    let set = bench.data_set(&format!("chains-{chains}"), GROUPS, |out| {
        writeln!(out, "object,relation,subject")?;
        for chain in 0..chains {
            for level in 0..=DEPTH {
                for user in 0..10 {
                    writeln!(out, "group:{chain}-{level},member,user:{chain}-{level}-{user}")?;
                }
                for side in 0..5 {
                    writeln!(out, "group:{chain}-{level},member,group:{chain}-{level}-side-{side}#member")?;
                }
                // The last one leads back to the first.
                let next = (level + 1) % (DEPTH + 1);
                writeln!(out, "group:{chain}-{level},member,group:{chain}-{next}#member")?;
            }
        }
        Ok(())
    })?;
    let question = |subject: &dyn Fn(u64) -> String, allowed| {
        (0..chains).map(|chain| (format!("group:{chain}-0"), "member", subject(chain), allowed)).collect()
    };
    let sorts = [
        Sort {
            what: "groups in rings of 21 with branches: yes at depth 10".to_owned(),
            checks: question(&|chain| format!("user:{chain}-10-3"), true),
        },
        Sort {
            what: "groups in rings of 21 with branches: yes at depth 20".to_owned(),
            checks: question(&|chain| format!("user:{chain}-20-3"), true),
        },
        Sort {
            what: "groups in rings of 21 with branches: no".to_owned(),
            checks: question(&|chain| format!("user:{}-20-3", (chain + 1) % chains), false),
        },
    ];
    measure_all(bench, "groups", &bench.serve(&set, &[])?, &sorts)
}

const WIDE: &str = "model
  schema 1.1

type user

type group
  relations
    define member: [user]

type doc
  relations
    define viewer: [user, group#member]
";

/// The row `wide`.
pub(crate) fn wide(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "wide";
    let subjects = bench.sized(100_000, 10_000);
    let groups = bench.sized(10_000, 1_000);
    let set = bench.data_set(&format!("wide-{subjects}-{groups}"), WIDE, |out| {
        writeln!(out, "object,relation,subject")?;
        for user in 0..subjects {
            writeln!(out, "doc:direct,viewer,user:{user}")?;
        }
        for group in 0..groups {
            writeln!(out, "group:{group},member,user:busy")?;
            writeln!(out, "group:{group},member,user:other-{group}")?;
            writeln!(out, "doc:all,viewer,group:{group}#member")?;
            writeln!(out, "doc:of-{group},viewer,group:{group}#member")?;
            writeln!(out, "doc:closed-{group},viewer,group:closed#member")?;
        }
        writeln!(out, "group:closed,member,user:nobody-else")
    })?;
    let many = |check: &dyn Fn(u64) -> (String, String), allowed| {
        (0..SAMPLE as u64)
            .map(|at| check(at * 7_919))
            .map(|(object, subject)| (object, "viewer", subject, allowed))
            .collect::<Vec<_>>()
    };
    let sort = |what: String, checks| Sort { what, checks };
    let sorts = [
        sort(
            format!("one object, {subjects} direct subjects: yes"),
            many(&|at| ("doc:direct".to_owned(), format!("user:{}", at % subjects)), true),
        ),
        sort(
            format!("one object, {subjects} direct subjects: no"),
            many(&|at| ("doc:direct".to_owned(), format!("user:no-{at}")), false),
        ),
        sort(
            format!("one subject in {groups} groups, an object of one: yes"),
            many(&|at| (format!("doc:of-{}", at % groups), "user:busy".to_owned()), true),
        ),
        sort(
            format!("one subject in {groups} groups, an object of another: no"),
            many(&|at| (format!("doc:closed-{}", at % groups), "user:busy".to_owned()), false),
        ),
        sort(
            format!("one object of {groups} groups, a subject in all: yes"),
            many(&|_| ("doc:all".to_owned(), "user:busy".to_owned()), true),
        ),
        sort(
            format!("one object of {groups} groups, a subject in one: yes"),
            many(&|at| ("doc:all".to_owned(), format!("user:other-{}", at % groups)), true),
        ),
        sort(
            format!("one object of {groups} groups, a subject in none: no"),
            many(&|at| ("doc:all".to_owned(), format!("user:no-{at}")), false),
        ),
    ];
    measure_all(bench, ROW, &bench.serve(&set, &[])?, &sorts)
}

const FOLDERS: &str = "model
  schema 1.1

type user

type folder
  relations
    define parent: [folder]
    define viewer: [user] or viewer from parent
";

/// The row `folders`.
pub(crate) fn folders(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const DEPTH: u64 = 20;
    let chains = bench.sized(5_000, 500);
    let set = bench.data_set(&format!("folders-{chains}"), FOLDERS, |out| {
        writeln!(out, "object,relation,subject")?;
        for chain in 0..chains {
            for level in 0..=DEPTH {
                if level > 0 {
                    writeln!(out, "folder:{chain}/{level},parent,folder:{chain}/{}", level - 1)?;
                }
                for user in 0..3 {
                    writeln!(out, "folder:{chain}/{level},viewer,user:{chain}-{level}-{user}")?;
                }
            }
        }
        Ok(())
    })?;
    let all = |what: &str, level: u64, subject: &dyn Fn(u64) -> String, allowed| Sort {
        what: what.to_owned(),
        checks: (0..chains)
            .map(|chain| (format!("folder:{chain}/{level}"), "viewer", subject(chain), allowed))
            .collect(),
    };
    let sorts = [
        all("folders, viewer of the 10th folder above: yes", 10, &|chain| format!("user:{chain}-0-1"), true),
        all("folders, viewer of the 20th folder above: yes", 20, &|chain| format!("user:{chain}-0-1"), true),
        all(
            "folders, 20 above, a viewer of others: no",
            20,
            &|chain| format!("user:{}-0-1", chain + 1),
            false,
        ),
    ];
    measure_all(bench, "folders", &bench.serve(&set, &[])?, &sorts)
}

/// The row `tree`.
pub(crate) fn tree(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    const ROW: &str = "tree";
    let Some(path) = &bench.debian else {
        return Ok(vec![Line::absent(
            ROW,
            "Debian's tree",
            "needs --debian FILE (or tools/bench --fetch-debian)",
        )]);
    };
    let tree = Tree::read(path, SAMPLE * 4)?;
    let set = bench.data_set_of_file("debian-tree", &tree_schema(bench)?, path)?;
    let mut random = StdRng::seed_from_u64(9);
    let (mut yes, mut no) = (Vec::new(), Vec::new());
    let people = tree.people();
    for file in &tree.files {
        let owners = tree.owners(file);
        if !owners.is_empty() && yes.len() < SAMPLE {
            let owner = &owners[random.random_range(0..owners.len())];
            yes.push((format!("file:{file}"), "owner", format!("person:{owner}"), true));
        }
        let other = people.get(random.random_range(0..people.len().max(1))).context("there are no people")?;
        if !owners.contains(other) && no.len() < SAMPLE {
            no.push((format!("file:{file}"), "owner", format!("person:{other}"), false));
        }
    }
    let sorts = [
        Sort { what: "Debian's tree, who owns a file: yes".to_owned(), checks: yes },
        Sort { what: "Debian's tree, who owns a file: no".to_owned(), checks: no },
    ];
    let mut lines = measure_all(bench, ROW, &bench.serve(&set, &[])?, &sorts)?;
    if let Some(first) = lines.first_mut() {
        first.notes.push(format!("{} tuples; answers by the paths of files, without the engine", set.tuples));
    }
    Ok(lines)
}
