use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stonetown::engine::{EngineError, OnDuplicate, OnMissing, WriteRefusal, WriteRequest};
use stonetown::tuple::Tuple;

use super::world::{DOCS, World, of_relation, tuple};

/// Four threads that write until the schema does not let their tuples in any longer: how many were let in.
fn write_beside(world: &World, text: impl Fn(u64) -> String + Sync, change: impl FnOnce()) -> u64 {
    let (next, accepted, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let write = || {
        while !is_over.load(Ordering::Relaxed) {
            let tuple: Tuple = tuple(&text(next.fetch_add(1, Ordering::Relaxed)));
            let request = WriteRequest {
                store: world.store,
                writes: vec![tuple],
                deletes: Vec::new(),
                preconditions: Vec::new(),
                on_duplicate: OnDuplicate::Error,
                on_missing: OnMissing::Error,
                schema: None,
            };
            match world.engine.write(request) {
                Ok(_) => accepted.fetch_add(1, Ordering::Relaxed),
                Err(EngineError::Refused(WriteRefusal::Rejected { .. })) => break,
                Err(error) => panic!("{error}"),
            };
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(write)));
        while accepted.load(Ordering::Relaxed) < 50 {
            std::thread::yield_now();
        }
        change();
        is_over.store(true, Ordering::Relaxed);
    });
    accepted.into_inner()
}

#[test]
fn what_is_written_during_the_search_is_in_the_report() {
    for _ in 0..5 {
        let world = World::new(DOCS, &["doc:1#owner@user:anne"]);
        let mut total = 0;
        let accepted = write_beside(
            &world,
            |id| format!("doc:{id}#viewer@user:*"),
            || {
                let mut change = world.change(&DOCS.replace("user:*, ", ""));
                change.allow_silenced = true;
                total = world.engine.apply(change).unwrap().report.silenced.total();
            },
        );
        assert_eq!(total, accepted);
    }
}

#[test]
fn what_is_written_during_the_search_moves_too() {
    for _ in 0..5 {
        let world = World::new(DOCS, &[]);
        let mut moved = 0;
        let accepted = write_beside(
            &world,
            |id| format!("doc:{id}#owner@user:u{id}"),
            || {
                let mut change = world.change(&DOCS.replace("owner", "boss"));
                change.renames = vec![of_relation("doc#owner=boss")];
                moved = world.engine.apply(change).unwrap().report.moved;
            },
        );
        assert_eq!(moved, accepted);
        assert_eq!(world.tuples().len() as u64, accepted);
        assert!(world.tuples().iter().all(|text| text.contains("#boss@")));
    }
}

#[test]
fn what_goes_during_the_search_is_not_in_the_report() {
    let tuples: Vec<String> = (0..3_000).map(|id| format!("doc:{id}#viewer@user:*")).collect();
    let world = World::new(DOCS, &tuples.iter().map(String::as_str).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for chunk in tuples.chunks(7) {
                world.delete(&chunk.iter().map(String::as_str).collect::<Vec<_>>());
            }
        });
        for _ in 0..10 {
            let mut change = world.change(DOCS);
            change.preconditions = Vec::new();
            world.engine.apply(change).unwrap();
        }
        let mut change = world.change(&DOCS.replace("user:*, ", ""));
        change.allow_silenced = true;
        let answer = world.engine.apply(change).unwrap();
        let at = stonetown::engine::At::Token(world.engine.seal(&answer.applied.unwrap().token));
        assert_eq!(answer.report.silenced.total() as usize, world.state_at(at).1.len());
    });
}

#[test]
fn of_two_changes_of_the_same_state_one_is_refused() {
    let world = World::new(DOCS, &["doc:1#owner@user:anne"]);
    let token = world.newest();
    let change = |rename: &str| {
        let mut change = world.change(&DOCS.replace("owner", rename));
        change.renames = vec![of_relation(&format!("doc#owner={rename}"))];
        change.preconditions = vec![format!("untouched *,schema since {token}").parse().unwrap()];
        change
    };
    let changes = [change("boss"), change("chief")];
    let outcomes = std::thread::scope(|scope| {
        let threads = changes.map(|change| scope.spawn(|| world.engine.apply(change)));
        threads.map(|thread| thread.join().unwrap().is_ok())
    });
    assert_eq!(outcomes.iter().filter(|is_ok| **is_ok).count(), 1);
    assert_eq!(world.tuples().len(), 1);
}
