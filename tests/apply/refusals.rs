use stonetown::engine::{ApplyRefusal, EngineError, Settings, WriteRefusal};

use super::world::{DOCS, World, key, of_relation, of_type, tuple};

fn renamed() -> String {
    DOCS.replace("owner", "boss")
}

#[test]
fn nothing_to_apply_is_refused() {
    let world = World::new(DOCS, &[]);
    assert_eq!(world.refusal(world.change_without_schema()), ApplyRefusal::Empty);
}

#[test]
fn renames_are_refused_without_a_schema_and_under_unknown_names() {
    let world = World::new(DOCS, &["doc:1#owner@user:anne"]);
    let rename = of_relation("doc#owner=boss");
    let mut change = world.change_without_schema();
    change.renames = vec![rename.clone()];
    assert_eq!(world.refusal(change), ApplyRefusal::RenameWithoutSchema(rename));

    for (rename, is_old) in [
        (of_type("docs=doc"), true),
        (of_relation("docs#owner=boss"), true),
        (of_relation("doc#owners=boss"), true),
        (of_type("doc=page"), false),
        (of_relation("doc#owner=chief"), false),
        (of_relation("group#member=boss"), false),
    ] {
        let mut change = world.change(&renamed());
        change.renames = vec![rename.clone()];
        let expected =
            if is_old { ApplyRefusal::UnknownOld(rename) } else { ApplyRefusal::UnknownNew(rename) };
        assert_eq!(world.refusal(change), expected);
    }

    let mut change = world.change(&renamed());
    change.renames = vec![of_relation("doc#owner=boss"), of_relation("doc#owner=viewer")];
    assert_eq!(world.refusal(change), ApplyRefusal::RenamedTwice(of_relation("doc#owner=viewer")));

    // A store without a schema has no names.
    let mut change = world.change(&renamed());
    change.store = world.engine.create_store(None).unwrap().id;
    change.renames = vec![of_relation("doc#owner=boss")];
    assert_eq!(world.refusal(change), ApplyRefusal::UnknownOld(of_relation("doc#owner=boss")));
}

#[test]
fn more_than_the_limit_does_not_move() {
    let settings = Settings { move_tuples_max: 2, ..Settings::default() };
    let tuples = ["doc:1#owner@user:a", "doc:2#owner@user:a", "doc:3#owner@user:a", "group:g#member@user:a"];
    let world = World::with_settings(DOCS, &tuples, settings);
    let mut change = world.change(&renamed());
    change.renames = vec![of_relation("doc#owner=boss")];
    assert_eq!(world.refusal(change.clone()), ApplyRefusal::TooManyMoved(2));
    change.deletes = vec![key("doc:2#owner@user:a")];
    assert_eq!(world.apply(change).report.moved, 2);
}

#[test]
fn a_new_name_that_is_too_long_is_refused() {
    let id = "x".repeat(252);
    let world = World::new(DOCS, &[&format!("doc:{id}#owner@user:a")]);
    let long = "d".repeat(100);
    let mut change =
        world.change(&DOCS.replace("type doc", &format!("type {long}")).replace("doc#", &format!("{long}#")));
    change.renames = vec![of_type(&format!("doc={long}"))];
    let refusal = world.refusal(change);
    assert!(matches!(refusal, ApplyRefusal::Unnameable { .. }), "{refusal}");
}

#[test]
fn writes_deletes_and_preconditions_are_refused_as_in_a_write_and_nothing_is_half_applied() {
    let world = World::new(DOCS, &["doc:1#owner@user:anne", "doc:2#owner@user:bob"]);
    let token = world.newest();
    let change = || {
        let mut change = world.change(&renamed());
        change.renames = vec![of_relation("doc#owner=boss")];
        change
    };
    let refused = |change| match world.error(change) {
        EngineError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    };
    let mut with = change();
    with.writes = vec![tuple("doc:1#owner@user:carl")];
    assert!(matches!(refused(with), WriteRefusal::Rejected { .. }));
    let mut with = change();
    with.writes = vec![tuple("doc:1#boss@user:anne")];
    assert_eq!(refused(with), WriteRefusal::Exists("doc:1#boss@user:anne".to_owned()));
    let mut with = change();
    with.deletes = vec![key("doc:1#boss@user:anne")];
    assert_eq!(refused(with), WriteRefusal::Missing("doc:1#boss@user:anne".to_owned()));
    let mut with = change();
    with.writes = vec![tuple("doc:9#boss@user:a"), tuple("doc:9#boss@user:a")];
    assert_eq!(refused(with), WriteRefusal::Repeated("doc:9#boss@user:a".to_owned()));
    let mut with = change();
    with.preconditions = vec!["absent doc:1#owner@user:anne".parse().unwrap()];
    assert!(matches!(refused(with), WriteRefusal::Precondition { .. }));
    world.write(&["doc:3#owner@user:bob"]);
    let untouched = |area: &str| vec![format!("untouched {area} since {token}").parse().unwrap()];
    let mut with = change();
    with.preconditions = untouched("doc#owner,schema");
    assert!(matches!(refused(with), WriteRefusal::Precondition { .. }));
    // What is untouched lets it through, and the schema that it writes touches `schema`.
    let mut with = change();
    with.preconditions = untouched("group#member,schema");
    world.apply(with);
    let mut with = world.change(&renamed());
    with.preconditions = untouched("schema");
    assert!(matches!(refused(with), WriteRefusal::Precondition { .. }));
    let mut with = world.change_without_schema();
    with.writes = vec![tuple("doc:1#boss@user:dora")];
    with.preconditions = vec![format!("untouched * since {}", world.newest()).parse().unwrap()];
    assert_eq!(world.apply(with).report.written, 1);
}

#[test]
fn a_first_schema_and_tuples_alone_are_applied_too() {
    let directory = World::new(DOCS, &[]);
    let store = directory.engine.create_store(None).unwrap().id;
    let mut change = directory.change(DOCS);
    change.store = store;
    change.writes = vec![tuple("doc:1#owner@user:anne")];
    let answer = directory.engine.apply(change).unwrap();
    let applied = answer.applied.unwrap();
    assert_eq!((applied.token.revision.0, answer.report.written), (1, 1));
    assert!(applied.schema.is_some());
    let mut change = directory.change_without_schema();
    change.store = store;
    change.deletes = vec![key("doc:1#owner@user:anne")];
    let answer = directory.engine.apply(change).unwrap();
    assert_eq!((answer.applied.unwrap().schema, answer.report.deleted), (None, 1));
}
