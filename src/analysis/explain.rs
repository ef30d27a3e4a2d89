//! Explain: why an answer is yes, and what is missing when it is no.
//!
//! A *proof* is a set of tuples over which alone the answer is yes, none of which can be left out, with the tuples that must
//! stay absent: each of them, added to the proof, makes it a no. A *near miss* is a set of tuples to be written or taken away
//! after which the answer is yes, and no part of which is enough. Both are found by `ways` and believed only after the
//! evaluator has said so of them, and of what is left when a part is left out.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use super::derivation::{Derivation, Formula, Leaf, Nothing, Possible, Stands, lay_out, rewrite_text};
use super::ways::{Few, Made, Set, Ways, ways};
use crate::condition::{ConditionError, Context};
use crate::eval::{self, EvalError, Limits, ListObjects, Program, Question, list_objects};
use crate::schema::{RelationIndex, Rewrite};
use crate::storage::{Change, Empty, Overlay, Row, TupleReader};
use crate::tuple::{
    ConditionContext, Object, ObjectRef, Relation, Revision, Subject, Tuple, TupleCondition, TupleKey,
    TupleRef,
};

/// What is to be explained, and how much of it.
#[derive(Debug, Clone, Copy)]
pub struct ExplainRequest<'q> {
    /// The question.
    pub tuple: TupleRef<'q>,
    /// Most proofs.
    pub proofs_max: usize,
    /// Most near misses.
    pub misses_max: usize,
}

/// The answer that is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explained {
    /// Yes.
    Yes,
    /// It hangs on a condition that cannot be told.
    Conditional,
    /// No.
    No,
}

/// Why an answer is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub answer: Explained,
    /// Of a yes, the smallest first.
    pub proofs: Vec<Proof>,
    /// There are, or may be, more proofs.
    pub has_more_proofs: bool,
    /// Of a no: what stands in the way.
    pub blocks: Vec<Block>,
    /// Of a no: what would make it a yes, the nearest first.
    pub misses: Vec<Miss>,
    /// There are, or may be, more near misses.
    pub has_more_misses: bool,
}

/// A tuple that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The tuple.
    pub tuple: Tuple,
    /// The revision that wrote it.
    pub revision: Revision,
}

/// Tuples over which alone the answer is yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// All of them are needed.
    pub tuples: Vec<Written>,
    /// Tuples that are not there, each of which would break the proof. There may be others, over further usersets and parents.
    pub absent: Vec<TupleKey>,
    /// Tuples that are there and would break the proof, were it not for others that are there too.
    pub despite: Vec<TupleKey>,
    /// How the answer follows from the tuples.
    pub why: Why,
}

/// How something follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The subject holds a relation of an object, by its rule.
    Holds {
        /// On what.
        object: Object,
        /// What.
        relation: Relation,
        /// The rule, in words of the schema.
        rule: Box<str>,
        /// By what.
        by: Vec<Why>,
    },
    /// A tuple names the subject, or everybody.
    Named(Written),
    /// A tuple leads to another object.
    Over {
        /// The tuple.
        tuple: Written,
        /// What the subject holds there.
        then: Box<Why>,
    },
    /// The same as was told before.
    Again {
        /// On what.
        object: Object,
        /// What is held.
        relation: Relation,
    },
    /// The subject is that very userset.
    Itself,
    /// What would take it away does not hold.
    NotTaken {
        /// On what.
        object: Object,
        /// In words of the schema.
        taken: Box<str>,
    },
}

/// What stands in the way of a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// It would be held, and is taken away.
    TakenAway {
        /// The object.
        object: Object,
        /// The relation.
        relation: Relation,
        /// What takes it away, in words of the schema.
        by: Box<str>,
        /// The tuples that do.
        tuples: Vec<Written>,
    },
    /// The condition of a tuple is false.
    ConditionFalse {
        /// The tuple.
        tuple: Written,
    },
    /// The condition of a tuple cannot be told.
    ConditionUnknown {
        /// The tuple.
        tuple: Written,
        /// Why not.
        cause: ConditionError,
    },
    /// A tuple is stored that the schema does not allow.
    Invalid {
        /// The tuple.
        tuple: TupleKey,
    },
}

