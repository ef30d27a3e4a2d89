//! Random worlds with conditions of which some cannot be evaluated: an answer is the one that every way of knowing them gives, an
//! error where they differ. The judge is asked about every way.

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::json;
use stonetown::condition::Context;
use stonetown::eval::{self, Decision, EvalError, Limits, ListObjects, ListSubjects, Program};
use stonetown::schema::read_json;
use stonetown::storage::{Empty, Overlay};
use stonetown::tuple::{ConditionContext, Subject, SubjectRef, Timestamp, Tuple, TupleCondition, TupleKey};

use super::generator::{World, world};
use super::model::{Verdict, judge};
use super::random::Random;

const CASES: u64 = 6_000;
const QUESTIONS: u64 = 6;
/// Unknown tuples in one world: the judge is asked twice as often for each.
const UNKNOWN_MAX: usize = 5;

#[derive(Debug, Default)]
struct Seen {
    yes: usize,
    no: usize,
    errors: usize,
    /// Errors though every way gives the same.
    cautious: usize,
    despite_unknown: usize,
    lists: usize,
    list_errors: usize,
}

/// A world's schema in which every tuple may carry the condition `c`, which is what its parameter says.
fn with_conditions(world: &World) -> Program {
    let mut model = world.tree.to_json();
    for definition in model["type_definitions"].as_array_mut().unwrap() {
        let Some(relations) = definition["metadata"]["relations"].as_object_mut() else { continue };
        for relation in relations.values_mut() {
            let Some(types) = relation["directly_related_user_types"].as_array_mut() else { continue };
            for mut restriction in types.clone() {
                restriction["condition"] = json!("c");
                types.push(restriction);
            }
        }
    }
    let parameter = json!({ "v": { "type_name": "TYPE_NAME_BOOL", "generic_types": [] } });
    model["conditions"] = json!({ "c": { "name": "c", "expression": "v", "parameters": parameter } });
    let (_, schema) = read_json("with conditions", &model).unwrap();
    Program::new(schema)
}

fn limits(depth_max: u32) -> Limits {
    Limits { depth_max, reads_max: u64::MAX, time_max: Duration::from_secs(3600), ..Limits::default() }
}

#[test]
fn answers_are_those_that_every_way_of_knowing_gives() {
    let setting =
        |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (first, cases) = (setting("STONETOWN_SEED", 20_261_122), setting("STONETOWN_CASES", CASES));
    println!("STONETOWN_SEED={first} STONETOWN_CASES={cases}");
    let mut seen = Seen::default();
    for seed in first..first + cases.div_ceil(QUESTIONS) {
        let (world, questions) = world(seed);
        let mut random = Random::new(seed ^ 0xC0D);
        let program = with_conditions(&world);
        // What a tuple's condition is; none: it has none, and counts.
        let mut tuples = Vec::new();
        let mut unknown = 0;
        for tuple in world.tuples.iter().filter(|tuple| tuple.condition.is_none()) {
            let value = match random.below(100) {
                0..45 => None,
                45..65 => Some(Some(true)),
                65..80 => Some(Some(false)),
                _ if unknown < UNKNOWN_MAX => Some(None),
                _ => None,
            };
            unknown += usize::from(value == Some(None));
            tuples.push((tuple.key.clone(), value));
        }
        for question in questions.iter().take(QUESTIONS as usize) {
            ask(&world, &program, &tuples, question, &mut seen, seed);
        }
    }
    println!("{seen:?}");
    let Seen { yes, no, errors, despite_unknown, lists, list_errors, .. } = seen;
    assert!(
        [yes, no, errors, despite_unknown, lists, list_errors].iter().all(|&count| count > 50),
        "{seen:?}"
    );
}

type Conditioned = (TupleKey, Option<Option<bool>>);

/// What the judge says when the unknown conditions are these.
fn verdict(world: &World, tuples: &[Conditioned], known: usize, question: &TupleKey) -> Verdict {
    let mut number = 0;
    let counts = |(key, value): &Conditioned| {
        let holds = match value {
            None => true,
            Some(Some(value)) => *value,
            Some(None) => {
                number += 1;
                known & (1 << (number - 1)) != 0
            }
        };
        holds.then(|| Tuple::plain(key.clone()))
    };
    let counting: Vec<Tuple> = tuples.iter().filter_map(counts).collect();
    judge(world.program.schema(), &counting, question, world.depth_max)
}

