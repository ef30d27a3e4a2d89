//! Each form of precondition by itself: when it holds, when it fails, what its text may be.

use super::world::World;
use stonetown::engine::{EngineError, OnDuplicate, Precondition, PreconditionError};
use stonetown::tuple::TokenError;

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
    define can_view: viewer or owner
";

/// A store with a document that is owned by one, and seen by everybody, a group and another.
fn world() -> (World, String) {
    let world = World::with_schema(SCHEMA);
    let token = world.accepts(&[
        "write doc:1#owner@user:anne",
        "write doc:1#viewer@user:bob",
        "write doc:1#viewer@user:*",
        "write doc:1#viewer@group:g#member",
        "write group:g#member@user:bob",
    ]);
    (world, token)
}

/// Asserts that a write of an unrelated tuple is made when each of these is required.
fn hold(world: &World, preconditions: &[&str]) {
    for precondition in preconditions {
        let tuple = format!("write group:other#member@user:{}", world.state().0);
        world.accepts(&[&format!("require {precondition}"), &tuple]);
    }
}

/// Asserts that a write of an unrelated tuple is refused when each of these is required.
fn fail(world: &World, preconditions: &[&str]) {
    for precondition in preconditions {
        let required = format!("require {precondition}");
        world.refuses(&[&required, "write group:never#member@user:x"], precondition);
    }
}

#[test]
fn exists_looks_for_the_stored_tuple() {
    let (world, _) = world();
    hold(&world, &["exists doc:1#viewer@user:bob", "exists doc:1#viewer@user:*"]);
    hold(&world, &["exists doc:1#viewer@group:g#member"]);
    // What a check would answer counts for nothing, nor what has ended.
    world.accepts(&["write doc:2#owner@user:anne until 2001-01-01T00:00:00Z"]);
    fail(&world, &["exists doc:1#can_view@user:bob", "exists doc:1#viewer@user:anne"]);
    fail(&world, &["exists doc:2#owner@user:anne", "exists doc:1#nowhere@user:anne"]);
}

#[test]
fn absent_is_the_contrary_of_exists() {
    let (world, _) = world();
    world.accepts(&["write doc:2#owner@user:anne until 2001-01-01T00:00:00Z"]);
    hold(&world, &["absent doc:1#viewer@user:anne", "absent doc:2#owner@user:anne"]);
    fail(&world, &["absent doc:1#viewer@user:bob", "absent doc:1#viewer@user:*"]);
    fail(&world, &["absent doc:1#viewer@group:g#member"]);
}

#[test]
fn counts_hold_up_to_their_bound_for_every_shape_of_filter() {
    let (world, _) = world();
    for (filter, count) in [
        ("doc:1#viewer@*", 3),
        ("doc:1#viewer", 3),
        ("doc:1#viewer@user:", 2),
        ("doc:1#viewer@user:*", 1),
        ("doc:1#viewer@group:g#member", 1),
        ("doc:1", 4),
        ("doc:", 4),
        ("doc:#owner", 1),
        ("#owner", 1),
        ("@user:bob", 2),
        ("@group:", 1),
        ("doc:9", 0),
        ("nothing:", 0),
    ] {
        hold(&world, &[&format!("at-least {count} {filter}"), &format!("at-most {count} {filter}")]);
        fail(&world, &[&format!("at-least {} {filter}", count + 1)]);
        if count > 0 {
            fail(&world, &[&format!("at-most {} {filter}", count - 1)]);
        }
    }
    let all = world.state().1.len();
    fail(&world, &[&format!("at-least {} @*", all + 1), &format!("at-most {} @*", all - 1)]);
    hold(&world, &["at-least 0 @*", "at-most 18446744073709551615 @*"]);
}

#[test]
fn the_tuples_of_the_write_itself_do_not_count() {
    let world = World::with_schema(SCHEMA);
    world.refuses(
        &["require exists doc:1#owner@user:anne", "write doc:1#owner@user:anne"],
        "exists doc:1#owner@user:anne",
    );
    world.accepts(&["require at-most 0 doc:1", "write doc:1#owner@user:anne", "write doc:1#owner@user:bob"]);
    world.accepts(&["require at-least 2 doc:1", "delete doc:1#owner@user:anne"]);
}

#[test]
fn unchanged_fails_when_a_match_was_written_deleted_or_replaced() {
    let changes: [&[&str]; 5] = [
        &["write doc:1#viewer@user:carl"],
        &["delete doc:1#viewer@user:bob"],
        &["delete doc:1#viewer@user:bob", "write doc:1#viewer@user:carl"],
        // There again, yet not unchanged.
        &["delete doc:1#viewer@user:*"],
        &["write doc:1#viewer@user:bob until 2999-01-01T00:00:00Z"],
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let (world, token) = world();
        let mut request = world.request(change);
        request.on_duplicate = OnDuplicate::Replace;
        world.engine.write(request).unwrap();
        if at == 3 {
            world.accepts(&["write doc:1#viewer@user:*"]);
        }
        for filter in ["doc:1#viewer@*", "doc:1", "doc:", "#viewer", "@*"] {
            fail(&world, &[&format!("unchanged {filter} since {token}")]);
        }
    }
}