impl Block {
    /// The tuples that it is about.
    pub fn tuples(&self) -> &[Written] {
        match self {
            Block::TakenAway { tuples, .. } => tuples,
            Block::ConditionFalse { tuple } | Block::ConditionUnknown { tuple, .. } => {
                std::slice::from_ref(tuple)
            }
            Block::Invalid { .. } => &[],
        }
    }
}

/// Changes after which the answer is yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// Tuples to be written.
    pub writes: Vec<Tuple>,
    /// Tuples to be taken away.
    pub deletes: Vec<TupleKey>,
    /// It only writes the answer itself.
    pub is_trivial: bool,
}

/// Sets that are looked at of each part of a question.
const SETS_MAX: usize = 24;
/// Tuples of a proof.
const PROOF_MAX: usize = 64;
/// Changes of a near miss.
const MISS_MAX: usize = 5;
/// Tuples that a proof is looked for in by leaving one out after the other.
const SHRINK_MAX: usize = 300;
/// Objects that a missing link could lead to, of each relation.
const LINKS_MAX: usize = 3;
/// How far from the question missing links are looked for.
const LINK_DISTANCE_MAX: u32 = 2;
/// How long the objects for missing links are looked for, of each relation.
const LINK_TIME_MAX: Duration = Duration::from_millis(200);
/// How long proofs and near misses are checked.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Explains an answer.
///
/// # Errors
/// Those of the check itself, but for conditions that cannot be told; storage.
pub fn explain(
    program: &Program,
    state: &dyn TupleReader,
    request: &ExplainRequest<'_>,
    context: &Context,
    limits: &Limits,
) -> Result<Explanation, EvalError> {
    let question = Question::resolve(program.schema(), request.tuple)?;
    let answer = match eval::check(program, state, request.tuple, context, limits) {
        Ok(answer) if answer.allowed => Explained::Yes,
        Ok(_) => Explained::No,
        Err(EvalError::Condition { .. }) => Explained::Conditional,
        Err(error) => return Err(error),
    };
    let asker = Asker { program, request, question, context, limits, begun: Instant::now() };
    let mut explanation = Explanation {
        answer,
        proofs: Vec::new(),
        has_more_proofs: false,
        blocks: Vec::new(),
        misses: Vec::new(),
        has_more_misses: false,
    };
    match explanation.answer {
        Explained::Yes => asker.prove(state, &mut explanation)?,
        Explained::No | Explained::Conditional => asker.miss(state, &mut explanation)?,
    }
    Ok(explanation)
}

pub(super) struct Asker<'a> {
    pub(super) program: &'a Program,
    pub(super) request: &'a ExplainRequest<'a>,
    pub(super) question: Question<'a>,
    pub(super) context: &'a Context,
    pub(super) limits: &'a Limits,
    pub(super) begun: Instant,
}

