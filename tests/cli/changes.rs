use serde_json::{Value, json};

use super::program::{Place, SCHEMA, says};

/// The schema of the demo, in which nobody is granted a voice but by name.
fn strict() -> String {
    SCHEMA.replace("[user, user:*, org#admin]", "[user]")
}

fn place() -> Place {
    let place =
        Place::demo(&["voice:7#granted@user:*", "voice:7#granted@user:anne", "voice:8#granted@org:a#admin"]);
    place.put("strict.fga", strict());
    place.put("renamed.fga", SCHEMA.replace("voice", "song").replace("granted", "listener"));
    place
}

#[test]
fn a_schema_that_silences_tuples_is_refused_with_exit_code_1_and_a_report() {
    let place = place();
    let before = place.tuples();
    let (out, err) = place.run("schema apply strict.fga").no();
    assert_eq!(err, "");
    assert_eq!(
        out,
        "2 tuples would be silenced\n  \
           1 voice#granted@org#admin, not_allowed: `org#admin` is not allowed on `voice#granted`, which takes `user`\n    \
             voice:8#granted@org:a#admin\n  \
           1 voice#granted@user:*, not_allowed: `user:*` is not allowed on `voice#granted`, which takes `user`\n    \
             voice:7#granted@user:*\n\
         would be moved 0, written 0, deleted 0\n\
         refused, nothing was changed: delete or rename these tuples with the schema, or say `--allow-silenced`\n"
    );
    let (tried, _) = place.run("schema apply strict.fga --dry-run").no();
    assert_eq!(tried, out);
    let (out, _) = place.run("schema apply strict.fga --format json").no();
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["applied"], &report["silenced"]["tuples"]), (&json!(false), &json!(2)));
    assert_eq!(report["silenced"]["groups"][1]["sample"], json!(["voice:7#granted@user:*"]));
    assert_eq!(place.tuples(), before);
    assert_eq!(place.run("schema list").yes().lines().count(), 1);

    let out = place.run("schema apply strict.fga --dry-run --allow-silenced").yes();
    says(&out, &["2 tuples would be silenced\n", "a dry run, nothing was changed\n"]);
    let line = "schema apply strict.fga --delete 'voice:7#granted@user:*' --write 'voice:7#granted@user:bob' --allow-silenced \
                --require 'exists voice:7#granted@user:anne'";
    let out = place.run(line).yes();
    says(
        &out,
        &[
            "1 tuple is silenced\n",
            "moved 0, written 1, deleted 1\nschema 01",
            " in force from revision 3\ntoken ",
        ],
    );
    assert_eq!(
        place.tuples(),
        ["voice:7#granted@user:anne", "voice:7#granted@user:bob", "voice:8#granted@org:a#admin"]
    );
    says(&place.run("validate").yes(), &["everything holds"]);
}

#[test]
fn renamed_tuples_move_along() {
    let place = place();
    let line = "schema apply renamed.fga --rename-type voice=song --rename-relation 'voice#granted=listener' --format json";
    let tried = place.run(&format!("{line} --dry-run")).json();
    assert_eq!((&tried[0]["applied"], &tried[0]["moved"]), (&json!(false), &json!(3)));
    let applied = place.run(line).json();
    assert_eq!(
        (&applied[0]["applied"], &applied[0]["moved"], &applied[0]["revision"]),
        (&json!(true), &json!(3), &json!(3))
    );
    assert_eq!(
        place.tuples(),
        ["song:7#listener@user:anne", "song:7#listener@user:*", "song:8#listener@org:a#admin"]
    );
    let token = applied[0]["token"].as_str().unwrap();
    place.run(&format!("check 'song:9#can_access@user:x' --at {token}")).no();
}

#[test]
fn what_cannot_be_applied_is_told() {
    let place = place();
    place.put("broken.fga", SCHEMA.replace("[user]", "[usr]"));
    let message = place.refused("schema apply broken.fga");
    says(&message, &["broken.fga:", "`usr`"]);
    for (line, part) in [
        (
            "schema apply renamed.fga --rename-type voices=song",
            "rename `voices=song`: the schema in force has no such type",
        ),
        (
            "schema apply renamed.fga --rename-type voice=songs",
            "rename `voice=songs`: the new schema has no type of the new name",
        ),
        (
            "schema apply strict.fga --delete 'voice:1#granted@user:x'",
            "tuple `voice:1#granted@user:x` does not exist",
        ),
        (
            "schema apply strict.fga --require 'absent voice:7#granted@user:anne'",
            "does not hold: the tuple exists",
        ),
        ("schema apply none.fga", "cannot read `none.fga`"),
    ] {
        says(&place.refused(line), &[part]);
    }
    for (line, part) in [
        ("schema apply renamed.fga --rename-type voice", "`voice` is no rename: write `OLD=NEW`"),
        ("schema apply renamed.fga --rename-type voice=voice", "the old name and the new one are the same"),
        ("schema apply renamed.fga --rename-relation voice=song", "is no rename: write `TYPE#OLD=NEW`"),
        ("schema apply renamed.fga --require 'untouched voice since x'", "is neither `TYPE#RELATION`"),
        ("schema orphans --remove --limit 3", "cannot be used with"),
        ("schema orphans --remove --schema strict.fga", "cannot be used with"),
    ] {
        says(&place.run(line).misunderstood(), &[part]);
    }
}

