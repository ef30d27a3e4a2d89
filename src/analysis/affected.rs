//! What a change of tuples can reach: the relations of objects whose answers may be others on the two sides.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use super::relations::{Over, Relations, Slot};
use crate::storage::{StorageError, TupleReader};
use crate::tuple::{Object, ObjectRef, Subject, TupleKey};

/// The relations of each object, by type and id.
pub(super) type Affected = BTreeMap<Object, Vec<Slot>>;

/// Walks from the changed tuples to everything that hangs on them on either side, also through what is taken away; none: that
/// is more than `places_max` relations of objects. `reads` counts the rows.
pub(super) fn affected(
    relations: &Relations,
    states: [&dyn TupleReader; 2],
    changed: &[TupleKey],
    places_max: usize,
    reads: &mut u64,
) -> Result<Option<Affected>, StorageError> {
    let mut walk = Walk { relations, states, places_max, seen: HashSet::new(), waiting: Vec::new() };
    for key in changed {
        if let Some(slot) = relations.find(key.object.object_type(), key.relation.as_str()) {
            walk.reach(slot, key.object.id());
        }
    }
    while let Some((from, id)) = walk.waiting.pop() {
        if walk.seen.len() > places_max {
            return Ok(None);
        }
        walk.follow(from, &id, reads)?;
    }
    if walk.seen.len() > places_max {
        return Ok(None);
    }
    let mut found = Affected::new();
    for (slot, id) in walk.seen {
        let object = ObjectRef::from_checked(&relations.at(slot).object_type, &id).to_owned();
        found.entry(object).or_default().push(slot);
    }
    found.values_mut().for_each(|slots| slots.sort());
    Ok(Some(found))
}

struct Walk<'w> {
    relations: &'w Relations,
    states: [&'w dyn TupleReader; 2],
    places_max: usize,
    seen: HashSet<(Slot, Box<str>)>,
    waiting: Vec<(Slot, Box<str>)>,
}

impl Walk<'_> {
    fn reach(&mut self, slot: Slot, id: &str) {
        let place = (slot, Box::from(id));
        if !self.seen.contains(&place) {
            self.seen.insert(place.clone());
            self.waiting.push(place);
        }
    }

    fn follow(&mut self, from: Slot, id: &str, reads: &mut u64) -> Result<(), StorageError> {
        let relations = self.relations;
        let of = relations.at(from);
        let object = ObjectRef::from_checked(&of.object_type, id);
        for side in 0..2 {
            for step in relations.steps(side, from) {
                let (subject, on) = match &step.over {
                    Over::Same => {
                        self.reach(step.to, id);
                        continue;
                    }
                    Over::Userset => {
                        let relation = crate::tuple::Relation::from_checked(&of.relation);
                        (Subject::Userset(object.to_owned(), relation), &relations.at(step.to).relation)
                    }
                    Over::Arrow(tupleset) => (Subject::Object(object.to_owned()), tupleset),
                };
                *reads += 1;
                let to = relations.at(step.to);
                let state = self.states[side];
                state.objects(subject.as_ref(), &to.object_type, on, None, &mut |object, _| {
                    *reads += 1;
                    self.reach(step.to, object.id());
                    if self.seen.len() > self.places_max {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })?;
            }
        }
        Ok(())
    }
}
