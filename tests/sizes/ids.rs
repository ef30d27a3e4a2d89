use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::scripts::SCRIPTS;
use crate::support::Served;
use crate::support::client::Client;

const SCHEMA: &str = "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user, doc#viewer]
    define reader: viewer
";

/// Ids that somebody might change on the way: one of each script, and what is not seen, is seen otherwise, or is the same to
/// the eye.
fn ids() -> Vec<String> {
    let mut ids: Vec<String> = SCRIPTS.iter().map(|(_, c)| c.to_string()).collect();
    // As a word, and with others around.
    ids.extend(SCRIPTS.iter().map(|(_, c)| format!("{c}{c}a{c}1-{c}")));
    let all: String = SCRIPTS.iter().map(|(_, c)| *c).collect();
    let chars: Vec<char> = all.chars().collect();
    ids.extend(chars.chunks(60).map(|part| part.iter().collect()));
    ids.extend(
        [
            // The ends of planes and of lengths in UTF-8; private and unassigned ones.
            "\u{7e}",
            "\u{a1}",
            "\u{7ff}",
            "\u{800}",
            "\u{d7ff}",
            "\u{e000}",
            "\u{fffd}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{10000}",
            "\u{1fffe}",
            "\u{1ffff}",
            "\u{2fa1d}",
            "\u{e0001}",
            "\u{e01ef}",
            "\u{f0000}",
            "\u{10fffd}",
            "\u{10ffff}",
            "a\u{10ffff}b",
            // The same to the eye.
            "\u{e9}",
            "e\u{301}",
            "\u{1e69}",
            "s\u{323}\u{307}",
            "s\u{307}\u{323}",
            "\u{212b}",
            "\u{c5}",
            "A\u{30a}",
            "\u{ac00}",
            "\u{1100}\u{1161}",
            "\u{fb01}",
            "fi",
            "\u{2126}",
            "\u{3a9}",
            "\u{212a}",
            "K",
            "\u{130}",
            "i\u{307}",
            "\u{df}",
            "ss",
            "SS",
            "\u{1e9e}",
            "\u{ff21}",
            "A",
            "\u{391}",
            "\u{410}",
            // Not seen, or changing how the rest is seen.
            "\u{ad}",
            "\u{200b}",
            "\u{200c}",
            "\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "a\u{feff}",
            "\u{feff}a",
            "\u{200e}a",
            "\u{200f}a",
            "\u{202a}a",
            "\u{202e}a",
            "a\u{202e}b\u{202c}",
            "\u{2066}a\u{2069}",
            "a\u{34f}b",
            "\u{180e}",
            "\u{3164}",
            "\u{fe0f}a",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f1fa}\u{1f1f3}",
            "\u{2764}\u{fe0f}",
            "\u{2764}",
            // Combining marks alone, first, and many of them.
            "\u{301}",
            "\u{301}a",
            "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
            "\u{20dd}",
            // Spaces that are none to the rule, and ends of lines to some: inside, first and last.
            "a\u{a0}b",
            "\u{a0}a",
            "a\u{a0}",
            "\u{2003}a\u{2003}",
            "\u{3000}",
            "a\u{2028}b",
            "a\u{2029}b",
            "\u{2028}",
            "a\u{1680}",
            "\u{205f}a",
            "\u{202f}a",
            // What some format of files has a use for.
            "\"",
            "'",
            "''",
            "\"\"",
            "a\"b\"c",
            "a,b",
            ",",
            ",,",
            "a;b",
            "\\",
            "\\\\",
            "\\n",
            "\\u0041",
            "-",
            "--",
            "- a",
            "[a]",
            "{a}",
            "{{a}}",
            "&a",
            "*a",
            "a*",
            "**",
            "!a",
            "!!str",
            "|",
            ">",
            "%",
            "%41",
            "`",
            "~",
            "null",
            "true",
            "false",
            "yes",
            "no",
            "0",
            "00",
            "0x1F",
            "1e3",
            "1.0",
            ".5",
            "+1",
            "-1",
            "1_000",
            "2001-01-01",
            "12-30",
            "NaN",
            ".inf",
            "=1+1",
            "+cmd|x",
            "@",
            "@a",
            "a@",
            "a@b",
            "//",
            "//a",
            "/",
            "..",
            ".",
            "a/../b",
            "a?b=c&d",
            "<a>",
            "&lt;",
            "$a",
            "${a}",
            "(a)",
            "a..b",
            "...",
            "self",
            "until",
            "with",
            "doc",
            "user",
        ]
        .map(str::to_owned),
    );
    let mut seen = BTreeSet::new();
    // `- a` and the like have a space, which no id has.
    ids.retain(|id| !id.contains(' ') && seen.insert(id.clone()));
    ids
}

