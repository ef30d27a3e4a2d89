use super::program::{Place, SCHEMA, says, token};
use serde_json::{Value, json};

const TUPLES: &[&str] = &[
    "org:a#owner@user:ann",
    "org:b#parent@org:a",
    "voice:hero#org@org:b",
    "voice:hero#granted@org:a#admin",
    "voice:song#granted@user:*",
];

#[test]
fn check_answers_by_exit_code_too() {
    let place = Place::demo(TUPLES);
    for yes in ["org:b#overseer@user:ann", "org:b overseer user:ann", "'voice:hero' 'can_access' 'user:ann'"]
    {
        says(&place.run(&format!("check {yes}")).yes(), &["yes\ntoken "]);
    }
    let (out, err) = place.run("check org:b#admin@user:ann").no();
    says(&out, &["no\ntoken "]);
    assert_eq!(err, "");
    // What has no answer is neither.
    says(&place.run("check org:b#boss@user:ann").failed(), &["relation `boss`", "type `org`"]);
    says(&place.run("check club:b#admin@user:ann").failed(), &["type `club` is not in the schema"]);
}

#[test]
fn check_answers_programs_in_json() {
    let place = Place::demo(TUPLES);
    let schema = place.run("schema list --format json").json()[0]["schema"].clone();
    let answer = place.run("check org:b#overseer@user:ann --format json").json().remove(0);
    assert_eq!(
        (&answer["allowed"], &answer["schema"], &answer["work"]),
        (&json!(true), &schema, &Value::Null)
    );
    let (out, _) = place.run("check org:b#admin@user:ann --stats --format json").no();
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["allowed"], json!(false));
    let work = answer["work"].as_object().unwrap();
    assert!(["gets", "scans", "rows"].iter().all(|part| work[*part].is_u64()), "{answer}");
    says(
        &place.run("check org:b#overseer@user:ann --stats").yes(),
        &["yes\n", "\ngets ", " scans ", " rows "],
    );
}

#[test]
fn tuples_given_with_a_check_count_for_it_alone() {
    let place = Place::demo(TUPLES);
    let question = "check voice:hero#can_access@user:bob";
    place.run(question).no();
    place.run(&format!("{question} --with org:b#admin@user:bob")).yes();
    place.run(&format!("{question} --with org:a#parent@org:z --with org:a#admin@user:bob")).yes();
    place.run(question).no();
    let message = place.run(&format!("{question} --with org:b#overseer@user:bob")).failed();
    says(&message, &["`org:b#overseer@user:bob`", "computed"]);
}

#[test]
fn the_past_is_asked_by_token_and_by_time() {
    let place = Place::demo(TUPLES);
    let before = token(&place.run("check org:a#owner@user:ann").yes()).to_owned();
    place.run("write --delete org:a#owner@user:ann org:a#owner@user:bob").yes();
    let written = place.run("changes --format json").json()[0]["time"].as_str().unwrap().to_owned();
    for past in [before, written] {
        place.run(&format!("check org:a#owner@user:ann --at {past}")).yes();
        place.run(&format!("check org:a#owner@user:bob --at {past}")).no();
        assert_eq!(place.run(&format!("read org:a --at {past}")).yes(), "org:a#owner@user:ann\n");
        says(&place.run(&format!("expand org:a#owner --at {past}")).yes(), &["user:ann"]);
    }
    place.run("check org:a#owner@user:ann").no();
}

#[test]
fn a_token_names_the_same_state_whenever_it_is_asked_again() {
    let place = Place::demo(TUPLES);
    let first = place.run("check org:a#owner@user:ann").yes();
    place.run("write --delete org:a#owner@user:ann").yes();
    assert_eq!(place.run(&format!("check org:a#owner@user:ann --at {}", token(&first))).yes(), first);
}

#[test]
fn another_schema_is_asked_by_its_id() {
    let place = Place::demo(TUPLES);
    let first = place.run("schema list --format json").json()[0]["schema"].as_str().unwrap().to_owned();
    place.run_with("schema write -", SCHEMA.replace("[user] or owner", "[user]")).yes();
    place.run("check org:a#admin@user:ann").no();
    place.run(&format!("check org:a#admin@user:ann --schema {first}")).yes();
    says(&place.run(&format!("expand org:a#admin --schema {first}")).yes(), &["any of"]);
}

