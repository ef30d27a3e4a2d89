//! The classes of differences, and the rules that tell them.

use crate::answer::Answer;
use crate::class::Class;
use crate::judge::{self, Pair};
use crate::meaning::{Meaning, Surroundings, Truth};
use crate::values;
use crate::world::{Ask, Question, World, is_wildcard};

/// Times that OpenFGA is asked again, if one of the answers was an error.
const AGAIN: usize = 6;

/// Hops from where on the limit of 25 may matter: OpenFGA counts some computed relations too.
const HOPS: usize = 24;

/// OpenFGA names more or fewer of those who hold the relation as everybody.
const BESIDE_EVERYBODY: &str = "list-users: who is named beside `T:*`";
/// OpenFGA answers objects to a filter for usersets.
const NOT_ASKED_FOR: &str = "list-users with a userset filter: OpenFGA answers objects and `T:*` too";
const LEFT_OUT: [&str; 2] = [
    "list-users: OpenFGA leaves out who its check admits",
    "list-objects: OpenFGA leaves out what its check admits",
];
const NAMED: [&str; 2] =
    ["list-users: OpenFGA names who its check denies", "list-objects: OpenFGA names what its check denies"];

/// Why two lists of this class, neither of them an error, are no two answers to agree on: each such class is told by
/// OpenFGA's own check of every entry that only one of them has.
pub(crate) fn excuse(class: &Class) -> Option<&'static str> {
    let Class::Known(name) = class else { return None };
    match *name {
        BESIDE_EVERYBODY => Some("the same people by OpenFGA's check, some of them named beside everybody"),
        NOT_ASKED_FOR => Some("OpenFGA lists what the filter does not ask for"),
        name if LEFT_OUT.contains(&name) || NAMED.contains(&name) => {
            Some("OpenFGA's list contradicts OpenFGA's check")
        }
        _ => None,
    }
}

/// Whether two answers are the same.
pub(crate) fn agrees(_: &Pair<'_>, _: &Question, ours: &Answer, peer: &Answer) -> anyhow::Result<bool> {
    Ok(ours == peer)
}

