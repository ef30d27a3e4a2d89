//! What a difference is looked at with: the outcome of every condition on both sides, the meaning, the checks behind a
//! list.

use std::collections::BTreeSet;

use crate::answer::Answer;
use crate::meaning::{Fact, Meaning, Truth};
use crate::side::{Prepared, Side};
use crate::world::{
    Ask, Question, Relation, Restriction, Rewrite, Shape, Tuple, Type, World, is_wildcard, type_of,
};

/// A world on both sides.
pub(crate) struct Pair<'w> {
    /// The world.
    pub(crate) world: &'w World,
    /// We.
    pub(crate) ours: (&'w Side, Prepared),
    /// They.
    pub(crate) peer: (&'w Side, Prepared),
}

impl Pair<'_> {
    /// What both answer.
    pub(crate) fn ask(&self, questions: &[Question]) -> anyhow::Result<Vec<(Answer, Answer)>> {
        let ours = self.ours.0.ask(self.world, &self.ours.1, questions)?;
        let peer = self.peer.0.ask(self.world, &self.peer.1, questions)?;
        Ok(ours.into_iter().zip(peer).collect())
    }
}

/// How a condition came out on both sides.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The tuple.
    pub(crate) tuple: Tuple,
    /// With us.
    pub(crate) ours: Answer,
    /// With them.
    pub(crate) peer: Answer,
}

fn truth_of(answer: &Answer) -> Truth {
    match answer {
        Answer::Allowed(true) => Truth::Yes,
        Answer::Allowed(false) => Truth::No,
        _ => Truth::Maybe,
    }
}

impl Outcome {
    /// Whether both sides found the same.
    pub(crate) fn agrees(&self) -> bool {
        truth_of(&self.ours) == truth_of(&self.peer)
    }
}

/// The conditions of all tuples that count, each asked alone: on an object of its own, directly.
pub(crate) fn outcomes(
    ours: &Side,
    peer: &Side,
    world: &World,
    question: &Question,
) -> anyhow::Result<Option<Vec<Outcome>>> {
    let conditioned: Vec<&Tuple> = world
        .tuples
        .iter()
        .chain(&question.contextual)
        .filter(|it| it.condition.is_some() && world.counts(it))
        .collect();
    if conditioned.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let restrictions = world.conditions.iter().map(|it| Restriction {
        of: "user".to_owned(),
        shape: Shape::Object,
        condition: Some(it.name.clone()),
        ends: false,
    });
    let relation =
        Relation { name: "it".to_owned(), restrictions: restrictions.collect(), rewrite: Rewrite::Direct };
    let on = |at: usize| format!("probe:{at}");
    let alone = World {
        types: vec![
            Type { name: "user".to_owned(), relations: Vec::new() },
            Type { name: "probe".to_owned(), relations: vec![relation] },
        ],
        conditions: world.conditions.clone(),
        tuples: conditioned
            .iter()
            .enumerate()
            .map(|(at, it)| Tuple {
                object: on(at),
                relation: "it".to_owned(),
                user: "user:1".to_owned(),
                condition: it.condition.clone(),
                ends: None,
            })
            .collect(),
    };
    let questions: Vec<Question> = (0..conditioned.len())
        .map(|at| Question {
            ask: Ask::Check { object: on(at), relation: "it".to_owned(), user: "user:1".to_owned() },
            context: question.context.clone(),
            contextual: Vec::new(),
        })
        .collect();
    let (Ok(with_us), Ok(with_peer)) = (ours.prepare(&alone)?, peer.prepare(&alone)?) else {
        return Ok(None);
    };
    let pair = Pair { world: &alone, ours: (ours, with_us), peer: (peer, with_peer) };
    let answers = pair.ask(&questions)?;
    Ok(Some(
        conditioned
            .into_iter()
            .zip(answers)
            .map(|(tuple, (ours, peer))| Outcome { tuple: tuple.clone(), ours, peer })
            .collect(),
    ))
}