#[test]
fn expand_shows_one_level_or_as_many_as_asked() {
    let place = Place::demo(&["org:a#owner@user:ann", "org:a#parent@org:b", "org:b#parent@org:a"]);
    let one = "\
org:a#overseer
└─ any of
   ├─ from parent
   │  └─ org:b#admin …
   └─ from parent
      └─ org:b#overseer …
";
    for userset in ["org:a#overseer", "org:a overseer"] {
        says(&place.run(&format!("expand {userset}")).yes(), &[one, "token "]);
    }
    let all = place.run("expand org:a#overseer --depth 10").yes();
    says(
        &all,
        &["org:b#admin\n", "org:b#overseer\n", "org:a#admin\n", "user:ann\n", "org:a#overseer (cycle)\n"],
    );
    assert!(!all.contains('…'), "{all}");
    says(&place.run("expand org:z#admin").yes(), &["org:z#admin\n", "nobody\n"]);
}

#[test]
fn expand_answers_programs_in_the_form_of_openfga() {
    let place = Place::demo(&["org:a#owner@user:ann", "org:a#admin@user:bob", "org:a#parent@org:a"]);
    let answer = place.run("expand org:a#admin --format json").json().remove(0);
    assert!(answer["token"].is_string());
    assert_eq!(
        answer["tree"],
        json!({ "root": { "name": "org:a#admin", "union": { "nodes": [
            { "name": "org:a#admin", "leaf": { "users": { "users": ["user:bob"] } } },
            { "name": "org:a#admin", "leaf": { "computed": { "userset": "org:a#owner" } } },
        ] } } })
    );
    let answer = place.run("expand org:a#overseer --depth 3 --format json").json().remove(0);
    let cycle = &answer["tree"]["root"]["union"]["nodes"][1]["leaf"]["tupleToUserset"]["expanded"];
    assert_eq!(cycle, &json!([{ "name": "org:a#overseer", "cycle": true }]));
}

#[test]
fn read_takes_filters_of_every_shape() {
    let place = Place::demo(TUPLES);
    for (filter, expected) in [
        ("", TUPLES),
        ("@*", TUPLES),
        ("voice:", &TUPLES[2..]),
        ("voice:song", &TUPLES[4..]),
        ("#granted", &TUPLES[3..]),
        ("voice:hero#granted", &TUPLES[3..4]),
        ("@user:", &[TUPLES[0], TUPLES[4]]),
        ("@user:*", &TUPLES[4..]),
        ("@org:a#admin", &TUPLES[3..4]),
        ("voice:#granted@user:", &TUPLES[4..]),
        ("org:b#parent@org:a", &TUPLES[1..2]),
        ("org:z", &[]),
    ] {
        let mut read: Vec<String> =
            place.run(&format!("read '{filter}'")).yes().lines().map(str::to_owned).collect();
        let mut expected = expected.to_vec();
        read.sort();
        expected.sort_unstable();
        assert_eq!(read, expected, "`{filter}`");
    }
    assert_eq!(place.run("read --limit 2").yes().lines().count(), 2);
    let read = place.run("read voice:song --format json").json();
    assert_eq!(read, [json!({ "object": "voice:song", "relation": "granted", "user": "user:*" })]);
}

#[test]
fn changes_are_told_oldest_first() {
    let place = Place::demo(&["org:a#owner@user:ann"]);
    let after = token(&place.run("write voice:v#granted@user:bob").yes()).to_owned();
    place.run("write --delete org:a#owner@user:ann org:a#owner@user:bob").yes();
    place.run("write 'voice:v#granted@user:bob until 2999-01-01T00:00:00Z' --on-duplicate replace").yes();
    let told = |options: &str| {
        let changes = place.run(&format!("changes --format json {options}")).json();
        let line = |change: &Value| {
            let (kind, user) =
                (change["change"].as_str().unwrap(), change["tuple"]["user"].as_str().unwrap());
            format!("{} {kind} {user}", change["revision"])
        };
        changes.iter().map(line).collect::<Vec<_>>()
    };
    let all = [
        "2 written user:ann",
        "3 written user:bob",
        "4 deleted user:ann",
        "4 written user:bob",
        "5 replaced user:bob",
    ];
    assert_eq!(told(""), all);
    assert_eq!(told("--limit 2"), all[..2]);
    assert_eq!(told(&format!("--after {after}")), all[2..]);
    assert_eq!(told("--type voice"), [all[1], all[4]]);
    let text = place.run("changes --type voice").yes();
    says(
        &text,
        &[
            "3  ",
            "  written   voice:v#granted@user:bob\n",
            "5  ",
            "  replaced  voice:v#granted@user:bob until ",
        ],
    );
}

#[test]
fn validate_counts_what_holds() {
    let place = Place::demo(TUPLES);
    place.run("write --delete org:a#owner@user:ann").yes();
    assert_eq!(
        place.run("validate").yes(),
        "4 tuples, 1 rows of the past, 6 changes, 3 revisions: everything holds\n"
    );
    let seen = place.run("validate --format json").json().remove(0);
    assert_eq!(
        seen,
        json!({ "tuples": 4, "history": 1, "changes": 6, "revisions": 3, "findings_total": 0, "findings": [] })
    );
}
