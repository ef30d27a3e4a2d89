//! When two answers are the same, the classes of differences, and the rules that tell them.

use std::collections::BTreeSet;

use crate::answer::{Answer, CONDITIONAL, UNDECIDED};
use crate::class::Class;
use crate::judge::{self, Pair};
use crate::meaning::{Meaning, Surroundings, Truth};
use crate::side::EXCLUDED;
use crate::world::{Ask, Question, Restriction, Shape, Tuple, World, is_wildcard, type_of, userset};

/// What a side says of one entry of a list; none: its answer does not tell.
type Said = Option<Truth>;

/// SpiceDB takes no question about everybody.
const ABOUT_EVERYBODY: &str = "a question about `T:*`: SpiceDB refuses it";
/// SpiceDB gives the two kinds of check different answers.
const BULK: &str = "check: SpiceDB answers one way in bulk, another alone";
/// SpiceDB ends at a condition whose evaluation fails.
const FAILS: [&str; 3] = [
    "list-users: SpiceDB fails for a condition that no entry hangs on",
    "list-objects: SpiceDB fails for a condition that no entry hangs on",
    "check: SpiceDB fails for a condition that the answer does not hang on",
];
/// Our list-users fails where it cannot tell who might be behind a hop.
const WE_FAIL: &str = "list-users: we fail where a parent or group on the way may not be there";
/// SpiceDB walks a cycle until its limit.
const CYCLE: &str = "cycle in data: SpiceDB walks it to its limit of depth, and fails";
/// SpiceDB's check does not see some tuples with conditions.
const HIDDEN: &str = "SpiceDB's check misses `team with cc` beside `team#m`";
/// SpiceDB's check sees tuples that have ended.
const REVIVED: &str = "SpiceDB's check counts ended tuples of `team with expiration` beside `team#m`";
/// SpiceDB has `team:1#member` in `team:*`.
const USERSETS_IN_EVERYBODY: &str = "a userset asked about: SpiceDB has it in `T:*`";
/// SpiceDB gives two answers.
const BY_CHANCE: &str = "SpiceDB answers one way or the other by chance";
/// Times that SpiceDB is asked again.
const AGAIN: usize = 6;
const LEFT_OUT: [&str; 2] = [
    "list-users: SpiceDB leaves out who its check does not deny",
    "list-objects: SpiceDB leaves out what its check does not deny",
];
const NAMED: [&str; 2] = [
    "list-users: SpiceDB names who its check does not admit",
    "list-objects: SpiceDB names what its check does not admit",
];

/// Why two answers of this class, neither of them an error, are no two answers to agree on.
pub(crate) fn excuse(class: &Class) -> Option<&'static str> {
    let Class::Known(name) = class else { return None };
    match *name {
        BULK => Some("SpiceDB's bulk check contradicts its check"),
        name if LEFT_OUT.contains(&name) || NAMED.contains(&name) => {
            Some("SpiceDB's list contradicts SpiceDB's check")
        }
        _ => None,
    }
}

/// Whether two answers are the same: both say yes, no or nothing sure of the same. Lists are compared by what they say of
/// every object of their type, not by whom they name: SpiceDB's `T:*` has exceptions, ours stands beside who is named.
pub(crate) fn agrees(
    pair: &Pair<'_>,
    question: &Question,
    ours: &Answer,
    peer: &Answer,
) -> anyhow::Result<bool> {
    if let (Ask::Check { .. }, _) | (_, Answer::Error(..)) = (&question.ask, peer) {
        return Ok(match (ours, peer) {
            (Answer::Error(..), Answer::Error(code, _)) => {
                is_missing(ours) && code == CONDITIONAL || is_failed(ours) && is_evaluation(peer)
            }
            _ => ours == peer,
        });
    }
    if ours.is_error() && !(is_missing(ours) && peer.is_undecided()) {
        return Ok(false);
    }
    Ok(Entries::new(pair, question, ours, peer)?.differing().is_empty())
}

/// Whether it is our error for parameters that were not given.
fn is_missing(ours: &Answer) -> bool {
    ours.message().contains("is missing context parameters")
}

/// Whether it is our error for a condition that cannot be evaluated, for whatever reason.
fn is_failed(ours: &Answer) -> bool {
    ours.message().contains("failed to evaluate relationship condition")
}

/// Whether it is SpiceDB's error for one whose evaluation fails.
fn is_evaluation(peer: &Answer) -> bool {
    peer.message().contains("evaluation error for caveat")
}