/// Tells the class of a difference.
pub(crate) fn classify(
    pair: &Pair<'_>,
    question: &Question,
    ours: &Answer,
    peer: &Answer,
) -> anyhow::Result<Class> {
    let odd = |what: &str| Ok(Class::Unclassified(what.to_owned()));
    if let Answer::Error(code, _) = peer
        && code == "deadline_exceeded"
    {
        return Ok(Class::Known("OpenFGA does not end: deadline_exceeded"));
    }
    if ours.is_error() || peer.is_error() {
        for _ in 0..AGAIN {
            let again = pair.peer.0.ask(pair.world, &pair.peer.1, std::slice::from_ref(question))?;
            if again.first().is_some_and(|it| it == ours) {
                return Ok(Class::Known("OpenFGA answers one way or the other by chance"));
            }
        }
    }
    if let (Answer::Error(mine, _), Answer::Error(theirs, _)) = (ours, peer) {
        if mine == "invalid_tuple"
            && theirs == "validation_error"
            // The tool writes them before a check too.
            && (pair.peer.0.is_tool() || !matches!(question.ask, Ask::Check { .. }))
        {
            return Ok(Class::Known(
                "list with a contextual tuple whose condition's context is bad: the code",
            ));
        }
        // The hops do not hang on what the conditions are.
        let meaning = judge::meaning(pair.world, question, &[], |it| &it.ours);
        let surroundings = surroundings(&meaning, &judge::checks(pair.world, question));
        if surroundings.iter().any(|it| it.hops >= HOPS) && (is_too_deep(ours) || is_too_deep(peer)) {
            return Ok(Class::Known("more than 23 hops"));
        }
        return odd(&format!("two kinds of errors: ours {mine}, theirs {theirs}"));
    }
    if ours.message().contains("is not a whole number of 64 bits") && !peer.is_error() {
        return Ok(Class::Known("a whole number beyond 64 bits"));
    }
    if ours.message().contains("`Inf` is not a number") && !peer.is_error() {
        return Ok(Class::Known("a double given as the text `Inf`"));
    }
    let Some(outcomes) = judge::outcomes(pair.ours.0, pair.peer.0, pair.world, question)? else {
        if peer.message().contains("cannot be represented as a float64") && !ours.is_error() {
            return Ok(Class::Known("a double given as a text that no double is equal to"));
        }
        return odd("the conditions cannot be asked alone");
    };
    let meaning = judge::meaning(pair.world, question, &outcomes, |it| &it.ours);
    let checks = judge::checks(pair.world, question);
    let Some(meant) = judge::meant(&meaning, &checks) else {
        return odd("the meaning takes too long to find");
    };
    let with_theirs = judge::meaning(pair.world, question, &outcomes, |it| &it.peer);
    if let Some(outcome) = outcomes.iter().find(|it| !it.agrees())
        && judge::meant(&with_theirs, &checks).as_ref() != Some(&meant)
    {
        let contexts = question.context.iter().chain(outcome.tuple.condition.iter().map(|(_, it)| it));
        if !outcome.ours.is_error() && contexts.into_iter().any(values::is_beyond_63_bits) {
            return Ok(Class::Known("a uint beyond 63 bits"));
        }
        return Ok(of_condition(&outcome.ours, &outcome.peer));
    }
    let surroundings = surroundings(&meaning, &checks);
    let is_cyclic = surroundings.iter().any(|it| it.is_cyclic);
    let is_ours_meant = judge::is_meant(ours, question, &meaning, &meant, &checks);
    if surroundings.iter().any(|it| it.hops >= HOPS) && (is_ours_meant || is_too_deep(ours)) {
        return Ok(Class::Known("more than 23 hops"));
    }
    let asked: Vec<Question> = checks.iter().map(|(_, it)| it.clone()).collect();
    let by_checks = pair.peer.0.ask(pair.world, &pair.peer.1, &asked)?;
    let peers_check = |entry: &str| {
        let at = checks.iter().position(|(it, _)| it == entry);
        at.and_then(|at| by_checks.get(at)).cloned()
    };
    let is_decided = meant.iter().all(|(_, it)| *it != Truth::Maybe);
    let verb = question.ask.verb();
    if !is_ours_meant {
        if verb == "list-users" && ours.is_error() && is_decided && !is_cyclic {
            return Ok(Class::Known(
                "list-users: we fail where a parent or group on the way may not be there",
            ));
        }
        if ours.is_error() && is_decided && is_cyclic {
            return Ok(Class::Known("cycle in data: we fail for a condition whose outcome changes nothing"));
        }
        return odd(if is_cyclic {
            "ours is not what is meant (cyclic)"
        } else {
            "ours is not what is meant"
        });
    }
    if is_cyclic {
        return Ok(Class::Known("cycle in data"));
    }
    let without_hidden = meaning.without_hidden();
    if let Some(meant_then) = judge::meant(&without_hidden, &checks)
        && meant_then != meant
        && judge::is_meant(peer, question, &without_hidden, &meant_then, &checks)
    {
        return Ok(Class::Known("a contextual tuple that is stored too, with another condition"));
    }
    Ok(match (&question.ask, ours, peer) {
        (Ask::Check { .. }, Answer::Error(..), _) => {
            Class::Known("check: OpenFGA drops the error of a condition that the answer hangs on")
        }
        (Ask::Check { .. }, _, Answer::Error(..)) => {
            Class::Known("check: OpenFGA fails for a condition that the answer does not hang on")
        }
        (Ask::Check { .. }, _, _) => return odd("check: two answers"),
        (_, Answer::Error(..), _) => match verb {
            "list-users" => Class::Known("list-users: OpenFGA drops the error of a condition"),
            _ => Class::Known("list-objects: OpenFGA drops the error of a condition"),
        },
        (_, _, Answer::Error(..)) => match verb {
            "list-users" => Class::Known("list-users: OpenFGA fails for a condition that no entry hangs on"),
            _ => Class::Known("list-objects: OpenFGA fails for a condition that no entry hangs on"),
        },
        (Ask::Users { filter, .. }, Answer::List(ours), Answer::List(peer)) => {
            let missing: Vec<&String> = ours.difference(peer).collect();
            let extra: Vec<&String> = peer.difference(ours).collect();
            let holds_everybody = meant.iter().any(|(it, truth)| is_wildcard(it) && *truth == Truth::Yes);
            let is = |entry: &str, allowed: bool| peers_check(entry) == Some(Answer::Allowed(allowed));
            if filter.contains('#') && missing.is_empty() && extra.iter().all(|it| !it.contains('#')) {
                Class::Known(NOT_ASKED_FOR)
            } else if missing.iter().chain(&extra).all(|it| !is_wildcard(it) && is(it, true))
                && holds_everybody
            {
                Class::Known(BESIDE_EVERYBODY)
            } else if extra.is_empty() && missing.iter().all(|it| is(it, true)) {
                Class::Known(LEFT_OUT[0])
            } else if missing.is_empty() && extra.iter().all(|it| is(it, false)) {
                Class::Known(NAMED[0])
            } else {
                return odd(&format!("list-users: missing {missing:?}, extra {extra:?}"));
            }
        }
        (_, Answer::List(ours), Answer::List(peer)) => {
            let missing: Vec<&String> = ours.difference(peer).collect();
            let extra: Vec<&String> = peer.difference(ours).collect();
            let is = |entry: &str, allowed: bool| peers_check(entry) == Some(Answer::Allowed(allowed));
            if extra.is_empty() && missing.iter().all(|it| is(it, true)) {
                Class::Known(LEFT_OUT[1])
            } else if missing.is_empty() && extra.iter().all(|it| is(it, false)) {
                Class::Known(NAMED[1])
            } else {
                return odd("list-objects: two lists");
            }
        }
        _ => return odd("answers of two kinds"),
    })
}

