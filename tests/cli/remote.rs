use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};
use stonetown::engine::{Engine, Settings};

use super::program::{Place, SCHEMA, says, token};
use super::server::Server;

/// One of two places where the same is done.
struct Side {
    place: Place,
    server: Option<Server>,
    token: String,
    schema: String,
    time: String,
}

/// The same commands, once with a data directory and once with a server.
struct Both {
    format: &'static str,
    sides: [Side; 2],
}

impl Side {
    fn run(&mut self, line: &str, input: &str) -> (Option<i32>, String, String) {
        let at = self.server.as_ref().map_or(String::new(), |server| format!(" --url {}", server.url()));
        let line = line.replace("{token}", &self.token).replace("{schema}", &self.schema);
        let line = line.replace("{time}", &self.time);
        let (code, out, err) = self.place.run_with(&format!("{line}{at}"), input).all();
        let words = |text: &str| text.split(|c: char| !is_word(c)).map(str::to_owned).collect::<Vec<_>>();
        if let Some(token) = words(&out).into_iter().rev().find(|word| is_token(word)) {
            self.token = token;
        }
        if let Some(time) = words(&out).into_iter().rev().find(|word| is_time(word)) {
            self.time = time;
        }
        if line.starts_with("schema write") && self.schema.is_empty() {
            self.schema = words(&out).into_iter().find(|word| is_id(word)).unwrap_or_default();
        }
        (code, normal(&out), normal(&err))
    }
}

impl Both {
    fn empty(format: &'static str) -> Both {
        let (here, there) = (Place::empty(), Place::empty());
        // Only a server makes a data directory that has no store yet.
        for place in [&here, &there] {
            place.run("store create --name first").yes();
            place.run("store delete first").yes();
        }
        let server = Server::start(&there, "");
        let side = |place, server| Side {
            place,
            server,
            token: String::new(),
            schema: String::new(),
            time: String::new(),
        };
        Both { format, sides: [side(here, None), side(there, Some(server))] }
    }

    fn put(&self, name: &str, content: &str) {
        self.sides.iter().for_each(|side| side.place.put(name, content));
    }

    /// Asserts that both print, say and end alike, and gives exit code, output and messages.
    #[track_caller]
    fn run(&mut self, line: &str) -> (Option<i32>, String, String) {
        self.run_with(line, "")
    }

    #[track_caller]
    fn run_with(&mut self, line: &str, input: &str) -> (Option<i32>, String, String) {
        let format = self.format;
        let [here, there] = &mut self.sides;
        let line = format!("{line} --format {format}");
        let here = here.run(&line, input);
        assert_eq!(here, there.run(&line, input), "left: here, right: there: stonetown {line}");
        here
    }

    #[track_caller]
    fn ends(&mut self, line: &str, code: i32) -> String {
        let (found, out, err) = self.run(line);
        assert_eq!(found, Some(code), "stonetown {line}\n{out}{err}");
        format!("{out}{err}")
    }

    /// Asserts that both fail alike, with a message that has these parts.
    #[track_caller]
    fn fails(&mut self, line: &str, parts: &[&str]) {
        let said = self.ends(line, 3);
        says(&said, &[&["error: "], parts].concat());
    }