impl Asker<'_> {
    fn holds(&self, state: &dyn TupleReader) -> bool {
        self.answer(state) == Some(true)
    }

    /// The answer over a state; none: a limit of ours kept it from being found out.
    fn answer(&self, state: &dyn TupleReader) -> Option<bool> {
        let tuple = self.request.tuple;
        match eval::check(self.program, state, tuple, self.context, self.limits) {
            Ok(answer) => Some(answer.allowed),
            // There is no yes, whatever there is.
            Err(EvalError::Condition { .. } | EvalError::TooDeep(_)) => Some(false),
            Err(_) => None,
        }
    }

    fn is_late(&self) -> bool {
        self.begun.elapsed() > TIME_MAX
    }

    fn lay_out(&self, state: &dyn TupleReader, possible: &dyn Possible) -> Result<Derivation, EvalError> {
        lay_out(self.program, state, &self.question, self.context, self.limits, possible)
    }

    fn prove(&self, state: &dyn TupleReader, explanation: &mut Explanation) -> Result<(), EvalError> {
        if self.request.proofs_max == 0 {
            explanation.has_more_proofs = true;
            return Ok(());
        }
        let derivation = self.lay_out(state, &Nothing)?;
        let few = Few { sets_max: SETS_MAX.max(2 * self.request.proofs_max), size_max: PROOF_MAX };
        let found = ways(&derivation, Made::Proofs, few, &|_| true);
        let now = state.now();
        let mut proven: Vec<Set> = Vec::new();
        let mut waiting = found.truly[0].clone().into_iter();
        explanation.has_more_proofs = found.is_cut || derivation.is_cut;
        for set in waiting.by_ref() {
            if proven.len() == self.request.proofs_max || self.is_late() {
                explanation.has_more_proofs = true;
                break;
            }
            if let Some(set) = self.shrink(&derivation, now, set)
                && !proven.contains(&set)
            {
                proven.push(set);
            }
        }
        if proven.is_empty() {
            // All that counts, and then as little of it as is enough.
            let counts = |leaf: &usize| matches!(derivation.leaves[*leaf].stands, Stands::Counts(_));
            let all: Set = (0..derivation.leaves.len()).filter(counts).take(SHRINK_MAX).collect();
            proven.extend(self.shrink(&derivation, now, all));
        }
        proven.sort_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
        for set in proven {
            let tuples: Vec<Written> =
                set.iter().filter_map(|leaf| written(&derivation.leaves[*leaf])).collect();
            explanation.proofs.push(self.proof(state, tuples)?);
        }
        Ok(())
    }

    /// The world that holds nothing but some tuples.
    fn alone(&self, now: crate::tuple::Timestamp, tuples: impl IntoIterator<Item = Tuple>) -> Overlay<Empty> {
        Overlay::contextual(Empty { now }, tuples)
    }

    /// What is enough of a set, none of which can be left out; none: it is not enough itself.
    fn shrink(&self, derivation: &Derivation, now: crate::tuple::Timestamp, mut set: Set) -> Option<Set> {
        let is_enough = |set: &[usize], without: Option<usize>| {
            let tuples = set.iter().filter(|leaf| Some(**leaf) != without);
            let tuples = tuples.filter_map(|leaf| written(&derivation.leaves[*leaf])).map(|it| it.tuple);
            self.holds(&self.alone(now, tuples))
        };
        if !is_enough(&set, None) {
            return None;
        }
        loop {
            if self.is_late() {
                return None;
            }
            let spare = set.iter().rev().copied().find(|leaf| is_enough(&set, Some(*leaf)));
            match spare {
                Some(spare) => set.retain(|leaf| *leaf != spare),
                None => return Some(set),
            }
        }
    }

    /// Tells how the answer follows from some tuples, and what must stay absent.
    fn proof(&self, state: &dyn TupleReader, tuples: Vec<Written>) -> Result<Proof, EvalError> {
        let plain = || tuples.iter().map(|it| it.tuple.clone());
        let world = self.alone(state.now(), plain());
        let derivation = self.lay_out(&world, &Anything)?;
        let few = Few { sets_max: 256, size_max: 1 };
        let found = ways(&derivation, Made::Changes, few, &|_| true);
        let (mut absent, mut despite) = (BTreeSet::new(), BTreeSet::new());
        for set in &found.falsely[0] {
            let [leaf] = set[..] else { continue };
            let Leaf { key, stands: Stands::Possible(condition) } = &derivation.leaves[leaf] else {
                continue;
            };
            let added = possible_tuple(key, condition.as_deref());
            if self.is_late() || self.holds(&self.alone(state.now(), plain().chain([added]))) {
                continue;
            }
            if state.get(key.as_ref())?.is_some() { &mut despite } else { &mut absent }
                .insert(key.to_string());
        }
        let parse = |keys: BTreeSet<String>| keys.iter().filter_map(|key| key.parse().ok()).collect();
        let teller = Teller { asker: self, derivation: &derivation, ways: &found, few, tuples: &tuples };
        let why = teller.holds(0, &mut HashSet::new());
        Ok(Proof { why, absent: parse(absent), despite: parse(despite), tuples })
    }

    fn miss(&self, state: &dyn TupleReader, explanation: &mut Explanation) -> Result<(), EvalError> {
        let near = Near { asker: self, state };
        let derivation = self.lay_out(state, &near)?;
        let few = Few { sets_max: SETS_MAX, size_max: MISS_MAX };
        let found = ways(&derivation, Made::Changes, few, &|_| true);
        self.find_blocks(&derivation, &found, few, explanation);
        explanation.has_more_misses = found.is_cut || derivation.is_cut;
        let mut misses: Vec<Miss> = Vec::new();
        for set in &found.truly[0] {
            if self.is_late() {
                explanation.has_more_misses = true;
                break;
            }
            if !set.is_empty() && self.is_near_miss(&derivation, state, set) {
                misses.push(self.as_miss(&derivation, set));
            }
        }
        if misses.is_empty() {
            // Where an answer hangs on its own denial, the sets say little: each change by itself is tried.
            for leaf in (0..derivation.leaves.len()).take(SHRINK_MAX) {
                if !self.is_late() && self.is_near_miss(&derivation, state, &[leaf]) {
                    misses.push(self.as_miss(&derivation, &[leaf]));
                }
            }
        }
        misses.sort_by_key(|miss| {
            let everybody =
                miss.writes.iter().filter(|it| matches!(it.key.subject, Subject::Wildcard(_))).count();
            // Something is given to the subject, rather than to everybody or to all that stand behind a link.
            let links =
                miss.writes.iter().filter(|it| it.key.subject.as_ref() != self.request.tuple.subject).count();
            (miss.is_trivial, miss.writes.len() + miss.deletes.len() + everybody, links)
        });
        explanation.has_more_misses |= misses.len() > self.request.misses_max;
        misses.truncate(self.request.misses_max);
        explanation.misses = misses;
        Ok(())
    }

    /// Whether a set of changes makes the answer a yes, and no part of it does.
    pub(super) fn is_near_miss(
        &self,
        derivation: &Derivation,
        state: &dyn TupleReader,
        set: &[usize],
    ) -> bool {
        let holds_with = |parts: u32| {
            let chosen = set.iter().enumerate().filter(|(at, _)| parts >> at & 1 == 1);
            let changes: Vec<Change> = chosen.map(|(_, leaf)| change(&derivation.leaves[*leaf])).collect();
            let mut overlay = Overlay::what_if(state);
            overlay.apply(state.revision().next(), &changes);
            self.answer(&overlay)
        };
        let all = (1_u32 << set.len()) - 1;
        holds_with(all) == Some(true) && (0..all).all(|parts| holds_with(parts) == Some(false))
    }

    pub(super) fn as_miss(&self, derivation: &Derivation, set: &[usize]) -> Miss {
        let mut miss = Miss { writes: Vec::new(), deletes: Vec::new(), is_trivial: false };
        for leaf in set {
            match change(&derivation.leaves[*leaf]) {
                Change::Write(tuple) => miss.writes.push(tuple),
                Change::Delete(key) => miss.deletes.push(key),
                Change::Expire(_) | Change::Schema { .. } => {}
            }
        }
        miss.is_trivial = match &miss.writes[..] {
            [only] => {
                let key = only.key.as_ref();
                miss.deletes.is_empty()
                    && key.object == self.request.tuple.object
                    && key.relation == self.request.tuple.relation
                    && key.subject == self.request.tuple.subject
            }
            _ => false,
        };
        miss
    }

    /// What stands in the way: exclusions whose both sides hold, conditions, tuples that the schema does not allow.
    fn find_blocks(&self, derivation: &Derivation, found: &Ways, few: Few, explanation: &mut Explanation) {
        let blocks = &mut explanation.blocks;
        for node in &derivation.nodes {
            each_exclusion(&node.formula, &mut |base, taken, text| {
                let holds = |part: &Formula| {
                    found
                        .of_part(derivation, Made::Changes, few, part, true)
                        .first()
                        .is_some_and(Vec::is_empty)
                };
                if !holds(base) || !holds(taken) {
                    return;
                }
                let few = Few { sets_max: 4, size_max: PROOF_MAX };
                let proofs = ways(derivation, Made::Proofs, few, &|_| true);
                let set = proofs.of_part(derivation, Made::Proofs, few, taken, true).into_iter().next();
                blocks.push(Block::TakenAway {
                    object: self.object(node.relation, &node.id),
                    relation: self.relation(node.relation),
                    by: text.into(),
                    tuples: set
                        .into_iter()
                        .flatten()
                        .filter_map(|leaf| written(&derivation.leaves[leaf]))
                        .collect(),
                });
            });
        }
        for leaf in &derivation.leaves {
            if let (Stands::Blocked(_, cause), Some(tuple)) = (&leaf.stands, written(leaf)) {
                blocks.push(match cause {
                    None => Block::ConditionFalse { tuple },
                    Some(cause) => Block::ConditionUnknown { tuple, cause: cause.clone() },
                });
            }
        }
        blocks.extend(derivation.invalid.iter().map(|tuple| Block::Invalid { tuple: tuple.clone() }));
    }

    fn object(&self, relation: RelationIndex, id: &str) -> Object {
        ObjectRef::from_checked(self.program.type_name(relation), id).to_owned()
    }

    fn relation(&self, relation: RelationIndex) -> Relation {
        Relation::from_checked(self.program.relation_name(relation))
    }
}

