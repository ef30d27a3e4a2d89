//! Import: from lines to a store, one of two ways.
//!
//! *Files* sorts everything outside of the database and makes it one revision; writes to the store are refused at the end, while
//! that happens. *Live* writes parts beside everybody else, each a revision. Either is told where its input goes on behind
//! what it has taken, keeps that together with what it took, and says it when the same import is begun again.

use std::ops::ControlFlow;
use std::time::Instant;

use super::{BulkTuple, Reason};
use crate::engine::{
    ClashKind, Engine, EngineError, FileImportRequest, ImportPart, OnDuplicate, Place, Prepared, Progress,
    Rejection, TupleImport, UntakenReason,
};
use crate::tuple::{SchemaId, StoreId, Token, Tuple, TupleKey};

/// Which way tuples go into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Sorted outside of the database, and taken in as one revision.
    Files,
    /// Part by part, each a revision of its own, beside other writes.
    Live,
}

/// How an import is made.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Into which store.
    pub store: StoreId,
    /// The schema that lets the tuples in; none: the one in force.
    pub schema: Option<SchemaId>,
    /// Which way.
    pub way: Way,
    /// What to do with tuples that are there, or in the input, already.
    pub on_duplicate: OnDuplicate,
    /// End at the first tuple that cannot be taken.
    pub is_strict: bool,
    /// Find out what would be done, and do nothing.
    pub is_trial: bool,
    /// What is imported: the same again goes on where it was interrupted.
    pub identity: [u8; 16],
    /// The same, for people.
    pub about: String,
    /// Throw away what an interrupted import left, and begin anew.
    pub restart: bool,
    /// Bytes of memory for sorting, about.
    pub memory_bytes: usize,
    /// Tuples of a part, live.
    pub part_tuples: usize,
    /// Live: rest as long as a part took, so that questions asked meanwhile are answered as soon as ever.
    pub is_gentle: bool,
}

/// Memory for sorting, unless something else is asked for.
pub const MEMORY_BYTES: usize = 256 << 20;
/// Tuples of a part beside others who ask.
pub const GENTLE_PART_TUPLES: usize = 250;
/// Tuples of a part, unless something else is asked for.
pub const PART_TUPLES: usize = 2_000;

/// What an import did.
#[derive(Debug, Clone)]
pub struct ImportAnswer {
    /// The state it left.
    pub token: Token,
    /// Tuples, by what became of them; live, replaced ones count as written.
    pub counts: Prepared,
}

/// Told of tuples that cannot be taken: where, and why. It may end the import.
pub type Untaken<'u> = &'u mut dyn FnMut(Place, Reason) -> ControlFlow<()>;

/// An import in the making.
pub struct Import<'e> {
    engine: &'e Engine,
    options: ImportOptions,
    state: State<'e>,
}

enum State<'e> {
    Files(Box<TupleImport<'e>>),
    Live { part: Vec<(Place, Tuple)>, counts: Prepared, token: Option<Token>, resumed: Option<String> },
}

