//! What questions take, counted: a slow plan is caught here without a clock.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use stonetown::eval::{Limits, Program, Work, check};
use stonetown::schema::read_schema;
use stonetown::storage::{Empty, Overlay};
use stonetown::tuple::{Timestamp, Tuple, TupleRef};

const SCHEMA: &str = "model
  schema 1.1

type user

type group
  relations
    define member: [user, user:*]

type org
  relations
    define parent: [org]
    define admin: [user] or admin from parent

type doc
  relations
    define org: [org]
    define blocked: [user, group#member]
    define editor: [user]
    define viewer: [user, group#member] or editor or admin from org
    define reader: viewer but not blocked
";

fn state(tuples: impl IntoIterator<Item = String>) -> Overlay<Empty> {
    let empty = Empty { now: Timestamp::default() };
    Overlay::contextual(empty, tuples.into_iter().map(|text| text.parse::<Tuple>().unwrap()))
}

fn ask(state: &Overlay<Empty>, question: &str) -> (bool, Work) {
    let (_, schema) = read_schema("work.fga", SCHEMA).unwrap();
    let question = TupleRef::parse(question).unwrap();
    let answer = check(
        &Program::new(schema),
        state,
        question,
        &stonetown::condition::Context::default(),
        &Limits::default(),
    )
    .unwrap();
    (answer.allowed, answer.work)
}

#[test]
fn an_exact_tuple_takes_one_look_up() {
    let state = state(["doc:1#viewer@user:anne".to_owned()]);
    assert_eq!(ask(&state, "doc:1#viewer@user:anne"), (true, Work { gets: 1, scans: 0, rows: 0 }));
}

#[test]
fn a_computed_relation_is_looked_up_before_anything_is_scanned() {
    let groups = (0..1_000).map(|group| format!("doc:1#viewer@group:{group}#member"));
    let state = state(groups.chain(["doc:1#editor@user:anne".to_owned()]));
    assert_eq!(ask(&state, "doc:1#viewer@user:anne"), (true, Work { gets: 2, scans: 0, rows: 0 }));
}

#[test]
fn many_groups_on_the_object_are_not_walked_when_the_subject_is_in_few() {
    let groups = (0..5_000).map(|group| format!("doc:1#viewer@group:{group}#member"));
    let state = state(groups.chain(["group:4321#member@user:anne".to_owned()]));
    for (question, expected) in [("doc:1#viewer@user:anne", true), ("doc:1#viewer@user:bob", false)] {
        let (allowed, work) = ask(&state, question);
        assert_eq!(allowed, expected, "{question}");
        assert!(work.gets + work.rows < 100, "{question}: {work:?}");
    }
}

#[test]
fn many_groups_of_the_subject_are_not_walked_when_the_object_has_few() {
    let groups = (0..5_000).map(|group| format!("group:{group}#member@user:anne"));
    let state = state(groups.chain(["doc:1#viewer@group:4321#member".to_owned()]));
    let (allowed, work) = ask(&state, "doc:1#viewer@user:anne");
    assert!(allowed);
    assert!(work.gets + work.rows < 10, "{work:?}");
}

#[test]
fn when_both_sides_are_wide_the_walk_costs_little_more_than_the_smaller() {
    let object = (0..5_000).map(|group| format!("doc:1#viewer@group:o{group}#member"));
    let subject = (0..300).map(|group| format!("group:s{group}#member@user:anne"));
    let state = state(object.chain(subject));
    let (allowed, work) = ask(&state, "doc:1#viewer@user:anne");
    assert!(!allowed);
    assert!(work.gets + work.rows < 5 * 300 + 500, "{work:?}");
}

#[test]
fn everybody_counts_from_the_subjects_side_too() {
    let groups = (0..500).map(|group| format!("doc:1#viewer@group:{group}#member"));
    let state = state(groups.chain(["group:321#member@user:*".to_owned()]));
    assert!(ask(&state, "doc:1#viewer@user:anne").0);
    assert!(!ask(&state, "doc:1#viewer@group:9999#member").0);
    assert!(ask(&state, "doc:1#viewer@group:499#member").0);
}

#[test]
fn what_is_subtracted_is_not_looked_at_when_the_base_is_no() {
    let blocked = (0..500).map(|group| format!("doc:1#blocked@group:{group}#member"));
    let state = state(blocked);
    let (allowed, work) = ask(&state, "doc:1#reader@user:anne");
    assert!(!allowed);
    assert_eq!(work.rows, 0, "{work:?}");
}

#[test]
fn who_is_named_nowhere_is_denied_without_a_walk() {
    let groups = (0..5_000).map(|group| format!("doc:1#viewer@group:{group}#member"));
    let orgs = (0..20).map(|org| format!("org:{org}#parent@org:{}", org + 1));
    let state = state(groups.chain(orgs).chain(["doc:1#org@org:0".to_owned()]));
    // Two look-ups on the document; members of groups (also everybody) and admins, from the subject's side.
    assert_eq!(ask(&state, "doc:1#viewer@user:bob"), (false, Work { gets: 2, scans: 3, rows: 0 }));
}

#[test]
fn who_is_named_nowhere_is_denied_where_the_walk_would_meet_the_limit() {
    let orgs = (0..40).map(|org| format!("org:{org}#parent@org:{}", org + 1));
    let state = state(orgs.chain(["doc:1#org@org:0".to_owned()]));
    assert!(!ask(&state, "doc:1#viewer@user:bob").0);
}

#[test]
fn where_the_subject_is_named_once_a_chain_takes_a_scan_a_step() {
    let orgs = (0..20).map(|org| format!("org:{org}#parent@org:{}", org + 1));
    let state = state(orgs.chain(["doc:1#org@org:0".to_owned(), "org:20#admin@user:anne".to_owned()]));
    let (allowed, work) = ask(&state, "doc:1#viewer@user:anne");
    assert!(allowed);
    // The three from the subject's side, usersets and organisation of the document, twenty parents.
    assert_eq!(work, Work { gets: 2, scans: 25, rows: 22 }, "{work:?}");
}

#[test]
fn who_is_named_in_many_places_is_looked_up_where_the_walk_leads() {
    let groups = (0..50).map(|org| format!("org:other-{org}#admin@user:anne"));
    let state = state(groups.chain(["doc:1#org@org:0".to_owned(), "org:0#parent@org:1".to_owned()]));
    let (allowed, work) = ask(&state, "doc:1#viewer@user:anne");
    assert!(!allowed);
    assert!(work.rows < 25, "the places are not all read: {work:?}");
    assert_eq!(work.gets, 4, "two on the document, one on each organisation: {work:?}");
}
