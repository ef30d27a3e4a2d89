use std::collections::BTreeSet;

use super::program::{Place, SCHEMA, says, token};
use serde_json::{Value, json};

const MISTAKES: &str = include_str!("five_mistakes.fga");

#[test]
fn five_different_mistakes_are_five_located_problems_in_one_run() {
    let place = Place::empty();
    place.put("five.fga", MISTAKES);
    let (out, err) = place.run("schema validate five.fga").no();
    assert_eq!(out, "five.fga: has problems\n");
    let expected = [
        ("unknown-relation", 9, 29, "`ownr`", "did you mean `owner`?"),
        ("unknown-type", 10, 21, "`usr`", "did you mean `user`?"),
        ("missing-colon", 15, 18, "`owner`", "write `define owner: …`"),
        ("mixed-operators", 17, 41, "`or` and `and`", "add parentheses"),
        ("duplicate-type", 19, 6, "`org`", "first defined here"),
    ];
    for (code, line, column, wrong, right) in expected {
        says(&err, &[&format!("error[{code}]: "), wrong, &format!("five.fga:{line}:{column}\n"), right]);
    }

    let (out, err) = place.run("schema validate five.fga --format json").no();
    assert_eq!(err, "");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["file"], &answer["valid"]), (&json!("five.fga"), &json!(false)));
    let problems = answer["problems"].as_array().unwrap();
    let places = problems
        .iter()
        .map(|it| (it["code"].clone(), it["place"]["line"].clone(), it["place"]["column"].clone()));
    let expected = expected.map(|(code, line, column, ..)| (json!(code), json!(line), json!(column)));
    assert_eq!(places.collect::<Vec<_>>(), expected);
}

#[test]
fn a_schema_with_problems_is_refused_wherever_it_is_needed() {
    let place = Place::demo(&[]);
    place.put("five.fga", MISTAKES);
    place.put("five.fga.yaml", "model_file: five.fga\ntests: []\n");
    for line in ["schema write five.fga", "schema graph five.fga", "schema test five.fga.yaml"] {
        let (out, err) = place.run(line).no();
        assert_eq!(out, "", "{line}");
        says(&err, &["five.fga:9:29", "five.fga:10:21", "five.fga:15:18", "five.fga:17:41", "five.fga:19:6"]);
    }
    assert_eq!(place.run("schema list").yes().lines().count(), 1);
}

#[test]
fn validate_takes_several_files_json_and_standard_input() {
    let place = Place::empty();
    place.put("five.fga", MISTAKES);
    place.put("good.fga", SCHEMA);
    let (out, err) = place.run("schema validate five.fga good.fga").no();
    assert_eq!(out, "five.fga: has problems\ngood.fga: valid\n");
    assert_eq!(err.matches("error[").count(), 5);
    assert_eq!(place.run_with("schema validate -", SCHEMA).yes(), "-: valid\n");
    let (out, err) =
        place.run_with("schema validate -", SCHEMA.replace("[user] or owner", "[user] or boss")).no();
    assert_eq!(out, "-: has problems\n");
    says(&err, &["`boss`", ":10:29"]);
    place.put(
        "model.json",
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "user" }] }).to_string(),
    );
    assert_eq!(place.run("schema validate model.json").yes(), "model.json: valid\n");
    place.put("model.json", "{");
    says(&place.run("schema validate model.json").failed(), &["`model.json` is not JSON", "line 1 column 1"]);
}