#[test]
fn orphans_are_counted_listed_and_removed() {
    let place = place();
    assert_eq!(place.run("schema orphans").yes(), "0 tuples not let in\n");
    let given = place.run("schema orphans --schema strict.fga").yes();
    assert_eq!(
        given,
        "2 tuples not let in\n  \
           1 voice#granted@org#admin, not_allowed: `org#admin` is not allowed on `voice#granted`, which takes `user`\n  \
           1 voice#granted@user:*, not_allowed: `user:*` is not allowed on `voice#granted`, which takes `user`\n\
         voice:7#granted@user:*\nvoice:8#granted@org:a#admin\n"
    );
    place.run("schema apply strict.fga --allow-silenced").yes();
    assert_eq!(place.run("schema orphans").yes(), given);
    assert_eq!(place.run("schema orphans --limit 1").yes().lines().count(), 4);
    assert_eq!(place.run("schema orphans --limit 0").yes().lines().count(), 3);
    let lines = place.run("schema orphans --format json").json();
    assert_eq!((lines.len(), &lines[0]["tuples"]), (3, &json!(2)));
    assert_eq!(
        (&lines[1]["tuple"], &lines[1]["code"]),
        (&json!("voice:7#granted@user:*"), &json!("not_allowed"))
    );
    let first = place.run("schema list --format json").json();
    let first = first.last().unwrap()["schema"].as_str().unwrap().to_owned();
    assert_eq!(place.run(&format!("schema orphans --schema-id {first}")).yes(), "0 tuples not let in\n");
    says(&place.run("schema orphans --remove").yes(), &["2 tuples removed\nrevision 4\ntoken "]);
    assert_eq!(place.tuples(), ["voice:7#granted@user:anne"]);
    let again = place.run("schema orphans --remove --format json").json();
    assert_eq!((&again[0]["removed"], &again[0]["revision"]), (&json!(0), &json!(4)));
}

#[test]
fn diff_tells_what_was_added_removed_and_changed_and_nothing_else() {
    let place = Place::empty();
    let old = format!("{SCHEMA}\ncondition soon(x: int, y: string) {{\n  x < 10\n}}\n");
    place.put("old.fga", &old);
    let new = old
        .replace(
            "    define overseer: admin from parent or overseer from parent\n",
            "    define boss: owner and admin\n",
        )
        .replace("[user, user:*, org#admin]", "[user, user:* with soon]")
        .replace("type user\n", "type user\n\ntype robot\n")
        .replace("x < 10", "x < 11");
    place.put("new.fga", &new);
    let (out, err) = place.run("schema diff old.fga new.fga").no();
    assert_eq!(err, "");
    assert_eq!(
        out,
        "\
added relation org#boss
  + define boss: owner and admin
removed relation org#overseer
  - define overseer: admin from parent or overseer from parent
added type robot
  + type robot
changed relation voice#granted
  - define granted: [user, user:*, org#admin]
  + define granted: [user, user:* with soon]
changed condition soon
  - condition soon(x: int, y: string) { x < 10 }
  + condition soon(x: int, y: string) { x < 11 }
matrix of org: new rows org.parent
matrix of org: gone rows org.parent.owner, org.parent.admin
matrix of org: new columns boss
matrix of org: gone columns overseer
matrix of voice: new rows voice.granted:* with soon, voice.org.parent
matrix of voice: gone rows voice.granted:*, voice.granted(org#admin), voice.org.parent.owner, voice.org.parent.admin
"
    );
    let (out, _) = place.run("schema diff new.fga old.fga --format json").no();
    let found: Value = serde_json::from_str(&out).unwrap();
    let found = found["differences"].as_array().unwrap().clone();
    assert_eq!(found.len(), 5);
    assert_eq!(
        found[2],
        json!({ "difference": "removed", "kind": "type", "name": "robot", "old": "type robot", "new": null })
    );

    // Comments, layout, the JSON form and order mean nothing.
    let shuffled = old
        .replace(
            "admin from parent or overseer from parent",
            "overseer from parent or admin from parent # both",
        )
        .replace("[user, user:*, org#admin]", "[org#admin, user, user:*]")
        .replace("x: int, y: string", "y: string, x: int")
        .replace("type voice", "# Voices.\ntype voice");
    place.put("shuffled.fga", &shuffled);
    assert_eq!(place.run("schema diff old.fga shuffled.fga").yes(), "no differences\n");
    let (tree, _) = stonetown::schema::read_schema("old.fga", &old).unwrap();
    place.put("old.json", tree.to_json().to_string());
    assert_eq!(
        place.run("schema diff old.fga old.json --format json").json(),
        [json!({ "differences": [], "matrix": [] })]
    );
    // The operands of `but not` cannot be exchanged.
    let not = |text: &str| old.replace("[user] or owner", text);
    place.put("one.fga", not("[user] but not owner"));
    place.put("two.fga", not("owner but not owner"));
    place.run("schema diff one.fga two.fga").no();
    place.put("broken.fga", "model\n");
    says(&place.run("schema diff old.fga broken.fga").failed(), &["broken.fga:"]);
}
