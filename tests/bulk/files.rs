//! Imports, both ways, against the model.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use stonetown::engine::{
    At, ChangesFrom, ChangesRequest, EngineError, FileImportRequest, OnDuplicate, OnMissing, Place,
    StorageError, WriteRequest,
};
use stonetown::storage::Retention;
use stonetown::tuple::Tuple;

use super::model::{self, World, tuple};
use super::random::Random;

fn request(world: &World, on_duplicate: OnDuplicate) -> FileImportRequest {
    FileImportRequest {
        store: world.store,
        schema: None,
        on_duplicate,
        identity: "test".to_owned(),
        about: "a test".to_owned(),
        restart: false,
        memory_bytes: 1 << 20,
        is_trial: false,
    }
}

/// Imports by files, in as many runs as chance has it. The lines that could not be taken; none: nothing was to be done.
fn import_files(
    world: &mut World,
    input: &[Tuple],
    on_duplicate: OnDuplicate,
    random: &mut Random,
) -> Vec<u64> {
    let mut import = world.engine().import_files(request(world, on_duplicate)).unwrap();
    assert!(import.resumed().is_none());
    for (line, tuple) in (1..).zip(input) {
        let place = Place { input: 0, line };
        let (key, condition) = (tuple.key.as_ref(), tuple.condition.as_ref());
        import.add(place, key, condition, tuple.expires_at).unwrap().unwrap();
        if random.below(5) == 0 {
            import.checkpoint(&line.to_string()).unwrap();
        }
    }
    let mut untaken = Vec::new();
    let mut clash = |place: Place, _, _| {
        untaken.push(place.line);
        ControlFlow::Continue(())
    };
    let answer = import.finish("end", &mut clash, &|_| ()).unwrap().unwrap();
    untaken.sort_unstable();
    let (after, expected) = model::import(world.tuples(), input, on_duplicate);
    assert_eq!(untaken, expected);
    let changed = answer.counts.written + answer.counts.replaced;
    if changed > 0 {
        world.states.push((answer.token, after));
    } else {
        assert_eq!(world.tuples(), &after);
        assert_eq!(answer.token.revision, world.engine().newest(world.store).unwrap().revision);
    }
    untaken
}

fn import_live(world: &mut World, input: &[Tuple], on_duplicate: OnDuplicate) {
    let (after, expected) = model::import(world.tuples(), input, on_duplicate);
    let (token, untaken) = model::part(world, input.to_vec(), on_duplicate, false);
    assert_eq!(untaken, expected);
    if &after != world.tuples() {
        world.states.push((token, after));
    }
}

fn policy(random: &mut Random) -> OnDuplicate {
    [OnDuplicate::Error, OnDuplicate::Ignore, OnDuplicate::Replace][random.below(3)]
}

