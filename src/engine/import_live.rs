//! Live import: tuples go in part by part, each a revision of its own, beside other writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::admission::{Rejection, admit_stored};
use super::error::EngineError;
use super::write::OnDuplicate;
use super::{Engine, Shared};
use crate::storage::{Change, ClashKind, Mark, OnStored, Place, TupleReader};
use crate::tuple::{SchemaId, StoreId, Token, Tuple, TupleKey};

/// A part of a live import.
#[derive(Debug, Clone)]
pub struct ImportPart {
    /// Into which store.
    pub store: StoreId,
    /// The schema that lets the tuples in; none: the one in force.
    pub schema: Option<SchemaId>,
    /// What to do with tuples that are there already.
    pub on_duplicate: OnDuplicate,
    /// The tuples, in the order of the input.
    pub tuples: Vec<(Place, Tuple)>,
    /// Which import it is of, by any 16 bytes, and where its input goes on behind this part; without a position it is done.
    pub import: ([u8; 16], Option<String>),
    /// Take nothing of the part when one of its tuples cannot be taken.
    pub is_strict: bool,
    /// Find out what would be done, and do nothing.
    pub is_trial: bool,
}

/// A tuple of a part that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untaken {
    /// Where it stands.
    pub place: Place,
    /// The tuple.
    pub tuple: TupleKey,
    /// Why.
    pub reason: UntakenReason,
}

/// Why a tuple cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UntakenReason {
    /// The schema does not let it in.
    Rejected(Rejection),
    /// It is there already.
    Clash(ClashKind),
}

/// What a part of a live import did.
#[derive(Debug, Clone)]
pub struct PartAnswer {
    /// The state it left.
    pub token: Token,
    /// Tuples written, or given another condition or expiry.
    pub changed: u64,
    /// Tuples that were there already.
    pub unchanged: u64,
    /// Tuples that could not be taken. Of a strict part nothing was taken then.
    pub untaken: Vec<Untaken>,
}

/// What the plan of a part found out.
#[derive(Default)]
struct Found {
    unchanged: u64,
    untaken: Vec<Untaken>,
}

impl Engine {
    /// How far a live import has come, if it was interrupted.
    pub fn import_position(&self, store: StoreId, import: [u8; 16]) -> Result<Option<String>, EngineError> {
        let store = self.store(store)?;
        Ok(self.database().import_position(store.number, import)?)
    }

    /// Writes a part of a live import as one revision, together with how far the import has come.
    pub fn import_part(&self, part: ImportPart) -> Result<PartAnswer, EngineError> {
        let store = self.store(part.store)?;
        let shared = Arc::clone(&self.shared);
        let (import, position) = part.import.clone();
        let (tell, told) = sync_channel(1);
        let number = store.number;
        let mark = Mark { import, position };
        let plan = move |state: &dyn TupleReader, in_force: Option<SchemaId>| {
            let (changes, found) = part.plan(&shared, number, state, in_force)?;
            let is_refused = part.is_trial || (part.is_strict && !found.untaken.is_empty());
            let revision = (state.revision(), state.now(), changes.len());
            // The receiver is there until the write is answered.
            let _ = tell.send((revision, found));
            if is_refused { Err(PartRefused::Untaken) } else { Ok(changes) }
        };
        let result = self.writer.write_marked::<PartRefused>(store.id, mark, Box::new(plan));
        let found = told.try_recv();
        let (token, changed) = match result {
            Ok(commit) => (self.token(store.id, commit.revision, commit.time), commit.changes as u64),
            Err(crate::storage::WriteError::Refused(PartRefused::Untaken)) => match &found {
                Ok(((revision, time, changes), _)) => {
                    (self.token(store.id, *revision, *time), *changes as u64)
                }
                Err(_) => return Err(EngineError::NoSchema(store.id)),
            },
            Err(crate::storage::WriteError::Refused(PartRefused::Engine(error))) => return Err(error),
            Err(crate::storage::WriteError::Storage(error)) => return Err(error.into()),
        };
        let Found { unchanged, untaken } = found.map(|(_, found)| found).unwrap_or_default();
        Ok(PartAnswer { token, changed, unchanged, untaken })
    }
}

enum PartRefused {
    Untaken,
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for PartRefused {
    fn from(error: E) -> PartRefused {
        PartRefused::Engine(error.into())
    }
}

impl ImportPart {
    fn plan(
        &self,
        shared: &Shared,
        store: u32,
        state: &dyn TupleReader,
        in_force: Option<SchemaId>,
    ) -> Result<(Vec<Change>, Found), EngineError> {
        let schema = self.schema.or(in_force).ok_or(EngineError::NoSchema(self.store))?;
        let program = shared.programs.get(&shared.database, store, schema)?;
        let on_stored = OnStored::from(self.on_duplicate);
        let mut found = Found::default();
        // Each tuple once: the first, or where they replace each other the last.
        let mut wanted: HashMap<&TupleKey, (Place, &Tuple)> = HashMap::with_capacity(self.tuples.len());
        let mut changes = Vec::with_capacity(self.tuples.len());
        let mut order = Vec::with_capacity(self.tuples.len());
        for (place, tuple) in &self.tuples {
            let mut untaken = |reason| {
                found.untaken.push(Untaken { place: *place, tuple: tuple.key.clone(), reason });
            };
            if let Err(rejection) = admit_stored(program.schema(), tuple) {
                untaken(UntakenReason::Rejected(rejection));
                continue;
            }
            match wanted.get(&tuple.key) {
                None => {
                    wanted.insert(&tuple.key, (*place, tuple));
                    order.push(&tuple.key);
                }
                Some(&(first, other)) => {
                    let is_same = other == tuple;
                    match on_stored {
                        OnStored::Replace if !is_same => {
                            wanted.insert(&tuple.key, (*place, tuple));
                            found.unchanged += 1;
                        }
                        OnStored::Replace | OnStored::Ignore if is_same => found.unchanged += 1,
                        _ => untaken(UntakenReason::Clash(ClashKind::Repeated { first, is_same })),
                    }
                }
            }
        }
        for (place, tuple) in order.into_iter().filter_map(|key| wanted.get(key)) {
            let Some(row) = state.get(tuple.key.as_ref())? else {
                changes.push(Change::Write((*tuple).clone()));
                continue;
            };
            let is_same = row.condition == tuple.condition && row.expires_at == tuple.expires_at;
            match on_stored {
                OnStored::Replace if !is_same => changes.push(Change::Write((*tuple).clone())),
                OnStored::Replace | OnStored::Ignore if is_same => found.unchanged += 1,
                _ => {
                    let reason = UntakenReason::Clash(ClashKind::Stored { is_same });
                    found.untaken.push(Untaken { place: *place, tuple: tuple.key.clone(), reason });
                }
            }
        }
        found.untaken.sort_by_key(|it| it.place);
        Ok((changes, found))
    }
}