/// The row of a tuple that is there.
fn row(leaf: &Leaf) -> Option<&Row> {
    match &leaf.stands {
        Stands::Counts(row) | Stands::Blocked(row, _) => Some(row),
        Stands::Possible(_) => None,
    }
}

fn written(leaf: &Leaf) -> Option<Written> {
    let row = row(leaf)?;
    let (condition, expires_at) = (row.condition.clone(), row.expires_at);
    Some(Written { tuple: Tuple { key: leaf.key.clone(), condition, expires_at }, revision: row.created })
}

fn change(leaf: &Leaf) -> Change {
    match &leaf.stands {
        Stands::Possible(condition) => Change::Write(possible_tuple(&leaf.key, condition.as_deref())),
        Stands::Counts(_) | Stands::Blocked(..) => Change::Delete(leaf.key.clone()),
    }
}

/// With a condition that says nothing by itself.
pub(super) fn possible_tuple(key: &TupleKey, condition: Option<&str>) -> Tuple {
    let condition = condition.and_then(|name| TupleCondition::new(name, ConditionContext::empty()).ok());
    Tuple { condition, ..Tuple::plain(key.clone()) }
}

fn each_exclusion(formula: &Formula, visit: &mut dyn FnMut(&Formula, &Formula, &str)) {
    match formula {
        Formula::Constant(_) | Formula::Leaf(_) | Formula::Node(_) | Formula::Over { .. } => {}
        Formula::Any(parts) | Formula::All(parts) => {
            parts.iter().for_each(|part| each_exclusion(part, visit))
        }
        Formula::Without { base, taken, text } => {
            visit(base, taken, text);
            each_exclusion(base, visit);
            each_exclusion(taken, visit);
        }
    }
}

