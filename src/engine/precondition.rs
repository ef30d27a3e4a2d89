//! Preconditions: what has to be true of the state before a write for the write to be made.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use super::Engine;
use super::error::EngineError;
use super::untouched::{Area, touched};
use super::write::WriteRefusal;
use crate::storage::{Database, FilterError, StoreRecord, TupleFilter, TupleReader};
use crate::tuple::{Token, TupleError, TupleKey};

/// Preconditions of one write.
const PRECONDITIONS_MAX: usize = 100;
/// Tuples that the preconditions of one write look at: all other writes wait for them.
const PRECONDITION_ROWS_MAX: u64 = 1_000_000;

/// What has to be true before a write. Counted and looked up in the state that the write finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// `exists TUPLE`.
    Exists(TupleKey),
    /// `absent TUPLE`.
    Absent(TupleKey),
    /// `at-least N FILTER`: at least so many tuples match.
    AtLeast(u64, TupleFilter),
    /// `at-most N FILTER`: at most so many tuples match.
    AtMost(u64, TupleFilter),
    /// `unchanged FILTER since TOKEN`: the tuples that match are the ones that matched then, none written again.
    Unchanged(TupleFilter, String),
    /// `untouched REL[,REL…] since TOKEN`: the change log since then has nothing about these relations, or the schema.
    Untouched(Vec<Area>, String),
}

/// A text that is no precondition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreconditionError {
    /// Its first words are unknown.
    #[error(
        "`{0}` is no precondition: write `exists TUPLE`, `absent TUPLE`, `at-least N FILTER`, `at-most N FILTER`, `unchanged FILTER since TOKEN` or `untouched REL[,REL…] since TOKEN`"
    )]
    Unknown(String),
    /// Its tuple cannot be read.
    #[error("precondition `{text}`: {cause}")]
    Tuple {
        /// As given.
        text: String,
        /// What is wrong.
        cause: TupleError,
    },
    /// Its filter cannot be read.
    #[error("precondition `{text}`: {cause}")]
    Filter {
        /// As given.
        text: String,
        /// What is wrong.
        cause: FilterError,
    },
    /// What is to be untouched cannot be read.
    #[error(
        "precondition `{text}`: `{area}` is neither `TYPE#RELATION`, `TYPE#*`, `*` for any relation of any type, nor `schema`"
    )]
    Area {
        /// As given.
        text: String,
        /// The part of it that is none of these.
        area: String,
    },
}

/// The preconditions of a write, with their tokens opened.
pub(super) struct Preconditions(Vec<(Precondition, Option<Token>)>);

impl Engine {
    /// Opens the tokens, so that a foreign one is refused before the writer is bothered.
    pub(super) fn open_preconditions(
        &self,
        store: &StoreRecord,
        given: &[Precondition],
    ) -> Result<Preconditions, EngineError> {
        let mut opened = Vec::with_capacity(given.len());
        for precondition in given {
            let token = precondition.token().map(|text| self.open_token(store, text)).transpose()?;
            opened.push((precondition.clone(), token));
        }
        Ok(Preconditions(opened))
    }
}

impl Preconditions {
    /// Refuses more than a write may have.
    pub(super) fn check_number(given: &[Precondition]) -> Result<(), WriteRefusal> {
        let (found, limit) = (given.len(), PRECONDITIONS_MAX);
        if found > limit { Err(WriteRefusal::TooManyPreconditions { found, limit }) } else { Ok(()) }
    }

    /// Whether one of them asks the change log, in which the writes before it have to be.
    pub(super) fn ask_the_log(&self) -> bool {
        self.0.iter().any(|(precondition, _)| matches!(precondition, Precondition::Untouched(..)))
    }

    /// Refuses when one of them does not hold in a state.
    pub(super) fn hold(
        &self,
        state: &dyn TupleReader,
        database: &Database,
        store: u32,
    ) -> Result<(), EngineError> {
        let mut rows = PRECONDITION_ROWS_MAX;
        for (precondition, token) in &self.0 {
            let past = token.map(|token| (database, store, token));
            if let Some(found) = precondition.violation(state, past, &mut rows)? {
                let precondition = precondition.to_string();
                return Err(WriteRefusal::Precondition { precondition, found }.into());
            }
        }
        Ok(())
    }
}

impl Precondition {
    /// The token that it compares with.
    fn token(&self) -> Option<&str> {
        match self {
            Precondition::Unchanged(_, token) | Precondition::Untouched(_, token) => Some(token),
            _ => None,
        }
    }