/// Each id as an object, as a subject, and as an object in a userset.
fn tuples(ids: &[String]) -> BTreeSet<(String, String)> {
    let mut tuples = BTreeSet::new();
    for (number, id) in ids.iter().enumerate() {
        let next = &ids[(number + 1) % ids.len()];
        tuples.insert((format!("doc:{id}"), format!("user:{next}")));
        // As in OpenFGA, a userset is of no object with a star in its id.
        if !id.contains('*') {
            tuples.insert((format!("doc:u-{number}"), format!("doc:{id}#viewer")));
        }
    }
    tuples
}

fn key_of(tuple: &(String, String)) -> Value {
    json!({ "object": tuple.0, "relation": "viewer", "user": tuple.1 })
}

fn read_all(client: &Client) -> BTreeSet<(String, String)> {
    let (mut tuples, mut token) = (BTreeSet::new(), String::new());
    loop {
        let page = client.post("read", &json!({ "page_size": 100, "continuation_token": token })).granted();
        for tuple in page.body["tuples"].as_array().unwrap() {
            let text = |field: &str| tuple["key"][field].as_str().unwrap().to_owned();
            assert!(tuples.insert((text("object"), text("user"))), "twice: {tuple}");
        }
        token = page.body["continuation_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            return tuples;
        }
    }
}

fn filled(server: &Served, tuples: &BTreeSet<(String, String)>) -> Client {
    let client = Client::new(&server.url, SCHEMA);
    let keys: Vec<Value> = tuples.iter().map(key_of).collect();
    for part in keys.chunks(100) {
        client.write_keys(part.to_vec()).granted();
    }
    client
}

#[test]
fn ids_of_every_script_are_what_they_were_in_every_answer() -> Result<()> {
    let ids = ids();
    println!("{} ids of {} scripts", ids.len(), SCRIPTS.len());
    let tuples = tuples(&ids);
    let server = Served::start();
    let client = filled(&server, &tuples);
    ensure!(read_all(&client) == tuples);
    let by_user: BTreeMap<&str, &str> = tuples
        .iter()
        .filter(|(_, user)| user.starts_with("user:"))
        .map(|(doc, user)| (&**user, &**doc))
        .collect();
    ensure!(by_user.len() == ids.len());
    let mut checks = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        let (doc, user) = (format!("doc:{id}"), format!("user:{}", ids[(number + 1) % ids.len()]));
        let indirect = format!("doc:u-{number}");
        // Exactly these, so whatever is taken for something else is found twice or not at all.
        let objects = client.objects("doc", "reader", &user);
        let mut expected = vec![doc.clone()];
        if !id.contains('*') {
            expected.push(indirect.clone());
        }
        expected.sort();
        ensure!(objects == expected, "{user:?}: {objects:?}");
        for object in &expected {
            let users = client.users(object, "reader", "user");
            ensure!(users == [user.clone()], "{object:?}: {users:?}");
        }
        let expanded =
            client.post("expand", &json!({ "tuple_key": { "object": doc, "relation": "viewer" } }));
        ensure!(expanded.granted().body["tree"]["root"]["leaf"]["users"]["users"] == json!([user]));
        for (object, user, is_allowed) in [
            (&doc, &user, true),
            (&indirect, &user, !id.contains('*')),
            (&doc, &format!("user:{}", ids[(number + 2) % ids.len()]), false),
        ] {
            let key = json!({ "object": object, "relation": "reader", "user": user });
            checks.push((key, is_allowed));
        }
    }
    for part in checks.chunks(50) {
        let items: Vec<Value> = part
            .iter()
            .enumerate()
            .map(|(number, (key, _))| json!({ "tuple_key": key, "correlation_id": number.to_string() }))
            .collect();
        let answer = client.post("batch-check", &json!({ "checks": items })).granted();
        for (number, (key, is_allowed)) in part.iter().enumerate() {
            ensure!(answer.body["result"][number.to_string()]["allowed"] == *is_allowed, "{key}");
        }
    }
    let (mut changed, mut token) = (BTreeSet::new(), String::new());
    loop {
        let page = client.get(&format!("changes?page_size=100&continuation_token={token}")).granted();
        let changes = page.body["changes"].as_array().unwrap().clone();
        token = page.body["continuation_token"].as_str().unwrap().to_owned();
        if changes.is_empty() {
            break;
        }
        for change in changes {
            let text = |field: &str| change["tuple_key"][field].as_str().unwrap().to_owned();
            changed.insert((text("object"), text("user")));
        }
    }
    ensure!(changed == tuples, "the changes are others");
    // Each is deleted, and none beside it.
    let keys: Vec<Value> = tuples.iter().map(key_of).collect();
    let mut left = tuples.len();
    for part in keys.chunks(97) {
        client.post("write", &json!({ "deletes": { "tuple_keys": part } })).granted();
        left -= part.len();
        ensure!(read_all(&client).len() == left);
    }
    Ok(())
}