fn truth_of(answer: &Answer) -> Truth {
    match answer {
        Answer::Allowed(true) => Truth::Yes,
        Answer::Allowed(false) => Truth::No,
        _ => Truth::Maybe,
    }
}

/// What two lists say of everything that could be in them.
struct Entries {
    /// The entry, we, they.
    all: Vec<(String, Truth, Truth)>,
    /// What they name that there is not.
    unknown: Vec<String>,
}

impl Entries {
    fn new(pair: &Pair<'_>, question: &Question, ours: &Answer, peer: &Answer) -> anyhow::Result<Entries> {
        let checks = judge::checks(pair.world, question);
        let is_of_users = matches!(question.ask, Ask::Users { .. });
        let mut all = Vec::new();
        for (entry, check) in &checks {
            let we = match said_by_us(ours, entry, is_of_users) {
                Some(truth) => truth,
                None => {
                    let answers = pair.ours.0.ask(pair.world, &pair.ours.1, std::slice::from_ref(check))?;
                    answers.first().map_or(Truth::Maybe, truth_of)
                }
            };
            all.push((entry.clone(), we, said_by_peer(peer, entry, is_of_users)));
        }
        let known: BTreeSet<&str> = checks.iter().map(|(entry, _)| entry.as_str()).collect();
        let name = |it: &String| it.trim_start_matches(EXCLUDED).trim_end_matches(UNDECIDED).to_owned();
        let unknown = match peer {
            Answer::List(found) => found.iter().map(name).filter(|it| !known.contains(&**it)).collect(),
            _ => Vec::new(),
        };
        Ok(Entries { all, unknown })
    }

    fn differing(&self) -> Vec<&str> {
        let of_both = self.all.iter().filter(|(_, we, they)| we != they).map(|(entry, ..)| entry);
        of_both.chain(&self.unknown).map(String::as_str).collect()
    }
}

fn said_by_us(ours: &Answer, entry: &str, is_of_users: bool) -> Said {
    let Answer::List(found) = ours else { return None };
    if found.contains(entry) {
        return Some(Truth::Yes);
    }
    // Beside everybody, only those are named who are in a tuple that gives: a check tells of others.
    let has_everybody = is_of_users && found.iter().any(|it| is_wildcard(it));
    (!has_everybody || is_wildcard(entry)).then_some(Truth::No)
}

fn said_by_peer(peer: &Answer, entry: &str, is_of_users: bool) -> Truth {
    let Answer::List(found) = peer else { return Truth::Maybe };
    let says = |name: &str| {
        if found.contains(name) {
            Truth::Yes
        } else if found.contains(&format!("{name}{UNDECIDED}")) {
            Truth::Maybe
        } else {
            Truth::No
        }
    };
    if !is_of_users || is_wildcard(entry) || entry.contains('#') {
        return says(entry);
    }
    let of = type_of(entry);
    let as_one_of_all = says(&format!("{of}:*")).min(says(&format!("{EXCLUDED}{entry}")).not());
    says(entry).max(as_one_of_all)
}

