use stonetown::engine::{ApplyRefusal, At};

use super::world::{DOCS, World, key, of_relation, of_type, tuple};

const END: &str = "2999-01-01T00:00:00Z";

fn sorted(mut tuples: Vec<String>) -> Vec<String> {
    tuples.sort();
    tuples
}

#[test]
fn a_renamed_type_takes_its_tuples_along_as_object_subject_userset_and_everybody() {
    let limited = format!("doc:3#viewer@user:anne with soon {{\"x\":3}} until {END}");
    let world = World::new(
        DOCS,
        &[
            "doc:1#viewer@user:anne",
            "doc:1#viewer@user:*",
            "doc:1#viewer@group:g#member",
            "doc:2#viewer@doc:1#owner",
            "doc:1#folder@folder:f",
            "folder:f#viewer@user:bob",
            "group:g#member@user:carl",
            "group:g#member@group:h#member",
            &limited,
        ],
    );
    let schema = DOCS.replace("type doc", "type document").replace("doc#", "document#");
    let schema = schema.replace("user", "person").replace("group", "team");
    let mut change = world.change(&schema);
    change.renames = vec![of_type("doc=document"), of_type("user=person"), of_type("group=team")];
    let answer = world.apply(change);
    // Every tuple names one of the three; those that two filters find move once.
    assert_eq!(answer.report.moved, 9);
    assert_eq!(
        sorted(world.tuples()),
        sorted(vec![
            "document:1#viewer@person:anne".into(),
            "document:1#viewer@person:*".into(),
            "document:1#viewer@team:g#member".into(),
            "document:2#viewer@document:1#owner".into(),
            "document:1#folder@folder:f".into(),
            "folder:f#viewer@person:bob".into(),
            "team:g#member@person:carl".into(),
            "team:g#member@team:h#member".into(),
            format!("document:3#viewer@person:anne with soon {{\"x\":3}} until {END}"),
        ])
    );
    assert!(world.check("document:1#can_view@person:carl", &At::Head));
    assert!(world.check("document:1#can_view@person:bob", &At::Head));
}

#[test]
fn a_renamed_relation_takes_its_tuples_along_and_the_usersets_that_name_it() {
    let tuples = ["doc:2#viewer@doc:1#owner", "doc:1#owner@user:anne", "group:g#member@user:anne"];
    let world = World::new(DOCS, &tuples);
    let schema = DOCS.replace("owner", "boss");
    let mut change = world.change(&schema);
    change.renames = vec![of_relation("doc#owner=boss")];
    assert_eq!(world.apply(change).report.moved, 2);
    assert_eq!(
        world.tuples(),
        ["doc:1#boss@user:anne", "doc:2#viewer@doc:1#boss", "group:g#member@user:anne"]
    );
    assert!(world.check("doc:2#can_view@user:anne", &At::Head));
}

#[test]
fn a_type_and_its_relation_are_renamed_by_the_names_before() {
    let world = World::new(DOCS, &["doc:1#owner@user:anne", "doc:2#viewer@doc:1#owner"]);
    let schema = DOCS.replace("owner", "boss").replace("type doc", "type page").replace("doc#", "page#");
    let mut change = world.change(&schema);
    change.renames = vec![of_relation("doc#owner=boss"), of_type("doc=page")];
    assert_eq!(world.apply(change).report.moved, 2);
    assert_eq!(world.tuples(), ["page:1#boss@user:anne", "page:2#viewer@page:1#boss"]);
}

#[test]
fn two_names_are_exchanged() {
    let schema = "\
model
  schema 1.1
type user
type doc
  relations
    define a: [user]
    define b: [user]
";
    let world = World::new(schema, &["doc:1#a@user:x", "doc:1#b@user:x", "doc:2#a@user:y"]);
    let before = world.newest();
    let mut change = world.change(schema);
    change.renames = vec![of_relation("doc#a=b"), of_relation("doc#b=a")];
    assert_eq!(world.apply(change).report.moved, 3);
    assert_eq!(world.tuples(), ["doc:1#a@user:x", "doc:1#b@user:x", "doc:2#b@user:y"]);
    // What is the same under its new name is not changed at all.
    assert_eq!(world.log_after(&before), ["3 Deleted doc:2#a@user:y", "3 Written doc:2#b@user:y"]);
}

