//! The access diff: who gains and who loses what between two sides, each a schema over a state.
//!
//! **Definition.** Let O and S be all objects and all concrete subjects named in a valid tuple on either side, and for each
//! type of subject one more that no tuple names, who stands for everybody not named. The answer for an object, a permission
//! (any relation) and a subject is no, conditional, or yes; conditions are unknown but for what the context gives; a permission
//! that a side lacks is a no; there is no limit of depth. A subject gains where the answer rises, loses where it falls, and
//! is changed where it is conditional on both sides, on other conditions. Where everybody not named changes, who is
//! named is told only where they differ from that, with unchanged answers too ([`Change::Kept`]). What was not finished
//! is told as [`Found::Incomplete`], never taken for a no.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::affected::{Affected, affected};
use super::bound::Bound;
use super::holders::{Holders, ObjectRows, Shared};
use super::relations::{Permission, Relations, Slot};
use super::sets::{Difference, Set, Sets};
use super::truth::Truth;
use crate::condition::Context;
use crate::eval::Program;
use crate::storage::{ObjectFilter, Row, StorageError, TupleFilter, TupleReader};
use crate::tuple::{Object, ObjectRef, TupleKey, TupleRef};

/// One side of a change.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its schema.
    pub program: &'a Program,
    /// Its tuples.
    pub state: &'a dyn TupleReader,
}

/// In which tuples the states of two sides differ.
#[derive(Debug, Clone)]
pub enum Touched {
    /// In these alone.
    Tuples(Vec<TupleKey>),
    /// In more than can be told.
    Anything,
}

/// How much a diff may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffLimits {
    /// Memory for sets and what is known of them; when it is full, everything is begun anew.
    pub bytes_max: usize,
    /// Relations of objects that a change of tuples may reach before whole types are walked through instead.
    pub places_max: usize,
    /// Reads for one relation of one object.
    pub reads_max: u64,
}

impl Default for DiffLimits {
    fn default() -> DiffLimits {
        DiffLimits { bytes_max: 512 << 20, places_max: 500_000, reads_max: 50_000_000 }
    }
}

/// What is compared.
pub struct DiffRequest<'a> {
    /// Before the change.
    pub before: Side<'a>,
    /// After it.
    pub after: Side<'a>,
    /// What the states differ in.
    pub touched: Touched,
    /// Values of conditions' parameters.
    pub context: &'a Context,
    /// Only these permissions, as type and name; empty: all.
    pub only: Vec<Permission>,
    /// How much it may take.
    pub limits: DiffLimits,
}

/// How an answer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It rises, in no, conditional, yes.
    Gained,
    /// It falls.
    Lost,
    /// It is conditional on other conditions.
    Changed,
    /// It stays, other than for everybody not named.
    Kept,
}

/// An answer on one side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// No.
    No,
    /// Conditional: when it is a yes, in words.
    If(Box<str>),
    /// Yes.
    Yes,
}

/// What becomes of one subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// How the answer changes.
    pub change: Change,
    /// The type of the subject.
    pub subject_type: Box<str>,
    /// Its id; none: everybody of the type who is not named.
    pub subject: Option<Box<str>>,
    /// The answer before.
    pub before: Standing,
    /// The answer after.
    pub after: Standing,
}

/// What becomes of all subjects, of one relation of one object. Many objects share one.
#[derive(Debug, Default)]
pub struct Lines {
    /// In the order of change, type and id.
    pub lines: Vec<Line>,
    /// Usersets whose members all are in `lines` with one change, the largest first, each with how many more they account for.
    pub usersets: Vec<(Change, Box<str>, usize)>,
    /// What tells the conditional answers among the lines from all others, definitions and all.
    pub conditions: String,
    counts: [usize; 4],
}

impl Lines {
    /// How many lines have a change.
    pub fn count(&self, change: Change) -> usize {
        self.counts[change as usize]
    }
}

/// What a diff tells.
pub enum Found<'f> {
    /// The answers of one relation of an object are others.
    Lines {
        /// The object.
        object: ObjectRef<'f>,
        /// The relation.
        permission: &'f str,
        /// Who.
        lines: &'f Rc<Lines>,
    },
    /// It is not known whether they are.
    Incomplete {
        /// The object.
        object: ObjectRef<'f>,
        /// The relation.
        permission: &'f str,
        /// Why not.
        bound: Bound,
    },
}

/// What a diff took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiffWork {
    /// Objects that were compared.
    pub objects: u64,
    /// Relations of them that were.
    pub places: u64,
    /// Look-ups and rows read.
    pub reads: u64,
    /// How often the memory was full.
    pub resets: u64,
    /// Whether whole types were walked through.
    pub is_scan: bool,
}

