use super::program::{Place, says};

/// What every file below holds.
const TUPLES: [&str; 3] = ["org:a#owner@user:ann", "voice:v#granted@org:a#admin", "voice:w#granted@user:*"];

const OUR_COLUMNS: &str = "\
object,relation,subject
org:a,owner,user:ann
voice:v,granted,org:a#admin
voice:w,granted,user:*
";

const OPENFGA_COLUMNS: &str = "\
user_type,user_id,user_relation,relation,object_type,object_id
user,ann,,owner,org,a
org,a,admin,granted,voice,v
user,*,,granted,voice,w
";

const JSON_LINES: &str = r##"{"user":"user:ann","relation":"owner","object":"org:a"}

{"object":"voice:v","relation":"granted","subject":"org:a#admin"}
{"object":"voice:w","relation":"granted","user":"user:*"}
"##;

const JSON: &str = r##"[
  {"user":"user:ann","relation":"owner","object":"org:a"},
  {"user":"org:a#admin","relation":"granted","object":"voice:v"},
  {"user":"user:*","relation":"granted","object":"voice:w"}
]
"##;

const YAML: &str = "\
- user: user:ann
  relation: owner
  object: org:a
- { user: \"org:a#admin\", relation: granted, object: voice:v }
- { user: \"user:*\", relation: granted, object: voice:w }
";

const TEXT: &str = "\
# A comment,
// another, and a blank line:

org:a#owner@user:ann
  voice:v#granted@org:a#admin
voice:w#granted@user:*
";

/// Name, value of `--input-format`, content.
const FILES: &[(&str, &str, &str)] = &[
    ("tuples.csv", "csv", OUR_COLUMNS),
    ("openfga.csv", "csv", OPENFGA_COLUMNS),
    ("tuples.jsonl", "jsonl", JSON_LINES),
    ("tuples.ndjson", "jsonl", JSON_LINES),
    ("tuples.json", "yaml", JSON),
    ("tuples.yaml", "yaml", YAML),
    ("tuples.yml", "yaml", YAML),
    ("tuples.txt", "text", TEXT),
];

#[test]
fn every_format_gives_the_same_tuples() {
    let place = Place::demo(&TUPLES);
    for (name, format, content) in FILES {
        place.put(name, content);
        // They are there already: ignoring them changes nothing exactly when they are the same.
        let same = |run: super::program::Run| says(&run.yes(), &["0 of 3 tuples changed, revision 2\n"]);
        same(place.run(&format!("write --on-duplicate ignore --file {name}")));
        for content in [content.replace('\n', "\r\n"), content.trim_end().to_owned()] {
            let line = format!("write --on-duplicate ignore --file - --input-format {format}");
            same(place.run_with(&line, &content));
        }
    }
    let empty = Place::demo(&[]);
    empty.put("tuples.csv", OUR_COLUMNS);
    says(&empty.run("write --file tuples.csv").yes(), &["3 of 3 tuples changed, revision 2\n"]);
    assert_eq!(empty.tuples(), TUPLES);
}

#[test]
fn a_store_test_gives_the_tuples_that_its_tests_share() {
    let content = format!(
        "name: Demo\nmodel_file: demo.fga\ntuples:\n{}tests:\n  - name: own\n    tuples:\n      \
        - {{ user: user:own, relation: owner, object: org:own }}\n",
        YAML.lines().map(|line| format!("  {line}\n")).collect::<String>()
    );
    let place = Place::demo(&[]);
    place.put("demo.fga.yaml", &content);
    place.run("write --file demo.fga.yaml").yes();
    assert_eq!(place.tuples(), TUPLES);
    place.run_with("write --file - --input-format fga.yaml --on-duplicate ignore", &content).yes();
}

#[test]
fn what_read_prints_can_be_written_again() {
    let place = Place::demo(&TUPLES);
    place.run("write 'org:b#owner@user:ann until 2999-01-01T00:00:00Z'").yes();
    for (format, input_format) in [("text", "text"), ("json", "jsonl")] {
        let printed = place.run(&format!("read --format {format}")).yes();
        let copy = Place::demo(&[]);
        copy.run_with(&format!("write --file - --input-format {input_format}"), &printed).yes();
        assert_eq!(copy.tuples(), place.tuples());
    }
}

#[test]
fn a_file_and_arguments_are_one_write() {
    let place = Place::demo(&["org:z#owner@user:ann"]);
    place.put("tuples.txt", TEXT);
    let line = "write org:b#owner@user:ann --file tuples.txt --delete org:z#owner@user:ann --require 'at-least 1 org:'";
    says(&place.run(line).yes(), &["5 of 5 tuples changed, revision 3\n"]);
    assert_eq!(place.tuples()[1..], ["org:b#owner@user:ann", TUPLES[1], TUPLES[2]]);
}

/// A file with mistakes, and what is told: parts of the message in their order.
const MISTAKES: &[(&str, &[u8], &[&str])] = &[
    (
        "bad.csv",
        b"object,relation,subject\norg:a,owner,user:ann\norg,owner,user:ann\norg:a,own er,user:ann\n\
        org:a,owner,user:ann,more\norg:b,owner,user:\xff\norg:a,owner,\n",
        &[
            "bad.csv: line 3: object has no `:` in `org`: write `TYPE:ID`",
            "bad.csv: line 4: relation contains a space in `own er`: use a name without spaces",
            "bad.csv: line 5: ",
            " 4 ",
            "bad.csv: line 6: ",
            "UTF-8",
            "bad.csv: line 7: subject has no `:` in ``: write `TYPE:ID`",
        ],
    ),
    (
        "openfga.csv",
        b"user_type,user_id,user_relation,relation,object_type,object_id\nuser,ann,,owner,,a\nuser,,,owner,org,a\n",
        &["openfga.csv: line 2: object type is empty in `:a`", "openfga.csv: line 3: subject id is empty in `user:`"],
    ),
    (
        "ends.csv",
        b"object,relation,subject,condition,context,expires_at\norg:a,owner,user:ann,,,tomorrow\norg:b,owner,user:ann,in_hours,[],\n",
        &[
            "ends.csv: line 2: `tomorrow` is not a time: write RFC 3339",
            "ends.csv: line 3: condition context is not a JSON object in `[]`: write a JSON object",
        ],
    ),
    (
        "bad.jsonl",
        b"{\"object\":\"org:a\",\"relation\":\"owner\",\"user\":\"user:ann\"}\n{\"object\":\"org:a\"}\n\nowner\n\
        {\"object\":\"org:a\",\"relation\":\"owner\",\"user\":\"ann\"}\n{\"object\":\"\xff\"}\n",
        &[
            "bad.jsonl: line 2: missing field `user`",
            "write {\"object\":\"voice:7\",",
            "bad.jsonl: line 4: ",
            "bad.jsonl: line 5: subject has no `:` in `ann`: write `TYPE:ID`",
            "bad.jsonl: line 6: is not UTF-8: save the file as UTF-8",
        ],
    ),
    (
        "bad.txt",
        b"org:a#owner@user:ann\norg:a#owner\n# fine\norg:a owner user:ann\norg:a#owner@user:\xff\norg:a#owner@user:b until noon\n",
        &[
            "bad.txt: line 2: tuple has no `@` before its subject in `org:a#owner`: write `OBJECT#RELATION@SUBJECT`",
            "bad.txt: line 4: tuple has no `#` before its relation in `org:a owner user:ann`",
            "bad.txt: line 5: is not UTF-8: save the file as UTF-8",
            "bad.txt: line 6: expiry is not a time",
            "write an RFC 3339 time",
        ],
    ),
    (
        // One line for each entry, so that entries and lines are the same.
        "bad.yaml",
        b"- { user: ann, relation: owner, object: org:a }\n- { user: user:ann, relation: owner, object: org:a }\n\
        - { user: user:ann, relation: owner, object: org }\n",
        &["bad.yaml: line 1: subject has no `:` in `ann`", "bad.yaml: line 3: object has no `:` in `org`"],
    ),
    ("broken.yaml", b"- user: user:ann\n  relation: owner\n", &["broken.yaml: line 1: ", "missing field `object`"]),
    ("broken.json", b"[\n  {\"user\":\"user:ann\",", &["broken.json: line 2: "]),
    (
        "unknown.csv",
        b"object,role,subject\norg:a,owner,user:ann\n",
        &["unknown.csv: line 1: column `role` is unknown: ", "`object,relation,subject`", "OpenFGA", "`user_type,"],
    ),
    (
        "missing.csv",
        b"object,subject\norg:a,user:ann\n",
        &["missing.csv: line 1: column `relation` is missing: ", "`object,relation,subject`"],
    ),
    ("empty.csv", b"", &["empty.csv: line 1: ", "`object,relation,subject`"]),
];

#[test]
fn all_bad_lines_are_told_in_one_run_and_nothing_is_written() {
    let place = Place::demo(&[]);
    for (name, content, expected) in MISTAKES {
        place.put(name, content);
        let message = place.run(&format!("write org:b#owner@user:ann --file {name}")).failed();
        says(&message, expected);
        // As many lines as there are bad ones, unless the reader draws the place.
        let located = expected.iter().filter(|part| part.contains(": line ")).count();
        assert_eq!(message.matches(&format!("{name}: line ")).count(), located, "{message}");
    }
    assert!(place.tuples().is_empty());
}

#[test]
fn of_very_many_bad_lines_the_first_are_told_and_the_rest_counted() {
    let place = Place::demo(&[]);
    place.put("bad.txt", "nonsense\n".repeat(1_000));
    let message = place.run("write --file bad.txt").failed();
    says(&message, &["bad.txt: line 1: ", "bad.txt: line 20: ", "… and 980 more lines"]);
    assert_eq!(message.lines().count(), 21);
}

#[test]
fn a_format_is_told_by_the_name_or_by_hand() {
    let place = Place::demo(&[]);
    place.put("tuples.foo", TEXT);
    for name in ["tuples.foo", "-"] {
        let message = place.run(&format!("write --file {name}")).failed();
        says(&message, &[&format!("`{name}`"), "`--input-format text`", "`csv`", "`jsonl`", "`yaml`"]);
    }
    let message = place.run("write --file tuples.foo --input-format xml").misunderstood();
    says(&message, &["`xml` is no format", "text, csv, jsonl"]);
    place.run("write --file tuples.foo --input-format text").yes();
    let message = place.run("write --file none.csv").failed();
    says(&message, &["cannot read `none.csv`", "No such file"]);
    says(&place.run("write --file data --input-format text").failed(), &["cannot read `data`", "directory"]);
}

#[test]
fn a_file_without_tuples_writes_nothing() {
    let place = Place::demo(&[]);
    for (name, content) in
        [("empty.txt", "# nothing\n"), ("empty.csv", "object,relation,subject\n"), ("empty.yaml", "[]")]
    {
        place.put(name, content);
        says(
            &place.run(&format!("write --file {name}")).failed(),
            &["the write is empty", "at least one tuple"],
        );
    }
}