#[test]
fn fmt_rewrites_checks_and_prints() {
    let place = Place::empty();
    let crooked =
        "model\n  schema 1.1\n# People.\ntype   user\ntype org\n  relations\n     define owner : [ user ]\n";
    let straight =
        "model\n  schema 1.1\n\n# People.\ntype user\n\ntype org\n  relations\n    define owner: [user]\n";
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    place.put("good.fga", SCHEMA);
    place.put("crooked.fga", crooked);
    assert_eq!(place.run_with("schema fmt -", crooked).yes(), straight);

    let (out, err) = place.run("schema fmt --check good.fga crooked.fga").no();
    assert_eq!((&*out, &*err), ("crooked.fga: would change\n", ""));
    let (out, _) = place.run("schema fmt --check good.fga crooked.fga --format json").no();
    assert_eq!(out.parse::<Value>().unwrap(), json!({ "file": "crooked.fga", "changed": true }));
    assert_eq!(read("crooked.fga"), crooked);

    assert_eq!(place.run("schema fmt good.fga crooked.fga").yes(), "crooked.fga: formatted\n");
    assert_eq!((read("good.fga").as_str(), read("crooked.fga").as_str()), (SCHEMA, straight));
    assert_eq!(place.run("schema fmt --check good.fga crooked.fga").yes(), "");

    // What is no text of the language stays as it is; the others are laid out.
    place.put("broken.fga", "model\n  schema 1.1\ntype\n");
    place.put("crooked.fga", crooked);
    let (out, err) = place.run("schema fmt broken.fga crooked.fga").no();
    assert_eq!(out, "crooked.fga: formatted\n");
    says(&err, &["broken.fga:3:"]);
    assert_eq!(read("broken.fga"), "model\n  schema 1.1\ntype\n");
}

const TEST: &str = "\
name: Demo
model_file: demo.fga
tuples:
  - { user: user:ann, relation: owner, object: org:a }
tests:
  - name: owners administer
    check:
      - user: user:ann
        object: org:a
        assertions: { admin: true, overseer: false }
    list_objects:
      - { user: user:ann, type: org, assertions: { admin: [org:a] } }
    list_users:
      - object: org:a
        user_filter: [{ type: user }]
        assertions: { admin: { users: [user:ann] } }
";

#[test]
fn test_counts_what_holds_and_names_what_does_not() {
    let place = Place::empty();
    place.put("demo.fga", SCHEMA);
    place.put("good.fga.yaml", TEST);
    assert_eq!(place.run("schema test good.fga.yaml").yes(), "Demo: 1 tests, 4 assertions hold, 0 do not\n");
    let wrong = TEST.replace("overseer: false", "overseer: true").replace("users: [user:ann]", "users: []");
    place.put("wrong.fga.yaml", wrong.replace("Demo", "Wrong"));
    let (out, err) = place.run("schema test wrong.fga.yaml good.fga.yaml").no();
    assert_eq!(err, "");
    says(
        &out,
        &[
            "FAILED `owners administer`: check org:a#overseer@user:ann: expected true, got false\n",
            "FAILED `owners administer`: list_users org:a#admin: expected {}, got {\"user:ann\"}\n",
            "Wrong: 1 tests, 2 assertions hold, 2 do not\n",
            "Demo: 1 tests, 4 assertions hold, 0 do not\n",
        ],
    );
    let (out, _) = place.run("schema test wrong.fga.yaml --format json").no();
    let answer: Value = out.parse().unwrap();
    assert_eq!((&answer["tests"], &answer["passed"]), (&json!(1), &json!(2)));
    assert_eq!(answer["failures"].as_array().unwrap().len(), 2);
}

#[test]
fn graph_is_dot_with_every_relation() {
    let place = Place::empty();
    place.put("demo.fga", SCHEMA);
    let dot = place.run("schema graph demo.fga").yes();
    assert!(dot.starts_with("digraph {") && dot.ends_with("}\n"), "{dot}");
    for relation in ["org#parent", "org#owner", "org#admin", "org#overseer", "voice#can_access"] {
        assert!(dot.contains(&format!("label=\"{relation}\"")), "{dot}");
    }
    assert_eq!(place.run_with("schema graph -", SCHEMA).yes(), dot);
}

