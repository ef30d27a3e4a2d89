//! Stripes: since when the tuples that an answer rests on have not changed.
//!
//! Every look at a state is hashed to a stripe, which holds RocksDB's sequence number of the last batch that may have changed
//! what the look sees. The writer raises stripes before a batch becomes visible, and a reader has its snapshot before it
//! looks at them: so an answer found under one snapshot holds under another as long as no stripe that it rests on is
//! above the older of the two. Two looks that share a stripe cost an answer, never its truth.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

use crate::tuple::{ObjectRef, SubjectKind, SubjectRef, TupleRef};

/// A place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stripe(u32);

/// One table for all stores of a data directory.
#[derive(Debug)]
pub struct Stripes {
    last: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// What of a store may be looked at.
#[derive(Hash)]
pub(super) enum Part<'t> {
    /// Everything.
    Store,
    /// All tuples on a relation of a type.
    Relation(&'t str, &'t str),
    /// One tuple.
    Tuple(TupleRef<'t>),
    /// The subjects of one shape on a relation of an object.
    Subjects(ObjectRef<'t>, &'t str, SubjectKind),
    /// The objects of a type on which a subject is written with a relation.
    Objects(SubjectRef<'t>, &'t str, &'t str),
}

impl Stripes {
    /// A table of so many places, rounded up to a power of two.
    pub(super) fn new(places: usize) -> Stripes {
        let places = places.max(1).next_power_of_two();
        Stripes { last: (0..places).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::default() }
    }

    /// The stripe of a part of a store.
    pub(super) fn of(&self, store: u32, part: &Part<'_>) -> Stripe {
        let hash = self.hasher.hash_one((store, part));
        // The table has at most 2^32 places.
        Stripe((hash & (self.last.len() as u64 - 1)) as u32)
    }

    /// The stripes of everything that sees a tuple.
    pub(super) fn seeing(&self, store: u32, tuple: TupleRef<'_>) -> [Stripe; 4] {
        let (object_type, relation) = (tuple.object.object_type(), tuple.relation);
        [
            Part::Tuple(tuple),
            Part::Subjects(tuple.object, relation, tuple.subject.kind()),
            Part::Objects(tuple.subject, object_type, relation),
            Part::Relation(object_type, relation),
        ]
        .map(|part| self.of(store, &part))
    }

    /// The sequence number of the last batch that may have changed it.
    pub(super) fn last(&self, stripe: Stripe) -> u64 {
        self.last[stripe.0 as usize].load(Ordering::Acquire)
    }

    /// Says that a batch may change it.
    pub(super) fn raise(&self, stripe: Stripe, sequence: u64) {
        self.last[stripe.0 as usize].fetch_max(sequence, Ordering::AcqRel);
    }
}