    fn schema(&mut self, text: &str) {
        assert_eq!(self.run_with("schema write -", text).0, Some(0));
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_:.".contains(c)
}

fn is_token(word: &str) -> bool {
    word.len() == 66 && word.starts_with("AQ")
}

fn is_id(word: &str) -> bool {
    word.len() == 26 && word.starts_with("01")
}

fn is_time(word: &str) -> bool {
    word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T'
}

/// With ids, tokens, times and URLs replaced by what they are.
fn normal(text: &str) -> String {
    let mut normal = String::new();
    for piece in text.split_inclusive(|c: char| !is_word(c)) {
        let word = piece.trim_end_matches(|c: char| !is_word(c));
        let rest = &piece[word.len()..];
        let name = match word {
            word if is_token(word) => "TOKEN",
            word if is_id(word) => "ID",
            word if is_time(word) => "TIME",
            word => word,
        };
        normal.push_str(name);
        normal.push_str(rest);
    }
    normal
}

#[test]
fn every_verb_prints_the_same_here_and_over_http() {
    for format in ["text", "json"] {
        let mut both = Both::empty(format);
        both.ends("store list", 0);
        both.ends("store create --name demo", 0);
        both.ends("store list", 0);
        both.ends("schema list", 0);
        both.schema(SCHEMA);
        both.ends("write org:a#owner@user:ann org:b#parent@org:a voice:v#org@org:b", 0);
        both.ends("write voice:v#granted@user:* voice:v#granted@org:a#admin voice:w#granted@user:bob", 0);
        both.ends("write 'org:a#admin@user:eve until 2999-01-01T00:00:00.5Z'", 0);
        both.ends("write org:a#admin@user:eve --on-duplicate replace", 0);
        both.ends("write org:a#admin@user:eve --on-duplicate ignore", 0);
        both.ends("write --delete org:a#admin@user:eve --require 'exists org:a#admin@user:eve'", 0);
        both.ends("write --delete org:a#admin@user:eve --on-missing ignore", 0);
        both.put("t.csv", "object,relation,subject\norg:c,owner,user:cy\norg:d,owner,user:cy\n");
        both.ends("write --file t.csv --require 'unchanged org:c since {token}'", 0);

        for line in ["", "voice:", "#granted", "@user:", "@user:*", "org:b#parent@org:a", "org:z", "@*"] {
            both.ends(&format!("read '{line}'"), 0);
        }
        both.ends("read --limit 2", 0);
        for (line, code) in [
            ("check org:b#overseer@user:ann", 0),
            ("check voice:v can_access user:zoe --stats", 0),
            ("check org:b#admin@user:ann --stats", 1),
            ("check org:c#admin@user:zoe --with org:c#owner@user:zoe", 0),
            ("check org:c#admin@user:zoe --with 'org:c#owner@user:zoe until 2001-01-01T00:00:00Z'", 1),
            ("check org:b#overseer@user:ann --at {token}", 0),
            ("check org:b#overseer@user:ann --schema {schema}", 0),
            ("check org:b#overseer@user:ann --store demo", 0),
            ("expand voice:v#can_access", 0),
            ("expand voice:v#can_access --depth 1", 0),
            ("expand voice:v can_access --depth 9 --at {token} --schema {schema}", 0),
            ("expand org:z#admin --depth 3", 0),
            ("changes", 0),
            ("changes --type org --limit 3", 0),
            ("changes --after {token}", 0),
            ("schema list", 0),
            ("schema show", 0),
            ("schema show --at {token}", 0),
            ("read --at {token}", 0),
            ("changes --limit 2", 0),
            ("read --at {time}", 0),
            ("check org:c#owner@user:cy --at {time}", 1),
            ("expand org:a#owner --at {time}", 0),
            ("schema show --at {time}", 0),
            ("schema show --schema {schema}", 0),
            ("validate", 0),
        ] {
            both.ends(line, code);
        }
        // What a file takes on disk differs with how often the directory was opened.
        for side in &mut both.sides {
            let (code, out, _) = side.run(&format!("store stats --format {format}"), "");
            assert_eq!(code, Some(0));
            says(
                &out,
                if format == "text" {
                    &["`demo`", "\nrevision 7 of TIME\nschema ID of 1\n", " 8  tuples"]
                } else {
                    &["by_subject", "\"revision\":7", "\"org#owner\":3"]
                },
            );
        }

        both.schema(&SCHEMA.replace("    define owner", "    define boss: [user]\n    define owner"));
        both.ends("write org:e#boss@user:x", 0);
        both.ends("read org:e", 0);
        both.ends("changes --limit 1 --after {token}", 0);
        both.ends("changes --type org", 0);
        both.ends("schema list", 0);
        both.ends("schema show", 0);
        both.ends("write org:z#admin@user:x --schema {schema}", 0);
        both.ends("check org:a#admin@user:ann --schema {schema}", 0);

        both.schema(
            "model\n  schema 1.1\ntype user\ntype org\n  relations\n    define owner: [user]\n    define admin: [user]\n    \
             define guest: [user with early, user:* with early]\ncondition early(hour: int, last: int) { hour < last }\n",
        );
        both.ends("write 'org:a#guest@user:gil with early {\"last\":12}' 'org:b#guest@user:* with early'", 0);
        both.ends("check org:a#guest@user:gil --context '{\"hour\": 9}'", 0);
        both.ends("check org:a#guest@user:gil --context '{\"hour\": 12, \"last\": 24}'", 1);
        both.ends("check org:a#guest@user:gil --context '{\"hour\": 9}' --period", 0);
        both.fails(
            "check org:a#guest@user:gil",
            &["condition `early`", "`org:a#guest@user:gil`", "parameters `hour` are missing"],
        );
        both.fails(
            "check org:b#guest@user:x --context '{\"hour\": \"noon\"}'",
            &["parameters `last` are missing"],
        );
        both.fails(
            "check org:a#guest@user:gil --context '{\"hour\": \"noon\"}'",
            &["parameter `hour` has to be of type int", "`noon` is not a number"],
        );
        both.fails("write org:c#guest@user:gil", &["only with a condition"]);
        both.fails("write 'org:c#guest@user:gil with late'", &["condition `late` is not allowed"]);
        both.fails(
            "write 'org:c#guest@user:gil with early {\"min\":1}'",
            &["`min` is not one of its parameters"],
        );
        both.ends("write --delete org:a#guest@user:gil --delete org:b#guest@user:*", 0);
        both.schema(&SCHEMA.replace("    define owner", "    define boss: [user]\n    define owner"));

        // The schema of now has a relation more, and the answer is older than it.
        both.ends("check org:a#admin@user:ann --period", 0);
        both.ends("check org:c#admin@user:zoe --period", 1);
        both.ends("write 'org:a#admin@user:eve until 2999-01-01T00:00:00Z'", 0);
        both.ends("check org:a#admin@user:eve --period", 0);
        both.ends("write --delete org:a#admin@user:eve", 0);
        both.ends("check org:a#admin@user:eve --period", 1);
        both.ends("check org:a#admin@user:eve --period --schema {schema}", 1);
        both.ends("store retention", 0);
        both.ends("store retention 90d", 0);
        both.ends("store retention", 0);
        both.ends("store collect", 0);
        both.ends("store purge user:bob", 0);
        both.ends("store purge user:bob --compact", 0);
        both.ends("changes", 0);
        both.ends("changes --type voice", 0);
        both.ends("read @user:bob", 0);
        both.fails("read --at {token}", &["cannot be told any longer", "purged"]);
        both.ends("check org:a#admin@user:ann --period", 0);
        both.ends("store retention 0s", 0);
        both.ends("store collect", 0);
        both.ends("store retention forever", 0);
        both.ends("check org:a#admin@user:ann --period", 0);
        both.ends("changes", 0);
        both.ends("validate", 0);
        both.fails("store collect --before 2999-01-01T00:00:00Z", &["lies in the future"]);

        both.ends("store create --name other", 0);
        both.ends("read --store other", 0);
        both.ends("changes --store other", 0);
        both.ends("store delete other", 0);
        both.ends("store delete demo", 0);
        both.ends("store list", 0);
    }
}

#[test]
fn every_failure_is_told_the_same_here_and_over_http() {
    const ABSENT: &str = "01KAMZ3S8T4N2Q6V9XB7CDEFGH";
    for format in ["text", "json"] {
        let mut both = Both::empty(format);
        both.fails("read", &["no store", "`stonetown store create`"]);
        both.ends("store create --name demo", 0);
        both.fails("check org:a#owner@user:x", &["has no schema"]);
        both.fails("write org:a#owner@user:x", &["nothing was written: ", "has no schema"]);
        both.fails("schema show", &["has no schema"]);
        both.schema(SCHEMA);
        both.ends("write org:a#owner@user:x", 0);

        for verb in [
            "read",
            "changes",
            "check org:a#owner@user:x",
            "expand org:a#owner",
            "store stats",
            "schema show",
            "schema list",
        ] {
            both.fails(&format!("{verb} --store {ABSENT}"), &["store `ID` does not exist"]);
            both.fails(&format!("{verb} --store nowhere"), &["no store with id or name `nowhere`"]);
        }
        both.fails(&format!("write org:a#owner@user:y --store {ABSENT}"), &["store `ID` does not exist"]);
        both.fails(&format!("store delete {ABSENT}"), &["store `ID` does not exist"]);
        for verb in
            ["check org:a#owner@user:x", "expand org:a#owner", "schema show", "write org:a#owner@user:y"]
        {
            both.fails(&format!("{verb} --schema {ABSENT}"), &["has no schema `ID`"]);
        }

        both.fails(
            "write org:a#boss@user:x",
            &["nothing was written: tuple `org:a#boss@user:x`: relation `boss`"],
        );
        both.fails("write org:a#ownr@user:x", &["did you mean `owner`?"]);
        both.fails("write org:a#owner@org:b", &["`org` is not allowed on `org#owner`, which takes `user`"]);
        both.fails("write 'org:a#owner@user:y with in_hours'", &["condition `in_hours` is not allowed"]);
        both.fails("write org:a#owner@user:x", &["exists already: leave it out"]);
        both.fails(
            "write 'org:a#owner@user:x until 2999-01-01T00:00:00Z' --on-duplicate ignore",
            &["another condition"],
        );
        both.fails("write --delete org:a#owner@user:z", &["`org:a#owner@user:z` does not exist"]);
        both.fails("write org:b#owner@user:x --delete org:b#owner@user:x", &["in the write twice"]);
        both.fails("write", &["nothing was written: the write is empty"]);
        both.fails(
            "write org:b#owner@user:x --require 'at-most 0 org:'",
            &["precondition `at-most 0 org:` does not hold: more than 0 match"],
        );
        both.fails(
            "write org:b#owner@user:x --require 'unchanged org: since noon'",
            &["`noon` is not a token"],
        );
        both.put("t.txt", "org:q#owner@user:x\n\norg:a#boss@user:x\n");
        both.fails("write --file t.txt", &["nothing was written: t.txt: line 3: tuple `org:a#boss@user:x`"]);
        both.put("bad.txt", "org:q\n");
        both.fails("write --file bad.txt", &["bad.txt: line 1: "]);

        both.fails("check club:a#boss@user:x", &["type `club` is not in the schema; there are"]);
        both.fails("check org:a#ownr@user:x", &["did you mean `owner`?"]);
        both.fails(
            "check org:a#owner@user:x --with org:a#boss@user:x",
            &["tuple `org:a#boss@user:x`: relation `boss`"],
        );
        both.fails("check org:a#owner@user:x --at 2999-01-01T00:00:00Z", &["lies in the future"]);
        both.fails("check org:a#owner@user:x --at 2001-01-01T00:00:00Z", &["has no schema"]);
        both.fails("expand org:a boss", &["relation `boss` is not defined on type `org`"]);
        both.fails("expand club:a boss --depth 4", &["type `club` is not in the schema"]);
        let forged = "A".repeat(66);
        for verb in ["check org:a#owner@user:x --at", "read --at", "schema show --at", "changes --after"] {
            both.fails(&format!("{verb} {forged}"), &["token"]);
        }
        both.fails("changes --after noon", &["`noon` is not a token"]);

        both.ends("read --at noon", 2);
        both.ends("read org", 2);
        both.ends("check org:a", 2);
        both.ends("write org:a", 2);
        both.run_with("schema write -", "model\n  schema 1.1\ntype user\ntype user\n");
        both.fails("schema write none.fga", &["cannot read `none.fga`"]);
        both.ends("store create --name demo", 0);
        both.fails("read", &["2 stores", "`--store`"]);
        both.fails("read --store demo", &["2 stores are named `demo`"]);
    }
}

#[test]
fn lists_longer_than_a_page_come_whole() {
    let mut both = Both::empty("text");
    both.ends("store create --name demo", 0);
    both.schema(SCHEMA);
    for write in 0..25 {
        let tuples: String =
            (0..95).map(|n| format!("org:{:04}#owner@user:{write}\n", write * 95 + n)).collect();
        let (code, ..) = both.run_with("write --file - --input-format text", &tuples);
        assert_eq!(code, Some(0));
    }
    let read = both.ends("read", 0);
    assert_eq!(read.lines().count(), 2_375);
    assert_eq!(both.ends("read @user:", 0).lines().count(), 2_375);
    assert_eq!(both.ends("read --limit 1001", 0).lines().count(), 1_001);
    assert_eq!(both.ends("changes", 0).lines().count(), 2_375);
    assert_eq!(both.ends("changes --type org --limit 1500", 0).lines().count(), 1_500);
    assert_eq!(both.ends("changes --type voice", 0), "");
    // More than a page of stores.
    for n in 0..101 {
        both.ends(&format!("store create --name number{n}"), 0);
    }
    assert_eq!(both.ends("store list", 0).lines().count(), 102);
    assert_eq!(both.ends("read --store demo --limit 1", 0), read.lines().next().unwrap().to_owned() + "\n");
}

#[test]
fn a_deep_expansion_comes_whole() {
    for format in ["text", "json"] {
        let mut both = Both::empty(format);
        both.ends("store create --name demo", 0);
        both.schema(SCHEMA);
        let chain: String = (0..80).map(|n| format!("org:{n}#parent@org:{}\n", n + 1)).collect();
        let chain = format!("{chain}org:80#parent@org:0\norg:80#owner@user:far\n");
        both.run_with("write --file - --input-format text", &chain);
        let drawn = both.ends("expand org:0#overseer --depth 100", 0);
        says(&drawn, &["org:80", "user:far", "cycle"]);
        says(&both.ends("expand org:0#overseer --depth 2", 0), &["org:2"]);
    }
}

#[test]
fn a_read_sees_one_state_however_many_pages_it_takes() {
    let place = Place::demo(&[]);
    let server = Server::start(&place, "--write-tuples-max 3000");
    let far = "x".repeat(100);
    let tuples: String = (0..2_500).map(|n| format!("org:{n:04}#owner@user:{far}\n")).collect();
    let url = format!("--url {}", server.url());
    place.run_with(&format!("write --file - --input-format text {url}"), &tuples).yes();
    // One page is more than a pipe holds: the client stops within the first until somebody reads on.
    let mut long = place.command(&format!("read {url}")).spawn().unwrap();
    let mut read = vec![0];
    long.stdout.as_mut().unwrap().read_exact(&mut read).unwrap();
    place.run(&format!("write --delete org:2499#owner@user:{far} {url}")).yes();
    long.stdout.as_mut().unwrap().read_to_end(&mut read).unwrap();
    assert!(long.wait().unwrap().success());
    assert_eq!(String::from_utf8(read).unwrap(), tuples);
    assert_eq!(place.run(&format!("read {url}")).yes().lines().count(), 2_499);
}

#[test]
fn a_served_directory_is_asked_through_its_server() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    let server = Server::start(&place, "");
    let said = format!("stonetown: data is served at {}: asking the server\n", server.url());
    for (line, printed) in [
        ("check org:a#owner@user:x", "yes\ntoken "),
        ("write org:a#owner@user:y", "1 of 1 tuples changed, revision 3\ntoken "),
        ("read org:a#owner@user:y", "org:a#owner@user:y\n"),
        ("store list", "01"),
        ("validate", "2 tuples, 0 rows of the past, 2 changes, 3 revisions: everything holds\n"),
    ] {
        let (out, err) = place.run(line).ended(0);
        assert!(out.starts_with(printed), "{line}: {out}");
        assert_eq!(err, said, "{line}");
    }
    let (out, err) = place.run("check org:a#owner@user:z").no();
    assert_eq!((&out[..3], err.as_str()), ("no\n", said.as_str()));
    // A second server of the same directory is none.
    says(&place.run("serve --listen 127.0.0.1:0").failed(), &["`data` is in use by another process"]);
    server.stop();
    assert!(!place.path("data/stonetown.url").exists());
    assert_eq!(place.tuples(), ["org:a#owner@user:x", "org:a#owner@user:y"]);
}