#[test]
fn schemas_are_written_listed_and_shown_now_and_in_the_past() {
    let place = Place::empty();
    place.run("store create").yes();
    says(&place.run("schema show").failed(), &["has no schema", "`stonetown schema write`"]);
    assert_eq!(place.run("schema list").yes(), "");
    let first = place.run_with("schema write -", SCHEMA).yes();
    says(&first, &["schema ", " in force from revision 1\ntoken "]);
    let narrower = SCHEMA.replace("[user, user:*, org#admin]", "[user]");
    let second = place.run_with("schema write - --format json", &narrower).json().remove(0);
    assert_eq!(second["revision"], json!(2));

    let ids: Vec<Value> =
        place.run("schema list --format json").json().iter().map(|info| info["schema"].clone()).collect();
    assert_eq!(ids[0], second["schema"]);
    assert!(first.contains(ids[1].as_str().unwrap()), "newest first: {ids:?}");
    says(
        &place.run("schema list").yes(),
        &[ids[0].as_str().unwrap(), "  revision 2  ", "\n", "  revision 1  "],
    );

    // Comments and the order of relations are no part of a stored schema.
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let shown = |options: &str| place.run(&format!("schema show {options}")).yes();
    let headed = |at: usize, text: &str| {
        sorted(&format!("# schema {} of revision {}\n{text}", ids[at].as_str().unwrap(), 2 - at))
    };
    assert_eq!(sorted(&shown("")), headed(0, &narrower));
    assert_eq!(sorted(&shown(&format!("--schema {}", ids[1].as_str().unwrap()))), headed(1, SCHEMA));
    assert_eq!(sorted(&shown(&format!("--at {}", token(&first)))), headed(1, SCHEMA));
    assert_eq!(place.run_with("schema validate -", shown("")).yes(), "-: valid\n");

    // The JSON form can be written again.
    let document = place.run("schema show --format json").json().remove(0)["document"].take();
    place.put("model.json", document.to_string());
    place.run("schema write model.json").yes();
    assert_eq!(place.run("schema show --format json").json()[0]["document"], document);
}

const MANIFEST: &str = "schema: '1.2'\ncontents:\n  - core.fga\n  - team/board.fga\n";
const CORE: &str = "module core\n\ntype user\n\ntype org\n  relations\n    define owner: [user]\n";
const BOARD: &str = "\
# Boards.
module board # of the team

# What an owner may do.
extend type org
  relations
    define boards: owner # by the way

type board
  relations
    define org: [org]
    define writer: boards from org
";

fn modules() -> Place {
    let place = Place::empty();
    std::fs::create_dir_all(place.path("models/team")).unwrap();
    place.put("models/fga.mod", MANIFEST);
    place.put("models/core.fga", CORE);
    place.put("models/team/board.fga", BOARD);
    place
}

#[test]
fn a_manifest_or_its_folder_is_taken_wherever_a_schema_is() {
    let place = modules();
    place.run("store create --name demo").yes();
    let dot = place.run("schema graph models").yes();
    assert!(dot.contains("label=\"org#boards\""), "{dot}");
    assert_eq!(place.run("schema graph models/fga.mod").yes(), dot);
    assert_eq!(
        place.run("schema validate models models/fga.mod").yes(),
        "models: valid\nmodels/fga.mod: valid\n"
    );
    let answer = place.run("schema validate models --format json").json().remove(0);
    assert_eq!(answer, json!({ "file": "models", "valid": true, "problems": [] }));
    for test in ["models", "models/", "models/fga.mod", "./models/fga.mod"] {
        place.put(
            "t.fga.yaml",
            TEST.replace("demo.fga", test).replace("admin", "boards").replace(", overseer: false", ""),
        );
        assert_eq!(place.run("schema test t.fga.yaml").yes(), "Demo: 1 tests, 3 assertions hold, 0 do not\n");
    }
    place.run("schema write models/fga.mod").yes();
    place.run("write org:a#owner@user:ann board:b#org@org:a").yes();
    says(&place.run("check board:b#writer@user:ann").yes(), &["yes\n"]);

    // The stored form names modules and files, and can be written again.
    let document = place.run("schema show --format json").json().remove(0)["document"].take();
    let org = &document["type_definitions"][1]["metadata"];
    assert_eq!((&org["module"], &org["source_info"]), (&json!("core"), &json!({ "file": "core.fga" })));
    let boards = &org["relations"]["boards"];
    assert_eq!(
        (&boards["module"], &boards["source_info"]),
        (&json!("board"), &json!({ "file": "team/board.fga" }))
    );
    assert_eq!(org["relations"]["owner"]["module"], json!(""));
    place.put("model.json", document.to_string());
    place.run("schema write model.json").yes();
    assert_eq!(place.run("schema show --format json").json()[0]["document"], document);
    let shown = place.run("schema show").yes();
    says(
        &shown,
        &[
            "\ntype board # module: board, file: team/board.fga\n",
            "\ntype org # module: core, file: core.fga\n",
            "\n    define boards: owner # extended by: module: board, file: team/board.fga\n",
        ],
    );
    assert_eq!(place.run_with("schema validate -", &shown).yes(), "-: valid\n");
}

