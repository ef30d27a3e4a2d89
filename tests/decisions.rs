//! Kept decisions are never stale: schedules that a naive cache gets wrong, one by one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use stonetown::engine::{
    At, Context, DecisionStats, Engine, Given, OnDuplicate, OnMissing, Precondition, Settings, View,
    WriteRequest,
};
use stonetown::schema::Tree;
use stonetown::storage::{Change, Database, DatabaseOptions, TupleReader, Writer};
use stonetown::tuple::{Object, StoreId, Timestamp, Tuple, TupleKey, TupleRef};

const SCHEMA: &str = "
model
  schema 1.1
type user
type org
  relations
    define parent: [org]
    define admin: [user, user:*] or admin from parent
    define member: [user]
type room
  relations
    define guest: [user]
type voice
  relations
    define org: [org]
    define blocked: [user]
    define viewer: [user, user:*, user with open, org#admin, org#member] or admin from org
    define can_view: viewer but not blocked
condition open(is_open: bool) {
  is_open
}
";

struct World {
    engine: Engine,
    store: StoreId,
    _dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings { decision_cache_bytes: 1 << 20, ..Settings::default() };
    settings.database.create = true;
    let engine = Engine::open(dir.path(), settings).unwrap();
    let store = engine.create_store(None).unwrap().id;
    engine.write_schema(store, &Tree::parse("decisions", SCHEMA).unwrap()).unwrap();
    World { engine, store, _dir: dir }
}

fn request(store: StoreId, writes: &[&str], deletes: &[&str]) -> WriteRequest {
    WriteRequest {
        store,
        writes: writes.iter().map(|text| text.parse().unwrap()).collect(),
        deletes: deletes.iter().map(|text| text.parse().unwrap()).collect(),
        preconditions: Vec::new(),
        on_duplicate: OnDuplicate::Ignore,
        on_missing: OnMissing::Ignore,
        schema: None,
    }
}

impl World {
    fn write(&self, writes: &[&str]) {
        self.engine.write(request(self.store, writes, &[])).unwrap();
    }

    fn delete(&self, deletes: &[&str]) {
        self.engine.write(request(self.store, &[], deletes)).unwrap();
    }

    fn view(&self) -> View<'_> {
        self.engine.view(self.store, None, &At::Head).unwrap()
    }

    fn check(&self, question: &str) -> bool {
        ask(&self.view(), question)
    }

    fn stats(&self) -> DecisionStats {
        self.engine.store_stats(self.store).unwrap().decisions.unwrap()
    }

    /// Whether the question is answered without evaluation.
    fn is_kept(&self, question: &str) -> bool {
        let before = self.stats().hits;
        self.check(question);
        self.stats().hits > before
    }
}

fn ask(view: &View<'_>, question: &str) -> bool {
    view.check(TupleRef::parse(question).unwrap(), &Given::default()).unwrap().allowed
}

const QUESTION: &str = "voice:1#can_view@user:anne";

#[test]
fn a_question_that_was_answered_is_not_evaluated_again_until_what_it_rests_on_changes() {
    let world = world();
    world.write(&["voice:1#org@org:1", "org:1#parent@org:2", "org:2#admin@user:anne"]);
    assert!(world.check(QUESTION) && world.is_kept(QUESTION));
    // Elsewhere.
    world.write(&["voice:2#org@org:1", "org:3#admin@user:bob", "voice:1#blocked@user:bob"]);
    assert!(world.is_kept(QUESTION), "nothing that it rests on has changed");
    // Each of these changes the answer.
    world.write(&["voice:1#blocked@user:anne"]);
    assert!(!world.check(QUESTION));
    world.delete(&["voice:1#blocked@user:anne"]);
    assert!(world.check(QUESTION));
    world.delete(&["org:1#parent@org:2"]);
    assert!(!world.check(QUESTION) && world.is_kept(QUESTION));
    world.write(&["voice:1#viewer@user:*"]);
    assert!(world.check(QUESTION));
}

#[test]
fn a_writer_between_snapshot_and_look_up_does_not_lend_its_answer_to_the_older_snapshot() {
    let world = world();
    let before = world.view();
    world.write(&["voice:1#viewer@user:anne"]);
    assert!(world.check(QUESTION), "kept under the newer snapshot");
    assert!(!ask(&before, QUESTION), "the older one has its own token, and its own answer");
    assert!(world.check(QUESTION), "and leaves no trace in newer ones");
}

