use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use stonetown::engine::{ApplyRefusal, TupleGroups, admit_stored};
use stonetown::tuple::{Subject, Tuple};

use super::world::{DOCS, World, counts, key, of_type, resolve, tuple};

fn silences(world: &World, schema: &str) -> TupleGroups {
    match world.refusal(world.change(schema)) {
        ApplyRefusal::Silences(report) => report.silenced,
        other => panic!("{other}"),
    }
}

#[test]
fn a_schema_that_silences_tuples_is_refused_unless_that_is_allowed() {
    let world = World::new(
        DOCS,
        &[
            "doc:1#viewer@user:*",
            "doc:1#viewer@group:g#member",
            "doc:2#viewer@group:g#member",
            "doc:1#owner@user:a",
        ],
    );
    let schema = DOCS.replace("user:*, group#member, ", "");
    let groups = silences(&world, &schema);
    assert_eq!(
        counts(&groups),
        BTreeMap::from([
            ("doc#viewer@group#member not_allowed".to_owned(), 2),
            ("doc#viewer@user:* not_allowed".to_owned(), 1)
        ])
    );
    let sample: Vec<String> = groups.iter().flat_map(|it| &it.sample).map(Tuple::to_string).collect();
    assert_eq!(sample, ["doc:1#viewer@group:g#member", "doc:2#viewer@group:g#member", "doc:1#viewer@user:*"]);
    // Deleted with the schema, or written anew, they are not silenced.
    let mut change = world.change(&schema);
    change.deletes = vec![key("doc:1#viewer@group:g#member"), key("doc:2#viewer@group:g#member")];
    assert!(matches!(world.refusal(change.clone()), ApplyRefusal::Silences(it) if it.silenced.total() == 1));
    change.allow_silenced = true;
    let report = world.apply(change).report;
    assert_eq!((report.silenced.total(), report.deleted), (1, 2));
    // It is stored still, and does not count: a schema that lets it in silences nothing.
    assert_eq!(world.tuples(), ["doc:1#owner@user:a", "doc:1#viewer@user:*"]);
    assert!(world.apply(world.change(&schema)).report.silenced.is_empty());
    assert!(world.apply(world.change(DOCS)).report.silenced.is_empty());
}

#[test]
fn what_a_tuple_lacks_under_the_new_schema_is_told_by_its_reason() {
    let world = World::new(
        DOCS,
        &[
            "doc:1#owner@user:a",
            "doc:1#viewer@user:a with soon {\"x\":1}",
            "doc:1#folder@folder:f",
            "group:g#member@user:a",
        ],
    );
    let old = "    define viewer: [user, user:*, group#member, doc#owner, user with soon]";
    for (schema, expected) in [
        (DOCS.replace("define owner: [user]", "define owner: viewer"), "doc#owner@user not_assignable"),
        (
            DOCS.replace("define owner: [user]", "define owner: [user with soon]"),
            "doc#owner@user condition_missing",
        ),
        (DOCS.replace(", user with soon]", "]"), "doc#viewer@user condition_not_allowed"),
        (
            DOCS.replace(old, "    define viewer: [user, user:*, group#member, doc#owner, user with soon]")
                .replace("x: int", "x: string")
                .replace("x < 10", "x == \"a\""),
            "doc#viewer@user condition_context",
        ),
        (
            DOCS.replace("    define folder: [folder]\n", "").replace(" or viewer from folder", ""),
            "doc#folder@folder unknown_relation",
        ),
        (
            DOCS.replace("type group\n  relations\n    define member: [user, group#member]\n", "")
                .replace("group#member, ", ""),
            "group#member@user unknown_type",
        ),
    ] {
        assert_eq!(
            counts(&silences(&world, &schema)),
            BTreeMap::from([(expected.to_owned(), 1)]),
            "{schema}"
        );
    }
}

#[test]
fn a_tuple_that_is_written_anew_is_not_silenced() {
    let world = World::new(DOCS, &["doc:1#viewer@user:a with soon {\"x\":1}"]);
    let mut change = world.change(&DOCS.replace(", user with soon]", "]"));
    change.on_duplicate = stonetown::engine::OnDuplicate::Replace;
    change.writes = vec![tuple("doc:1#viewer@user:a")];
    assert_eq!(world.apply(change).report.written, 1);
    assert_eq!(world.tuples(), ["doc:1#viewer@user:a"]);
}