#[test]
fn what_is_wrong_in_a_module_is_told_at_its_line_by_every_command() {
    let place = modules();
    place.put("models/team/board.fga", BOARD.replace("[org]", "[ogr]"));
    place.put("models/core.fga", CORE.replace("[user]", "[usr]"));
    place.put("t.fga.yaml", "model_file: models/fga.mod\ntests: []\n");
    for line in ["schema write models", "schema graph models", "schema test t.fga.yaml"] {
        place.run("store create --name demo");
        let (out, err) = place.run(line).no();
        assert_eq!(out, "", "{line}");
        says(&err, &["models/core.fga:7:20\n", "models/team/board.fga:11:18\n"]);
    }
    let (out, _) = place.run("schema validate models --format json").no();
    let answer: Value = out.parse().unwrap();
    let place_of =
        |at: usize| (&answer["problems"][at]["place"]["source"], &answer["problems"][at]["place"]["line"]);
    assert_eq!(place_of(0), (&json!("models/core.fga"), &json!(7)));
    assert_eq!(place_of(1), (&json!("models/team/board.fga"), &json!(11)));

    says(&place.run("schema validate models/team").failed(), &["cannot read `models/team`"]);
    let (_, err) = place.run("schema validate models/core.fga").no();
    says(&err, &["error[module-alone]", "models/core.fga:1:8", "`fga.mod`"]);
}

#[test]
fn fmt_lays_out_one_file_of_a_module_or_all() {
    let place = modules();
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(place.run("schema fmt --check models models/core.fga").yes(), "");
    let crooked = BOARD.replace("  relations", " relations").replace("owner #", "owner    #");
    place.put("models/team/board.fga", &crooked);
    place.put("models/core.fga", CORE.replace("\n\ntype", "\ntype"));
    assert_eq!(place.run_with("schema fmt -", &crooked).yes(), BOARD);
    let (out, err) = place.run("schema fmt --check models").no();
    assert_eq!((&*out, &*err), ("models/core.fga: would change\nmodels/team/board.fga: would change\n", ""));
    assert_eq!(place.run("schema fmt models/team/board.fga").yes(), "models/team/board.fga: formatted\n");
    assert_eq!(place.run("schema fmt models/fga.mod").yes(), "models/core.fga: formatted\n");
    assert_eq!((read("models/core.fga"), read("models/team/board.fga")), (CORE.into(), BOARD.into()));
    assert_eq!(read("models/fga.mod"), MANIFEST);

    // A file that is not there, and one that cannot be read, keep no other from being laid out.
    place.put("models/fga.mod", MANIFEST.replace("  - core.fga", "  - no.fga\n  - bad.fga\n  - core.fga"));
    place.put("models/bad.fga", "module bad\ntype\n");
    place.put("models/team/board.fga", &crooked);
    let (_, out, err) = place.run("schema fmt models").all();
    assert_eq!(out, "models/team/board.fga: formatted\n");
    says(&err, &["cannot read `models/no.fga`", "models/bad.fga:2:"]);
}