/// Everything could be written; links to other objects are not looked for.
struct Anything;

impl Possible for Anything {
    fn links(&self, _: RelationIndex, _: u32) -> Vec<Box<str>> {
        Vec::new()
    }

    fn may_change(&self, _: &TupleKey) -> bool {
        true
    }
}

/// Links to objects on which the subject holds what has to be held there.
struct Near<'n> {
    asker: &'n Asker<'n>,
    state: &'n dyn TupleReader,
}

impl Possible for Near<'_> {
    fn links(&self, relation: RelationIndex, distance: u32) -> Vec<Box<str>> {
        if distance > LINK_DISTANCE_MAX || self.asker.is_late() {
            return Vec::new();
        }
        let program = self.asker.program;
        let request = ListObjects {
            object_type: program.type_name(relation),
            relation: program.relation_name(relation),
            subject: self.asker.request.tuple.subject,
            after: None,
            time_max: Some(LINK_TIME_MAX),
        };
        let mut found = Vec::new();
        let listed = list_objects(
            program,
            self.state,
            &request,
            self.asker.context,
            self.asker.limits,
            &mut |object| {
                found.push(object.id().into());
                if found.len() < LINKS_MAX {
                    std::ops::ControlFlow::Continue(())
                } else {
                    std::ops::ControlFlow::Break(())
                }
            },
        );
        // What cannot be listed is no near miss.
        if listed.is_ok() { found } else { Vec::new() }
    }

    fn may_change(&self, _: &TupleKey) -> bool {
        true
    }
}