fn ask(
    world: &World,
    program: &Program,
    tuples: &[Conditioned],
    question: &TupleKey,
    seen: &mut Seen,
    seed: u64,
) {
    let stored = tuples.iter().map(|(key, value)| {
        let condition = value.map(|value| {
            let context = value.map_or(json!({}), |value| json!({ "v": value }));
            TupleCondition::new("c", ConditionContext::from_value(&context).unwrap()).unwrap()
        });
        Tuple { key: key.clone(), condition, expires_at: None }
    });
    let state = Overlay::contextual(Empty { now: Timestamp::wall_clock() }, stored);
    let unknown = tuples.iter().filter(|(_, value)| *value == Some(None)).count();
    let ways: Vec<Verdict> =
        (0..1_usize << unknown).map(|known| verdict(world, tuples, known, question)).collect();
    let is_same = ways.iter().all(|way| *way == ways[0]);
    let what = || format!("seed {seed}: {question}: {ways:?}\n{}\n{tuples:#?}", world.sketch);
    let context = Context::default();
    let check = |question: &TupleKey| {
        eval::check(program, &state, question.as_ref(), &context, &limits(world.depth_max))
            .map(|answer| answer.allowed)
    };
    match check(question) {
        Ok(allowed) => {
            let said = if allowed { Verdict::Yes } else { Verdict::No };
            // Too deep in some way only: what lies there need not be looked at.
            let agrees = |way: &&Verdict| **way == said || (unknown > 0 && **way == Verdict::TooDeep);
            assert!(ways.iter().all(|way| agrees(&way)), "said {said:?}: {}", what());
            *(if allowed { &mut seen.yes } else { &mut seen.no }) += 1;
            seen.despite_unknown += usize::from(unknown > 0);
        }
        Err(EvalError::Condition { .. }) => {
            assert!(unknown > 0, "{}", what());
            seen.errors += 1;
            seen.cautious += usize::from(is_same);
            let only_unions = |name: &str| {
                let schema = program.schema();
                let of = schema.type_named(question.object.object_type()).unwrap();
                schema.graph().only_unions(schema.relation_named(of, name).unwrap())
            };
            assert!(!is_same || !only_unions(question.relation.as_str()), "needlessly unknown: {}", what());
        }
        Err(EvalError::TooDeep(_)) => {
            assert!(ways.contains(&Verdict::TooDeep) || unknown > 0, "{}", what());
        }
        Err(error) => panic!("{error}: {}", what()),
    }
    let decision = eval::decide(program, &state, question.as_ref(), &context, &limits(world.depth_max));
    let is_same = match (check(question), &decision) {
        (Ok(true), Ok(Decision::Yes)) | (Ok(false), Ok(Decision::No)) => true,
        (Err(EvalError::Condition { .. }), Ok(Decision::Conditional { condition, missing })) => {
            (&**condition, missing.as_slice()) == ("c", &["v".into()])
        }
        (answer, decision) => answer.err().as_ref() == decision.as_ref().err(),
    };
    assert!(is_same, "decided {decision:?}: {}", what());
    // A list that is complete holds exactly what checks yes; what cannot be told makes it an error.
    let mut found = Vec::new();
    let request = ListObjects {
        object_type: question.object.object_type(),
        relation: question.relation.as_str(),
        subject: question.subject.as_ref(),
        after: None,
        time_max: None,
    };
    let listed =
        eval::list_objects(program, &state, &request, &context, &limits(world.depth_max), &mut |object| {
            found.push(object.to_owned());
            ControlFlow::Continue(())
        });
    seen.lists += 1;
    let candidates = tuples.iter().flat_map(|(key, _)| {
        let of_subject = match &key.subject {
            Subject::Object(object) | Subject::Userset(object, _) => Some(object.clone()),
            Subject::Wildcard(_) => None,
        };
        [Some(key.object.clone()), of_subject].into_iter().flatten()
    });
    let candidates: Vec<_> =
        candidates.filter(|object| object.object_type() == request.object_type).collect();
    for object in candidates {
        let answer = check(&TupleKey { object: object.clone(), ..question.clone() });
        match (&listed, &answer) {
            (Ok(_), Ok(allowed)) => assert_eq!(found.contains(&object), *allowed, "{object}: {}", what()),
            // Not reached from the subject, in whatever way: the list knows without going so far.
            (Ok(_), Err(error)) => {
                let question = TupleKey { object: object.clone(), ..question.clone() };
                let ways: Vec<Verdict> =
                    (0..1_usize << unknown).map(|known| verdict(world, tuples, known, &question)).collect();
                let is_no = !ways.contains(&Verdict::Yes);
                assert!(
                    is_no && !found.contains(&object),
                    "{object} checks to {error}: {ways:?}: {}",
                    what()
                );
            }
            (Err(_), Ok(false)) => assert!(!found.contains(&object), "{object}: {}", what()),
            (Err(_), _) => {}
        }
    }
    seen.list_errors += usize::from(listed.is_err());
    list_subjects(world, program, &state, question, &check, &what);
}

fn list_subjects(
    world: &World,
    program: &Program,
    state: &Overlay<Empty>,
    question: &TupleKey,
    check: &dyn Fn(&TupleKey) -> Result<bool, EvalError>,
    what: &dyn Fn() -> String,
) {
    let Subject::Object(one) = &question.subject else { return };
    let request = ListSubjects {
        object: question.object.as_ref(),
        relation: question.relation.as_str(),
        subject_type: one.object_type(),
        subject_relation: None,
        after: None,
        time_max: None,
    };
    let mut found: Vec<Subject> = Vec::new();
    let limits = limits(world.depth_max);
    let listed = eval::list_subjects(
        program,
        state,
        &request,
        &Context::default(),
        &limits,
        &mut |subject, holding| {
            if holding != eval::Holding::Excluded {
                found.push(subject.to_owned());
            }
            ControlFlow::Continue(())
        },
    );
    for subject in &found {
        let answer = check(&TupleKey { subject: subject.clone(), ..question.clone() });
        assert_eq!(answer, Ok(true), "{subject} is listed: {}", what());
    }
    let is_public = found.iter().any(|it| matches!(it.as_ref(), SubjectRef::Wildcard(_)));
    if listed.is_ok() && !is_public {
        let answer = check(question);
        let is_listed = found.contains(&question.subject);
        assert_eq!(answer, Ok(is_listed), "{} in a complete list {found:?}: {}", question.subject, what());
    }
}