/// Tells the class of a difference.
pub(crate) fn classify(
    pair: &Pair<'_>,
    question: &Question,
    ours: &Answer,
    peer: &Answer,
) -> anyhow::Result<Class> {
    let odd = |what: &str| Ok(Class::Unclassified(what.to_owned()));
    if let Ask::Check { user, .. } | Ask::Objects { user, .. } = &question.ask
        && is_wildcard(user)
        && peer.message().contains("on wildcard")
    {
        return Ok(Class::Known(ABOUT_EVERYBODY));
    }
    let verb = match question.ask {
        Ask::Users { .. } => 0,
        Ask::Objects { .. } => 1,
        Ask::Check { .. } => 2,
    };
    let Some(outcomes) = judge::outcomes(pair.ours.0, pair.peer.0, pair.world, question)? else {
        return odd("the conditions cannot be asked alone");
    };
    let meaning = judge::meaning(pair.world, question, &outcomes, |it| &it.ours);
    let checks = judge::checks(pair.world, question);
    let Some(meant) = judge::meant(&meaning, &checks) else {
        return odd("the meaning takes too long to find");
    };
    let surroundings = surroundings(&meaning, &checks);
    let is_cyclic = surroundings.iter().any(|it| it.is_cyclic);
    let is_ours_meant = judge::is_meant(ours, question, &meaning, &meant, &checks);
    let is_decided = meant.iter().all(|(_, it)| *it != Truth::Maybe);
    if let Ask::Users { .. } = question.ask
        && is_failed(ours)
        && is_decided
        && !is_cyclic
        && (is_said(peer, question, &meant) || is_evaluation(peer))
    {
        return Ok(Class::Known(WE_FAIL));
    }
    if !is_ours_meant {
        return odd(if is_cyclic {
            "OURS IS NOT WHAT IS MEANT (cyclic)"
        } else {
            "OURS IS NOT WHAT IS MEANT"
        });
    }
    let with_theirs = judge::meaning(pair.world, question, &outcomes, |it| &it.peer);
    if let Some(outcome) = outcomes.iter().find(|it| !it.agrees())
        && let Some(meant_then) = judge::meant(&with_theirs, &checks)
        && meant_then != meant
        && is_said(peer, question, &meant_then)
    {
        if is_missing(&outcome.ours) && !outcome.peer.is_error() {
            return Ok(Class::Known("a condition decided without a parameter that was not given"));
        }
        return odd(&format!("a condition: ours {}, theirs {}", outcome.ours, outcome.peer));
    }
    if is_cyclic && peer.message().contains("max depth exceeded") {
        return Ok(Class::Known(CYCLE));
    }
    if is_evaluation(peer) {
        return Ok(Class::Known(FAILS[verb]));
    }
    let with_usersets = meaning.with_usersets_in_everybody();
    if let Some(meant_then) = judge::meant(&with_usersets, &checks)
        && meant_then != meant
        && is_explained(peer, question, &meant, &meant_then)
    {
        return Ok(Class::Known(USERSETS_IN_EVERYBODY));
    }
    let without_hidden = meaning.without(|it| is_hidden(pair.world, it));
    if let Some(meant_then) = judge::meant(&without_hidden, &checks)
        && meant_then != meant
        && is_explained(peer, question, &meant, &meant_then)
    {
        return Ok(Class::Known(HIDDEN));
    }
    let by_condition = |it: &Tuple| {
        let outcome = outcomes.iter().find(|outcome| outcome.tuple == *it);
        outcome.map_or(Truth::Yes, |outcome| truth_of(&outcome.ours))
    };
    let revived = meaning.with(|it| is_revived(pair.world, it).then(|| by_condition(it)));
    for revived in [revived.without(|_| false), revived.without(|it| is_hidden(pair.world, it))] {
        if let Some(meant_then) = judge::meant(&revived, &checks)
            && meant_then != meant
            && is_explained(peer, question, &meant, &meant_then)
        {
            return Ok(Class::Known(REVIVED));
        }
    }
    for _ in 0..AGAIN {
        let again = pair.peer.0.ask(pair.world, &pair.peer.1, std::slice::from_ref(question))?;
        if let Some(again) = again.first()
            && agrees(pair, question, ours, again)?
        {
            return Ok(Class::Known(BY_CHANCE));
        }
    }
    if let Ask::Check { .. } = question.ask {
        let alone = pair.peer.0.ask_alone(&pair.peer.1, std::slice::from_ref(question))?;
        if let Some(alone) = alone.first()
            && truth_of(alone) != truth_of(peer)
        {
            return Ok(Class::Known(BULK));
        }
    }
    let asked: Vec<Question> = checks.iter().map(|(_, it)| it.clone()).collect();
    let by_checks = pair.peer.0.ask(pair.world, &pair.peer.1, &asked)?;
    let peers_check = |entry: &str| {
        let at = checks.iter().position(|(it, _)| it == entry);
        at.and_then(|at| by_checks.get(at)).map(truth_of)
    };
    if let (Ask::Objects { .. } | Ask::Users { .. }, Answer::List(_)) = (&question.ask, peer) {
        let entries = Entries::new(pair, question, ours, peer)?;
        let is_sound = entries.all.iter().filter(|(_, we, they)| we != they);
        let is_against_check = is_sound.clone().all(|(entry, we, _)| peers_check(entry) == Some(*we));
        if entries.unknown.is_empty() && is_against_check {
            if is_sound.clone().all(|(_, we, they)| they < we) {
                return Ok(Class::Known(LEFT_OUT[verb]));
            }
            if is_sound.clone().all(|(_, we, they)| they > we) {
                return Ok(Class::Known(NAMED[verb]));
            }
        }
        return odd(&format!("{}: {:?}", question.ask.verb(), entries.differing().len()));
    }
    let short: String = peer.to_string().chars().filter(|it| !it.is_ascii_digit()).take(120).collect();
    let mine: String = ours.to_string().chars().filter(|it| !it.is_ascii_digit()).take(60).collect();
    let cyclic = if is_cyclic { " (cyclic)" } else { "" };
    match (ours, peer) {
        (Answer::List(_), _) => odd(&format!("{}: a list, theirs {short}{cyclic}", question.ask.verb())),
        _ => odd(&format!("{}: ours {mine}, theirs {short}{cyclic}", question.ask.verb())),
    }
}

