//! The commands: bad lines, round trips, a server, a migration.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::Served;

const SCHEMA: &str = "\
model
  schema 1.1
type user
type group
  relations
    define member: [user, user:*, group#member]
type doc
  relations
    define parent: [doc]
    define viewer: [user, user with soon, group#member] or viewer from parent
condition soon(level: int) {
  level < 10
}
";

/// A place with a data directory, or beside a server.
struct Place {
    dir: TempDir,
    at: (&'static str, String),
}

impl Place {
    /// A new data directory with a store.
    fn local() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data").to_string_lossy().into_owned();
        Place { dir, at: ("--data", data) }.with_store()
    }

    /// A new store on a server.
    fn on(served: &Served) -> Place {
        Place { dir: tempfile::tempdir().unwrap(), at: ("--url", served.url.clone()) }.with_store()
    }

    fn with_store(self) -> Place {
        fs::write(self.file("schema.fga"), SCHEMA).unwrap();
        self.ok(&["store", "create", "--name", "bulk"]);
        self.ok(&["schema", "write", &self.file("schema.fga").to_string_lossy()]);
        self
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.file(name), contents).unwrap();
        self.file(name).to_string_lossy().into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stonetown"));
        command.args(arguments).args([self.at.0, &self.at.1]);
        command.env_remove("STONETOWN_DATA").env_remove("STONETOWN_URL").env_remove("STONETOWN_STORE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn export(&self, format: &str) -> Vec<u8> {
        let output = self.run(&["export", "--export-format", format]);
        assert!(output.status.success(), "{}", told(&output));
        output.stdout
    }

    fn count(&self) -> usize {
        self.export("text").iter().filter(|&&byte| byte == b'\n').count()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Tuples of every shape, in no order.
const TUPLES: [&str; 9] = [
    "doc:zwei#viewer@user:anne",
    "doc:1#viewer@user:ben with soon {\"level\":3} until 2100-01-01T00:00:00.000001Z",
    "doc:1#viewer@group:eng#member",
    "group:eng#member@user:*",
    "group:eng#member@group:all#member",
    "doc:1#parent@doc:zwei until 2100-02-01T00:00:00Z",
    "doc:a,b;\"c\"#viewer@user:d'e@f",
    "doc:ünïcode/日本#viewer@user:名前",
    "doc:{x}#viewer@user:-",
];

#[test]
fn what_is_exported_comes_back_and_is_exported_the_same() {
    let place = Place::local();
    let input = place.write("in.txt", TUPLES.join("\n"));
    place.ok(&["import", &input]);
    let all = String::from_utf8(place.export("text")).unwrap();
    assert_eq!(all.lines().collect::<BTreeSet<_>>(), TUPLES.into_iter().collect::<BTreeSet<_>>());
    for name in ["out.txt", "out.csv", "out.jsonl", "out.json", "out.yaml", "out.csv.gz", "out.jsonl.zst"] {
        let file = place.file(name).to_string_lossy().into_owned();
        place.ok(&["export", "--output", &file]);
        assert!(!place.file(&format!("{name}.partial")).exists());
        for way in ["files", "live"] {
            let other = Place::local();
            other.ok(&["import", &file, "--way", way]);
            assert_eq!(String::from_utf8(other.export("text")).unwrap(), all, "{name}, {way}");
            let again = other.file(name).to_string_lossy().into_owned();
            other.ok(&["export", "--output", &again]);
            assert!(fs::read(&file).unwrap() == fs::read(&again).unwrap(), "{name}, {way}");
        }
    }
}

#[test]
fn an_export_is_of_one_state_and_filtered() {
    let place = Place::local();
    let input = place.write("in.txt", TUPLES.join("\n"));
    let token = place.ok(&["--format", "json", "import", &input]);
    let token: Value = serde_json::from_str(&token).unwrap();
    place.ok(&["delete", "--all"]);
    assert_eq!(place.count(), 0);
    let output = place.run(&["export", "--at", token["token"].as_str().unwrap(), "--export-format", "text"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), TUPLES.len());
    let at = ["--at", token["token"].as_str().unwrap(), "--export-format", "text"];
    let of_group = place.ok(&[&["export", "group:"], &at[..]].concat());
    assert_eq!(of_group, "group:eng#member@user:*\ngroup:eng#member@group:all#member\n");
    let naming = place.ok(&[&["export", "@group:eng#"], &at[..]].concat());
    assert_eq!(naming, "doc:1#viewer@group:eng#member\n");
}

/// Lines that cannot be taken, each of another kind.
const BAD: [&[u8]; 10] = [
    b"doc:x,viewer",
    b"doc,viewer,user:anne,,,",
    b"doc:x,,user:anne,,,",
    b"doc:x,viewer,anne,,,",
    b"page:x,viewer,user:anne,,,",
    b"doc:x,editor,user:anne,,,",
    b"doc:x,viewer,doc:y,,,",
    b"doc:x,viewer,user:anne,soon,{\"level\":\"many\"},",
    b"doc:x,viewer,user:anne,,,tomorrow",
    b"doc:\xff,viewer,user:anne,,,",
];

#[test]
fn bad_lines_are_reported_by_number_and_reason_and_good_ones_go_in() {
    let setting =
        |name: &str, usual: usize| std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(usual);
    let (good, bad) = (setting("STONETOWN_LINES", 20_000), setting("STONETOWN_BAD_LINES", 200));
    let place = Place::local();
    let mut file = std::io::BufWriter::new(fs::File::create(place.file("in.csv")).unwrap());
    writeln!(file, "object,relation,subject,condition,context,expires_at").unwrap();
    let mut planted = BTreeSet::new();
    let mut line = 1;
    for n in 0..good {
        line += 1;
        writeln!(file, "doc:{n},viewer,user:person-{},,,", n % 971).unwrap();
        if n % (good / bad) == 0 && planted.len() < bad {
            line += 1;
            file.write_all(BAD[planted.len() % BAD.len()]).unwrap();
            writeln!(file).unwrap();
            planted.insert(line);
        }
    }
    file.flush().unwrap();
    drop(file);
    let input = place.file("in.csv").to_string_lossy().into_owned();
    let report = place.file("bad.jsonl").to_string_lossy().into_owned();
    for way in ["files", "live"] {
        // The first ends it: nothing is changed.
        let stopped = place.run(&["import", &input, "--way", way, "--part", "10000"]);
        assert_eq!(stopped.status.code(), Some(1), "{}", told(&stopped));
        assert!(told(&stopped).contains("in.csv: line 3: "), "{}", told(&stopped));
        assert_eq!(place.count(), 0);
        let trial = place.ok(&["import", &input, "--way", way, "--on-error", "skip", "--dry-run"]);
        assert!(trial.starts_with(&format!("{good} tuples would be written, {bad} bad lines")), "{trial}");
        assert_eq!(place.count(), 0);
        let _ = fs::remove_file(&report);
        let done = place.run(&["import", &input, "--way", way, "--on-error", "report", &report]);
        assert!(done.status.success(), "{}", told(&done));
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.starts_with(&format!("{good} tuples written, {bad} bad lines")), "{said}");
        let mut found = BTreeSet::new();
        let mut reasons = BTreeSet::new();
        for entry in fs::read_to_string(&report).unwrap().lines() {
            let entry: Value = serde_json::from_str(entry).unwrap();
            assert_eq!(entry["file"], json!(input));
            assert!(found.insert(entry["line"].as_u64().unwrap()), "{entry}");
            reasons.insert(entry["reason"].as_str().unwrap().to_owned());
        }
        assert_eq!(found, planted, "{way}");
        assert!(reasons.len() >= BAD.len(), "{reasons:?}");
        assert_eq!(place.count(), good, "{way}");
        place.ok(&["delete", "--all"]);
    }
}

#[test]
fn duplicates_are_bad_lines_left_or_replaced() {
    let place = Place::local();
    let input =
        place.write("in.txt", "doc:1#viewer@user:anne\ndoc:2#viewer@user:anne\ndoc:1#viewer@user:anne\n");
    let output = place.run(&["import", &input, "--way", "files", "--on-error", "skip"]);
    assert!(
        told(&output).contains("line 3: `doc:1#viewer@user:anne` is in the input before: line 1"),
        "{}",
        told(&output)
    );
    assert!(
        place
            .ok(&["import", &input, "--on-duplicate", "ignore"])
            .starts_with("0 tuples written, 3 there already")
    );
    let other = place.write("other.txt", "doc:1#viewer@user:anne with soon {\"level\":1}\n");
    let output = place.run(&["import", &other, "--way", "files", "--on-duplicate", "ignore"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("is stored with another condition or expiry"), "{}", told(&output));
    let done = place.ok(&["import", &other, "--way", "files", "--on-duplicate", "replace"]);
    assert!(done.starts_with("0 tuples written, 1 replaced"), "{done}");
    place.ok(&["validate"]);
}

#[test]
fn deletions_by_filter_and_by_object() {
    let place = Place::local();
    let input = place.write("in.txt", TUPLES.join("\n"));
    place.ok(&["import", &input]);
    assert!(place.ok(&["delete", "doc:1", "--dry-run"]).starts_with("3 tuples would be deleted"));
    assert!(place.ok(&["delete", "--object", "group:eng"]).starts_with("3 tuples deleted"));
    assert_eq!(place.count(), TUPLES.len() - 3);
    assert_eq!(place.run(&["delete", ""]).status.code(), Some(2));
    assert!(place.ok(&["delete", "--all", "--step", "2"]).starts_with("6 tuples deleted"));
    assert_eq!(place.count(), 0);
    let changes = place.ok(&["changes"]);
    assert_eq!(changes.lines().filter(|line| line.contains("deleted")).count(), TUPLES.len(), "{changes}");
}

#[test]
fn a_server_imports_and_exports_the_same() {
    let served = Served::start();
    let place = Place::on(&served);
    let input = place.write("in.txt", TUPLES.join("\n"));
    let local = Place::local();
    local.ok(&["import", &input]);
    for way in ["live", "files"] {
        place.ok(&["import", &input, "--way", way]);
        for format in ["text", "csv", "jsonl", "json", "yaml"] {
            assert_eq!(place.export(format), local.export(format), "{way}, {format}");
        }
        let clash = place.run(&["import", &input, "--way", way, "--on-error", "skip"]);
        assert!(
            told(&clash).contains("in.txt: line 1: `doc:zwei#viewer@user:anne` is stored already"),
            "{}",
            told(&clash)
        );
        place.ok(&["delete", "--all"]);
    }
}

/// Some requests of one import, as a client without our command line makes them.
#[test]
fn a_named_stream_goes_on_in_further_requests() {
    let served = Served::start();
    let place = Place::on(&served);
    let store = place.ok(&["store", "list"]).split_whitespace().next().unwrap().to_owned();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("{}/stores/{store}/import", served.url);
    let lines = |from: u64, to: u64| -> String {
        (from..to)
            .map(|n| {
                format!("{}\n", json!({"object": format!("doc:{n}"), "relation": "viewer", "user": "user:a"}))
            })
            .collect()
    };
    for way in ["live", "files"] {
        let send = |query: &str, body: String| {
            let url = format!("{url}?import=nightly&way={way}{query}");
            let mut answer = agent.post(&url).send(&*body).unwrap();
            let text = answer.body_mut().read_to_string().unwrap();
            (answer.status().as_u16(), text)
        };
        let position = || -> Value {
            let mut answer = agent.get(format!("{url}?import=nightly&way={way}")).call().unwrap();
            serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
        };
        assert_eq!(position(), json!({ "line": 0, "begun": false }));
        let (status, said) = send("&more=true", lines(0, 3_000));
        assert!(status == 200 && said.contains("\"more\""), "{said}");
        assert_eq!(position()["line"], 3_000);
        let (status, said) = send("&more=true", lines(0, 10));
        assert!(status == 409 && said.contains("from=3000"), "{said}");
        let (status, said) = send("&from=3000", lines(3_000, 5_000));
        assert!(status == 200 && said.contains("\"done\""), "{said}");
        assert_eq!(place.count(), 5_000, "{way}");
        assert_eq!(position(), json!({ "line": 0, "begun": false }));
        place.ok(&["delete", "--all"]);
    }
    // A body far larger than what other requests may have, ended by its first line: the answer comes all the same.
    let body = format!("{{\"object\":\"doc:1\"}}\n{}", lines(0, 200_000));
    let mut answer = agent.post(&url).send(&*body).unwrap();
    let said = answer.body_mut().read_to_string().unwrap();
    assert!(said.contains("\"ended\""), "{said}");
}

#[test]
fn a_live_store_is_copied_and_followed() {
    let served = Served::start();
    let source = Place::on(&served);
    let input = source
        .write("in.txt", ["doc:old#viewer@user:anne", TUPLES[0], TUPLES[2], TUPLES[3], TUPLES[4]].join("\n"));
    source.ok(&["import", &input]);
    // A later schema, which lets fewer in.
    let later = source.write("later.fga", SCHEMA.replace("user, user:*, group#member", "user, user:*"));
    source.ok(&["schema", "write", &later]);
    let target = Place { dir: tempfile::tempdir().unwrap(), at: ("--data", String::new()) };
    let data = target.file("data").to_string_lossy().into_owned();
    let target = Place { at: ("--data", data), ..target };
    target.ok(&["store", "create", "--name", "copy"]);
    let done = target.ok(&["import", "--from-openfga", &served.url]);
    assert!(done.starts_with("2 schemas, 5 tuples, 0 assertions copied"), "{done}");
    assert!(done.contains("tuples: 5 there, 5 here, 0 "), "{done}");
    assert_eq!(target.export("text"), source.export("text"));
    // Once more, followed: what changes there changes here.
    let mut following = target
        .command(&["import", "--from-openfga", &served.url, "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    source.ok(&["write", "doc:new#viewer@user:zoe", "--delete", "doc:old#viewer@user:anne"]);
    // A schema that is written meanwhile was not copied once, nor the tuples that it alone lets in.
    let meanwhile = SCHEMA.replace("type doc", "type note\n  relations\n    define reader: [user]\ntype doc");
    let meanwhile = source.write("meanwhile.fga", meanwhile);
    source.ok(&["schema", "write", &meanwhile]);
    source.ok(&["write", "note:1#reader@user:zoe"]);
    std::thread::sleep(Duration::from_millis(1_500));
    let kill = format!("kill -INT {}", following.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = following.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
    assert_eq!(target.export("text"), source.export("text"));
    assert_eq!(target.ok(&["schema", "list"]).lines().count(), 3, "schemas are copied once");
    check_exists(Path::new(&target.at.1));
}

fn check_exists(data: &Path) {
    assert!(data.join("stonetown.format").exists());
}
