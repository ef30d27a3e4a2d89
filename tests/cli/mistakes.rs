use super::program::{Place, says};

#[test]
fn words_that_are_no_tuple_no_filter_no_number_are_explained() {
    let place = Place::demo(&[]);
    // What cannot be read at all is a mistake of the command line.
    for (line, expected) in [
        (
            "write voice:7",
            &["'voice:7'", "no `#` before its relation", "write `OBJECT#RELATION@SUBJECT`"][..],
        ),
        (
            "write voice:7#viewer",
            &["'voice:7#viewer'", "no `@` before its subject", "for example `voice:7#viewer@user:anne`"],
        ),
        ("write voice#granted@user:x", &["object has no `:`", "write `TYPE:ID`"]),
        ("write voice:v#granted@user", &["subject has no `:`", "`TYPE:ID#RELATION` or `TYPE:*`"]),
        ("write voice:*#granted@user:x", &["object id is a wildcard", "only a subject can be that"]),
        ("write 'voice:v#granted@user:x when in_hours'", &["followed by something else", "` until TIME`"]),
        ("write --delete voice:v", &["'--delete <TUPLE>'", "write `OBJECT#RELATION@SUBJECT`"]),
        (
            "write org:a#owner@user:x --require 'no org:a'",
            &["`no org:a` is no precondition", "`exists TUPLE`", "`unchanged FILTER since TOKEN`"],
        ),
        (
            "write org:a#owner@user:x --require 'exists org:a'",
            &["precondition `exists org:a`", "write `OBJECT#RELATION@SUBJECT`"],
        ),
        (
            "write org:a#owner@user:x --require 'at-most 1 org'",
            &["precondition `at-most 1 org`", "write `TYPE:ID`"],
        ),
        ("write org:a#owner@user:x --on-duplicate keep", &["'keep'", "error, ignore, replace"]),
        ("check org:a#owner@user:x --with org:a", &["'--with <TUPLE>'", "write `OBJECT#RELATION@SUBJECT`"]),
        ("check org:a#owner@user:x --schema first", &["`first` is not a schema id", "26 characters"]),
        ("read org", &["filter `org`", "[TYPE:[ID]][#RELATION][@SUBJECT]", "for example `voice:7#viewer`"]),
        ("read @anne", &["filter `@anne`", "subject has no `:`"]),
        ("read --limit many", &["'many'", "'--limit <N>'"]),
        ("expand org:a#owner --depth 0", &["'0'", "1..=100"]),
        ("expand org:a#owner --depth 101", &["1..=100"]),
        ("check org:a owner user:x more", &["'more'"]),
        ("check", &["<TUPLE>"]),
        ("schema validate", &["<FILE>"]),
        ("schema write", &["<FILE>"]),
        ("store", &["create", "list", "delete", "stats"]),
        ("schema", &["validate", "fmt", "test", "graph", "write", "show", "list"]),
        ("frobnicate", &["unrecognized subcommand 'frobnicate'"]),
        ("read --format xml", &["'xml'", "text, json"]),
    ] {
        says(&place.run(line).misunderstood(), expected);
    }
}

#[test]
fn questions_that_cannot_be_read_say_what_would_be_right() {
    let place = Place::demo(&[]);
    for (line, expected) in [
        (
            "check voice:7",
            &["no `#` before its relation in `voice:7`", "write `OBJECT#RELATION@SUBJECT`"][..],
        ),
        ("check voice:7 viewer", &["`OBJECT#RELATION@SUBJECT`", "three arguments OBJECT RELATION SUBJECT"]),
        ("check voice viewer user:x", &["object has no `:` in `voice`", "write `TYPE:ID`"]),
        ("check voice:7 '' user:x", &["relation is empty"]),
        ("expand org:a", &["`org:a` has no `#`", "write `OBJECT#RELATION`"]),
        ("expand org owner", &["object has no `:` in `org`", "write `TYPE:ID`"]),
        ("read --at noon", &["`noon` is neither a token nor a time", "RFC 3339 such as `2026-"]),
        ("check org:a#owner@user:x --at noon", &["`noon` is neither a token nor a time"]),
    ] {
        says(&place.run(line).misunderstood(), expected);
    }
}

#[test]
fn questions_without_an_answer_say_why() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    for (line, expected) in [
        ("check org:a#boss@user:x", &["relation `boss` is not defined on type `org`"][..]),
        ("check club:a#owner@user:x", &["type `club` is not in the schema"]),
        ("check org:a#owner@robot:x", &["type `robot` is not in the schema"]),
        ("check org:a#owner@org:a#boss", &["relation `boss` is not defined on type `org`"]),
        (
            "check org:a#owner@user:x --with org:a#boss@user:x",
            &["tuple `org:a#boss@user:x`", "relation `boss`"],
        ),
        (
            "check org:a#owner@user:x --schema 01KAMZ3S8T4N2Q6V9XB7CDEFGH",
            &["has no schema `01KAMZ3S8T4N2Q6V9XB7CDEFGH`"],
        ),
        ("check org:a#owner@user:x --at 2999-01-01T00:00:00Z", &["2999-01-01T00:00:00Z lies in the future"]),
        (
            "check org:a#owner@user:x --at aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            &["token"],
        ),
        ("check org:a#owner@user:x --at 2001-01-01T00:00:00Z", &["has no schema"]),
        ("expand org:a boss", &["relation `boss` is not defined on type `org`"]),
        ("expand club:a owner", &["type `club` is not in the schema"]),
        ("changes --after noon", &["`noon`"]),
        ("schema show --schema 01KAMZ3S8T4N2Q6V9XB7CDEFGH", &["has no schema `01KAMZ3S8T4N2Q6V9XB7CDEFGH`"]),
        ("schema graph none.fga", &["cannot read `none.fga`", "No such file"]),
        ("schema fmt none.fga", &["cannot read `none.fga`"]),
        ("schema validate none.fga", &["cannot read `none.fga`"]),
        ("schema test none.fga.yaml", &["cannot read `none.fga.yaml`"]),
        ("schema write none.fga", &["cannot read `none.fga`"]),
    ] {
        says(&place.run(line).failed(), expected);
    }
}

