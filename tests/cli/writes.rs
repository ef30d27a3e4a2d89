use super::program::{Place, SCHEMA, says, token};
use serde_json::json;

#[test]
fn one_tuple_or_several_are_written_in_one_revision() {
    let place = Place::demo(&[]);
    says(&place.run("write org:a#owner@user:x").yes(), &["1 of 1 tuples changed, revision 2\n", "token "]);
    let several = place.run("write org:b#parent@org:a voice:v#granted@user:* voice:v#granted@org:a#admin");
    says(&several.yes(), &["3 of 3 tuples changed, revision 3\n"]);
    let answer = place.run("write org:c#owner@user:x org:d#owner@user:x --format json").json().remove(0);
    assert_eq!((&answer["changed"], &answer["revision"]), (&json!(2), &json!(4)));
    place.run(&format!("check org:c#owner@user:x --at {}", answer["token"].as_str().unwrap())).yes();
    let tuple = "voice:w#granted@user:x until 2999-01-01T00:00:00Z";
    place.run(&format!("write '{tuple}'")).yes();
    assert_eq!(place.run("read voice:w").yes(), format!("{tuple}\n"));
}

#[test]
fn deletions_and_writes_stand_or_fall_together() {
    let place = Place::demo(&["org:a#owner@user:x", "org:a#admin@user:y"]);
    let transfer = "write --delete org:a#owner@user:x --delete org:a#admin@user:y org:a#owner@user:z";
    says(&place.run(transfer).yes(), &["3 of 3 tuples changed, revision 3\n"]);
    assert_eq!(place.tuples(), ["org:a#owner@user:z"]);
    let message = place.refused(transfer);
    says(&message, &["nothing was written", "`org:a#owner@user:x` does not exist", "ignore missing"]);
    let ignoring = format!("{transfer} --on-missing ignore --on-duplicate ignore");
    says(&place.run(&ignoring).yes(), &["0 of 3 tuples changed, revision 3\n"]);
}

#[test]
fn duplicates_are_refused_ignored_or_replaced() {
    let (soon, later) = ("org:a#owner@user:x until 2998-01-01T00:00:00Z", "org:a#owner@user:x");
    let place = Place::demo(&[soon]);
    let message = place.refused(&format!("write '{soon}' org:a#owner@user:y"));
    says(&message, &["nothing was written", "`org:a#owner@user:x` exists already", "ignore or replace"]);
    place.run(&format!("write '{soon}' --on-duplicate ignore")).yes();
    let message = place.refused(&format!("write {later} --on-duplicate ignore"));
    says(&message, &["another condition or expiry", "replace duplicates"]);
    place.run(&format!("write {later} --on-duplicate replace")).yes();
    assert_eq!(place.tuples(), [later]);
}

#[test]
fn required_preconditions_are_held_against_the_state_before() {
    let place = Place::demo(&["org:a#owner@user:x"]);
    let given = token(&place.run("check org:a#owner@user:x").yes()).to_owned();
    let transfer = "write --delete org:a#owner@user:x org:a#owner@user:y \
        --require 'exists org:a#owner@user:x' --require 'at-most 1 org:a#owner@*'";
    place.run(transfer).yes();
    let message = place.refused(transfer);
    says(&message, &["nothing was written", "`exists org:a#owner@user:x` does not hold"]);
    let write = "write org:a#admin@user:z --require";
    let unchanged = format!("unchanged org:a#owner since {given}");
    for precondition in ["absent org:a#owner@user:y", "at-least 2 org:a", "at-most 0 org:a", &unchanged] {
        let message = place.refused(&format!("{write} '{precondition}'"));
        says(&message, &[&format!("`{precondition}` does not hold: ")]);
    }
    place.run(&format!("{write} 'unchanged org:b since {given}' --require 'at-most 0 org:b'")).yes();
}

#[test]
fn a_named_schema_lets_tuples_in() {
    let place = Place::demo(&[]);
    let first = place.run("schema list --format json").json()[0]["schema"].as_str().unwrap().to_owned();
    place
        .run_with(
            "schema write -",
            SCHEMA.replace("    define granted", "    define given: [user]\n    define granted"),
        )
        .yes();
    place.run("write voice:v#given@user:x").yes();
    let message = place.refused(&format!("write voice:v#given@user:y --schema {first}"));
    says(&message, &["`voice:v#given@user:y`", "relation `given` is not defined on type `voice`"]);
    place.run(&format!("write voice:v#granted@user:y --schema {first}")).yes();
}