    /// None when it holds, else what was found instead. `past` has the opened token of those that compare with one.
    fn violation(
        &self,
        state: &dyn TupleReader,
        past: Option<(&Database, u32, Token)>,
        rows: &mut u64,
    ) -> Result<Option<String>, EngineError> {
        let found = match self {
            Precondition::Exists(key) => {
                state.get(key.as_ref())?.is_none().then(|| "there is no such tuple".to_owned())
            }
            Precondition::Absent(key) => {
                state.get(key.as_ref())?.is_some().then(|| "the tuple exists".to_owned())
            }
            Precondition::AtLeast(least, filter) => {
                let count = count(state, filter, *least, rows)?;
                (count < *least).then(|| format!("{count} match"))
            }
            Precondition::AtMost(most, filter) => {
                let count = count(state, filter, most.saturating_add(1), rows)?;
                (count > *most).then(|| format!("more than {most} match"))
            }
            Precondition::Unchanged(filter, _) => {
                let Some((database, store, token)) = past else { return Ok(None) };
                let mut written = None;
                let mut now = 0;
                state.scan(filter, &mut |tuple, row| {
                    now += 1;
                    if now > *rows {
                        return ControlFlow::Break(());
                    }
                    if row.created > token.revision {
                        written = Some(format!("`{tuple}` was written since"));
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })?;
                spend(rows, now)?;
                // What is there now and was not written since was there then: so equal numbers mean equal tuples.
                let mut then =
                    || count(&database.past(store, token.revision, token.time)?, filter, u64::MAX, rows);
                match written {
                    None => {
                        let then = then()?;
                        (then != now).then(|| format!("{} of {then} are gone", then.saturating_sub(now)))
                    }
                    written => written,
                }
            }
            Precondition::Untouched(areas, _) => {
                let Some((database, store, token)) = past else { return Ok(None) };
                touched(areas, &database.head(store)?, token)?
            }
        };
        Ok(found)
    }
}

/// How many tuples match, counted no farther than `enough`; `rows`: how many may be looked at.
fn count(
    state: &dyn TupleReader,
    filter: &TupleFilter,
    enough: u64,
    rows: &mut u64,
) -> Result<u64, EngineError> {
    let mut count = 0;
    state.scan(filter, &mut |_, _| {
        count += 1;
        if count >= enough || count > *rows { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    spend(rows, count)?;
    Ok(count)
}

fn spend(rows: &mut u64, count: u64) -> Result<(), EngineError> {
    let wide = WriteRefusal::PreconditionsTooWide(PRECONDITION_ROWS_MAX);
    *rows = rows.checked_sub(count).ok_or(wide)?;
    Ok(())
}

impl FromStr for Precondition {
    type Err = PreconditionError;

    fn from_str(text: &str) -> Result<Precondition, PreconditionError> {
        let unknown = || PreconditionError::Unknown(text.to_owned());
        let tuple = |rest: &str| {
            rest.trim()
                .parse::<TupleKey>()
                .map_err(|cause| PreconditionError::Tuple { text: text.to_owned(), cause })
        };
        let filter = |rest: &str| {
            let cause = |cause| PreconditionError::Filter { text: text.to_owned(), cause };
            rest.trim().parse::<TupleFilter>().map_err(cause)
        };
        let counted = |rest: &str| {
            let (number, rest) = rest.trim().split_once(' ').ok_or_else(unknown)?;
            Ok((number.parse().map_err(|_| unknown())?, filter(rest)?))
        };
        let (word, rest) = text.trim().split_once(' ').ok_or_else(unknown)?;
        match word {
            "exists" => Ok(Precondition::Exists(tuple(rest)?)),
            "absent" => Ok(Precondition::Absent(tuple(rest)?)),
            "at-least" => counted(rest).map(|(number, filter)| Precondition::AtLeast(number, filter)),
            "at-most" => counted(rest).map(|(number, filter)| Precondition::AtMost(number, filter)),
            "unchanged" => {
                let (matched, token) = rest.rsplit_once(" since ").ok_or_else(unknown)?;
                Ok(Precondition::Unchanged(filter(matched)?, token.trim().to_owned()))
            }
            "untouched" => {
                let (areas, token) = rest.rsplit_once(" since ").ok_or_else(unknown)?;
                let area = |area: &str| {
                    area.trim().parse().map_err(|()| PreconditionError::Area {
                        text: text.to_owned(),
                        area: area.trim().to_owned(),
                    })
                };
                let areas = areas.split(',').map(area).collect::<Result<_, _>>()?;
                Ok(Precondition::Untouched(areas, token.trim().to_owned()))
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The filter that matches everything has an empty text, which would end the sentence too early.
        let show = |filter: &TupleFilter| match filter.to_string() {
            text if text.is_empty() => "@*".to_owned(),
            text => text,
        };
        match self {
            Precondition::Exists(key) => write!(f, "exists {key}"),
            Precondition::Absent(key) => write!(f, "absent {key}"),
            Precondition::AtLeast(number, filter) => write!(f, "at-least {number} {}", show(filter)),
            Precondition::AtMost(number, filter) => write!(f, "at-most {number} {}", show(filter)),
            Precondition::Unchanged(filter, token) => write!(f, "unchanged {} since {token}", show(filter)),
            Precondition::Untouched(areas, token) => {
                let areas: Vec<String> = areas.iter().map(Area::to_string).collect();
                write!(f, "untouched {} since {token}", areas.join(","))
            }
        }
    }
}