impl<'e> Import<'e> {
    /// Begins an import, or goes on with one that was interrupted.
    ///
    /// # Errors
    /// The store or its schema is not there, or another import by files was interrupted.
    pub fn begin(engine: &'e Engine, options: ImportOptions) -> Result<Import<'e>, EngineError> {
        let state = match options.way {
            Way::Files => State::Files(Box::new(engine.import_files(FileImportRequest {
                store: options.store,
                schema: options.schema,
                on_duplicate: options.on_duplicate,
                identity: hex(options.identity),
                about: options.about.clone(),
                restart: options.restart,
                memory_bytes: options.memory_bytes,
                is_trial: options.is_trial,
            })?)),
            Way::Live => {
                let resumed = engine.import_position(options.store, options.identity)?;
                let resumed = resumed.filter(|_| !options.restart && !options.is_trial);
                State::Live { part: Vec::new(), counts: Prepared::default(), token: None, resumed }
            }
        };
        Ok(Import { engine, options, state })
    }

    /// Where the input goes on, if some of it was taken before an interruption.
    pub fn resumed(&self) -> Option<&str> {
        match &self.state {
            State::Files(import) => import.resumed().map(|(position, _)| position),
            State::Live { resumed, .. } => resumed.as_deref(),
        }
    }

    /// Takes a tuple; `after` says where the input goes on behind it.
    pub fn take(
        &mut self,
        place: Place,
        tuple: &BulkTuple<'_>,
        after: &dyn Fn() -> String,
        untaken: Untaken<'_>,
    ) -> Result<ControlFlow<()>, EngineError> {
        match &mut self.state {
            State::Files(import) => {
                match import.add(place, tuple.key, tuple.condition.as_ref(), tuple.expires_at)? {
                    Ok(false) => {}
                    Ok(true) => import.checkpoint(&after())?,
                    Err(rejection) => return Ok(untaken(place, rejected(&tuple.key, &rejection))),
                }
                Ok(ControlFlow::Continue(()))
            }
            State::Live { part, .. } => {
                part.push((place, tuple.to_owned()));
                if part.len() < self.options.part_tuples {
                    return Ok(ControlFlow::Continue(()));
                }
                self.write_part(Some(after()), untaken)
            }
        }
    }

    /// Writes the part that has come together; `after`: where the input goes on, none at its end.
    fn write_part(
        &mut self,
        after: Option<String>,
        untaken: Untaken<'_>,
    ) -> Result<ControlFlow<()>, EngineError> {
        let State::Live { part, counts, token, .. } = &mut self.state else {
            return Ok(ControlFlow::Continue(()));
        };
        let begun = Instant::now();
        let answer = self.engine.import_part(ImportPart {
            store: self.options.store,
            schema: self.options.schema,
            on_duplicate: self.options.on_duplicate,
            tuples: std::mem::take(part),
            import: (self.options.identity, after),
            is_strict: self.options.is_strict,
            is_trial: self.options.is_trial,
        })?;
        if self.options.is_gentle {
            std::thread::sleep(begun.elapsed());
        }
        *token = Some(answer.token);
        let is_refused = self.options.is_strict && !answer.untaken.is_empty();
        if !is_refused {
            counts.written += answer.changed;
            counts.unchanged += answer.unchanged;
        }
        for it in answer.untaken {
            let reason = match it.reason {
                UntakenReason::Rejected(rejection) => rejected(&it.tuple, &rejection),
                UntakenReason::Clash(clash) => clashed(&it.tuple, clash),
            };
            if untaken(it.place, reason).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(if is_refused { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Has what was taken kept, for an import that goes on later. `after`: where the input goes on.
    pub fn flush(&mut self, after: String, untaken: Untaken<'_>) -> Result<ControlFlow<()>, EngineError> {
        match &mut self.state {
            State::Live { .. } => self.write_part(Some(after), untaken),
            State::Files(import) => {
                import.keep(&after)?;
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    /// The state behind what was written so far, live, and what that was.
    pub fn so_far(&self) -> Option<(Token, Prepared)> {
        match &self.state {
            State::Live { counts, token, .. } => token.map(|token| (token, *counts)),
            State::Files(_) => None,
        }
    }

    /// Ends the import before it is done: nothing of one by files is left, what was written live stays.
    pub fn end(self) -> Result<(), EngineError> {
        match self.state {
            State::Files(import) => import.discard(),
            State::Live { .. } => Ok(()),
        }
    }

    /// Makes the rest of it visible; `end` says where the input ends. None: `untaken` ended it.
    pub fn finish(
        mut self,
        end: &str,
        untaken: Untaken<'_>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Option<ImportAnswer>, EngineError> {
        if let State::Live { .. } = &self.state {
            // An empty last part forgets where the import was.
            if self.write_part(None, untaken)?.is_break() {
                return Ok(None);
            }
        }
        match self.state {
            State::Files(import) => {
                let mut clash = |place, clash, tuple: TupleKey| untaken(place, clashed(&tuple, clash));
                let done = import.finish(end, &mut clash, progress)?;
                Ok(done.map(|done| ImportAnswer { token: done.token, counts: done.counts }))
            }
            State::Live { counts, token, .. } => Ok(token.map(|token| ImportAnswer { token, counts })),
        }
    }
}

fn rejected(tuple: &dyn std::fmt::Display, rejection: &Rejection) -> Reason {
    Reason::new("is not let in by the schema", format!("`{tuple}`: {rejection}"))
}

fn clashed(tuple: &TupleKey, clash: ClashKind) -> Reason {
    match clash {
        ClashKind::Repeated { first, is_same } => {
            let otherwise = if is_same { "" } else { ", with another condition or expiry" };
            let Place { input, line } = first;
            let file = if input == 0 { String::new() } else { format!(" of file {}", input + 1) };
            let text = format!("`{tuple}` is in the input before{otherwise}: line {line}{file}");
            Reason::new("is in the input before", text)
        }
        ClashKind::Stored { is_same: true } => {
            let text = format!("`{tuple}` is stored already: choose to ignore or replace duplicates");
            Reason::new("is stored already", text)
        }
        ClashKind::Stored { is_same: false } => {
            let text =
                format!("`{tuple}` is stored with another condition or expiry: choose to replace duplicates");
            Reason::new("is stored otherwise", text)
        }
    }
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
