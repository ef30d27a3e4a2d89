use std::ops::ControlFlow;

use stonetown::engine::{At, Cause, Engine, ReadRequest, RestoreRequest, RestoreTo, Settings, Since};
use stonetown::tuple::TupleKey;

use super::world::{DOCS, World, of_relation, of_type, tuple};

#[test]
fn before_and_after_a_rename_the_same_is_answered_under_the_schema_of_the_day() {
    let tuples = [
        "doc:1#viewer@user:*",
        "doc:2#viewer@group:g#member",
        "doc:3#viewer@doc:2#owner",
        "doc:2#owner@user:olga",
        "doc:4#folder@folder:f",
        "folder:f#viewer@user:fred",
        "group:g#member@group:h#member",
        "group:h#member@user:hans",
        "doc:5#viewer@user:hans until 2999-01-01T00:00:00Z",
    ];
    let world = World::new(DOCS, &tuples);
    let then = At::Token(world.newest());
    let schema = DOCS.replace("type doc", "type page").replace("doc#", "page#").replace("owner", "boss");
    let mut change = world.change(&schema);
    change.renames = vec![of_type("doc=page"), of_relation("doc#owner=boss")];
    world.apply(change);
    let mut yes = 0;
    for id in 1..=5 {
        for user in ["olga", "fred", "hans", "x"] {
            for (before, after) in [("can_view", "can_view"), ("owner", "boss"), ("viewer", "viewer")] {
                let was = world.check(&format!("doc:{id}#{before}@user:{user}"), &then);
                let is = world.check(&format!("page:{id}#{after}@user:{user}"), &At::Head);
                assert_eq!(was, is, "{id} {user} {before}");
                yes += usize::from(is);
            }
        }
    }
    assert!((10..50).contains(&yes), "{yes}");
    let (_, mut now) = world.state();
    now.iter_mut().for_each(|text| *text = text.replace("page:", "doc:").replace("boss", "owner"));
    now.sort();
    assert_eq!(world.state_at(then).1, now);
}

#[test]
fn the_log_and_the_period_of_an_answer_know_the_revision() {
    let world = World::new(DOCS, &["doc:1#owner@user:anne", "doc:1#viewer@user:bob"]);
    let before = world.newest();
    let mut change = world.change(&DOCS.replace("owner", "boss"));
    change.renames = vec![of_relation("doc#owner=boss")];
    change.writes = vec![tuple("doc:2#boss@user:carl")];
    world.apply(change);
    assert_eq!(
        world.log_after(&before),
        [
            "3 Written doc:1#boss@user:anne",
            "3 Deleted doc:1#owner@user:anne",
            "3 Written doc:2#boss@user:carl"
        ]
    );
    let view = world.engine.view(world.store, None, &At::Head).unwrap();
    let key: TupleKey = "doc:1#boss@user:anne".parse().unwrap();
    let period = view.period(key.as_ref(), &Default::default()).unwrap();
    let Since::Moment(moment) = period.since else { panic!("{period:?}") };
    assert_eq!((moment.revision.0, moment.cause), (3, Cause::Schema));
}

#[test]
fn a_backup_is_taken_back_before_a_rename_and_after_it() {
    let tuples = ["doc:1#owner@user:anne", "doc:2#viewer@doc:1#owner", "doc:1#viewer@user:*"];
    let world = World::new(DOCS, &tuples);
    let (before, old) = world.state();
    let mut change = world.change(&DOCS.replace("owner", "boss"));
    change.renames = vec![of_relation("doc#owner=boss")];
    world.apply(change);
    let (after, new) = world.state();
    world.delete(&["doc:1#viewer@user:*"]);
    let place = world.directory.path().join("backups");
    world.engine.backup(&place, None, &mut |_| {}).unwrap();
    for (revision, tuples, schemas, right) in
        [(before, old, 1, "doc:2#can_view@user:anne"), (after, new, 2, "doc:2#can_view@user:anne")]
    {
        let dir = world.directory.path().join(format!("at-{revision}"));
        let to = RestoreTo::Revision(revision, world.store);
        let request = RestoreRequest { place: place.clone(), backup: None, dir, to };
        let (engine, _) = Engine::restore(&request, Settings::default(), &mut |_| {}).unwrap();
        let directory = tempfile::tempdir().unwrap();
        // Validated when it goes.
        let restored = World { engine, store: world.store, directory };
        assert_eq!(restored.state(), (revision, tuples));
        assert_eq!(restored.engine.list_schemas(world.store).unwrap().len(), schemas);
        assert!(restored.check(right, &At::Head));
    }
}

#[test]
fn the_past_before_a_change_is_collected_like_any_other() {
    let world = World::new(DOCS, &["doc:1#owner@user:anne", "doc:1#viewer@user:bob"]);
    let then = world.newest();
    let mut change = world.change(&DOCS.replace("owner", "boss"));
    change.renames = vec![of_relation("doc#owner=boss")];
    let made = world.apply(change).applied.unwrap().token;
    world.write(&["doc:2#boss@user:carl"]);
    let collect =
        |time| world.engine.collect(world.store, Some(time), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(collect(made.time).oldest, made.revision);
    let at = At::Token(then);
    let request = ReadRequest { store: world.store, filter: Default::default(), after: None, at };
    assert!(world.engine.read(&request, &mut |_| ControlFlow::Continue(())).is_err());
    assert!(world.check("doc:1#can_view@user:anne", &At::Token(world.engine.seal(&made))));
}