fn is_too_deep(answer: &Answer) -> bool {
    matches!(answer, Answer::Error(code, _) if code == "authorization_model_resolution_too_complex")
}

fn surroundings(meaning: &Meaning<'_>, checks: &[(String, Question)]) -> Vec<Surroundings> {
    let of = |(_, it): &(String, Question)| match &it.ask {
        Ask::Check { object, relation, .. } => Some(meaning.surroundings(object, relation)),
        _ => None,
    };
    checks.iter().filter_map(of).collect()
}

/// Whether every fault that OpenFGA found is an order between numbers of different types.
fn compares_numbers(why: &str) -> bool {
    let mut faults = why.match_indices("ERROR:").map(|(at, _)| &why[at..]).peekable();
    let is_of_numbers = |fault: &str| {
        let operands = fault.split_once("no matching overload for '_").and_then(|(_, rest)| {
            let (operator, rest) = rest.split_once("_' applied to '(")?;
            Some((operator, rest.split_once(")'")?.0.split_once(", ")?))
        });
        operands.is_some_and(|(operator, (one, two))| {
            let is_number = |it: &str| ["int", "uint", "double"].contains(&it);
            ["<", "<=", ">", ">="].contains(&operator) && one != two && is_number(one) && is_number(two)
        })
    };
    faults.peek().is_some() && faults.all(is_of_numbers)
}

fn of_condition(ours: &Answer, peer: &Answer) -> Class {
    if peer.message().contains("cost limit") {
        return Class::Known("CEL cost limit of 100");
    }
    if peer.message().contains("cannot be represented as a float64") {
        return Class::Known("a double given as a text that no double is equal to");
    }
    if ours.message().contains("integer overflow") && ours.message().contains("'int'") && !peer.is_error() {
        return Class::Known("a uint beyond 63 bits");
    }
    let short = |it: &Answer| -> String {
        let text: String = it.to_string();
        let text = text.rsplit_once(" - ").map_or(text.clone(), |(_, rest)| rest.to_owned());
        text.chars().filter(|it| !it.is_ascii_digit()).take(90).collect()
    };
    Class::Unclassified(format!("a condition: ours {}, theirs {}", short(ours), short(peer)))
}

/// The class of a schema or a tuple that only one of both takes.
pub(crate) fn of_refusal(world: &World, is_schema: bool, by_us: bool, why: &str) -> Class {
    let is_of_relations = why.contains("potential loop") || why.contains("no entrypoints defined");
    if is_schema && !by_us && is_of_relations && world.is_sound() {
        return Class::Known(
            "a schema refused for a loop, or for relations that nobody can hold, without reason",
        );
    }
    if is_schema && !by_us && compares_numbers(why) {
        return Class::Known("a schema that compares numbers of different types");
    }
    if is_schema && by_us && why.contains(", null") {
        return Class::Known("a schema that compares a duration, timestamp or ipaddress with null");
    }
    if !is_schema && by_us && why.contains("is not a whole number of 64 bits") {
        return Class::Known("a whole number beyond 64 bits");
    }
    if !is_schema && by_us && why.contains("`Inf` is not a number") {
        return Class::Known("a double given as the text `Inf`");
    }
    if !is_schema && !by_us && why.contains("cannot be represented as a float64") {
        return Class::Known("a double given as a text that no double is equal to");
    }
    let who = if by_us { "we" } else { "OpenFGA" };
    let why: String = why.chars().filter(|it| !it.is_ascii_digit()).take(160).collect();
    Class::Unclassified(format!("{who} refuse a {}: {why}", if is_schema { "schema" } else { "tuple" }))
}
