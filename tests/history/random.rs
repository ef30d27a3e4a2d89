//! Random histories against the model.

use rand::RngExt as _;
use stonetown::tuple::{Revision, Timestamp};

use crate::burst::burst;
use crate::overlays::hold_overlays;
use crate::seed::seeds;
use crate::settings::say;
use crate::times::hold_times;
use crate::world::{MAIN, World};

/// Steps of one history.
const STEPS: usize = 45;

/// Everything that was ever true of a store can be read again, at every revision and at the head, whatever was
/// written before, afterwards, beside it and at the same time, through restarts, flushes and compactions.
#[test]
fn random_histories_agree_with_a_model_that_keeps_every_state() {
    let (mut revisions, mut grouped) = (0, 0);
    for seed in seeds("random histories", 6) {
        let mut world = World::new(seed.chance());
        for step in 0..STEPS {
            grouped += take_step(&mut world, step);
        }
        hold_everything(&mut world, "at the end");
        world.restart();
        world.database().compact().unwrap();
        for store in 0..world.stores.len() {
            world.hold_head(store, "compacted");
        }
        let (head, now) = (world.stores[MAIN].model.revision().0, Timestamp::wall_clock());
        (0..=head).for_each(|revision| world.hold_past(MAIN, Revision(revision), now, "compacted"));
        world.hold_valid("compacted");
        revisions += world.stores.iter().map(|store| store.model.revision().0).sum::<u64>();
    }
    say(&format!("random histories: {revisions} revisions, {grouped} of them behind another in one batch"));
    assert!(grouped > 0, "no two writes ever shared a batch");
}

/// One thing happens. Returns how many writes shared a batch with one before them.
fn take_step(world: &mut World, step: usize) -> usize {
    let what = format!("step {step}");
    let mut grouped = 0;
    match world.chance.random_range(0..100) {
        0..50 => {
            let changes = world.changes(MAIN);
            world.write(MAIN, changes);
        }
        50..65 => {
            let neighbour = 2 * world.chance.random_range(0..2);
            let changes = world.changes(neighbour);
            world.write(neighbour, changes);
        }
        65..71 => {
            let mut changes = vec![world.schema()];
            if world.chance.random_bool(0.3) {
                changes.extend(world.changes(MAIN));
            }
            world.write(MAIN, changes);
        }
        71..74 => world.write(MAIN, Vec::new()),
        74..78 => world.write_refused(MAIN),
        78..84 => world.database().flush().unwrap(),
        84..87 => world.database().compact().unwrap(),
        87..92 => world.restart(),
        _ => grouped = burst(world),
    }
    world.hold_head(MAIN, &what);
    if world.chance.random_bool(0.3) {
        let neighbour = 2 * world.chance.random_range(0..2);
        world.hold_head(neighbour, &what);
    }
    grouped
}

/// Every revision of every store, every time, overlays, and validation.
fn hold_everything(world: &mut World, what: &str) {
    for store in 0..world.stores.len() {
        world.hold_every_revision(store, what);
        hold_times(world, store, what);
    }
    hold_overlays(world, MAIN, what);
    world.hold_valid(what);
}
