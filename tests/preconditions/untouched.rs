//! `untouched`: what the change log has about relations, or the schema, since a token.

use std::ops::ControlFlow;

use stonetown::engine::{
    EngineError, OnDuplicate, Precondition, PreconditionError, StorageError, WriteRefusal,
};
use stonetown::tuple::Timestamp;

use super::world::World;

const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type doc
  relations
    define owner: [user]
    define viewer: [user, user:*, group#member]
";

fn world() -> (World, String) {
    let world = World::with_schema(SCHEMA);
    let token = world.accepts(&["write doc:1#owner@user:anne", "write group:g#member@user:bob"]);
    (world, token)
}

/// Asserts which areas are touched since a token, in a state that is not changed by asking.
fn assert_touched(world: &World, token: &str, areas: &[(&str, bool)]) {
    for (areas, is_touched) in areas {
        let precondition: Precondition = format!("untouched {areas} since {token}").parse().unwrap();
        // A write that finds everything as asked for takes no revision.
        let mut request = world.request(&["write group:g#member@user:bob"]);
        request.on_duplicate = OnDuplicate::Replace;
        request.preconditions = vec![precondition];
        match (world.engine.write(request), is_touched) {
            (Ok(_), false) | (Err(EngineError::Refused(WriteRefusal::Precondition { .. })), true) => {}
            (other, _) => panic!("{areas}: {other:?}"),
        }
    }
}

#[test]
fn a_write_a_replacement_and_a_deletion_touch_their_relation_and_no_other() {
    let changes: [&[&str]; 3] = [
        &["write doc:2#owner@user:bob"],
        &["write doc:1#owner@user:anne until 2999-01-01T00:00:00Z"],
        &["delete doc:1#owner@user:anne"],
    ];
    for change in changes {
        let (world, token) = world();
        assert_touched(&world, &token, &[("*", false), ("doc#owner", false), ("schema", false)]);
        let mut request = world.request(change);
        request.on_duplicate = OnDuplicate::Replace;
        world.engine.write(request).unwrap();
        assert_touched(
            &world,
            &token,
            &[
                ("*", true),
                ("doc#owner", true),
                ("doc#viewer,doc#owner", true),
                ("*,schema", true),
                ("doc#*", true),
                ("group#*", false),
                ("doc#viewer", false),
                ("group#member", false),
                ("group#owner,doc#member,nothing#here", false),
                ("schema", false),
            ],
        );
        let newest = world.engine.seal(&world.engine.newest(world.store).unwrap());
        assert_touched(&world, &newest, &[("*,schema", false)]);
    }
}

#[test]
fn what_is_there_again_was_touched() {
    let (world, token) = world();
    world.accepts(&["delete doc:1#owner@user:anne"]);
    world.accepts(&["write doc:1#owner@user:anne"]);
    assert_touched(&world, &token, &[("doc#owner", true), ("doc#viewer", false)]);
}

#[test]
fn only_a_schema_touches_the_schema() {
    let (world, token) = world();
    world.write_schema(SCHEMA);
    assert_touched(&world, &token, &[("schema", true), ("doc#owner,schema", true), ("*", false)]);
    let store = world.engine.create_store(None).unwrap().id;
    let empty = world.engine.seal(&world.engine.newest(store).unwrap());
    let mut request = world.request(&[&format!("require untouched schema since {empty}")]);
    request.store = store;
    request.writes = vec!["doc:1#owner@user:anne".parse().unwrap()];
    let (tree, _) = stonetown::schema::read_schema("test.fga", SCHEMA).unwrap();
    world.engine.write_schema(store, &tree).unwrap();
    let refused = world.engine.write(request);
    assert!(matches!(refused, Err(EngineError::Refused(WriteRefusal::Precondition { .. }))));
}

#[test]
fn an_expired_tuple_touches_when_it_is_collected_and_a_purge_touches_everything() {
    let (world, _) = world();
    let token = world.accepts(&["write doc:2#owner@user:anne until 2001-01-01T00:00:00Z"]);
    assert_touched(&world, &token, &[("*", false)]);
    world.engine.collect(world.store, None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_touched(&world, &token, &[("doc#owner", true), ("doc#viewer", false)]);

    let token = world.accepts(&["write doc:3#owner@user:anne"]);
    world.engine.purge(world.store, "doc:3".parse().unwrap(), false).unwrap();
    assert_touched(
        &world,
        &token,
        &[("doc#owner", true), ("group#member", true), ("*", true), ("schema", false)],
    );
}

#[test]
fn a_log_that_is_collected_is_an_error_that_says_so() {
    let (world, token) = world();
    world.accepts(&["write doc:2#owner@user:anne"]);
    let now = world.engine.newest(world.store).unwrap().time;
    std::thread::sleep(std::time::Duration::from_millis(5));
    let before = Timestamp::from_micros(now.as_micros() + 1);
    world.engine.collect(world.store, Some(before), &mut |_| ControlFlow::Continue(())).unwrap();
    let write = [&*format!("require untouched doc#viewer since {token}"), "write doc:4#owner@user:anne"];
    let error = world.write(&write).unwrap_err();
    assert!(matches!(error, EngineError::Storage(StorageError::LogCollected { .. })), "{error}");
}

#[test]
fn the_log_is_not_followed_for_ever() {
    let (world, token) = world();
    let write = |from: usize, to: usize| {
        let mut request = world.request(&[]);
        request.writes = (from..to).map(|id| format!("doc:{id}#viewer@user:anne").parse().unwrap()).collect();
        world.engine.write(request).unwrap();
    };
    write(0, 100_000);
    assert_touched(&world, &token, &[("doc#owner", false), ("doc#viewer", true)]);
    write(100_000, 100_001);
    let lines = [&*format!("require untouched doc#owner since {token}"), "write doc:2#owner@user:anne"];
    let refusal = world.refusal_unchanged(world.request(&lines));
    assert_eq!(refusal, WriteRefusal::TooMuchSince(100_000));
    // What is found before that is an answer.
    assert_touched(&world, &token, &[("doc#viewer", true)]);
}

#[test]
fn of_many_writes_since_the_same_token_one_is_made() {
    for round in 0..20 {
        let (world, token) = world();
        let requests = (0..8).map(|id| {
            let write = format!("write doc:{round}#viewer@user:u{id}");
            world.request(&[&format!("require untouched doc#viewer since {token}"), &write])
        });
        let outcomes = world.race(requests.collect());
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(world.tuples("doc:#viewer").len(), 1);
    }
}

#[test]
fn what_is_no_area_is_told_with_what_would_be_right() {
    for area in ["doc", "doc#", "#viewer", "doc:1#viewer", ""] {
        let text = format!("untouched doc#viewer,{area} since AQID");
        let error = text.parse::<Precondition>().unwrap_err();
        assert_eq!(error, PreconditionError::Area { text, area: area.to_owned() });
        assert!(error.to_string().contains("`TYPE#RELATION`"), "{error}");
    }
    let unknown = "untouched doc#viewer".parse::<Precondition>().unwrap_err();
    assert!(unknown.to_string().contains("untouched REL[,REL…] since TOKEN"), "{unknown}");
}
