//! Where the subjects of each type enter on the way to a relation.

use super::super::resolved::{RelationIndex, RestrictionShape, TypeIndex};

/// A directly assignable relation, and the shape of subject by which it is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The relation that the tuple is written on.
    pub relation: RelationIndex,
    /// The shape of its subject.
    pub shape: RestrictionShape,
}

/// The entries of one relation, in the order of the types of subject.
#[derive(Debug, Clone)]
pub(super) struct EntryTable {
    entries: Box<[Entry]>,
    /// Each type that has some, and where they end.
    ends: Box<[(TypeIndex, usize)]>,
}

impl EntryTable {
    pub(super) fn of<'a>(
        ways: impl Iterator<Item = (RelationIndex, &'a [(TypeIndex, RestrictionShape)])>,
    ) -> EntryTable {
        let mut all: Vec<(TypeIndex, Entry)> = ways
            .flat_map(|(relation, assignable)| {
                assignable
                    .iter()
                    .map(move |(subject_type, shape)| (*subject_type, Entry { relation, shape: *shape }))
            })
            .collect();
        all.sort_by_key(|(subject_type, entry)| (*subject_type, entry.relation, shape_key(entry.shape)));
        all.dedup();
        let mut ends: Vec<(TypeIndex, usize)> = Vec::new();
        for (number, (subject_type, _)) in all.iter().enumerate() {
            match ends.last_mut() {
                Some((last, end)) if last == subject_type => *end = number + 1,
                _ => ends.push((*subject_type, number + 1)),
            }
        }
        let entries = all.into_iter().map(|(_, entry)| entry).collect();
        EntryTable { entries, ends: ends.into_boxed_slice() }
    }

    pub(super) fn of_type(&self, subject_type: TypeIndex) -> &[Entry] {
        let Ok(at) = self.ends.binary_search_by_key(&subject_type, |(found, _)| *found) else { return &[] };
        let start = if at == 0 { 0 } else { self.ends[at - 1].1 };
        &self.entries[start..self.ends[at].1]
    }
}

fn shape_key(shape: RestrictionShape) -> (u8, u32) {
    match shape {
        RestrictionShape::Object => (0, 0),
        RestrictionShape::Wildcard => (1, 0),
        RestrictionShape::Userset(relation) => (2, relation.0),
    }
}
