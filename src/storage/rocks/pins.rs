//! Which revisions somebody holds, so that collection does not pass them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tuple::Revision;

/// The held revisions of all stores.
#[derive(Default)]
pub(super) struct Pins(Mutex<HashMap<u32, OfStore>>);

#[derive(Default)]
struct OfStore {
    /// How many hold each revision.
    held: BTreeMap<Revision, usize>,
    /// Nothing below can be held any longer: it is dropped, or about to be.
    horizon: Revision,
}

/// Holds a revision of a store until it is dropped: its state, and the change log behind it, stay readable.
pub struct Pin {
    pins: Arc<Pins>,
    store: u32,
    revision: Revision,
}

impl Pins {
    /// Holds a revision; none when the horizon has passed it, or is about to.
    pub(super) fn hold(self: &Arc<Pins>, store: u32, revision: Revision) -> Option<Pin> {
        let mut stores = self.lock();
        let of_store = stores.entry(store).or_default();
        if revision < of_store.horizon {
            return None;
        }
        *of_store.held.entry(revision).or_default() += 1;
        Some(Pin { pins: Arc::clone(self), store, revision })
    }

    /// How far the horizon can go, at most to `wanted`; from now on nothing below is held any longer.
    pub(super) fn pass(&self, store: u32, wanted: Revision) -> Revision {
        let mut stores = self.lock();
        let of_store = stores.entry(store).or_default();
        let oldest = of_store.held.keys().next().copied().unwrap_or(wanted);
        of_store.horizon = of_store.horizon.max(wanted.min(oldest));
        of_store.horizon
    }

    /// Of a store that is gone.
    pub(super) fn forget(&self, store: u32) {
        self.lock().remove(&store);
    }

    /// How far the horizon of a store has gone, or is about to go, since the directory was opened.
    pub(super) fn horizon(&self, store: u32) -> Revision {
        self.lock().get(&store).map_or(Revision::ZERO, |of_store| of_store.horizon)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, OfStore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pin {
    /// The revision that is held.
    pub fn revision(&self) -> Revision {
        self.revision
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut stores = self.pins.lock();
        let Some(of_store) = stores.get_mut(&self.store) else { return };
        if let Some(count) = of_store.held.get_mut(&self.revision) {
            *count -= 1;
            if *count == 0 {
                of_store.held.remove(&self.revision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_horizon_stops_at_what_is_held_and_never_goes_back() {
        let pins = Arc::new(Pins::default());
        let held = [pins.hold(1, Revision(5)), pins.hold(1, Revision(5)), pins.hold(1, Revision(8))];
        assert_eq!(pins.pass(1, Revision(3)), Revision(3));
        assert_eq!(pins.pass(1, Revision(9)), Revision(5));
        assert!(pins.hold(1, Revision(4)).is_none());
        assert_eq!(pins.pass(2, Revision(9)), Revision(9), "another store");
        let [first, second, third] = held;
        drop(first);
        assert_eq!(pins.pass(1, Revision(9)), Revision(5));
        drop(second);
        assert_eq!(pins.pass(1, Revision(9)), Revision(8));
        drop(third);
        assert_eq!(pins.pass(1, Revision(2)), Revision(8));
        assert_eq!(pins.pass(1, Revision(9)), Revision(9));
    }
}
