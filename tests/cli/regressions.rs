use std::fs;

use super::pipes::unread;
use super::program::{Place, SCHEMA, says};

#[test]
fn a_closed_pipe_makes_no_yes_out_of_a_no() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    place.put("twice.fga", "model\n  schema 1.1\ntype user\ntype user\n");
    for line in ["check org:a#owner@user:y", "schema validate twice.fga", "schema fmt --check twice.fga"] {
        assert_eq!(unread(&place, line), Some(1), "{line}");
    }
    assert_eq!(unread(&place, "check org:a#nowhere@user:y"), Some(3));
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_printed_does_not_hide_what_was_done() {
    let place = Place::demo(&[]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = place.command("write org:a#owner@user:x").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    says(
        &String::from_utf8(output.stderr).unwrap(),
        &["cannot print the answer", "has been done", "No space left"],
    );
    assert_eq!(place.tuples(), ["org:a#owner@user:x"]);
}

#[test]
fn mistakes_in_a_list_are_told_by_their_line() {
    let place = Place::demo(&[]);
    let lists: [(&str, &[u8], &[&str]); 4] = [
        (
            "list.yaml",
            b"- user: user:ann\n  relation: owner\n  object: org:a\n\n- user: ann\n  relation: owner\n  object: org:a\n\
            - { user: user:ann, relation: owner, object: org }\n",
            &["list.yaml: line 5: subject has no `:`", "list.yaml: line 8: object has no `:`"],
        ),
        (
            "list.json",
            b"[\n\n  { \"user\": \"user:ann\", \"relation\": \"owner\",\n \"object\": \"org\" }]",
            &["list.json: line 3: object has no `:`"],
        ),
        ("latin.yaml", b"- user: user:ann\n  object: org:\xe4\n", &["latin.yaml: line 2: is not UTF-8: save"]),
        ("field.yaml", b"- user: user:ann\n  role: owner\n", &["field.yaml: line 2: ", "`role`"]),
    ];
    for (name, content, expected) in lists {
        place.put(name, content);
        let message = place.run(&format!("write --file {name}")).failed();
        says(&message, expected);
        assert!(!message.contains("<input>"), "{message}");
    }
}

#[test]
fn refused_tuples_of_a_file_are_told_by_their_line() {
    let place = Place::demo(&["org:a#owner@user:ann"]);
    for (tuple, expected) in [
        ("org:a#boss@user:ann", "tuples.txt: line 3: tuple `org:a#boss@user:ann`: relation `boss`"),
        ("org:a#owner@user:ann", "tuples.txt: line 3: tuple `org:a#owner@user:ann` exists already"),
        ("org:b#owner@user:ann", "tuples.txt: line 2, 3: tuple `org:b#owner@user:ann` is in the write twice"),
    ] {
        place.put("tuples.txt", format!("# Tuples\norg:b#owner@user:ann\n{tuple}\n"));
        says(&place.run("write --file tuples.txt").failed(), &["nothing was written: ", expected]);
    }
}

#[test]
fn csv_that_says_more_than_is_read_is_refused() {
    let place = Place::demo(&[]);
    for (content, expected) in [
        (
            "object,relation,subject,object_type\norg:a,owner,user:x,voice\n",
            "columns `object` and `object_type`",
        ),
        ("object,relation,subject,object\norg:a,owner,user:x,org:b\n", "column `object` is there twice"),
        (
            "object,relation,subject,context\norg:a,owner,user:x,{}\n",
            "line 2: context `{}` is given without a condition",
        ),
        ("", "line 1: the file is empty: begin the file with"),
        ("object,relation\n", "line 1: column `subject` is missing"),
        ("object,relation,subject\norg:a,owner\n", "line 2: has 2 columns, the header has 3"),
    ] {
        place.put("tuples.csv", content);
        says(&place.run("write --file tuples.csv").failed(), &["tuples.csv: ", expected]);
    }
    place.put("latin.csv", b"object,relation,subject\norg:a,owner,user:\xe4\n");
    says(
        &place.run("write --file latin.csv").failed(),
        &["latin.csv: line 2: is not UTF-8: save the file as UTF-8"],
    );
    fs::create_dir(place.path("folder.csv")).unwrap();
    says(&place.run("write --file folder.csv").failed(), &["cannot read `folder.csv`", "directory"]);
    assert!(place.tuples().is_empty());
}

#[test]
fn fmt_checks_standard_input_too() {
    let place = Place::empty();
    assert_eq!(place.run_with("schema fmt --check -", SCHEMA).yes(), "");
    let (out, _) = place.run_with("schema fmt --check -", SCHEMA.replace("type user", "type  user")).no();
    assert_eq!(out, "-: would change\n");
}

#[cfg(unix)]
#[test]
fn fmt_keeps_links_and_permissions() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let place = Place::empty();
    place.put("real.fga", SCHEMA.replace("type user", "type  user"));
    fs::set_permissions(place.path("real.fga"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("real.fga", place.path("link.fga")).unwrap();
    place.run("schema fmt link.fga").yes();
    assert!(fs::symlink_metadata(place.path("link.fga")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(place.path("real.fga")).unwrap(), SCHEMA);
    assert_eq!(fs::metadata(place.path("real.fga")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn one_unreadable_file_does_not_hide_the_others() {
    let place = Place::empty();
    place.put("twice.fga", "model\n  schema 1.1\n\ntype user\n\ntype user\n");
    place.put("twice.fga.yaml", "model_file: twice.fga\n");
    for line in ["schema validate none.fga twice.fga", "schema test none.fga.yaml twice.fga.yaml"] {
        let (_, err) = place.run(line).ended(3);
        says(&err, &["cannot read `none.fga", "twice.fga:6:6"]);
    }
    place.put("crooked.fga", "model\n  schema 1.1\ntype user\n");
    let (out, err) = place.run("schema fmt --check none.fga crooked.fga").ended(3);
    says(&out, &["crooked.fga: would change"]);
    says(&err, &["cannot read `none.fga`"]);
}

#[test]
fn a_store_test_that_names_nobody_is_told_by_file_and_test() {
    let place = Place::empty();
    place.put("demo.fga", SCHEMA);
    let checks = [
        "check: [{ user: ann, object: org:a, assertions: { owner: true } }]",
        "list_objects: [{ user: ann, type: org, assertions: { owner: [] } }]",
        "list_users: [{ object: org, user_filter: [{ type: user }], assertions: { owner: { users: [] } } }]",
    ];
    for check in checks {
        place.put("t.fga.yaml", format!("model_file: demo.fga\ntests:\n  - name: one\n    {check}\n"));
        let message = place.run("schema test t.fga.yaml").failed();
        says(&message, &["`t.fga.yaml`: in `one`: ", "has no `:`"]);
    }
}

#[test]
fn a_word_is_no_token_of_a_newer_version() {
    let place = Place::demo(&[]);
    for line in ["changes --after noon", "write org:a#owner@user:x --require 'unchanged org:a since noon'"] {
        says(&place.run(line).failed(), &["`noon` is not a token"]);
    }
}

#[test]
fn unknown_names_are_told_with_what_would_be_right() {
    let place = Place::demo(&[]);
    for (line, expected) in [
        ("check org:a#ownr@user:x", "relation `ownr` is not defined on type `org`; did you mean `owner`?"),
        ("check org:a#boss@user:x", "on type `org`; there are `admin`, `overseer`, `owner`, `parent`"),
        ("check club:a#boss@user:x", "type `club` is not in the schema; there are `user`, `org`, `voice`"),
        ("expand orgs:a#owner", "type `orgs` is not in the schema; did you mean `org`?"),
        ("write org:a#ownr@user:x", "relation `ownr` is not defined on type `org`; did you mean `owner`?"),
        ("write org:a#owner@usr:x", "type `usr` is not in the schema; did you mean `user`?"),
        (
            "write org:a#owner@user:x#friend",
            "relation `friend` is not defined on type `user`; there are none",
        ),
    ] {
        says(&place.run(line).failed(), &[expected]);
    }
}

#[test]
fn preconditions_that_fail_say_what_was_found() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    for (precondition, found) in [
        ("exists org:a#owner@user:y", "there is no such tuple"),
        ("absent org:a#owner@user:x", "the tuple exists"),
        ("at-least 2 org:a", "1 match"),
        ("at-most 0 @*", "more than 0 match"),
    ] {
        let message = place.run(&format!("write org:b#owner@user:x --require '{precondition}'")).failed();
        says(&message, &[&format!("precondition `{precondition}` does not hold: {found}")]);
    }
}

#[test]
fn a_space_within_a_tuple_is_told_as_such() {
    let place = Place::demo(&[]);
    says(&place.run("write 'org:a#own er@user:x'").misunderstood(), &["relation contains a space"]);
    says(&place.run("write 'org:a b#owner@user:x'").misunderstood(), &["object id contains a space"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_tuple() {
    let place = Place::demo(&[]);
    for (name, content) in [
        ("mark.txt", "\u{feff}org:a#owner@user:text\n"),
        ("mark.jsonl", "\u{feff}{\"object\":\"org:a\",\"relation\":\"owner\",\"user\":\"user:jsonl\"}\n"),
        ("mark.csv", "\u{feff}object,relation,subject\norg:a,owner,user:csv\n"),
        ("mark.yaml", "\u{feff}- { object: org:a, relation: owner, user: user:yaml }\n"),
    ] {
        place.put(name, content);
        place.run(&format!("write --file {name}")).yes();
    }
    assert_eq!(place.run("read org:a#owner").yes().lines().count(), 4);
}
