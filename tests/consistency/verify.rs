use std::collections::BTreeMap;
use std::time::Instant;

use super::clients::{Answered, History, Wanted, Written};
use super::world::{DOCS, State, USERS, can_read};

/// The answers to all questions, by revision.
struct Model {
    /// From which revision on, and the answer to each document and user.
    answers: Vec<(u64, Vec<bool>)>,
}

impl Model {
    fn new(writes: &[Written]) -> Result<Model, String> {
        let mut by_revision = BTreeMap::new();
        for write in writes {
            if by_revision.insert(write.revision, &write.changes).is_some() {
                return Err(format!("two writes were given revision {}", write.revision));
            }
        }
        let mut state = State::new();
        let mut model = Model { answers: vec![(0, Model::of(&state))] };
        for (revision, changes) in by_revision {
            for (fact, is_write) in changes {
                let was_there = !match is_write {
                    true => state.insert(fact.clone()),
                    false => !state.remove(fact),
                };
                if was_there == *is_write {
                    return Err(format!(
                        "revision {revision} was accepted, though {fact:?} was {was_there} before"
                    ));
                }
            }
            model.answers.push((revision, Model::of(&state)));
        }
        Ok(model)
    }

    fn of(state: &State) -> Vec<bool> {
        let all = (0..DOCS).flat_map(|doc| (0..USERS).map(move |user| (doc, user)));
        all.map(|(doc, user)| can_read(state, doc, user)).collect()
    }

    /// The oldest revision between two at which an answer is right.
    fn oldest(&self, answer: &Answered, from: u64, to: u64) -> Option<u64> {
        // The state of `from` is that of the last write at or before it.
        let begin = self.answers.partition_point(|(revision, _)| *revision <= from) - 1;
        let fits =
            |holds: &[bool]| answer.says.iter().all(|&(doc, user, says)| holds[doc * USERS + user] == says);
        let of = self.answers[begin..].iter().take_while(|(revision, _)| *revision <= to.max(from));
        of.into_iter().find(|(_, holds)| fits(holds)).map(|(revision, _)| (*revision).max(from))
    }
}

/// Holds every answer against the history: an answer that no history explains.
pub(super) fn verify(history: &mut History) -> Result<(), String> {
    let model = Model::new(&history.writes)?;
    // In real time: what was acknowledged before, and what had begun before.
    let newest_until = |moments: Vec<(Instant, u64)>| {
        let mut moments = moments;
        moments.sort();
        let mut newest = 0;
        for (_, revision) in &mut moments {
            newest = newest.max(*revision);
            *revision = newest;
        }
        move |moment: Instant| {
            let before = moments.partition_point(|(at, _)| *at < moment);
            before.checked_sub(1).map_or(0, |last| moments[last].1)
        }
    };
    let acknowledged =
        newest_until(history.writes.iter().map(|write| (write.ended, write.revision)).collect());
    let begun = newest_until(history.writes.iter().map(|write| (write.begun, write.revision)).collect());
    history.answers.sort_by_key(|answer| answer.begun);
    // What answers have seen that came before, in the order in which they came.
    let mut coming: Vec<(Instant, u64)> = Vec::new();
    let mut seen = 0;
    for answer in &history.answers {
        coming.retain(|(came, revision)| {
            let is_before = *came < answer.begun;
            if is_before {
                seen = seen.max(*revision);
            }
            !is_before
        });
        let newest = acknowledged(answer.begun).max(seen);
        let (from, to) = match answer.wanted {
            Wanted::Newest => (newest, begun(answer.ended)),
            Wanted::AtLeast(revision) => (newest.max(revision), begun(answer.ended)),
            Wanted::At(revision) => (revision, revision),
        };
        let Some(revision) = model.oldest(answer, from, to) else {
            return Err(format!("no revision from {from} to {to} explains {answer:?}"));
        };
        // What is asked of the past says nothing about how far the present is.
        if !matches!(answer.wanted, Wanted::At(_)) {
            coming.push((answer.ended, revision));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::clients::Question;
    use super::*;

    /// A history of one write, acknowledged after 2 to 4, and of answers given as begun, ended, wanted and answer.
    fn history(answers: &[(u64, u64, Wanted, bool)]) -> Result<(), String> {
        let zero = Instant::now();
        let at = |time: u64| zero + Duration::from_secs(time);
        let fact = ("doc:0".to_owned(), "owner", "user:0".to_owned());
        let write = Written { begun: at(2), ended: at(4), revision: 7, changes: vec![(fact, true)] };
        let answers = answers.iter().map(|&(begun, ended, wanted, says)| Answered {
            begun: at(begun),
            ended: at(ended),
            question: Question::Check { doc: 0, user: 0 },
            wanted,
            says: vec![(0, 0, says)],
            token: String::new(),
        });
        verify(&mut History { writes: vec![write], answers: answers.collect() })
    }

    #[test]
    fn what_no_history_explains_is_found() {
        use Wanted::{At, AtLeast, Newest};
        assert!(history(&[(0, 1, Newest, false), (5, 6, Newest, true)]).is_ok());
        assert!(history(&[(0, 1, Newest, true)]).is_err(), "seen before it was written");
        assert!(history(&[(5, 6, Newest, false)]).is_err(), "not seen after it was acknowledged");
        assert!(history(&[(0, 6, Newest, false), (1, 5, Newest, true)]).is_ok(), "at the same time");
        assert!(
            history(&[(2, 3, Newest, true), (3, 4, Newest, false)]).is_ok(),
            "the second may have begun first"
        );
        assert!(history(&[(1, 3, Newest, true), (4, 6, Newest, false)]).is_err(), "seen, and then not");
        assert!(history(&[(3, 5, AtLeast(7), false)]).is_err());
        assert!(history(&[(3, 5, AtLeast(7), true)]).is_ok());
        assert!(history(&[(8, 9, At(7), true), (8, 9, At(3), false)]).is_ok());
        assert!(history(&[(8, 9, At(7), false)]).is_err());
        assert!(history(&[(8, 9, At(3), true)]).is_err());
    }
}
