//! Lists and time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::ops::ControlFlow;
use std::time::Duration;

use stonetown::engine::{
    At, Engine, EngineError, EvalError, Given, Holding, ListEnd, ListObjects, ListSubjects, OnDuplicate,
    OnMissing, Resume, Settings, View, WriteRequest,
};
use stonetown::schema::Tree;
use stonetown::tuple::{ObjectRef, SubjectRef, Tuple};

const SCHEMA: &str = "
model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type doc
  relations
    define viewer: [user]
    define blocked: [group#member]
    define can: viewer but not blocked
";

/// Three documents, of which `doc:b` takes long to check; so does every check of `user:u` on it.
fn engine(dir: &tempfile::TempDir, check_time: Duration) -> Engine {
    let mut settings = Settings::default();
    settings.database.create = true;
    settings.limits.time_max = check_time;
    let engine = Engine::open(dir.path(), settings).unwrap();
    let store = engine.create_store(None).unwrap().id;
    engine.write_schema(store, &Tree::parse("lists", SCHEMA).unwrap()).unwrap();
    let of = |doc: &str| format!("doc:{doc}#viewer@user:u").parse::<Tuple>().unwrap();
    let block = |group: usize| format!("doc:b#blocked@group:{group}#member").parse::<Tuple>().unwrap();
    // Named in a group, so that groups are worth a look.
    let named = "group:elsewhere#member@user:u".parse::<Tuple>().unwrap();
    let writes = ["a", "b", "c"].map(of).into_iter().chain((0..2_000).map(block)).chain([named]).collect();
    let request = WriteRequest {
        store,
        writes,
        deletes: Vec::new(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        schema: None,
    };
    engine.write(request).unwrap();
    engine
}

fn objects(
    view: &View<'_>,
    after: Option<&Resume>,
    time_max: Duration,
) -> Result<(Vec<String>, ListEnd, Option<Resume>), EngineError> {
    let mut found = Vec::new();
    let request = ListObjects {
        object_type: "doc",
        relation: "can",
        subject: SubjectRef::Object(ObjectRef::new("user", "u").unwrap()),
        after,
        time_max: Some(time_max),
    };
    let listed = view.list_objects(&request, &Given::default(), &mut |object| {
        found.push(object.id().to_owned());
        ControlFlow::Continue(())
    })?;
    Ok((found, listed.end, listed.resume))
}

#[test]
fn a_check_that_takes_too_long_is_an_error_of_the_list_not_the_end_of_its_own_time() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir, Duration::from_nanos(1));
    let store = engine.list_stores()[0].id;
    let view = engine.view(store, None, &At::Head).unwrap();
    let hour = Duration::from_secs(3600);
    let is_timeout = |error| matches!(error, EngineError::Eval(EvalError::TimedOut(_)));
    assert!(is_timeout(objects(&view, None, hour).unwrap_err()));
    let request = ListSubjects {
        object: ObjectRef::new("doc", "b").unwrap(),
        relation: "can",
        subject_type: "user",
        subject_relation: None,
        after: None,
        time_max: Some(hour),
    };
    let listed = view.list_subjects(&request, &Given::default(), &mut |_, _| ControlFlow::Continue(()));
    assert!(is_timeout(listed.unwrap_err()));
}

#[test]
fn a_list_whose_time_is_over_goes_on_until_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir, Duration::from_secs(60));
    let store = engine.list_stores()[0].id;
    let view = engine.view(store, None, &At::Head).unwrap();
    let (whole, end, _) = objects(&view, None, Duration::from_secs(3600)).unwrap();
    assert_eq!((whole, end), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], ListEnd::Complete));
    // No time at all: the list ends before its first object, and begins there again.
    let (found, end, resume) = objects(&view, None, Duration::ZERO).unwrap();
    assert_eq!((found.len(), end), (0, ListEnd::TimedOut));
    let (rest, end, _) = objects(&view, resume.as_ref(), Duration::from_secs(3600)).unwrap();
    assert_eq!((rest.len(), end), (3, ListEnd::Complete));
}

#[test]
fn beside_everybody_those_are_listed_who_are_named_in_a_place_that_gives() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(dir.path(), settings).unwrap();
    let store = engine.create_store(None).unwrap().id;
    let schema = "
model
  schema 1.1
type user
type doc
  relations
    define public: [user, user:*]
    define blocked: [user]
    define spared: [user]
    define can: public but not (blocked but not spared)
";
    engine.write_schema(store, &Tree::parse("lists", schema).unwrap()).unwrap();
    let tuples =
        ["public@user:*", "public@user:anne", "blocked@user:bob", "blocked@user:carl", "spared@user:carl"];
    let write = |tuple: &str| format!("doc:1#{tuple}").parse::<Tuple>().unwrap();
    let request = WriteRequest {
        store,
        writes: tuples.into_iter().map(write).collect(),
        deletes: Vec::new(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        schema: None,
    };
    engine.write(request).unwrap();
    let request = ListSubjects {
        object: ObjectRef::new("doc", "1").unwrap(),
        relation: "can",
        subject_type: "user",
        subject_relation: None,
        after: None,
        time_max: None,
    };
    let view = engine.view(store, None, &At::Head).unwrap();
    let mut found = Vec::new();
    let listed = view.list_subjects(&request, &Given::default(), &mut |subject, holding| {
        found.push((subject.to_owned().to_string(), holding));
        ControlFlow::Continue(())
    });
    assert_eq!(listed.unwrap().end, ListEnd::Complete);
    let expected = [
        ("user:*", Holding::Holds),
        ("user:anne", Holding::Holds),
        ("user:bob", Holding::Excluded),
        ("user:carl", Holding::Covered),
    ];
    assert_eq!(found, expected.map(|(subject, holding)| (subject.to_owned(), holding)));
}

#[test]
fn a_stored_tuple_for_everybody_counts_beside_a_contextual_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(dir.path(), settings).unwrap();
    let store = engine.create_store(None).unwrap().id;
    let schema = "
model
  schema 1.1
type user
type doc
  relations
    define public: [user:*, user:* with never]
    define can: public but not blocked
    define blocked: [user]
condition never(x: int) {
  x != x
}
";
    engine.write_schema(store, &Tree::parse("lists", schema).unwrap()).unwrap();
    let write = |tuple: &str| tuple.parse::<Tuple>().unwrap();
    let request = WriteRequest {
        store,
        writes: vec![write("doc:1#public@user:*")],
        deletes: Vec::new(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        schema: None,
    };
    engine.write(request).unwrap();
    let given: Given = vec![write("doc:1#public@user:* with never {\"x\":1}")].into();
    let view = engine.view(store, None, &At::Head).unwrap();
    for relation in ["public", "can"] {
        for subject in ["user:anne", "user:*"] {
            let tuple = write(&format!("doc:1#{relation}@{subject}")).key;
            assert!(view.check(tuple.as_ref(), &given).unwrap().allowed, "{tuple}");
        }
    }
}

#[test]
fn a_contextual_tuple_may_say_of_a_userset_that_it_is_itself() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(&dir, Duration::from_secs(60));
    let store = engine.list_stores()[0].id;
    let view = engine.view(store, None, &At::Head).unwrap();
    let itself = || "group:0#member@group:0#member".parse::<Tuple>().unwrap();
    assert!(view.check(itself().key.as_ref(), &vec![itself()].into()).unwrap().allowed);
    let request = WriteRequest {
        store,
        writes: vec![itself()],
        deletes: Vec::new(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Error,
        on_missing: OnMissing::Error,
        schema: None,
    };
    assert!(engine.write(request).is_err());
}
