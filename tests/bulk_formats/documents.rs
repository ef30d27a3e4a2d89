use super::files::{file, read, reads, shown, try_read};
use stonetown::bulk::Format::{Json, StoreTest, Yaml};
use stonetown::bulk::{LINE_BYTES_MAX, Position, ReadError};

const TWO: [&str; 2] = ["voice:7#viewer@user:anne", "voice:7#viewer@org:a#admin with c {\"k\":{\"l\":1}}"];

#[test]
fn json_in_every_wrapping() {
    let plain = r#"{"user":"user:anne","relation":"viewer","object":"voice:7"}"#;
    let limited = r##"{"user":"org:a#admin","relation":"viewer","object":"voice:7",
      "condition":{"name":"c","context":{"k":{"l":1}}}}"##;
    let answered = |key: &str| format!("{{\n \"key\": {key},\n \"timestamp\": \"2026-01-01T00:00:00Z\"\n}}");
    for content in [
        // `fga tuple read --output-format simple-json`
        format!("[\n  {plain},\n  {limited}\n]\n"),
        format!("[{plain},{limited}]"),
        // `fga tuple read`
        format!(
            "{{\n  \"continuation_token\": \"\",\n  \"tuples\": [\n{},\n{}\n]\n}}\n",
            answered(plain),
            answered(limited)
        ),
        format!(
            "\u{feff}{{\"tuples\":[{},{}],\"continuation_token\":\"x\"}}",
            answered(plain),
            answered(limited)
        ),
        // Several pages, one after the other.
        format!(
            "{{\"tuples\":[{plain}]}}{{\"tuples\":[]}}\n{{\"tuples\":[{limited}],\"more\":{{\"a\":[1,\"]\"]}}}}"
        ),
        format!("{{\"tuple_keys\":[{plain},{limited}]}}"),
        // JSON lines under the name of JSON.
        format!("{plain}\n{limited}"),
        format!("[]\n[{plain}][{limited}]"),
    ] {
        let found = read(Json, &content);
        let tuples: Vec<String> = found.iter().map(|read| read.tuple.clone().unwrap().to_string()).collect();
        assert_eq!(tuples, TWO, "{content}");
    }
    for content in
        ["", " \n", "[]", "[ ]\n", "{}", "{\"tuples\":[]}", "{\"tuples\":null,\"continuation_token\":\"\"}"]
    {
        assert_eq!(shown(Json, content), [""; 0], "{content}");
    }
}

#[test]
fn bad_entries_of_json_are_told_with_their_lines() {
    reads(
        Json,
        "[\n  {\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"voice\"},\n  {\n    \"user\": \"user:anne\"\n  },\n\
         7, \"x\", {\"user\":\"user:anne\",\"relation\":\"vie wer\",\"object\":\"voice:7\"},\n\
         {\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"voice:7\"}\n]\n",
        &[
            "2 ! object has no `:` in `voice`",
            "3 ! missing field `relation`",
            "6 ! invalid type: integer `7`",
            "6 ! entry 4: invalid type: string \"x\"",
            "6 ! entry 5: relation contains a space in `vie wer`",
            "7 voice:7#viewer@user:anne",
        ],
    );
    // A quote too few costs its own entry, however it is laid out.
    let good = "{\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"voice:7\"}";
    reads(
        Json,
        format!(
            "[\n{{\"user\":\"user:anne,\"relation\":\"viewer\",\"object\":\"voice:7\"}},\n{good},\n  {{\n    \"user\": \"user:anne,\n    \"relation\": \"viewer\"\n  }},\n{good}\n]"
        ),
        &[
            "2 ! a text is not closed on its line",
            "3 voice:7#viewer@user:anne",
            "4 ! a text is not closed on its line",
            "8 voice:7#viewer@user:anne",
        ],
    );
    reads(
        Json,
        format!("[{good},\n{good}"),
        &[
            "1 voice:7#viewer@user:anne",
            "2 voice:7#viewer@user:anne",
            "2 ! entry 3: the list is not closed: the file is cut off",
        ],
    );
    reads(Json, "[\n  {\"user\":\"user:ann\",", &["2 ! the entry is not closed: the file is cut off"]);
    reads(Json, format!("{{\"tuples\":{good}}}"), &["1 ! `tuples` is no list"]);
    reads(Json, "- user: user:anne\n", &["1 ! is no JSON: begin the file with `[`"]);
    let long = "x".repeat(2 * LINE_BYTES_MAX);
    reads(
        Json,
        format!("[{{\"user\":\"{long}\"}},\n{good}]"),
        &["1 ! is longer than 1,048,576 bytes", "2 voice:7#viewer@user:anne"],
    );
}

const BLOCK: &str = "\
- user: user:anne
  relation: viewer
  object: voice:7

# A comment
- user: 'org:a#admin'
  relation: viewer
  object: voice:7
  condition:
    name: c
    context:
      k: { l: 1 }
";

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}