#[test]
fn tuples_that_the_schema_does_not_allow_are_named() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    for (tuple, reason) in [
        ("club:a#owner@user:x", "type `club` is not in the schema"),
        ("org:a#owner@robot:x", "type `robot` is not in the schema"),
        ("org:a#boss@user:x", "relation `boss` is not defined on type `org`"),
        (
            "org:a#overseer@user:x",
            "relation `org#overseer` is computed, nobody can be written on it directly",
        ),
        ("org:a#owner@org:b", "`org` is not allowed on `org#owner`, which takes `user`"),
        (
            "voice:v#granted@org:a#owner",
            "`org#owner` is not allowed on `voice#granted`, which takes `user`, `user:*`, `org#admin`",
        ),
        ("org:a#owner@user:y with in_hours", "condition `in_hours` is not allowed for `user` on `org#owner`"),
    ] {
        let message = place.run(&format!("write org:b#owner@user:x '{tuple}'")).failed();
        says(&message, &["nothing was written: ", &format!("tuple `{tuple}`: {reason}")]);
    }
    let message = place.run("write org:b#owner@user:x --delete org:b#owner@user:x").failed();
    says(&message, &["`org:b#owner@user:x` is in the write twice", "name it once"]);
    says(&place.run("write").failed(), &["the write is empty", "at least one tuple"]);
    assert_eq!(place.tuples(), ["org:a#owner@user:x"]);
}

#[test]
fn a_data_directory_that_is_none_is_named() {
    let place = Place::empty();
    place.put("file", "no directory");
    std::fs::create_dir(place.path("other")).unwrap();
    place.put("other/letter.txt", "somebody's");
    let missing = &["no data directory at `data`", "create a store there first"];
    for line in [
        "read",
        "check org:a#owner@user:x",
        "write org:a#owner@user:x",
        "store list",
        "store delete x",
        "validate",
    ] {
        says(&place.run(line).failed(), missing);
        assert!(!place.path("data").exists(), "{line}");
    }
    let foreign = &["`other` is not empty and holds no Stonetown data", "an empty or a new directory"];
    says(&place.run("store create --data other").failed(), foreign);
    says(&place.run("read --data other").failed(), foreign);
    says(&place.run("store create --data file").failed(), &["file", "Not a directory"]);
    let mut unnamed = place.command("read");
    let output = unnamed.env_remove("STONETOWN_DATA").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    says(&String::from_utf8(output.stderr).unwrap(), &["--data <DIR>"]);
}

#[test]
fn store_tests_that_cannot_be_run_say_where_and_why() {
    let place = Place::empty();
    place.put("demo.fga", super::program::SCHEMA);
    for (content, expected) in [
        ("tests: []", &["`t.fga.yaml`", "neither `model` nor `model_file`"][..]),
        ("model_file: demo.fga\ntest: []", &["`t.fga.yaml`", "line 2", "`test`"]),
        ("model_file: none.fga", &["cannot read `none.fga`"]),
        (
            "model_file: demo.fga\ntuples: [{ user: ann, relation: owner, object: org:a }]",
            &["`t.fga.yaml`", "tuple 1", "subject has no `:` in `ann`"],
        ),
        (
            "model_file: demo.fga\ntuples: [{ user: user:ann, relation: boss, object: org:a }]",
            &["`t.fga.yaml`", "`org:a#boss@user:ann`", "relation `boss` is not defined"],
        ),
        (
            "model_file: demo.fga\ntests: [{ name: one, check: [{ user: user:ann, assertions: { owner: true } }] }]",
            &["`one`", "needs `user` and `object`"],
        ),
        (
            "model_file: demo.fga\ntests: [{ name: one, check: [{ user: user:a, object: org:a, context: [1], assertions: {} }] }]",
            &["`one`", "`context`", "map of parameters"],
        ),
    ] {
        place.put("t.fga.yaml", content);
        says(&place.run("schema test t.fga.yaml").failed(), expected);
    }
    // A relation that does not exist is a failure of its assertion: the others are still asked.
    place.put(
        "t.fga.yaml",
        "model_file: demo.fga\ntests: [{ name: one, check: [{ user: user:a, object: org:a, assertions: { boss: true, owner: false } }] }]",
    );
    let (out, _) = place.run("schema test t.fga.yaml").no();
    says(
        &out,
        &[
            "FAILED `one`: check org:a#boss@user:a: ",
            "relation `boss` is not defined",
            "1 assertions hold, 1 do not",
        ],
    );
}
