use std::ops::ControlFlow;

use stonetown::engine::{OrphansUnder, SchemaInput, admit_stored};

use super::world::{DOCS, World, counts, resolve};

/// A store in which the tuples of some users do not count any longer.
fn world() -> World {
    let tuples: Vec<String> = (0..50)
        .flat_map(|id| [format!("doc:{id}#viewer@user:*"), format!("doc:{id}#viewer@user:{id}")])
        .chain((0..7).map(|id| format!("doc:{id}#viewer@group:g{id}#member")))
        .collect();
    let world = World::new(DOCS, &tuples.iter().map(String::as_str).collect::<Vec<_>>());
    let mut change = world.change(&strict());
    change.allow_silenced = true;
    world.apply(change);
    world
}

fn strict() -> String {
    DOCS.replace("user:*, group#member, ", "")
}

fn listed(world: &World, under: &OrphansUnder) -> Vec<String> {
    let mut found = Vec::new();
    let orphans = world.engine.orphans(world.store, under).unwrap();
    orphans
        .visit(&mut |tuple, _| {
            found.push(tuple.to_string());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(orphans.groups().unwrap().total() as usize, found.len());
    found
}

fn expected(world: &World, schema: &str) -> Vec<String> {
    let (_, schema) = resolve(schema);
    let mut tuples = world.tuples();
    tuples.retain(|text| admit_stored(&schema, &text.parse().unwrap()).is_err());
    tuples
}

#[test]
fn orphans_are_exactly_what_the_schema_does_not_let_in() {
    let world = world();
    let found = listed(&world, &OrphansUnder::InForce);
    assert_eq!(found.len(), 57);
    assert_eq!(found, expected(&world, &strict()));
    let groups = world.engine.orphans(world.store, &OrphansUnder::InForce).unwrap().groups().unwrap();
    assert_eq!(
        counts(&groups).into_iter().collect::<Vec<_>>(),
        [
            ("doc#viewer@group#member not_allowed".to_owned(), 7),
            ("doc#viewer@user:* not_allowed".to_owned(), 50)
        ]
    );
    let first = world.engine.list_schemas(world.store).unwrap().last().unwrap().id;
    assert_eq!(listed(&world, &OrphansUnder::Stored(first)), Vec::<String>::new());
    let other = DOCS.replace("viewer: [user, user:*, ", "viewer: [user:*, ");
    let given = OrphansUnder::Given(SchemaInput::Json(resolve(&other).0.to_json()));
    assert_eq!(listed(&world, &given), expected(&world, &other));
}

#[test]
fn removing_them_leaves_what_counts_and_nothing_else() {
    let world = world();
    let orphans = listed(&world, &OrphansUnder::InForce);
    let kept: Vec<String> = world.tuples().into_iter().filter(|it| !orphans.contains(it)).collect();
    let answer = world.engine.remove_orphans(world.store, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((answer.removed, answer.token.revision), (57, world.state().0));
    assert_eq!(world.tuples(), kept);
    assert_eq!(listed(&world, &OrphansUnder::InForce), Vec::<String>::new());
    // Again: nothing is left, and no revision is taken.
    let again = world.engine.remove_orphans(world.store, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((again.removed, again.token.revision), (0, answer.token.revision));
}

#[test]
fn many_are_removed_in_revisions_of_bounded_size() {
    let world = World::new(DOCS, &[]);
    let tuples = (0..20_500).map(|id| format!("doc:{id}#viewer@user:*").parse().unwrap()).collect();
    world.change_tuples(tuples, Vec::new());
    let mut change = world.change(&strict());
    change.allow_silenced = true;
    let before = world.apply(change).applied.unwrap().token.revision;
    let mut told = Vec::new();
    let answer = world.engine.remove_orphans(world.store, &mut |removed| {
        told.push(removed);
        ControlFlow::Continue(())
    });
    let answer = answer.unwrap();
    assert_eq!((answer.removed, told, answer.token.revision.0), (20_500, vec![10_000, 20_000], before.0 + 3));
    assert!(world.tuples().is_empty());
}
