//! The cells: what the evaluator says in a row's world, and in those that hold a little more.

use super::super::derivation::{Derivation, Leaf, Possible, Stands, lay_out};
use super::super::explain::possible_tuple;
use super::super::ways::{Few, Made, Set, ways};
use super::facts::{Names, fresh};
use super::matter::{is_ever_needed, may_matter};
use super::rows::{Row, given_objects};
use super::{Cell, Way};
use crate::condition::Context;
use crate::eval::{self, EvalError, Limits, Program, Question};
use crate::schema::RelationIndex;
use crate::storage::{Empty, Overlay};
use crate::tuple::{Object, Timestamp, Tuple, TupleKey, TupleRef};

/// Sets that are looked at of each part of a question.
const FEW: Few = Few { sets_max: 64, size_max: 6 };
/// Objects of a type that further facts may lead to: with one of them, and where that is too few, with two.
const FRESH: [usize; 2] = [1, 2];
/// Ways that are told.
const WAYS_MAX: usize = 3;
/// Facts that are tried in pairs where the sets say nothing.
const PAIRS_MAX: usize = 40;

/// What a role gives for a permission.
pub(super) fn cell(program: &Program, row: &Row, column: RelationIndex, given: &[Tuple]) -> Cell {
    let Some(first) = row.places.first() else { return Cell::More };
    let mut asker = Asker::new(program, &first.object, column, &row.subject, given);
    asker.group = row.group.as_ref().map(|group| &group.object);
    asker.chosen = &row.chosen;
    asker.is_subject_a_parent = row.is_link;
    match asker.outcome(&row.world) {
        Outcome::No => asker.with(row),
        Outcome::Yes | Outcome::Perhaps => {
            Cell::Holds { ways: vec![asker.way(row, Vec::new())], has_more: false }
        }
        Outcome::Unknown => Cell::More,
    }
}

/// The fewest tuples that make somebody hold a relation of an object about which nothing else is known; none: there are none.
pub(super) fn membership(
    program: &Program,
    object: &Object,
    relation: RelationIndex,
    subject: &Object,
    given: &[Tuple],
) -> Option<Vec<Tuple>> {
    let asker = Asker::new(program, object, relation, subject, given);
    if asker.outcome(given).holds() {
        return Some(Vec::new());
    }
    let derivation = asker.lay_out(given, FRESH[0])?;
    let sets = asker.sets(&derivation);
    let of_itself = |set: &&Vec<Tuple>| set.len() == 1 && set[0].key.relation.as_str() == asker.relation;
    let works = |set: &&Vec<Tuple>| asker.outcome(given.iter().chain(set.iter())).holds();
    let found = sets.iter().filter(of_itself).chain(&sets).find(works)?;
    Some(found.clone())
}

/// What a check says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Yes,
    /// It hangs on a condition.
    Perhaps,
    No,
    /// A limit was reached.
    Unknown,
}

impl Outcome {
    fn holds(self) -> bool {
        matches!(self, Outcome::Yes | Outcome::Perhaps)
    }
}

struct Asker<'a> {
    program: &'a Program,
    column: RelationIndex,
    relation: &'a str,
    object: &'a Object,
    subject: &'a Object,
    given: &'a [Tuple],
    group: Option<&'a Object>,
    chosen: &'a [Tuple],
    is_subject_a_parent: bool,
    limits: Limits,
}

