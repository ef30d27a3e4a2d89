//! The questions of an audit, and explanations in stored states: who could do something, what somebody could do, at a time and
//! between two times, held against checks at every moment.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "a test")]

#[path = "judge/random.rs"]
mod random;

use std::collections::BTreeSet;

use stonetown::engine::{
    Access, At, AuditAnswer, AuditQuestion, AuditTime, Block, CheckRequest, Context, Engine, ExplainRequest,
    ExplainedAnswer, Given, OnDuplicate, OnMissing, Settings, Standing, WriteRequest,
};
use stonetown::schema::read_schema;
use stonetown::tuple::{Object, StoreId, Timestamp, Tuple, TupleKey};
use tempfile::TempDir;

use random::Random;

const SCHEMA: &str = "\
model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member]

type doc
  relations
    define parent: [doc]
    define banned: [user]
    define viewer: [user, user:*, group#member, user with early] or viewer from parent
    define can_view: viewer but not banned

condition early(hour: int) {
  hour < 12
}
";

struct World {
    engine: Engine,
    store: StoreId,
    _dir: TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.database.create = true;
        let engine = Engine::open(&dir.path().join("data"), settings).unwrap();
        let store = engine.create_store(None).unwrap().id;
        engine.write_schema(store, &read_schema("audit.fga", SCHEMA).unwrap().0).unwrap();
        World { engine, store, _dir: dir }
    }

    fn write(&self, writes: &[&str], deletes: &[&str]) -> Timestamp {
        let request = WriteRequest {
            store: self.store,
            writes: writes.iter().map(|text| text.parse::<Tuple>().unwrap()).collect(),
            deletes: deletes.iter().map(|text| text.parse::<TupleKey>().unwrap()).collect(),
            preconditions: Vec::new(),
            on_duplicate: OnDuplicate::Replace,
            on_missing: OnMissing::Ignore,
            schema: None,
        };
        let token = self.engine.write(request).unwrap().token;
        self.engine.view(self.store, None, &At::Token(self.engine.seal(&token))).unwrap().token().time
    }

    fn who(&self, place: &str, time: AuditTime) -> AuditAnswer {
        let (object, relation) = place.split_once('#').unwrap();
        let question = AuditQuestion::Who { object: object.parse().unwrap(), relation: relation.into() };
        self.engine.audit(self.store, &question, &time, &Context::default()).unwrap()
    }

    fn what(&self, subject: &str, time: AuditTime) -> AuditAnswer {
        let question = AuditQuestion::What { subject: subject.parse::<Object>().unwrap(), only: Vec::new() };
        self.engine.audit(self.store, &question, &time, &Context::default()).unwrap()
    }

    fn check(&self, tuple: &str, at: At) -> bool {
        let tuple: TupleKey = tuple.parse().unwrap();
        let request = CheckRequest {
            store: self.store,
            tuple: tuple.as_ref(),
            schema: None,
            given: Given::default(),
            at,
        };
        self.engine.check(request).unwrap().allowed
    }

    fn explain(&self, tuple: &str, context: &str, at: &At) -> stonetown::engine::Explained {
        let tuple: TupleKey = tuple.parse().unwrap();
        let view = self.engine.view(self.store, None, at).unwrap();
        let request = ExplainRequest { tuple: tuple.as_ref(), proofs_max: 3, misses_max: 5 };
        let context = Context::new(serde_json::from_str(context).unwrap());
        view.explain(&request, &Given { tuples: Vec::new(), context }).unwrap()
    }
}

/// Who of an answer holds something surely, at one moment of the time asked about.
fn at_moment(answer: &AuditAnswer, moment: Timestamp) -> BTreeSet<String> {
    let covers = |stretch: &Option<(Timestamp, Option<Timestamp>)>| {
        stretch.is_none_or(|(since, until)| since <= moment && until.is_none_or(|until| moment < until))
    };
    let lines = answer.lines.iter().filter(|(_, stretch)| covers(stretch));
    lines.filter_map(|(access, _)| text(access)).collect()
}

fn text(access: &Access) -> Option<String> {
    match access {
        Access::Holder(it) if it.standing == Standing::Yes => {
            Some(format!("{}:{}", it.subject_type, it.subject.as_deref().unwrap_or("*")))
        }
        Access::Held(it) if it.standing == Standing::Yes => Some(format!("{}#{}", it.object, it.relation)),
        _ => None,
    }
}

