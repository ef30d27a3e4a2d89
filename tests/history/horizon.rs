//! Reading above a horizon, below which the past has been collected.
//!
//! Collection itself is not part of this room yet, so it is done here row by row, as `DESIGN.md` §5 describes it: the
//! horizon is stored, then the history rows that ended up to it, the log and the revisions before it are dropped.

use std::ops::ControlFlow;
use std::path::Path;

use stonetown::storage::StorageError;
use stonetown::tuple::{Revision, Timestamp};

use crate::raw::{self, Raw};
use crate::seed::seeds;
use crate::times::hold_times_from;
use crate::world::{MAIN, World};

/// Drops what was before a revision, which stays readable itself.
fn collect(dir: &Path, store: u32, horizon: u64) {
    let raw = Raw::open(dir);
    raw.put("meta", &raw::of_store("horizon", store), &raw::number_value(horizon));
    let prefix = store.to_be_bytes();
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    for family in ["history", "history_by_subject"] {
        let rows = raw.rows(family, &prefix);
        let keys = rows.iter().map(|(key, _)| key).filter(|key| number(&key[key.len() - 8..]) <= horizon);
        keys.for_each(|key| raw.delete(family, key));
    }
    for (family, first_kept) in [("changes", horizon + 1), ("revisions", horizon)] {
        let rows = raw.rows(family, &prefix);
        let keys = rows.iter().map(|(key, _)| key).filter(|key| number(&key[4..12]) < first_kept);
        keys.for_each(|key| raw.delete(family, key));
    }
}

/// From the horizon on everything is as if nothing had been dropped; below it is a typed error, which names the
/// oldest time kept.
#[test]
fn the_past_is_whole_down_to_the_horizon() {
    for seed in seeds("horizon", 2) {
        let mut world = World::new(seed.chance());
        for step in 0..25 {
            let store = [MAIN, MAIN, 0, 2][step % 4];
            let mut changes = world.changes(store);
            if step % 5 == 0 {
                changes.push(world.schema());
            }
            world.write(store, changes);
        }
        let (number, head) = (world.stores[MAIN].number, world.stores[MAIN].model.revision().0);
        for horizon in [1, head / 2, head - 1, head] {
            world.restart_after(|dir| collect(dir, number, horizon));
            hold_down_to(&mut world, Revision(horizon));
            world.hold_every_revision(0, "a neighbour");
        }
        let changes = world.changes(MAIN);
        world.write(MAIN, changes);
        hold_down_to(&mut world, Revision(head));
    }
}

fn hold_down_to(world: &mut World, horizon: Revision) {
    let what = format!("above the horizon {horizon}");
    let number = world.stores[MAIN].number;
    for revision in horizon.0..=world.stores[MAIN].model.revision().0 {
        for now in world.nows() {
            world.hold_past(MAIN, Revision(revision), now, &what);
        }
    }
    world.hold_head(MAIN, &what);
    hold_times_from(world, MAIN, horizon, &what);
    let model = &world.stores[MAIN].model;
    let oldest_time = model.at(horizon).time;
    let gone = |asked| Some(StorageError::BelowHorizon { asked, oldest: horizon, oldest_time });
    for asked in (0..horizon.0).map(Revision) {
        let past = world.database().past(number, asked, Timestamp::default());
        assert_eq!(past.err(), gone(asked), "{what}");
    }
    let before = Timestamp::from_micros(oldest_time.as_micros() - 1);
    let past = world.database().at_time(number, before);
    assert_eq!(past.err(), gone(Revision(horizon.0 - 1)), "{what}");
    let mut log = Vec::new();
    let mut visit = |record| {
        log.push(record);
        ControlFlow::Continue(())
    };
    world.database().changes(number, (Revision::ZERO, 0), &mut visit).unwrap();
    assert!(log.iter().eq(model.log.iter().filter(|record| record.revision > horizon)), "{what}: the log");
    assert_eq!(world.database().validate(&mut |_| ()).unwrap().findings, [], "{what}");
}
