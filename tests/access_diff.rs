//! The access diff says what the judge says: the difference of two full listings, under the definition in `analysis/diff.rs`.
//!
//! Worlds are those of `judge`, with conditions on some restrictions. A change deletes and writes tuples, or replaces the schema
//! by a simpler or a richer one, or both. The judge lists every (object, permission, subject) of both sides for each way in
//! which the unknown conditions can turn out.
//!
//! ```text
//! STONETOWN_CASES=100000 STONETOWN_SEED=1 tools/cargo test --release --test access_diff -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, dead_code, reason = "a test")]

#[path = "access_diff/change.rs"]
mod change;
#[path = "judge/generator.rs"]
mod generator;
#[path = "access_diff/listing.rs"]
mod listing;
#[path = "judge/model.rs"]
mod model;
#[path = "judge/random.rs"]
mod random;
#[path = "judge/schemas.rs"]
mod schemas;
#[path = "judge/sketch.rs"]
mod sketch;
#[path = "judge/tuples.rs"]
mod tuples;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use stonetown::analysis::{Change, DiffLimits, DiffRequest, Found, Side, Standing, Touched, access_diff};
use stonetown::condition::Context;
use stonetown::engine::{
    AccessDiffRequest, ApplyRequest, At, ChangeSet, DiffOf, Engine, OnDuplicate, OnMissing, SchemaInput,
    Settings,
};
use stonetown::storage::{Empty, Overlay};
use stonetown::tuple::{Revision, Timestamp, Tuple, TupleKey};

use change::{Case, case};
use listing::{Lines, difference};
use random::Random;

const CASES: u64 = 5_000;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