#[test]
fn the_url_that_a_killed_server_left_misleads_nobody() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    let server = Server::start(&place, "");
    let url = server.url().to_owned();
    place.run(&format!("write org:a#owner@user:y --url {url}")).yes();
    server.kill();
    let file = place.path("data/stonetown.url");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{url}\n"));
    says(
        &place.run(&format!("read --url {url}")).failed(),
        &["cannot reach the server at ", &url, "refused"],
    );
    // What was acknowledged is there, and nobody is asked over HTTP.
    assert_eq!(place.tuples(), ["org:a#owner@user:x", "org:a#owner@user:y"]);

    // In use by something that is no server, whatever the file says.
    let engine = Engine::open(&place.path("data"), Settings::default()).unwrap();
    for content in [&*url, "", "nonsense", "http://127.0.0.1:1/"] {
        std::fs::write(&file, content).unwrap();
        says(&place.run("read").failed(), &["`data` is in use by another process"]);
    }
    drop(engine);
    assert_eq!(place.tuples().len(), 2);
}

#[test]
fn one_of_data_and_url_is_named() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    let server = Server::start(&place, "");
    let lines = [
        "store create --name x",
        "store list",
        "store delete demo",
        "store stats",
        "schema write none.fga",
        "schema show",
        "schema list",
        "write org:b#owner@user:x",
        "write --file none.txt",
        "read",
        "check org:a#owner@user:x",
        "expand org:a#owner",
        "changes",
        "validate",
    ];
    for line in lines {
        let both = place.run(&format!("{line} --data data --url {}", server.url())).misunderstood();
        says(&both, &["--data <DIR>", "--url <URL>"]);
        let neither = place.command(line).env_remove("STONETOWN_DATA").output().unwrap();
        assert_eq!(neither.status.code(), Some(2), "{line}");
        says(&String::from_utf8(neither.stderr).unwrap(), &["--data <DIR>", "--url <URL>"]);
        let help = place.run(&format!("{} --help", line.split(" --").next().unwrap())).yes();
        says(&help, &["--data <DIR>", "--url <URL>", "STONETOWN_URL", "--url http://127.0.0.1:8080"]);
    }
    let with = |data: Option<&str>, url: Option<&str>, line: &str| {
        let mut command = place.command(line);
        command.env_remove("STONETOWN_DATA");
        data.map(|data| command.env("STONETOWN_DATA", data));
        url.map(|url| command.env("STONETOWN_URL", url));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
    };
    let url = server.url();
    let found = "org:a#owner@user:x\n".to_owned();
    assert_eq!(with(None, Some(url), "read"), (Some(0), found.clone(), String::new()));
    let (code, _, said) = with(Some("data"), Some(url), "read");
    assert_eq!(code, Some(2));
    says(&said, &["STONETOWN_DATA and STONETOWN_URL", "--data <DIR>", "--url <URL>"]);
    // An option wins over the environment.
    assert_eq!(
        with(Some("none"), None, &format!("read --url {url}")),
        (Some(0), found.clone(), String::new())
    );
    assert_eq!(with(None, Some("http://127.0.0.1:1"), "read --data data").1, found);
    for (url, expected) in [
        ("127.0.0.1:8080", "is not the URL of a server: write `http://HOST:PORT`"),
        ("http://", "is not the URL of a server"),
        ("ftp://here", "is not the URL of a server"),
        ("http://here:1/?x=y", "is not the URL of a server"),
        ("ws://here", "is not the URL of a server"),
    ] {
        says(&place.run(&format!("read --url {url}")).misunderstood(), &[url, expected]);
        let (code, _, said) = with(None, Some(url), "read");
        assert_eq!(code, Some(2), "{url}");
        says(&said, &["STONETOWN_URL", expected]);
    }
    says(&place.run(&format!("serve --url {url}")).misunderstood(), &["--url"]);
}