impl<'a> Asker<'a> {
    fn new(
        program: &'a Program,
        object: &'a Object,
        column: RelationIndex,
        subject: &'a Object,
        given: &'a [Tuple],
    ) -> Asker<'a> {
        let relation = &program.schema().relation_at(column).name;
        let limits = Limits::default();
        Asker {
            program,
            column,
            relation,
            object,
            subject,
            given,
            group: None,
            chosen: &[],
            is_subject_a_parent: false,
            limits,
        }
    }

    fn question(&self) -> TupleRef<'_> {
        let subject = crate::tuple::SubjectRef::Object(self.subject.as_ref());
        TupleRef { object: self.object.as_ref(), relation: self.relation, subject }
    }

    fn outcome<'t>(&self, tuples: impl IntoIterator<Item = &'t Tuple>) -> Outcome {
        let state = world(tuples);
        match eval::check(self.program, &state, self.question(), &Context::default(), &self.limits) {
            Ok(answer) if answer.allowed => Outcome::Yes,
            Ok(_) => Outcome::No,
            Err(EvalError::Condition { .. }) => Outcome::Perhaps,
            Err(_) => Outcome::Unknown,
        }
    }

    /// The question over some tuples, with everything that could be written besides; none: a limit was reached.
    fn lay_out<'t>(&self, tuples: impl IntoIterator<Item = &'t Tuple>, fresh: usize) -> Option<Derivation> {
        let question = Question::resolve(self.program.schema(), self.question()).ok()?;
        let further = Further { asker: self, fresh };
        let context = Context::default();
        let state = world(tuples);
        let mut derivation =
            lay_out(self.program, &state, &question, &context, &self.limits, &further).ok()?;
        // A condition that cannot be told may be true; the cell says so.
        for leaf in &mut derivation.leaves {
            if let Stands::Blocked(row, Some(_)) = &leaf.stands {
                leaf.stands = Stands::Counts(row.clone());
            }
        }
        Some(derivation)
    }

    /// Sets of tuples that, written besides, perhaps make the answer a yes: the smallest first.
    fn sets(&self, derivation: &Derivation) -> Vec<Vec<Tuple>> {
        let may_change = |leaf: usize| self.is_further_fact(&derivation.leaves[leaf]);
        let found = ways(derivation, Made::Changes, FEW, &may_change);
        let tuples = |set: &Set| set.iter().filter_map(|leaf| written(&derivation.leaves[*leaf])).collect();
        let mut sets: Vec<Vec<Tuple>> = found.truly[0].iter().map(tuples).collect();
        // Rather somebody than everybody.
        let everybody = |set: &Vec<Tuple>| {
            set.iter().filter(|it| matches!(it.key.subject, crate::tuple::Subject::Wildcard(_))).count()
        };
        sets.sort_by_key(|set| (set.len(), everybody(set)));
        sets
    }

    /// Whether a tuple may be told as a further fact: of whom is asked about it says only what they hold, unless they are a parent.
    fn is_further_fact(&self, leaf: &Leaf) -> bool {
        let is_about_subject = leaf.key.object == *self.subject;
        matches!(leaf.stands, Stands::Possible(_)) && (self.is_subject_a_parent || !is_about_subject)
    }

    /// A permission that the row alone does not give.
    fn with(&self, row: &Row) -> Cell {
        let schema = self.program.schema();
        let subject_type = schema.type_named(self.subject.object_type());
        let is_nobodys = subject_type.is_none_or(|it| schema.graph().entries(it, self.column).is_empty());
        if is_nobodys {
            return Cell::No;
        }
        for fresh in FRESH {
            let Some(derivation) = self.lay_out(&row.world, fresh) else { return Cell::More };
            if !derivation.is_cut && !may_matter(&derivation, &row.leaf.key) {
                return Cell::No;
            }
            let (sets, has_more) = self.that_work(row, &derivation);
            if !sets.is_empty() {
                let ways = sets.into_iter().map(|set| self.way(row, set)).collect();
                return Cell::Holds { ways, has_more };
            }
            if !derivation.is_cut && !is_ever_needed(derivation, &row.leaf.key) {
                return Cell::No;
            }
        }
        Cell::More
    }

    /// The smallest sets with which the row gives the permission; and whether there are more of the same size.
    fn that_work(&self, row: &Row, derivation: &Derivation) -> (Vec<Vec<Tuple>>, bool) {
        let mut found: Vec<Vec<Tuple>> = Vec::new();
        let sets = self.sets(derivation);
        for set in sets.into_iter().chain(self.singles_and_pairs(derivation)) {
            if found.first().is_some_and(|first| set.len() > first.len()) {
                break;
            }
            if found.contains(&set) || !self.works(row, &set) {
                continue;
            }
            if found.len() == WAYS_MAX {
                return (found, true);
            }
            found.push(set);
        }
        (found, false)
    }

    /// Where an answer hangs on its own denial, sets say little: then each fact by itself is tried, and each two.
    fn singles_and_pairs(&self, derivation: &Derivation) -> Vec<Vec<Tuple>> {
        let reach = self.program.schema().graph().reach(self.column);
        if !reach.exclusion {
            return Vec::new();
        }
        let further = derivation.leaves.iter().filter(|leaf| self.is_further_fact(leaf));
        let facts: Vec<Tuple> = further.filter_map(written).take(PAIRS_MAX).collect();
        let singles = facts.iter().map(|fact| vec![fact.clone()]);
        let pairs = facts.iter().enumerate().flat_map(|(at, fact)| {
            facts[at + 1..].iter().map(move |other| vec![fact.clone(), other.clone()])
        });
        singles.chain(pairs).collect()
    }

    /// Whether a set makes the answer a yes together with the row, no part of it does, and it does not without the row.
    fn works(&self, row: &Row, set: &[Tuple]) -> bool {
        let with = |parts: u32| {
            let chosen = set.iter().enumerate().filter(move |(at, _)| parts >> at & 1 == 1);
            chosen.map(|(_, tuple)| tuple)
        };
        let all = (1_u32 << set.len()) - 1;
        let without_leaf = row.world.iter().filter(|tuple| **tuple != row.leaf);
        !set.is_empty()
            && self.outcome(row.world.iter().chain(with(all))).holds()
            && self.outcome(without_leaf.chain(with(all))) == Outcome::No
            && (0..all).all(|parts| self.outcome(row.world.iter().chain(with(parts))) == Outcome::No)
    }

    /// How the permission is held with a row and a set: on which conditions, and what would take it away.
    fn way(&self, row: &Row, with: Vec<Tuple>) -> Way {
        let schema = self.program.schema();
        let all: Vec<Tuple> = row.world.iter().chain(&with).cloned().collect();
        let unless = if schema.graph().reach(self.column).exclusion { self.unless(&all) } else { Vec::new() };
        let names = Names::new(schema, row, &with);
        let unless_text = unless.iter().map(|fact| names.one(fact)).collect::<Vec<_>>().join(" or ");
        Way { with_text: names.all(&with), conditions: self.conditions(&all), with, unless, unless_text }
    }

    /// The tuples each of which takes a permission away.
    fn unless(&self, all: &[Tuple]) -> Vec<Tuple> {
        let before = self.outcome(all);
        let Some(derivation) = self.lay_out(all, 0) else { return Vec::new() };
        let further = derivation.leaves.iter().filter(|leaf| self.is_further_fact(leaf));
        let breaks = |fact: &Tuple| {
            let after = self.outcome(all.iter().chain([fact]));
            after != before && !(before == Outcome::Perhaps && after == Outcome::Yes)
        };
        further.filter_map(written).filter(breaks).collect()
    }

    /// The conditions that a permission hangs on.
    fn conditions(&self, all: &[Tuple]) -> Vec<Box<str>> {
        if self.outcome(all) != Outcome::Perhaps {
            return Vec::new();
        }
        let conditional = all.iter().filter(|tuple| tuple.condition.is_some());
        let is_needed =
            |tuple: &&Tuple| self.outcome(all.iter().filter(|other| other != tuple)) == Outcome::No;
        let mut needed: Vec<&Tuple> = conditional.clone().filter(is_needed).collect();
        if needed.is_empty() {
            needed = conditional.collect();
        }
        let mut names: Vec<Box<str>> = Vec::new();
        for condition in needed.iter().filter_map(|tuple| tuple.condition.as_ref()) {
            if names.iter().all(|name| **name != *condition.name()) {
                names.push(condition.name().into());
            }
        }
        names
    }
}