/// Whether SpiceDB's answer says of everything what the meaning does.
fn is_said(peer: &Answer, question: &Question, meant: &[(String, Truth)]) -> bool {
    let is_of_users = matches!(question.ask, Ask::Users { .. });
    match (&question.ask, peer) {
        (Ask::Check { .. }, _) => meant.first().is_some_and(|(_, it)| *it == truth_of(peer)),
        (_, Answer::List(_)) => {
            meant.iter().all(|(entry, truth)| said_by_peer(peer, entry, is_of_users) == *truth)
        }
        _ => false,
    }
}

/// Whether what SpiceDB says of each entry is either what is meant, or what would be, were something else; once the latter.
fn is_explained(
    peer: &Answer,
    question: &Question,
    meant: &[(String, Truth)],
    otherwise: &[(String, Truth)],
) -> bool {
    if let (Ask::Check { .. }, _) | (_, Answer::Error(..)) = (&question.ask, peer) {
        return is_said(peer, question, otherwise);
    }
    let is_of_users = matches!(question.ask, Ask::Users { .. });
    meant.iter().zip(otherwise).all(|((entry, one), (_, two))| {
        let said = said_by_peer(peer, entry, is_of_users);
        said == *one || said == *two
    })
}

/// Whether SpiceDB's check overlooks a tuple: it carries a condition and names an object, or everybody, of a type of which
/// the relation also takes usersets without a condition.
fn is_hidden(world: &World, tuple: &Tuple) -> bool {
    let of = type_of(&tuple.user);
    let relation = world.relation(type_of(&tuple.object), &tuple.relation);
    tuple.condition.is_some()
        && userset(&tuple.user).is_none()
        && relation.is_some_and(|it| {
            let is_bare = |it: &Restriction| {
                it.of == of && it.condition.is_none() && matches!(it.shape, Shape::Userset(_))
            };
            it.restrictions.iter().any(is_bare)
        })
}

/// Whether SpiceDB's check overlooks that a tuple has ended: the relation also takes subjects of its type, by another
/// relation or as themselves, that need not end.
fn is_revived(world: &World, tuple: &Tuple) -> bool {
    let of = type_of(&tuple.user);
    let by = userset(&tuple.user).map(|(_, relation)| relation);
    let relation = world.relation(type_of(&tuple.object), &tuple.relation);
    let is_endless = |it: &Restriction| {
        let it_by = match &it.shape {
            Shape::Userset(relation) => Some(relation.as_str()),
            Shape::Object | Shape::Wildcard => None,
        };
        it.of == of && !it.ends && it_by != by
    };
    tuple.is_over() && relation.is_some_and(|it| it.restrictions.iter().any(is_endless))
}

fn surroundings(meaning: &Meaning<'_>, checks: &[(String, Question)]) -> Vec<Surroundings> {
    let of = |(_, it): &(String, Question)| match &it.ask {
        Ask::Check { object, relation, .. } => Some(meaning.surroundings(object, relation)),
        _ => None,
    };
    checks.iter().filter_map(of).collect()
}

/// The class of a schema or a tuple that only one of both takes.
pub(crate) fn of_refusal(_: &World, is_schema: bool, by_us: bool, why: &str) -> Class {
    if !is_schema && by_us && why.contains("cannot write a tuple that is implicit") {
        return Class::Known("a userset written on itself: we refuse it, as OpenFGA does");
    }
    let who = if by_us { "we" } else { "SpiceDB" };
    let why: String = why.chars().filter(|it| !it.is_ascii_digit()).take(200).collect();
    Class::Unclassified(format!("{who} refuse a {}: {why}", if is_schema { "schema" } else { "tuple" }))
}