#[test]
fn imports_among_writes_leave_what_the_model_leaves() {
    let setting =
        |name: &str, usual| std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(usual);
    let (seed, rounds) = (setting("STONETOWN_SEED", 1), setting("STONETOWN_ROUNDS", 25));
    let (mut imports, mut untaken) = (0, 0);
    for seed in seed..seed + rounds {
        let mut random = Random::new(seed);
        let mut world = World::new();
        for _ in 0..6 {
            if random.below(2) == 0 {
                world.write(&mut random);
            }
            let input: Vec<Tuple> = (0..random.below(40)).map(|_| tuple(&mut random)).collect();
            let chosen = policy(&mut random);
            if random.below(3) == 0 {
                import_live(&mut world, &input, chosen);
            } else {
                untaken += import_files(&mut world, &input, chosen, &mut random).len();
                imports += 1;
            }
            if random.below(3) == 0 {
                world.restart();
            }
        }
        world.check();
        // The log tells the same.
        let mut log = Vec::new();
        let asked = ChangesRequest { store: world.store, from: ChangesFrom::Oldest, object_type: None };
        world
            .engine()
            .changes(&asked, &mut |change, _| {
                log.push((change.revision, change.ordinal));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(log.is_sorted());
        // And what it closed can be collected.
        let now = world.engine().newest(world.store).unwrap().time;
        world.engine().collect(world.store, Some(now), &mut |_| ControlFlow::Continue(())).unwrap();
        world.states.drain(..world.states.len() - 1);
        world.check();
    }
    println!("{rounds} histories, {imports} imports by files, {untaken} clashes");
}

#[test]
fn a_clash_may_end_an_import_and_nothing_is_changed() {
    let mut random = Random::new(3);
    let mut world = World::new();
    world.write(&mut random);
    let key = world.tuples().keys().next().unwrap().clone();
    let mut import = world.engine().import_files(request(&world, OnDuplicate::Error)).unwrap();
    let fresh: Tuple = "doc:fresh#viewer@user:fresh".parse().unwrap();
    for (line, key) in [(1, &fresh.key), (2, &key)] {
        import.add(Place { input: 0, line }, key.as_ref(), None, None).unwrap().unwrap();
    }
    let answer = import.finish("end", &mut |_, _, _| ControlFlow::Break(()), &|_| ()).unwrap();
    assert!(answer.is_none());
    world.check();
    assert_eq!(std::fs::read_dir(world.dir.path().join("import")).unwrap().count(), 0);
    // And the store takes writes again.
    world.write(&mut random);
    world.check();
    // The same of so many that the other directions are in the midst of theirs when it ends.
    let mut import = world.engine().import_files(request(&world, OnDuplicate::Error)).unwrap();
    for line in 1..=100_000 {
        let tuple: Tuple = format!("doc:{:05}#viewer@user:anne", line % 99_999).parse().unwrap();
        import.add(Place { input: 0, line }, tuple.key.as_ref(), None, None).unwrap().unwrap();
    }
    let answer = import.finish("end", &mut |_, _, _| ControlFlow::Break(()), &|_| ()).unwrap();
    assert!(answer.is_none());
    world.check();
}

#[test]
fn a_trial_changes_nothing() {
    let mut world = World::new();
    world.write(&mut Random::new(5));
    let mut asked = request(&world, OnDuplicate::Error);
    asked.is_trial = true;
    let mut import = world.engine().import_files(asked).unwrap();
    let fresh: Tuple = "doc:fresh#viewer@user:fresh".parse().unwrap();
    import.add(Place { input: 0, line: 1 }, fresh.key.as_ref(), None, None).unwrap().unwrap();
    let answer = import.finish("end", &mut |_, _, _| ControlFlow::Continue(()), &|_| ()).unwrap().unwrap();
    assert_eq!(answer.counts.written, 1);
    world.check();
}

#[test]
fn an_interrupted_import_goes_on_where_it_was_and_another_one_is_refused() {
    let mut world = World::new();
    let tuples: Vec<Tuple> =
        (0..30).map(|n| format!("doc:{n:02}#viewer@user:anne").parse().unwrap()).collect();
    {
        let mut import = world.engine().import_files(request(&world, OnDuplicate::Error)).unwrap();
        for (line, tuple) in (1..).zip(&tuples[..20]) {
            import.add(Place { input: 0, line }, tuple.key.as_ref(), None, None).unwrap().unwrap();
            if line % 5 == 0 && line < 20 {
                import.checkpoint(&line.to_string()).unwrap();
            }
        }
        // The last checkpoint may or may not be down by now; five tuples are not in any.
    }
    world.restart();
    let mut other = request(&world, OnDuplicate::Error);
    other.identity = "other".to_owned();
    let refused = world.engine().import_files(other).map(|_| ()).unwrap_err();
    assert!(
        matches!(&refused, EngineError::Storage(StorageError::UnfinishedImport(about)) if about == "a test"),
        "{refused}"
    );
    let mut import = world.engine().import_files(request(&world, OnDuplicate::Error)).unwrap();
    let (position, kept) = import.resumed().map(|(position, kept)| (position.to_owned(), kept)).unwrap();
    let position: usize = position.parse().unwrap();
    assert_eq!(kept, position as u64);
    assert!((10..=15).contains(&position), "{position}");
    for (at, tuple) in tuples.iter().enumerate().skip(position) {
        let place = Place { input: 0, line: at as u64 + 1 };
        import.add(place, tuple.key.as_ref(), None, None).unwrap().unwrap();
    }
    let answer = import.finish("end", &mut |place, _, _| panic!("{place:?}"), &|_| ()).unwrap().unwrap();
    assert_eq!(answer.counts.written, 30);
    let all = tuples.into_iter().map(|tuple| (tuple.key, (None, None))).collect();
    world.states.push((answer.token, all));
    world.check();
}

/// Nobody writes to the store while its files are taken in, and everybody is told why; other stores are written to.
#[test]
fn writes_are_refused_while_an_import_has_the_store() {
    let mut world = World::new();
    world.write(&mut Random::new(9));
    let other = World::new();
    let elsewhere = world.engine().create_store(None).unwrap().id;
    let schema = stonetown::schema::Tree::parse("bulk", model::SCHEMA).unwrap();
    world.engine().write_schema(elsewhere, &schema).unwrap();
    let write = |store, text: &str| {
        world.engine().write(WriteRequest {
            store,
            writes: vec![text.parse().unwrap()],
            deletes: Vec::new(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Replace,
            on_missing: OnMissing::Error,
            schema: None,
        })
    };
    let mut import = world.engine().import_files(request(&world, OnDuplicate::Replace)).unwrap();
    for line in 1..=20_000 {
        let tuple: Tuple = format!("doc:n{line}#viewer@user:anne").parse().unwrap();
        import.add(Place { input: 0, line }, tuple.key.as_ref(), None, None).unwrap().unwrap();
    }
    let before = world.read(At::Head);
    let asked = AtomicBool::new(false);
    let answer = import
        .finish("end", &mut |_, _, _| ControlFlow::Continue(()), &|_| {
            if asked.swap(true, Ordering::Relaxed) {
                return;
            }
            let is_refused = |result: Result<(), EngineError>| {
                let error = result.unwrap_err();
                assert!(matches!(error, EngineError::Storage(StorageError::ImportInProgress(_))), "{error}");
            };
            is_refused(write(world.store, "doc:late#viewer@user:anne").map(drop));
            is_refused(world.engine().write_schema(world.store, &schema).map(drop));
            is_refused(world.engine().set_retention(world.store, Retention::Forever).map(drop));
            is_refused(world.engine().purge(world.store, "doc:1".parse().unwrap(), false).map(drop));
            is_refused(world.engine().delete_store(world.store).map(drop));
            write(elsewhere, "doc:late#viewer@user:anne").unwrap();
            // What is not there yet is not seen.
            assert_eq!(world.read(At::Head), before);
        })
        .unwrap()
        .unwrap();
    assert!(asked.into_inner());
    assert_eq!(answer.counts.written, 20_000);
    assert_eq!(world.read(At::Head).len(), before.len() + 20_000);
    write(world.store, "doc:late#viewer@user:anne").unwrap();
    drop(other);
}

/// The directory of an import that is done may be half removed when the process is killed: it is not taken for one to go on with.
#[test]
fn what_is_left_of_an_import_that_is_done_is_not_gone_on_with() {
    for restarts in [false, true] {
        let mut world = World::new();
        let tuple: Tuple = "doc:1#viewer@user:anne".parse().unwrap();
        let mut import = world.engine().import_files(request(&world, OnDuplicate::Ignore)).unwrap();
        import.add(Place { input: 0, line: 1 }, tuple.key.as_ref(), None, None).unwrap().unwrap();
        import.keep("1").unwrap();
        let all = world.dir.path().join("import");
        let dir = std::fs::read_dir(&all).unwrap().next().unwrap().unwrap().path();
        let state = std::fs::read(dir.join("state.json")).unwrap();
        import.finish("end", &mut |place, _, _| panic!("{place:?}"), &|_| ()).unwrap().unwrap();
        assert!(!dir.exists());
        // As if only the runs had been removed so far.
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("state.json"), state).unwrap();
        if restarts {
            world.restart();
            assert!(!dir.exists(), "opening removes it");
        }
        let import = world.engine().import_files(request(&world, OnDuplicate::Ignore)).unwrap();
        assert!(import.resumed().is_none());
        import.discard().unwrap();
    }
}

/// Whoever reads while an import becomes visible sees all of it or nothing, by object, by subject and in the log.
#[test]
fn nobody_sees_half_of_an_import() {
    const TUPLES: usize = 20_000;
    let world = World::new();
    let mut import = world.engine().import_files(request(&world, OnDuplicate::Error)).unwrap();
    for line in 1..=TUPLES {
        let tuple: Tuple = format!("doc:n{line}#viewer@user:anne").parse().unwrap();
        let place = Place { input: 0, line: line as u64 };
        import.add(place, tuple.key.as_ref(), None, None).unwrap().unwrap();
    }
    let is_done = AtomicBool::new(false);
    let (engine, store) = (world.engine(), world.store);
    let seen = std::thread::scope(|scope| {
        let readers = ["", "doc:", "@user:anne", "log"].map(|what| {
            let is_done = &is_done;
            scope.spawn(move || {
                let mut seen = Vec::new();
                let mut is_last = false;
                while !is_last {
                    // Once more after the end.
                    is_last = is_done.load(Ordering::Acquire);
                    let mut count = 0;
                    if what == "log" {
                        let asked = ChangesRequest { store, from: ChangesFrom::Oldest, object_type: None };
                        engine
                            .changes(&asked, &mut |_, _| {
                                count += 1;
                                ControlFlow::Continue(())
                            })
                            .unwrap();
                    } else {
                        let export = engine.export(store, what.parse().unwrap(), &At::Head).unwrap();
                        export
                            .visit(&mut |_, _| {
                                count += 1;
                                ControlFlow::Continue(())
                            })
                            .unwrap();
                    }
                    seen.push(count);
                }
                (what, seen)
            })
        });
        import.finish("end", &mut |place, _, _| panic!("{place:?}"), &|_| ()).unwrap().unwrap();
        is_done.store(true, Ordering::Release);
        readers.map(|reader| reader.join().unwrap())
    });
    for (what, seen) in seen {
        assert!(seen.iter().all(|&count| count == 0 || count == TUPLES), "`{what}`: {seen:?}");
        assert!(seen.is_sorted() && seen.last() == Some(&TUPLES), "`{what}`: {seen:?}");
    }
}

/// The last chunk is sorted when the input has ended: who is interrupted behind that reads nothing of it again.
#[test]
fn an_import_interrupted_while_merging_takes_no_tuple_twice() {
    const TUPLES: u64 = 40_000;
    let mut world = World::new();
    let mut import = world.engine().import_files(request(&world, OnDuplicate::Error)).unwrap();
    for line in 1..=TUPLES {
        let tuple: Tuple = format!("doc:n{line}#viewer@user:anne").parse().unwrap();
        import.add(Place { input: 0, line }, tuple.key.as_ref(), None, None).unwrap().unwrap();
        if line == TUPLES / 2 {
            import.checkpoint("half").unwrap();
        }
    }
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        import
            .finish("end", &mut |_, _, _| ControlFlow::Continue(()), &|_| panic!("as if killed"))
            .map(|_| ())
    }));
    assert!(ended.is_err());
    world.restart();
    let import = world.engine().import_files(request(&world, OnDuplicate::Error)).unwrap();
    assert_eq!(import.resumed(), Some(("end", TUPLES)));
    // Two at a time would write each other's files.
    let second = world.engine().import_files(request(&world, OnDuplicate::Error)).map(|_| ()).unwrap_err();
    assert!(matches!(second, EngineError::Storage(StorageError::ImportPrepared)), "{second}");
    let answer = import.finish("end", &mut |place, _, _| panic!("{place:?}"), &|_| ()).unwrap().unwrap();
    assert_eq!(answer.counts.written, TUPLES);
}