/// The same below the clock: an older snapshot that came by its time later than the newer one.
#[test]
fn what_a_newer_snapshot_found_holds_in_an_older_one_only_where_nothing_changed_between() {
    let dir = tempfile::tempdir().unwrap();
    let options = DatabaseOptions { create: true, stripes: 1 << 10, ..DatabaseOptions::default() };
    let database = Arc::new(Database::open(dir.path(), &options).unwrap());
    let writer = Writer::start(Arc::clone(&database)).unwrap();
    let store = writer.create_store(StoreId::generate(), None).unwrap();
    let write = |text: &str| {
        let tuple: Tuple = text.parse().unwrap();
        writer.write::<()>(store.id, Box::new(move |_, _| Ok(vec![Change::Write(tuple)]))).unwrap();
    };
    write("voice:1#viewer@user:anne");
    let (one, two) = (database.head(store.number).unwrap(), database.head(store.number).unwrap());
    write("voice:2#viewer@user:anne");
    let new = database.head(store.number).unwrap();
    let found = |voice: &str| {
        let state = new.track().unwrap();
        let question = format!("voice:{voice}#viewer@user:anne");
        assert!(state.get(TupleRef::parse(&question).unwrap()).unwrap().is_some());
        state.into_basis().unwrap()
    };
    let (untouched, touched) = (found("1"), found("2"));
    let later = new.now();
    assert!(untouched.holds_in(&one.at_time(later)));
    assert!(!touched.holds_in(&two.at_time(later)));
    assert!(touched.holds_in(&new));
}

#[test]
fn an_evaluation_under_an_older_snapshot_is_not_kept_for_those_who_come_after_the_write() {
    let world = world();
    let before = world.view();
    world.write(&["voice:1#viewer@user:anne"]);
    assert!(!ask(&before, QUESTION), "found, and kept, after the write was acknowledged");
    assert!(world.check(QUESTION));
}

#[test]
fn a_refused_write_changes_no_answer() {
    let world = world();
    world.write(&["voice:1#viewer@user:anne"]);
    assert!(world.check(QUESTION));
    let mut refused = request(world.store, &["voice:1#blocked@user:anne"], &[]);
    refused.preconditions = vec!["exists voice:9#viewer@user:nobody".parse::<Precondition>().unwrap()];
    world.engine.write(refused).unwrap_err();
    assert!(world.is_kept(QUESTION) && world.check(QUESTION));
}

#[test]
fn an_answer_that_rests_on_an_expiring_tuple_ends_with_it() {
    let world = world();
    let end = Timestamp::from_micros(Timestamp::wall_clock().as_micros() + 400_000);
    let mut tuple: Tuple = "voice:1#viewer@user:anne".parse().unwrap();
    tuple.expires_at = Some(end);
    let mut write = request(world.store, &[], &[]);
    write.writes = vec![tuple];
    world.engine.write(write).unwrap();
    let early = world.view();
    assert!(world.check(QUESTION) && world.is_kept(QUESTION));
    while world.view().token().time < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!world.check(QUESTION));
    assert!(ask(&early, QUESTION), "who came before its end is not told what is found after it");
    assert!(!world.check(QUESTION));
}

#[test]
fn what_hangs_on_a_condition_or_on_contextual_tuples_is_not_kept() {
    let world = world();
    let mut tuple: Tuple = "voice:1#viewer@user:anne".parse().unwrap();
    tuple.condition = Some(
        stonetown::tuple::TupleCondition::new("open", stonetown::tuple::ConditionContext::empty()).unwrap(),
    );
    let mut write = request(world.store, &[], &[]);
    write.writes = vec![tuple];
    world.engine.write(write).unwrap();
    let question = TupleRef::parse(QUESTION).unwrap();
    let given = |is_open: bool| Given {
        context: Context::new(json!({ "is_open": is_open }).as_object().cloned().unwrap()),
        ..Given::default()
    };
    for is_open in [true, false, true] {
        assert_eq!(world.view().check(question, &given(is_open)).unwrap().allowed, is_open);
    }
    let other = TupleRef::parse("voice:2#can_view@user:anne").unwrap();
    let with = Given { tuples: vec!["voice:2#viewer@user:anne".parse().unwrap()], ..Given::default() };
    assert!(world.view().check(other, &with).unwrap().allowed);
    assert!(!world.view().check(other, &Given::default()).unwrap().allowed);
    assert!(world.view().check(other, &with).unwrap().allowed, "also where a decision is kept");
    assert_eq!(world.stats().hits, 0);
}

#[test]
fn the_past_is_not_answered_by_decisions_about_now() {
    let world = world();
    world.write(&["voice:1#viewer@user:anne"]);
    let token = world.engine.seal(&world.view().token());
    assert!(world.check(QUESTION));
    world.delete(&["voice:1#viewer@user:anne"]);
    assert!(!world.check(QUESTION));
    let then = world.engine.view(world.store, None, &At::Token(token)).unwrap();
    assert!(ask(&then, QUESTION));
    assert!(!world.check(QUESTION));
}

#[test]
fn a_decision_is_one_of_its_store_and_its_schema() {
    let world = world();
    world.write(&["voice:1#viewer@user:anne"]);
    assert!(world.check(QUESTION));
    let other = world.engine.create_store(None).unwrap().id;
    world.engine.write_schema(other, &Tree::parse("other", SCHEMA).unwrap()).unwrap();
    assert!(!ask(&world.engine.view(other, None, &At::Head).unwrap(), QUESTION));
    let narrower = SCHEMA.replace("viewer but not blocked", "viewer and blocked");
    world.engine.write_schema(world.store, &Tree::parse("narrower", &narrower).unwrap()).unwrap();
    assert!(!world.check(QUESTION));
}