/// What the engine's diff says, in the judge's form.
fn found(case: &Case, limits: DiffLimits, touched: Touched) -> Lines {
    let mut before = Overlay::what_if(Empty { now: Timestamp::default() });
    let writes = |tuples: &[stonetown::tuple::Tuple]| -> Vec<stonetown::storage::Change> {
        tuples.iter().cloned().map(stonetown::storage::Change::Write).collect()
    };
    before.apply(Revision(1), &writes(&case.before));
    let mut after = Overlay::what_if(&before);
    after.apply(Revision(2), &case.changes());
    let request = DiffRequest {
        before: Side { program: &case.programs[0], state: &before },
        after: Side { program: &case.programs[1], state: &after },
        touched,
        context: &Context::default(),
        only: Vec::new(),
        limits,
    };
    let mut lines = Lines::new();
    let done = access_diff(&request, &mut |found| {
        take(&mut lines, found);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(done.work.objects > 0 || lines.is_empty());
    lines
}

fn take(lines: &mut Lines, found: Found<'_>) {
    let (object, permission, found) = match found {
        Found::Lines { object, permission, lines } => (object, permission, lines),
        Found::Incomplete { object, permission, bound } => panic!("{object}#{permission}: {bound}"),
    };
    for line in &found.lines {
        let class = |standing: &Standing| match standing {
            Standing::No => 0,
            Standing::If(text) => {
                assert!(!text.is_empty());
                1
            }
            Standing::Yes => 2,
        };
        let key = (
            object.to_string(),
            permission.to_owned(),
            line.subject_type.to_string(),
            line.subject.as_deref().map(str::to_owned),
        );
        let value = (line.change, class(&line.before), class(&line.after));
        assert!(lines.insert(key, value).is_none(), "a line twice: {object} {permission} {line:?}");
    }
    for change in [Change::Gained, Change::Lost, Change::Changed, Change::Kept] {
        let count = found.lines.iter().filter(|line| line.change == change).count();
        assert_eq!(found.count(change), count);
    }
}

/// The same over RocksDB: the change thought of, and the states before and after it was made.
#[test]
fn stored_states_differ_as_the_judge_says() {
    let seed = setting("STONETOWN_SEED", 20_261_122);
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.database.create = true;
    let engine = Engine::open(&dir.path().join("data"), settings).unwrap();
    let mut differing = 0;
    for number in 0..setting("STONETOWN_CASES", CASES) / 20 {
        let case = case(&mut Random::new(seed.wrapping_add(number))).storable();
        if case.writes.is_empty() && case.deletes.is_empty() && !case.is_schema_change {
            continue;
        }
        let store = engine.create_store(None).unwrap().id;
        engine.write_schema_json(store, &case.documents[0]).unwrap();
        let apply = |schema: Option<SchemaInput>, writes: &[Tuple], deletes: &[TupleKey]| {
            let request = ApplyRequest {
                store,
                schema,
                renames: Vec::new(),
                writes: writes.to_vec(),
                deletes: deletes.to_vec(),
                preconditions: Vec::new(),
                on_duplicate: OnDuplicate::Replace,
                on_missing: OnMissing::Error,
                allow_silenced: true,
                is_trial: false,
            };
            engine.apply(request).unwrap().applied.unwrap().token
        };
        let before = match case.before.is_empty() {
            true => engine.newest(store).unwrap(),
            false => apply(None, &case.before, &[]),
        };
        let schema = Some(SchemaInput::Json(case.documents[1].clone()));
        let change =
            ChangeSet { schema: schema.clone(), writes: case.writes.clone(), deletes: case.deletes.clone() };
        let expected = difference(&case);
        let ask = |of: DiffOf| {
            let request = AccessDiffRequest {
                store,
                of,
                context: Context::default(),
                only: Vec::new(),
                limits: DiffLimits::default(),
            };
            let mut lines = Lines::new();
            engine
                .access_diff(&request, &mut |found| {
                    take(&mut lines, found);
                    ControlFlow::Continue(())
                })
                .unwrap();
            lines
        };
        let thought = ask(DiffOf::Change { at: At::Head, change: Box::new(change) });
        assert_eq!(thought, expected, "thought of, seed {seed} {number}\n{case}");
        let after = apply(schema, &case.writes, &case.deletes);
        let state = |token| At::Token(engine.seal(token));
        let made = ask(DiffOf::Times { from: state(&before), to: state(&after), now: None });
        assert_eq!(made, expected, "made, seed {seed} {number}\n{case}");
        let back: Lines = ask(DiffOf::Times { from: state(&after), to: state(&before), now: None });
        assert_eq!(back.len(), expected.len(), "back, seed {seed} {number}\n{case}");
        differing += usize::from(!expected.is_empty());
    }
    println!("{differing} of the stored cases differ");
    assert!(differing > 0);
    let validation = engine.validate(&mut |_| ()).unwrap();
    assert!(validation.findings.is_empty(), "{:?}", validation.findings);
}

#[test]
fn the_diff_is_the_difference_of_two_listings() {
    let (cases, seed) = (setting("STONETOWN_CASES", CASES), setting("STONETOWN_SEED", 20_261_122));
    let next = std::sync::atomic::AtomicU64::new(0);
    let counts = std::sync::Mutex::new(BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= cases {
                        return;
                    }
                    let case = case(&mut Random::new(seed.wrapping_add(number)));
                    let names = judged(&case, seed.wrapping_add(number));
                    let mut counts = counts.lock().unwrap();
                    names.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{cases} cases: {counts:?}");
    if cases >= 1_000 {
        for name in
            ["gained", "lost", "changed", "kept", "everybody", "conditional", "schema changes", "empty"]
        {
            assert!(counts.get(name).is_some_and(|count| *count >= 20), "{name}: too few: {counts:?}");
        }
    }
}

fn judged(case: &Case, seed: u64) -> Vec<(&'static str, usize)> {
    let expected = difference(case);
    let keys: Vec<TupleKey> = case.touched();
    let ways = [
        // As it comes: from the changed tuples, or type by type where the schema changes.
        (DiffLimits::default(), Touched::Tuples(keys.clone())),
        // Type by type, and with hardly any memory.
        (DiffLimits { places_max: 0, bytes_max: 1 << 14, ..DiffLimits::default() }, Touched::Tuples(keys)),
        (DiffLimits::default(), Touched::Anything),
    ];
    for (way, (limits, touched)) in ways.into_iter().enumerate() {
        let found = found(case, limits, touched);
        if found != expected {
            let missing: Vec<_> =
                expected.iter().filter(|(key, line)| found.get(*key) != Some(*line)).take(5).collect();
            let wrong: Vec<_> =
                found.iter().filter(|(key, line)| expected.get(*key) != Some(*line)).take(5).collect();
            panic!("seed {seed}, way {way}\nexpected {missing:#?}\nfound {wrong:#?}\n{case}");
        }
    }
    let of = |change| expected.values().filter(|line| line.0 == change).count();
    vec![
        ("gained", of(Change::Gained)),
        ("lost", of(Change::Lost)),
        ("changed", of(Change::Changed)),
        ("kept", of(Change::Kept)),
        ("everybody", expected.keys().filter(|key| key.3.is_none()).count()),
        ("conditional", expected.values().filter(|line| line.1 == 1 || line.2 == 1).count()),
        ("schema changes", usize::from(case.is_schema_change)),
        ("empty", usize::from(expected.is_empty())),
    ]
}

/// A diff over tuples as text, before and after, and the schema's text.
fn small(schema: &str, before: &[&str], writes: &[&str]) -> Lines {
    let programs = [schema, schema].map(|text| {
        stonetown::eval::Program::new(stonetown::schema::read_schema("small.fga", text).unwrap().1)
    });
    let tuples = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Tuple>>();
    let case = Case {
        programs,
        documents: Default::default(),
        before: tuples(before),
        writes: tuples(writes),
        deletes: Vec::new(),
        is_schema_change: false,
    };
    found(&case, DiffLimits::default(), Touched::Tuples(case.touched()))
}

/// Found by reading: relations that mention each other twice on each level took twice as long for each level.
#[test]
fn relations_that_repeat_each_other_are_looked_at_once() {
    let mut schema =
        "model\n  schema 1.1\n\ntype user\n\ntype doc\n  relations\n    define b: [user]\n".to_owned();
    for level in 0..60 {
        let next = level + 1;
        schema.push_str(&format!("    define a{level}: a{next} or (a{next} and b) or (a{next} and b)\n"));
    }
    schema.push_str("    define a60: [user]\n");
    let lines = small(&schema, &["doc:1#b@user:x"], &["doc:1#a60@user:anne"]);
    assert_eq!(lines.len(), 61);
}

/// Found by reading: more conditions than one truth can hang on, each on an object of its own.
#[test]
fn conditions_of_other_objects_take_no_room_for_ever() {
    let schema = "model\n  schema 1.1\n\ntype user\n\ntype doc\n  relations\n    define viewer: [user, user with c]\n    define can_view: viewer\n\ncondition c(n: int, x: int) {\n  n < x\n}\n";
    let tuples: Vec<String> = (0..20_000)
        .map(|number| format!("doc:{number}#viewer@user:anne with c {{\"n\":{number}}}"))
        .collect();
    let tuples: Vec<&str> = tuples.iter().map(String::as_str).collect();
    assert_eq!(small(schema, &[], &tuples).len(), 40_000);
}
