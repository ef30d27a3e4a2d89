//! The model: every state that ever was, kept whole.

use std::collections::BTreeMap;

use stonetown::tuple::{Object, Revision, Subject, Timestamp, Tuple, TupleKey};

/// A tuple that is there: since which revision, and until when it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) created: Revision,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A store at one revision.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    pub(crate) time: Timestamp,
    pub(crate) tuples: BTreeMap<TupleKey, Kept>,
    /// Which of the world's schemas is in force; none before the first.
    pub(crate) schema: Option<usize>,
}

/// A purge: of what, by which revision, and the revisions in which it was there: from the first to before the last.
#[derive(Debug, Clone)]
pub(crate) struct Purge {
    pub(crate) object: Object,
    pub(crate) at: Revision,
    pub(crate) from: Revision,
    pub(crate) until: Revision,
}

/// All that ever was.
pub(crate) struct Past {
    pub(crate) states: Vec<State>,
    pub(crate) purges: Vec<Purge>,
    /// The oldest revision that can still be asked.
    pub(crate) horizon: Revision,
}

impl Past {
    pub(crate) fn new(created_at: Timestamp) -> Past {
        let first =
            State { revision: Revision::ZERO, time: created_at, tuples: BTreeMap::new(), schema: None };
        Past { states: vec![first], purges: Vec::new(), horizon: Revision::ZERO }
    }

    pub(crate) fn head(&self) -> &State {
        self.states.last().unwrap()
    }

    /// A further state, made from the newest.
    pub(crate) fn push(&mut self, revision: Revision, time: Timestamp, change: impl FnOnce(&mut State)) {
        assert_eq!(revision, self.head().revision.next(), "revisions follow each other");
        assert!(time > self.head().time, "commit times go on");
        let mut state = State { revision, time, ..self.head().clone() };
        change(&mut state);
        self.states.push(state);
    }

    pub(crate) fn at(&self, revision: Revision) -> &State {
        &self.states[revision.0 as usize]
    }

    /// The last state committed at or before a time.
    pub(crate) fn at_time(&self, time: Timestamp) -> &State {
        let after = self.states.iter().skip(1).take_while(|state| state.time <= time).count();
        &self.states[after]
    }

    /// Takes an object out of the present; the states before keep it, so that they can be judged.
    pub(crate) fn purge(&mut self, object: Object, revision: Revision, time: Timestamp) {
        let there: Vec<Revision> = self
            .states
            .iter()
            .filter(|state| state.tuples.keys().any(|key| names(key, &object)))
            .map(|state| state.revision)
            .collect();
        // What an earlier purge took is not found again.
        let since = self.purges.iter().filter(|it| it.object == object).map(|it| it.at).max();
        let there: Vec<_> = there.into_iter().filter(|&it| since.is_none_or(|since| it >= since)).collect();
        let (from, until) = (*there.first().unwrap(), there.last().unwrap().next());
        self.push(revision, time, |state| state.tuples.retain(|key, _| !names(key, &object)));
        self.purges.push(Purge { object, at: revision, from, until });
    }

    /// Whether something that was there at a revision has been purged since.
    pub(crate) fn is_torn(&self, revision: Revision) -> bool {
        let from = self.purges.iter().map(|purge| purge.from).min();
        let until = self.purges.iter().map(|purge| purge.until).max();
        from.zip(until).is_some_and(|(from, until)| (from..until).contains(&revision))
    }

    /// Whether a tuple was taken out of the log.
    pub(crate) fn is_purged(&self, key: &TupleKey, revision: Revision) -> bool {
        self.purges.iter().any(|purge| revision < purge.at && names(key, &purge.object))
    }
}

impl State {
    /// The tuples that count at a time.
    pub(crate) fn seen(&self, now: Timestamp) -> Vec<Tuple> {
        let counts = |kept: &Kept| kept.expires_at.is_none_or(|end| end > now);
        self.tuples
            .iter()
            .filter(|(_, kept)| counts(kept))
            .map(|(key, _)| Tuple::plain(key.clone()))
            .collect()
    }
}

/// Whether a tuple names an object, in any place.
pub(crate) fn names(key: &TupleKey, object: &Object) -> bool {
    key.object == *object
        || matches!(&key.subject, Subject::Object(of) | Subject::Userset(of, _) if of == object)
}