/// What a diff was of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessDiff {
    /// What it took.
    pub work: DiffWork,
    /// The relations, as type and name, whose tuples it depends on: while none of them changes, nor a schema, it is the same.
    pub depends: Vec<Permission>,
}

/// Compares two sides, object by object, by type and id.
///
/// # Errors
/// Storage, where what is to be compared cannot be found out.
pub fn access_diff(
    request: &DiffRequest<'_>,
    visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
) -> Result<AccessDiff, StorageError> {
    let DiffRequest { before, after, touched, context, limits, .. } = request;
    let relations = Relations::of([before.program, after.program]);
    let changed: Vec<Slot> =
        relations.slots().filter(|(_, named)| named.is_changed).map(|(slot, _)| slot).collect();
    let reachable = relations.affected_by(begin(request, &relations, &changed));
    let shared = Shared::with_room(relations.slots().len());
    let holders = [(before, 0), (after, 1)].map(|(side, number)| {
        let shared = shared.of_side(same_on_both(&relations, &reachable, number, side.program));
        Holders::new(side.program, side.state, context, limits.reads_max, shared)
    });
    let wanted = wanted(&relations, &request.only);
    let mut diff = Diff {
        request,
        relations: &relations,
        holders,
        sets: Sets::new(limits.bytes_max),
        pairs: HashMap::new(),
        pair_bytes: 0,
        wanted,
        work: DiffWork::default(),
        visit,
        is_over: false,
    };
    let depends = depends(&relations, &reachable);
    let states = [before.state, after.state];
    if let Touched::Tuples(keys) = touched
        && changed.is_empty()
        && let Some(affected) = affected(&relations, states, keys, limits.places_max, &mut diff.work.reads)?
    {
        diff.compare_all(affected);
    } else {
        diff.walk_types(reachable)?;
    }
    let [first, second] = &diff.holders;
    diff.work.reads += first.reads + second.reads;
    Ok(AccessDiff { work: diff.work, depends })
}

/// The relations where the change begins.
fn begin(request: &DiffRequest<'_>, relations: &Relations, changed: &[Slot]) -> BTreeSet<Slot> {
    match &request.touched {
        Touched::Anything => relations.slots().map(|(slot, _)| slot).collect(),
        Touched::Tuples(keys) => {
            let slot = |key: &TupleKey| relations.find(key.object.object_type(), key.relation.as_str());
            changed.iter().copied().chain(keys.iter().filter_map(slot)).collect()
        }
    }
}

/// Of each relation of one side, its place among those that the change cannot reach by the schemas' graphs.
fn same_on_both(
    relations: &Relations,
    reachable: &BTreeSet<Slot>,
    side: usize,
    program: &Program,
) -> Vec<Option<usize>> {
    let mut at = vec![None; program.schema().relations().len()];
    for (slot, named) in relations.slots().filter(|(slot, _)| !reachable.contains(slot)) {
        if let Some(index) = named.index[side] {
            at[index.0 as usize] = Some(slot.0 as usize);
        }
    }
    at
}

/// What can be reached from what changes, and everything that the answers there hang on.
fn depends(relations: &Relations, reachable: &BTreeSet<Slot>) -> Vec<Permission> {
    let found = relations.depended_on_by(reachable.clone());
    let names = |slot| {
        let named = relations.at(slot);
        (named.object_type.clone(), named.relation.clone())
    };
    found.into_iter().map(names).collect()
}

fn wanted(relations: &Relations, only: &[Permission]) -> Option<HashSet<Slot>> {
    (!only.is_empty())
        .then(|| only.iter().filter_map(|(of, relation)| relations.find(of, relation)).collect())
}

struct Diff<'d, 'a> {
    request: &'d DiffRequest<'a>,
    relations: &'d Relations,
    holders: [Holders<'d>; 2],
    sets: Sets,
    /// What was found out of two sets.
    pairs: HashMap<(Set, Set), Rc<Lines>>,
    pair_bytes: usize,
    wanted: Option<HashSet<Slot>>,
    work: DiffWork,
    visit: &'d mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    is_over: bool,
}

impl Diff<'_, '_> {
    fn compare_all(&mut self, affected: Affected) {
        for (object, slots) in affected {
            if self.is_over {
                return;
            }
            self.compare(object.as_ref(), &slots, None);
        }
    }