#[test]
fn the_write_limit_of_a_server_is_told_with_what_to_do() {
    let place = Place::demo(&[]);
    let tuples: String = (0..150).map(|n| format!("org:{n}#owner@user:x\n")).collect();
    place.put("t.txt", &tuples);
    let server = Server::start(&place, "");
    let write = |server: &Server| place.run(&format!("write --file t.txt --url {}", server.url()));
    says(
        &write(&server).failed(),
        &[
            "nothing was written: 150 tuples are more than",
            server.url(),
            "split them",
            "--write-tuples-max 150",
            "limit of 100",
        ],
    );
    assert_eq!(place.run(&format!("read --url {}", server.url())).yes(), "");
    server.stop();
    let server = Server::start(&place, "--write-tuples-max 150");
    says(&write(&server).yes(), &["150 of 150 tuples changed, revision 2\n"]);
    server.stop();
    let server = Server::start(&place, "--body-bytes-max 1000 --write-tuples-max 1000");
    says(&write(&server).failed(), &["nothing was written: 150 tuples are more bytes", "--body-bytes-max"]);
}

#[test]
fn a_store_on_a_server_has_a_name() {
    let place = Place::demo(&[]);
    let server = Server::start(&place, "");
    for name in ["", "--name ab", "--name a:b:c"] {
        let message = place.run(&format!("store create {name} --url {}", server.url())).failed();
        says(&message, &["a store on a server needs a name: 3 to 64 letters"]);
    }
}