/// A tuple of random names that [`DOCS`] lets in.
fn random_tuple(choices: &mut SmallRng) -> Tuple {
    let id = |choices: &mut SmallRng| choices.random_range(0..40);
    let user = id(choices);
    let (object, other) = (id(choices), id(choices));
    let text = match choices.random_range(0..9) {
        0 => format!("doc:{object}#viewer@user:{user}"),
        1 => format!("doc:{object}#viewer@user:*"),
        2 => format!("doc:{object}#viewer@group:{other}#member"),
        3 => format!("doc:{object}#viewer@doc:{other}#owner"),
        4 => format!("doc:{object}#viewer@user:{user} with soon {{\"x\":{other}}}"),
        5 => format!("doc:{object}#owner@user:{user} until 2999-01-01T00:00:00Z"),
        6 => format!("group:{object}#member@group:{}#member", object + 1),
        7 => format!("doc:{object}#folder@folder:{other}"),
        _ => format!("folder:{object}#viewer@user:{user}"),
    };
    tuple(&text)
}

/// What a schema does to one tuple, by brute force.
fn silenced(tuple: &Tuple, (before, after): (&str, &str), rename: Option<(&str, &str)>) -> Option<String> {
    let (before, after) = (resolve(before).1, resolve(after).1);
    admit_stored(&before, tuple).ok()?;
    let mut text = tuple.to_string();
    if let Some((old, new)) = rename {
        // Texts have the names only where they are names.
        text = text.replace(&format!("{old}:"), &format!("{new}:"));
    }
    let reason = admit_stored(&after, &text.parse().unwrap()).err()?;
    let subject = match &tuple.key.subject {
        Subject::Object(object) => object.object_type().to_owned(),
        Subject::Wildcard(name) => format!("{name}:*"),
        Subject::Userset(object, relation) => format!("{}#{relation}", object.object_type()),
    };
    let (object_type, relation) = (tuple.key.object.object_type(), &tuple.key.relation);
    Some(format!("{object_type}#{relation}@{subject} {}", reason.code()))
}

#[test]
fn the_report_is_exactly_what_a_count_over_all_tuples_gives() {
    let middle = DOCS.replace("group#member, doc#owner, ", "");
    let page = |schema: &str| schema.replace("type doc", "type page").replace("doc#", "page#");
    let after = [
        (DOCS.replace("user:*, ", "").replace(", user with soon", ""), None),
        (page(&DOCS.replace("group#member, doc#owner, ", "")), Some(("doc", "page"))),
        (DOCS.replace("define owner: [user]", "define owner: [folder]"), None),
        (page(DOCS), Some(("doc", "page"))),
    ];
    for (seed, (after, rename)) in after.into_iter().enumerate() {
        let mut choices = SmallRng::seed_from_u64(seed as u64);
        let world = World::new(DOCS, &[]);
        let mut tuples: Vec<Tuple> = (0..600).map(|_| random_tuple(&mut choices)).collect();
        tuples.sort_by(|one, other| one.key.cmp(&other.key));
        tuples.dedup_by(|one, other| one.key == other.key);
        world.change_tuples(tuples.clone(), Vec::new());
        // Some count no longer already: they cannot be silenced.
        let mut change = world.change(&middle);
        change.allow_silenced = true;
        world.apply(change);
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for tuple in &tuples {
            if let Some(name) = silenced(tuple, (&middle, &after), rename) {
                *expected.entry(name).or_default() += 1;
            }
        }
        let mut change = world.change(&after);
        change.allow_silenced = true;
        change.renames = rename.iter().map(|(old, new)| of_type(&format!("{old}={new}"))).collect();
        let report = world.apply(change).report;
        assert_eq!(counts(&report.silenced), expected, "seed {seed}");
        for group in report.silenced.iter() {
            assert_eq!(group.sample.len() as u64, group.count.min(10));
        }
    }
}