/// Tells how the answer follows in a world that holds nothing but a proof.
struct Teller<'t> {
    asker: &'t Asker<'t>,
    derivation: &'t Derivation,
    ways: &'t Ways,
    few: Few,
    tuples: &'t [Written],
}

impl Teller<'_> {
    fn holds(&self, node: usize, told: &mut HashSet<usize>) -> Why {
        let laid = &self.derivation.nodes[node];
        let (program, schema) = (self.asker.program, self.asker.program.schema());
        let rewrite = &schema.relation_at(laid.relation).rewrite;
        let object = self.asker.object(laid.relation, &laid.id);
        let relation = self.asker.relation(laid.relation);
        // Once is enough: told wherever it is met, a proof with many operands has no end.
        if !told.insert(node) {
            return Why::Again { object, relation };
        }
        let mut by = Vec::new();
        self.tell(node, &laid.formula, &mut by, told);
        let rule = match rewrite {
            Rewrite::Direct => Box::default(),
            rewrite => rewrite_text(program, laid.relation, rewrite).into(),
        };
        Why::Holds { object, relation, rule, by }
    }

    fn is_true(&self, formula: &Formula) -> bool {
        let found = self.ways.of_part(self.derivation, Made::Changes, self.few, formula, true);
        found.first().is_some_and(Vec::is_empty)
    }

    fn is_told(formula: &Formula, told: &HashSet<usize>) -> bool {
        match formula {
            Formula::Node(node) | Formula::Over { node, .. } => told.contains(node),
            _ => false,
        }
    }

    fn tell(&self, node: usize, formula: &Formula, by: &mut Vec<Why>, told: &mut HashSet<usize>) {
        match formula {
            Formula::Constant(_) => by.push(Why::Itself),
            Formula::Leaf(leaf) => by.extend(self.written(*leaf).map(Why::Named)),
            Formula::Node(other) => by.push(self.holds(*other, told)),
            Formula::Over { leaf, node } => {
                let then = Box::new(self.holds(*node, told));
                by.extend(self.written(*leaf).map(|tuple| Why::Over { tuple, then }));
            }
            Formula::Any(parts) => {
                let holding = || parts.iter().filter(|part| self.is_true(part));
                // Rather one that is not being told already: that would be no reason.
                let new = holding().find(|part| !Teller::is_told(part, told));
                if let Some(part) = new.or_else(|| holding().next()) {
                    self.tell(node, part, by, told);
                }
            }
            Formula::All(parts) => parts.iter().for_each(|part| self.tell(node, part, by, told)),
            Formula::Without { base, text, .. } => {
                self.tell(node, base, by, told);
                let at = &self.derivation.nodes[node];
                let object = self.asker.object(at.relation, &at.id);
                by.push(Why::NotTaken { object, taken: text.clone() });
            }
        }
    }

    fn written(&self, leaf: usize) -> Option<Written> {
        let key = &self.derivation.leaves[leaf].key;
        self.tuples.iter().find(|it| it.tuple.key == *key).cloned()
    }
}