#[test]
fn what_lands_on_an_identical_tuple_joins_it_and_on_another_is_refused() {
    let schema = "\
model
  schema 1.1
type user
type doc
  relations
    define a: [user]
    define b: [user]
";
    let one = schema.replace("    define a: [user]\n", "");
    let world = World::new(schema, &["doc:1#a@user:x", "doc:1#b@user:x", "doc:2#a@user:y"]);
    let mut change = world.change(&one);
    change.renames = vec![of_relation("doc#a=b")];
    assert_eq!(world.apply(change).report.moved, 2);
    assert_eq!(world.tuples(), ["doc:1#b@user:x", "doc:2#b@user:y"]);

    let other = format!("doc:1#b@user:x until {END}");
    let world = World::new(schema, &["doc:1#a@user:x", &other]);
    let mut change = world.change(&one);
    change.renames = vec![of_relation("doc#a=b")];
    let refusal = world.refusal(change.clone());
    let (from, to) = ("doc:1#a@user:x".to_owned(), "doc:1#b@user:x".to_owned());
    assert_eq!(refusal, ApplyRefusal::Lands { from, to });
    // One of them deleted with the change: the other takes the place.
    change.deletes = vec![key("doc:1#b@user:x")];
    assert_eq!(world.apply(change).report.moved, 1);
    assert_eq!(world.tuples(), ["doc:1#b@user:x"]);
}

#[test]
fn writes_come_after_the_renames_and_deletes_before() {
    let world = World::new(DOCS, &["doc:1#owner@user:anne", "doc:2#owner@user:bob"]);
    let mut change = world.change(&DOCS.replace("owner", "boss"));
    change.renames = vec![of_relation("doc#owner=boss")];
    change.deletes = vec![key("doc:1#owner@user:anne")];
    change.writes = vec![tuple("doc:1#boss@user:carl")];
    let report = world.apply(change).report;
    assert_eq!((report.moved, report.written, report.deleted), (1, 1, 1));
    assert_eq!(world.tuples(), ["doc:1#boss@user:carl", "doc:2#boss@user:bob"]);
}

#[test]
fn what_did_not_count_before_stays_where_it_is() {
    // The first schema lets folders own; the second one does not any longer.
    let first = DOCS.replace("define owner: [user]", "define owner: [user, folder]");
    let world = World::new(&first, &["doc:1#owner@folder:f", "doc:1#owner@user:anne"]);
    let mut change = world.change(DOCS);
    change.allow_silenced = true;
    world.apply(change);
    // Under its new name it would count again, which nobody has asked for.
    let mut change = world.change(&first.replace("owner", "boss"));
    change.renames = vec![of_relation("doc#owner=boss")];
    assert_eq!(world.apply(change).report.moved, 1);
    assert_eq!(world.tuples(), ["doc:1#boss@user:anne", "doc:1#owner@folder:f"]);
}

#[test]
fn what_the_new_schema_refuses_under_its_new_name_is_silenced_not_moved() {
    let world = World::new(DOCS, &["doc:1#viewer@user:*", "doc:1#viewer@user:anne"]);
    let mut change = world.change(
        &DOCS
            .replace("viewer: [user, user:*,", "reader: [user,")
            .replace("define can_view: viewer or owner", "define can_view: reader or owner"),
    );
    change.renames = vec![of_relation("doc#viewer=reader")];
    let refusal = world.refusal(change.clone());
    assert!(matches!(refusal, ApplyRefusal::Silences(report) if report.silenced.total() == 1));
    change.allow_silenced = true;
    assert_eq!(world.apply(change).report.moved, 1);
    assert_eq!(world.tuples(), ["doc:1#reader@user:anne", "doc:1#viewer@user:*"]);
}