fn world<'t>(tuples: impl IntoIterator<Item = &'t Tuple>) -> Overlay<Empty> {
    Overlay::contextual(Empty { now: Timestamp::default() }, tuples.into_iter().cloned())
}

/// The tuple of a leaf that is not there.
fn written(leaf: &Leaf) -> Option<Tuple> {
    match &leaf.stands {
        Stands::Possible(condition) => Some(possible_tuple(&leaf.key, condition.as_deref())),
        Stands::Counts(_) | Stands::Blocked(..) => None,
    }
}

/// What could be written besides a row: facts about its places, and about objects that nothing is known of.
struct Further<'f> {
    asker: &'f Asker<'f>,
    fresh: usize,
}

impl Possible for Further<'_> {
    /// Never to a place: nothing but the row's path leads there.
    fn links(&self, relation: RelationIndex, _: u32) -> Vec<Box<str>> {
        let type_name = self.asker.program.type_name(relation);
        let given = given_objects(self.asker.given, type_name);
        if !given.is_empty() {
            return given.iter().map(|object| object.id().into()).collect();
        }
        let known = self.asker.group.into_iter().chain([self.asker.subject]);
        let of_type = known.filter(|object| object.object_type() == type_name);
        let known = of_type.map(|object| Box::from(object.id()));
        known
            .chain((1..=self.fresh).map(|number| fresh(type_name, &format!("_f{number}")).id().into()))
            .collect()
    }

    fn may_change(&self, key: &TupleKey) -> bool {
        let is_chosen = |it: &Tuple| it.key.object == key.object && it.key.relation == key.relation;
        self.asker.given.iter().all(|tuple| tuple.key.object != key.object)
            && !self.asker.chosen.iter().any(is_chosen)
    }
}