#[test]
fn a_store_made_anew_under_its_id_has_none_of_the_old_decisions() {
    let world = world();
    world.write(&["voice:1#viewer@user:anne"]);
    assert!(world.check(QUESTION));
    world.engine.delete_store(world.store).unwrap();
    world.engine.create_store_with_id(world.store).unwrap();
    world.engine.write_schema(world.store, &Tree::parse("again", SCHEMA).unwrap()).unwrap();
    assert!(!world.check(QUESTION));
}

#[test]
fn a_purge_is_seen_at_once() {
    let world = world();
    world.write(&["voice:1#org@org:1", "org:1#admin@user:anne"]);
    assert!(world.check(QUESTION));
    world.engine.purge(world.store, "org:1".parse::<Object>().unwrap(), false).unwrap();
    assert!(!world.check(QUESTION));
}

#[test]
fn many_reads_rest_on_their_relations_as_a_whole() {
    let world = world();
    let groups: Vec<String> = (0..200).map(|group| format!("voice:1#viewer@org:g{group}#admin")).collect();
    world.write(&groups.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!world.check(QUESTION) && world.is_kept(QUESTION));
    world.write(&["org:g137#admin@user:anne"]);
    assert!(world.check(QUESTION));
    world.write(&["room:1#guest@user:anne"]);
    assert!(world.is_kept(QUESTION), "another relation");
    // Far behind the first of the reads, and nobody is named anew.
    world.write(&["org:x#admin@user:anne"]);
    world.delete(&["org:g137#admin@user:anne"]);
    assert!(!world.check(QUESTION) && world.is_kept(QUESTION));
    world.write(&["org:g136#parent@org:x"]);
    assert!(world.check(QUESTION));
    world.delete(&["org:x#admin@user:anne"]);
    world.write(&["org:g136#parent@org:top", "org:g137#admin@user:anne"]);
    world.delete(&["org:g137#admin@user:anne"]);
    assert!(!world.check(QUESTION));
    world.write(&["org:top#admin@user:*"]);
    assert!(world.check(QUESTION));
}

#[test]
fn questions_that_look_alike_in_bytes_have_their_own_answers() {
    let world = world();
    world.write(&["voice:1#viewer@org:a#admin", "voice:2#viewer@user:*", "voice:12#viewer@user:1"]);
    let expected = [
        ("voice:1#viewer@org:a#admin", true),
        ("voice:1#viewer@org:a#member", false),
        ("voice:1#viewer@org:a", false),
        ("voice:2#viewer@user:*", true),
        ("voice:2#viewer@user:1", true),
        ("voice:1#viewer@user:*", false),
        ("voice:12#viewer@user:1", true),
        ("voice:1#viewer@user:21", false),
    ];
    for _ in 0..2 {
        for (question, allowed) in expected {
            assert_eq!(world.check(question), allowed, "{question}");
        }
    }
}

#[test]
fn a_batch_uses_what_is_kept() {
    use stonetown::engine::BatchItem;
    let world = world();
    world.write(&["voice:1#viewer@user:anne"]);
    let item =
        |question: &str| BatchItem { tuple: question.parse::<TupleKey>().unwrap(), given: Given::default() };
    let items = [item(QUESTION), item("voice:2#can_view@user:anne")];
    let allowed = || -> Vec<bool> {
        world.view().batch_check(&items).into_iter().map(|answer| answer.unwrap()).collect()
    };
    assert!(world.check(QUESTION));
    let hits = world.stats().hits;
    assert_eq!(allowed(), [true, false]);
    assert_eq!(world.stats().hits, hits + 1);
    world.delete(&["voice:1#viewer@user:anne"]);
    assert_eq!(allowed(), [false, false]);
}

/// Whoever asks after a write was acknowledged gets its answer, however many ask the same at the same time.
#[test]
fn nobody_who_asks_after_an_acknowledged_write_joins_what_was_found_before_it() {
    let world = world();
    let (round, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    let asked = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Acquire) {
                    let before = round.load(Ordering::SeqCst);
                    let allowed = world.check(QUESTION);
                    let after = round.load(Ordering::SeqCst);
                    // An even number: the write of that round is acknowledged, the next is not sent yet.
                    if before == after && before % 2 == 0 {
                        assert_eq!(allowed, before % 4 == 2, "round {before}");
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for turn in 0..400 {
            round.fetch_add(1, Ordering::SeqCst);
            if turn % 2 == 0 {
                world.write(&["voice:1#viewer@user:anne"]);
            } else {
                world.delete(&["voice:1#viewer@user:anne"]);
            }
            round.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(200));
        }
        is_done.store(true, Ordering::Release);
    });
    let stats = world.stats();
    assert!(asked.into_inner() > 100 && stats.hits > 0 && stats.misses > 100, "{stats:?}");
}

#[test]
fn the_cache_keeps_to_its_size() {
    let world = world();
    for voice in 0..20_000 {
        world.check(&format!("voice:{voice}#can_view@user:anne"));
    }
    let stats = world.stats();
    assert!(stats.bytes <= 1 << 20, "{stats:?}");
    assert!(stats.entries > 1_000, "{stats:?}");
}
