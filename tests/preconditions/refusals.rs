//! What else a write is refused for, and what it does with tuples that are there or not there already.

use super::world::World;
use stonetown::engine::{EngineError, OnDuplicate, OnMissing, Rejection, Settings, WriteRefusal};
use stonetown::storage::StorageError;
use stonetown::tuple::{SchemaId, StoreId};

const SCHEMA: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type doc
  relations
    define owner: [user]
    define viewer: [user, user:*, group#member] or owner
    define can_view: viewer
";

const PLAIN: &str = "doc:1#owner@user:anne";
const SOON: &str = "doc:1#owner@user:anne until 2998-01-01T00:00:00Z";
const LATER: &str = "doc:1#owner@user:anne until 2999-01-01T00:00:00Z";

/// A store that holds one tuple with an end.
fn world() -> World {
    let world = World::with_schema(SCHEMA);
    world.accepts(&[&format!("write {SOON}")]);
    world
}

#[test]
fn a_duplicate_is_an_error_ignored_or_replaced() {
    // What happens to a tuple that is there with the end of SOON: whether it is changed, or the refusal.
    let exists = || Err(WriteRefusal::Exists(PLAIN.to_owned()));
    let otherwise = || Err(WriteRefusal::ExistsOtherwise(PLAIN.to_owned()));
    for (on_duplicate, tuple, expected) in [
        (OnDuplicate::Error, SOON, exists()),
        (OnDuplicate::Error, LATER, exists()),
        (OnDuplicate::Ignore, SOON, Ok(false)),
        (OnDuplicate::Ignore, LATER, otherwise()),
        (OnDuplicate::Ignore, PLAIN, otherwise()),
        (OnDuplicate::Replace, SOON, Ok(false)),
        (OnDuplicate::Replace, LATER, Ok(true)),
        (OnDuplicate::Replace, PLAIN, Ok(true)),
    ] {
        // Beside a new tuple, which shares its fate.
        let world = world();
        let mut request = world.request(&["write doc:2#owner@user:bob", &format!("write {tuple}")]);
        request.on_duplicate = on_duplicate;
        match expected {
            Ok(changed) => {
                assert_eq!(world.engine.write(request).unwrap().changed, 1 + usize::from(changed));
                assert_eq!(world.tuples(""), [tuple, "doc:2#owner@user:bob"]);
            }
            Err(expected) => assert_eq!(world.refusal_unchanged(request), expected),
        }
    }
}

#[test]
fn a_missing_tuple_is_an_error_or_ignored() {
    let world = world();
    let mut request = world.request(&["delete doc:2#owner@user:bob", &format!("delete {PLAIN}")]);
    let missing = WriteRefusal::Missing("doc:2#owner@user:bob".to_owned());
    assert_eq!(world.refusal_unchanged(request.clone()), missing);
    request.on_missing = OnMissing::Ignore;
    assert_eq!(world.engine.write(request).unwrap().changed, 1);
    assert!(world.tuples("").is_empty());
}

#[test]
fn a_write_that_finds_everything_as_asked_for_takes_no_revision() {
    let world = world();
    let before = world.state();
    let mut request = world.request(&[&format!("write {SOON}"), "delete doc:2#owner@user:bob"]);
    request.on_duplicate = OnDuplicate::Ignore;
    request.on_missing = OnMissing::Ignore;
    let answer = world.engine.write(request).unwrap();
    assert_eq!((answer.changed, answer.token.revision), (0, before.0));
    assert_eq!(world.state(), before);
}

#[test]
fn a_tuple_stands_in_a_write_once() {
    let world = world();
    for (first, second) in [
        ("write doc:2#owner@user:bob", "write doc:2#owner@user:bob"),
        ("write doc:2#owner@user:bob", "write doc:2#owner@user:bob until 2999-01-01T00:00:00Z"),
        ("delete doc:2#owner@user:bob", "write doc:2#owner@user:bob"),
        ("delete doc:2#owner@user:bob", "delete doc:2#owner@user:bob"),
    ] {
        let request = world.request(&["write doc:3#owner@user:bob", first, second]);
        let refusal = world.refusal_unchanged(request);
        assert_eq!(refusal, WriteRefusal::Repeated("doc:2#owner@user:bob".to_owned()));
    }
}

#[test]
fn a_write_is_neither_empty_nor_too_large() {
    let world = World::with_settings(SCHEMA, Settings { write_tuples_max: 2, ..Settings::default() });
    assert_eq!(world.refusal_unchanged(world.request(&[])), WriteRefusal::Empty);
    assert_eq!(world.refusal_unchanged(world.request(&["require at-most 0 doc:"])), WriteRefusal::Empty);
    world.accepts(&["write doc:1#owner@user:anne", "write doc:1#owner@user:bob"]);
    let three = ["delete doc:1#owner@user:anne", "write doc:2#owner@user:anne", "write doc:2#owner@user:bob"];
    let refusal = world.refusal_unchanged(world.request(&three));
    assert_eq!(refusal, WriteRefusal::TooManyTuples { found: 3, limit: 2 });
}

#[test]
fn the_schema_refuses_each_tuple_it_does_not_allow() {
    let unknown_type =
        |name: &str, help: &str| Rejection::UnknownType { name: name.to_owned(), help: help.to_owned() };
    let unknown = |object_type: &str, relation: &str, help: &str| Rejection::UnknownRelation {
        object_type: object_type.to_owned(),
        relation: relation.to_owned(),
        help: help.to_owned(),
    };
    let not_allowed = |subject: &str, relation: &str, allowed: &str| Rejection::NotAllowed {
        subject: subject.to_owned(),
        relation: relation.to_owned(),
        allowed: allowed.to_owned(),
    };
    let condition = |subject: &str, relation: &str| Rejection::ConditionNotAllowed {
        is_known: false,
        condition: "in_hours".to_owned(),
        subject: subject.to_owned(),
        relation: relation.to_owned(),
    };
    let types = "; there are `user`, `group`, `doc`";
    let viewers = "`user`, `user:*`, `group#member`";
    let world = world();
    for (tuple, reason) in [
        ("video:1#owner@user:anne", unknown_type("video", types)),
        ("doc:1#owner@robot:r", unknown_type("robot", types)),
        ("doc:1#viewer@team:t#member", unknown_type("team", types)),
        ("doc:1#editor@user:anne", unknown("doc", "editor", "; there are `owner`, `viewer`, `can_view`")),
        ("doc:1#viewer@group:g#boss", unknown("group", "boss", "; there are `member`")),
        ("doc:1#can_view@user:anne", Rejection::NotAssignable("doc#can_view".to_owned())),
        ("doc:1#owner@group:g", not_allowed("group", "doc#owner", "`user`")),
        ("doc:1#owner@user:*", not_allowed("user:*", "doc#owner", "`user`")),
        ("doc:1#owner@group:g#member", not_allowed("group#member", "doc#owner", "`user`")),
        ("doc:1#viewer@group:g", not_allowed("group", "doc#viewer", viewers)),
        ("doc:1#viewer@doc:2#viewer", not_allowed("doc#viewer", "doc#viewer", viewers)),
        ("doc:1#viewer@user:bob with in_hours", condition("user", "doc#viewer")),
        ("doc:1#viewer@user:* with in_hours {\"zone\":\"eu\"}", condition("user:*", "doc#viewer")),
        ("group:g#member@group:g#member", Rejection::Implicit),
    ] {
        let request = world.request(&["write doc:2#owner@user:bob", &format!("write {tuple}")]);
        let refusal = world.refusal_unchanged(request);
        assert_eq!(refusal, WriteRefusal::Rejected { tuple: tuple.to_owned(), reason });
    }
    // A group may hold another's members: only its own are no news.
    world.accepts(&["write group:g#member@group:h#member"]);
}

#[test]
fn tuples_of_relations_and_types_that_are_gone_can_be_deleted() {
    let world = World::with_schema(SCHEMA);
    world.accepts(&["write doc:1#owner@user:anne", "write group:g#member@user:anne"]);
    world.write_schema(
        "model
  schema 1.1
type user
type doc
  relations
    define viewer: [user]
",
    );
    let request = world.request(&["write doc:1#owner@user:bob"]);
    assert!(matches!(
        world.refusal_unchanged(request),
        WriteRefusal::Rejected { reason: Rejection::UnknownRelation { .. }, .. }
    ));
    world.accepts(&[
        "require exists doc:1#owner@user:anne",
        "require at-least 1 group:",
        "delete doc:1#owner@user:anne",
        "delete group:g#member@user:anne",
        "write doc:1#viewer@user:anne",
    ]);
    assert_eq!(world.tuples(""), ["doc:1#viewer@user:anne"]);
}

#[test]
fn a_schema_named_by_its_id_lets_tuples_in_instead_of_the_one_in_force() {
    let world = World::with_schema(SCHEMA);
    let (first, unknown) = (world.write_schema(SCHEMA), SchemaId::generate());
    world.write_schema("model\n  schema 1.1\ntype user\n");
    let mut request = world.request(&["write doc:1#owner@user:anne"]);
    assert!(matches!(world.refusal_unchanged(request.clone()), WriteRefusal::Rejected { .. }));
    request.schema = Some(unknown);
    let error = world.engine.write(request.clone()).unwrap_err();
    assert!(
        matches!(error, EngineError::UnknownSchema { store, schema } if (store, schema) == (world.store, unknown)),
        "{error}"
    );
    request.schema = Some(first);
    assert_eq!(world.engine.write(request).unwrap().schema, Some(first));
}

#[test]
fn a_store_without_schema_and_no_store_at_all_are_errors() {
    let world = world();
    let mut request = world.request(&["write doc:2#owner@user:anne"]);
    request.store = world.engine.create_store(None).unwrap().id;
    let error = world.engine.write(request.clone()).unwrap_err();
    assert!(matches!(error, EngineError::NoSchema(store) if store == request.store), "{error}");
    request.store = StoreId::generate();
    let error = world.engine.write(request.clone()).unwrap_err();
    assert!(
        matches!(error, EngineError::Storage(StorageError::NoStore(store)) if store == request.store),
        "{error}"
    );
}
