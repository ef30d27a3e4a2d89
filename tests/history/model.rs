//! The model: a list of whole states, one per revision. Nothing in it is clever, so that it can be the judge.

use std::collections::BTreeMap;

use stonetown::storage::{Change, ChangeKind, ChangeRecord, Commit, RevisionKind, RevisionRecord, Row};
use stonetown::tuple::{Revision, SchemaId, Timestamp, Tuple, TupleKey};

/// All rows of a state, those that have ended by their expiry too.
pub(crate) type Rows = BTreeMap<TupleKey, Row>;

/// A store as it was at one revision.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Its tuples.
    pub(crate) rows: Rows,
    /// The schema in force.
    pub(crate) schema: Option<SchemaId>,
    /// When the revision was committed; of revision 0: when the store was made.
    pub(crate) time: Timestamp,
}

/// A store as it was at every revision.
pub(crate) struct Model {
    /// By revision, from 0.
    pub(crate) states: Vec<State>,
    /// What is known of every revision, from 1.
    pub(crate) records: Vec<RevisionRecord>,
    /// The change log.
    pub(crate) log: Vec<ChangeRecord>,
    /// Every schema that was ever written.
    pub(crate) schemas: Vec<(SchemaId, Revision, String)>,
}

impl Model {
    /// The store when it has just been made.
    pub(crate) fn new(created_at: Timestamp) -> Model {
        let state = State { rows: Rows::new(), schema: None, time: created_at };
        Model { states: vec![state], records: Vec::new(), log: Vec::new(), schemas: Vec::new() }
    }

    /// The newest state.
    pub(crate) fn head(&self) -> &State {
        self.states.last().unwrap()
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> Revision {
        Revision(self.states.len() as u64 - 1)
    }

    /// The state at a revision.
    pub(crate) fn at(&self, revision: Revision) -> &State {
        &self.states[revision.0 as usize]
    }

    /// Takes an accepted write, and holds its answer against what it had to be.
    pub(crate) fn apply(&mut self, commit: Commit, changes: &[Change]) {
        assert_eq!(commit.changes, changes.len(), "number of changes of revision {}", commit.revision);
        if changes.is_empty() {
            assert_eq!(commit.revision, self.revision(), "a write without changes takes no revision");
            assert_eq!(commit.time, self.head().time, "nor a time");
            return;
        }
        let revision = self.revision().next();
        assert_eq!(commit.revision, revision, "revisions follow each other");
        assert!(commit.time >= self.head().time, "commit times never go back");
        let mut state = self.head().clone();
        state.time = commit.time;
        let (mut kind, mut ordinal) = (RevisionKind::Tuples, 0);
        for change in changes {
            let (change_kind, tuple) = match change {
                Change::Schema { id, document } => {
                    kind = RevisionKind::Schema;
                    state.schema = Some(*id);
                    self.schemas.push((*id, revision, document.to_string()));
                    continue;
                }
                Change::Write(tuple) => {
                    let old = state.rows.insert(tuple.key.clone(), row(tuple, revision));
                    let kind = if old.is_some() { ChangeKind::Replaced } else { ChangeKind::Written };
                    (kind, tuple.clone())
                }
                Change::Expire(_) => panic!("nothing is collected here"),
                Change::Delete(key) => {
                    state.rows.remove(key).expect("only what is there can be deleted");
                    (ChangeKind::Deleted, Tuple::plain(key.clone()))
                }
            };
            self.log.push(ChangeRecord { revision, ordinal, kind: change_kind, tuple: Some(tuple) });
            ordinal += 1;
        }
        self.records.push(RevisionRecord { time: state.time, schema: state.schema, kind, changes: ordinal });
        self.states.push(state);
    }

    /// The last revision committed at or before a time.
    pub(crate) fn revision_at(&self, time: Timestamp) -> Revision {
        let after_zero = self.states[1..].iter().take_while(|state| state.time <= time).count();
        Revision(after_zero as u64)
    }
}

/// The row that writing a tuple makes.
pub(crate) fn row(tuple: &Tuple, created: Revision) -> Row {
    Row { created, condition: tuple.condition.clone(), expires_at: tuple.expires_at }
}

/// The rows that have not ended.
pub(crate) fn seen(rows: &Rows, now: Timestamp) -> Rows {
    let is_seen = |row: &Row| row.expires_at.is_none_or(|end| end > now);
    rows.iter().filter(|(_, row)| is_seen(row)).map(|(key, row)| (key.clone(), row.clone())).collect()
}