/// The meaning of a world for one question, by the outcomes of one side.
pub(crate) fn meaning<'w>(
    world: &'w World,
    question: &Question,
    outcomes: &[Outcome],
    of: fn(&Outcome) -> &Answer,
) -> Meaning<'w> {
    let truth = |tuple: &Tuple| match &tuple.condition {
        _ if tuple.is_over() => Truth::No,
        None => Truth::Yes,
        Some(_) => outcomes.iter().find(|it| it.tuple == *tuple).map_or(Truth::Maybe, |it| truth_of(of(it))),
    };
    let stored = world.tuples.iter().map(|tuple| Fact {
        tuple: tuple.clone(),
        truth: truth(tuple),
        is_hidden: question.contextual.iter().any(|it| it.same_key(tuple)),
    });
    let contextual = question.contextual.iter().map(|tuple| Fact {
        tuple: tuple.clone(),
        truth: truth(tuple),
        is_hidden: false,
    });
    Meaning::new(world, stored.chain(contextual).collect())
}

/// The checks whose answers are a list, by entry; of a check, itself.
pub(crate) fn checks(world: &World, question: &Question) -> Vec<(String, Question)> {
    let check = |object: &str, relation: &str, user: &str| Question {
        ask: Ask::Check { object: object.to_owned(), relation: relation.to_owned(), user: user.to_owned() },
        ..question.clone()
    };
    match &question.ask {
        Ask::Check { object, .. } => vec![(object.clone(), question.clone())],
        Ask::Objects { of, relation, user } => world
            .objects(question)
            .into_iter()
            .filter(|it| type_of(it) == of)
            .map(|object| (object.clone(), check(&object, relation, user)))
            .collect(),
        Ask::Users { object, relation, filter } => {
            let (of, userset) = match filter.split_once('#') {
                Some((of, userset)) => (of, Some(userset)),
                None => (filter.as_str(), None),
            };
            let mut users: BTreeSet<String> =
                world.objects(question).into_iter().filter(|it| type_of(it) == of).collect();
            match userset {
                Some(userset) => users = users.into_iter().map(|it| format!("{it}#{userset}")).collect(),
                None => drop(users.insert(format!("{of}:*"))),
            }
            users.into_iter().map(|user| (user.clone(), check(object, relation, &user))).collect()
        }
    }
}

/// What the meaning says of every check behind a question; none: it could not be worked out.
pub(crate) fn meant(meaning: &Meaning<'_>, checks: &[(String, Question)]) -> Option<Vec<(String, Truth)>> {
    checks
        .iter()
        .map(|(entry, question)| {
            let Ask::Check { object, relation, user } = &question.ask else { return None };
            Some((entry.clone(), meaning.holds(object, relation, user)?))
        })
        .collect()
}

/// Whether an answer is what the meaning says.
pub(crate) fn is_meant(
    answer: &Answer,
    question: &Question,
    meaning: &Meaning<'_>,
    meant: &[(String, Truth)],
    checks: &[(String, Question)],
) -> bool {
    match (&question.ask, answer) {
        (Ask::Check { .. }, _) => meant.first().is_some_and(|(_, it)| *it == truth_of(answer)),
        (_, Answer::Error(..)) => meant.iter().any(|(_, it)| *it == Truth::Maybe),
        (_, Answer::List(found)) => {
            let named = meaning.without_wildcards();
            let may_be_left_out = |entry: &str| {
                // Somebody who holds it as everybody does need not be named.
                let check = checks.iter().find(|(it, _)| it == entry);
                let Some((_, Question { ask: Ask::Check { object, relation, user }, .. })) = check else {
                    return false;
                };
                matches!(question.ask, Ask::Users { .. })
                    && !is_wildcard(user)
                    && named.holds(object, relation, user) != Some(Truth::Yes)
            };
            found.iter().all(|it| meant.iter().any(|(entry, truth)| entry == it && *truth == Truth::Yes))
                && meant.iter().all(|(entry, truth)| match truth {
                    Truth::Yes => found.contains(entry) || may_be_left_out(entry),
                    Truth::Maybe => false,
                    Truth::No => true,
                })
        }
        _ => false,
    }
}