/// Listens, and does with each connection what it is told to.
fn listener(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    url
}

#[test]
fn what_is_no_server_of_ours_is_told_by_its_url() {
    let place = Place::empty();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let hangs_up = listener(drop);
    let page = |status: &'static str, body: &'static str| {
        listener(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        })
    };
    let verbs = ["store list", "validate", "read --store demo", "store create --name demo"];
    for verb in verbs {
        for (url, expected) in [
            (&nobody, "cannot reach the server at "),
            (&hangs_up, "no answer from the server at "),
            (&page("404 Not Found", "<html>"), "the server at "),
            (&page("302 Found", ""), "the server at "),
            (&page("200 OK", "<html>"), "the server at "),
        ] {
            says(&place.run(&format!("{verb} --url {url}")).failed(), &["error: ", expected, url]);
        }
    }
    let other = page("200 OK", "{}");
    says(
        &place.run(&format!("validate --url {other}")).failed(),
        &["does not answer as Stonetown does", "right URL"],
    );
}

/// Shows one store, and answers everything else with a status, or hangs up.
fn shows_a_store(status: &'static str) -> String {
    listener(move |mut stream| {
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        let store = json!({
            "id": "01KAMZ3S8T4N2Q6V9XB7CDEFGH", "name": "demo",
            "created_at": "2026-11-22T00:00:00Z", "updated_at": "2026-11-22T00:00:00Z",
        });
        let body = json!({ "stores": [store], "continuation_token": "" }).to_string();
        let length = body.len();
        let status = if request[..read].starts_with(b"GET") { "200 OK" } else { status };
        match status {
            "" => {}
            "200 OK" => drop(write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )),
            status => {
                drop(write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
            }
        }
    })
}

