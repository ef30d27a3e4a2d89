//! Who waits for what is written: woken by the writer, without any work while nothing is.

use dashmap::DashMap;
use tokio::sync::watch;

use crate::tuple::{Revision, StoreId};

/// The stores that somebody watches, and whether the server goes on.
pub(super) struct Watchers {
    newest: DashMap<StoreId, watch::Sender<Revision>>,
    stopping: watch::Sender<bool>,
}

impl Watchers {
    pub(super) fn new() -> Watchers {
        Watchers { newest: DashMap::new(), stopping: watch::Sender::new(false) }
    }

    /// Woken when a store has a new revision.
    pub(super) fn subscribe(&self, store: StoreId) -> watch::Receiver<Revision> {
        self.newest.entry(store).or_insert_with(|| watch::Sender::new(Revision::ZERO)).subscribe()
    }

    /// Woken when the server is about to end.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Wakes those who watch a store; whoever is slow finds the newest revision when it looks.
    pub(super) fn tell(&self, store: StoreId, revision: Revision) {
        let is_watched = self.newest.view(&store, |_, newest| newest.send(revision).is_ok());
        if is_watched == Some(false) {
            // The last one has gone; another one may just have come.
            self.newest.remove_if(&store, |_, newest| newest.receiver_count() == 0);
        }
    }

    /// Ends all watching.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }
}
