//! Several threads writing at once, so that the writer puts their writes into one batch.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use stonetown::storage::{Change, Commit, Database, TupleReader, Writer};
use stonetown::tuple::{StoreId, Tuple, TupleKey};

use crate::seed::Chance;
use crate::world::{MAIN, Seen, Slot, World};

const THREADS: usize = 4;
const WRITES: usize = 4;

/// An answered write of a burst.
struct Answered {
    store: usize,
    commit: Commit,
    decided: Decided,
}

/// What a plan saw and made of it.
struct Decided {
    seen: Seen,
    changes: Vec<Change>,
    /// Whether a write before it was not committed yet: then both are in one batch.
    is_grouped: bool,
}

/// Threads write to all three stores at once, each plan deciding on what it sees. The model follows the answers.
///
/// Returns how many writes stood behind another one in a batch.
pub(crate) fn burst(world: &mut World) -> usize {
    let ids: Vec<(StoreId, u32)> = world.stores.iter().map(|store| (store.id, store.number)).collect();
    let tuples: Arc<Vec<Tuple>> = Arc::new((0..40).map(|_| world.tuple()).collect());
    let seeds: Vec<u64> = (0..THREADS).map(|_| world.chance.random()).collect();
    let (writer, database) = (world.writer(), world.database());
    let mut answers: Vec<Answered> = std::thread::scope(|scope| {
        let (go, wait) = channel();
        let (ready, readied) = channel();
        let main = ids[MAIN].0;
        let blocked = scope.spawn(move || hold_up(writer, main, wait));
        let workers: Vec<_> = seeds
            .into_iter()
            .map(|seed| {
                let (ready, ids, tuples) = (ready.clone(), &ids, Arc::clone(&tuples));
                scope.spawn(move || {
                    let mut chance = Chance::seed_from_u64(seed);
                    ready.send(()).unwrap();
                    let mut write = |_| {
                        let store = *[0, MAIN, MAIN, 2].choose(&mut chance).unwrap();
                        let (id, number) = ids[store];
                        let seed = chance.random();
                        let (commit, decided) = write(writer, database, id, number, &tuples, seed);
                        Answered { store, commit, decided }
                    };
                    (0..WRITES).map(&mut write).collect::<Vec<_>>()
                })
            })
            .collect();
        // Nothing tells when a write has been put into the queue: give the threads every chance, then go on.
        (0..THREADS).for_each(|_| readied.recv().unwrap());
        (0..200).for_each(|_| std::thread::yield_now());
        go.send(()).unwrap();
        blocked.join().unwrap();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    answers.sort_by_key(|answer| (answer.store, answer.commit.revision));
    let mut grouped = 0;
    for Answered { store, commit, decided } in answers {
        let model = &mut world.stores[store].model;
        decided.seen.hold(model.head(), model.revision(), commit);
        model.apply(commit, &decided.changes);
        grouped += usize::from(decided.is_grouped);
    }
    grouped
}

/// A plan without changes that keeps the writer busy until it is told to go on.
fn hold_up(writer: &Writer, store: StoreId, wait: Receiver<()>) {
    let plan = move |_: &dyn TupleReader, _| {
        wait.recv().unwrap();
        Ok::<_, String>(Vec::new())
    };
    writer.write(store, Box::new(plan)).unwrap();
}

/// One write, and the proof that it can be read once it is answered.
fn write(
    writer: &Writer,
    database: &Arc<Database>,
    id: StoreId,
    number: u32,
    tuples: &Arc<Vec<Tuple>>,
    seed: u64,
) -> (Commit, Decided) {
    let slot: Slot<Decided> = Slot::default();
    let (of_plan, tuples, of_reader) = (Arc::clone(&slot), Arc::clone(tuples), Arc::clone(database));
    let plan = move |reader: &dyn TupleReader, schema| {
        let changes = decide(reader, &tuples, seed);
        let committed = of_reader.head(number).unwrap().revision();
        let is_grouped = reader.revision() > committed;
        let seen = Seen::take(reader, schema);
        *of_plan.lock().unwrap() = Some(Decided { seen, changes: changes.clone(), is_grouped });
        Ok::<_, String>(changes)
    };
    let commit = writer.write(id, Box::new(plan)).unwrap();
    let head = database.head(number).unwrap();
    assert!(
        head.revision() >= commit.revision,
        "an answered write is read by every reader opened afterwards"
    );
    assert!(head.now() >= commit.time);
    let decided = slot.lock().unwrap().take().unwrap();
    (commit, decided)
}

/// What is there is deleted or replaced, what is not there is written.
fn decide(reader: &dyn TupleReader, tuples: &[Tuple], seed: u64) -> Vec<Change> {
    let mut chance = Chance::seed_from_u64(seed);
    let mut changes: Vec<(TupleKey, Change)> = Vec::new();
    for _ in 0..chance.random_range(1..=3) {
        let tuple = tuples.choose(&mut chance).unwrap();
        if changes.iter().any(|(key, _)| *key == tuple.key) {
            continue;
        }
        let is_there = reader.get(tuple.key.as_ref()).unwrap().is_some();
        let change = match is_there && chance.random_bool(0.6) {
            true => Change::Delete(tuple.key.clone()),
            false => Change::Write(tuple.clone()),
        };
        changes.push((tuple.key.clone(), change));
    }
    changes.into_iter().map(|(_, change)| change).collect()
}
