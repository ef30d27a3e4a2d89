//! Makes the world of a difference smaller while it stays a difference of the same class.

use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::class::Class;
use crate::classify::{agrees, classify};
use crate::judge::Pair;
use crate::side::Side;
use crate::world::{Question, Rewrite, World};

/// How long one is made smaller.
const TIME_MAX: Duration = Duration::from_secs(8);

/// A difference.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// The world.
    pub(crate) world: World,
    /// What was asked.
    pub(crate) question: Question,
    /// Our answer.
    pub(crate) ours: Answer,
    /// Theirs.
    pub(crate) peer: Answer,
    /// What it is.
    pub(crate) class: Class,
}

impl Difference {
    /// Whether one of the answers is an error.
    pub(crate) fn has_error(&self) -> bool {
        self.ours.is_error() || self.peer.is_error() || self.peer.is_undecided()
    }
}

/// The smallest world found.
pub(crate) fn shrink(ours: &Side, peer: &Side, from: &Difference) -> anyhow::Result<Difference> {
    let mut best = from.clone();
    let begun = Instant::now();
    'again: loop {
        for (world, question) in simpler(&best.world, &best.question) {
            if begun.elapsed() > TIME_MAX {
                return Ok(best);
            }
            if let Some(smaller) = difference(ours, peer, world, question)?
                && (&smaller.class, smaller.has_error()) == (&best.class, best.has_error())
            {
                best = smaller;
                continue 'again;
            }
        }
        return Ok(best);
    }
}

/// Asks both; none: they agree, or one refuses the world.
fn difference(
    ours: &Side,
    peer: &Side,
    world: World,
    question: Question,
) -> anyhow::Result<Option<Difference>> {
    if stonetown::schema::read_json("world", &world.schema()).is_err() {
        return Ok(None);
    }
    let (Ok(with_us), Ok(with_peer)) = (ours.prepare(&world)?, peer.prepare(&world)?) else {
        return Ok(None);
    };
    let pair = Pair { world: &world, ours: (ours, with_us), peer: (peer, with_peer) };
    let answers = pair.ask(std::slice::from_ref(&question))?;
    let Some((our_answer, peer_answer)) = answers.into_iter().next() else { return Ok(None) };
    if agrees(&pair, &question, &our_answer, &peer_answer)? {
        return Ok(None);
    }
    let class = classify(&pair, &question, &our_answer, &peer_answer)?;
    Ok(Some(Difference { world, question, ours: our_answer, peer: peer_answer, class }))
}

fn simpler(world: &World, question: &Question) -> Vec<(World, Question)> {
    let mut found = Vec::new();
    let mut half = world.clone();
    half.tuples.truncate(world.tuples.len() / 2);
    found.push((half, question.clone()));
    let mut other = world.clone();
    other.tuples.drain(..world.tuples.len() / 2);
    found.push((other, question.clone()));
    for gone in 0..world.tuples.len() {
        let mut fewer = world.clone();
        fewer.tuples.remove(gone);
        found.push((fewer, question.clone()));
    }
    for gone in 0..question.contextual.len() {
        let mut fewer = question.clone();
        let tuple = fewer.contextual.remove(gone);
        found.push((world.clone(), fewer.clone()));
        let mut stored = world.clone();
        if !stored.tuples.iter().any(|it| it.same_key(&tuple)) {
            stored.tuples.push(tuple);
            found.push((stored, fewer));
        }
    }
    for number in 0..world.types.len() {
        let mut fewer = world.clone();
        let gone = fewer.types.remove(number);
        fewer.tuples.retain(|it| crate::world::type_of(&it.object) != gone.name);
        found.push((fewer, question.clone()));
        for at in 0..world.types[number].relations.len() {
            let mut fewer = world.clone();
            let gone = fewer.types[number].relations.remove(at);
            let of = world.types[number].name.clone();
            fewer.tuples.retain(|it| crate::world::type_of(&it.object) != of || it.relation != gone.name);
            found.push((fewer, question.clone()));
            let relation = &world.types[number].relations[at];
            for gone in 0..relation.restrictions.len() {
                let mut fewer = world.clone();
                fewer.types[number].relations[at].restrictions.remove(gone);
                found.push((fewer, question.clone()));
            }
            for rewrite in relation.rewrite.simpler() {
                let mut simpler = world.clone();
                let relation = &mut simpler.types[number].relations[at];
                if !rewrite.has(|it| *it == Rewrite::Direct) {
                    relation.restrictions.clear();
                }
                relation.rewrite = rewrite;
                found.push((simpler, question.clone()));
            }
        }
    }
    for gone in 0..world.tuples.len() {
        // Without its condition.
        if let Some((name, _)) = &world.tuples[gone].condition {
            let mut plain = world.clone();
            plain.tuples[gone].condition = None;
            for restriction in
                plain.types.iter_mut().flat_map(|it| &mut it.relations).flat_map(|it| &mut it.restrictions)
            {
                if restriction.condition.as_ref() == Some(name) {
                    restriction.condition = None;
                }
            }
            found.push((plain, question.clone()));
        }
    }
    for gone in 0..world.conditions.len() {
        let mut fewer = world.clone();
        fewer.conditions.remove(gone);
        found.push((fewer, question.clone()));
    }
    for name in question.context.iter().flat_map(|it| it.keys()) {
        let mut fewer = question.clone();
        if let Some(context) = &mut fewer.context {
            context.remove(name);
        }
        found.push((world.clone(), fewer));
    }
    if question.context.as_ref().is_some_and(serde_json::Map::is_empty) {
        found.push((world.clone(), Question { context: None, ..question.clone() }));
    }
    found
}