fn stonetown(arguments: &[&str]) -> Result<String> {
    let run = Command::new(env!("CARGO_BIN_EXE_stonetown")).args(arguments).output()?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    ensure!(run.status.success(), "{arguments:?}: {}", said.chars().take(2_000).collect::<String>());
    Ok(String::from_utf8(run.stdout)?)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn ids_of_every_script_survive_every_format_of_files() -> Result<()> {
    let everything = tuples(&ids());
    let server = Served::start();
    let all = filled(&server, &everything);
    // SpiceDB has ids of few characters only, which is told; those survive.
    let is_few = |id: &String| id.bytes().all(|c| c.is_ascii_alphanumeric() || b"/_|-=+".contains(&c));
    let some = tuples(&ids().into_iter().filter(is_few).collect::<Vec<_>>());
    let few = filled(&server, &some);
    let place = tempfile::tempdir()?;
    let of = ["export", "--export-format", "spicedb", "--url", &server.url, "--store", &all.store];
    let refused = Command::new(env!("CARGO_BIN_EXE_stonetown")).args(of).output()?;
    let told = String::from_utf8(refused.stderr)?;
    ensure!(!refused.status.success() && told.contains("cannot be written as spicedb"), "{told}");
    // From a server, and into one; from a data directory, and into one, either way.
    for format in ["csv", "jsonl", "json", "yaml", "text", "spicedb"] {
        let (client, tuples) = if format == "spicedb" { (&few, &some) } else { (&all, &everything) };
        let file = place.path().join(format!("tuples.{format}.file"));
        let export = ["export", "--export-format", format, "--output", text(&file)];
        stonetown(&[&export[..], &["--url", &server.url, "--store", &client.store]].concat())
            .with_context(|| format!("{format}: export"))?;
        let import = ["import", text(&file), "--input-format", format];
        let other = Client::new(&server.url, SCHEMA);
        stonetown(&[&import[..], &["--url", &server.url, "--store", &other.store]].concat())
            .with_context(|| format!("{format}: import"))?;
        let found = read_all(&other);
        ensure!(
            found == *tuples,
            "{format}: {:?}",
            found.symmetric_difference(tuples).take(5).collect::<Vec<_>>()
        );
        for way in ["files", "live"] {
            let data = place.path().join(format!("{format}-{way}"));
            let schema = place.path().join("schema.fga");
            std::fs::write(&schema, SCHEMA)?;
            let of = ["--data", text(&data)];
            stonetown(&[&["store", "create", "--name", "ids"][..], &of].concat())?;
            stonetown(&[&["schema", "write", text(&schema)][..], &of].concat())?;
            stonetown(&[&import[..], &["--way", way], &of].concat())
                .with_context(|| format!("{format} {way}"))?;
            let again = place.path().join("again");
            let export = ["export", "--export-format", format, "--output", text(&again)];
            stonetown(&[&export[..], &of].concat())?;
            ensure!(
                std::fs::read(&again)? == std::fs::read(&file)?,
                "{format} {way}: the export is another one"
            );
            stonetown(&[&["validate"][..], &of].concat())?;
        }
    }
    Ok(())
}

#[test]
fn what_no_id_can_hold_is_refused_by_name() -> Result<()> {
    let server = Served::start();
    let client = Client::new(&server.url, SCHEMA);
    let controls = (0..0x20_u32).chain(0x7f..0xa0).filter_map(char::from_u32);
    for c in controls.chain([' ', ':', '#']) {
        for id in [c.to_string(), format!("a{c}b"), format!("{c}b"), format!("a{c}")] {
            for (object, user) in
                [(format!("doc:{id}"), "user:anne".to_owned()), ("doc:1".to_owned(), format!("user:{id}"))]
            {
                // `user:a#b` reads as a userset, whose relation is none of the schema.
                let answer =
                    client.write_keys(vec![json!({ "object": object, "relation": "viewer", "user": user })]);
                ensure!(
                    answer.status == 400 && answer.body["code"].is_string(),
                    "{object:?} {user:?}: {answer:?}"
                );
            }
        }
    }
    ensure!(read_all(&client).is_empty());
    // A lone half of a pair is no character; as JSON has it, it is refused.
    let body =
        r#"{"writes":{"tuple_keys":[{"object":"doc:\ud800","relation":"viewer","user":"user:anne"}]}}"#;
    let path = format!("/stores/{}/write", client.store);
    ensure!(client.send_text("POST", &path, body.to_owned(), &[]).status == 400);
    Ok(())
}