#[test]
fn a_write_that_is_not_answered_may_have_been_made() {
    let place = Place::empty();
    let url = shows_a_store("");
    let message = place.run(&format!("write org:a#owner@user:x --url {url}")).failed();
    says(&message, &["it is not known whether anything was written: no answer from the server at ", &url]);
    let message = place.run(&format!("check org:a#owner@user:x --url {url}")).failed();
    says(&message, &["error: no answer from the server at ", &url]);
    place.put("demo.fga", SCHEMA);
    for line in
        ["schema write demo.fga", "store delete 01KAMZ3S8T4N2Q6V9XB7CDEFGH", "store create --name demo"]
    {
        let message = place.run(&format!("{line} --url {url}")).failed();
        says(&message, &["it is not known whether it was done: no answer from the server at ", &url]);
    }
    // Between here and a server, something gives up.
    let url = shows_a_store("504 Gateway Timeout");
    let message = place.run(&format!("write org:a#owner@user:x --url {url}")).failed();
    says(&message, &["it is not known whether anything was written: ", &url, "504"]);
}

/// What the added routes and fields answer to requests of others than the command line.
#[test]
fn additions_to_the_api_refuse_in_the_form_of_openfga() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    let given = token(&place.run("check org:a#owner@user:x").yes()).to_owned();
    let store = place.run("store list").yes()[..26].to_owned();
    let server = Server::start(&place, "");
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    let answer = |response: ureq::http::Response<ureq::Body>| {
        let (head, mut body) = response.into_parts();
        (head.status.as_u16(), body.read_json::<Value>().unwrap())
    };
    let post = |path: &str, body: Value| {
        answer(agent.post(format!("{}/stores/{store}/{path}", server.url())).send_json(body).unwrap())
    };
    let get = |path: &str| answer(agent.get(format!("{}/stores/{path}", server.url())).call().unwrap());
    let key = json!({ "object": "org:a", "relation": "owner" });

    let (status, read) = post("read", json!({ "filter": "org:a#owner@user:" }));
    assert_eq!((status, &read["tuples"][0]["key"]["user"]), (200, &json!("user:x")));
    let (_, plain) = post("expand", json!({ "tuple_key": key }));
    let (_, deep) = post("expand", json!({ "tuple_key": key, "depth": 3 }));
    assert_eq!((&plain["tree"], &plain["expansion"]), (&deep["tree"], &Value::Null));
    assert_eq!(deep["expansion"]["leaf"]["users"]["users"], json!(["user:x"]));
    let (_, changes) = get(&format!("{store}/changes"));
    let change = &changes["changes"][0];
    assert_eq!((&change["kind"], &change["revision"]), (&json!("written"), &json!(2)));
    assert_eq!(get(&format!("{store}/changes?after={given}")).1["changes"], json!([]));

    for (found, code) in [
        (post("read", json!({ "filter": "org" })), "validation_error"),
        (post("read", json!({ "filter": "", "tuple_key": {} })), "validation_error"),
        (post("read", json!({ "filter": 7 })), "validation_error"),
        (post("expand", json!({ "tuple_key": key, "depth": 101 })), "validation_error"),
        (post("expand", json!({ "tuple_key": key, "depth": -1 })), "validation_error"),
        (get(&format!("{store}/changes?after=noon")), "validation_error"),
        (get(&format!("{store}/changes?after={given}&start_time=2026-01-01T00:00:00Z")), "validation_error"),
        (get(&format!("{store}/schema?id=first")), "validation_error"),
        (get(&format!("{store}/schema?id=01KAMZ3S8T4N2Q6V9XB7CDEFGH")), "authorization_model_not_found"),
        (get("01KAMZ3S8T4N2Q6V9XB7CDEFGH/stats"), "store_id_not_found"),
        (get("01KAMZ3S8T4N2Q6V9XB7CDEFGH/schemas"), "store_id_not_found"),
        (get("01KAMZ3S8T4N2Q6V9XB7CDEFGH/schema"), "store_id_not_found"),
        (get("none/stats"), "validation_error"),
    ] {
        let (status, body) = found;
        assert_eq!(body["code"], code, "{body}");
        let is_known = |name: &String| ["code", "message", "reason"].contains(&name.as_str());
        assert!(status >= 400 && body["message"].is_string(), "{body}");
        assert!(body.as_object().unwrap().keys().all(is_known), "{body}");
    }
}

