//! Overlays over stored states, against what they are said to mean.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use stonetown::storage::{Change, Overlay, StateReader, TupleReader};
use stonetown::tuple::{Revision, Timestamp, Tuple};

use crate::agree::Expected;
use crate::model::{Rows, row, seen};
use crate::world::World;

/// Overlays of both modes, and one on the other, over the head and over past revisions.
pub(crate) fn hold_overlays(world: &mut World, store: usize, what: &str) {
    let head = world.stores[store].model.revision();
    for _ in 0..8 {
        let revision = Revision(world.chance.random_range(0..=head.0));
        let revision = if world.chance.random_bool(0.3) { head } else { revision };
        let nows = world.nows();
        let now = *nows.choose(&mut world.chance).unwrap();
        let what = format!("{what}: overlay over {revision} at {now}");
        let base = world.stores[store].model.at(revision).rows.clone();
        let contextual = tuples(world);
        let revisions = what_if(world);

        let overlay = Overlay::contextual(reader(world, store, revision, now), contextual.clone());
        let expected = with_contextual(&seen(&base, now), &contextual, revision, now);
        assert_eq!((overlay.revision(), overlay.now()), (revision, now), "{what}");
        expected.hold(&overlay, &world.universe, &format!("{what}: contextual"));

        let mut overlay = Overlay::what_if(reader(world, store, revision, now));
        let mut rows = base;
        let mut at = revision;
        for changes in &revisions {
            at = at.next();
            overlay.apply(at, changes);
            change(&mut rows, at, changes);
            assert_eq!((overlay.revision(), overlay.now()), (at, now), "{what}");
            let rows = seen(&rows, now);
            let scanned = rows.clone().into_iter().collect();
            let expected = Expected::overlaid(rows, scanned);
            expected.hold(&overlay, &world.universe, &format!("{what}: what-if"));
        }

        let overlay = Overlay::contextual(overlay, contextual.clone());
        let expected = with_contextual(&seen(&rows, now), &contextual, at, now);
        assert_eq!((overlay.revision(), overlay.now()), (at, now), "{what}");
        expected.hold(&overlay, &world.universe, &format!("{what}: contextual on what-if"));
    }
}

/// At the head half of the time through the head's own reader, which does not look into history.
fn reader(world: &World, store: usize, revision: Revision, now: Timestamp) -> StateReader<'_> {
    let (number, head) = (world.stores[store].number, world.stores[store].model.revision());
    match revision == head {
        true => world.database().head(number).unwrap().at_time(now),
        false => world.database().past(number, revision, now).unwrap(),
    }
}

/// Contextual tuples: the same one twice among them now and then.
fn tuples(world: &mut World) -> Vec<Tuple> {
    let mut tuples: Vec<Tuple> = (0..world.chance.random_range(0..12)).map(|_| world.tuple()).collect();
    if let Some(first) = tuples.first() {
        let again = Tuple { key: first.key.clone(), ..world.tuple() };
        tuples.push(again);
    }
    tuples
}

/// The changes of some revisions that never come to be; what they delete need not be there.
fn what_if(world: &mut World) -> Vec<Vec<Change>> {
    let mut revisions = Vec::new();
    for _ in 0..3 {
        let mut changes = vec![world.schema()];
        for _ in 0..world.chance.random_range(0..8) {
            let tuple = world.tuple();
            let is_deleted = world.chance.random_bool(0.5);
            changes.push(if is_deleted { Change::Delete(tuple.key) } else { Change::Write(tuple) });
        }
        revisions.push(changes);
    }
    revisions
}

fn change(rows: &mut Rows, revision: Revision, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Write(tuple) => drop(rows.insert(tuple.key.clone(), row(tuple, revision))),
            Change::Delete(key) | Change::Expire(key) => drop(rows.remove(key)),
            Change::Schema { .. } => {}
        }
    }
}

/// Point look-ups see the contextual tuple instead of the stored one, scans see both; one that has ended hides the
/// stored one too, and is itself seen by nobody.
fn with_contextual(base: &Rows, tuples: &[Tuple], revision: Revision, now: Timestamp) -> Expected {
    let mut added = Rows::new();
    for tuple in tuples {
        added.insert(tuple.key.clone(), row(tuple, revision));
    }
    let mut points = base.clone();
    points.retain(|key, _| !added.contains_key(key));
    let added = seen(&added, now);
    points.extend(added.clone());
    let scanned = base.clone().into_iter().chain(added).collect();
    Expected::overlaid(points, scanned)
}
