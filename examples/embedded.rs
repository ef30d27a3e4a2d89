//! Stonetown as a library, without a server: a schema, tuples, a check, a list, the past, and who would lose what by a change.
//!
//! Run: `tools/cargo run --example embedded`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::ops::ControlFlow;

use stonetown::engine::{
    AccessChange, AccessDiffRequest, At, ChangeSet, DiffFound, DiffOf, Engine, Given, ListObjects, Settings,
    WriteRequest,
};
use stonetown::schema::read_schema;
use stonetown::tuple::{Subject, Tuple, TupleKey};

const SCHEMA: &str = "
model
  schema 1.1
type user
type org
  relations
    define parent: [org]
    define owner: [user]
    define admin: [user] or owner or admin from parent
type voice
  relations
    define org: [org]
    define viewer: [user] or admin from org
";

fn main() -> anyhow::Result<()> {
    // A data directory belongs to one process at a time; everything in it is durable when a write has been answered.
    let dir = tempfile::tempdir()?;
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(dir.path(), settings)?;

    let store = engine.create_store(Some("voices".to_owned()))?.id;
    // All problems of a schema come at once, each with its place.
    let (tree, _) = read_schema("voices.fga", SCHEMA)?;
    engine.write_schema(store, &tree)?;

    let tuples: Result<Vec<Tuple>, _> = [
        "org:film#parent@org:acme",
        "org:acme#admin@user:ada",
        "voice:hero#org@org:film",
        "voice:hero#viewer@user:vera",
    ]
    .iter()
    .map(|text| text.parse())
    .collect();
    let written = engine.write(WriteRequest { writes: tuples?, ..WriteRequest::of(store) })?;

    // One state, under one snapshot, for as many questions as there are.
    let view = engine.view(store, None, &At::Head)?;
    for question in ["voice:hero#viewer@user:ada", "voice:hero#viewer@user:eve"] {
        let question: TupleKey = question.parse()?;
        let answer = view.check(question.as_ref(), &Given::default())?;
        println!("{question}: {}", if answer.allowed { "yes" } else { "no" });
    }
    let ada: Subject = "user:ada".parse()?;
    let wanted = ListObjects {
        object_type: "voice",
        relation: "viewer",
        subject: ada.as_ref(),
        after: None,
        time_max: None,
    };
    view.list_objects(&wanted, &Given::default(), &mut |object| {
        println!("ada may view {object}");
        ControlFlow::Continue(())
    })?;
    drop(view);

    // Who would lose what, before anything is changed.
    let deletes: Vec<TupleKey> = vec!["org:acme#admin@user:ada".parse()?];
    let change = Box::new(ChangeSet { deletes: deletes.clone(), ..ChangeSet::default() });
    let diff = AccessDiffRequest::of(store, DiffOf::Change { at: At::Head, change });
    engine.access_diff(&diff, &mut |found| {
        if let DiffFound::Lines { object, permission, lines } = found {
            for line in lines.lines.iter().filter(|line| line.change == AccessChange::Lost) {
                let who = line.subject.as_deref().unwrap_or("*");
                println!("would lose {object}#{permission}: {}:{who}", line.subject_type);
            }
        }
        ControlFlow::Continue(())
    })?;

    // It is made, and the state of before can still be asked.
    engine.write(WriteRequest { deletes, ..WriteRequest::of(store) })?;
    let question: TupleKey = "voice:hero#viewer@user:ada".parse()?;
    for (when, at) in [("now", At::Head), ("before", At::Token(engine.seal(&written.token)))] {
        let answer = engine.view(store, None, &at)?.check(question.as_ref(), &Given::default())?;
        println!("{when}: {}", if answer.allowed { "yes" } else { "no" });
    }
    Ok(())
}