#[test]
fn yaml_in_every_layout() {
    for content in [
        BLOCK.to_owned(),
        indented(BLOCK),
        format!("\u{feff}%YAML 1.2\n---\n{BLOCK}...\n"),
        BLOCK.replace('\n', "\r\n"),
        BLOCK.replace("- user", "-\n  user"),
        format!("tuples:\n{BLOCK}"),
        format!("name: x\nmodel: |\n  model\n    schema 1.1\n\n  - tuples:\ntuples: # these\n{}\ntests:\n- name: t\n  tuples:\n  - user: nobody\n", indented(BLOCK)),
        // `fga tuple read --output-format yaml`
        "continuationtoken: \"\"\ntuples:\n    - key:\n        condition: null\n        object: voice:7\n        relation: viewer\n        \
         user: user:anne\n      timestamp: 2026-01-01T00:00:00Z\n    - key:\n        user: org:a#admin\n        relation: viewer\n        \
         object: voice:7\n        condition: {name: c, context: {k: {l: 1}}}\n      timestamp: 2026-01-01T00:00:00Z\n".to_owned(),
        "[ { user: user:anne, relation: viewer, object: voice:7 },\n {\"user\":\"org:a#admin\", relation: viewer, object: voice:7, condition: {name: c,\n context: {k: {l: 1}} }} ]"
            .to_owned(),
        "tuples: [ { user: user:anne, relation: viewer, object: voice:7 },\n {\"user\":\"org:a#admin\", relation: viewer, object: voice:7, condition: {name: c,\n context: {k: {l: 1}} }} ]\ntests: []\n"
            .to_owned(),
        "- {\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"voice:7\"}\n\
         - {\"user\":\"org:a#admin\",relation: viewer,\"object\":\"voice:7\",\"condition\":{\"name\":\"c\",\"context\":{\"k\":{\"l\":1}}}}"
            .to_owned(),
        "- &one { user: user:anne, relation: &r viewer, object: &o voice:7 }\n- user: org:a#admin\n  relation: *r\n  object: *o\n  \
         condition: { name: c, context: { k: { l: 1 } } }\n".to_owned(),
    ] {
        let found = shown(Yaml, &content);
        let tuples: Vec<&str> = found.iter().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(tuples, TWO, "{content}");
    }
    for content in ["", "\n# nothing\n", "[]", "---\n", "tuples:\n", "tuples: []\n", "relationships:\n"] {
        reads(Yaml, content, &[]);
    }
    reads(StoreTest, "name: nothing\ntests:\n  - name: t\n", &[]);
    for content in ["name: nothing\n", "{ name: nothing }", "name: &a nothing\n"] {
        reads(Yaml, content, &["1 ! has neither a list nor `tuples` nor `relationships`"]);
        reads(StoreTest, content, &[]);
    }
    reads(Yaml, "--- { tuples: [ { user: u:v, relation: r, object: a:b } ] }\n", &["1 a:b#r@u:v"]);
    reads(
        Yaml,
        "- { user: u:v, relation: r, object: a:b }\n---\n- { user: u:v, relation: r, object: a:c }\n",
        &["1 a:b#r@u:v", "3 a:c#r@u:v"],
    );
    // What looks like something else is a text where a text is wanted.
    reads(
        Yaml,
        "- { user: u:v, relation: true, object: a:b }\n- user: u:v\n  relation: 12\n  object: a:b\n",
        &["1 a:b#true@u:v", "2 a:b#12@u:v"],
    );
    reads(Yaml, "nothing", &["1 ! "]);
}

#[test]
fn bad_entries_of_yaml_are_told_with_their_lines() {
    let good = "- { user: user:anne, relation: viewer, object: voice:7 }\n";
    reads(
        Yaml,
        format!(
            "{good}- user: anne\n  relation: viewer\n  object: voice:7\n- user: user:anne\n- nonsense\n- {{ user: \n{good}\
             - {{\"user\":\"user:anne\",\"relation\":\"viewer\",\"object\":\"voice\"}}\nwhat\n{good}"
        ),
        &[
            "1 voice:7#viewer@user:anne",
            "2 ! subject has no `:` in `anne`",
            "5 ! missing field `relation`",
            "6 ! ",
            "7 ! ",
            "8 voice:7#viewer@user:anne",
            "9 ! object has no `:` in `voice`",
            "10 ! is no entry of the list",
            "11 voice:7#viewer@user:anne",
        ],
    );
    // Read at once, because of the anchor.
    reads(
        Yaml,
        format!(
            "- {{ user: &a user:anne, relation: viewer, object: voice:7 }}\n- {{ user: *a, relation: viewer }}\n{good}"
        ),
        &["1 voice:7#viewer@user:anne", "2 ! missing field `object`", "3 voice:7#viewer@user:anne"],
    );
}

#[test]
fn a_yaml_list_may_have_any_length_but_not_what_is_read_at_once() {
    let entry = "{ user: user:anne, relation: viewer, object: voice:7 }";
    let list = format!("- {entry}\n").repeat(20_000);
    assert_eq!(read(Yaml, &list).iter().filter(|read| read.tuple.is_ok()).count(), 20_000);
    let flow = file(format!("[{}]", format!("{entry},\n").repeat(400_000)));
    match try_read(flow.path(), Yaml, Position::default()) {
        Err(ReadError::TooLong { path, .. }) => assert_eq!(path, flow.path()),
        other => panic!("{other:?}"),
    }
}

/// Found by fuzzing: YAML takes a carriage return alone for the end of a line, and the lines told of mistakes lay behind the file.
#[test]
fn carriage_returns_alone_do_not_count_as_lines() {
    let lines = |text: &str| -> Vec<u64> { read(Yaml, text).iter().map(|read| read.line).collect() };
    assert_eq!(lines("- user: a\"\r\r\r\r:[:{\"k\n- object: 7\n"), [1, 2]);
    // Read at once.
    assert_eq!(lines("\r\r[\r\r\n{object: a:b, relation: c, user: d:e},\r\n{object: 7}]\n"), [2, 3]);
}