/// A tuple of a small universe.
fn tuple(random: &mut Random) -> String {
    let user = format!("user:{}", random.below(4));
    let doc = format!("doc:{}", random.below(3));
    let group = format!("group:{}", random.below(2));
    match random.below(7) {
        0 => format!("{group}#member@{user}"),
        1 => format!("{group}#member@group:{}#member", random.below(2)),
        2 => format!("{doc}#parent@doc:{}", random.below(3)),
        3 => format!("{doc}#banned@{user}"),
        4 => format!("{doc}#viewer@{group}#member"),
        5 => format!("{doc}#viewer@{user}"),
        _ => format!("{doc}#viewer@user:*"),
    }
}

#[test]
fn stretches_are_what_checks_say_at_every_moment() {
    for seed in 0..12 {
        let random = &mut Random::new(20_261_122 + seed);
        let world = World::new();
        let mut moments = Vec::new();
        for _ in 0..25 {
            let (one, other) = (tuple(random), tuple(random));
            if one == other
                || one.contains("group:0#member@group:0#")
                || one.contains("group:1#member@group:1#")
            {
                continue;
            }
            let writes: &[&str] = if random.chance(65) { &[&one] } else { &[] };
            moments.push(world.write(writes, &[&other]));
        }
        let (from, to) = (moments[2], *moments.last().unwrap());
        for doc in ["doc:0", "doc:1", "doc:2"] {
            let place = format!("{doc}#can_view");
            let over = world.who(&place, AuditTime::Between(from, to));
            for &moment in moments.iter().filter(|moment| (from..=to).contains(moment)) {
                let found = at_moment(&over, moment);
                let then = at_moment(&world.who(&place, AuditTime::At(At::Time(moment))), moment);
                assert_eq!(found, then, "seed {seed}, {place} at {moment}");
                // Who is not named is told by everybody.
                for user in 0..5 {
                    let user = format!("user:{user}");
                    let allowed = world.check(&format!("{place}@{user}"), At::Time(moment));
                    let named = world.who(&place, AuditTime::At(At::Time(moment)));
                    let is_denied = named.lines.iter().any(|(access, _)| {
                        matches!(access, Access::Holder(it)
                            if it.standing == Standing::No && it.subject.as_deref() == Some(&user[5..]))
                    });
                    let told = found.contains(&user) || (found.contains("user:*") && !is_denied);
                    assert_eq!(allowed, told, "seed {seed}, {place}@{user} at {moment}");
                }
            }
        }
        for user in ["user:0", "user:3"] {
            let over = world.what(user, AuditTime::Between(from, to));
            for &moment in moments.iter().filter(|moment| (from..=to).contains(moment)) {
                let found = at_moment(&over, moment);
                for doc in ["doc:0", "doc:1", "doc:2"] {
                    for relation in ["viewer", "banned", "can_view"] {
                        let allowed = world.check(&format!("{doc}#{relation}@{user}"), At::Time(moment));
                        let place = format!("{doc}#{relation}");
                        assert_eq!(
                            found.contains(&place),
                            allowed,
                            "seed {seed}, {place}@{user} at {moment}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_tuple_that_ends_ends_the_stretch() {
    let world = World::new();
    let begun = world.write(&["doc:1#viewer@user:anne"], &[]);
    let end = Timestamp::from_micros(begun.as_micros() + 50_000);
    world.write(&[&format!("doc:1#viewer@user:bob until {end}")], &[]);
    std::thread::sleep(std::time::Duration::from_millis(120));
    let last = world.write(&["doc:2#viewer@user:anne"], &[]);
    let answer = world.who("doc:1#can_view", AuditTime::Between(begun, last));
    let bob = answer.lines.iter().find(|(access, _)| text(access).as_deref() == Some("user:bob")).unwrap();
    assert_eq!(bob.1.unwrap().1, Some(end));
    let anne = answer.lines.iter().find(|(access, _)| text(access).as_deref() == Some("user:anne")).unwrap();
    assert_eq!(anne.1, Some((begun, None)));
}

#[test]
fn conditions_that_are_not_known_are_told() {
    let world = World::new();
    world.write(&["doc:1#viewer@user:anne with early", "doc:1#viewer@user:bob"], &[]);
    let answer = world.who("doc:1#can_view", AuditTime::At(At::Head));
    let standings: Vec<_> = answer
        .lines
        .iter()
        .map(|(access, _)| match access {
            Access::Holder(it) => (it.subject.as_deref().unwrap().to_owned(), it.standing.clone()),
            Access::Held(_) => panic!("{access:?}"),
        })
        .collect();
    assert_eq!(
        standings,
        [("anne".to_owned(), Standing::If("early".into())), ("bob".to_owned(), Standing::Yes)]
    );
}

#[test]
fn explanations_tell_what_is_in_the_way() {
    let world = World::new();
    let before = world.write(&["doc:1#viewer@group:g#member", "group:g#member@user:anne"], &[]);
    world.write(&["doc:1#banned@user:anne", "doc:1#viewer@user:zoe with early"], &[]);

    let no = world.explain("doc:1#can_view@user:anne", "{}", &At::Head).explanation;
    assert_eq!(no.answer, ExplainedAnswer::No);
    let Block::TakenAway { tuples, by, .. } = &no.blocks[0] else { panic!("{:?}", no.blocks) };
    assert_eq!((&**by, tuples[0].tuple.to_string()), ("banned", "doc:1#banned@user:anne".to_owned()));
    // The nearest way is to lift the ban; nothing can be written that would do.
    let deletes: Vec<String> = no.misses[0].deletes.iter().map(ToString::to_string).collect();
    assert_eq!((no.misses[0].writes.len(), deletes), (0, vec!["doc:1#banned@user:anne".to_owned()]));

    let then = world.explain("doc:1#can_view@user:anne", "{}", &At::Time(before));
    assert_eq!(then.explanation.answer, ExplainedAnswer::Yes);
    let proof = &then.explanation.proofs[0];
    let tuples: Vec<String> = proof.tuples.iter().map(|it| it.tuple.to_string()).collect();
    assert_eq!(tuples.len(), 2, "{tuples:?}");
    let absent: Vec<String> = proof.absent.iter().map(ToString::to_string).collect();
    assert_eq!(absent, ["doc:1#banned@user:anne"]);
    // It was written in the revision before, at a time that is told.
    assert!(
        then.times.iter().any(|(revision, time)| *revision == proof.tuples[0].revision && *time == before)
    );
    assert!(then.period.is_some());

    let late = world.explain("doc:1#can_view@user:zoe", r#"{"hour": 20}"#, &At::Head).explanation;
    assert_eq!(late.answer, ExplainedAnswer::No);
    assert!(late.blocks.iter().any(|block| matches!(block, Block::ConditionFalse { .. })), "{late:?}");
    let unknown = world.explain("doc:1#can_view@user:zoe", "{}", &At::Head).explanation;
    assert_eq!(unknown.answer, ExplainedAnswer::Conditional);
    assert!(
        unknown.blocks.iter().any(|block| matches!(block, Block::ConditionUnknown { .. })),
        "{unknown:?}"
    );

    // Under another schema a stored tuple may not be allowed any longer.
    let strict = SCHEMA.replace("[user, user:*, group#member, user with early]", "[user, user:*]");
    world.engine.write_schema(world.store, &read_schema("strict.fga", &strict).unwrap().0).unwrap();
    let silenced = world.explain("doc:1#can_view@user:zoe", "{}", &At::Head).explanation;
    assert!(silenced.blocks.iter().any(|block| matches!(block, Block::Invalid { .. })), "{silenced:?}");
}

#[test]
fn a_proof_among_thousands_of_groups_is_found() {
    let world = World::new();
    let names: Vec<String> = (0..2_000).map(|number| format!("doc:1#viewer@group:{number}#member")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.write(&names, &[]);
    world.write(&["group:1234#member@user:anne"], &[]);
    let yes = world.explain("doc:1#can_view@user:anne", "{}", &At::Head).explanation;
    let tuples: Vec<String> = yes.proofs[0].tuples.iter().map(|it| it.tuple.to_string()).collect();
    assert_eq!(tuples.len(), 2);
    assert!(tuples.contains(&"group:1234#member@user:anne".to_owned()), "{tuples:?}");
    assert!(yes.has_more_proofs);
}