#[test]
fn change_safety_prints_the_same_here_and_over_http() {
    for format in ["text", "json"] {
        let mut both = Both::empty(format);
        both.ends("store create --name demo", 0);
        both.schema(SCHEMA);
        both.ends("write org:a#owner@user:ann org:b#parent@org:a voice:v#org@org:b", 0);
        both.ends("write voice:v#granted@user:* voice:v#granted@org:a#admin voice:w#granted@user:bob", 0);
        both.put("new.fga", &SCHEMA.replace("granted or admin from org", "granted and admin from org"));
        for (line, code) in [
            ("diff --schema new.fga", 0),
            ("diff --schema new.fga --as markdown", 0),
            ("diff --schema new.fga --forbid lose:voice#can_access", 1),
            ("diff --schema new.fga --forbid gain:*", 0),
            ("diff --schema new.fga --only voice#can_access --limit 1", 0),
            // A misspelt permission never changes.
            ("diff --schema new.fga --only voice#can_acess", 3),
            ("diff --schema new.fga --forbid gain:voice#can_acess", 2),
            ("diff --schema new.fga --forbid gain:voices#*", 2),
            ("what user:ann --only voice#can_acess", 3),
            ("diff --write org:a#admin@user:eve --delete voice:v#granted@user:*", 0),
            ("diff --write org:a#boss@user:eve", 3),
            ("diff --delete org:a#admin@user:nobody", 3),
            ("diff", 2),
            ("explain voice:v#can_access@user:ann --proofs 3", 0),
            ("explain voice:w#can_access@user:zoe", 1),
            ("explain voice:v#can_access@user:ann --with 'voice:v#granted@user:ann' --as dot", 0),
            ("explain voice:v#can_fly@user:ann", 3),
            ("who voice:v#can_access", 0),
            ("who voice:v#can_access --as csv", 0),
            ("who voice:v#can_fly", 3),
            ("what user:ann", 0),
            ("what user:ann --only org#admin --as csv", 0),
            ("what user:nobody", 0),
        ] {
            both.ends(line, code);
        }
        both.ends("write --delete voice:w#granted@user:bob", 0);
        both.ends("write voice:w#granted@user:cleo", 0);
        both.ends("who voice:w#can_access --at {token}", 0);
        both.ends("diff --from {token}", 0);
        both.ends("diff --schema new.fga --save approved.json", 0);
        both.ends("write org:x#owner@user:other", 0);
        // Made again, and the same: nothing that it is about has changed.
        both.ends("write --if-diff approved.json", 0);
        both.ends("schema show", 0);
        both.ends("diff --write voice:w#granted@user:dan --save approved.json", 0);
        both.ends("write org:b#owner@user:dan voice:w#org@org:b", 0);
        both.ends("write --if-diff approved.json", 1);
        both.ends("check voice:w#granted@user:dan", 1);
        both.ends("write --if-diff nothing.json", 3);
        // What is forbidden is not kept.
        both.ends(
            "diff --write voice:w#granted@user:eve --forbid gain:voice#granted --save forbidden.json",
            1,
        );
        both.ends("write --if-diff forbidden.json", 3);
    }
}