    /// Compares all objects of the types that have a relation that can be reached by the schema's graph.
    fn walk_types(&mut self, reachable: BTreeSet<Slot>) -> Result<(), StorageError> {
        self.work.is_scan = true;
        let touched = match &self.request.touched {
            Touched::Tuples(keys) => {
                Some(keys.iter().map(|key| key.object.clone()).collect::<BTreeSet<Object>>())
            }
            Touched::Anything => None,
        };
        let mut by_type: BTreeMap<&str, Vec<Slot>> = BTreeMap::new();
        for slot in reachable {
            if self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&slot)) {
                by_type.entry(&self.relations.at(slot).object_type).or_default().push(slot);
            }
        }
        for (object_type, slots) in by_type {
            self.walk_type(object_type, &slots, touched.as_ref())?;
        }
        Ok(())
    }

    /// Every object of one type: those of the state before as they come, with their rows at hand where both sides have the
    /// same; then those that are there after alone.
    fn walk_type(
        &mut self,
        object_type: &str,
        slots: &[Slot],
        touched: Option<&BTreeSet<Object>>,
    ) -> Result<(), StorageError> {
        let [before, after] = [self.request.before.state, self.request.after.state];
        let is_touched = |object: &Object| touched.is_none_or(|touched| touched.contains(object));
        let mut met: BTreeSet<Object> = BTreeSet::new();
        each_object(before, object_type, &mut |object, rows| {
            let is_touched = is_touched(object);
            self.compare(object.as_ref(), slots, (!is_touched).then_some(rows));
            if is_touched && touched.is_some() {
                met.insert(object.clone());
            }
            self.flow()
        })?;
        match touched {
            Some(touched) => {
                for object in touched.difference(&met).filter(|object| object.object_type() == object_type) {
                    if !self.is_over {
                        self.compare(object.as_ref(), slots, None);
                    }
                }
                Ok(())
            }
            None if self.is_over => Ok(()),
            None => {
                let mut failed = Ok(());
                each_object(after, object_type, &mut |object, _| {
                    match has_tuples(before, object) {
                        Ok(true) => {}
                        Ok(false) => self.compare(object.as_ref(), slots, None),
                        Err(error) => {
                            failed = Err(error);
                            return ControlFlow::Break(());
                        }
                    }
                    self.flow()
                })?;
                failed
            }
        }
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Compares the answers of some relations of one object.
    fn compare(&mut self, object: ObjectRef<'_>, slots: &[Slot], rows: Option<&ObjectRows>) {
        self.make_room();
        self.work.objects += 1;
        for &slot in slots {
            if self.is_over || self.wanted.as_ref().is_some_and(|wanted| !wanted.contains(&slot)) {
                continue;
            }
            self.work.places += 1;
            let permission = &self.relations.at(slot).relation;
            let mut sets = self.sets_of(slot, object.id(), rows);
            if matches!(sets, Err(Bound::Conditions(_) | Bound::Memory)) {
                // What was met on other objects takes room too.
                self.begin_anew();
                sets = self.sets_of(slot, object.id(), rows);
            }
            let found = match sets {
                Ok([before, after]) if before == after => continue,
                Ok([before, after]) => {
                    let lines = self.lines(before, after);
                    (self.visit)(Found::Lines { object, permission, lines: &lines })
                }
                Err(bound) => (self.visit)(Found::Incomplete { object, permission, bound }),
            };
            self.is_over |= found.is_break();
        }
    }

    fn sets_of(&mut self, slot: Slot, id: &str, rows: Option<&ObjectRows>) -> Result<[Set; 2], Bound> {
        let mut found = [Set::NOBODY; 2];
        for (side, index) in self.relations.at(slot).index.into_iter().enumerate() {
            if let Some(relation) = index {
                found[side] = self.holders[side].of(&mut self.sets, relation, id, rows)?;
            }
        }
        Ok(found)
    }

    /// Begins anew when the memory is full.
    fn make_room(&mut self) {
        let [first, second] = &self.holders;
        let bytes = self.sets.bytes() + first.bytes() + second.bytes() + self.pair_bytes;
        if bytes > self.request.limits.bytes_max {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        self.work.resets += 1;
        self.sets = Sets::new(self.request.limits.bytes_max);
        self.holders.iter_mut().for_each(Holders::forget);
        self.pairs.clear();
        self.pair_bytes = 0;
    }

    fn lines(&mut self, before: Set, after: Set) -> Rc<Lines> {
        if let Some(known) = self.pairs.get(&(before, after)) {
            return Rc::clone(known);
        }
        let mut lines = Lines::default();
        let sets = &self.sets;
        let mut identities: Vec<String> = Vec::new();
        sets.differences(before, after, &mut |it| {
            for truth in [it.before, it.after].into_iter().filter(|truth| truth.is_conditional()) {
                identities.push(sets.truths.identity(truth));
            }
            lines.lines.push(line(sets, &it));
        });
        lines.lines.sort();
        identities.sort();
        lines.conditions = identities.join("\n");
        for line in &lines.lines {
            lines.counts[line.change as usize] += 1;
        }
        self.add_usersets(&mut lines);
        let lines = Rc::new(lines);
        self.pair_bytes += 128 + lines.lines.len() * 128;
        self.pairs.insert((before, after), Rc::clone(&lines));
        lines
    }

    /// Looks for usersets by which the lines can be told shorter.
    fn add_usersets(&self, lines: &mut Lines) {
        for change in [Change::Gained, Change::Lost] {
            let mut open: HashSet<(&str, &str)> = lines
                .lines
                .iter()
                .filter(|line| line.change == change)
                .filter_map(|line| Some((&*line.subject_type, line.subject.as_deref()?)))
                .collect();
            if open.len() < USERSET_MIN {
                continue;
            }
            // Who gains is told by the usersets after the change, who loses by those before.
            let holders = &self.holders[usize::from(change == Change::Gained)];
            let mut known = holders.usersets(&self.sets, USERSETS_MAX);
            known.sort_by(|(name, first), (other, second)| {
                second.len().cmp(&first.len()).then_with(|| name.cmp(other))
            });
            let all = open.clone();
            for (name, members) in known {
                let is_within = members.iter().all(|member| all.contains(member));
                let accounts_for = members.iter().filter(|member| open.contains(*member)).count();
                if members.len() < USERSET_MIN || !is_within || accounts_for < USERSET_MIN {
                    continue;
                }
                members.iter().for_each(|member| {
                    open.remove(member);
                });
                lines.usersets.push((change, name, accounts_for));
            }
        }
    }
}

/// Fewer people are told by their names.
const USERSET_MIN: usize = 5;
/// Usersets that are looked at to tell many people shorter.
const USERSETS_MAX: usize = 1_000;

fn line(sets: &Sets, it: &Difference) -> Line {
    let change = match (it.before, it.after) {
        (before, after) if before == after => Change::Kept,
        (before, after) if before.is_conditional() && after.is_conditional() => Change::Changed,
        (Truth::NO, _) | (_, Truth::YES) => Change::Gained,
        _ => Change::Lost,
    };
    let (before, mut after) = (standing(sets, it.before), standing(sets, it.after));
    if let (Change::Changed, Standing::If(text)) = (change, &after)
        && before == after
    {
        after = Standing::If(format!("{text}, as it is defined afterwards").into());
    }
    Line {
        change,
        subject_type: sets.kind_name(it.kind).into(),
        subject: it.subject.map(|subject| sets.subject_id(it.kind, subject).into()),
        before,
        after,
    }
}

pub(super) fn standing(sets: &Sets, truth: Truth) -> Standing {
    match truth {
        Truth::NO => Standing::No,
        Truth::YES => Standing::Yes,
        conditional => Standing::If(sets.truths.text(conditional).into()),
    }
}

/// Visits the objects of a type that tuples are written on, with all their rows.
fn each_object(
    state: &dyn TupleReader,
    object_type: &str,
    visit: &mut dyn FnMut(&Object, &ObjectRows) -> ControlFlow<()>,
) -> Result<(), StorageError> {
    let filter =
        TupleFilter { object: Some(ObjectFilter::Type(object_type.into())), ..TupleFilter::default() };
    let mut current: Option<Object> = None;
    let mut rows = ObjectRows::default();
    let mut is_over = false;
    // Most tuples are on the same relation as the one before.
    let mut relation: Rc<str> = Rc::from("");
    state.scan(&filter, &mut |tuple: TupleRef<'_>, row: &Row| {
        if let Some(object) = current.as_ref().filter(|object| object.as_ref() != tuple.object) {
            is_over = visit(object, &rows).is_break();
            rows.rows.clear();
            current = None;
        }
        if is_over {
            return ControlFlow::Break(());
        }
        if current.is_none() {
            current = Some(tuple.object.to_owned());
        }
        if *relation != *tuple.relation {
            relation = tuple.relation.into();
        }
        rows.rows.push((Rc::clone(&relation), tuple.subject.to_owned(), row.clone()));
        ControlFlow::Continue(())
    })?;
    if let Some(object) = current.filter(|_| !is_over) {
        let _ = visit(&object, &rows);
    }
    Ok(())
}

fn has_tuples(state: &dyn TupleReader, object: &Object) -> Result<bool, StorageError> {
    let filter = TupleFilter { object: Some(ObjectFilter::Object(object.clone())), ..TupleFilter::default() };
    let mut found = false;
    state.scan(&filter, &mut |_, _| {
        found = true;
        ControlFlow::Break(())
    })?;
    Ok(found)
}