#[test]
fn unchanged_holds_when_only_something_else_changed() {
    let (world, token) = world();
    world.accepts(&["write doc:2#viewer@user:bob", "delete doc:1#owner@user:anne"]);
    world.accepts(&["write doc:1#owner@user:carl"]);
    // Neither a refused write nor one that finds everything as asked for is a change.
    let refused = ["require at-most 0 doc:1", "write doc:1#viewer@user:carl"];
    world.refuses(&refused, "at-most 0 doc:1");
    let mut request = world.request(&["write doc:1#viewer@user:bob"]);
    request.on_duplicate = OnDuplicate::Replace;
    assert_eq!(world.engine.write(request).unwrap().changed, 0);
    let filters =
        ["doc:1#viewer@*", "doc:1#viewer@user:", "doc:1#viewer@user:bob", "@group:g#member", "doc:9"];
    for filter in filters {
        hold(&world, &[&format!("unchanged {filter} since {token}")]);
    }
    // Since then it is another state: a newer token sees it as it is.
    let token = world.accepts(&["write doc:3#owner@user:anne"]);
    hold(&world, &[&format!("unchanged doc: since {token}")]);
}

#[test]
fn a_token_of_another_place_is_no_refusal_but_an_error() {
    let (world, own) = world();
    let elsewhere = World::with_schema(SCHEMA).accepts(&["write doc:1#owner@user:anne"]);
    let neighbour = world.engine.create_store(None).unwrap().id;
    let before = world.state();
    let write = |token: &str, store| {
        let mut request = world
            .request(&[&format!("require unchanged doc:1 since {token}"), "write doc:1#viewer@user:carl"]);
        request.store = store;
        world.engine.write(request).unwrap_err()
    };
    let error = write(&own, neighbour);
    assert!(
        matches!(error, EngineError::ForeignToken { asked, found } if (asked, found) == (neighbour, world.store)),
        "{error}"
    );
    let error = write(&elsewhere, world.store);
    assert!(matches!(error, EngineError::Token(TokenError::Forged(_))), "{error}");
    let error = write("nonsense", world.store);
    assert!(matches!(error, EngineError::Token(_)), "{error}");
    assert_eq!(world.state(), before);
}

#[test]
fn texts_are_read_as_they_are_printed() {
    for text in [
        "exists doc:1#owner@user:anne",
        "absent doc:1#viewer@group:g#member",
        "at-least 2 doc:1#viewer",
        "at-most 0 doc:",
        "at-most 1 #owner@user:",
        "unchanged doc:1#viewer@user:* since AQID",
        "untouched doc#viewer since AQID",
        "untouched doc#viewer,group#*,schema,* since AQID",
    ] {
        assert_eq!(text.parse::<Precondition>().unwrap().to_string(), text);
        let padded = format!("  {}  ", text.replacen(' ', "   ", 1));
        assert_eq!(padded.parse::<Precondition>(), text.parse());
    }
    // `@*` is any subject, as no `@` is.
    assert_eq!("at-most 0 doc:1#owner@*".parse::<Precondition>(), "at-most 0 doc:1#owner".parse());
}

#[test]
fn the_filter_that_matches_all_is_read_as_it_is_printed() {
    assert_eq!("at-most 0 @*".parse::<Precondition>().unwrap().to_string(), "at-most 0 @*");
}

#[test]
fn what_is_no_precondition_is_told_with_what_would_be_right() {
    for text in
        ["", "exists", "exist doc:1#owner@user:anne", "at-most doc:1", "at-least -1 doc:1", "unchanged doc:1"]
    {
        let error = text.parse::<Precondition>().unwrap_err();
        assert_eq!(error, PreconditionError::Unknown(text.to_owned()));
        assert!(error.to_string().contains("`at-least N FILTER`"), "{error}");
    }
    for (text, right) in [
        ("exists doc:1#owner", "write `OBJECT#RELATION@SUBJECT`"),
        ("absent doc#owner@user:anne", "write `TYPE:ID`"),
        ("at-most 0 doc", "write `[TYPE:[ID]][#RELATION][@SUBJECT]`"),
        ("unchanged doc:1#owner@anne since AQID", "write `[TYPE:[ID]][#RELATION][@SUBJECT]`"),
    ] {
        let message = text.parse::<Precondition>().unwrap_err().to_string();
        assert!(message.contains(text) && message.contains(right), "{message}");
    }
}
